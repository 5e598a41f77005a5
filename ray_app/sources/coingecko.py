"""CoinGecko v3: prices, exchange rates, charts and candles of coins, in US dollars.

What surprises: `/coins/markets` silently leaves out ids it does not know and cuts the list at 100 unless
per_page says otherwise. Candles are stamped at their CLOSE and the last one is still forming; a cached
copy can be 15 minutes old. `total_volumes` rolls over 24 hours at each point. Chart points lie off the
grid. A 200 can carry a 429. The keyless and Demo tiers have no hourly candles: an hour is built there
from two closed half-hours.
"""

from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from ray_app.model.errors import Malformed, RateLimited, Transient
from ray_app.model.records import Bar, ExchangeRate, MarketPoint, Price
from ray_app.model.source import Api, ApiKey, Page, Plan, Quota, Slice, Source, Stream
from ray_app.model.symbols import CURRENCIES, Registry
from ray_app.model.timerange import floor

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
IDS_PER_CALL = 250
FIRST_CANDLE = datetime(2018, 2, 9, tzinfo=UTC)
FIRST_HOURLY_POINT = datetime(2018, 1, 30, tzinfo=UTC)
FIRST_BLOCK = datetime(2009, 1, 3, tzinfo=UTC)
HALF = 1_800_000  # milliseconds of a half-hour
CACHED = 16 * MINUTE  # "Cache 15 min": an older copy could hold the hour's candle while it formed
CHART_CACHED = 31 * MINUTE


def coins(registry: Registry) -> tuple[str, ...]:
    return tuple(asset.ids["coingecko"] for asset in registry.tracked() if "coingecko" in asset.ids)


def judge(page: Page) -> None:
    """Raise what a 200 hides: {"status": {"error_code": 429, ...}} and {"error": ...} have been seen."""
    head = page.body[:300]  # the shapes name themselves first; a chart is not worth parsing twice
    if not head.lstrip().startswith(b"{") or not (b'"status"' in head or b'"error"' in head):
        return
    body = page.json()
    status = body.get("status", body.get("error"))
    if isinstance(status, dict):
        status = status.get("status", status)
        code = status.get("error_code")
        if code == 429:
            raise RateLimited("coingecko", f"429 in a 200: {status.get('error_message', '')}")
        raise Transient("coingecko", f"error {code} in a 200: {status.get('error_message', '')}")
    if status is not None:
        raise Transient("coingecko", f"error in a 200: {status}")


def moment(ms: Any) -> datetime:
    """The time that milliseconds since 1970 tell. ValueError for what can only be another unit."""
    at = datetime.fromtimestamp(ms / 1000, UTC)
    if at < FIRST_BLOCK:
        raise ValueError(f"{ms} ms is {at}, before there were coins")
    return at


BESIDES_PRICE = {
    "market_cap": "market_cap", "volume_24h": "total_volume", "high_24h": "high_24h", "low_24h": "low_24h",
    "change_24h": "price_change_24h", "change_percent_24h": "price_change_percentage_24h",
    "circulating_supply": "circulating_supply", "total_supply": "total_supply", "max_supply": "max_supply",
}  # fmt: skip


async def fetch_prices(api: Api, wanted: Slice) -> AsyncIterator[Page]:
    ids = ",".join(wanted.partitions)
    yield await api.get("/coins/markets", vs_currency="usd", ids=ids, per_page=IDS_PER_CALL, precision="full")


def listed(page: Page) -> Iterable[Any]:
    """The rows of an answer that is a list, priced in US dollars."""
    body = page.json()
    if not isinstance(body, list):
        raise Malformed("coingecko", f"expected a list, found {page.body[:80]!r}")
    if page.params.get("vs_currency", "usd") != "usd":
        raise Malformed("coingecko", f"asked in {page.params['vs_currency']}, but these records are in usd")
    return body


def parse_price(row: Any, wanted: Slice) -> Price | None:
    """A row with `current_price` null is a coin that has none now. Money can be an int, a float or 1e-12."""
    if row["current_price"] is None:
        return None
    return Price(
        coin=row["id"],
        slot=wanted.range.start,
        updated_at=row["last_updated"],
        price=row["current_price"],
        **{ours: row.get(theirs) for ours, theirs in BESIDES_PRICE.items()},
    )


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


async def fetch_chart(api: Api, wanted: Slice) -> AsyncIterator[Page]:
    """Both hosts take UNIX seconds. `to` is closed there and open here."""
    start, end = (int(t.timestamp()) for t in (wanted.range.start, wanted.range.end))
    path = f"/coins/{wanted.partition}/market_chart/range"
    asked: dict[str, str | int] = {"vs_currency": "usd", "from": start, "to": end - 1, "precision": "full"}
    yield await api.get(path, **asked)


