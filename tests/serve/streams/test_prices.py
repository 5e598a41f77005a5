"""Prices over WebSockets and server-sent events: snapshot, updates, intervals, cursors."""

import json
from typing import Any

from ray_app.model.timerange import TimeRange
from tests.serve.conftest import at
from tests.serve.filling import COINS
from tests.serve.streams.conftest import Node


def shown(message: dict[str, Any]) -> tuple[str, str | None, Any]:
    """What of a message tests compare: type, symbol or members, price or outcome."""
    if message["type"] in ("interval_complete", "gap"):
        return message["type"], ",".join(message["members"]), message.get("outcome")
    return message["type"], message["symbol"], message["data"]["price_usd"]


async def test_a_snapshot_then_each_price_as_it_is_committed(hot: Node):
    await hot.prices({"bitcoin": "100.50", "ethereum": "10"})
    client = await hot.socket()
    snapshot = await client.subscribed()
    assert {(one["symbol"], one["data"]["price_usd"]) for one in snapshot["data"]} == {
        ("BTC", 100.5),
        ("ETH", 10),
    }
    assert snapshot["cursor"] == 3  # two prices and the interval
    await hot.prices({"bitcoin": "101.25", "ethereum": "11", "solana": "1"})
    told = await client.updates(4)
    assert [shown(one) for one in told] == [
        ("price_update", "BTC", 101.25),
        ("price_update", "ETH", 11),
        ("price_update", "SOL", 1),
        ("interval_complete", ",".join(COINS), None),
    ]
    assert [one["cursor"] for one in told] == [4, 5, 6, 7]
    assert told[0] == {
        "type": "price_update",
        "symbol": "BTC",
        "id": "bitcoin",
        "data": {
            "price_usd": 101.25,
            "volume_24h": None,
            "market_cap": 1000000,
            "change_24h": -1.5,
            "change_percent_24h": -0.25,
        },
        "timestamp": "2026-11-23T00:09:40.000Z",
        "slot": "2026-11-23T00:10:00.000Z",
        "received_at": "2026-11-23T00:10:01.417Z",
        "source": "coingecko",
        "revision": 0,
        "record_id": "coingecko.prices:bitcoin:2026-11-23T00:10:00+00:00:0",
        "cursor": 4,
    }
    assert (await hot.running.get(f"/api/v1/lineage/{told[0]['record_id']}"))["series"] == "bitcoin"
    assert {k: told[3][k] for k in ("series", "from", "to")} == {
        "series": "coingecko.prices",
        "from": "2026-11-23T00:10:00.000Z",
        "to": "2026-11-23T00:15:00.000Z",
    }


async def test_both_kinds_tell_the_same_under_the_same_cursors(hot: Node):
    await hot.prices({"bitcoin": "100"})
    client, events = await hot.socket(), await hot.sse()
    await client.subscribed()
    assert [(await events.next())["type"] for _ in range(2)] == ["ack", "snapshot"]
    assert events.retries == [3000]
    await hot.prices({"bitcoin": "101", "ethereum": "11"})
    over_socket = await client.updates(3)
    over_sse = [await events.next() for _ in range(3)]
    assert [one.pop("_id") for one in over_sse] == [str(one["cursor"]) for one in over_socket]
    assert over_sse == over_socket


async def test_only_what_was_subscribed_to(hot: Node):
    await hot.prices({"bitcoin": "100", "ethereum": "10", "solana": "1"})
    client = await hot.socket()
    snapshot = await client.subscribed("btc")
    assert [one["symbol"] for one in snapshot["data"]] == ["BTC"]
    more = await client.subscribed("SOL-USD")
    assert [one["symbol"] for one in more["data"]] == ["SOL"]
    await hot.prices({"bitcoin": "101", "ethereum": "11", "solana": "2"})
    told = await client.updates(3)
    assert [shown(one)[1:] for one in told] == [("BTC", 101), ("SOL", 2), (",".join(COINS), None)]
    await client.say(action="unsubscribe", symbols=["bitcoin"], id="u1")
    ack = await client.next("ack")
    assert (ack["symbols"], ack["id"], ack["cursor"]) == (["SOL"], "u1", told[-1]["cursor"])
    await hot.prices({"bitcoin": "102", "solana": "3"})
    assert [shown(one)[1:] for one in await client.updates(2)] == [("SOL", 3), (",".join(COINS), None)]
    await client.say(action="unsubscribe")
    assert (await client.next("ack"))["symbols"] == []
    await hot.prices({"bitcoin": "103", "solana": "4"})
    await client.silent()
    await client.say(action="ping")
    assert (await client.next("ack"))["action"] == "ping"


