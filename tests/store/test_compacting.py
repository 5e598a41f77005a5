"""Old pages become packs and nothing is lost: whenever it is stopped, and whatever others do at that moment."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import zstandard

from ray_app.model.source import Page
from ray_app.store import packs
from ray_app.store.compacting import Compacted, Compacting
from ray_app.store.forgetting import Forgetting
from ray_app.store.raw import RawPages
from tests.store.conftest import Open
from tests.store.made import DAY, HOUR, MINUTE, T0, collected, page, price

SECRET = "seven amber lanterns"
BEFORE = T0 + 2 * DAY  # what is packed in these tests: T0 is the start of a day


class Killed(BaseException):
    """As if the process ended here."""


def post(name: str, text: str, at: datetime) -> Page:
    return page(f'[{{"item":"{name}","text":"{text}"}}]'.encode(), at, stream="posts")


def blanked(body: bytes, _: frozenset[str]) -> bytes:
    return body.replace(SECRET.encode(), b"")


def made() -> list[Page]:
    """Three days: a body that comes each day, one that comes again on the last, single ones, a post."""
    every = [page(b'{"every":"day"}' * 50, T0 + n * DAY + HOUR) for n in range(3)]
    again = [page(b'{"again":1}', T0 + 2 * HOUR), page(b'{"again":1}', T0 + 2 * DAY + 2 * HOUR)]
    return [
        *every, *again, *(page(f'{{"n":{n}}}'.encode(), T0 + n * HOUR + MINUTE) for n in range(5)),
        post("t3_a", SECRET, T0 + 3 * HOUR),
    ]  # fmt: skip


async def fill(raw: RawPages) -> list[Page]:
    pages = made()
    for one in pages:
        await raw.keep(one)
    for n in range(3):
        await raw.note(collected([price("bitcoin", str(n + 1))], at=T0 + n * DAY + HOUR))
    return sorted(pages, key=lambda one: one.received_at)


@pytest.fixture
def raw(tmp_path: Path) -> RawPages:
    return RawPages(str(tmp_path / "raw"))


def names(raw: RawPages, folder: str = "") -> list[str]:
    return raw.files.list(folder)


def everything(raw: RawPages) -> bytes:
    """All that is on the disk, unpacked."""
    out = b""
    for name in names(raw):
        held = raw.files.get(name)
        if name.endswith(".zst"):
            held = zstandard.ZstdDecompressor().decompress(held, max_output_size=2**27)
        elif name.endswith(".pack"):
            held = b"".join(content for _, content in packs.contents(held))
        out += held
    return out


def compact(raw: RawPages) -> Compacted:
    return Compacting(RawPages(raw.path) if "memory" not in raw.path else raw).run(BEFORE)


@pytest.mark.parametrize("where", ["a folder", "memory://crypto-data-packs/raw"])
async def test_packed_pages_are_read_as_before(where: str, tmp_path: Path):
    raw = RawPages(str(tmp_path / "raw") if where == "a folder" else where)
    pages = await fill(raw)
    manifests, hours = list(raw.manifests()), list(raw.manifests(T0 + DAY, T0 + 2 * DAY + HOUR))
    done = compact(raw)
    assert done.days == ["2026/03/01", "2026/03/02"]
    assert (done.before, done.changed) == (done.after, [])
    assert (done.before.pages, done.before.manifests) == (9, 2)
    assert (done.packs, done.files_before, done.files_after) == (
        2,
        9 + 2 + 8,
        2,
    )  # bodies that the last day names
    assert [raw.named(name) for name in names(raw, "pages")] == pages[9:]
    assert len(names(raw, "bodies")) == 2
    assert list(raw.pages()) == pages
    assert [raw.load(one.id, one.received_at) for one in pages] == pages
    assert raw.page_names().keys() == {one.id for one in pages}
    assert list(raw.manifests()) == manifests
    assert list(raw.manifests(T0 + DAY, T0 + 2 * DAY + HOUR)) == hours
    assert len(hours) == 2
    with pytest.raises(FileNotFoundError):
        raw.load("0" * 64, T0)
    assert asdict(compact(raw))["days"] == []
    if where != "a folder":
        raw.files._fs.rm("/crypto-data-packs", recursive=True)


async def test_what_is_kept_again_or_late_is_packed_by_the_next_run(raw: RawPages):
    pages = await fill(raw)
    compact(raw)
    await raw.keep(pages[0])
    late = page(b'{"late":1}', T0 + 5 * HOUR)
    await raw.keep(late)
    await raw.note(collected([price("bitcoin", "1")], at=T0 + HOUR).received(T0 + 9 * HOUR))  # told later
    done = compact(raw)
    assert (done.days, done.packs) == (["2026/03/01"], 1)
    assert list(raw.pages()) == sorted([*pages, late], key=lambda one: one.received_at)
    assert next(raw.manifests())["received_at"] == (T0 + 9 * HOUR).isoformat()
    assert names(raw, "slices/2026/03/01") != []  # the later word stays a file, the earlier one is evidence


def stepping(monkeypatch: pytest.MonkeyPatch, raw: RawPages, act: Callable[[int], None]) -> Compacting:
    """A run that calls `act` ahead of each change of a file, with its number."""
    own, count = RawPages(raw.path), iter(range(10_000))

    def before(method: Callable[..., None]) -> Callable[..., None]:
        def acted(*arguments: Any) -> None:
            act(next(count))
            method(*arguments)

        return acted

    for name in ("put", "remove"):
        monkeypatch.setattr(own.files, name, before(getattr(own.files, name)))
    return Compacting(own)


async def steps(raw: RawPages, monkeypatch: pytest.MonkeyPatch) -> int:
    seen: list[int] = []
    stepping(monkeypatch, raw, seen.append).run(BEFORE)
    return len(seen)


@pytest.fixture
async def filled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[Page], Callable[[], RawPages], int]:
    """Pages, a way to begin anew with them, and how many changes of files a run makes."""
    monkeypatch.setattr("os.fsync", lambda _: None)  # a process is killed here, not the machine
    first = RawPages(str(tmp_path / "first"))
    pages = await fill(first)

    def anew() -> RawPages:
        shutil.rmtree(tmp_path / "raw", ignore_errors=True)
        shutil.copytree(tmp_path / "first", tmp_path / "raw")
        return RawPages(str(tmp_path / "raw"))

    count = await steps(anew(), monkeypatch)
    assert count > 15
    return pages, anew, count


async def test_killed_at_every_step_nothing_is_lost(filled: Any, monkeypatch: pytest.MonkeyPatch):
    pages, anew, count = filled
    for last in range(count):

        def kill(step: int, last: int = last) -> None:
            if step == last:
                raise Killed

        raw = anew()
        with pytest.raises(Killed):
            stepping(monkeypatch, raw, kill).run(BEFORE)
        assert list(RawPages(raw.path).pages()) == pages, f"after a kill at step {last}"
        done = compact(raw)
        assert done.before == done.after
        assert list(RawPages(raw.path).pages()) == pages, f"after the run that followed a kill at step {last}"
        assert len(names(raw, "bodies")) == 2
        assert compact(raw).days == []


async def test_an_answer_that_comes_again_at_any_step_keeps_its_body(
    filled: Any, monkeypatch: pytest.MonkeyPatch
):
    """Also when the run is killed at the step after, between taking a body away and looking again."""
    pages, anew, count = filled
    for at in range(count):
        for killed in (False, True):
            raw = anew()
            news = [page(one.body, T0 + 2 * DAY + 5 * HOUR + n * MINUTE) for n, one in enumerate(pages)]

            def act(
                step: int, at: int = at, raw: RawPages = raw, killed: bool = killed, news: Any = news
            ) -> None:
                if step == at:
                    for one in news:
                        raw._keep(one)
                if step == at + 1 and killed:
                    raise Killed

            try:
                stepping(monkeypatch, raw, act).run(BEFORE)
            except Killed:
                compact(raw)
            assert list(RawPages(raw.path).pages()) == [*pages, *news], f"kept at step {at}"


async def test_a_run_in_the_middle_of_keeping_an_equal_answer(raw: RawPages, monkeypatch: pytest.MonkeyPatch):
    """Its body was there when the page was begun, and is gone when the envelope is written."""
    (single,) = pages = [page(b'{"n":0}', T0)]
    await raw.keep(single)
    put = raw.files.put

    def slow(name: str, content: bytes) -> None:
        if name.startswith("pages/2026/03/03"):
            compact(raw)
            assert names(raw, "bodies") == []
        put(name, content)

    monkeypatch.setattr(raw.files, "put", slow)
    await raw.keep(page(single.body, T0 + 2 * DAY))
    assert list(RawPages(raw.path).pages()) == [*pages, page(single.body, T0 + 2 * DAY)]


async def test_a_text_that_is_deleted_at_any_step_is_nowhere(filled: Any, monkeypatch: pytest.MonkeyPatch):
    _, anew, count = filled
    for at in range(count):
        for killed in (False, True):
            raw = anew()

            def act(step: int, at: int = at, raw: RawPages = raw, killed: bool = killed) -> None:
                if step == at:
                    raw.redact("coingecko.posts", T0, {"t3_a": "gone"}, blanked, T0 + 9 * DAY)
                if step == at + 1 and killed:
                    raise Killed

            try:
                stepping(monkeypatch, raw, act).run(BEFORE)
            except Killed:
                compact(raw)
            assert SECRET.encode() not in everything(raw), f"deleted at step {at}, killed: {killed}"
            (left,) = (one for one in RawPages(raw.path).pages() if one.stream == "posts")
            assert left.body == b'[{"item":"t3_a","text":""}]'


async def test_a_text_is_cut_out_of_a_pack_and_the_rest_stays(raw: RawPages):
    pages = await fill(raw)
    compact(raw)
    reader = RawPages(raw.path)
    assert list(reader.pages()) == pages
    cut = {"t3_a": "gone upstream"}
    assert raw.redact("coingecko.posts", T0, cut, blanked, T0 + 9 * DAY).changed == 1
    assert raw.redact("coingecko.posts", T0, cut, blanked, T0 + 9 * DAY).changed == 0
    assert SECRET.encode() not in everything(raw)
    left = {one.id: one for one in reader.pages()}  # it had read the pack that is gone now
    for one in pages:
        if one.stream == "posts":
            assert (left[one.id].body, left[one.id].body_hash) == (
                b'[{"item":"t3_a","text":""}]',
                one.body_hash,
            )
        else:
            assert left[one.id] == one
    assert len(names(raw, "packs")) == 2
    await raw.keep(post("t3_a", SECRET, T0 + 3 * HOUR))  # by a replay, say
    assert SECRET.encode() not in everything(raw)


async def test_a_page_that_nobody_stored_loses_its_text_in_a_pack_too(raw: RawPages):
    await fill(raw)
    compact(raw)
    assert raw.abandon("coingecko.posts", T0, T0 + DAY, lambda _: b"[]", T0 + 9 * DAY).changed == 1
    assert SECRET.encode() not in everything(raw)


async def test_an_answer_of_which_something_was_cut_before_it_was_kept(raw: RawPages):
    first, again = (post("t3_b", SECRET, T0 + n * DAY).without(lambda _: b"[]") for n in (0, 5))
    await raw.keep(first)
    compact(raw)
    assert names(raw, "bodies") == []
    await raw.keep(again)
    assert list(raw.pages()) == [first, again]


@pytest.mark.parametrize("at", [12, 100, -60, -30, -3])
async def test_a_damaged_pack_is_noticed(raw: RawPages, at: int):
    await fill(raw)
    compact(raw)
    name = names(raw, "packs")[0]
    content = bytearray(raw.files.get(name))
    content[at] ^= 0xFF
    raw.files.put(name, bytes(content))
    with pytest.raises(ValueError, match="damaged"):
        list(RawPages(raw.path).pages())
    raw.files.put(name, bytes(content[: len(content) // 2]))
    with pytest.raises(ValueError, match="damaged"):
        list(RawPages(raw.path).pages())


async def test_a_damaged_page_stops_the_run_before_it_is_packed(raw: RawPages):
    pages = await fill(raw)
    (path,) = (n for n in names(raw, "bodies") if pages[0].body_hash in n)
    raw.files.put(path, b"rotten")
    with pytest.raises(ValueError, match="damaged"):
        compact(raw)
    assert names(raw, "packs") == []


def rows(node: Open, n: int) -> Iterator[Any]:
    for number in range(n):
        yield collected([price("bitcoin", str(number + 1))], at=T0 + number * HOUR)


async def test_old_events_go_and_numbers_go_on(node: Open):
    for one in rows(node, 10):
        await node.commit(one)
    outbox = node.store.outbox
    await outbox.number(node.lease)
    whole, counts = await outbox.after("prices", 0), await node.counts()
    moment = T0 + 5 * HOUR + MINUTE
    last = await outbox.before("prices", moment)
    forgetting = Forgetting(node.store.database)
    done = await forgetting.run(moment)
    gone = done.events["prices"]
    assert 0 < gone == last - (last - done.first_kept["prices"]) - 1
    assert await outbox.after("prices", done.first_kept["prices"] - 1) == whole[gone:]
    assert await outbox.before("prices", moment) == last  # whoever looks back as far finds what was told then
    assert (await forgetting.run(moment)).events == {"prices": 0}
    await node.commit(collected([price("bitcoin", "77")], at=T0 + 40 * HOUR))
    await outbox.number(node.lease)
    assert (await outbox.after("prices", whole[-1].number))[0].number == whole[-1].number + 1
    left = await node.counts()
    assert {name: left[name] for name in ("slices", "prices", "pages")} == {
        name: counts[name] + 1 for name in ("slices", "prices", "pages")
    }
    assert (await forgetting.run(T0 + 90 * DAY)).first_kept[
        "prices"
    ] > 0  # the last row stays, and with it the number


async def test_leases_of_exports_that_are_over_go(node: Open):
    from sqlalchemy import insert, select, update

    from ray_app.store.tables import exports, leases

    at = {"created_at": T0, "finished_at": T0 + HOUR}
    empty = {
        "client": "desk",
        "reason": "",
        "request": "{}",
        "restricted": False,
        "pieces_done": 0,
        "attempts": 1,
    }
    for name, state in (("old", "done"), ("young", "done"), ("running", "running")):
        async with node.store.database.write() as connection:
            await connection.execute(insert(exports).values(id=name, state=state, **empty, **at))
        assert await node.store.leases.acquire(f"export-{name}", "me") is not None
    async with node.store.database.write() as connection:
        young = update(exports).where(exports.c.id == "young")
        await connection.execute(young.values(finished_at=T0 + 5 * DAY))
    assert (await Forgetting(node.store.database).run(T0 + timedelta(days=4))).leases == 1
    async with node.store.database.read() as connection:
        assert set((await connection.execute(select(leases.c.shard))).scalars()) == {
            "shard", "export-young", "export-running",
        }  # fmt: skip
