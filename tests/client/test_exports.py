"""Training sets and exports: frozen, waited for, resumed where they broke, checked against the manifest."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ray_app.client import AsyncClient, Damaged, ExportFailed, ExportUnfinished, NotAvailable, Patience
from ray_app.client.answers.exports import ExportedFile
from ray_app.client.exports import _file
from ray_app.sources import coinbase
from ray_app.store.export_files import ExportFiles
from tests.client.conftest import in_process, working
from tests.client.filled import TRADED
from tests.client.plans import Play
from tests.serve.conftest import Running, Start, at
from tests.serve.exporting import Desk
from tests.serve.filling import ohlc
from tests.serve.hours import stored, walk
from tests.serve.sources import declared
from tests.serve.streams.conftest import served

SET: dict[str, Any] = {"features": "price", "horizons": [1]}


@pytest.fixture
async def node(start: Start, tmp_path: Path) -> AsyncIterator[Running]:
    running = await start(registry=TRADED, exports=ExportFiles(str(tmp_path / "exports")))
    await running.fill.declare()
    await running.fill.bars("bitcoin", at(-6), [ohlc(n) for n in range(6)], at(minutes=1))
    running.clock.set(at(minutes=2))
    async with working(running):
        yield running


async def test_a_training_set_is_frozen_by_as_of(node: Running):
    await declared(node, coinbase.SOURCE, ["bars_1h"], partitions=["BTC-USD"])
    rows = walk(12)
    await stored(node, rows, at(minutes=1))
    async with in_process(node) as client:
        first = await client.features.training_set("BTC", at(-8), at(), as_of=at(minutes=2), **SET)
        assert first.height == 8
        assert first["future_return_1h"].null_count() <= 1
        corrected = [(rows[-3][0], [2 * one for one in rows[-3][1]])]
        await stored(node, corrected, at(minutes=3))
        node.clock.set(at(minutes=4))
        again = await client.features.training_set(["BTC"], at(-8), at(), as_of=at(minutes=2), **SET)
        assert again.equals(first)
        now = await client.features.training_set(["BTC"], at(-8), at(), **SET)
        assert not now.equals(first)


async def test_rows_of_a_data_set_and_their_files(node: Running, tmp_path: Path):
    async with in_process(node) as client:
        rows = await client.export(
            "bars", symbols="BTC", interval="1h", start="2026-11-22", folder=tmp_path / "btc"
        )
        closes = rows.with_columns(pl.col("close").cast(pl.Float64))["close"]
        assert closes.to_list() == [100.25 + n for n in range(6)]
        (made,) = (await client.exports.mine()).data
        assert made.state == "done"
        names = sorted(path.name for path in (tmp_path / "btc").iterdir())
        assert names == ["00000.coingecko.bars_1h.parquet", "manifest.json"]
        whole = await client.exports.state(made.id)
        assert whole.manifest is not None
        assert {one.licence for one in whole.manifest.terms} == {"attribution"}
        assert whole.manifest.columns[0].name == "dataset"
        desk = Desk(node, Path(node.node.parts.exports.path))
        desk.files.remove(made.id)
        paths = await client.exports.download(made.id, tmp_path / "btc")  # what is there is not fetched again
        assert sorted(path.name for path in paths) == names
        with pytest.raises(NotAvailable, match="gone"):
            await client.exports.frame(made.id)
        await desk.close()


async def test_what_is_not_made(node: Running, monkeypatch: pytest.MonkeyPatch):
    async with in_process(node) as client:
        export = await client.exports.ask("bars", symbols=["BTC"])
        with pytest.raises(ExportUnfinished) as unfinished:
            await client.exports.wait(export.id, within=0.0)
        assert (unfinished.value.export, unfinished.value.state in ("queued", "running")) == (export.id, True)

        def full(*_: Any) -> None:
            raise OSError(28, "No space left on device")

        assert (await client.exports.wait(export.id)).manifest is not None
        monkeypatch.setattr(ExportFiles, "write", full)
        with pytest.raises(ExportFailed, match="No space left"):
            await client.export("bars", symbols=["BTC"])


class Spoiling:
    """In front of a gateway: breaks off a file after some bytes, or changes a byte, as often as it is told to."""

    def __init__(self, app: Any, break_off: int = 0, change: int = 0) -> None:
        self.app, self.break_off, self.change, self.ranges = app, break_off, change, list[str]()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or "/files/" not in scope["path"]:
            await self.app(scope, receive, send)
            return
        self.ranges.append(dict(scope["headers"]).get(b"range", b"").decode())
        breaks, changes = self.break_off > 0, self.change > 0
        self.break_off, self.change = self.break_off - 1, self.change - 1

        async def spoilt(part: Any) -> None:
            body = part.get("body", b"")
            if body and breaks:
                await send(part | {"body": body[:700], "more_body": True})
                raise ConnectionAbortedError("cut")
            await send(part | {"body": bytes([body[0] ^ 1]) + body[1:]} if body and changes else part)

        await self.app(scope, receive, spoilt)


async def test_a_file_goes_on_where_it_broke_and_must_have_its_checksum(node: Running, tmp_path: Path):
    async with in_process(node) as client:
        right = await client.export("bars", symbols="BTC")
        (made,) = (await client.exports.mine()).data
    spoiling: Any = Spoiling(node.app, break_off=3)
    async with (
        served(spoiling) as port,
        AsyncClient(f"http://127.0.0.1:{port}", node.key, patience=Patience(first=0.01)) as client,
    ):
        assert (await client.exports.frame(made.id)).equals(right)
        assert spoiling.ranges == ["", "bytes=700-", "bytes=1400-", "bytes=2100-"]
        spoiling.change, spoiling.ranges = 1, []
        assert (await client.exports.frame(made.id)).equals(right)
        assert spoiling.ranges == ["", ""]
        spoiling.change = 99
        with pytest.raises(Damaged, match="checksum"):
            await client.exports.frame(made.id)
        spoiling.change = 0
        (tmp_path / "00000.coingecko.bars_1h.parquet.part").write_bytes(b"x" * 50)  # of something else
        assert len(await client.exports.download(made.id, tmp_path)) == 2
        assert spoiling.ranges[-2:] == ["bytes=50-", ""]


@pytest.mark.parametrize("name", ["../a.parquet", "/etc/a.parquet", ".hidden", "a\\b"])
def test_a_name_of_a_file_leads_nowhere(name: str, tmp_path: Path):
    file = ExportedFile(
        name=name, dataset=None, series=[], start=at(), end=at(), rows=1, bytes=1, sha256="0" * 64
    )
    play = Play([])
    driver: Any = type("Driver", (), {"patience": play.patience()})
    with pytest.raises(Damaged, match="must not lead anywhere"):
        play.run(_file(driver, "e", file, tmp_path))
