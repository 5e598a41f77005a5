"""Where candles begin and end: bars of fixed minutes, Binance's weeks and months among them."""

from datetime import UTC, datetime

import numpy as np

from ray_app.simulator.exchanges.trades import DAY_MINUTES, MINUTE_MS, Ints

# Minutes, as Binance names them; case matters: 1m is a minute, 1M a month (None: of no fixed length).
BINANCE: dict[str, int | None] = {
    "1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "2h": 120, "4h": 240, "6h": 360, "8h": 480,
    "12h": 720, "1d": DAY_MINUTES, "3d": 3 * DAY_MINUTES, "1w": 7 * DAY_MINUTES, "1M": None,
}  # fmt: skip
MONDAY = 4 * DAY_MINUTES  # 1970-01-05, from which weeks are counted


def at_or_after(minute: int, length: int | None) -> int:
    """The first bar edge that is not before that minute."""
    if length is None:
        month = _month(minute)
        return _minute(month) if _minute(month) >= minute else _minute(month + 1)
    offset = MONDAY if length == 7 * DAY_MINUTES else 0
    return -(-(minute - offset) // length) * length + offset


def at_or_before(minute: int, length: int | None) -> int:
    """The last bar edge that is not after that minute."""
    edge = at_or_after(minute, length)
    return edge if edge == minute else moved(edge, length, -1)


def moved(edge: int, length: int | None, bars: int) -> int:
    """That many bars after an edge, or before it."""
    return _minute(_month(edge) + bars) if length is None else edge + bars * length


def edges(first: int, length: int | None, bars: int) -> Ints:
    """The edges of so many bars from an edge on: one more than bars."""
    if length is None:
        return np.array([moved(first, None, bar) for bar in range(bars + 1)], dtype=np.int64)
    return first + np.arange(bars + 1, dtype=np.int64) * length


def ceil_minute(milliseconds: int) -> int:
    return -(-milliseconds // MINUTE_MS)


def _month(minute: int) -> int:
    day = datetime.fromtimestamp(minute * 60, UTC)
    return day.year * 12 + day.month - 1


def _minute(month: int) -> int:
    return int(datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC).timestamp()) // 60
