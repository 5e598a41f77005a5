"""One topic's events for readers, from Redis where it is and from SQL where it is not."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import insert

from ray_app.model.clock import SystemClock
from ray_app.store import eventlog
from ray_app.store.engine import dumps
from ray_app.store.eventlog import EventLog
from ray_app.store.hot import EventStream, forget_others, redis_client, stream_key
from ray_app.store.tables import outbox
from tests.servers import Redis as RedisServer
from tests.store.conftest import Open
from tests.store.made import DAY, T0
from tests.store.test_outbox import announce, lease_of

WALL = SystemClock()


@pytest.fixture
async def hot(fresh_redis_url: str):
    redis = redis_client(fresh_redis_url)
    yield redis
    await redis.aclose()


async def number(node: Open) -> None:
    await node.store.outbox.number(await lease_of(node.store, "relay", "r"))


async def read(events: Any, count: int) -> list[int]:
    """The numbers of the next `count` events of a follower."""
    out: list[int] = []
    async with asyncio.timeout(15):
        while len(out) < count:
            out += [one.number for one in await anext(events)]
    return out


@pytest.mark.parametrize("redis", [True, False])
async def test_a_follower_gets_what_was_there_and_what_comes(node: Open, hot: Any, redis: bool):
    for n in range(3):
        await announce(node, n)
    await number(node)
    stream = EventStream(hot, "prices")
    log = EventLog("prices", node.store.outbox, hot if redis else None, WALL)
    assert await log.newest() == 6
    assert [one.number for one in await log.after(1, 3)] == [2, 3, 4]
    await stream.catch_up(node.store.outbox, T0)
    following: Any = log.follow(2)
    assert await read(following, 4) == [3, 4, 5, 6]
    await announce(node, 3)
    await number(node)
    await stream.catch_up(node.store.outbox, T0)
    assert await read(following, 2) == [7, 8]
    await following.aclose()


async def test_a_follower_goes_over_to_sql_and_back(node: Open, hot: Any, redis_server: RedisServer):
    stream = EventStream(hot, "prices")
    following: Any = EventLog("prices", node.store.outbox, hot, WALL).follow(0)
    for n, down in enumerate((False, True, False)):
        await announce(node, n)
        await number(node)
        if down:
            with redis_server.outage():
                assert await read(following, 2) == [3, 4]
        else:
            await EventStream(hot, "prices").catch_up(node.store.outbox, T0)
            assert await read(following, 2) == [2 * n + 1, 2 * n + 2]
    await following.aclose()
    assert await stream.newest() == 6


async def test_a_redis_that_takes_nothing_any_more_holds_nothing_back(
    node: Open, hot: Any, monkeypatch: pytest.MonkeyPatch
):
    """It answers, and is full: the relay waits, and readers look at SQL after some seconds of silence."""
    monkeypatch.setattr(eventlog, "SQL_TOO", 0.2)
    monkeypatch.setattr(eventlog, "BLOCK_MS", 50)
    following: Any = EventLog("prices", node.store.outbox, hot, WALL).follow(0)
    await announce(node, 0)
    await number(node)
    assert await read(following, 2) == [1, 2]
    await following.aclose()


async def test_what_is_missing_in_redis_is_read_from_sql(node: Open, hot: Any):
    for n in range(3):
        await announce(node, n)
    await number(node)
    await EventStream(hot, "prices").catch_up(node.store.outbox, T0)
    await hot.xtrim(stream_key("prices"), minid="4-0", approximate=False)
    log = EventLog("prices", node.store.outbox, hot, WALL)
    assert [one.number for one in await log.after(1)] == [2, 3, 4, 5, 6]
    following: Any = log.follow(1)
    assert await read(following, 5) == [2, 3, 4, 5, 6]
    await following.aclose()


async def test_where_a_cursor_is_in_time(node: Open):
    for n, age in enumerate((2 * DAY, DAY / 2)):
        await announce(node, n, T0 - age)
    await number(node)
    log = EventLog("prices", node.store.outbox, None, WALL)
    assert await log.oldest(T0) == 2
    assert [await log.received(n) for n in range(6)] == [
        None, T0 - 2 * DAY, T0 - 2 * DAY, T0 - DAY / 2, T0 - DAY / 2, None,
    ]  # fmt: skip


async def test_streams_of_another_store_are_removed_from_redis(node: Open, hot: Any):
    await announce(node, 0)
    await number(node)
    await EventStream(hot, "prices").catch_up(node.store.outbox, T0)
    await hot.xadd(stream_key("posts"), {"e": "{}"}, id="1-0")
    await hot.set("crypto-data:other", "1")
    assert await forget_others(hot, ["prices"], node.store.outbox) == [stream_key("posts")]
    await hot.xadd(stream_key("prices"), {"e": "{}"}, id="3-0")  # a database that was restored lacks this
    assert await forget_others(hot, ["prices"], node.store.outbox) == [stream_key("prices")]
    assert await hot.keys("*") == ["crypto-data:other"]


async def test_events_of_articles_and_posts_become_one_topic(node: Open):
    """A store of before had a topic for each; their events get new numbers in the order in which they came."""
    import importlib

    from alembic.migration import MigrationContext
    from alembic.operations import Operations

    old = [("articles", 1), ("posts", 1), ("articles", 2), ("prices", 1)]
    async with node.store.database.write() as connection:
        for topic, first in old:
            row = {"topic": topic, "events": dumps([{"of": topic, "n": first}]), "count": 1, "first": first}
            await connection.execute(insert(outbox).values(**row, received_at=T0))

        def upgrade(sync: Any) -> None:
            with Operations.context(MigrationContext.configure(sync)) as operations:
                operations.drop_index("outbox_waiting", "outbox")
                importlib.import_module("ray_app.store.migrations.versions.news_topic").upgrade()

        await connection.run_sync(upgrade)
    await number(node)
    found = {topic: await node.store.outbox.after(topic, 0) for topic in ("news", "prices", "posts")}
    assert [(one.number, one.record) for one in found["news"]] == [
        (1, {"of": "articles", "n": 1}),
        (2, {"of": "posts", "n": 1}),
        (3, {"of": "articles", "n": 2}),
    ]
    assert [one.number for one in found["prices"]] == [1]
    assert found["posts"] == []
