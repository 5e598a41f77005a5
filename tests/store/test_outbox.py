import asyncio
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from ray_app.model.collected import Collected, Lease, Outcome
from ray_app.model.errors import Fenced, StoreUnavailable
from ray_app.model.timerange import TimeRange
from ray_app.store.hot import EventStream, redis_client, stream_key
from ray_app.store.store import Store
from ray_app.store.tables import outbox
from tests.servers import Redis as RedisServer
from tests.store.conftest import Open
from tests.store.made import DAY, HOUR, MINUTE, SLOT, T0, collected, price


async def lease_of(store: Store, shard: str, owner: str) -> Lease:
    lease = await store.leases.acquire(shard, owner)
    assert lease is not None
    return lease


async def announce(node: Open, number: int, at: datetime = T0, events: int = 2) -> None:
    """Commit one slice of new prices; each of them is an event, and so is the end of the interval."""
    records = [price(f"coin-{i}", str(number + 1), T0 + number * SLOT) for i in range(events - 1)]
    await node.commit(collected(records, at=at))


def ended(outcome: Outcome, at: datetime, start: datetime = T0, topic: str | None = "prices") -> Collected:
    """One interval of bitcoin that ended so, without a record."""
    over = TimeRange(start, start + SLOT)
    return collected([], over=over, partitions=["bitcoin"], at=at, outcome=outcome, topic=topic)


async def numbers(node: Open) -> list[int]:
    return [event.number for event in await node.store.outbox.after("prices", 0, 10_000)]


async def test_new_facts_and_revisions_are_announced_as_they_were_received(node: Open):
    await node.commit(collected([price("bitcoin", "1.5")], at=T0 + MINUTE))
    await node.commit(collected([price("bitcoin", "1.50"), price("ethereum", "2")], at=T0 + HOUR))
    await node.commit(collected([price("bitcoin", "1.6")], at=T0 + 2 * HOUR))
    relay = await lease_of(node.store, "relay", "r")
    assert await node.store.outbox.number(relay) == 3
    events = await node.store.outbox.after("prices", 0)
    assert [
        (e.number, e.received_at, e.record["coin"], e.record["revision"], Decimal(e.record["price"]))
        for e in events
        if "coin" in e.record
    ] == [
        (1, T0 + MINUTE, "bitcoin", 0, Decimal("1.5")),
        (3, T0 + HOUR, "ethereum", 0, Decimal(2)),
        (5, T0 + 2 * HOUR, "bitcoin", 1, Decimal("1.6")),
    ]
    assert events[0].record["series"] == ["coingecko.prices", "bitcoin"]
    ended = [(e.number, e.record) for e in events if "interval" in e.record]
    assert ended[1] == (
        4,
        {
            "interval": [T0.isoformat(), (T0 + SLOT).isoformat()],
            "stream": "coingecko.prices",
            "partitions": ["bitcoin", "ethereum"],
            "outcome": "covered",
            "reason": "",
        },
    )
    assert [number for number, _ in ended] == [2, 4, 6]


async def test_how_an_interval_ended_is_told_once_and_that_it_is_awaited_never(node: Open):
    outcomes: tuple[Outcome, ...] = (
        "failed", "failed", "awaited", "failed", "lost", "lost", "not_offered", "failed", "covered",
    )  # fmt: skip
    for minute, outcome in enumerate(outcomes, 1):
        await node.commit(ended(outcome, T0 + minute * MINUTE))
    await node.commit(ended("failed", T0 + HOUR, topic=None))
    await node.store.outbox.number(await lease_of(node.store, "relay", "r"))
    told = [(e.received_at, e.record["outcome"]) for e in await node.store.outbox.after("prices", 0)]
    assert told == [
        (T0 + MINUTE, "failed"),
        (T0 + 4 * MINUTE, "failed"),  # it was awaited in between
        (T0 + 5 * MINUTE, "lost"),
        (T0 + 7 * MINUTE, "not_offered"),
        (T0 + 8 * MINUTE, "failed"),
        (T0 + 9 * MINUTE, "covered"),
    ]


