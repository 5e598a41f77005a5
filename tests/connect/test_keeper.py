import asyncio
from collections import deque
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from ray_app.connect.keeper import Keeper
from ray_app.model.clock import ManualClock, SimulatedClock, SystemClock
from ray_app.model.errors import RateLimited
from ray_app.model.quota import Priority, QuotaState, Refusal, Reserved, Turn
from ray_app.model.source import Quota
from ray_app.store.quota import Quotas
from ray_app.store.store import Store

T0 = datetime(2026, 3, 1, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LIVE, HEAL, BACKFILL = Priority.LIVE, Priority.HEAL, Priority.BACKFILL
THIRTY = Quota(30, MINUTE)


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Quotas]:
    store = Store(f"sqlite+aiosqlite:///{tmp_path}/node.db", str(tmp_path / "raw"))
    await store.database.prepare(simulated=True)
    await store.quotas.declare("scope", THIRTY, T0)
    yield store.quotas
    await store.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(T0)


class Upstream:
    """A strict rolling window over all arrivals, refused ones too, as CoinGecko counts."""

    def __init__(self, limit: int, per: timedelta = MINUTE) -> None:
        self.limit, self.per = limit, per
        self.arrived: list[datetime] = []
        self.refusals: list[datetime] = []
        self._recent: deque[datetime] = deque()

    def accepts(self, now: datetime) -> bool:
        while self._recent and self._recent[0] <= now - self.per:
            self._recent.popleft()
        self._recent.append(now)
        self.arrived.append(now)
        if len(self._recent) > self.limit:
            self.refusals.append(now)
            return False
        return True


def most_in_a_window(sent: list[datetime], per: timedelta = MINUTE) -> int:
    """The largest number of calls in any half-open window that begins with a call."""
    return max(sum(first <= at < first + per for at in sent[i:]) for i, first in enumerate(sent))


async def ask(keeper: Keeper, upstream: Upstream, until: datetime) -> None:
    """One client: it sends as soon as it may, and reports each refusal.

    The turn tells when: a manual clock may be at the next one's time already.
    """
    while True:
        turn = await keeper.turn(LIVE)
        if turn.not_before >= until:
            return
        if not upstream.accepts(turn.not_before):
            await keeper.refused(Refusal(turn.not_before))


async def eight_clients(keeper: Keeper, clock: ManualClock, upstream: Upstream, lasting: timedelta) -> None:
    until = clock.now() + lasting
    await asyncio.gather(*(ask(keeper, upstream, until) for _ in range(8)))


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
    await asyncio.gather(*(one(name, priority) for name, priority in wanted))
    assert order == ["l1", "l2", "h1", "h2", "b1", "b2"]


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


async def test_a_limit_lowered_in_silence_costs_at_most_three_refusals(ledger: Quotas, clock: ManualClock):
    upstream = Upstream(30)
    keeper = Keeper("scope", THIRTY, ledger, clock)
    await eight_clients(keeper, clock, upstream, 2 * MINUTE)
    assert upstream.refusals == []
    upstream.limit = 10
    await eight_clients(keeper, clock, upstream, 10 * MINUTE)
    assert 1 <= len(upstream.refusals) <= 3
    learned = await ledger.state("scope", clock.now())
    assert learned.limit == 10
    before, since = len(upstream.arrived), clock.now()
    await eight_clients(keeper, clock, upstream, 10 * MINUTE)
    assert len(upstream.refusals) <= 3
    assert len([at for at in upstream.arrived[before:] if at >= since]) >= 95  # at full use of the new limit


async def test_what_was_learned_survives_the_keeper_for_a_day(ledger: Quotas, clock: ManualClock):
    keeper = Keeper("scope", THIRTY, ledger, clock)
    await keeper.turn(LIVE)
    await keeper.refused(Refusal(clock.now(), stated=10))
    learned_at = clock.now()
    assert (await ledger.state("scope", learned_at + DAY - SECOND)).limit == 10
    assert (await ledger.state("scope", learned_at + DAY)).limit == 30
    successor = Keeper("scope", THIRTY, ledger, clock)
    turns = [await successor.turn(LIVE) for _ in range(3)]
    assert turns[0].not_before > learned_at + MINUTE
    assert turns[2].not_before - turns[1].not_before > 6 * SECOND


async def test_one_refusal_out_of_the_blue_is_no_new_limit(ledger: Quotas, clock: ManualClock):
    """A lone 429 after three calls in a minute: wait, but do not crawl at three a minute for a day."""
    keeper = Keeper("scope", THIRTY, ledger, clock)
    for _ in range(3):
        await keeper.turn(LIVE)
    await keeper.refused(Refusal(clock.now()))
    waited = await keeper.turn(LIVE)
    assert waited.not_before - clock.now() <= timedelta(0)
    assert waited.not_before > T0 + MINUTE
    assert (await ledger.state("scope", clock.now())).limit == 30


