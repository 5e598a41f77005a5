"""MariaDB away for a minute of collection, Redis away, a full disk: no page is lost, nothing stored twice."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from ray_app.app import open_with
from ray_app.model.clock import SystemClock
from ray_app.model.errors import StoreUnavailable
from ray_app.model.records import Price
from ray_app.model.timerange import TimeRange
from ray_app.runtime.collector import Shard
from ray_app.runtime.keeper import keeper_for
from ray_app.runtime.opening import Node
from ray_app.settings import Settings
from tests.servers import MariaDB, Redis

WALL = SystemClock()


async def until(condition: Callable[[], Any], seconds: float = 60) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    while not await condition():
        assert asyncio.get_running_loop().time() < deadline, f"not within {seconds} s"
        await WALL.sleep(0.1)


def shard_of(node: Node, members: list[str], owner: str, cluster: str = "") -> Shard:
    """As the collector runs it where there is no keeper to ask, and no Ray: its turns come from SQL."""
    keepers = {assigned.scope: keeper_for(node, assigned) for assigned in node.assigned}
    return Shard(node, "collect-0", members, WALL, owner, lambda one: keepers[one.scope], cluster=cluster)


async def slots(node: Node) -> list[tuple[str, Any]]:
    """(coin, slot) of every stored price, with repetitions if there were any."""
    everything = TimeRange(node.clock.now() - timedelta(days=30), node.clock.now() + timedelta(days=30))
    facts = await node.store.reading.between(
        Price, "coingecko.prices", node.partitions(node.streams()[0][1]), everything
    )
    assert all(fact.revision == 0 for fact in facts)
    return [(fact.partition, fact.cursor) for fact in facts]


@pytest.mark.slow
async def test_a_minute_without_mariadb_loses_no_page(
    mariadb: MariaDB, fresh_mariadb_database: str, simulate: Any, settings_for: Callable[..., Settings]
):
    """At four times the speed a slot of five minutes lasts 75 s; the outage is a real minute, four leases long."""
    address = simulate("--speed", "4", "--no-limits", "--start", "2026-05-01T08:03:30+00:00")
    node = await open_with(
        settings_for(address, database_url=fresh_mariadb_database, history=timedelta(hours=3))
    )
    await node.store.database.prepare(simulated=True)
    await node.declare(node.clock.now())
    members = [f"coingecko.{stream.name}" for _, stream in node.streams()]
    running = asyncio.create_task(shard_of(node, members, "outage").run())
    try:

        async def priced() -> bool:
            return len({slot for _, slot in await slots(node)}) >= 1

        await until(priced)
        first = {slot for _, slot in await slots(node)}
        with mariadb.outage():
            await WALL.sleep(60)

        async def more() -> bool:
            return len({slot for _, slot in await slots(node)} - first) >= 2

        await until(more, 120)
        stored = await slots(node)
        assert len(stored) == len(set(stored))
        seen = sorted({slot for _, slot in stored})
        assert seen == [seen[0] + n * timedelta(minutes=5) for n in range(len(seen))], "no slot was lost"
        async with httpx.AsyncClient(base_url=address) as http:
            asked = (await http.get("/sim/ledger?path=*/coins/markets")).json()["arrivals"]
        assert len(asked) <= len(seen) + 1, "an answer that was kept is not asked for again"
        pages = {page.id for page in node.store.raw.pages() if page.stream == "prices" and page.status == 200}
        named = {page for m in node.store.raw.manifests() if m["stream"] == "prices" for page in m["pages"]}
        assert pages - named <= set(), "every page that was kept is in a slice"
        assert not running.done(), running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await node.close()


@pytest.mark.slow
async def test_without_redis_collecting_goes_on_and_its_events_come_later(
    redis_server: Redis, fresh_redis_url: str, simulate: Any, settings_for: Callable[..., Settings]
):
    from ray_app.store.hot import EventStream, redis_client

    address = simulate("--speed", "60", "--no-limits")
    node = await open_with(settings_for(address, redis_url=fresh_redis_url, history=timedelta(hours=2)))
    await node.store.database.prepare(simulated=True)
    await node.declare(node.clock.now())
    running = asyncio.create_task(shard_of(node, ["coingecko.prices"], "redis").run())
    redis = redis_client(fresh_redis_url)
    try:

        async def numbered() -> bool:
            return await node.store.outbox.newest("prices") > 0

        await until(numbered)
        with redis_server.outage():
            before = await node.store.outbox.newest("prices")

            async def further() -> bool:
                return await node.store.outbox.newest("prices") >= before + 60

            await until(further)

        async def caught_up() -> bool:
            try:
                return await EventStream(redis, "prices").newest() >= before + 60
            except StoreUnavailable:
                return False

        await until(caught_up)
        entries: Any = await redis.xrange("crypto-data:events:prices")
        numbers = [int(number.split("-")[0]) for number, _ in entries]
        assert numbers == list(range(1, len(numbers) + 1)), "the same numbers, none missing, none twice"
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await redis.aclose()
        await node.close()


async def test_a_full_database_keeps_the_answer_and_goes_on_when_there_is_room(
    simulate: Any, settings_for: Callable[..., Settings]
):
    node = await open_with(settings_for(simulate("--no-limits"), history=timedelta(hours=30)))
    await node.store.database.prepare(simulated=True)
    await node.declare(node.clock.now())

    ceiling: dict[str, int] = {}

    async def limit(pages: int) -> None:
        """SQLite's own ceiling of a file, per connection: the same error as a full disk."""
        async with node.store.database.write() as connection:
            size = (await connection.exec_driver_sql("PRAGMA page_count")).scalar_one()
        ceiling["pages"] = size + pages
        await node.store.database.engine.dispose()

    from sqlalchemy import event

    @event.listens_for(node.store.database.engine.sync_engine, "connect")
    def limited(dbapi: Any, _: Any) -> None:
        if pages := ceiling.get("pages"):
            cursor = dbapi.cursor()
            cursor.execute(f"PRAGMA max_page_count={pages}")
            cursor.close()

    await limit(3)
    running = asyncio.create_task(shard_of(node, ["coingecko.prices"], "full").run())
    try:

        async def kept() -> bool:
            return len(list(node.store.raw.manifests())) >= 1

        await until(kept)
        assert await slots(node) == []
        await limit(100_000)

        async def stored() -> bool:
            return len(await slots(node)) >= 60

        await until(stored)
        assert not running.done()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await node.close()


