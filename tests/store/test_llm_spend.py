"""The money of a month: never more is set aside than there is, whoever asks. On MariaDB: `test_advanced.py`."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ray_app.model.errors import Unpaid
from ray_app.store.store import Store
from tests.store.conftest import Open
from tests.store.made import HOUR, T0

SCOPE = "llm-chat"
LAST = datetime(2026, 12, 31, 23, 59, tzinfo=UTC)


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path}/node.db"


async def test_money_is_set_aside_and_settled_at_what_it_was(node: Open):
    purse = node.store.llm_spend
    await purse.declare(SCOPE, 1_000, T0)
    first = await purse.reserve(SCOPE, 600, T0)
    state = await purse.state(SCOPE, T0)
    assert (state.spent, state.left, state.requests, state.unsettled) == (600, 400, 1, 1)
    with pytest.raises(Unpaid, match=r"\$0\.0000004 of this month's \$0\.000001 are left"):
        await purse.reserve(SCOPE, 401, T0)
    await purse.settle(SCOPE, first, 50)
    await purse.reserve(SCOPE, 950, T0)
    state = await purse.state(SCOPE, T0)
    assert (state.spent, state.left, state.requests, state.unsettled) == (1_000, 0, 2, 1)


async def test_it_survives_a_restart_and_a_reservation_that_nobody_settles_stays_spent(
    node: Open, opened: Callable[..., Store]
):
    await node.store.llm_spend.declare(SCOPE, 1_000, T0)
    await node.store.llm_spend.reserve(SCOPE, 300, T0)
    await node.store.close()
    again = opened().llm_spend
    await again.declare(SCOPE, 1_000, T0 + HOUR)
    state = await again.state(SCOPE, T0 + HOUR)
    assert (state.spent, state.unsettled) == (300, 1)


async def test_two_that_spend_at_once_never_spend_more_than_there_is(
    node: Open, opened: Callable[..., Store]
):
    purses = [node.store.llm_spend, opened().llm_spend]
    await purses[0].declare(SCOPE, 1_000, T0)

    async def spend(number: int) -> int:
        purse = purses[number % 2]
        try:
            reserved = await purse.reserve(SCOPE, 130, T0)
        except Unpaid:
            return 0
        await purse.settle(SCOPE, reserved, 130)
        return 130

    assert sum(await asyncio.gather(*map(spend, range(20)))) == 910
    state = await purses[0].state(SCOPE, T0)
    assert (state.spent, state.requests, state.unsettled) == (910, 7, 0)


async def test_a_new_month_begins_with_nothing_spent_and_open(node: Open):
    purse = node.store.llm_spend
    await purse.declare(SCOPE, 1_000, LAST)
    old = await purse.reserve(SCOPE, 900, LAST)
    await purse.close(SCOPE, "nothing left", LAST + timedelta(days=40), LAST)
    later = LAST + timedelta(minutes=1)
    fresh = await purse.state(SCOPE, later)
    assert (fresh.month, fresh.spent, fresh.closed, fresh.is_closed(later)) == ("2027-01", 0, None, False)
    reserved = await purse.reserve(SCOPE, 800, later)
    await purse.settle(SCOPE, old, 100)  # of a month that is over
    assert (await purse.state(SCOPE, later)).spent == 800
    assert (await purse.reserve(SCOPE, 100, LAST)).month == reserved.month == "2027-01"


async def test_another_budget_counts_at_once_and_opens(node: Open):
    purse = node.store.llm_spend
    await purse.declare(SCOPE, 1_000, T0)
    await purse.reserve(SCOPE, 800, T0)
    await purse.close(SCOPE, "x" * 400, T0 + HOUR, T0)
    closed = await purse.state(SCOPE, T0)
    assert (closed.closed, closed.closed_at, closed.closed_until) == ("x" * 300, T0, T0 + HOUR)
    assert closed.is_closed(T0)
    assert not closed.is_closed(T0 + HOUR)
    await purse.declare(SCOPE, 1_000, T0)
    assert (await purse.state(SCOPE, T0)) == closed
    await purse.declare(SCOPE, 500, T0)
    smaller = await purse.state(SCOPE, T0)
    assert (smaller.closed, smaller.left) == (None, 0)
    with pytest.raises(Unpaid):
        await purse.reserve(SCOPE, 1, T0)
    await purse.close(SCOPE, "why", T0 + HOUR, T0)
    await purse.open(SCOPE)
    assert await purse.state(SCOPE, T0) == smaller


async def test_what_is_off_is_not_told_and_keeps_what_it_spent(node: Open):
    purse = node.store.llm_spend
    with pytest.raises(KeyError):
        await purse.state(SCOPE, T0)
    with pytest.raises(KeyError):
        await purse.reserve(SCOPE, 1, T0)
    await purse.declare(SCOPE, 1_000, T0)
    await purse.reserve(SCOPE, 7, T0)
    on = await purse.state(SCOPE, T0)
    assert await purse.states(T0) == [on]
    await purse.retire()
    assert await purse.states(T0) == []
    await purse.declare(SCOPE, 1_000, T0)
    assert await purse.states(T0) == [replace(on, on=True)]


async def test_a_budget_of_a_large_company_is_whole_nanodollars(node: Open):
    purse = node.store.llm_spend
    million = 1_000_000 * 10**9
    await purse.declare(SCOPE, million, T0)
    reserved = await purse.reserve(SCOPE, million - 1, T0)
    await purse.settle(SCOPE, reserved, 3)
    assert (await purse.state(SCOPE, T0)).left == million - 3