async def test_gaps_of_one_commit_are_told_once_each(node: Open):
    twice = [ended("failed", T0 + n * MINUTE) for n in (1, 2)]
    other = ended("failed", T0 + MINUTE, start=T0 + SLOT)
    await node.commit(*twice, other)
    await node.store.outbox.number(await lease_of(node.store, "relay", "r"))
    told = [e.record["interval"][0] for e in await node.store.outbox.after("prices", 0)]
    assert told == [T0.isoformat(), (T0 + SLOT).isoformat()]


async def test_what_was_not_announced_has_no_event(node: Open):
    await node.commit(collected([price("bitcoin", "1")], topic=None))
    assert not await node.store.outbox.waiting()
    assert await node.store.outbox.topics() == []


async def test_reading_goes_on_in_the_middle_of_a_commit(node: Open):
    await announce(node, 0, events=3)
    await announce(node, 1, events=3)
    await node.store.outbox.number(await lease_of(node.store, "relay", "r"))
    assert [e.number for e in await node.store.outbox.after("prices", 2)] == [3, 4, 5, 6]
    assert [e.number for e in await node.store.outbox.after("prices", 4, most=1)] == [5, 6]
    assert await node.store.outbox.newest("prices") == 6


async def test_topics_are_numbered_each_by_itself(node: Open):
    await announce(node, 0)
    await node.commit(collected([price("bitcoin", "9", T0 + DAY)], topic="other"))
    await announce(node, 1)
    assert await node.store.outbox.number(await lease_of(node.store, "relay", "r"), most=2) == 2
    assert await node.store.outbox.number(await lease_of(node.store, "relay", "r")) == 1
    assert await numbers(node) == [1, 2, 3, 4]
    assert [e.number for e in await node.store.outbox.after("other", 0)] == [1, 2]


async def test_numbers_have_no_gaps_while_others_commit(node: Open, opened: Callable[..., Store]):
    """Four writers under shards of their own, one relay numbering all the while."""
    writers = [Open(store := opened(), await lease_of(store, f"s{i}", f"w{i}")) for i in range(4)]
    relay = await lease_of(node.store, "relay", "r")

    async def write(writer: Open, first: int) -> None:
        for number in range(first, first + 6):
            for _ in range(30):
                try:
                    await announce(writer, number, events=number % 3 + 2)
                    break
                except StoreUnavailable:
                    await asyncio.sleep(0.01)

    writing = asyncio.gather(*(write(writer, 100 * i) for i, writer in enumerate(writers)))
    seen: list[int] = []
    while not writing.done() or await node.store.outbox.waiting():
        await node.store.outbox.number(relay, most=3)
        seen += [e.number for e in await node.store.outbox.after("prices", seen[-1] if seen else 0)]
        await asyncio.sleep(0.005)
    await writing
    total = sum(number % 3 + 2 for i in range(4) for number in range(100 * i, 100 * i + 6))
    assert seen == list(range(1, total + 1))  # as a reader saw them, none skipped and none twice
    records = [e.record for e in await node.store.outbox.after("prices", 0, 10_000)]
    prices = {(r["coin"], r["slot"]) for r in records if "coin" in r}
    assert len(prices) + len({tuple(r["interval"]) for r in records if "interval" in r}) == total


async def test_of_two_relays_the_one_with_the_lease_numbers(node: Open, opened: Callable[..., Store]):
    await announce(node, 0)
    old = await lease_of(node.store, "relay", "old")
    other = opened()
    assert await other.leases.acquire("relay", "new") is None
    await node.store.leases.release(old)
    new = await lease_of(other, "relay", "new")
    with pytest.raises(Fenced):
        await node.store.outbox.number(old)
    assert await node.store.outbox.waiting()
    assert await other.outbox.number(new) == 1
    assert await numbers(node) == [1, 2]


async def in_redis(redis: Any) -> list[tuple[int, str]]:
    found = await redis.xrange(stream_key("prices"))
    return [(int(number.split("-")[0]), fields["e"]) for number, fields in found]


@pytest.fixture
async def hot(fresh_redis_url: str):
    redis = redis_client(fresh_redis_url)
    yield redis
    await redis.aclose()


