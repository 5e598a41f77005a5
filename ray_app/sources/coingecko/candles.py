"""CoinGecko's past: charts hour by hour, and candles.

What surprises: candles are stamped at their CLOSE and the last one is still forming; a cached copy can be 15
minutes old. `total_volumes` rolls over 24 hours at each point. Chart points lie off the grid. The keyless
and Demo tiers have no hourly candles: an hour is built there from two closed half-hours.
"""

from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from ray_app.model.errors import Malformed
from ray_app.model.records import Bar, MarketPoint
from ray_app.model.source import Api, Page, Slice, Stream
from ray_app.model.timerange import floor
from ray_app.model.unixtime import from_milliseconds
from ray_app.sources.coingecko.answers import coins, listed, lives

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
FIRST_CANDLE = datetime(2018, 2, 9, tzinfo=UTC)
FIRST_HOURLY_POINT = datetime(2018, 1, 30, tzinfo=UTC)
HALF = 1_800_000  # milliseconds of a half-hour
CACHED = 16 * MINUTE  # "Cache 15 min": an older copy could hold the hour's candle while it formed
CHART_CACHED = 31 * MINUTE


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
    at = from_milliseconds(ms)
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
    end = from_milliseconds(ms)
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


CHART = Stream(
    name="chart",
    describes="price, market capitalisation and rolling volume at the end of each hour",
    record=MarketPoint,
    partitions=coins,
    lives=lives,
    fetch=fetch_chart,
    rows=chart_hours,
    parse=parse_point,
    every=6 * HOUR,
    grain=HOUR,
    longest_slice=90 * DAY,
    offers=FIRST_HOURLY_POINT,
    settle=CHART_CACHED,
    patience=13 * HOUR,  # two more looks: there is a point in each hour
    required=False,
)
BARS = Stream(
    name="bars_1h",
    describes="hourly candles without volume",
    record=Bar,
    partitions=coins,
    lives=lives,
    fetch=fetch_candles,
    rows=listed,
    parse=parse_candle,
    every=HOUR,
    grain=HOUR,
    longest_slice=31 * DAY,
    offers=FIRST_CANDLE,
    settle=CACHED,
    patience=3 * HOUR,  # an hour that it leaves out is asked for again
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
