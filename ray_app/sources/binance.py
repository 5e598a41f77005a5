"""Binance spot: candles and ticks of pairs against USDT, from the hosts that have market data only.

What surprises: `endTime` is closed, and the last row is still open unless `endTime` keeps it out. Times are
milliseconds. Errors are {"code": -1121, "msg": ...} with HTTP 400, whatever they mean. A klines call weighs
2 of the 6,000 that one address may spend a minute; who goes on after a 429 is banned with 418 for minutes to
days. 451 is a country where Binance does not answer. A halt leaves a gap. The socket tells a candle every two
seconds while it forms; only `x: true` is final. It is cut after 24 hours, and nothing is said twice.
"""

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from ray_app.model.errors import Malformed, NotOffered, RateLimited, Transient, UpstreamError
from ray_app.model.feed import Feed, Subscription, Tick
from ray_app.model.records import Bar, Interval, Record
from ray_app.model.source import Api, Page, Plan, Quota, Slice, Source, Stream
from ray_app.model.symbols import Registry
from ray_app.model.timerange import floor
from ray_app.model.unixtime import MILLISECOND, from_milliseconds, to_milliseconds

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
INTERVALS: dict[Interval, timedelta] = {
    "1m": MINUTE,
    "5m": 5 * MINUTE,
    "1h": HOUR,
    "4h": 4 * HOUR,
    "1d": DAY,
}
ROWS_PER_CALL = 1000
FIRST_CANDLE = datetime(2017, 8, 17, tzinfo=UTC)
REACTIONS: dict[int, type[UpstreamError]] = {
    -1003: RateLimited,  # too many requests
    -1007: Transient,  # timeout
    -1008: Transient,  # overloaded
    -1121: NotOffered,  # invalid symbol
}


def judge(page: Page) -> None:
    """Raise what only the code tells; a 418, 429 or 451 says it by its status, and how long to wait."""
    if page.status != 400 or not page.body.lstrip().startswith(b"{"):
        return
    body = page.json()
    code = body.get("code")
    if isinstance(code, int) and code in REACTIONS:
        raise REACTIONS[code](page.source, f"{code}: {body.get('msg', '')}")


def pairs(registry: Registry) -> tuple[str, ...]:
    return tuple(registry.lives("binance"))


async def fetch_bars(interval: Interval, api: Api, wanted: Slice) -> AsyncIterator[Page]:
    start, end = to_milliseconds(wanted.range.start), to_milliseconds(wanted.range.end)
    asked: dict[str, str | int] = {"symbol": wanted.partition, "interval": interval}
    yield await api.get("/klines", **asked, startTime=start, endTime=end - 1, limit=ROWS_PER_CALL)


def listed(page: Page) -> Iterable[Any]:
    body = page.json()
    if not isinstance(body, list):
        raise Malformed(page.source, f"expected a list, found {page.body[:80]!r}")
    return body


def candle(symbol: str, interval: Interval, row: Sequence[Any]) -> Bar:
    """[open time, open, high, low, close, volume, close time, quote volume, trades, takers' buys, ...]."""
    opened, open_, high, low, close, volume, closed, quote_volume, trades, taker_buys, *_ = row
    start, end = from_milliseconds(opened), from_milliseconds(closed) + MILLISECOND
    if end - start != INTERVALS[interval] or start != floor(start, INTERVALS[interval]):
        raise ValueError(f"a candle of {interval} must not last from {start} to {end}")
    prices = {"open": open_, "high": high, "low": low, "close": close}
    amounts = {"volume": volume, "quote_volume": quote_volume, "taker_buy_volume": taker_buys}
    common = {"symbol": symbol, "interval": interval, "start": start, "end": end, "trades": trades}
    return Bar(**common, **prices, **amounts)


def parse_bar(interval: Interval, row: Any, wanted: Slice) -> Bar:
    return candle(wanted.partition, interval, row)


def subscribe(symbols: Sequence[str]) -> Subscription:
    kinds = ("kline_1m", "miniTicker")
    return Subscription("?streams=" + "/".join(f"{s.lower()}@{kind}" for s in symbols for kind in kinds))


def parse_frame(frame: bytes, _: datetime) -> Sequence[Record]:
    """{"stream": "btcusdt@kline_1m", "data": {"e": "kline", "s": "BTCUSDT", "k": {...}}}"""
    try:
        body = json.loads(frame)
    except RecursionError as e:
        raise ValueError("nested too deeply") from e
    if "error" in body:
        raise ValueError(f"an error instead of an event: {body['error']}")
    event = body.get("data", body)
    kind = event.get("e")
    if kind == "serverShutdown":
        raise Transient("binance", "the server is about to shut down")
    if kind == "kline" and event["k"]["x"] is True:
        told = event["k"]
        if told["i"] != "1m":
            raise ValueError(f"a candle of {told['i']} where minutes were asked for")
        return (candle(event["s"], "1m", [told[name] for name in "tohlcvTqnV"]),)
    if kind == "24hrMiniTicker":
        names = {"price": "c", "open_24h": "o", "high_24h": "h", "low_24h": "l"}
        names |= {"symbol": "s", "volume_24h": "v", "quote_volume_24h": "q"}
        at = from_milliseconds(event["E"])
        return (Tick(at=at, **{ours: event[theirs] for ours, theirs in names.items()}),)
    return ()


def frames(page: Page) -> Iterable[Any]:
    return [line.decode("utf-8", "replace") for line in page.body.split(b"\n")]


def parse_kept(row: Any, wanted: Slice) -> Record | None:
    return next((r for r in parse_frame(row.encode(), wanted.range.end) if isinstance(r, Bar)), None)


def bars(interval: Interval, length: timedelta) -> Stream:
    return Stream(
        name=f"bars_{interval}",
        describes=f"candles of {interval} with volume, quote volume, takers' purchases and trades",
        record=Bar,
        partitions=pairs,
        lives=lambda registry: registry.lives("binance"),
        fetch=partial(fetch_bars, interval),
        rows=listed,
        parse=partial(parse_bar, interval),
        every=max(length, 5 * MINUTE),  # the minutes come over the socket; here only what it missed
        grain=length,
        longest_slice=ROWS_PER_CALL * length,
        offers=FIRST_CANDLE,
        settle=timedelta(seconds=30),
        patience=2 * HOUR,
        parser="klines/1",
        required=False,  # where Binance refuses a country, other venues go on
        unit="USDT",
    )


STREAMS = {interval: bars(interval, length) for interval, length in INTERVALS.items()}
FEED = Feed(
    name="ticks",
    describes="the price of each pair as it changes, and candles of a minute as they close",
    url="wss://data-stream.binance.vision/stream",
    simulated_at="/ws/binance/stream",
    partitions=pairs,
    subscribe=subscribe,
    parse=parse_frame,
    stores=replace(STREAMS["1m"], rows=frames, parse=parse_kept, parser="frames/1"),
    refill="bars_1m",
    topic="ticks",
    silence=timedelta(seconds=30),
    longest=timedelta(hours=23, minutes=50),
    late=STREAMS["1m"].settle,
)
SOURCE = Source(
    name="binance",
    docs="https://developers.binance.com/docs/binance-spot-api-docs",
    licence="own_use",
    judge=judge,
    plans=(
        Plan(  # a third of the weight: others may share the address
            name="public",
            base_url="https://data-api.binance.vision/api/v3",
            simulated_at="/binance/api/v3",
            quota=Quota(1000, MINUTE),
            streams=tuple(STREAMS.values()),
            feeds=(FEED,),
        ),
    ),
)
