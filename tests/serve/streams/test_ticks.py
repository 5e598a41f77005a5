"""Ticks: told on at once to whoever asked for them, never stored."""

import asyncio
from decimal import Decimal
from typing import Any

from ray_app.model.declared import declare
from ray_app.model.feed import Tick
from ray_app.model.symbols import Asset, Listing, Registry
from ray_app.sources import binance
from ray_app.store.hot import Passing
from tests.serve.filling import DAY, REGISTRY, START, coin
from tests.serve.streams.conftest import Begin

PLAN = binance.SOURCE.plans[0]
PAIRS = ("BTCUSDT", "ETHUSDT")


def listed(one: Asset) -> Asset:
    listings = (*one.listings, Listing("binance", f"{one.symbol}USDT"))
    return Asset(one.id, one.symbol, one.name, listings=listings, tracked_from=one.tracked_from)


def tick(pair: str, price: str) -> dict[str, Any]:
    told = Tick(symbol=pair, at=START, price=Decimal(price), volume_24h=Decimal(5))
    return {"series": ["binance.ticks", pair], **told.model_dump(mode="json")}


async def test_the_newest_of_each_pair_to_whoever_asked(streams: Begin, fresh_redis_url: str):
    registry = Registry([listed(REGISTRY.resolve("bitcoin")), listed(REGISTRY.resolve("ethereum"))])
    node = await streams(fresh_redis_url, registry=registry)
    line = declare(binance.SOURCE, PLAN, PLAN.streams[0], PAIRS, 3 * DAY)
    await node.running.store.catalog.declare({f"binance.{PLAN.streams[0].name}": line}, START)
    client, plain = await node.socket(), await node.socket(query="?symbols=BTC")
    events = await node.sse(query="?symbols=BTC&channels=ticks")
    await client.say(action="subscribe", symbols=["BTC"], channels=["ticks"])
    assert (await client.next("ack"))["channels"] == ["ticks"]
    for one in (client, plain, events):
        while (await one.next())["type"] != "snapshot":
            pass
    passing = Passing(node.running.node.parts.redis)
    last: dict[str, Any] = {}
    while not last:  # the follower begins with what is told after it came
        for price in ("100.5", "100.75"):
            await passing.publish("ticks", [tick("BTCUSDT", price), tick("ETHUSDT", "10")])
        try:
            (last,) = (await client.next("ticks", seconds=0.3))["data"]
        except TimeoutError:
            continue
    while last["price"] != 100.75:
        (last,) = (await client.next("ticks"))["data"]
    assert last == {
        "symbol": "BTC",
        "pair": "BTCUSDT",
        "source": "binance",
        "price": 100.75,
        "volume_24h": 5,
        "timestamp": "2026-11-23T00:00:00.000Z",
    }
    told = await events.next("ticks")
    assert (told["data"][0]["symbol"], told["_id"]) == ("BTC", None)
    await client.say(action="unsubscribe", channels=["ticks"])
    while (await client.next("ack", "ticks"))["type"] != "ack":
        pass
    await passing.publish("ticks", [tick("BTCUSDT", "101")])
    assert (await events.next("ticks"))["data"][-1]["price"] in (100.75, 101)
    await client.silent()
    await plain.silent()


async def test_a_pair_of_nobodys_licence_is_for_internal_keys(streams: Begin, fresh_redis_url: str):
    """No data set has it, so nobody said that it may be passed on."""
    node = await streams(fresh_redis_url, registry=Registry([listed(coin("bitcoin", "BTC", "Bitcoin"))]))
    inside = await node.running.new_key("read:prices", internal=True)
    client, open_ = await node.socket(key=inside), await node.socket()
    for one in (client, open_):
        await one.say(action="subscribe", channels=["ticks"])
        await one.updates(2, "ack", "snapshot")
    passing = Passing(node.running.node.parts.redis)
    async with asyncio.timeout(10):
        while True:
            await passing.publish("ticks", [tick("BTCUSDT", "1")])
            try:
                await client.next("ticks", seconds=0.3)
            except TimeoutError:
                continue
            break
    await open_.silent()
