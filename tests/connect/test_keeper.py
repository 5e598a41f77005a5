import asyncio
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from ray_app.connect.keeper import Keeper
from ray_app.model.clock import ManualClock, SimulatedClock, SystemClock
from ray_app.model.quota import Priority, Reserved
from ray_app.model.source import Quota
from ray_app.store.quota import Quotas
from tests.connect.turns import (
    BACKFILL,
    HEAL,
    HOUR,
    LIVE,
    MINUTE,
    SECOND,
    T0,
    THIRTY,
    Slow,
    Upstream,
    eight_clients,
    most_in_a_window,
)


async def test_eight_clients_share_an_even_pace_that_never_fills_a_window(ledger: Quotas, clock: ManualClock):
    upstream = Upstream(30)
    await eight_clients(Keeper("scope", THIRTY, ledger, clock), clock, upstream, 10 * MINUTE)
    sent = upstream.arrived
    assert upstream.refusals == []
    assert most_in_a_window(sent) == 30  # never more, and the limit is made use of
    gaps = {after - one for one, after in pairwise(sent)}
    assert max(gaps) - min(gaps) < timedelta(milliseconds=1)
    assert 295 <= len(sent) <= 300


async def test_a_fast_quota_is_handed_out_in_chunks_at_the_same_even_pace(ledger: Quotas, clock: ManualClock):
    quota = Quota(500, MINUTE)
    await ledger.declare("fast", quota, T0)
    upstream = Upstream(500)
    await eight_clients(Keeper("fast", quota, ledger, clock), clock, upstream, 3 * MINUTE)
    assert upstream.refusals == []
    assert 1470 <= len(upstream.arrived) <= 1500
    assert min(after - one for one, after in pairwise(upstream.arrived)) > timedelta(seconds=0.119)


async def test_an_idle_hour_earns_no_burst(ledger: Quotas, clock: ManualClock):
    keeper = Keeper("scope", THIRTY, ledger, clock)
    first = await keeper.turn(LIVE)
    clock.set(T0 + HOUR)
    turns = [await keeper.turn(LIVE) for _ in range(31)]
    assert first.not_before == T0
    assert turns[0].not_before == T0 + HOUR
    assert turns[-1].not_before - turns[0].not_before > MINUTE


async def test_who_is_more_urgent_goes_first(ledger: Quotas, clock: ManualClock):
    keeper, order = Keeper("scope", THIRTY, ledger, clock), list[str]()

    async def one(name: str, priority: Priority) -> None:
        await keeper.turn(priority)
        order.append(name)

    wanted = [("b1", BACKFILL), ("h1", HEAL), ("l1", LIVE), ("b2", BACKFILL), ("l2", LIVE), ("h2", HEAL)]
    wanted.append(("p1", Priority.PRESENT))
    await asyncio.gather(*(one(name, priority) for name, priority in wanted))
    assert order == ["p1", "l1", "l2", "h1", "h2", "b1", "b2"]


async def test_among_equals_the_earliest_deadline_goes_first(ledger: Quotas, clock: ManualClock):
    """What an upstream soon stops telling before what it tells for years; a priority before any deadline."""
    keeper = Keeper("scope", THIRTY, ledger, clock)
    served: list[str] = []

    async def one(name: str, priority: Priority, before: datetime | None) -> None:
        await keeper.turn(priority, before)
        served.append(name)

    wanted = [
        ("heal, no deadline", HEAL, None),
        ("heal, in a day", HEAL, T0 + 24 * HOUR),
        ("heal, in an hour", HEAL, T0 + HOUR),
        ("heal, past", HEAL, T0 - HOUR),
        ("heal, in an hour too", HEAL, T0 + HOUR),
        ("heal, no deadline either", HEAL, None),
        ("backfill, in a second", BACKFILL, T0 + SECOND),
        ("live, no deadline", LIVE, None),
        ("live, in a day", LIVE, T0 + 24 * HOUR),
    ]
    await asyncio.gather(*(one(*asked) for asked in wanted))
    assert served == [
        "live, in a day", "live, no deadline", "heal, past", "heal, in an hour", "heal, in an hour too",
        "heal, in a day", "heal, no deadline", "heal, no deadline either", "backfill, in a second",
    ]  # fmt: skip


async def test_an_earlier_deadline_that_comes_later_is_put_before(ledger: Quotas, clock: ManualClock):
    keeper = Keeper("scope", Quota(1, MINUTE), ledger, clock)
    served, first = list[str](), asyncio.Event()

    async def one(name: str, before: datetime) -> None:
        await keeper.turn(HEAL, before)
        served.append(name)
        first.set()

    tasks = [asyncio.create_task(one(f"day {n}", T0 + n * 24 * HOUR)) for n in range(1, 4)]
    await first.wait()
    tasks.append(asyncio.create_task(one("hour", T0 + HOUR)))
    await asyncio.gather(*tasks)
    assert served == ["day 1", "hour", "day 2", "day 3"]