async def test_the_address_can_subscribe_as_well(hot: Node):
    await hot.prices({"bitcoin": "100", "ethereum": "10"})
    client = await hot.socket(query="?symbols=eth&fields=price")
    ack = await client.next("ack")
    assert (ack["symbols"], ack["fields"]) == (["ETH"], ["price_usd"])
    snapshot = await client.next("snapshot")
    assert [one["data"] for one in snapshot["data"]] == [{"price_usd": 10}]
    everything = await hot.socket(query="?symbols=*")
    assert (await everything.next("ack"))["symbols"] is None
    assert len((await everything.next("snapshot"))["data"]) == 2


async def test_fields_cut_the_data(hot: Node):
    await hot.prices({"bitcoin": "100"})
    events = await hot.sse(query="?symbols=BTC,ETH&fields=price,change")
    await events.next("ack")
    (one,) = (await events.next("snapshot"))["data"]
    assert one["data"] == {"price_usd": 100, "change_24h": -1.5}


async def test_several_messages_in_a_frame_where_that_is_asked_for(hot: Node):
    await hot.prices({"bitcoin": "100"})
    client = await hot.socket()
    await client.say(action="subscribe", batch=True)
    assert json.loads(await client.socket.recv())[0]["type"] == "ack"
    assert json.loads(await client.socket.recv())[0]["type"] == "snapshot"
    await hot.prices({"bitcoin": "101", "ethereum": "11"})
    frame = json.loads(await client.socket.recv())
    assert [shown(one)[1:] for one in frame] == [("BTC", 101), ("ETH", 11), (",".join(COINS), None)]


async def test_a_correction_is_an_update_and_older_news_does_not_replace_the_snapshot(hot: Node):
    await hot.prices({"bitcoin": "100"}, slot=1)
    await hot.prices({"bitcoin": "102"}, slot=2)
    client = await hot.socket()
    await client.subscribed("BTC")
    late = {"at": at(minutes=12), "updated_at": at(minutes=4)}
    await hot.prices({"bitcoin": "99.5"}, slot=1, **late)
    told = await client.next("price_update")
    assert (told["data"]["price_usd"], told["revision"], told["slot"]) == (
        99.5,
        1,
        "2026-11-23T00:05:00.000Z",
    )
    other = await hot.socket()
    (one,) = (await other.subscribed("BTC"))["data"]
    assert one["data"]["price_usd"] == 102


async def test_a_gap_is_told_once_and_that_it_was_filled(hot: Node):
    client = await hot.socket()
    await client.subscribed("BTC")
    over = TimeRange(at(minutes=5), at(minutes=10))
    for second in (1, 2):
        await hot.running.fill.failed("prices", COINS, over, at(minutes=5, seconds=second))
        await hot.relay()
    told = await client.next("gap")
    assert {k: told[k] for k in ("series", "from", "to", "outcome", "reason", "members")} == {
        "series": "coingecko.prices",
        "from": "2026-11-23T00:05:00.000Z",
        "to": "2026-11-23T00:10:00.000Z",
        "outcome": "failed",
        "reason": "Transient: HTTP 503",
        "members": sorted(COINS),
    }
    await hot.prices({"bitcoin": "100"})
    assert [one["type"] for one in await client.updates(2)] == ["price_update", "interval_complete"]
    await hot.running.fill.not_offered("prices", ["solana"], over, at(minutes=20))
    await hot.relay()
    await client.silent()  # of a coin that it did not ask for


async def test_without_redis_everything_is_told_but_ticks(node: Node):
    client = await node.socket()
    await client.subscribed()
    await node.prices({"bitcoin": "100"})
    assert [one["type"] for one in await client.updates(2)] == ["price_update", "interval_complete"]
    await client.say(action="subscribe", channels=["ticks"])
    assert (await client.next("error"))["error"]["code"] == "DATA_NOT_AVAILABLE"
