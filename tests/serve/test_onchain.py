"""On-chain metrics by asset with their providers; funding rates and open interest with their venue."""

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from ray_app.model.symbols import Asset, Listing, Registry
from ray_app.model.timerange import TimeRange
from ray_app.sources import binance_futures, coinmetrics, defillama, etherscan, mempool
from tests.serve.conftest import Running, Start, at, stable
from tests.serve.filling import DAY, HOUR, REGISTRY, START
from tests.serve.sources import answered, declared

ONCHAIN, DERIVATIVES = "/api/v1/onchain", "/api/v1/derivatives"
TEN = timedelta(minutes=10)


def listed(asset: Asset, **ids: str) -> Asset:
    return replace(asset, listings=(*asset.listings, *(Listing(venue, id_) for venue, id_ in ids.items())))


PAIRS = {"bitcoin": "BTCUSDT", "ethereum": "ETHUSDT"}
TRADED = Registry([listed(one, binance=PAIRS[one.id]) if one.id in PAIRS else one for one in REGISTRY.assets])


@pytest.fixture
async def node(start: Start) -> Running:
    running = await start()
    await filled(running)
    return running


async def filled(running: Running) -> None:
    """Three days of active addresses, a look at the mempool, value locked, gas without its key."""
    for source in (coinmetrics.SOURCE, mempool.SOURCE, defillama.SOURCE):
        await declared(running, source)
    await declared(running, etherscan.SOURCE, missing="etherscan_key")
    days = [
        {"asset": "btc", "time": f"2026-11-{day}T00:00:00.000000000Z", "AdrActCnt": f"81234{day}.5"}
        for day in (19, 20, 21)
    ]
    over = TimeRange(START - 4 * DAY, START - DAY)
    await answered(running, coinmetrics.SOURCE, "metrics", ["btc.AdrActCnt"], over, {"data": days}, at(0, 1))
    waiting = TimeRange(START, START + TEN)
    body = {"count": 41234, "vsize": 23456789, "total_fee": 1234567}
    names = ["btc.mempool_tx", "btc.mempool_vsize", "btc.mempool_fees"]
    await answered(running, mempool.SOURCE, "waiting", names, waiting, body, at(0, 2), mempool.WAITING)
    locked = [{"date": int((START - n * DAY).timestamp()), "tvl": 10**9 + n} for n in (3, 2, 1)]
    tvl = TimeRange(START - 3 * DAY, START)
    for chain in ("ethereum", "all"):
        await answered(running, defillama.SOURCE, "tvl", [f"{chain}.tvl"], tvl, locked, at(0, 3))
    running.clock.set(at(minutes=5))


def shown(body: Any) -> list[tuple[Any, ...]]:
    return [(row["provider"], row["metric"], row["time"][:10], row["value"]) for row in body["data"]]


async def test_the_newest_of_each_metric_with_its_provider(node: Running):
    raw = (await node.http.get(await internal(node, f"{ONCHAIN}/BTC"))).content
    body = json.loads(raw, parse_float=Decimal)
    assert shown(body) == [
        ("coinmetrics", "AdrActCnt", "2026-11-21", Decimal("8123421.5")),
        ("mempool", "mempool_fees", "2026-11-23", 1234567),
        ("mempool", "mempool_tx", "2026-11-23", 41234),
        ("mempool", "mempool_vsize", "2026-11-23", 23456789),
    ]
    assert body["data"][0] == {
        "metric": "AdrActCnt",
        "provider": "coinmetrics",
        "time": "2026-11-21T00:00:00.000Z",
        "value": Decimal("8123421.5"),
        "unit": "addresses",
        "known_at": "2026-11-22T02:00:00.000Z",
        "received_at": "2026-11-23T00:01:00.000Z",
        "record_id": "coinmetrics.metrics:btc.AdrActCnt:2026-11-21T00:00:00+00:00:0",
    }
    described = {(one["provider"], one["metric"]): one for one in body["metrics"]}
    assert len(described) == len([one for one in coinmetrics.ABOUT if one.startswith("btc")]) + len(
        mempool.METRICS
    )
    fees = described["mempool", "fee_rate_fast"]
    assert (fees["title"], fees["unit"], fees["licence"]) == (
        "Fee rate for the next block",
        "sat/vB",
        "attribution",
    )
    assert body["meta"]["source"] == "coinmetrics, mempool"


