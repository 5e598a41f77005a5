import asyncio
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import event

from ray_app.model.collected import Collected, SetAside
from ray_app.model.errors import Fenced, StoreUnavailable
from ray_app.model.records import Price
from ray_app.store.facts import Committed
from ray_app.store.reading import NOW, parse_id
from ray_app.store.store import Store
from tests.store.conftest import Open
from tests.store.made import (
    ALWAYS,
    DAY,
    HOUR,
    MINUTE,
    PRICES,
    SLOT,
    T0,
    collected,
    price,
    prices,
    told,
)


async def test_a_fact_comes_back_value_by_value_with_its_times(node: Open):
    wanted = price(
        "bitcoin", "64210.123456789012345678901234567891", market_cap=Decimal("1.25E+30"),
        change_24h=Decimal("-1E-12"), high_24h=None, max_supply=Decimal(21_000_000),
    )  # fmt: skip
    assert await node.commit(collected([wanted], at=T0 + 3 * MINUTE)) == Committed(new=1, slices=1)
    (fact,) = await prices(node.store)
    assert fact.id == "coingecko.prices:bitcoin:2026-03-01T00:00:00+00:00:0"
    assert parse_id(fact.id) == (PRICES, "bitcoin", T0, 0)
    assert fact.values == wanted.model_dump(exclude={"coin", "slot"})
    assert (fact.known_at, fact.received_at) == (T0, T0 + 3 * MINUTE)


async def test_the_same_slice_twice_adds_nothing(node: Open):
    one = collected([price("bitcoin", "1.5")], set_aside=[SetAside("[1]", "unreadable")])
    await node.commit(one)
    before = await node.counts()
    assert await node.commit(one) == Committed()
    assert await node.commit(one.received(T0 + HOUR)) == Committed()
    assert await node.counts() == before


async def test_an_equal_fact_fetched_again_is_no_revision(node: Open):
    await node.commit(collected([price("bitcoin", "1.5"), price("ethereum", "1E+3")]))
    again = [price("bitcoin", "1.50"), price("ethereum", "1000.000")]
    done = await node.commit(collected(again, at=T0 + HOUR))
    assert done == Committed(unchanged=2, slices=1)
    assert told(await prices(node.store)) == [("bitcoin", 0, Decimal("1.5")), ("ethereum", 0, Decimal(1000))]
    assert (await node.counts())["slices"] == 2


async def test_a_differing_fact_is_a_revision_known_when_received(node: Open):
    first, second, third = T0 + MINUTE, T0 + HOUR, T0 + 2 * HOUR
    await node.commit(collected([price("bitcoin", "1")], at=first))
    assert await node.commit(collected([price("bitcoin", "2")], at=second)) == Committed(revised=1, slices=1)
    await node.commit(collected([price("bitcoin", "1")], at=third))  # back to the first value: a third one
    assert told(await prices(node.store)) == [("bitcoin", 2, Decimal(1))]
    changes = await node.store.reading.revisions(Price, PRICES, ALWAYS, 10)
    seen = [(old.values["price"], new.values["price"], new.known_at, new.received_at) for old, new in changes]
    assert seen == [
        (Decimal(1), Decimal(2), second, second),
        (Decimal(2), Decimal(1), third, third),
    ]
    assert [old.known_at for old, _ in changes] == [T0, second]


async def test_every_value_counts_when_facts_are_compared(node: Open):
    await node.commit(collected([price("bitcoin", "1", market_cap=Decimal(7))]))
    done = await node.commit(collected([price("bitcoin", "1")], at=T0 + HOUR))
    assert done.revised == 1
    (fact,) = await prices(node.store)
    assert fact.values["market_cap"] is None


async def test_rows_set_aside_are_kept_with_their_reasons_and_places(node: Open):
    aside = [SetAside('{"id":1}', "no price"), SetAside("null", "no object")]
    await node.commit(collected([price("bitcoin", "1")], set_aside=aside, at=T0 + MINUTE))
    kept = await node.store.received.set_aside(PRICES, ALWAYS)
    assert [(row["row"], row["reason"], row["place"], row["received_at"]) for row in kept] == [
        ('{"id":1}', "no price", 0, T0 + MINUTE),
        ("null", "no object", 1, T0 + MINUTE),
    ]
    assert {row["page"] for row in kept} == {collected([price("bitcoin", "1")], at=T0 + MINUTE).pages[0].id}


async def test_what_a_commit_counts_adds_up_to_the_records_it_was_given(node: Open):
    await node.commit(collected([price("bitcoin", "1"), price("ethereum", "2")]))
    given = [
        price("bitcoin", "1"),
        price("ethereum", "3"),
        price("tether", "1"),
        price("tether", "1", T0 + SLOT),
    ]
    done = await node.commit(collected(given, at=T0 + HOUR))
    assert done == Committed(new=2, revised=1, unchanged=1, slices=1)
    assert done.new + done.revised + done.unchanged == len(given)
    assert (await node.counts())["prices"] == 2 + done.new + done.revised


