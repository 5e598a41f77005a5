from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

import httpx

from ray_app.collect.running import ASK_AGAIN, SILENT_CYCLES
from ray_app.model.collected import Collected
from ray_app.model.completeness import Schedule, spans, totals
from ray_app.model.errors import StoreUnavailable
from ray_app.model.quota import Priority
from ray_app.model.timerange import TimeRange, ceil, floor
from ray_app.sources.coingecko import BARS, PRICES, SOURCE
from tests.collect.conftest import Collect, state
from tests.connect.conftest import START, Simulate, Simulated

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SLOT = 5 * MINUTE


def all_coins(simulated: Simulated) -> list[str]:
    headers = {"x-cg-pro-api-key": "sim-key"}
    listed = httpx.get(f"{simulated.paid}/coins/list", headers=headers).raise_for_status().json()
    simulated.admin.post("/sim/ledger/reset").raise_for_status()
    return [coin["id"] for coin in listed]


async def test_the_prices_of_all_coins_are_the_truth(simulated: Simulated, collecting: Collect):
    coins = all_coins(simulated)
    assert len(coins) == 40
    it = await collecting(simulated, [*coins, "never-heard-of"])
    assert await it.running.cycle() is False
    facts = await it.facts()
    slot = floor(START, SLOT)
    assert [(fact.partition, fact.cursor) for fact in facts] == [(coin, slot) for coin in sorted(coins)]
    for fact in facts:
        told_at: datetime = fact.values["updated_at"]
        (bar,) = simulated.truth(fact.partition, floor(told_at, SLOT), floor(told_at, SLOT) + SLOT, "5m")
        assert fact.values["price"] == Decimal(bar["open"]), fact.partition
        assert told_at <= START  # some are hours old
        assert START <= fact.received_at < START + MINUTE
    (request,) = it.requests()
    assert request["ids"].split(",") == [*coins, "never-heard-of"]
    # The one that was not answered is accounted for, as what it is.
    assert await it.tried("never-heard-of") == [(TimeRange(slot, slot + SLOT), "covered", "")]
    assert await state(it, "never-heard-of", slot) == "empty_upstream"
    assert await state(it, coins[0], slot) == "collected"


async def test_a_slot_that_is_covered_is_not_asked_for_again(simulated: Simulated, collecting: Collect):
    it = await collecting(simulated, ["bitcoin"])
    await it.running.cycle()
    await it.running.cycle()
    assert len(it.requests()) == 1
    await it.cycle_at_next_due()
    assert len(it.requests()) == 2
    assert [fact.cursor for fact in await it.facts()] == [floor(START, SLOT), floor(START, SLOT) + SLOT]