async def internal(node: Running, path: str) -> str:
    """From here on the test's key is one marked internal."""
    key = await node.new_key("read:onchain", "read:prices", internal=True)
    node.http.headers["Authorization"] = f"Bearer {key}"
    return path


async def test_a_range_newest_first_and_its_pages(node: Running):
    path = await internal(node, f"{ONCHAIN}/bitcoin")
    query = {"start": "2026-11-20", "metrics": "mempool_tx,adractcnt"}
    whole = await node.get(path, **query)
    assert shown(whole) == [
        ("coinmetrics", "AdrActCnt", "2026-11-21", 8123421.5),
        ("coinmetrics", "AdrActCnt", "2026-11-20", 8123420.5),
        ("mempool", "mempool_tx", "2026-11-23", 41234),
    ]
    rows, cursor = [], None
    while True:
        body = await node.get(path, limit=1, **query, **({"cursor": cursor} if cursor else {}))
        rows += body["data"]
        if (cursor := body["meta"]["cursor"]) is None:
            break
    assert rows == whole["data"]
    until = await node.get(path, end="2026-11-20", metrics="AdrActCnt")
    assert shown(until) == [("coinmetrics", "AdrActCnt", "2026-11-19", 8123419.5)]


async def test_a_day_is_known_two_hours_after_its_end(node: Running):
    path = await internal(node, f"{ONCHAIN}/BTC")
    for moment, day in (("2026-11-22T01:59:59.999Z", "2026-11-20"), ("2026-11-22T02:00:00Z", "2026-11-21")):
        body = await node.get(path, metrics="AdrActCnt", known_by=moment)
        assert [row["time"][:10] for row in body["data"]] == [day]
    assert (await node.get(path, as_of="2026-11-23T00:00:59.999Z"))["data"] == []


async def test_a_chain_belongs_to_its_coin_and_all_chains_to_none(node: Running):
    path = await internal(node, ONCHAIN)
    ether = await node.get(f"{path}/ETH", metrics="tvl")
    assert shown(ether) == [("defillama", "tvl", "2026-11-22", 10**9 + 1)]
    every = await node.get(f"{path}/all")
    assert (every["symbol"], every["id"]) == (None, "all")
    assert shown(every) == [("defillama", "tvl", "2026-11-22", 10**9 + 1)]
    assert (await node.get(f"{path}/XYZ", 404))["error"]["code"] == "INVALID_SYMBOL"
    none = (await node.get(f"{path}/one-thing", 404))["error"]
    assert none["code"] == "DATA_NOT_AVAILABLE"
    error = (await node.get(f"{path}/BTC", 422, metrics="AdrActCnt,nvt"))["error"]
    assert (error["details"]["parameter"], "mempool_tx" in error["details"]["available"]) == ("metrics", True)


async def test_a_provider_without_its_key_is_named(node: Running):
    path = await internal(node, f"{ONCHAIN}/ETH")
    gas = await node.get(path, metrics="gas_fast")
    assert (gas["data"], gas["meta"]["condition"]) == ([], "missing")
    assert gas["meta"]["reasons"] == ["etherscan.gas: not configured: set etherscan_key"]
    every = await node.get(path)
    assert (every["meta"]["condition"], gas["meta"]["reasons"][0] in every["meta"]["reasons"]) == (
        "degraded",  # of Coin Metrics nothing about ether was collected yet
        True,
    )
    locked = await node.get(path, metrics="tvl,gas_fast")
    assert locked["meta"]["condition"] == "available"
    health = {one["dataset"]: one for one in (await get_health(node))["datasets"]}
    assert {health[name]["state"] for name in ("etherscan.gas", "etherscan.supply")} == {"not_configured"}
    assert health["etherscan.gas"]["not_configured"] == "etherscan_key"
    assert health["mempool.waiting"]["state"] == "pending"


async def get_health(node: Running) -> Any:
    key = await node.new_key("read:ops")
    return (await node.http.get("/api/v1/health", headers={"Authorization": f"Bearer {key}"})).json()