@pytest.mark.slow
async def test_two_clusters_at_once_have_one_owner_and_hand_over(
    simulate: Any, settings_for: Callable[..., Settings]
):
    """An upgrade: the new cluster's collector stands by, takes over when all of it runs, and nothing doubles."""
    address = simulate("--speed", "20", "--no-limits", "--start", "2026-05-01T08:00:30+00:00")
    settings = settings_for(address, history=timedelta(hours=3))
    members = ["coingecko.prices", "coingecko.bars_1h"]
    nodes = [await open_with(settings), await open_with(settings)]
    await nodes[0].store.database.prepare(simulated=True)
    await nodes[0].declare(nodes[0].clock.now())
    old, new = (
        shard_of(node, members, "actor", cluster) for node, cluster in zip(nodes, ("old", "new"), strict=True)
    )
    await old.succession.announce()
    tasks = [asyncio.create_task(old.run())]
    try:

        async def owned() -> bool:
            return len(await slots(nodes[0])) > 0

        await until(owned)
        tasks.append(asyncio.create_task(new.run()))

        async def further() -> bool:
            return len({slot for _, slot in await slots(nodes[0])}) >= 2

        await until(further)
        assert new.lease is None, "the second one stands by"
        stale = old.lease
        assert stale is not None
        await new.succession.announce()

        async def taken() -> bool:
            return new.lease is not None and len({slot for _, slot in await slots(nodes[1])}) >= 4

        await until(taken)
        assert new.lease is not None
        assert old.lease is None, "it let go"
        assert not tasks[0].done(), "and stands by"
        assert new.lease.fence > stale.fence
        stored = await slots(nodes[1])
        assert len(stored) == len(set(stored))
        seen = sorted({slot for _, slot in stored})
        assert seen == [seen[0] + n * timedelta(minutes=5) for n in range(len(seen))]
        async with httpx.AsyncClient(base_url=address) as http:
            asked = (await http.get("/sim/ledger?path=*/coins/markets")).json()["arrivals"]
        assert len(asked) <= len(seen) + 1, "two collectors never spend the same call twice"
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for node in nodes:
            await node.close()