async def test_an_old_fence_writes_nothing(node: Open, opened: Callable[..., Store]):
    await node.store.leases.release(node.lease)
    heir = await opened().leases.acquire("shard", "heir")
    assert heir is not None
    assert heir.fence == node.lease.fence + 1
    before = await node.counts()
    with pytest.raises(Fenced, match="me held fence 1 of shard"):
        await node.commit(collected([price("bitcoin", "1")]))
    assert await node.counts() == before
    assert (await node.store.facts.commit([collected([price("bitcoin", "1")])], heir)).new == 1


async def test_a_lease_that_never_was_writes_nothing(node: Open):
    with pytest.raises(Fenced, match="the lease is gone"):
        await node.store.commit([collected([price("bitcoin", "1")])], replace(node.lease, shard="other"))


STEPS = (
    "INSERT INTO pages",
    "INSERT INTO series",
    "INSERT INTO prices",
    "INSERT INTO outbox",
    "INSERT INTO slices",
)


@pytest.mark.parametrize("step", STEPS)
async def test_a_commit_that_dies_in_the_middle_leaves_nothing_behind(
    node: Open, opened: Callable[..., Store], step: str
):
    """And nothing of it is remembered: a number that the rollback freed may be somebody else's by then."""
    one = collected([price("bitcoin", "1")], set_aside=[SetAside("[]", "unreadable")])
    before = await node.counts()

    def die(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.replace("`", "").replace('"', "").startswith(step):
            raise KeyboardInterrupt(step)

    engine = node.store.database.engine.sync_engine
    event.listen(engine, "after_cursor_execute", die)
    with pytest.raises(KeyboardInterrupt, match=step):
        await node.commit(one)
    event.remove(engine, "after_cursor_execute", die)
    assert await node.counts() == before

    another = opened()  # takes the numbers that would have been ours
    lease = await another.leases.acquire("other shard", "other")
    assert lease is not None
    other = collected([price("ethereum", "9")], partitions=["ethereum"])
    await another.commit([other], lease)

    assert await node.commit(one) == Committed(new=1, slices=1)
    assert told(await prices(node.store)) == [("bitcoin", 0, Decimal(1)), ("ethereum", 0, Decimal(9))]
    coverage = await another.ledger.coverage(PRICES, ALWAYS)
    assert {coin: done.ranges for coin, done in coverage.items()} == {
        "bitcoin": (one.slice.range,),
        "ethereum": (other.slice.range,),
    }


async def test_two_owners_who_write_the_same_facts_at_once_write_each_once(
    node: Open, opened: Callable[..., Store]
):
    """Other shards and other pages with equal facts, so only the tables' keys keep them apart."""
    other = opened()
    second = await other.leases.acquire("other shard", "other")
    assert second is not None

    def round_of(number: int, at_minute: int) -> Collected:
        slots = [T0 + (number * 3 + i) * SLOT for i in range(3)]
        records = [price(coin, "1.5", slot) for slot in slots for coin in (f"coin-{number}", "bitcoin")]
        return collected(records, at=T0 + DAY + number * HOUR + at_minute * MINUTE)

    async def write(store: Store, lease: Any, minute: int) -> list[Committed]:
        return [await until_committed(store, round_of(number, minute), lease) for number in range(12)]

    done = await asyncio.gather(write(node.store, node.lease, 1), write(other, second, 2))
    new = [mine.new + theirs.new for mine, theirs in zip(*done, strict=True)]
    unchanged = [mine.unchanged + theirs.unchanged for mine, theirs in zip(*done, strict=True)]
    assert (new, unchanged) == ([6] * 12, [6] * 12)
    facts = await prices(node.store, NOW, "bitcoin", *(f"coin-{number}" for number in range(12)))
    assert len(facts) == 12 * 6
    assert {(fact.revision, fact.values["price"]) for fact in facts} == {(0, Decimal("1.5"))}


async def test_two_owners_who_write_different_values_at_once_make_two_revisions(
    node: Open, opened: Callable[..., Store]
):
    other = opened()
    second = await other.leases.acquire("other shard", "other")
    for number in range(8):
        slot = T0 + number * SLOT
        mine, theirs = collected([price("bitcoin", "1", slot)]), collected([price("bitcoin", "2", slot)])
        done = await asyncio.gather(
            until_committed(node.store, mine, node.lease), until_committed(other, theirs, second)
        )
        assert sorted((one.new, one.revised) for one in done) == [(0, 1), (1, 0)]
    changes = await node.store.reading.revisions(Price, PRICES, ALWAYS, 100)
    assert len(changes) == 8
    assert all({old.values["price"], new.values["price"]} == {1, 2} for old, new in changes)


async def until_committed(store: Store, one: Collected, lease: Any) -> Committed:
    """A deadlock or a busy table is StoreUnavailable, which means: the same once more."""
    for _ in range(20):
        try:
            return await store.commit([one], lease)
        except StoreUnavailable:
            await asyncio.sleep(0.01)
    raise AssertionError("never committed")
