"""What Binance's market streams say at a virtual second: miniTicker and kline, told from the same trades.

A miniTicker comes with each second in which the price changed; its volumes roll over 24 hours, minute
by minute. A kline comes every two seconds and once more, with `x: true`, when it has closed.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ray_app.simulator.exchanges import intervals
from ray_app.simulator.exchanges.trades import (
    CLOSE,
    DAY_MINUTES,
    HIGH,
    LOTS,
    LOW,
    MINUTE_MS,
    OPEN,
    QUOTE,
    START,
    TAKEN,
    TAKEN_QUOTE,
    TRADES,
    Ints,
    Trades,
    decimal,
    together,
)

SHOWN = 8


@dataclass(slots=True)
class Day:
    """The 24 hours before a minute, and that minute."""

    minute: int
    before: Ints  # one row, or none
    row: list[int]  # or empty
    points: list[int]


@dataclass
class Ticker:
    """One pair as the streams tell it; connections share it."""

    symbol: str
    trades: Trades
    _day: Day | None = field(default=None, init=False)

    def now(self, second: int) -> list[int] | None:
        """The minute's row up to that second (since 1970); None: nothing is traded in it."""
        day = self._of(second // 60)
        return self.trades.so_far(day.row, second % 60, day.points) if day.row else None

    def mini(self, second: int) -> dict[str, Any] | None:
        """The miniTicker, without its event time; None: nothing is traded."""
        row = self.now(second)
        if row is None:
            return None
        before = self._of(second // 60).before
        whole = together(np.concatenate([before, np.array([row])]), np.array([0, 2**40])).tolist()[0]
        price, lot = self.trades.price_digits, self.trades.lot_digits
        return {
            "e": "24hrMiniTicker",
            "E": second * 1000,
            "s": self.symbol,
            "c": decimal(whole[CLOSE], price, SHOWN),
            "o": decimal(whole[OPEN], price, SHOWN),
            "h": decimal(whole[HIGH], price, SHOWN),
            "l": decimal(whole[LOW], price, SHOWN),
            "v": decimal(whole[LOTS], lot, SHOWN),
            "q": decimal(whole[QUOTE], price + lot, SHOWN),
        }

    def kline(self, name: str, second: int) -> dict[str, Any] | None:
        """The candle that holds that second, as far as it has come by the second's end."""
        edge = intervals.at_or_before(second // 60, intervals.BINANCE[name])
        if name == "1m":
            row = self.now(second)
        else:
            rows = self.trades.bars(intervals.edges(edge, intervals.BINANCE[name], 1), second * 1000)
            row = rows.tolist()[0] if len(rows) else None
        return None if row is None else self._event(name, row, second * 1000, final=False)

    def closed(self, name: str, edge: int) -> dict[str, Any] | None:
        """The candle that closed at that edge (a minute), with `x: true`."""
        length = intervals.BINANCE[name]
        edges = np.array([intervals.moved(edge, length, -1), edge])
        rows = self.trades.bars(edges, edge * MINUTE_MS).tolist()
        return self._event(name, rows[0], edge * MINUTE_MS, final=True) if rows else None

    def _event(self, name: str, row: list[int], at_ms: int, final: bool) -> dict[str, Any]:
        price, lot = self.trades.price_digits, self.trades.lot_digits
        first = row[START] * 5_000  # trade ids, rising from minute to minute
        return {
            "e": "kline",
            "E": at_ms,
            "s": self.symbol,
            "k": {
                "t": row[START] * MINUTE_MS,
                "T": intervals.moved(row[START], intervals.BINANCE[name], 1) * MINUTE_MS - 1,
                "s": self.symbol,
                "i": name,
                "f": first if row[TRADES] else -1,
                "L": first + row[TRADES] - 1 if row[TRADES] else -1,
                "o": decimal(row[OPEN], price, SHOWN),
                "c": decimal(row[CLOSE], price, SHOWN),
                "h": decimal(row[HIGH], price, SHOWN),
                "l": decimal(row[LOW], price, SHOWN),
                "v": decimal(row[LOTS], lot, SHOWN),
                "n": row[TRADES],
                "x": final,
                "q": decimal(row[QUOTE], price + lot, SHOWN),
                "V": decimal(row[TAKEN], lot, SHOWN),
                "Q": decimal(row[TAKEN_QUOTE], price + lot, SHOWN),
                "B": "0",
            },
        }

    def _of(self, minute: int) -> Day:
        if self._day is None or self._day.minute != minute:
            edges = np.array([minute - DAY_MINUTES + 1, minute])
            before = together(self.trades.minutes(int(edges[0]), minute), edges)
            rows = self.trades.minutes(minute, minute + 1).tolist()
            self._day = Day(minute, before, rows[0] if rows else [], self.trades.points(minute))
        return self._day


@dataclass(frozen=True, slots=True)
class Name:
    """One stream: `btcusdt@miniTicker` is of BTCUSDT, `btcusdt@kline_5m` of its candles."""

    text: str
    symbol: str
    interval: str | None  # None: the miniTicker

    @classmethod
    def read(cls, text: str) -> "Name":
        """ValueError: no stream is called so. Symbols in upper case are no stream's."""
        symbol, _, kind = text.partition("@")
        interval = kind.removeprefix("kline_") if kind.startswith("kline_") else None
        known = kind == "miniTicker" or interval in intervals.BINANCE
        if not (known and symbol.isalnum() and symbol == symbol.lower()):
            raise ValueError(f"no stream {text!r}")
        return cls(text, symbol.upper(), interval)


def due(name: Name, ticker: Ticker, second: int, brief: bool = False) -> list[dict[str, Any]]:
    """What the stream says with that second, oldest first; `brief`: only what is final."""
    if name.interval is None:
        said = None if brief else ticker.mini(second)
        return [] if said is None else [said]
    found = []
    minute, rest = divmod(second, 60)
    if rest == 0 and intervals.at_or_after(minute, intervals.BINANCE[name.interval]) == minute:
        found.append(ticker.closed(name.interval, minute))
    if second % 2 == 0 and not brief:
        found.append(ticker.kline(name.interval, second))
    return [said for said in found if said is not None]
