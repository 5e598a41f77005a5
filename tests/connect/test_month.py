import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from ray_app.connect.keeper import Keeper
from ray_app.model.clock import ManualClock
from ray_app.model.errors import RateLimited
from ray_app.model.quota import QuotaState, Refusal, Turn
from ray_app.model.source import Quota
from ray_app.store.quota import Quotas
from tests.connect.turns import (
    BACKFILL,
    DAY,
    HEAL,
    HOUR,
    LIVE,
    MINUTE,
    T0,
    THIRTY,
    Slow,
)


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