async def test_funding_and_open_interest_with_their_venue(start: Start):
    running = await start(registry=TRADED)
    source = binance_futures.SOURCE
    await declared(running, source, partitions=("BTCUSDT", "1000SHIBUSDT"))
    day = TimeRange(START - DAY, START)
    ms = [int((START - n * 8 * HOUR).timestamp() * 1000) for n in (3, 2, 1)]
    rates = [
        {"symbol": "BTCUSDT", "fundingTime": ms[0], "fundingRate": "0.00010000", "markPrice": "64000.5"},
        {"symbol": "BTCUSDT", "fundingTime": ms[1] + 3, "fundingRate": "-0.00002", "markPrice": ""},
        {"symbol": "BTCUSDT", "fundingTime": ms[2], "fundingRate": "0.00012", "markPrice": "65000"},
    ]
    await answered(running, source, "funding", ["BTCUSDT"], day, rates, at(0, 1))
    for contract in ("BTCUSDT", "1000SHIBUSDT"):
        row = {"symbol": contract, "sumOpenInterest": "81.5", "sumOpenInterestValue": "5297500.25"}
        row["timestamp"] = int((START - HOUR).timestamp() * 1000)  # type: ignore[assignment]  # as it is sent
        await answered(running, source, "open_interest", [contract], day, [row], at(0, 2))
    running.clock.set(at(minutes=5))
    body = json.loads((await running.http.get(f"{DERIVATIVES}/BTC")).content, parse_float=Decimal)
    funding, interest = body["data"]
    assert funding == {
        "venue": "binance_futures", "contract": "BTCUSDT", "time": "2026-11-22T16:00:00.000Z",
        "kind": "funding_rate", "rate": Decimal("0.00012"), "mark_price": 65000,
        "known_at": "2026-11-22T16:00:00.000Z", "received_at": "2026-11-23T00:01:00.000Z",
        "record_id": "binance_futures.funding:BTCUSDT:2026-11-22T16:00:00+00:00:0",
    }  # fmt: skip
    assert (interest["kind"], interest["amount"], interest["worth"], interest["units"]) == (
        "open_interest", Decimal("81.5"), Decimal("5297500.25"), {"amount": "BTC", "worth": "USDT"},
    )  # fmt: skip
    past = await running.get(f"{DERIVATIVES}/BTC", start="2026-11-22", end="2026-11-22T16:00:00Z")
    assert [(row["time"], row["rate"], row["mark_price"]) for row in past["data"]] == [
        ("2026-11-22T08:00:00.000Z", -0.00002, None),
        ("2026-11-22T00:00:00.000Z", 0.0001, 64000.5),
    ]
    earlier = await running.get(f"{DERIVATIVES}/BTC", as_of="2026-11-23T00:01:30Z")
    assert [row["kind"] for row in earlier["data"]] == ["funding_rate"]
    assert (await running.get(f"{DERIVATIVES}/SOL", 404))["error"]["code"] == "DATA_NOT_AVAILABLE"


async def test_a_contract_by_the_thousand_says_so(start: Start):
    shib = Asset("shiba-inu", "SHIB", "Shiba Inu", listings=(Listing("binance", "SHIBUSDT"),))
    running = await start(registry=Registry([shib]))
    await declared(running, binance_futures.SOURCE, partitions=("1000SHIBUSDT",))
    row = {
        "symbol": "1000SHIBUSDT", "sumOpenInterest": "7", "sumOpenInterestValue": "0.5",
        "timestamp": int((START - HOUR).timestamp() * 1000),
    }  # fmt: skip
    over = TimeRange(START - DAY, START)
    source = binance_futures.SOURCE
    await answered(running, source, "open_interest", ["1000SHIBUSDT"], over, [row], at(0, 2))
    running.clock.set(at(minutes=5))
    (one,) = (await running.get(f"{DERIVATIVES}/SHIB"))["data"]
    assert (one["contract"], one["amount"], one["units"]) == (
        "1000SHIBUSDT", 7, {"amount": "1000 SHIB", "worth": "USDT"},
    )  # fmt: skip


async def test_what_is_forgotten_is_told_the_same_as_of_then(node: Running):
    """A series that falls silent: soon the time of its last look is told, later only that there was none lately."""
    told = set()
    for hours in (0.1, 0.3, 0.5, 0.7, 1, 1.4, 2, 3.3, 9):
        node.clock.set(at(hours))
        answer = await node.http.get(f"{ONCHAIN}/BTC?metrics=mempool_tx")
        meta = answer.json()["meta"]
        told |= {reason.partition(" since ")[0] for reason in meta["reasons"]}
        again = await node.http.get(f"{ONCHAIN}/BTC?metrics=mempool_tx&as_of={meta['as_of']}")
        assert stable(again) == stable(answer), hours
    assert told == {"btc.mempool_tx: not collected", "mempool.waiting: not collected lately: btc.mempool_tx"}
