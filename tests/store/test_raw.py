import asyncio
import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ray_app.model.errors import StoreUnavailable
from ray_app.store.raw import RawPages
from tests.store.made import DAY, HOUR, MINUTE, T0, collected, page, price

BODY = b'[{"id":"bitcoin","current_price":1e-12}]' * 100


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def raw(tmp_path: Path) -> RawPages:
    return RawPages(str(tmp_path))


async def test_a_page_comes_back_byte_for_byte(raw: RawPages):
    wanted = page(
        b"\x00\xff<html>", T0 + timedelta(microseconds=7),
        params={"ids": "a,b"}, status=503, headers={"age": "3"},
    )  # fmt: skip
    await raw.keep(wanted)
    assert raw.load(wanted.id, wanted.received_at) == wanted
    assert list(raw.pages()) == [wanted]
    assert raw.page_names().keys() == {wanted.id}


async def test_equal_bodies_are_kept_once_and_every_exchange_by_itself(raw: RawPages, tmp_path: Path):
    exchanges = [page(BODY, T0 + number * HOUR) for number in range(3)]
    for one in (*exchanges, exchanges[0]):
        await raw.keep(one)
    digest = exchanges[0].body_hash
    bodies = [name for name in files(tmp_path) if name.startswith("bodies/")]
    assert bodies == [f"bodies/{digest[:2]}/{digest}.zst"]
    assert (tmp_path / bodies[0]).stat().st_size < len(BODY) / 10
    assert list(raw.pages()) == exchanges


async def test_nothing_else_is_left_in_the_folder(raw: RawPages, tmp_path: Path):
    await asyncio.gather(*(raw.keep(page(BODY, T0)) for _ in range(8)))
    one = page(BODY, T0)
    assert files(tmp_path) == [
        f"bodies/{one.body_hash[:2]}/{one.body_hash}.zst",
        f"pages/2026/03/01/00/1772323200000000-{one.id}.json",
    ]


def test_the_id_is_made_of_the_whole_exchange():
    one = page(BODY, T0)
    others = [
        page(BODY + b" ", T0),
        page(BODY, T0 + timedelta(microseconds=1)),
        page(BODY, T0, status=201),
        page(BODY, T0, params={"vs_currency": "eur"}),
        page(BODY, T0, headers={"date": "now"}),
        page(BODY, T0, path="/coins/list"),
        page(BODY, T0, stream="chart"),
    ]
    assert len({one.id, *(other.id for other in others)}) == 8
    assert page(BODY, T0).id == one.id


@pytest.mark.parametrize("at", [0, 20, -1], ids=["head", "middle", "end"])
async def test_a_damaged_body_is_noticed(raw: RawPages, tmp_path: Path, at: int):
    one = page(BODY, T0)
    await raw.keep(one)
    (path,) = (tmp_path / "bodies").rglob("*.zst")
    content = bytearray(path.read_bytes())
    content[at] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        raw.load(one.id, T0)


async def test_a_body_of_another_page_is_noticed(raw: RawPages, tmp_path: Path):
    one, other = page(BODY, T0), page(BODY + b" ", T0)
    await raw.keep(one)
    await raw.keep(other)
    mine, theirs = (tmp_path / f"bodies/{p.body_hash[:2]}/{p.body_hash}.zst" for p in (one, other))
    mine.write_bytes(theirs.read_bytes())
    with pytest.raises(ValueError, match="damaged"):
        raw.load(one.id, T0)
    assert raw.load(other.id, T0) == other


