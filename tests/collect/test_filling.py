"""Before an old gap is healed, the known interval before it is asked for again and must agree."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from ray_app.collect.filling import Filled, Filling, deadline, provable
from ray_app.model.errors import Transient
from ray_app.model.quota import Priority
from ray_app.model.source import Slice, Stream
from ray_app.model.texts import Article
from ray_app.model.timerange import TimeRange, floor
from ray_app.sources.coingecko import BARS
from tests.collect.conftest import Collect
from tests.collect.small import DAY, HOUR, MINUTE, RATES, T0, Small, collecting, hours, text
from tests.connect.conftest import START, Simulated
from tests.connect.served import told

GAP = Slice(("a",), hours(4, 8))


def filling(it: Small, stream: Stream | None = None) -> Filling:
    running = it.running
    return Filling(
        source=running.source,
        stream=stream or running.stream,
        books=it.books,
        api=running.api,
        clock=it.clock,
    )


@pytest.fixture
async def it(tmp_path: Path, prepared_sqlite: Path) -> AsyncIterator[Small]:
    """Four hours are known; the upstream has twelve, and eight have passed."""
    async with collecting(tmp_path, prepared_sqlite) as small:
        small.upstream.put("a", hours(0, 12))
        await small.cycle(T0 + 4 * HOUR)
        assert await small.covered() == (hours(0, 4),)
        small.asked()
        small.clock.set(T0 + 8 * HOUR)
        yield small


async def heal(filling: Filling, gap: Slice = GAP) -> Filled:
    return await filling.fill(gap, Priority.HEAL, prove=True)


async def revisions(it: Small, partition: str = "a") -> dict[int, tuple[int, str]]:
    """Hour of the day to revision and value."""
    return {f.cursor.hour: (f.revision, str(f.values["rate"])) for f in await it.facts(partition)}


async def last_line(it: Small, partition: str = "a") -> tuple[TimeRange, str, str]:
    return (await it.tried(partition))[-1]


KNOWN = dict.fromkeys(range(4), (0, "1"))
HEALED = dict.fromkeys(range(8), (0, "1"))


async def test_where_the_neighbour_agrees_the_gap_is_healed(it: Small):
    done = await heal(filling(it))
    assert (done.ended, done.error) == ("filled", None)
    assert it.asked() == [("a", hours(3, 8))]  # in one call with it
    assert await revisions(it) == HEALED
    assert (done.stored.new, done.stored.revised, done.stored.unchanged) == (4, 0, 1)
    assert await it.covered() == (hours(0, 8),)


async def test_where_it_differs_nothing_is_healed_and_both_values_are_told(it: Small):
    it.upstream.put("a", hours(3, 4), "1.5")
    done = await heal(filling(it))
    assert (done.ended, done.collected) == ("disputed", None)
    assert isinstance(done.error, Transient)
    told_so = (
        f"not healed: for a at {(T0 + 3 * HOUR)} we have {{'rate': '1'}}, it now tells {{'rate': '1.5'}}"
    )
    assert await last_line(it) == (GAP.range, "failed", f"Transient: {told_so}")
    assert await revisions(it) == KNOWN
    assert await it.covered() == (hours(0, 4),)
    assert len([page for page in it.store.raw.pages() if page.received_at == T0 + 8 * HOUR]) == 1  # evidence


async def test_what_differs_the_same_way_twice_is_a_correction(it: Small):
    it.upstream.put("a", hours(3, 4), "1.5")
    healer = filling(it)
    assert (await heal(healer)).ended == "disputed"
    it.clock.set(T0 + 9 * HOUR)
    done = await heal(healer)
    assert done.ended == "filled"
    assert await revisions(it) == HEALED | {3: (1, "1.5")}
    fact = (await it.facts())[3]
    assert (fact.known_at, fact.received_at) == (T0 + 9 * HOUR, T0 + 9 * HOUR)


async def test_what_differs_in_another_way_each_time_is_believed_when_it_stays(it: Small):
    healer = filling(it)
    for value in ("1.5", "1.6", "1.7"):
        it.upstream.put("a", hours(3, 4), value)
        assert (await heal(healer)).ended == "disputed"
        assert await revisions(it) == KNOWN
    assert (await heal(healer)).ended == "filled"
    assert await revisions(it) == HEALED | {3: (1, "1.7")}


async def test_a_passing_confusion_leaves_nothing_behind(it: Small):
    healer = filling(it)
    it.upstream.put("a", hours(3, 4), "1.5")
    assert (await heal(healer)).ended == "disputed"
    it.upstream.put("a", hours(3, 4), "1")
    assert (await heal(healer, Slice(("a",), hours(4, 6)))).ended == "filled"
    it.upstream.put("a", hours(3, 4), "1.5")
    it.upstream.put("a", hours(5, 6), "1.5")
    assert (await heal(healer, Slice(("a",), hours(6, 8)))).ended == "disputed"  # the first time for 5
    assert (
        await heal(healer)
    ).ended == "disputed"  # and the first time again for 3: agreeing ended the dispute
    assert await revisions(it) == dict.fromkeys(range(6), (0, "1"))


async def test_where_the_neighbour_is_gone_nothing_is_healed_however_often(it: Small):
    it.upstream.take("a", hours(3, 4))
    healer = filling(it)
    for _ in range(3):
        done = await heal(healer)
        assert done.ended == "disputed"
        assert "it now tells nothing" in str(done.error)
    assert await revisions(it) == KNOWN
    assert await it.covered() == (hours(0, 4),)


async def test_an_interval_without_a_known_neighbour_is_filled_without_proof(it: Small):
    lone = Slice(("a",), hours(6, 8))
    done = await heal(filling(it), lone)
    assert done.ended == "filled"
    assert it.asked() == [("a", hours(6, 8))]


async def test_what_is_due_now_is_not_proved(it: Small):
    it.upstream.put("a", hours(3, 4), "1.5")
    done = await filling(it).fill(GAP, Priority.LIVE)
    assert done.ended == "filled"
    assert it.asked() == [("a", hours(4, 8))]


async def test_a_gap_as_long_as_a_call_is_healed_in_two(it: Small):
    short = filling(it, replace(it.running.stream, longest_slice=4 * HOUR))
    assert (await heal(short)).ended == "filled"
    assert await it.covered() == (hours(0, 7),)
    assert (await heal(short, Slice(("a",), hours(7, 8)))).ended == "filled"
    assert it.asked() == [("a", hours(3, 7)), ("a", hours(6, 8))]
    assert await revisions(it) == HEALED


async def test_where_a_call_tells_one_interval_the_proof_takes_two(it: Small):
    short = filling(it, replace(it.running.stream, longest_slice=HOUR))
    assert (await heal(short, Slice(("a",), hours(4, 5)))).ended == "filled"
    assert it.asked() == [("a", hours(3, 5))]
    assert await it.covered() == (hours(0, 5),)


async def test_in_a_call_for_many_one_that_differs_holds_up_its_call(tmp_path: Path, prepared_sqlite: Path):
    stream = replace(RATES, batch=3)
    async with collecting(tmp_path, prepared_sqlite, stream, ["a", "b", "c"]) as it:
        it.upstream.put("a", hours(0, 8))
        it.upstream.put("b", hours(0, 8))
        it.upstream.put("c", hours(4, 8))
        await it.cycle(T0 + 4 * HOUR)
        it.clock.set(T0 + 8 * HOUR)
        it.upstream.put("b", hours(3, 4), "2")
        healer, gap = filling(it), Slice(("a", "b", "c"), hours(4, 8))
        done = await heal(healer, gap)
        assert "for b at" in str(done.error)
        assert (await revisions(it, "a"), await revisions(it, "c")) == (KNOWN, {})
        it.asked()
        assert (await heal(healer, gap)).ended == "filled"
        assert it.asked() == [("a,b,c", hours(3, 8))]  # that c has no hour 3 is not in question
        assert await revisions(it, "a") == HEALED
        assert await revisions(it, "b") == HEALED | {3: (1, "2")}
        assert await revisions(it, "c") == dict.fromkeys(range(4, 8), (0, "1"))


async def test_a_hole_in_an_old_range_is_believed_when_it_is_told_twice(it: Small):
    it.upstream.take("a", hours(5, 7))
    done = await heal(filling(it))
    assert it.asked() == [("a", hours(3, 8)), ("a", hours(5, 7))]
    assert done.ended == "filled"
    assert await it.states(hours(4, 8)) == [
        (hours(4, 5), "collected"), (hours(5, 7), "empty_upstream"), (hours(7, 8), "collected"),
    ]  # fmt: skip


async def test_a_hole_that_passes_is_filled_at_the_second_look(it: Small):
    it.upstream.take("a", hours(5, 7))

    def once() -> bytes:
        del it.upstream.answers["a"]
        answer = it.upstream.answer(it.server.seen[-1])
        it.upstream.put("a", hours(5, 7))
        return answer

    it.upstream.answers["a"] = once
    await heal(filling(it))
    assert await revisions(it) == HEALED
    assert await it.states(hours(4, 8)) == [(hours(4, 8), "collected")]


async def test_what_may_be_quiet_is_not_asked_twice(it: Small):
    it.upstream.take("a", hours(5, 7))
    await heal(filling(it, replace(RATES, quiet=DAY)))
    assert it.asked() == [("a", hours(3, 8))]


async def test_where_many_of_a_call_are_corrected_the_second_answer_is_believed_too(
    tmp_path: Path, prepared_sqlite: Path
):
    names = ["a", "b", "c"]
    async with collecting(tmp_path, prepared_sqlite, replace(RATES, batch=3), names) as it:
        for name in names:
            it.upstream.put(name, hours(0, 8))
        await it.cycle(T0 + 4 * HOUR)
        it.clock.set(T0 + 8 * HOUR)
        for name in names:
            it.upstream.put(name, hours(3, 4), "2")
        healer, gap = filling(it), Slice(tuple(names), hours(4, 8))
        done = await heal(healer, gap)
        assert "for a at" in str(done.error)
        assert "2 more" in str(done.error)
        assert (await heal(healer, gap)).ended == "filled"
        for name in names:
            assert await revisions(it, name) == HEALED | {3: (1, "2")}


async def test_an_upstream_that_fails_meanwhile_changes_nothing(it: Small):
    it.upstream.put("a", hours(3, 4), "1.5")
    healer = filling(it)
    assert (await heal(healer)).ended == "disputed"
    it.upstream.answers["a"] = lambda: told(b"busy", "503 x")
    done = await heal(healer)
    assert (done.ended, await it.covered()) == ("failed", (hours(0, 4),))
    assert (await last_line(it))[2].startswith("Transient: HTTP 503")
    it.upstream.answers["a"] = lambda: told(b"no", "403 x")
    assert (await heal(healer)).ended == "refused"
    it.upstream.answers["a"] = lambda: told(b"gone", "404 x")
    assert (await heal(healer)).ended == "not_offered"
    assert await revisions(it) == KNOWN


async def test_the_running_stream_proves_what_failed_before(it: Small):
    """Live first; the second try at the same gap is healing."""
    it.upstream.answers["a"] = lambda: told(b"busy", "503 x")
    assert await it.cycle(T0 + 5 * HOUR) is True
    assert it.asked() == [("a", hours(4, 5))]
    del it.upstream.answers["a"]
    it.upstream.put("a", hours(3, 4), "1.5")
    assert await it.cycle(T0 + 5 * HOUR + MINUTE) is True
    assert it.asked() == [("a", hours(3, 5))]
    assert await it.covered() == (hours(0, 4),)
    assert "not healed" in it.running.status.last_error
    assert await it.cycle(T0 + 5 * HOUR + 2 * MINUTE) is False
    assert await revisions(it) == {0: (0, "1"), 1: (0, "1"), 2: (0, "1"), 3: (1, "1.5"), 4: (0, "1")}
    assert await it.covered() == (hours(0, 5),)


@pytest.mark.parametrize(
    ("stream", "can_be"),
    [
        (RATES, True),
        (replace(RATES, offers=DAY), True),
        (replace(RATES, offers=None), False),
        (replace(RATES, unfinished=True), False),
        (replace(RATES, record=Article, parse=text), False),
    ],
)
def test_what_can_be_proved(stream: Stream, can_be: bool):
    assert provable(stream) is can_be


@pytest.mark.parametrize(
    ("offers", "until"), [(DAY, T0 + 4 * HOUR + DAY), (None, None), (T0 - 400 * DAY, None)]
)
def test_until_when_a_gap_can_be_healed(offers: timedelta | None, until: object):
    assert deadline(replace(RATES, offers=offers), GAP) == until


async def test_a_history_told_anew_is_not_believed_at_once(simulated: Simulated, collecting: Collect):
    """The simulator of CoinGecko multiplies what is older than two hours (F16)."""
    it = await collecting(simulated, ["bitcoin"], BARS, reach=6 * HOUR)
    assert await it.running.cycle() is False
    before = {fact.cursor: fact.values for fact in await it.facts()}
    last = max(before)
    await it.clock.sleep_until(START + 5 * HOUR)
    gap = Slice(("bitcoin",), TimeRange(last + HOUR, floor(START + 3 * HOUR, HOUR)))
    healer = Filling(
        source=it.running.source, stream=it.running.stream, books=it.books, api=it.running.api, clock=it.clock
    )
    simulated.fault("F16", factor=1.01, share=1.0, age=7200)
    done = await healer.fill(gap, Priority.HEAL, prove=True)
    assert done.ended == "disputed", done
    assert f"for bitcoin at {last}" in str(done.error)
    assert {fact.cursor: fact.values for fact in await it.facts()} == before
    assert (await it.tried("bitcoin"))[-1][:2] == (gap.range, "failed")
    simulated.heal()
    done = await healer.fill(gap, Priority.HEAL, prove=True)
    assert done.ended == "filled"
    facts = {fact.cursor: fact for fact in await it.facts()}
    assert {fact.revision for fact in facts.values()} == {0}
    truth = simulated.truth("bitcoin", gap.range.start, gap.range.end)
    assert [facts[hour.start].values["close"] for hour in gap.range.split(HOUR)] == [
        Decimal(bar["close"]) for bar in truth
    ]


async def test_a_history_told_anew_twice_is_a_revision(simulated: Simulated, collecting: Collect):
    it = await collecting(simulated, ["bitcoin"], BARS, reach=6 * HOUR)
    await it.running.cycle()
    last = max(fact.cursor for fact in await it.facts())
    (before,) = [fact for fact in await it.facts() if fact.cursor == last]
    await it.clock.sleep_until(START + 5 * HOUR)
    gap = Slice(("bitcoin",), TimeRange(last + HOUR, floor(START + 3 * HOUR, HOUR)))
    healer = Filling(
        source=it.running.source, stream=it.running.stream, books=it.books, api=it.running.api, clock=it.clock
    )
    simulated.fault("F16", factor=1.01, share=1.0, age=7200)
    assert (await healer.fill(gap, Priority.HEAL, prove=True)).ended == "disputed"
    assert (await healer.fill(gap, Priority.HEAL, prove=True)).ended == "filled"
    (after,) = [fact for fact in await it.facts() if fact.cursor == last]
    assert (before.revision, after.revision) == (0, 1)
    assert after.values["close"] == pytest.approx(before.values["close"] * Decimal("1.01"))