def chart_hours(page: Page) -> Iterable[Any]:
    """The last point of each hour, in order: (ms, price, market cap, volume), joined by time, not place."""
    body = page.json()
    try:
        prices, caps, volumes = body["prices"], body["market_caps"], body["total_volumes"]
        cap_at, volume_at = {row[0]: row[1] for row in caps}, {row[0]: row[1] for row in volumes}
        points = sorted((row[0], row[1]) for row in prices if row[1] is not None)
    except (TypeError, KeyError, IndexError) as e:
        raise Malformed("coingecko", f"expected three series, found {page.body[:80]!r}") from e
    last: dict[int, Any] = {}
    for ms, price in points:
        last[ms // 3_600_000] = (ms, price, cap_at.get(ms), volume_at.get(ms))
    return list(last.values())


def parse_point(row: Any, wanted: Slice) -> MarketPoint:
    ms, price, market_cap, volume = row
    at = moment(ms)
    amounts = {"price": price, "market_cap": market_cap, "volume_24h": volume}
    return MarketPoint(coin=wanted.partition, hour=floor(at, HOUR), at=at, **amounts)


async def fetch_candles(api: Api, wanted: Slice) -> AsyncIterator[Page]:
    """Stamped at the close: those in (start, end]. A second more, since nobody says whether `to` belongs."""
    start, end = (int(t.timestamp()) for t in (wanted.range.start, wanted.range.end))
    path = f"/coins/{wanted.partition}/ohlc/range"
    asked: dict[str, str | int] = {"vs_currency": "usd", "from": start + 1, "to": end + 1}
    yield await api.get(path, **asked, interval="hourly")


def parse_candle(row: Any, wanted: Slice) -> Bar:
    """[ms at the close, open, high, low, close]; no volume."""
    ms, open_, high, low, close = row
    end = moment(ms)
    if end != floor(end, HOUR):
        raise ValueError(f"an hour's candle must close on the hour, this one at {end}")
    prices = {"open": open_, "high": high, "low": low, "close": close}
    return Bar(symbol=wanted.partition, interval="1h", start=end - HOUR, end=end, **prices)


async def fetch_half_hours(api: Api, wanted: Slice) -> AsyncIterator[Page]:
    yield await api.get(f"/coins/{wanted.partition}/ohlc", vs_currency="usd", days=1, precision="full")


def closed_hours(page: Page) -> Iterable[Any]:
    """Pairs of the half-hours that close at :30 and at :00; a half alone makes no hour. What is none comes alone."""
    halves: dict[int, Any] = {}
    for row in listed(page):
        if isinstance(row, list) and len(row) == 5 and isinstance(row[0], int) and row[0] % HALF == 0:
            halves[row[0]] = row
        else:
            yield [row]
    if len(halves) > 1 and not any(ms + HALF in halves for ms in halves):
        raise Malformed("coingecko", f"expected half-hours, found candles that close at {sorted(halves)[:3]}")
    for ms, second in sorted(halves.items()):
        if ms % (2 * HALF) == 0 and ms - HALF in halves and ms <= page.received_at.timestamp() * 1000:
            yield [halves[ms - HALF], second]


def parse_halves(row: Any, wanted: Slice) -> Bar:
    """Two candles [ms at the close, open, high, low, close], half an hour apart."""
    if len(row) != 2:
        raise ValueError("no candle of five values that closes on a half-hour")
    (_, open_, high, low, _), (ms, _, later_high, later_low, close) = row
    highest, lowest = max(Decimal(high), Decimal(later_high)), min(Decimal(low), Decimal(later_low))
    return parse_candle([ms, open_, highest, lowest, close], wanted)


PRICES = Stream(
    name="prices",
    describes="spot price, market capitalisation, rolling volume and supply of each tracked coin",
    record=Price,
    partitions=coins,
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
CHART = Stream(
    name="chart",
    describes="price, market capitalisation and rolling volume at the end of each hour",
    record=MarketPoint,
    partitions=coins,
    fetch=fetch_chart,
    rows=chart_hours,
    parse=parse_point,
    every=6 * HOUR,
    grain=HOUR,
    longest_slice=90 * DAY,
    offers=FIRST_HOURLY_POINT,
    settle=CHART_CACHED,
    required=False,
)
BARS = Stream(
    name="bars_1h",
    describes="hourly candles without volume",
    record=Bar,
    partitions=coins,
    fetch=fetch_candles,
    rows=listed,
    parse=parse_candle,
    every=HOUR,
    grain=HOUR,
    longest_slice=31 * DAY,
    offers=FIRST_CANDLE,
    settle=CACHED,
    parser="hours/1",
)
BARS_OF_HALVES = replace(
    BARS,
    fetch=fetch_half_hours,
    rows=closed_hours,
    parse=parse_halves,
    longest_slice=DAY,
    offers=23 * HOUR,
    parser="half-hours/1",
    describes="hourly candles built from two half-hours, without volume",
)
PUBLIC, PRO = "https://api.coingecko.com/api/v3", "https://pro-api.coingecko.com/api/v3"
DEMO_KEY = ApiKey("coingecko_demo_key", "x-cg-demo-api-key")
PRO_KEY = ApiKey("coingecko_pro_key", "x-cg-pro-api-key")
QUARTER = 15 * MINUTE

SOURCE = Source(
    name="coingecko",
    docs="https://docs.coingecko.com",
    licence="attribution",
    attribution="Data provided by CoinGecko",
    judge=judge,
    plans=(
        Plan(
            name="keyless",
            base_url=PUBLIC,
            simulated_at="/cg-public/api/v3",
            quota=Quota(5, MINUTE),
            streams=(PRICES, RATES, replace(BARS_OF_HALVES, attempts=2)),
        ),
        Plan(  # the price page says 30 a minute, the documents 100: the lower one, and the keeper learns
            name="demo",
            base_url=PUBLIC,
            simulated_at="/cg-public/api/v3",
            quota=Quota(30, MINUTE, per_month=10_000),
            auth=DEMO_KEY,
            repair_reserve=Decimal("0.04"),
            streams=(
                replace(PRICES, every=QUARTER, grain=QUARTER, longest_slice=QUARTER, attempts=2),
                replace(RATES, attempts=1),
                replace(BARS_OF_HALVES, every=22 * HOUR, attempts=1),
            ),
        ),
        Plan(
            name="paid",
            base_url=PRO,
            simulated_at="/cg-pro/api/v3",
            quota=Quota(500, MINUTE, per_month=500_000),
            auth=PRO_KEY,
            streams=(PRICES, RATES, BARS, CHART),
        ),
    ),
)