async def test_hours_equal_the_truth_newest_first_and_by_priority(simulated: Simulated, collecting: Collect):
    it = await collecting(simulated, ["bitcoin", "ethereum"], BARS, reach=100 * DAY)
    assert await it.running.cycle() is False
    end = floor(START - BARS.settle, HOUR)
    start = ceil(START - 100 * DAY, HOUR)
    facts = await it.facts()
    assert len(facts) == 2 * ((end - start) // HOUR)
    for coin in ("bitcoin", "ethereum"):
        truth = {
            datetime.fromisoformat(bar["start"]): tuple(
                Decimal(bar[p]) for p in ("open", "high", "low", "close")
            )
            for bar in simulated.truth(coin, start, end)
        }
        mine = {
            fact.cursor: tuple(fact.values[p] for p in ("open", "high", "low", "close"))
            for fact in facts
            if fact.partition == coin
        }
        assert mine == truth
    asked = [int(request["from"]) for request in it.requests()]
    assert len(asked) == 8  # 31 days a call
    assert asked[:4].count(max(asked)) == 2  # both coins' newest part before anything older, four at once
    assert asked[-4:].count(min(asked)) == 2
    assert Counter(it.turns.asked) == {Priority.LIVE: 2, Priority.BACKFILL: 6}


async def test_a_coin_that_is_not_offered_is_left_out_for_a_day(simulated: Simulated, collecting: Collect):
    it = await collecting(simulated, ["bitcoin", "delisted"], BARS, reach=6 * HOUR)
    assert await it.running.cycle() is False  # nothing failed: there is nothing to be had
    first = ceil(START - 6 * HOUR, HOUR)
    until = ceil(START + ASK_AGAIN, HOUR)
    assert await it.tried("delisted") == [
        (TimeRange(first, until), "not_offered", "NotOffered: HTTP 404: coin not found")
    ]
    assert [outcome for _, outcome, _ in await it.tried("bitcoin")] == ["covered"]
    assert it.running.status.errors == {"NotOffered": 1}
    for _ in range(3):
        await it.cycle_at_next_due()
    paths = Counter(request["path"].split("/")[5] for request in it.requests())
    assert paths == {"bitcoin": 4, "delisted": 1}
    await it.clock.sleep_until(until + HOUR + BARS.settle)
    await it.running.cycle()
    assert Counter(request["path"].split("/")[5] for request in it.requests())["delisted"] == 2
    assert await state(it, "delisted", first) == "empty_upstream"


async def test_a_coin_that_is_never_answered_is_not_offered_after_twelve_cycles(
    simulated: Simulated, collecting: Collect
):
    it = await collecting(simulated, ["bitcoin", "silent"])
    await it.running.cycle()
    for _ in range(SILENT_CYCLES - 2):
        await it.cycle_at_next_due()
    assert it.running.status.errors == {}
    await it.cycle_at_next_due()
    assert it.running.status.errors == {"NotOffered": 1}
    gone_at = it.clock.now()
    await it.cycle_at_next_due()
    asked = [request["ids"] for request in it.requests()]
    assert asked == ["bitcoin,silent"] * SILENT_CYCLES + ["bitcoin"]
    slot = floor(gone_at, SLOT)
    *covered, (over, outcome, reason) = await it.tried("silent")
    assert [one[1] for one in covered] == ["covered"] * SILENT_CYCLES
    assert (over, outcome) == (TimeRange(slot + SLOT, ceil(gone_at + ASK_AGAIN, SLOT)), "not_offered")
    assert reason == "NotOffered: asked for in 12 cycles in a row, never answered"
    await it.clock.sleep_until(over.end)
    await it.running.cycle()
    assert it.requests()[-1]["ids"] == "bitcoin,silent"


async def test_an_answer_now_and_then_keeps_a_coin_in(simulated: Simulated, collecting: Collect):
    it = await collecting(simulated, ["bitcoin", "ethereum"])
    for cycle in range(SILENT_CYCLES * 2 + 1):
        simulated.heal()
        if cycle % SILENT_CYCLES:  # left out in all cycles but the first, the thirteenth, ...
            simulated.fault("F17", id="ethereum")
        await it.cycle_at_next_due()
    assert it.running.status.errors == {}
    assert it.requests()[-1]["ids"] == "bitcoin,ethereum"


async def test_what_is_had_late_is_stamped_when_it_was_had(simulated: Simulated, collecting: Collect):
    """Ten minutes without a store: as of a moment in between, this node had nothing to tell."""
    it = await collecting(simulated, ["bitcoin"])

    async def away(_: Sequence[Collected]) -> None:
        if it.clock.now() < START + 10 * MINUTE:
            raise StoreUnavailable("down")

    it.books.before = away
    await it.running.cycle()
    (fact,) = await it.facts()
    (page,) = it.store.raw.pages()
    assert page.received_at < START + MINUTE
    assert START + 10 * MINUTE <= fact.received_at < START + 11 * MINUTE
    assert fact.known_at < START + MINUTE  # anyone could have known it then
    (manifest,) = it.store.raw.manifests()
    assert manifest["received_at"] == fact.received_at.isoformat()
    lineage = await it.store.reading.lineage(PRICES.record, it.running.name, "bitcoin", fact.cursor, 0)
    assert lineage is not None
    assert (lineage["hash"], lineage["received_at"]) == (page.id, page.received_at)


async def test_what_is_had_in_time_is_stamped_with_its_page(simulated: Simulated, collecting: Collect):
    it = await collecting(simulated, ["bitcoin"])
    await it.running.cycle()
    (fact,), (page,) = await it.facts(), list(it.store.raw.pages())
    assert fact.received_at == page.received_at


async def test_the_ledger_of_a_rough_day_adds_up(simulate: Simulate, collecting: Collect):
    """Weather for a day: failures, holes, stale answers. Every interval is in one state."""
    simulated = simulate(limits=False, faults="weather")
    for status in (500, 503):
        simulated.fault("F10", probability=0.1, status=status)
    simulated.fault("F24", probability=0.05, kind="missing")
    coins = ["bitcoin", "ethereum", "tether", "silent"]
    it = await collecting(simulated, coins, attempts=2)
    start = ceil(it.clock.now(), SLOT)
    for _ in range(72):
        await it.cycle_at_next_due()
        if it.running.status.state == "refused":
            it.running.status.state = "collecting"
    over = TimeRange(start, floor(it.clock.now(), SLOT))
    expected = Schedule(SLOT, SLOT, timedelta(0), None, start)
    counts: Counter[str] = Counter()
    facts = [fact for fact in await it.facts() if fact.cursor in over]
    for coin in coins:
        tried, cursors = await it.books.verify(PRICES, it.running.name, coin, over)
        found = spans(expected, over, it.clock.now(), tried, cursors)
        counts.update(totals(found))
        assert [found[0].range.start, found[-1].range.end] == [over.start, over.end]
    assert counts.total() == 4 * (over.length // SLOT)
    assert counts["collected"] == len({(fact.partition, fact.cursor) for fact in facts})
    assert counts["lost"] > 0  # where only the present is told, what failed is gone
    assert counts["empty_upstream"] >= 71 - counts["lost"]  # the silent one
    assert counts["late"] == counts["not_due"] == counts["failed"] == 0
    # Nothing that was asked for stands in no account.
    answered = [request for request in it.requests() if request["status"] is not None]
    assert len(list(it.store.raw.pages())) <= len(answered)


async def test_the_plan_without_a_key_builds_its_hours_of_halves(simulate: Simulate, collecting: Collect):
    simulated = simulate("keyless", limits=False)
    plan = SOURCE.plan("keyless")
    (halves,) = [stream for stream in plan.streams if stream.name == "bars_1h"]
    it = await collecting(simulated, ["bitcoin"], halves, plan=plan, reach=30 * DAY)
    assert await it.running.cycle() is False
    end = floor(START - halves.settle, HOUR)
    facts = await it.facts()
    assert [fact.cursor for fact in facts] == [end - n * HOUR for n in range(len(facts), 0, -1)]
    assert len(facts) == 21  # the upstream keeps a day, and the oldest half-hour may stand alone
    truth = simulated.truth("bitcoin", facts[0].cursor, end)
    told = [tuple(fact.values[p] for p in ("open", "high", "low", "close")) for fact in facts]
    assert told == [tuple(Decimal(bar[p]) for p in ("open", "high", "low", "close")) for bar in truth]
