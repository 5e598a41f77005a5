"""Kept answers: dropped at once when the coin is observed, never another coin's, right without the cache."""

import asyncio
import time
from collections.abc import Callable

import pytest

from ray_app.serve import prices as prices_module
from ray_app.serve.prices import CurrentPrices
from ray_app.store.hot import EventStream, redis_client
from tests.serve.conftest import Running, Start, at
from tests.servers import Redis

PATH = "/api/v1/prices/current"


async def until(true: Callable[[], bool], seconds: float = 8.0) -> float:
    """Wait for it; how long that took."""
    began = time.monotonic()
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.005)
    return time.monotonic() - began


async def relay(running: Running, url: str) -> None:
    """What the relay does after each commit."""
    redis = redis_client(url)
    await running.store.outbox.number(running.fill.lease)
    await EventStream(redis, "prices").catch_up(running.store.outbox, running.clock.now())
    await redis.aclose()


async def test_a_new_observation_shows_at_once(start: Start, fresh_redis_url: str):
    running = await start(fresh_redis_url)
    prices: CurrentPrices = running.node.prices
    await running.fill.declare()
    await running.fill.prices(at(), {"bitcoin": "100", "ethereum": "7"})
    await relay(running, fresh_redis_url)
    await until(lambda: prices.told)
    running.clock.set(at(minutes=3))
    assert (await running.get(f"{PATH}/BTC"))["current_price"]["usd"] == 100
    eth = await running.get(f"{PATH}/ETH")
    kept = prices.kept(("BTC", b""), running.clock.now())
    await running.fill.prices(at(minutes=5), {"bitcoin": "101"}, asked=("bitcoin",))
    running.clock.set(at(minutes=6))
    assert (await running.get(f"{PATH}/BTC"))["current_price"]["usd"] == 100  # nobody has told us yet
    assert prices.kept(("BTC", b""), running.clock.now()) is kept
    await relay(running, fresh_redis_url)
    took = await until(lambda: prices.kept(("BTC", b""), running.clock.now()) is None)
    assert took < 1
    assert (await running.get(f"{PATH}/BTC"))["current_price"]["usd"] == 101
    assert prices.kept(("ETH", b""), running.clock.now()) is not None  # the other coin's answer stayed
    assert (await running.get(f"{PATH}/ETH"))["current_price"] == eth["current_price"]


async def test_the_tail_comes_back_after_redis_was_away(
    start: Start, redis_server: Redis, fresh_redis_url: str
):
    running = await start(fresh_redis_url)
    prices: CurrentPrices = running.node.prices
    await running.fill.declare()
    await running.fill.prices(at(), {"bitcoin": "100"})
    await until(lambda: prices.told)
    running.clock.set(at(minutes=3))
    with redis_server.outage():
        await until(lambda: not prices.told)
        assert (await running.get(f"{PATH}/BTC"))["current_price"]["usd"] == 100
        await running.fill.prices(at(minutes=5), {"bitcoin": "101"})
        running.clock.set(at(minutes=8))
        await asyncio.sleep(1.1)
        assert (await running.get(f"{PATH}/BTC"))["current_price"]["usd"] == 101
    await until(lambda: prices.told)
    await running.fill.prices(at(minutes=10), {"bitcoin": "102"})
    running.clock.set(at(minutes=11))
    await relay(running, fresh_redis_url)
    await until(lambda: prices.kept(("BTC", b""), running.clock.now()) is None)
    assert (await running.get(f"{PATH}/BTC"))["current_price"]["usd"] == 102


async def test_many_who_ask_at_once_are_answered_by_one_reading(
    node: Running, monkeypatch: pytest.MonkeyPatch
):
    await node.fill.prices(at(), {"bitcoin": "100", "ethereum": "7", "solana": "5"})
    node.clock.set(at(minutes=3))
    readings = 0
    read = node.store.reading.latest

    async def counted(*args, **more):
        nonlocal readings
        readings += 1
        return await read(*args, **more)

    monkeypatch.setattr(node.store.reading, "latest", counted)
    names = ["BTC", "ETH", "SOL"] * 30
    bodies = await asyncio.gather(*(node.get(f"{PATH}/{name}") for name in names))
    expected = {"BTC": 100, "ETH": 7, "SOL": 5}
    for name, body in zip(names, bodies, strict=True):
        assert (body["symbol"], body["current_price"]["usd"]) == (name, expected[name])
    assert readings == 3


async def test_options_have_answers_of_their_own(node: Running):
    await node.fill.prices(at(), {"bitcoin": "100", "ethereum": "50"})
    await node.fill.rates(at(), {"usd": "4", "eur": "1"})
    node.clock.set(at(minutes=3))
    for _ in range(2):
        assert (await node.get(f"{PATH}/BTC"))["current_price"] == {"usd": 100}
        assert (await node.get(f"{PATH}/BTC", vs_currencies="eur"))["current_price"] == {"eur": 25}
        assert (await node.get(f"{PATH}/ETH", vs_currencies="eur"))["current_price"] == {"eur": 12.5}
        assert "market_cap" not in await node.get(f"{PATH}/BTC", include_market_cap="false")
        many = await node.get(PATH, symbols="BTC", vs_currencies="eur")
        assert many["data"][0]["current_price"] == {"eur": 25}


async def test_what_is_kept_is_bounded(node: Running, monkeypatch: pytest.MonkeyPatch):
    await node.fill.prices(at(), {"bitcoin": "100"})
    prices: CurrentPrices = node.node.prices
    monkeypatch.setattr(prices_module, "MOST_KEPT", 20)
    for number in range(50):
        name = "bTc" if number % 2 else "BTC"
        await node.get(f"{PATH}/{name}", vs_currencies="usd" + ",usd" * number)
        assert len(prices._kept) <= 20
