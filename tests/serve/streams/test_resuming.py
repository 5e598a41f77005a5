"""Cursors: what was missed is replayed once, in order, and goes over into what is told live."""

import asyncio
import random
from typing import Any

import pytest

from ray_app.model.errors import StoreUnavailable
from ray_app.serve.streams import topic
from ray_app.serve.streams.making import Prices
from tests.serve.conftest import at
from tests.serve.filling import COINS
from tests.serve.streams.conftest import Begin, Client, Node
from tests.servers import Redis


def cursors(messages: list[dict[str, Any]]) -> list[int]:
    return [one["cursor"] for one in messages if one["type"] in ("price_update", "interval_complete", "gap")]


async def test_what_was_missed_comes_once_in_order_then_goes_on(hot: Node):
    await hot.prices({"bitcoin": "100"})
    first = await hot.socket()
    await first.subscribed()
    await hot.prices({"bitcoin": "101"})
    last = (await first.updates(2))[-1]["cursor"]
    await first.socket.close()
    for price in ("102", "103"):
        await hot.prices({"bitcoin": price, "ethereum": "1"})
    again, events = await hot.socket(query=f"?after={last}"), await hot.sse(last=last)
    ack = await again.subscribed(after=last)
    assert ack["cursor"] == last
    missed = await again.updates(6)
    assert cursors(missed) == list(range(last + 1, last + 7))
    assert [one["data"]["price_usd"] for one in missed if one.get("symbol") == "BTC"] == [102, 103]
    assert (await events.next())["type"] == "ack"
    assert [await events.next() for _ in range(6)] == [one | {"_id": str(one["cursor"])} for one in missed]
    await hot.prices({"bitcoin": "104"})
    assert cursors(await again.updates(2)) == [last + 7, last + 8]
    assert [(await events.next())["cursor"] for _ in range(2)] == [last + 7, last + 8]


async def test_the_place_in_the_address_holds_for_the_first_subscription_only(hot: Node):
    await hot.prices({"bitcoin": "100", "ethereum": "10"})
    client = await hot.socket(query="?after=0")
    await client.say(action="subscribe", symbols=["BTC"])
    await client.next("ack")
    assert cursors(await client.updates(2)) == [1, 3]
    await client.subscribed("ETH")
    await client.say(action="subscribe", symbols=["SOL"], after=1)
    assert (await client.next("error"))["error"]["code"] == "VALIDATION_ERROR"


@pytest.mark.parametrize(("redis", "in_memory"), [(True, 2_000), (True, 4), (False, 4)])
async def test_no_hole_and_no_double_while_others_commit(
    streams: Begin, fresh_redis_url: str, monkeypatch: pytest.MonkeyPatch, redis: bool, in_memory: int
):
    """Clients come and go at random while prices are committed; each sees every event after its first place."""
    monkeypatch.setattr(Prices, "first", in_memory)
    monkeypatch.setattr(topic, "KEPT_EVENTS", max(8, in_memory))
    monkeypatch.setattr(topic, "CHUNK", 7)
    monkeypatch.setattr(topic, "COALESCE", 0.01)
    node = await streams(fresh_redis_url if redis else None)
    draw = random.Random(7)
    total, commits = 0, 12
    for number in range(10):
        await node.prices({coin: str(100 + number) for coin in COINS})
        total += 4

    async def read(start: int) -> list[int]:
        place, seen = start, list[int]()
        while len(seen) < 4 * (10 + commits) - start:
            client = await node.socket(query=f"?after={place}&symbols=*")
            await client.next("ack")
            want = min(draw.randint(1, 30), 4 * (10 + commits) - start - len(seen))
            seen += cursors(await client.updates(want))
            place = seen[-1]
            await client.socket.close()
        return seen

    starts = [draw.randint(0, total) for _ in range(4)]
    reading = [asyncio.create_task(read(start)) for start in starts]
    for number in range(commits):
        await node.prices({coin: str(200 + number) for coin in COINS})
        await asyncio.sleep(0.01)
    for start, task in zip(starts, reading, strict=True):
        assert await task == list(range(start + 1, 4 * (10 + commits) + 1))


