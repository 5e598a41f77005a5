"""Exports are made: no row lost on the way, taken again after a death, by a pool of Ray Data, and training sets."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ray_app.connect.api import client
from ray_app.derive import pieces
from ray_app.derive.pieces import Cutting
from ray_app.derive.reading import Loader
from ray_app.derive.training import training
from ray_app.model.clock import ManualClock, SystemClock
from ray_app.model.errors import Fenced, StoreUnavailable
from ray_app.model.export import ExportRequest, Made, Part, Piece
from ray_app.model.timerange import TimeRange
from ray_app.runtime import exporting_job
from ray_app.runtime.collector import Shard
from ray_app.runtime.exporting import MOST_ATTEMPTS, Exporting
from ray_app.runtime.exporting_job import PieceWriter, export_job, made_in, pool_of
from ray_app.runtime.opening import Node
from ray_app.store.export_files import ExportFiles
from ray_app.store.exports import Export
from ray_app.store.store import Store
from tests.derive.market import COINS, DAY, HOUR, NOW, REGISTRY, candle
from tests.runtime.test_building import LONG, Desk, desk

__all__ = ["desk"]
SERIES = tuple(f"{symbol}-USD" for symbol in COINS.values())


class Office:
    """A market with 300 hours of three coins, and exports of it."""

    def __init__(self, market: Desk, folder: Path) -> None:
        self.desk, self.node, self.store = market, market.node, market.store
        self.files = ExportFiles(str(folder))
        self.node.exports = self.files
        self.folder = folder

    def worker(self, owner: str = "worker", **more: Any) -> Exporting:
        return Exporting(self.node, self.files, owner, SystemClock(), **more)

    async def ask(self, what: str = "bars", over: TimeRange | None = None, **more: Any) -> str:
        over = over or TimeRange(NOW - 20 * DAY, NOW)
        parts = (Part(dataset="coinbase.bars_1h", series=SERIES),) if what == "bars" else ()
        request = ExportRequest(
            what=what, start=over.start, end=over.end, as_of=NOW + HOUR, asked={"what": what}, parts=parts, **more
        )  # fmt: skip
        asked = await self.store.exports.ask("client", request, self.node.clock.now(), 10, restricted=False)
        return asked.id

    async def state(self, export: str) -> Export:
        found = await self.store.exports.find(export)
        assert found is not None
        return found

    async def frame(self, export: str) -> pl.DataFrame:
        found = await self.state(export)
        assert found.manifest is not None, found.reason
        names = [file["name"] for file in found.manifest["files"]]
        rows = pl.concat([pl.read_parquet(self.folder / export / name) for name in names])
        assert rows.height == found.manifest["rows"] == found.counted
        assert sorted(path.name for path in (self.folder / export).iterdir()) == [*names, "manifest.json"]
        return rows


@pytest.fixture
async def office(desk: Desk, tmp_path: Path) -> Office:
    await desk.filled()
    desk.clock.set(NOW + HOUR + timedelta(seconds=3))
    return Office(desk, tmp_path / "exports")


async def test_rows_are_the_same_however_they_are_cut(office: Office, monkeypatch: pytest.MonkeyPatch):
    whole = await office.ask()
    assert await office.worker().look() == 1
    monkeypatch.setattr(pieces, "FEW", 299)
    cut = await office.ask()
    assert await office.worker().look() == 1
    assert (await office.frame(whole)).equals(await office.frame(cut))
    told = (await office.state(cut)).manifest or {}
    assert [(file["series"], file["start"][:10], file["rows"]) for file in told["files"]] == [
        ([series], "2026-11-10", LONG) for series in sorted(SERIES)
    ]
    assert (await office.frame(whole))["close"].n_unique() > 100
    months = list(pieces.months(TimeRange(NOW - 40 * DAY, NOW)))
    assert [one.start.month for one in months] == [10, 11]
    assert (months[0].start, months[-1].end) == (NOW - 40 * DAY, NOW)


async def test_a_training_set_is_what_was_known_at_each_row_and_frozen_by_as_of(
    office: Office, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pieces, "SPAN", 2 * DAY)
    names, over = ("price_usd", "price_change_24h", "breadth_rising_24h"), TimeRange(NOW - 5 * DAY, NOW - DAY)
    asked = {"assets": ("BTC", "SOL"), "names": names, "feature_set": "x", "horizons": (1, 24)}
    first = await office.ask("training_set", over, **asked)
    assert await office.worker().look() == 1
    rows = await office.frame(first)
    loader = Loader(office.store, REGISTRY)
    direct = await training(loader, over, ["BTC", "SOL"], names, [1, 24], as_of=NOW + HOUR)
    assert rows.sort("symbol", "at").equals(direct)
    assert rows.height == 2 * 96
    assert rows["future_return_24h"].null_count() == 0
    late = [candle("BTC", NOW - 3 * DAY, Decimal(9), Decimal(11))]
    await office.desk.bars("BTC", late, NOW + HOUR + timedelta(seconds=2))
    again = await office.ask("training_set", over, **asked)
    assert await office.worker().look() == 1
    assert (await office.frame(again)).equals(rows)


async def test_what_a_dead_worker_had_begun_is_taken_again(office: Office, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pieces, "FEW", 299)
    export = await office.ask()
    made: list[str] = []
    original = exporting_job.make

    async def stops(*args: Any) -> Made:
        if made:
            raise asyncio.CancelledError  # as its process would: in the middle
        made.append("one")
        return await original(*args)

    monkeypatch.setattr(exporting_job, "make", stops)
    dead = await office.store.leases.acquire(f"export-{export}", "dead")
    assert dead is not None
    begun = await office.store.exports.begin(export, NOW, dead)
    assert begun is not None
    with pytest.raises(asyncio.CancelledError):
        await export_job(office.node, office.files, begun, dead)
    assert ((await office.state(export)).state, (await office.state(export)).pieces_done) == ("running", 1)
    assert len(list((office.folder / export).iterdir())) == 1
    monkeypatch.setattr(exporting_job, "make", original)
    assert await office.worker().look() == 0  # the lease of the dead one has not run out
    await office.store.leases.release(dead)
    assert await office.worker().look() == 1
    found = await office.state(export)
    assert (found.state, found.attempts) == ("done", 2)
    assert (await office.frame(export)).height == 3 * LONG
    with pytest.raises(Fenced):  # the dead one was not dead
        await office.store.exports.failed(export, "late", NOW, NOW, dead)
    assert (await office.state(export)).state == "done"


@pytest.mark.parametrize("where", ["read", "written", "made"])
async def test_a_lost_row_fails_the_export(office: Office, monkeypatch: pytest.MonkeyPatch, where: str):
    """A row that is lost in reading or in writing, or a piece that nobody made: nothing is given away."""
    if where == "read":
        frame = Cutting.frame

        async def short(self: Cutting, piece: Piece) -> pl.DataFrame:
            return (await frame(self, piece)).head(-1)

        monkeypatch.setattr(Cutting, "frame", short)
    elif where == "written":
        write = pl.DataFrame.write_parquet
        monkeypatch.setattr(
            pl.DataFrame, "write_parquet", lambda self, *a, **k: write(self.head(-1), *a, **k)
        )
    else:
        monkeypatch.setattr(exporting_job, "NEAR", 0)

    def nothing(export: str, wanted: Sequence[Piece]) -> Iterator[Made]:
        return iter(())

    export = await office.ask()
    assert await office.worker().make(export, nothing if where == "made" else None)
    found = await office.state(export)
    assert (found.state, found.manifest) == ("failed", None)
    assert found.reason == {
        "read": "coinbase.bars_1h, BTC-USD, ETH-USD, SOL-USD: 900 rows are in the store, and 899 were read",
        "written": "00000.coinbase.bars_1h.parquet has 899 rows, and 900 were read for it",
        "made": "1 of 1 pieces were not made, 00000.coinbase.bars_1h.parquet first",
    }[where]  # fmt: skip
    assert not (office.folder / export).exists()


async def test_what_never_ends_is_given_up_with_a_reason(office: Office, monkeypatch: pytest.MonkeyPatch):
    export = await office.ask()
    for n in range(MOST_ATTEMPTS):
        lease = await office.store.leases.acquire(f"export-{export}", f"dead {n}")
        assert lease is not None
        assert await office.store.exports.begin(export, NOW, lease) is not None
        await office.store.leases.release(lease)
    assert await office.worker().look() == 1
    assert "5 times" in (await office.state(export)).reason
    full = await office.ask()
    monkeypatch.setattr(
        "ray_app.store.export_files.os.replace", _raises(OSError(28, "No space left on device"))
    )
    assert await office.worker().look() == 1
    assert (
        await office.state(full)
    ).reason == "its files could not be written: No space left on device; ask again"
    assert not (office.folder / full).exists()
    strange = await office.ask()
    monkeypatch.setattr(Cutting, "frame", _raises(KeyError("a path or a password")))
    assert await office.worker().look() == 1
    assert "password" not in (await office.state(strange)).reason


def _raises(error: Exception) -> Any:
    def instead(*args: Any, **more: Any) -> Any:
        raise error

    return instead


async def test_a_collector_makes_what_is_asked_for(office: Office):
    shard = Shard(office.node, "shard", [], SystemClock(), "me")
    running = asyncio.create_task(shard.run())
    export = await office.ask()
    async with asyncio.timeout(30):
        while (await office.state(export)).state != "done":  # noqa: ASYNC110  # the database says it, no event
            await asyncio.sleep(0.1)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert (await office.frame(export)).height == 3 * LONG


def test_files_on_a_path_of_another_kind(tmp_path: Path):
    files = ExportFiles("memory://exports")
    size, digest = files.write("a", "b.parquet", lambda path: _put(path, b"some bytes"))
    assert (size, digest) == (10, sha256(b"some bytes").hexdigest())
    with files.open("a", "b.parquet") as file:
        file.seek(5)
        assert file.read(3) == b"byt"
    files.remove("a")
    files.remove("a")
    with pytest.raises(FileNotFoundError):
        files.open("a", "b.parquet")
    local = ExportFiles(str(tmp_path / "x"))
    with pytest.raises(ZeroDivisionError):
        local.write("a", "b", lambda path: _put(path, bytes(1 // 0)))
    assert list((tmp_path / "x" / "a").iterdir()) == []


def _put(path: Path, content: bytes) -> None:
    path.write_bytes(content)


async def opened(url: str, raw: str, exports: str) -> Node:
    """A node over a store, as each actor opens it."""
    return Node(
        store=Store(url, raw), registry=REGISTRY, clock=ManualClock(NOW + HOUR), assigned=(), simulated=True,
        reach=DAY, redis_url="", release="test", http=client(), exports=ExportFiles(exports),
    )  # fmt: skip


async def test_what_goes_wrong_in_an_actor_is_what_went_wrong(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A database that is away is waited for: the export goes on; a full disk ends it with a reason."""
    places = [f"sqlite+aiosqlite:///{tmp_path / 'node.db'}", str(tmp_path / "raw"), str(office.folder)]
    monkeypatch.setattr(exporting_job, "NEAR", 0)

    def pool(export: str, wanted: Sequence[Piece]) -> Iterator[Made]:
        writer = PieceWriter(partial(opened, *places), export)
        try:
            yield from [made_in(writer({"piece": piece.model_dump_json()})) for piece in wanted]
        finally:
            writer.close()

    frame, export = Cutting.frame, await office.ask()
    monkeypatch.setattr(Cutting, "frame", _raises(StoreUnavailable("it went away")))
    with pytest.raises(StoreUnavailable, match="it went away"):
        await office.worker().make(export, pool)
    assert (await office.state(export)).state == "running"
    monkeypatch.setattr(Cutting, "frame", frame)
    assert await office.worker().make(export, pool)
    assert (await office.frame(export)).height == 3 * LONG
    full = await office.ask()
    monkeypatch.setattr(
        "ray_app.store.export_files.os.replace", _raises(OSError(28, "No space left on device"))
    )
    assert await office.worker().make(full, pool)
    assert "No space left" in (await office.state(full)).reason


@pytest.mark.slow
@pytest.mark.ray
async def test_the_pool_of_ray_data_makes_the_same(
    office: Office, tmp_path: Path, ray_session: None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pieces, "FEW", 299)
    near = await office.ask()
    assert await office.worker().look() == 1
    monkeypatch.setattr(exporting_job, "NEAR", 0)
    places = [f"sqlite+aiosqlite:///{tmp_path / 'node.db'}", str(tmp_path / "raw"), str(office.folder)]
    export = await office.ask()
    assert await office.worker().make(export, pool_of(partial(opened, *places), 1))
    assert (await office.frame(export)).equals(await office.frame(near))
    hashes = [
        [file["sha256"] for file in ((await office.state(one)).manifest or {})["files"]]
        for one in (near, export)
    ]
    assert hashes[0] == hashes[1]
