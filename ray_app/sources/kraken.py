"""Kraken spot: candles of pairs against the dollar, the newest 720 of each interval and no older ones.

What surprises: errors come with HTTP 200, as {"error": ["EQuery:Unknown asset pair"]}. The answer calls the
pair by another name than the one asked for (XBTUSD is XXBTZUSD). `since` moves the start forward, never beyond
the newest 720; the last row is still open. A time without a trade has a flat candle.
"""

from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from functools import partial
from typing import Any

from ray_app.model.errors import Malformed, NotOffered, RateLimited, Refused, Transient, UpstreamError
from ray_app.model.records import Bar, Interval
from ray_app.model.source import Api, Page, Plan, Quota, Slice, Source, Stream
from ray_app.model.symbols import Registry
from ray_app.model.timerange import floor
from ray_app.model.unixtime import from_seconds

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
INTERVALS: dict[Interval, timedelta] = {"5m": 5 * MINUTE, "1h": HOUR, "4h": 4 * HOUR, "1d": DAY}
ROWS = 720
REACTIONS: dict[str, type[UpstreamError]] = {
    "EAPI:Rate limit": RateLimited,
    "EGeneral:Too many requests": RateLimited,
    "EGeneral:Temporary lockout": RateLimited,
    "EGeneral:Internal error": Transient,
    "EService": Transient,
    "EQuery:Unknown asset pair": NotOffered,
}


def judge(page: Page) -> None:
    """Raise the errors inside a 200; those that begin with W are warnings."""
    if page.status != 200 or b'"error":[]' in page.body[:100]:
        return
    body = page.json()
    told = body.get("error") if isinstance(body, dict) else None
    errors = [str(text) for text in told if not str(text).startswith("W")] if isinstance(told, list) else []
    for text in errors:
        known = (reaction for start, reaction in REACTIONS.items() if text.startswith(start))
        raise next(known, Refused)(page.source, text)


def pairs(registry: Registry) -> tuple[str, ...]:
    return tuple(registry.lives("kraken"))


async def fetch_bars(length: timedelta, api: Api, wanted: Slice) -> AsyncIterator[Page]:
    """From one interval earlier: whether a candle at `since` itself comes is told nowhere."""
    since = int((wanted.range.start - length).timestamp())
    yield await api.get("/0/public/OHLC", pair=wanted.partition, interval=length // MINUTE, since=since)


def only_pair(page: Page) -> Iterable[Any]:
    """{"error": [], "result": {"XXBTZUSD": [[...], ...], "last": 1780300000}}: one pair was asked for."""
    body = page.json()
    result = body.get("result") if isinstance(body, dict) else None
    found = [rows for name, rows in result.items() if name != "last"] if isinstance(result, dict) else []
    if len(found) != 1 or not isinstance(found[0], list):
        raise Malformed(page.source, f"expected the candles of one pair, found {page.body[:80]!r}")
    return found[0]


def parse_bar(interval: Interval, row: Any, wanted: Slice) -> Bar:
    time, open_, high, low, close, _vwap, volume, trades = row
    start, length = from_seconds(time), INTERVALS[interval]
    if start != floor(start, length):
        raise ValueError(f"a candle of {interval} must not start at {start}")
    told = {"open": open_, "high": high, "low": low, "close": close, "volume": volume, "trades": trades}
    return Bar(symbol=wanted.partition, interval=interval, start=start, end=start + length, **told)


def bars(interval: Interval, length: timedelta) -> Stream:
    return Stream(
        name=f"bars_{interval}",
        describes=f"candles of {interval} with volume and trades",
        record=Bar,
        partitions=pairs,
        lives=lambda registry: registry.lives("kraken"),
        forgets=True,  # a pair that is traded no more is an unknown one
        fetch=partial(fetch_bars, length),
        rows=only_pair,
        parse=partial(parse_bar, interval),
        every=length,
        grain=length,
        longest_slice=ROWS * length,
        offers=(ROWS - 1) * length,
        attempts=2,
        settle=MINUTE,
        patience=2 * HOUR,
        parser="ohlc/1",
        required=False,
    )


SOURCE = Source(
    name="kraken",
    docs="https://docs.kraken.com/api/docs/rest-api/get-ohlc-data",
    licence="own_use",
    judge=judge,
    plans=(
        Plan(  # no limit is published for public calls: one a second
            name="public",
            base_url="https://api.kraken.com",
            simulated_at="/kraken",
            quota=Quota(60, MINUTE),
            streams=tuple(bars(interval, length) for interval, length in INTERVALS.items()),
        ),
    ),
)
