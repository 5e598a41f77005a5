"""Prices of CoinGecko against the closes of exchanges, and candles of one exchange by its name."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from ray_app.model.records import Bar
from ray_app.model.symbols import Listing, Registry
from ray_app.observe.crosscheck import MOST_APART, Told, differ
from ray_app.sources import binance, coinbase, kraken
from tests.serve.conftest import Running, Start, at, stable
from tests.serve.filling import HOUR, MINUTE, REGISTRY, START, flat
from tests.serve.sources import declared, had

HEALTH, CURRENT, HISTORICAL = "/api/v1/health", "/api/v1/prices/current", "/api/v1/prices/historical"
NAMES = {
    "bitcoin": {"binance": "BTCUSDT", "coinbase": "BTC-USD", "kraken": "XBTUSD"},
    "ethereum": {"binance": "ETHUSDT", "coinbase": "ETH-USD"},
}
TRADED = Registry(
    replace(one, listings=(*one.listings, *(Listing(*name) for name in NAMES.get(one.id, {}).items())))
    for one in REGISTRY.assets
)


def bar(
    symbol: str, start: datetime, close: str, length: timedelta = 5 * MINUTE, interval: str = "5m"
) -> Bar:
    told: dict[str, Any] = {"symbol": symbol, "interval": interval, "volume": Decimal("1.5")}
    told |= dict.fromkeys(("open", "high", "low", "close"), Decimal(close))
    return Bar(start=start, end=start + length, **told)


@pytest.fixture
async def node(start: Start) -> Running:
    """Prices of an hour after the start; three exchanges are declared."""
    running = await start(registry=TRADED)
    await running.fill.declare()
    for source in (binance.SOURCE, coinbase.SOURCE, kraken.SOURCE):
        await declared(running, source)
    await running.fill.prices(at(hours=1), {"bitcoin": "64000", "ethereum": "3000", "solana": "150"})
    running.clock.set(at(hours=1, minutes=2))
    line: dict[str, Any] = {
        "last_run": at(hours=1),
        "last_success": at(hours=1),
        "next_run": at(hours=1, minutes=5),
    }
    line |= {"state": "waiting", "last_error": "", "last_error_at": None, "errors": {}}
    await running.store.catalog.report("coingecko.prices", "tests", line)
    return running


async def prices_of(node: Running) -> Any:
    body = await node.get(HEALTH)
    return next(one for one in body["datasets"] if one["dataset"] == "coingecko.prices")


def told(value: str, unit: str = "USD", minutes: float = 0) -> Told:
    return Told("x", Decimal(value), unit, START + timedelta(minutes=minutes))


@pytest.mark.parametrize(
    ("close", "unit", "minutes", "found"),
    [
        ("100", "USD", 0, False),
        ("98.0393", "USD", 0, False),  # 1.99993 %
        ("98.0392", "USD", 0, True),  # 2.00003 %
        ("102.0409", "USD", 0, True),
        ("102.0408", "USD", 0, False),
        ("98.0392", "USDT", 0, False),
        ("97.0873", "USDT", 0, True),
        ("50", "USD", 15, True),
        ("50", "USD", -15.01, False),  # too far apart to be compared
        ("50", "EUR", 0, False),
    ],
)
def test_the_tolerance(close: str, unit: str, minutes: float, found: bool):
    assert (differ(told("100"), told(close, unit, minutes)) is not None) == found


def test_what_is_said_has_both_values():
    close = Told("kraken", Decimal("60000.50"), "USD", START)
    said = differ(Told("coingecko", Decimal("64000"), "USD", START), close)
    assert said == (
        "coingecko says 64000 USD at 2026-11-23T00:00:00Z, kraken says 60000.50 USD at 2026-11-23T00:00:00Z: "
        "6.67 % apart, 2 % is allowed"
    )
    assert timedelta(minutes=15) == MOST_APART


async def test_prices_that_agree_are_left_alone(node: Running):
    await had(
        node, coinbase.SOURCE, "bars_5m", [bar("BTC-USD", at(minutes=55), "64100")], at(hours=1, minutes=1)
    )
    await had(
        node, binance.SOURCE, "bars_5m", [bar("BTCUSDT", at(minutes=55), "65800")], at(hours=1, minutes=1)
    )
    assert (await prices_of(node))["condition"] == "available"
    body = await node.get(f"{CURRENT}/BTC")
    assert (body["meta"]["condition"], body["meta"]["reasons"]) == ("available", [])


async def test_prices_that_differ_are_degraded_and_both_are_told(node: Running):
    first = await node.http.get(f"{CURRENT}/BTC")
    bars = [bar("BTC-USD", at(minutes=55), "60000")]
    await had(node, coinbase.SOURCE, "bars_5m", bars, at(hours=1, minutes=1))
    said = (
        "coingecko says 64000 USD at 2026-11-23T00:59:40Z, coinbase says 60000 USD at 2026-11-23T01:00:00Z: "
        "6.67 % apart, 2 % is allowed"
    )
    found = await prices_of(node)
    assert (found["condition"], found["state"], found["reasons"]) == (
        "degraded", "degraded", [f"bitcoin: {said}"],
    )  # fmt: skip
    body = await node.get(f"{CURRENT}/BTC")
    assert (body["meta"]["condition"], body["meta"]["reasons"]) == ("degraded", [f"bitcoin: {said}"])
    assert (await node.get(f"{CURRENT}/ETH"))["meta"]["condition"] == "available"
    many = await node.get(CURRENT, symbols="BTC,ETH")
    assert (many["meta"]["condition"], many["meta"]["reasons"]) == ("degraded", [f"bitcoin: {said}"])
    # As of a moment: before the close was there, and when the answer says that it became so.
    before = await node.http.get(f"{CURRENT}/BTC", params={"as_of": first.json()["meta"]["as_of"]})
    assert stable(before) == stable(first)
    again = await node.get(f"{CURRENT}/BTC", as_of=body["meta"]["as_of"])
    assert again["meta"]["reasons"] == [f"bitcoin: {said}"]


async def test_tether_has_more_room(node: Running):
    name = "bars_1m"
    bars = [
        bar("BTCUSDT", at(minutes=59), "62400", MINUTE, "1m"),
        bar("ETHUSDT", at(minutes=59), "2900", MINUTE, "1m"),
    ]
    await had(node, binance.SOURCE, name, bars, at(hours=1, minutes=1))
    said = (
        "ethereum: coingecko says 3000 USD at 2026-11-23T00:59:40Z, binance says 2900 USDT at "
        "2026-11-23T01:00:00Z: 3.45 % apart, 3 % is allowed"
    )
    assert (await prices_of(node))["reasons"] == [said]


async def test_an_old_close_says_nothing(node: Running):
    await had(
        node, kraken.SOURCE, "bars_5m", [bar("XBTUSD", at(minutes=35), "60000")], at(hours=1, minutes=1)
    )
    assert (await prices_of(node))["condition"] == "available"
    await had(
        node, kraken.SOURCE, "bars_5m", [bar("XBTUSD", at(minutes=40), "60000")], at(hours=1, minutes=1)
    )
    assert (await prices_of(node))["condition"] == "degraded"


async def test_the_catalog_tells_the_rule(node: Running):
    rows = {one["dataset"]: one for one in (await node.get("/api/v1/catalog/datasets"))["data"]}
    rule = rows["coingecko.prices"]["cross_check"]
    assert (rule["tolerance"], rule["within_seconds"]) == ({"USD": 0.02, "USDT": 0.03}, 900.0)
    assert [name.split(".")[0] for name in rule["against"]] == ["binance", "coinbase", "kraken"]
    assert "cross_check" not in rows["coingecko.bars_1h"]


async def test_candles_of_one_venue_in_its_own_currency(node: Running):
    await node.fill.bars("bitcoin", at(), [flat("64000")], at(hours=1, minutes=1))
    received = at(hours=1, minutes=1)
    for source, name, close in (
        (coinbase.SOURCE, "BTC-USD", "64001"),
        (kraken.SOURCE, "XBTUSD", "64002"),
        (binance.SOURCE, "BTCUSDT", "64003"),
    ):
        await had(node, source, "bars_1h", [bar(name, at(), close, HOUR, "1h")], received)
        await had(node, source, "bars_5m", [bar(name, at(minutes=55), close)], received)
    await had(node, binance.SOURCE, "bars_1m", [bar("BTCUSDT", at(minutes=59), "7", MINUTE, "1m")], received)
    range_ = {"start": "2026-11-23T00:00:00Z"}

    async def asked(**more: str) -> tuple[Any, ...]:
        body = await node.get(f"{HISTORICAL}/BTC", **range_, **more)
        closes = [candle["close"] for candle in body["data"]]
        return closes, body["vs_currency"], body["units"], body["meta"]["dataset"], body["meta"]["instrument"]

    in_dollars, in_tether = {"price": "USD", "volume": "BTC"}, {"price": "USDT", "volume": "BTC"}
    assert await asked() == ([64000], "usd", in_dollars, "coingecko.bars_1h", "bitcoin")
    assert await asked(venue="coinbase") == ([64001], "usd", in_dollars, "coinbase.bars_1h", "BTC-USD")
    assert await asked(venue="kraken") == ([64002], "usd", in_dollars, "kraken.bars_1h", "XBTUSD")
    assert await asked(venue="binance") == ([64003], "usdt", in_tether, "binance.bars_1h", "BTCUSDT")
    assert await asked(venue="binance", vs_currency="USDT") == await asked(venue="binance")
    # CoinGecko has no candles of five minutes: an exchange's in dollars, never those in USDT.
    assert await asked(interval="5m") == ([64001], "usd", in_dollars, "coinbase.bars_5m", "BTC-USD")
    assert await asked(interval="1m", venue="binance") == (
        [7],
        "usdt",
        in_tether,
        "binance.bars_1m",
        "BTCUSDT",
    )
    # Four hours are built from CoinGecko's hours before an exchange's own are taken; by name it is its own.
    await had(
        node, kraken.SOURCE, "bars_4h", [bar("XBTUSD", at(hours=-4), "63000", 4 * HOUR, "4h")], received
    )
    range_["start"] = "2026-11-22T20:00:00Z"
    assert (await asked(interval="4h"))[3:] == ("coingecko.bars_1h", "bitcoin")
    own = await asked(interval="4h", venue="kraken")
    assert own == ([63000], "usd", in_dollars, "kraken.bars_4h", "XBTUSD")
    built = await asked(interval="4h", venue="coinbase")
    assert built[3:] == ("coinbase.bars_1h", "BTC-USD")
    for currency in ("usd", "eur"):
        error = await node.get(f"{HISTORICAL}/BTC", 422, venue="binance", vs_currency=currency)
        assert error["error"]["details"]["parameter"] == "vs_currency"
    error = (await node.get(f"{HISTORICAL}/BTC", 422, venue="mtgox"))["error"]
    assert error["details"]["available"] == ["binance", "coinbase", "coingecko", "kraken"]
    error = (await node.get(f"{HISTORICAL}/SOL", 404, venue="kraken"))["error"]
    assert error["code"] == "DATA_NOT_AVAILABLE"
    error = (await node.get(f"{HISTORICAL}/BTC", 400, venue="binance", interval="1m", days=365))["error"]
    assert (error["code"], error["details"]["cost"]) == ("QUERY_TOO_COSTLY", 365 * 24 * 60)