@pytest.mark.parametrize("change", [{"status": 500}, {"path": "/elsewhere"}, {"unknown": 1}, None])
async def test_a_damaged_envelope_is_noticed(raw: RawPages, tmp_path: Path, change: dict[str, object] | None):
    one = page(BODY, T0)
    await raw.keep(one)
    (path,) = (tmp_path / "pages").rglob("*.json")
    text = path.read_text()
    path.write_text(json.dumps(json.loads(text) | change) if change else text[: len(text) // 2])
    with pytest.raises(ValueError, match="damaged"):
        raw.load(one.id, T0)


async def test_a_page_that_is_not_there_is_not_found(raw: RawPages, tmp_path: Path):
    one = page(BODY, T0)
    with pytest.raises(FileNotFoundError):
        raw.load(one.id, T0)
    await raw.keep(one)
    (path,) = (tmp_path / "bodies").rglob("*.zst")
    path.unlink()
    with pytest.raises(FileNotFoundError):
        raw.load(one.id, T0)


async def test_a_path_that_cannot_be_written_is_a_store_that_is_unavailable(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    raw = RawPages(str(tmp_path / "file" / "raw"))
    with pytest.raises(
        StoreUnavailable, match=r"raw pages at .* cannot be written: .*free or mount the disk"
    ):
        await raw.keep(page(BODY, T0))
    with pytest.raises(StoreUnavailable):
        await raw.note(collected([price("bitcoin", "1")]))


@contextmanager
def no_room() -> Iterator[None]:
    """Every write to a file fails, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_full_disk_leaves_no_half_file_and_the_page_can_be_kept_later(raw: RawPages, tmp_path: Path):
    one = page(BODY, T0)
    with no_room(), pytest.raises(StoreUnavailable, match="cannot be written"):
        await raw.keep(one)
    assert files(tmp_path) == []
    await raw.keep(one)
    assert raw.load(one.id, T0) == one


async def test_the_manifests_come_in_the_order_of_their_pages(raw: RawPages):
    slices = [collected([price("bitcoin", str(n + 1))], at=T0 + n * HOUR) for n in (2, 0, 1, 30)]
    for one in slices:
        await raw.note(one)
    order = [one["hash"] for one in raw.manifests()]
    assert order == [slices[at].hash for at in (1, 2, 0, 3)]
    assert [one["hash"] for one in raw.manifests(T0 + HOUR + MINUTE)] == order[1:]  # from the whole hour on
    assert [one["hash"] for one in raw.manifests(T0 + DAY)] == order[3:]


@pytest.mark.parametrize("where", ["a folder", "memory://crypto-data-hours"])
async def test_the_manifests_of_some_hours_are_those_of_these_hours(where: str, tmp_path: Path):
    raw = RawPages(str(tmp_path) if where == "a folder" else where)
    hours = [datetime(2026, 2, 27, 22, 30, tzinfo=UTC) + number * HOUR for number in range(60)]  # into March
    hours.append(datetime(2027, 1, 1, tzinfo=UTC))
    made = [collected([price("bitcoin", str(n + 1))], at=at) for n, at in enumerate(hours)]
    for one in made:
        await raw.note(one)
    names = [one.hash for one in made]

    def told(since: datetime | None, until: datetime | None) -> list[str]:
        return [manifest["hash"] for manifest in raw.manifests(since, until)]

    for first, last in ((0, 60), (3, 3), (25, 27), (1, 59), (60, 60)):
        assert told(hours[first], hours[last]) == names[first : last + 1]
    assert told(hours[59], None) == names[59:]
    assert told(None, hours[2]) == names[:3]
    assert told(hours[59] + DAY, hours[60] - DAY) == []


@pytest.mark.parametrize("outcome", ["covered", "failed"])
async def test_a_slice_that_was_had_later_has_one_manifest_with_the_later_time(raw: RawPages, outcome: str):
    if outcome == "covered":
        one = collected([price("bitcoin", "1")], at=T0)
    else:
        one = collected(
            outcome="failed", reason="Transient: away", at=T0,
            partitions=["bitcoin"], over=collected([price("bitcoin", "1")]).slice.range,
        )  # fmt: skip
    await raw.note(one)
    late = one.received(T0 + 3 * HOUR)
    await raw.note(late)
    assert late.hash == one.hash
    assert [(m["hash"], m["received_at"]) for m in raw.manifests()] == [
        (one.hash, (T0 + 3 * HOUR).isoformat())
    ]


async def test_any_fsspec_path_will_do():
    raw = RawPages("memory://bucket/raw")
    one = page(BODY, T0)
    slice_ = collected([price("bitcoin", "1")], at=T0)
    await raw.keep(one)
    await raw.keep(one)
    await raw.note(slice_)
    assert list(raw.pages()) == [one]
    assert raw.load(one.id, T0) == one
    assert list(raw.manifests()) == [slice_.manifest()]
    with pytest.raises(FileNotFoundError):
        raw.load("0" * 64, T0)
