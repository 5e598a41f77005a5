"""CoinGecko's present: prices, exchange rates, the market as a whole, and what people search for.

What surprises: `/coins/markets` silently leaves out ids it does not know and cuts the list at 100 unless
per_page says otherwise. `/global` is 10 minutes old at worst. The list of searches has 7 or 15 coins.
"""

from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from typing import Any

from ray_app.model.errors import Malformed
from ray_app.model.records import ExchangeRate, Price
from ray_app.model.series import MarketTotals, Trending
from ray_app.model.source import Api, Page, Slice, Stream
from ray_app.model.symbols import CURRENCIES, Asset, load_registry
from ray_app.model.unixtime import from_seconds
from ray_app.sources.coingecko.answers import coins, listed, lives

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
IDS_PER_CALL = 250
RANKS = tuple(str(n) for n in range(1, 16))
BESIDES_PRICE = {
    "market_cap": "market_cap", "volume_24h": "total_volume", "high_24h": "high_24h", "low_24h": "low_24h",
    "change_24h": "price_change_24h", "change_percent_24h": "price_change_percentage_24h",
    "circulating_supply": "circulating_supply", "total_supply": "total_supply", "max_supply": "max_supply",
}  # fmt: skip


async def fetch_prices(api: Api, wanted: Slice) -> AsyncIterator[Page]:
    ids = ",".join(wanted.partitions)
    yield await api.get("/coins/markets", vs_currency="usd", ids=ids, per_page=IDS_PER_CALL, precision="full")


def parse_price(row: Any, wanted: Slice) -> Price | None:
    """A row with `current_price` null is a coin that has none now. Money can be an int, a float or 1e-12."""
    if row["current_price"] is None:
        return None
    known = load_registry().by_venue("coingecko", row["id"])
    if known is not None and "symbol" in row and "name" in row:
        _check_same_coin(known, str(row["symbol"]), str(row["name"]))
    return Price(
        coin=row["id"],
        slot=wanted.range.start,
        updated_at=row["last_updated"],
        price=row["current_price"],
        **{ours: row.get(theirs) for ours, theirs in BESIDES_PRICE.items()},
    )


def _check_same_coin(known: Asset, symbol: str, name: str) -> None:
    """ValueError for an id that was given to another coin. A new ticker or a new name alone is no other coin."""
    if symbol.upper() not in known.ever() and name.lower() != known.name.lower():
        raise ValueError(f"the id of {known.name} ({known.symbol}) now names {name} ({symbol.upper()})")


async def fetch_rates(api: Api, _: Slice) -> AsyncIterator[Page]:
    yield await api.get("/exchange_rates")


def rates(page: Page) -> Iterable[Any]:
    """{"rates": {"usd": {"name": "US Dollar", "unit": "$", "value": 64210.1, "type": "fiat"}}}"""
    body = page.json()
    if not isinstance(body, dict) or not isinstance(body.get("rates"), dict):
        raise Malformed("coingecko", f"expected rates, found {page.body[:80]!r}")
    return list(body["rates"].items())


def parse_rate(row: Any, wanted: Slice) -> ExchangeRate:
    currency, rate = row
    return ExchangeRate(currency=currency, slot=wanted.range.start, per_btc=rate["value"], kind=rate["type"])


async def fetch_totals(api: Api, _: Slice) -> AsyncIterator[Page]:
    yield await api.get("/global")


def totals(page: Page) -> Iterable[Any]:
    """{"data": {"total_market_cap": {"usd": 2.5e12, ...}, "market_cap_percentage": {"btc": 57.1, ...}, ...}}"""
    body = page.json()
    if not isinstance(body, dict) or not isinstance(body.get("data"), dict):
        raise Malformed("coingecko", f"expected the market, found {page.body[:80]!r}")
    return [body["data"]]


def parse_totals(row: Any, wanted: Slice) -> MarketTotals:
    shares = row["market_cap_percentage"]
    return MarketTotals(
        market=wanted.partition,
        slot=wanted.range.start,
        updated_at=from_seconds(row["updated_at"]),
        market_cap=row["total_market_cap"]["usd"],
        volume_24h=row["total_volume"]["usd"],
        btc_dominance=shares["btc"],
        eth_dominance=shares.get("eth"),
        market_cap_change_percent_24h=row.get("market_cap_change_percentage_24h_usd"),
        coins=row.get("active_cryptocurrencies"),
        markets=row.get("markets"),
    )


async def fetch_trending(api: Api, _: Slice) -> AsyncIterator[Page]:
    yield await api.get("/search/trending")


def trending(page: Page) -> Iterable[Any]:
    """{"coins": [{"item": {"id": "pepe", "score": 0, ...}}, ...], ...}"""
    body = page.json()
    if not isinstance(body, dict) or not isinstance(body.get("coins"), list):
        raise Malformed("coingecko", f"expected coins, found {page.body[:80]!r}")
    return list(body["coins"])


def parse_trending(row: Any, wanted: Slice) -> Trending:
    """The score counts from 0, the most searched for."""
    item = row["item"]
    return Trending(rank=str(int(item["score"]) + 1), slot=wanted.range.start, coin=item["id"])


PRICES = Stream(
    name="prices",
    describes="spot price, market capitalisation, rolling volume and supply of each tracked coin",
    record=Price,
    partitions=coins,
    lives=lives,
    fetch=fetch_prices,
    rows=listed,
    parse=parse_price,
    every=5 * MINUTE,
    grain=5 * MINUTE,
    longest_slice=5 * MINUTE,
    offers=None,
    batch=IDS_PER_CALL,
    topic="prices",
)
RATES = Stream(
    name="exchange_rates",
    describes="units of each currency for one bitcoin",
    record=ExchangeRate,
    partitions=lambda _: CURRENCIES,
    fetch=fetch_rates,
    rows=rates,
    parse=parse_rate,
    every=HOUR,
    grain=HOUR,
    longest_slice=HOUR,
    offers=None,
    batch=1000,
    unit="per BTC",
)
TOTALS = Stream(
    name="market",
    describes="capitalisation, volume and dominance of the whole market",
    record=MarketTotals,
    partitions=lambda _: ("crypto",),
    fetch=fetch_totals,
    rows=totals,
    parse=parse_totals,
    every=5 * MINUTE,
    grain=5 * MINUTE,
    longest_slice=5 * MINUTE,
    offers=None,
    attempts=2,
    parser="totals/1",
)
TRENDING = Stream(
    name="trending",
    describes="the coins that are searched for most",
    record=Trending,
    partitions=lambda _: RANKS,
    fetch=fetch_trending,
    rows=trending,
    parse=parse_trending,
    every=5 * MINUTE,
    grain=5 * MINUTE,
    longest_slice=5 * MINUTE,
    offers=None,
    batch=len(RANKS),
    attempts=2,
    required=False,
    unit="rank",
    parser="trending/1",
)
