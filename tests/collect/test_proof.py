"""A schedule that does not fit what an upstream allows is refused before the first request, with the sum."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from ray_app.collect.planner import living
from ray_app.collect.proof import prove
from ray_app.model.source import Quota
from ray_app.model.symbols import load_registry
from ray_app.sources.coingecko import PRICES, SOURCE

REGISTRY = load_registry()
NOW = datetime(2026, 6, 1, tzinfo=UTC)
EVERYTHING = {s.name: living(s, REGISTRY, NOW) for plan in SOURCE.plans for s in plan.streams}


def test_the_shipped_profiles_fit():
    proofs = {plan.name: prove(SOURCE, plan, EVERYTHING) for plan in SOURCE.plans}
    assert {name: proof.refusals for name, proof in proofs.items()} == {"keyless": (), "demo": (), "paid": ()}
    demo = {line.stream: line for line in proofs["demo"].lines}
    assert (demo["prices"].every, demo["prices"].attempts) == (timedelta(minutes=15), 2)
    assert demo["prices"].base == 31 * 24 * 4
    for name in ("keyless", "paid"):
        assert {line.every for line in proofs[name].lines if line.stream == "prices"} == {
            timedelta(minutes=5)
        }


def test_one_call_per_coin_is_refused_with_the_reason():
    """35 coins, one call each every 5 minutes, three attempts: 35 x 8,928 x 3."""
    paid = SOURCE.plan("paid")
    habit = replace(paid, streams=(replace(PRICES, batch=1, attempts=3),))
    proof = prove(SOURCE, habit, {"prices": tuple(f"coin-{n}" for n in range(35))})
    assert proof.lines[0].base == 312_480
    assert proof.lines[0].worst == 937_440
    (reason,) = proof.refusals
    assert "937,440 calls at worst" in reason
    assert "more than 500,000 calls a month" in reason
    assert "prices: 312,480 calls x 3 attempts for 35 partitions every 0:05:00" in reason
    assert "ask for more partitions in one call" in reason


def test_one_batched_call_a_cycle_is_8928_a_month():
    batched = replace(SOURCE.plan("paid"), streams=(replace(PRICES, attempts=1),))
    proof = prove(SOURCE, batched, {"prices": tuple(f"coin-{n}" for n in range(250))})
    assert (proof.lines[0].base, proof.refusals) == (8_928, ())


def test_the_rate_alone_can_refuse():
    """Keyless has no monthly allowance, but 5 a minute are 223,200 in 31 days."""
    keyless = replace(SOURCE.plan("keyless"), quota=Quota(1, timedelta(minutes=1)))
    proof = prove(SOURCE, keyless, EVERYTHING)
    assert proof.most_in_month == 44_640
    (reason,) = proof.refusals
    assert "allow in 31 days" in reason


def test_the_repair_reserve_counts():
    plan = SOURCE.plan("paid")
    worst = sum(line.worst for line in prove(SOURCE, plan, EVERYTHING).lines)
    exact = replace(plan, quota=replace(plan.quota, per_month=worst))
    assert prove(SOURCE, exact, EVERYTHING).refusals != ()
    roomy = replace(plan, quota=replace(plan.quota, per_month=int(worst / 0.94)))
    assert prove(SOURCE, roomy, EVERYTHING).refusals == ()