async def test_after_a_loss_of_redis_the_last_day_is_there_under_the_same_numbers(node: Open, hot: Any):
    now = T0 + 3 * DAY
    for number, age in enumerate((2 * DAY, DAY + MINUTE, DAY - MINUTE, HOUR)):
        await announce(node, number, now - age)
    await node.store.outbox.number(await lease_of(node.store, "relay", "r"))
    stream = EventStream(hot, "prices")
    assert await stream.catch_up(node.store.outbox, now) == 4
    before = await in_redis(hot)
    assert [number for number, _ in before] == [5, 6, 7, 8]

    await hot.flushdb()
    assert await stream.newest() == 0
    assert await stream.catch_up(node.store.outbox, now) == 4
    assert await in_redis(hot) == before
    assert await stream.newest() == 8
    assert await stream.catch_up(node.store.outbox, now) == 0

    await announce(node, 4, now)
    await node.store.outbox.number(await lease_of(node.store, "relay", "r"))
    assert await stream.catch_up(node.store.outbox, now) == 2
    assert [number for number, _ in await in_redis(hot)] == [5, 6, 7, 8, 9, 10]


async def test_two_relays_that_catch_up_together_add_each_event_once(
    node: Open, opened: Callable[..., Store], fresh_redis_url: str, hot: Any
):
    for number in range(20):
        await announce(node, number)
    await node.store.outbox.number(await lease_of(node.store, "relay", "r"))
    second = redis_client(fresh_redis_url)
    await asyncio.gather(
        EventStream(hot, "prices").catch_up(node.store.outbox, T0),
        EventStream(second, "prices").catch_up(opened().outbox, T0),
    )
    await second.aclose()
    assert [number for number, _ in await in_redis(hot)] == list(range(1, 41))


async def test_a_reader_goes_on_from_where_it_was(node: Open, hot: Any):
    for number in range(3):
        await announce(node, number, T0 + number * MINUTE)
    await node.store.outbox.number(await lease_of(node.store, "relay", "r"))
    stream = EventStream(hot, "prices")
    await stream.catch_up(node.store.outbox, T0)
    wanted = await node.store.outbox.after("prices", 4)
    assert await stream.read(4, block_ms=50) == wanted
    assert [(e.number, e.received_at) for e in wanted] == [(5, T0 + 2 * MINUTE), (6, T0 + 2 * MINUTE)]
    assert await stream.read(6, block_ms=50) == []
    await announce(node, 3)
    await node.store.outbox.number(await lease_of(node.store, "relay", "r"))
    await stream.catch_up(node.store.outbox, T0)
    assert [event.number for event in await stream.read(6, block_ms=50)] == [7, 8]


async def test_a_redis_that_is_away_or_full_is_a_store_that_is_unavailable(
    node: Open, hot: Any, redis_server: RedisServer
):
    await announce(node, 0)
    await node.store.outbox.number(await lease_of(node.store, "relay", "r"))
    stream = EventStream(hot, "prices")
    with redis_server.outage():
        with pytest.raises(StoreUnavailable, match="redis"):
            await stream.newest()
        with pytest.raises(StoreUnavailable, match="redis"):
            await stream.catch_up(node.store.outbox, T0)
        with pytest.raises(StoreUnavailable, match="redis"):
            await stream.read(0)
    before = (await hot.config_get("maxmemory"))["maxmemory"]
    await hot.config_set("maxmemory", "1")
    try:
        async with asyncio.timeout(10):
            with pytest.raises(StoreUnavailable, match=r"redis.*(OOM|memory)"):
                await stream.catch_up(node.store.outbox, T0)
    finally:
        await hot.config_set("maxmemory", before)
    assert await stream.catch_up(node.store.outbox, T0) == 2


async def test_a_row_without_a_number_is_not_told(node: Open):
    await announce(node, 0)
    assert await node.store.outbox.after("prices", 0) == []
    assert await node.store.outbox.newest("prices") == 0
    async with node.store.database.read() as connection:
        assert (await connection.execute(select(outbox.c.first))).scalars().all() == [None]
