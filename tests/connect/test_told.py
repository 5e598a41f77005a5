"""What good answers say of the rate is believed before a refusal has to teach it."""

from itertools import pairwise

from ray_app.connect.judge import allowance, remaining
from ray_app.connect.keeper import Keeper
from ray_app.model.clock import ManualClock
from ray_app.model.quota import Allowance, Priority
from ray_app.model.source import Page
from ray_app.sources.coingecko import SOURCE
from ray_app.store.quota import Quotas
from tests.connect.turns import MINUTE, T0, THIRTY


def page(**headers: str) -> Page:
    told = {f"x-ratelimit-{name}": value for name, value in headers.items()}
    return Page(
        source="coingecko", stream="prices", path="/coins/markets", params={}, status=200, headers=told,
        body=b"[]", asked_at=T0, received_at=T0,
    )  # fmt: skip


def test_only_plain_numbers_are_believed():
    assert (allowance(SOURCE, page(limit="10")), remaining(page(remaining="0"))) == (10, 0)
    assert (allowance(SOURCE, page(limit="ten")), remaining(page(remaining="-1"))) == (None, None)
    assert (allowance(SOURCE, page()), remaining(page())) == (None, None)


async def test_a_lower_limit_is_kept_to_from_the_next_turn_on(ledger: Quotas):
    clock = ManualClock(T0)
    keeper = Keeper("scope", THIRTY, ledger, clock)
    await keeper.turn(Priority.LIVE)
    await keeper.told(Allowance(clock.now(), limit=10, remaining=9))
    turns = [await keeper.turn(Priority.LIVE) for _ in range(6)]
    assert all(b.not_before - a.not_before >= MINUTE / 10 for a, b in pairwise(turns[1:]))
    assert (await ledger.state("scope", clock.now())).limit == 10


async def test_a_higher_limit_changes_nothing(ledger: Quotas):
    clock = ManualClock(T0)
    keeper = Keeper("scope", THIRTY, ledger, clock)
    await keeper.told(Allowance(clock.now(), limit=100, remaining=99))
    assert (await ledger.state("scope", clock.now())).limit == 30


async def test_none_left_is_waited_out_for_a_window(ledger: Quotas):
    clock = ManualClock(T0)
    keeper = Keeper("scope", THIRTY, ledger, clock)
    await keeper.turn(Priority.LIVE)
    told_at = clock.now()
    await keeper.told(Allowance(told_at, limit=30, remaining=0))
    turn = await keeper.turn(Priority.LIVE)
    assert turn.not_before >= told_at + MINUTE
    other = Keeper("scope", THIRTY, ledger, clock)
    assert (await other.turn(Priority.LIVE)).not_before > turn.not_before, (
        "the pause lies in SQL, not in one keeper"
    )