async def test_a_limit_that_the_answer_states_is_believed_but_never_above_our_own(
    ledger: Quotas, clock: ManualClock
):
    keeper = Keeper("scope", THIRTY, ledger, clock)
    await keeper.turn(LIVE)
    await keeper.refused(Refusal(clock.now(), stated=100))
    assert (await ledger.state("scope", clock.now())).limit == 30
    await keeper.refused(Refusal(clock.now(), stated=12))
    assert (await ledger.state("scope", clock.now())).limit == 12


@pytest.mark.parametrize(("told", "least"), [(None, 60), (7.0, 60), (90.0, 90), (3600.0, 3600)])
async def test_nobody_asks_again_before_the_time_that_was_told(
    ledger: Quotas, clock: ManualClock, told: float | None, least: float
):
    keeper = Keeper("scope", THIRTY, ledger, clock)
    await keeper.turn(LIVE)
    at = clock.now()
    await keeper.refused(Refusal(at, told))
    turn = await keeper.turn(LIVE)
    assert timedelta(seconds=least) < turn.not_before - at < timedelta(seconds=least * 1.03 + 2)


class Slow:
    """The ledger as it is over a network: each call takes its time, and may be stopped in the middle."""

    def __init__(self, ledger: Quotas) -> None:
        self._ledger = ledger
        self.open = asyncio.Event()
        self.open.set()
        self.reached = asyncio.Event()

    async def _pass(self) -> None:
        self.reached.set()
        await self.open.wait()

    async def state(self, scope: str, now: datetime) -> QuotaState:
        return await self._ledger.state(scope, now)

    async def reserve(self, scope: str, calls: int, now: datetime, slack: float) -> Reserved:
        taken = await self._ledger.reserve(scope, calls, now, slack)
        await self._pass()
        return taken

    async def refuse(self, scope: str, until: datetime, learned: int | None, now: datetime) -> None:
        await self._ledger.refuse(scope, until, learned, now)


async def test_a_chunk_on_its_way_while_a_refusal_comes_in_is_not_used(ledger: Quotas, clock: ManualClock):
    slow = Slow(ledger)
    keeper = Keeper("scope", THIRTY, slow, clock)
    await keeper.turn(LIVE)
    slow.open.clear()
    slow.reached.clear()
    waiting = asyncio.create_task(keeper.turn(LIVE))
    await slow.reached.wait()  # the chunk is reserved, its answer is on the way
    refused_at = clock.now()
    await keeper.refused(Refusal(refused_at))
    slow.open.set()
    turn = await waiting
    assert turn.not_before > refused_at + MINUTE
    assert clock.now() > refused_at + MINUTE


async def test_the_month_is_kept_for_live_work(ledger: Quotas, clock: ManualClock):
    """100 calls a month, 2 a day live, 15.5 days to go: backfill may have what is beyond 31."""
    quota = Quota(60, MINUTE, per_month=100)
    clock.set(T0 + 15 * DAY + 12 * HOUR)
    await ledger.declare("monthly", quota, clock.now())
    keeper = Keeper("monthly", quota, ledger, clock, live_per_day=2)
    for _ in range(69):
        await keeper.turn(BACKFILL)
    with pytest.raises(
        RateLimited, match=r"69 of 100 calls .*none left beyond what live collection needs"
    ) as told:
        await keeper.turn(BACKFILL)
    assert told.value.retry_after == pytest.approx(15.5 * 86_400, abs=120)
    with pytest.raises(RateLimited):
        await keeper.turn(HEAL)
    for _ in range(31):
        await keeper.turn(LIVE)
    with pytest.raises(RateLimited, match=r"100 of 100 calls of this month are spent; none left$"):
        await keeper.turn(LIVE)
    assert (await ledger.state("monthly", clock.now())).spent == 100


async def test_the_whole_month_can_be_used_and_not_a_call_more(ledger: Quotas, clock: ManualClock):
    """A fast quota is taken in chunks; the last one must not swallow what it could still give."""
    quota = Quota(600, MINUTE, per_month=25)
    await ledger.declare("monthly", quota, T0)
    keeper = Keeper("monthly", quota, ledger, clock)
    got = await asyncio.gather(*(keeper.turn(LIVE) for _ in range(40)), return_exceptions=True)
    assert sum(isinstance(one, Turn) for one in got) == 25
    assert sum(isinstance(one, RateLimited) for one in got) == 15
    assert (await ledger.state("monthly", clock.now())).spent == 25


