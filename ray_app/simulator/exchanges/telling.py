"""What all venues share in telling candles: which ones are meant, and the same without any venue's format."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ray_app.simulator.clock import instant, moment
from ray_app.simulator.exchanges import intervals
from ray_app.simulator.exchanges.trades import (
    CLOSE,
    HIGH,
    LOTS,
    LOW,
    MINUTE_MS,
    OPEN,
    QUOTE,
    START,
    TRADES,
    Ints,
    Trades,
    decimal,
    outages,
)

MOST_TRUTH_BARS = 200_000


def ascending(
    trades: Trades, length: int | None, start_ms: int, last_ms: int, limit: int, now_ms: int
) -> Ints:
    """The first `limit` bars that open in [start, last]; standstills leave gaps."""
    last = _last(trades, length, min(last_ms, now_ms))
    start = min(intervals.ceil_minute(start_ms), now_ms // MINUTE_MS + 1)
    edge = max(intervals.at_or_after(start, length), intervals.at_or_before(trades.first, length))
    found = [trades.bars(intervals.edges(edge, length, limit), now_ms)]
    while sum(map(len, found)) < limit and edge <= last:
        edge = intervals.moved(edge, length, limit)
        found.append(trades.bars(intervals.edges(edge, length, limit), now_ms))
    rows = np.concatenate(found)
    return np.asarray(rows[rows[:, START] <= last][:limit])


def newest(trades: Trades, length: int | None, last_ms: int, limit: int, now_ms: int) -> Ints:
    """The last `limit` bars that open until then, in time order."""
    edge = intervals.moved(_last(trades, length, min(last_ms, now_ms)), length, 1 - limit)
    found = [trades.bars(intervals.edges(edge, length, limit), now_ms)]
    while sum(map(len, found)) < limit and edge > trades.first:
        edge = intervals.moved(edge, length, -limit)
        found.append(trades.bars(intervals.edges(edge, length, limit), now_ms))
    return np.asarray(np.concatenate(found[::-1])[-limit:])


def _last(trades: Trades, length: int | None, last_ms: int) -> int:
    """The edge of the last bar that can have trades by then."""
    minute = last_ms // MINUTE_MS
    return intervals.at_or_before(minute if trades.end is None else min(minute, trades.end - 1), length)


def candle_truth(
    trades: Trades, length: int | None, params: Mapping[str, str], now_ms: int
) -> dict[str, Any]:
    """Bars that start in [from, to), as texts with every digit. Later ones are told too, not `final`.

    `to` may lie in the future; the bar that holds it is told whole. ValueError: too many bars.
    """
    start, end = (round(moment(params[name]).timestamp() * 1000) for name in ("from", "to"))
    first = intervals.at_or_after(intervals.ceil_minute(start), length)
    last = intervals.at_or_after(intervals.ceil_minute(end), length)
    bars = (last - first) // (length or 28 * 1_440)
    if not 0 <= bars <= MOST_TRUTH_BARS:
        raise ValueError(f"{bars} bars are too many or fewer than none")
    edges = intervals.edges(first, length, bars)
    rows = trades.bars(edges[edges <= last], last * MINUTE_MS) if bars else np.empty((0, 10), dtype=np.int64)
    price, lot = trades.price_digits, trades.lot_digits
    return {
        "bars": [
            {
                "start": instant(row[START] * MINUTE_MS).isoformat(),
                "end": instant(intervals.moved(row[START], length, 1) * MINUTE_MS).isoformat(),
                "open": decimal(row[OPEN], price, price),
                "high": decimal(row[HIGH], price, price),
                "low": decimal(row[LOW], price, price),
                "close": decimal(row[CLOSE], price, price),
                "volume": decimal(row[LOTS], lot, lot),
                "quote_volume": decimal(row[QUOTE], price + lot, price + lot),
                "trades": row[TRADES],
                "final": intervals.moved(row[START], length, 1) * MINUTE_MS <= now_ms,
            }
            for row in rows.tolist()
        ]
    }


def standstills(seed: int, venue: str, params: Mapping[str, str]) -> dict[str, Any]:
    """The venue's outages that touch [from, to)."""
    first, last = (round(moment(params[name]).timestamp()) // 60 for name in ("from", "to"))
    return {
        "outages": [
            {"start": instant(o.start * MINUTE_MS).isoformat(), "end": instant(o.end * MINUTE_MS).isoformat()}
            for o in outages(seed, venue, first, last)
        ]
    }


def first_tick(row: list[Any], opened: int, prices: tuple[int, ...]) -> None:
    """Tell a candle as if only its first trade were known."""
    for at in prices:
        row[at] = row[opened]
