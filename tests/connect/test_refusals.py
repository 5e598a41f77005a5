import asyncio
from datetime import timedelta

import pytest

from ray_app.connect.keeper import Keeper
from ray_app.model.clock import ManualClock
from ray_app.model.quota import Refusal
from ray_app.store.quota import Quotas
from tests.connect.turns import (
    DAY,
    LIVE,
    MINUTE,
    SECOND,
    T0,
    THIRTY,
    Slow,
    Upstream,
    eight_clients,
)


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