async def test_a_successor_begins_after_the_chunk_of_the_one_that_died(ledger: Quotas, clock: ManualClock):
    """6,000 a minute: a chunk is 100 turns in a second. What the dead one did not use stays spent."""
    quota = Quota(6000, MINUTE)
    await ledger.declare("fast", quota, T0)
    old = Keeper("fast", quota, ledger, clock)
    waiting = [asyncio.create_task(old.turn(LIVE)) for _ in range(100)]
    sent = [(await waiting[n]).not_before for n in range(10)]
    reserved_to = (await ledger.state("fast", clock.now())).next_free
    assert reserved_to > T0 + SECOND
    for task in waiting:
        task.cancel()

    new = Keeper("fast", quota, ledger, ManualClock(clock.now()))
    after = [(await new.turn(LIVE)).not_before for _ in range(110)]
    assert after[0] == reserved_to
    assert (await ledger.state("fast", clock.now())).spent == 100 + 110
    assert most_in_a_window(sent + after, SECOND) <= 100


async def test_the_keepers_of_two_releases_share_the_row(ledger: Quotas, clock: ManualClock):
    upstream = Upstream(30)
    keepers = [Keeper("scope", THIRTY, ledger, clock) for _ in range(2)]
    await asyncio.gather(*(eight_clients(keeper, clock, upstream, 10 * MINUTE) for keeper in keepers))
    assert upstream.refusals == []
    assert most_in_a_window(sorted(upstream.arrived)) <= 30


async def test_a_scope_that_nobody_declared_is_told_to_the_one_who_asks(ledger: Quotas, clock: ManualClock):
    keeper = Keeper("nowhere", THIRTY, ledger, clock)
    for _ in range(2):  # the keeper itself lives on
        with pytest.raises(KeyError, match="no quota scope 'nowhere' is declared"):
            await asyncio.wait_for(keeper.turn(LIVE), 5)


class OnceStopped(ManualClock):
    """Its sleeper wakes up late once, as in a process that was stopped for a while."""

    sleeps_until_then, late = 20, 5 * SECOND

    async def sleep_until(self, moment: datetime) -> None:
        self.sleeps_until_then -= moment > self.now()
        await super().sleep_until(moment + self.late * (self.sleeps_until_then == 0 and moment > self.now()))


async def test_a_keeper_that_was_stopped_does_not_catch_up(ledger: Quotas):
    """What is left of a chunk is late by then and thrown away: sent at once it would crowd the next window."""
    window = 10 * SECOND
    clock, quota = OnceStopped(T0), Quota(1000, window)
    await ledger.declare("fast", quota, T0)
    keeper, sent = Keeper("fast", quota, ledger, clock), list[datetime]()

    async def one() -> None:
        while clock.now() < T0 + 2 * window:
            await keeper.turn(LIVE)
            sent.append(clock.now())

    await asyncio.gather(*(one() for _ in range(120)))
    assert max(after - before for before, after in pairwise(sent)) > 5 * SECOND
    assert most_in_a_window(sent, window) <= 1000


async def test_who_gives_up_waiting_takes_no_turn_away(ledger: Quotas, clock: ManualClock):
    keeper = Keeper("scope", THIRTY, ledger, clock)
    given_up = asyncio.create_task(keeper.turn(LIVE))
    patient = asyncio.create_task(keeper.turn(LIVE))
    await asyncio.sleep(0)
    given_up.cancel()
    assert (await patient).not_before == T0
    assert (await keeper.turn(LIVE)).not_before < T0 + 3 * SECOND


class FarAway(Slow):
    """A ledger that takes its time with every reservation."""

    seconds = 0.2

    async def reserve(self, scope: str, calls: int, now: datetime, slack: float) -> Reserved:
        taken = await self._ledger.reserve(scope, calls, now, slack)
        await asyncio.sleep(self.seconds)
        return taken


async def test_a_ledger_that_is_slow_to_answer_costs_time_and_not_every_turn(ledger: Quotas):
    """A window of a second: a turn is over in less time than the ledger takes to answer."""
    quota = Quota(10, SECOND)
    await ledger.declare("brief", quota, T0)
    keeper = Keeper("brief", quota, FarAway(ledger), SystemClock())
    async with asyncio.timeout(10):
        turns = [await keeper.turn(LIVE) for _ in range(5)]
    assert (await ledger.state("brief", SystemClock().now())).spent <= 8
    assert len({turn.not_before for turn in turns}) == 5


@pytest.mark.parametrize("speed", [1.0, 60.0])
async def test_turns_are_given_out_in_the_simulators_time(ledger: Quotas, speed: float):
    """A millisecond of ours is 60 there: a turn must not expire before anyone can take it."""
    quota = Quota(500, MINUTE)
    await ledger.declare("fast", quota, T0)
    keeper = Keeper("fast", quota, ledger, SimulatedClock(T0, speed))
    async with asyncio.timeout(10):
        turns = [await keeper.turn(LIVE) for _ in range(5)]
    assert len({turn.not_before for turn in turns}) == 5