async def test_a_new_month_has_its_own_allowance(ledger: Quotas, clock: ManualClock):
    quota = Quota(60, MINUTE, per_month=3)
    clock.set(datetime(2026, 3, 31, 23, 59, 30, tzinfo=UTC))
    await ledger.declare("monthly", quota, clock.now())
    keeper = Keeper("monthly", quota, ledger, clock)
    for _ in range(3):
        await keeper.turn(LIVE)
    with pytest.raises(RateLimited) as told:
        await keeper.turn(LIVE)
    assert told.value.retry_after is not None
    clock.set(clock.now() + timedelta(seconds=told.value.retry_after))
    assert f"{clock.now():%Y-%m-%d}" == "2026-04-01"
    for _ in range(3):
        await keeper.turn(LIVE)
    with pytest.raises(RateLimited):
        await keeper.turn(LIVE)
    assert (await ledger.state("monthly", clock.now())).spent == 3


async def test_declaring_again_keeps_what_is_spent_and_learned(ledger: Quotas, clock: ManualClock):
    keeper = Keeper("scope", THIRTY, ledger, clock)
    await keeper.turn(LIVE)
    await keeper.refused(Refusal(clock.now(), stated=10))
    await ledger.declare("scope", Quota(20, MINUTE, per_month=5), clock.now())
    state = await ledger.state("scope", clock.now())
    assert (state.quota, state.limit, state.spent) == (Quota(20, MINUTE, 5), 10, 1)
    await ledger.declare("scope", Quota(5, MINUTE), clock.now())
    assert (await ledger.state("scope", clock.now())).limit == 5  # never above what is declared


async def test_a_scope_that_nobody_declared_is_told_to_the_one_who_asks(ledger: Quotas, clock: ManualClock):
    keeper = Keeper("nowhere", THIRTY, ledger, clock)
    for _ in range(2):  # the keeper itself lives on
        with pytest.raises(KeyError, match="no quota scope 'nowhere' is declared"):
            await asyncio.wait_for(keeper.turn(LIVE), 5)


class AtOnceBehind(ManualClock):
    """Its sleeper wakes up late, as in a process that was stopped for a while."""

    late = timedelta(0)

    async def sleep_until(self, moment: datetime) -> None:
        await super().sleep_until(moment + self.late)


async def test_a_keeper_that_was_stopped_does_not_catch_up(ledger: Quotas):
    """A turn that is due and late is thrown away: two calls close together may crowd a window."""
    clock, upstream = AtOnceBehind(T0), Upstream(500)
    quota = Quota(500, MINUTE)
    await ledger.declare("fast", quota, T0)
    keeper = Keeper("fast", quota, ledger, clock)

    async def stops() -> None:
        for _ in range(60):
            for _ in range(40):
                await asyncio.sleep(0)
            clock.late = 5 * SECOND
            for _ in range(3):
                await asyncio.sleep(0)
            clock.late = timedelta(0)

    stopping = asyncio.create_task(stops())
    until = T0 + 4 * MINUTE

    async def one() -> None:
        while clock.now() < until:
            await keeper.turn(LIVE)
            upstream.accepts(clock.now())

    await asyncio.gather(*(one() for _ in range(8)))
    stopping.cancel()
    assert upstream.refusals == []
    assert most_in_a_window(upstream.arrived) <= 500


async def test_who_gives_up_waiting_takes_no_turn_away(ledger: Quotas, clock: ManualClock):
    keeper = Keeper("scope", THIRTY, ledger, clock)
    given_up = asyncio.create_task(keeper.turn(LIVE))
    patient = asyncio.create_task(keeper.turn(LIVE))
    await asyncio.sleep(0)
    given_up.cancel()
    assert (await patient).not_before == T0
    assert (await keeper.turn(LIVE)).not_before < T0 + 3 * SECOND


class FailsOnce(Slow):
    """A ledger whose look at the month takes so long that somebody else asks meanwhile."""

    async def state(self, scope: str, now: datetime) -> QuotaState:
        state = await super().state(scope, now)
        await self._pass()
        return state


async def test_a_refused_backfill_does_not_take_a_live_call_down(ledger: Quotas, clock: ManualClock):
    quota = Quota(60, MINUTE, per_month=10)
    await ledger.declare("monthly", quota, T0)
    slow = FailsOnce(ledger)
    slow.open.clear()
    keeper = Keeper("monthly", quota, slow, clock, live_per_day=1)
    backfill = asyncio.create_task(keeper.turn(BACKFILL))
    await slow.reached.wait()
    live = asyncio.create_task(keeper.turn(LIVE))
    await asyncio.sleep(0)
    slow.open.set()
    with pytest.raises(RateLimited, match="beyond what live collection needs"):
        await backfill
    assert isinstance(await live, Turn)


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
