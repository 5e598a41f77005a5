"""What was traded on one venue: minutes, out of which every candle of every length is put together.

A venue's price is the truth's path times one plus a small basis of its own. A step of five minutes
begins at its price of the path, goes straight to the price of the next step and sways a little on the
way, through a point every 20 seconds and straight between them. So a candle opens with the path's
price at its start, and 1h is the twelve 5m in it put together. Prices and amounts are whole numbers
of ticks and lots: sums are exact. The same minute is told the same in every window.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ray_app.simulator.noise import Steps, key, unit
from ray_app.simulator.truth import Truth

Ints = NDArray[np.int64]

MINUTE_MS = 60_000
DAY_MINUTES = 1_440
POINTS = 15  # to a step of five minutes
POINT_SECONDS = 20
BASIS = 0.0005  # how far a venue's price is from the path, at most
SWAY = 0.0012  # of the price, for a coin whose volatility is 1 a year
SHARE = 0.03  # of all trading, that goes on at one venue
OUTAGE_EVERY = 90 * DAY_MINUTES  # in every such stretch a venue stands still once
COLUMNS = ("start", "open", "high", "low", "close", "lots", "quote", "trades", "taken", "taken_quote")
START, OPEN, HIGH, LOW, CLOSE, LOTS, QUOTE, TRADES, TAKEN, TAKEN_QUOTE = range(len(COLUMNS))
_BASIS_SALT, _SWAY_SALT, _LOTS_SALT, _QUIET_SALT, _TAKER_SALT, _TRADES_SALT = range(200, 206)


@dataclass(frozen=True, slots=True)
class Outage:
    """Minutes [start, end) in which a venue traded nothing."""

    start: int
    end: int


def outages(seed: int, venue: str, first: int, last: int) -> list[Outage]:
    """The venue's standstills that touch the minutes [first, last)."""
    found = []
    for stretch in range(first // OUTAGE_EVERY, (last - 1) // OUTAGE_EVERY + 1):
        drawn = key(seed, venue, "outage", stretch)
        start = stretch * OUTAGE_EVERY + drawn % (OUTAGE_EVERY - DAY_MINUTES)
        end = start + 20 + drawn // OUTAGE_EVERY % 130
        if start < last and end > first:
            found.append(Outage(start, end))
    return found


class Trades:
    """The trades of one coin at one venue. Minutes are counted since 1970.

    Rows are whole numbers in the order of COLUMNS: the minute, prices in ticks, lots, and quote
    amounts in ticks times lots. `price_digits` and `lot_digits` are decimals behind the point.
    `quiet` is the share of minutes without a trade; they have no row.
    """

    def __init__(
        self,
        truth: Truth,
        coin: int,
        seed: int,
        venue: str,
        quiet: float = 0.0,
        span: tuple[int, int | None] = (0, None),
        bundle: int = 1,
    ) -> None:
        self._truth, self._coin, self._seed, self._venue = truth, coin, seed, venue
        known = truth.coins[coin]
        self.bundle = bundle  # coins to one unit, where a venue trades thousands of them
        price = known.price * bundle
        self.price_digits = min(8, max(2, 4 - math.floor(math.log10(price))))
        self.lot_digits = min(6, max(0, round(math.log10(price))))
        self._sway = SWAY * known.volatility
        self._key = np.array([key(seed, venue, known.id)], dtype=np.uint64)
        self._quiet = quiet
        a_minute = known.circulating / bundle * known.turnover * SHARE / DAY_MINUTES
        self._lots = max(20.0, min(a_minute * 10**self.lot_digits, 1e9))
        self.first = max(truth.listed(coin) * 5, span[0])
        self.end = span[1]  # the minute from which nothing is traded any more
        self._days: dict[int, Ints] = {}

    def basis(self, steps: Steps) -> NDArray[np.float64]:
        """By which share the venue's price is above the path's, at each step."""
        hours = steps // 12
        left = unit(self._key, _BASIS_SALT, hours) - 0.5
        right = unit(self._key, _BASIS_SALT, hours + 1) - 0.5
        return np.asarray((left + (right - left) * ((steps - hours * 12) / 12)) * 2 * BASIS)

    def minutes(self, first: int, end: int) -> Ints:
        """The rows of [first, end), those with a trade, as if all of them were over."""
        first = max(first, self.first)
        end = end if self.end is None else min(end, self.end)
        if end <= first:
            return np.empty((0, len(COLUMNS)), dtype=np.int64)
        minutes = np.arange(first, end, dtype=np.int64)
        points, told = self._points(first, end)
        nodes = points[:, :3]
        close = _between(points[:, 2], points[:, 3], POINT_SECONDS - 1)
        high, low = np.maximum(nodes.max(axis=1), close), np.minimum(nodes.min(axis=1), close)
        lots = (self._lots * (0.3 + 1.4 * unit(self._key, _LOTS_SALT, minutes))).astype(np.int64)
        taken = (lots * (0.3 + 0.4 * unit(self._key, _TAKER_SALT, minutes))).astype(np.int64)
        trades = 1 + (unit(self._key, _TRADES_SALT, minutes) * np.minimum(lots, 2_000)).astype(np.int64)
        typical = (nodes.sum(axis=1) + close) // 4
        rows = [minutes, nodes[:, 0], high, low, close, lots, lots * typical, trades, taken, taken * typical]
        told &= unit(self._key, _QUIET_SALT, minutes) >= self._quiet
        for outage in outages(self._seed, self._venue, first, end):
            told[max(0, outage.start - first) : outage.end - first] = False
        return np.stack(rows, axis=1)[told]

    def until(self, first: int, now_ms: int) -> Ints:
        """The rows of [first, now], the last one as far as it has come."""
        minute = now_ms // MINUTE_MS
        rows = self.minutes(first, minute + 1)
        if len(rows) and rows[-1, START] == minute:
            rows[-1] = self.so_far(rows[-1].tolist(), now_ms % MINUTE_MS // 1000, self.points(minute))
        return rows

    def points(self, minute: int) -> list[int]:
        """Its prices at the seconds 0, 20, 40 and 60, in ticks; only of a minute that has a row."""
        found: list[int] = self._points(minute, minute + 1)[0][0].tolist()
        return found

    def so_far(self, row: list[int], second: int, points: list[int]) -> list[int]:
        """A minute up to and with that second of it."""
        seen = points[: second // POINT_SECONDS + 1]
        price = seen[-1] + (points[len(seen)] - seen[-1]) * (second % POINT_SECONDS) // POINT_SECONDS
        made = row.copy()
        made[HIGH], made[LOW], made[CLOSE] = max(*seen, price), min(*seen, price), price
        for column in (LOTS, QUOTE, TRADES, TAKEN, TAKEN_QUOTE):
            made[column] = row[column] * (second + 1) // 60
        return made

    def openings(self, steps: Steps) -> Ints:
        """The price with which each of these steps begins, in ticks; 0 where there is none."""
        path = self._truth.path(self._coin, steps) * self.bundle * (1 + self.basis(steps))
        return np.rint(np.nan_to_num(path) * float(10**self.price_digits)).astype(np.int64)

    def price(self, now_ms: int) -> int | None:
        """The last price, in ticks; None: nothing is traded just now."""
        minute = now_ms // MINUTE_MS
        rows = self.until(minute - 30, now_ms)
        return int(rows[-1, CLOSE]) if len(rows) else None

    def bars(self, edges: Ints, now_ms: int) -> Ints:
        """One row per bar that has a trade by now; a bar goes from one edge (a minute) to the next.

        The bar that holds now is told as far as it has come. Its `start` is its edge.
        """
        first, end = int(edges[0]), min(int(edges[-1]), now_ms // MINUTE_MS + 1)
        first = max(first, self.first)
        if len(edges) > 2 and int(edges[1] - edges[0]) >= DAY_MINUTES:
            rows = self._by_days(first, end, now_ms)
        else:
            rows = self.until(first, min(now_ms, end * MINUTE_MS - 1))
        return together(rows, edges)

    def _by_days(self, first: int, end: int, now_ms: int) -> Ints:
        """Rows of whole days for [first, end), and what is left of a day in minutes."""
        today = min(end, now_ms // MINUTE_MS) // DAY_MINUTES
        days = range(first // DAY_MINUTES, today)
        missing = [day for day in days if day not in self._days]
        for run in range(0, len(missing), 50):  # not all minutes of ten years at once
            part = missing[run : run + 50]
            edges = np.arange(part[0], part[-1] + 2, dtype=np.int64) * DAY_MINUTES
            made = together(self.minutes(int(edges[0]), int(edges[-1])), edges)
            found = {int(row[START]) // DAY_MINUTES: row for row in made}
            for day in range(part[0], part[-1] + 1):
                self._days[day] = found[day][np.newaxis] if day in found else made[:0]
        rest = self.until(max(first, today * DAY_MINUTES), min(now_ms, end * MINUTE_MS - 1))
        return np.concatenate([*(self._days[day] for day in days), rest])

    def _points(self, first: int, end: int) -> tuple[Ints, NDArray[np.bool_]]:
        """Four points of each minute (the last is the next one's first), and whether there is a price."""
        begun, over = first // 5, (end - 1) // 5 + 1
        steps = np.arange(begun, over + 1, dtype=np.int64)
        scale = float(10**self.price_digits)
        path = self._truth.path(self._coin, steps) * self.bundle * (1 + self.basis(steps))
        here, then = path[:-1], np.where(np.isnan(path[1:]), path[:-1], path[1:])
        ways = np.arange(POINTS) / POINTS
        cells = steps[:-1, np.newaxis] * POINTS + np.arange(POINTS)
        swings = (unit(self._key, _SWAY_SALT, cells.ravel()).reshape(cells.shape) - 0.5) * 2 * self._sway
        swings[:, 0] = 0.0  # a step begins at its price
        prices = (here[:, np.newaxis] + (then - here)[:, np.newaxis] * ways) * (1 + swings)
        priced = ~np.isnan(here)
        ticks = np.rint(np.nan_to_num(prices) * scale).astype(np.int64)
        after = np.rint(np.nan_to_num(then) * scale).astype(np.int64)
        flat = np.concatenate([ticks, after[:, np.newaxis]], axis=1)
        index = np.arange(5)[:, np.newaxis] * 3 + np.arange(4)
        table = flat[:, index].reshape(-1, 4)
        offset = first - begun * 5
        wanted = slice(offset, offset + end - first)
        return np.maximum(table[wanted], 1), np.repeat(priced, 5)[wanted]


def together(rows: Ints, edges: Ints) -> Ints:
    """Rows put together into bars from edge to edge; bars without a row are left out."""
    groups = np.searchsorted(edges, rows[:, START], side="right") - 1
    inside = (groups >= 0) & (groups < len(edges) - 1)
    rows, groups = rows[inside], groups[inside]
    if not len(rows):
        return rows
    firsts = np.flatnonzero(np.append(True, groups[1:] != groups[:-1]))
    lasts = np.append(firsts[1:], len(rows)) - 1
    made = rows[firsts].copy()
    made[:, START] = edges[groups[firsts]]
    made[:, HIGH] = np.maximum.reduceat(rows[:, HIGH], firsts)
    made[:, LOW] = np.minimum.reduceat(rows[:, LOW], firsts)
    made[:, CLOSE] = rows[lasts, CLOSE]
    for column in (LOTS, QUOTE, TRADES, TAKEN, TAKEN_QUOTE):
        made[:, column] = np.add.reduceat(rows[:, column], firsts)
    return made


def _between(here: Ints, then: Ints, second: int) -> Ints:
    """The price some seconds after one point, on the way to the next."""
    return here + (then - here) * second // POINT_SECONDS


def decimal(value: int, digits: int, shown: int) -> str:
    """A whole number of units of 10**-digits with `shown` decimals, exactly. ValueError: too few."""
    if shown < digits:
        raise ValueError(f"{digits} decimals do not fit into {shown}")
    sign, value = ("-", -value) if value < 0 else ("", value)
    whole, rest = divmod(value, 10**digits) if digits else (value, 0)
    text = f"{rest:0{digits}d}" if digits else ""
    return f"{sign}{whole}.{text.ljust(shown, '0')}" if shown else f"{sign}{whole}"
