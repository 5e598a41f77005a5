"""What is late, what lasts still, what a listing no longer tells, what is lost, and who refuses us alone."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ray_app.collect.collector import beside, collect
from ray_app.collect.running import SILENT_CYCLES
from ray_app.model.quota import Priority
from ray_app.model.records import Bar, MarketPoint, Record
from ray_app.model.source import Page, Slice
from ray_app.model.texts import Article
from ray_app.model.timerange import TimeRange
from tests.collect.small import DAY, HOUR, MINUTE, RATES, T0, Small, collecting, hours, text
from tests.connect.served import told

LATE = replace(RATES, patience=3 * HOUR, offers=T0)


async def test_an_hour_that_is_late_is_asked_for_again_until_it_is_told(
    tmp_path: Path, prepared_sqlite: Path
):
    async with collecting(tmp_path, prepared_sqlite, LATE) as it:
        it.upstream.put("a", hours(0, 1))
        assert await it.cycle(T0 + 2 * HOUR) is False
        assert it.asked() == [("a", hours(0, 2))]
        assert await it.covered() == (hours(0, 1),)
        assert await it.states(hours(0, 2)) == [(hours(0, 1), "collected"), (hours(1, 2), "not_due")]
        await it.cycle(T0 + 3 * HOUR)
        assert await it.states(hours(0, 2)) == [(hours(0, 1), "collected"), (hours(1, 2), "late")]
        it.upstream.put("a", hours(1, 3))
        it.asked()
        await it.cycle(T0 + 4 * HOUR)
        (asked,) = it.asked()
        assert asked[1].start <= T0 + HOUR
        assert asked[1].end == T0 + 4 * HOUR
        assert await it.values() == {T0 + n * HOUR: "1" for n in range(3)}
        assert await it.covered() == (hours(0, 3),)
        reasons = {reason for _, outcome, reason in await it.tried() if outcome == "awaited"}
        assert "asked at 2026-06-01T02:00:00+00:00, not told yet" in reasons


async def test_an_hour_older_than_the_patience_is_empty(tmp_path: Path, prepared_sqlite: Path):
    async with collecting(tmp_path, prepared_sqlite, LATE) as it:
        it.upstream.put("a", hours(1, 9))
        for hour in range(1, 4):
            await it.cycle(T0 + hour * HOUR)
            assert [asked[1] for asked in it.asked()] == [hours(0, hour)], hour
        assert await it.states(hours(0, 1)) == [(hours(0, 1), "late")]
        await it.cycle(T0 + 4 * HOUR)  # it ended three hours ago
        assert await it.states(hours(0, 4)) == [(hours(0, 1), "empty_upstream"), (hours(1, 4), "collected")]
        it.asked()
        await it.cycle(T0 + 5 * HOUR)
        assert it.asked() == [("a", hours(4, 5))]


async def test_after_a_long_pause_what_is_old_is_empty_at_once_and_what_is_young_is_awaited(
    tmp_path: Path, prepared_sqlite: Path
):
    async with collecting(tmp_path, prepared_sqlite, LATE) as it:
        it.upstream.put("a", hours(2, 4))
        await it.cycle(T0 + 10 * HOUR)
        assert await it.covered() == (hours(0, 7),)
        assert await it.states(hours(0, 10)) == [
            (hours(0, 2), "empty_upstream"), (hours(2, 4), "collected"), (hours(4, 7), "empty_upstream"),
            (hours(7, 9), "late"), (hours(9, 10), "not_due"),
        ]  # fmt: skip


async def test_each_partition_of_a_call_is_awaited_for_itself(tmp_path: Path, prepared_sqlite: Path):
    both = replace(LATE, batch=2)
    async with collecting(tmp_path, prepared_sqlite, both, ["a", "b"]) as it:
        it.upstream.put("a", hours(0, 2))
        it.upstream.put("b", hours(0, 1))
        await it.cycle(T0 + 2 * HOUR)
        assert (await it.covered("a"), await it.covered("b")) == ((hours(0, 2),), (hours(0, 1),))
        it.asked()
        await it.cycle(T0 + 2 * HOUR + MINUTE)
        assert [(of, r.end) for of, r in it.asked()] == [("b", T0 + 2 * HOUR)]


async def test_a_partition_that_is_awaited_is_not_taken_for_silent(tmp_path: Path, prepared_sqlite: Path):
    """Asked for in more cycles than silence takes, and then told after all."""
    slow = replace(RATES, patience=DAY, batch=2)
    async with collecting(tmp_path, prepared_sqlite, slow, ["a", "b"]) as it:
        it.upstream.put("a", hours(0, 24))
        for n in range(SILENT_CYCLES + 2):
            await it.cycle(T0 + (n + 1) * HOUR)
        assert "not_offered" not in {outcome for _, outcome, _ in await it.tried("b")}
        it.upstream.put("b", hours(0, 24))
        await it.cycle(T0 + 15 * HOUR)
        assert len(await it.values("b")) == 15


async def test_without_patience_an_empty_hour_is_empty_at_once(tmp_path: Path, prepared_sqlite: Path):
    async with collecting(tmp_path, prepared_sqlite) as it:
        await it.cycle(T0 + HOUR)
        assert await it.tried() == [(hours(0, 1), "covered", "")]
        assert await it.states(hours(0, 1)) == [(hours(0, 1), "empty_upstream")]


async def test_patience_begins_when_the_hour_has_settled(tmp_path: Path, prepared_sqlite: Path):
    slow = replace(LATE, settle=30 * MINUTE)
    async with collecting(tmp_path, prepared_sqlite, slow) as it:
        await it.cycle(T0 + HOUR + 29 * MINUTE)
        assert it.asked() == []
        await it.cycle(T0 + 4 * HOUR + 29 * MINUTE)
        assert await it.covered() == ()
        await it.cycle(T0 + 4 * HOUR + 31 * MINUTE)
        assert await it.covered() == (hours(0, 1),)


LASTING = replace(RATES, grain=DAY, every=HOUR, longest_slice=10 * DAY, unfinished=True)


async def test_a_day_that_lasts_is_asked_for_every_time_and_accounted_for_after_its_end(
    tmp_path: Path, prepared_sqlite: Path
):
    today, tomorrow = TimeRange(T0, T0 + DAY), TimeRange(T0 + DAY, T0 + 2 * DAY)
    async with collecting(tmp_path, prepared_sqlite, LASTING) as it:
        it.upstream.put("a", hours(0, 1), "1")
        for hour, value in ((1, "1"), (2, "2"), (3, "2")):
            it.upstream.put("a", hours(0, 1), value)
            await it.cycle(T0 + hour * HOUR)
            assert it.asked() == [("a", today)]
            assert await it.values() == {T0: value}
            assert await it.covered() == ()
        (fact,) = await it.facts()
        assert fact.revision == 1
        assert await it.states(today) == [(today, "collected")]
        it.upstream.put("a", hours(0, 1), "3")  # its last word
        await it.cycle(T0 + DAY)
        assert it.asked() == [("a", TimeRange(T0, T0 + 2 * DAY))]
        assert await it.covered() == (today,)
        assert await it.values() == {T0: "3"}
        await it.cycle(T0 + DAY + HOUR)
        assert it.asked() == [("a", tomorrow)]
        assert await it.states(TimeRange(T0, T0 + 2 * DAY)) == [(today, "collected"), (tomorrow, "not_due")]


def ends_at(moment: datetime) -> Callable[[Sequence[Page], Slice], datetime]:
    def reached(_: Sequence[Page], wanted: Slice) -> datetime:
        return max(moment, wanted.range.start)

    return reached


LISTED = replace(RATES, record=Article, parse=text, longest_slice=6 * HOUR)


async def test_what_lies_before_the_end_of_a_listing_is_lost_and_the_rest_covered(
    tmp_path: Path, prepared_sqlite: Path
):
    end = T0 + 8 * HOUR
    stream = replace(LISTED, reached=ends_at(end))
    async with collecting(tmp_path, prepared_sqlite, stream) as it:
        it.upstream.put("a", hours(8, 12))
        await it.cycle(T0 + 12 * HOUR)
        reason = f"the upstream's listing ended at {end.isoformat()}"
        assert sorted(await it.tried()) == [
            (hours(0, 6), "lost", reason), (hours(6, 8), "lost", reason), (hours(8, 12), "covered", ""),
        ]  # fmt: skip
        assert [fact.cursor for fact in await it.facts()] == [T0 + n * HOUR for n in range(8, 12)]
        assert await it.states(hours(0, 12)) == [(hours(0, 8), "lost"), (hours(8, 12), "collected")]
        it.asked()
        # That an old part is gone says nothing about what comes: the listing goes on being read.
        it.upstream.put("a", hours(12, 13))
        await it.cycle(T0 + 13 * HOUR)
        assert it.asked() == [("a", hours(12, 13))]
        assert len(await it.facts()) == 5


async def test_a_listing_that_tells_all_loses_nothing(tmp_path: Path, prepared_sqlite: Path):
    stream = replace(LISTED, reached=ends_at(T0 - DAY))
    async with collecting(tmp_path, prepared_sqlite, stream) as it:
        await it.cycle(T0 + 2 * HOUR)
        assert await it.tried() == [(hours(0, 2), "covered", "")]


async def test_a_slice_that_the_listing_does_not_reach_is_lost_as_a_whole(
    tmp_path: Path, prepared_sqlite: Path
):
    stream = replace(LISTED, reached=ends_at(T0 + 6 * HOUR))
    async with collecting(tmp_path, prepared_sqlite, stream) as it:
        it.upstream.put("a", hours(0, 6))
        wanted = Slice(("a",), hours(0, 6))
        api = it.running.api(stream, Priority.LIVE, None)
        gone = await collect(it.running.source, stream, wanted, api)
        assert (gone.outcome, gone.slice, gone.records) == ("lost", wanted, ())
        assert beside(stream, wanted, gone, it.clock.now()) == []


POLL = 15 * MINUTE
PRESENT = replace(RATES, offers=None, every=POLL, grain=POLL, longest_slice=POLL)


async def test_what_was_not_asked_in_time_is_lost_once(tmp_path: Path, prepared_sqlite: Path):
    async with collecting(tmp_path, prepared_sqlite, PRESENT) as it:
        it.upstream.values |= {("a", T0 + n * POLL): "1" for n in range(12)}
        await it.cycle(T0 + MINUTE)
        await it.cycle(T0 + POLL + MINUTE)
        assert {outcome for _, outcome, _ in await it.tried()} == {"covered"}
        for later in (10 * POLL, 10 * POLL + MINUTE, 11 * POLL):
            await it.cycle(T0 + later)
        lines = [line for line in await it.tried() if line[1] == "lost"]
        down = TimeRange(T0 + 2 * POLL, T0 + 10 * POLL)
        assert lines == [(down, "lost", "not asked in time, and the upstream tells only the present")]
        assert await it.covered() == (TimeRange(T0, T0 + 12 * POLL),)
        assert await it.states(down) == [(down, "lost")]


async def test_an_answer_without_anything_is_asked_for_again_while_the_present_lasts(
    tmp_path: Path, prepared_sqlite: Path
):
    async with collecting(tmp_path, prepared_sqlite, PRESENT) as it:
        assert await it.cycle(T0 + MINUTE)  # failed: it will be tried again soon
        (line,) = await it.tried()
        assert line[1:] == ("failed", "Transient: told nothing of any of the 1 asked for")
        it.upstream.values["a", T0] = "1"
        assert not await it.cycle(T0 + 2 * MINUTE)
        assert [fact.cursor for fact in await it.facts()] == [T0]
        await it.cycle(T0 + POLL + MINUTE)
        await it.cycle(T0 + 2 * POLL + HOUR)
        second = TimeRange(T0 + POLL, T0 + 2 * POLL)
        assert await it.states(second) == [(second, "lost")]


async def test_what_rolled_off_the_offer_is_lost_once(tmp_path: Path, prepared_sqlite: Path):
    rolling = replace(RATES, offers=6 * HOUR)
    async with collecting(tmp_path, prepared_sqlite, rolling) as it:
        it.upstream.put("a", hours(0, 48))
        await it.cycle(T0 + 2 * HOUR)
        assert await it.covered() == (hours(0, 2),)
        for n in range(3):
            await it.cycle(T0 + 20 * HOUR + n * MINUTE)
        # At 20:02 the hour from 14 on is offered no more; it was collected at 20:00.
        lost = [line for line in await it.tried() if line[1] == "lost"]
        assert lost == [(hours(2, 14), "lost", "older than what the upstream still offers")]
        assert await it.covered() == (hours(0, 20),)
        assert await it.states(hours(0, 20)) == [
            (hours(0, 2), "collected"), (hours(2, 14), "lost"), (hours(14, 20), "collected"),
        ]  # fmt: skip


async def test_many_gaps_that_are_lost_are_all_written_down(tmp_path: Path, prepared_sqlite: Path):
    names = [f"p{n}" for n in range(250)]
    async with collecting(tmp_path, prepared_sqlite, PRESENT, names, now=T0 + 4 * POLL) as it:
        for name in names[1:]:
            it.upstream.answers[name] = lambda: told(b"busy", "503 x")
        await it.cycle()
        for name in names:
            lines = [line for line in await it.tried(name) if line[1] == "lost"]
            assert [line[0] for line in lines] == [TimeRange(T0, T0 + 4 * POLL)], name


ALONE = replace(PRESENT, independent=True, quiet=DAY)  # like feeds


def refuse() -> bytes:
    return told(b'{"error": "blocked"}', "403 Forbidden")


async def polls(it: Small, start: datetime, end: datetime) -> list[tuple[str, datetime]]:
    """Cycle at every quarter of an hour; who was asked when."""
    it.asked()
    out = []
    at = start
    while at < end:
        await it.cycle(at)
        out += [(of, over.start) for of, over in it.asked()]
        at += POLL
    return out


async def test_one_that_refuses_us_is_left_alone_longer_and_longer_and_the_others_go_on(
    tmp_path: Path, prepared_sqlite: Path
):
    async with collecting(tmp_path, prepared_sqlite, ALONE, ["a", "b"]) as it:
        it.upstream.answers["b"] = refuse
        asked = await polls(it, T0, T0 + 2 * DAY)
        assert [at for of, at in asked if of == "a"] == [T0 + n * POLL for n in range(2 * 96)]
        assert it.running.status.state != "refused"
        tries = [at - T0 for of, at in asked if of == "b"]
        assert tries == [n * HOUR for n in (0, 1, 3, 7, 15, 31)]  # 1, 2, 4, 8, 16 hours, then 24
        lines = await it.tried("b")
        failed = [over for over, outcome, reason in lines if outcome == "failed" and "blocked" in reason]
        # Every poll that was due is on record, asked or not.
        assert sorted(failed) == [TimeRange(T0 + n * POLL, T0 + (n + 1) * POLL) for n in range(2 * 96)]
        assert {outcome for _, outcome, _ in await it.tried("a")} == {"covered"}


async def test_the_longest_pause_is_a_day_and_one_answer_ends_it(tmp_path: Path, prepared_sqlite: Path):
    async with collecting(tmp_path, prepared_sqlite, ALONE) as it:
        it.upstream.answers["a"] = refuse
        tries, at = [], T0
        for _ in range(8):
            await it.cycle(at)
            (asked,) = it.asked()
            tries.append(asked[1].start - T0)
            at = it.running._refusals["a",].until
        assert [after - before for before, after in pairwise(tries)] == [
            n * HOUR for n in (1, 2, 4, 8, 16, 24, 24)
        ]
        del it.upstream.answers["a"]
        assert await it.cycle(at) is False
        it.upstream.answers["a"] = refuse
        await it.cycle(at + POLL)
        assert it.running._refusals["a",].pause == HOUR  # from the beginning again


async def test_slices_refused_in_the_same_cycle_count_once(tmp_path: Path, prepared_sqlite: Path):
    days = replace(RATES, independent=True, longest_slice=DAY)
    async with collecting(tmp_path, prepared_sqlite, days, now=T0 + 6 * DAY) as it:
        it.upstream.answers["a"] = refuse
        await it.cycle()
        assert 1 <= len(it.asked()) <= 4  # those that were under way together
        assert it.running._refusals["a",].until == it.clock.now() + HOUR
        assert len([line for line in await it.tried() if line[1] == "failed"]) == 6


async def test_where_partitions_are_one_service_one_refusal_stops_all(tmp_path: Path, prepared_sqlite: Path):
    async with collecting(tmp_path, prepared_sqlite, PRESENT, ["a", "b"]) as it:
        it.upstream.answers |= {"a": refuse, "b": refuse}
        await it.cycle()
        assert it.running.status.state == "refused"


@pytest.mark.parametrize("status", ["503 x", "429 x"])
async def test_a_failure_that_is_no_refusal_pauses_nobody(tmp_path: Path, prepared_sqlite: Path, status: str):
    async with collecting(tmp_path, prepared_sqlite, ALONE) as it:
        it.upstream.answers["a"] = lambda: told(b"busy", status)
        for n in range(3):
            await it.cycle(T0 + n * MINUTE)
        assert len(it.asked()) == 3


async def ask_feed(api: Any, wanted: Slice) -> AsyncIterator[Page]:
    """The same request every time."""
    yield await api.get("/rates", of=wanted.partition)


async def test_a_feed_that_could_not_be_read_is_asked_for_whole_again(tmp_path: Path, prepared_sqlite: Path):
    """Otherwise "not modified" would account for what nobody has read."""
    stream = replace(PRESENT, conditional=True, quiet=DAY, fetch=ask_feed)
    async with collecting(tmp_path, prepared_sqlite, stream) as it:
        broken = told(b"<html>maintenance</html>", etag='"1"')
        it.upstream.answers["a"] = lambda: (
            broken if "if-none-match" not in it.server.seen[-1].headers else told(b"", "304 Not Modified")
        )
        await it.cycle(T0 + MINUTE)
        await it.cycle(T0 + 2 * MINUTE)
        assert {outcome for _, outcome, _ in await it.tried()} == {"failed"}
        good = b'[{"of": "a", "at": "2026-06-01T00:00:00+00:00", "rate": "7"}]'
        it.upstream.answers["a"] = lambda: (
            told(good, etag='"2"') if len(it.server.seen) < 4 else told(b"", "304 Not Modified")
        )
        await it.cycle(T0 + 3 * MINUTE)
        await it.cycle(T0 + POLL)
        assert it.server.seen[-1].headers["if-none-match"] == '"2"'
        assert [outcome for _, outcome, _ in await it.tried()] == ["failed", "failed", "covered", "covered"]
        assert await it.values() == {T0: "7"}


def candle(row: Any, _: Slice) -> Bar:
    start, close = datetime.fromisoformat(row["at"]), Decimal(row["rate"])
    one = Decimal(1)
    return Bar(
        symbol=row["of"],
        interval="1h",
        start=start,
        end=start + HOUR,
        open=one,
        high=close,
        low=one,
        close=close,
    )


def point(row: Any, _: Slice) -> MarketPoint:
    hour = datetime.fromisoformat(row["at"])
    return MarketPoint(coin=row["of"], hour=hour, at=hour, price=Decimal(row["rate"]))


@pytest.mark.parametrize(
    ("record", "parse", "price"),
    [(Bar, candle, "close"), (MarketPoint, point, "price")],
    ids=["candle", "point"],
)
async def test_the_last_candle_or_point_of_an_answer_that_ends_too_early_is_asked_for_again(
    tmp_path: Path,
    prepared_sqlite: Path,
    record: type[Record],
    parse: Callable[[Any, Slice], Record],
    price: str,
):
    """An old market told it while it lasted; the next answer tells it whole."""
    told_to_an_end = replace(LATE, record=record, parse=parse)
    async with collecting(tmp_path, prepared_sqlite, told_to_an_end) as it:
        it.upstream.put("a", hours(0, 1), "1")
        it.upstream.put("a", hours(1, 2), "2")  # as an hour ago, when it had just begun
        await it.cycle(T0 + 3 * HOUR)
        assert await it.covered() == (hours(0, 1),)
        assert await it.states(hours(0, 3)) == [(hours(0, 2), "collected"), (hours(2, 3), "not_due")]
        it.upstream.put("a", hours(1, 3), "3")
        it.asked()
        await it.cycle(T0 + 3 * HOUR + MINUTE)
        ((_, asked),) = it.asked()
        assert asked.start <= T0 + HOUR
        assert await it.covered() == (hours(0, 3),)
        found = {fact.cursor: (fact.revision, fact.values[price]) for fact in await it.facts()}
        assert found == {T0: (0, Decimal(1)), T0 + HOUR: (1, Decimal(3)), T0 + 2 * HOUR: (0, Decimal(3))}
