"""Coinbase Exchange: candles of pairs against the dollar.

What surprises: a candle is [time, low, high, open, close, volume], the newest comes first, and a time without
a trade has none at all. More than 300 in one call are refused; nobody says whether `end` belongs to the range,
so one less is asked for. An answer may begin before `start`. There are candles of 6 hours and none of 4.
"""

from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from ray_app.model.errors import Malformed
from ray_app.model.records import Bar, Interval
from ray_app.model.source import Api, Page, Plan, Quota, Slice, Source, Stream
from ray_app.model.symbols import Registry
from ray_app.model.timerange import floor
from ray_app.model.unixtime import from_seconds

SECOND, MINUTE, HOUR, DAY = (timedelta(seconds=n) for n in (1, 60, 3600, 86400))
INTERVALS: dict[Interval, timedelta] = {"5m": 5 * MINUTE, "1h": HOUR, "1d": DAY}
MOST_CANDLES = 299
FIRST_CANDLE = datetime(2016, 5, 18, tzinfo=UTC)  # the oldest that was seen


def pairs(registry: Registry) -> tuple[str, ...]:
    return tuple(registry.lives("coinbase"))


async def fetch_bars(length: timedelta, api: Api, wanted: Slice) -> AsyncIterator[Page]:
    start, end = (f"{t:%Y-%m-%dT%H:%M:%SZ}" for t in (wanted.range.start, wanted.range.end))
    path = f"/products/{wanted.partition}/candles"
    yield await api.get(path, granularity=length // SECOND, start=start, end=end)


def listed(page: Page) -> Iterable[Any]:
    body = page.json()
    if not isinstance(body, list):
        raise Malformed(page.source, f"expected a list, found {page.body[:80]!r}")
    return body


def parse_bar(interval: Interval, row: Any, wanted: Slice) -> Bar:
    time, low, high, open_, close, volume = row
    start, length = from_seconds(time), INTERVALS[interval]
    if start != floor(start, length):
        raise ValueError(f"a candle of {interval} must not start at {start}")
    prices = {"open": open_, "high": high, "low": low, "close": close, "volume": volume}
    return Bar(symbol=wanted.partition, interval=interval, start=start, end=start + length, **prices)


def bars(interval: Interval, length: timedelta) -> Stream:
    return Stream(
        name=f"bars_{interval}",
        describes=f"candles of {interval} with volume; none where nothing was traded",
        record=Bar,
        partitions=pairs,
        lives=lambda registry: registry.lives("coinbase"),
        fetch=partial(fetch_bars, length),
        rows=listed,
        parse=partial(parse_bar, interval),
        every=length,
        grain=length,
        longest_slice=MOST_CANDLES * length,
        offers=FIRST_CANDLE,
        settle=MINUTE,
        patience=2 * HOUR,
        parser="candles/1",
        required=False,
    )


SOURCE = Source(
    name="coinbase",
    docs="https://docs.cdp.coinbase.com/exchange",
    licence="own_use",
    plans=(
        Plan(  # 10 a second are allowed: half of it, others may share the address
            name="public",
            base_url="https://api.exchange.coinbase.com",
            simulated_at="/coinbase-ex",
            quota=Quota(5, SECOND),
            streams=tuple(bars(interval, length) for interval, length in INTERVALS.items()),
        ),
    ),
)