async def test_a_cursor_of_a_replica_that_was_ahead_waits_for_this_one(
    hot: Node, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(topic, "COALESCE", 0.5)
    client = await hot.socket()
    await client.subscribed()
    await hot.prices({"bitcoin": "100"})
    await client.updates(2)
    await hot.prices({"bitcoin": "101"})  # committed, and told half a second later
    ahead = await hot.socket()
    await ahead.subscribed(after=4)
    await hot.prices({"bitcoin": "102"})
    assert cursors(await ahead.updates(2)) == [5, 6]


async def test_older_than_a_day_is_a_gap_and_the_rest_follows(hot: Node, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Prices, "first", 1)
    await hot.prices({"bitcoin": "100"}, slot=1)
    await hot.prices({"bitcoin": "101"}, slot=2)
    await hot.prices({"bitcoin": "102"}, slot=300)  # a day later
    client, events = await hot.socket(), await hot.sse(query="?after=1")
    await client.subscribed(after=1)
    gap, price, _ = await client.updates(3, "gap", "price_update", "interval_complete")
    assert gap == {
        "type": "gap",
        "series": "prices",
        "from": "2026-11-23T00:05:01.417Z",
        "to": "2026-11-23T00:10:01.417Z",
        "outcome": "retention",
        "reason": "older than the 24 hours that are kept",
        "cursor": 4,
    }
    assert (price["cursor"], price["data"]["price_usd"]) == (5, 102)
    await events.next("ack")
    assert await events.next("gap") == gap | {"_id": "4"}
    within = await hot.socket()
    await within.subscribed(after=4)
    assert cursors(await within.updates(2)) == [5, 6]


async def test_a_cursor_that_is_none_of_ours(node: Node):
    for cursor in ("-1", "1.5", "1e3", "abc", "", "9" * 30, "%00", "1;2", "٣", "0x10"):
        client = await node.socket(query=f"?after={cursor}")
        assert await client.closed() == (4400, "CURSOR_INVALID"), cursor
        assert client.seen[-1]["error"]["code"] == "CURSOR_INVALID"
        answer = await _get(node, f"/api/v1/stream/prices?after={cursor}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "CURSOR_INVALID"), cursor


async def test_a_cursor_that_was_never_given_out(hot: Node):
    await hot.prices({"bitcoin": "100"})
    client = await hot.socket()
    await client.say(action="subscribe", after=3)
    assert (await client.next("error"))["error"]["code"] == "CURSOR_INVALID"
    assert await client.subscribed(after=2)
    answer = await _get(hot, "/api/v1/stream/prices", {"Last-Event-ID": "3"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "CURSOR_INVALID")


async def _get(node: Node, path: str, headers: dict[str, str] | None = None) -> Any:
    import httpx

    sent = {"Authorization": f"Bearer {node.key}"} | (headers or {})
    async with httpx.AsyncClient(base_url=node.http) as http:
        return await http.get(path, headers=sent)


async def test_with_redis_gone_nothing_is_missed_and_nothing_comes_twice(hot: Node, redis_server: Redis):
    await hot.prices({"bitcoin": "100"})
    client = await hot.socket()
    await client.subscribed()
    await hot.prices({"bitcoin": "101"})
    seen = cursors(await client.updates(2))
    with redis_server.outage():
        await hot.running.fill.prices(at(minutes=15), {"bitcoin": "102"})
        await hot.running.store.outbox.number(await hot.redis._alone.lease())
        seen += cursors(await client.updates(2))
        late = await hot.socket()
        await late.subscribed(after=seen[0])
        assert cursors(await late.updates(3)) == [4, 5, 6]
    hot.slot = 3
    with pytest.raises(StoreUnavailable):
        await hot.prices({"bitcoin": "103"})  # the connection of before
    await hot.relay()
    for one in (client, late):
        seen_again = cursors(await one.updates(2))
        assert seen_again == [7, 8]
    assert seen == [3, 4, 5, 6]


async def test_what_redis_has_lost_comes_from_sql(hot: Node):
    client = await hot.socket()
    await client.subscribed()
    await hot.prices({"bitcoin": "100"})
    await client.updates(2)
    redis = hot.running.node.parts.redis
    outbox = hot.running.store.outbox
    hot.slot += 1
    await hot.running.fill.prices(at(minutes=10), {"bitcoin": "101"})
    await outbox.number(
        await hot.redis._alone.lease()
    )  # the relay stopped before Redis had it, and another one begins later
    await redis.xadd("crypto-data:events:prices", {"e": "{}"}, id="4-0")
    await redis.xtrim("crypto-data:events:prices", maxlen=0)
    await hot.prices({"bitcoin": "102"})
    assert cursors(await client.updates(4)) == [3, 4, 5, 6]


async def test_a_client_that_comes_back_in_the_middle_of_a_burst(hot: Node, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(topic, "STEP_BYTES", 2_000)  # one price a step
    client = await hot.socket()
    await client.subscribed()
    await hot.prices(dict.fromkeys(COINS, "100"))
    first = await client.next("price_update")
    other: Client = await hot.socket()
    await other.subscribed(after=first["cursor"])
    assert cursors(await other.updates(3)) == [2, 3, 4]
    assert cursors(await client.updates(3)) == [2, 3, 4]
