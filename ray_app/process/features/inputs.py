"""What features are computed from: frames of what is known of one symbol, and of what all symbols share.

Every frame but bars has `known_at`: when anyone could have known the row; a bar is known when it ends. Rows may come
in any order. What was received when is the reader's to choose before: with `as_of`, a frame lacks what came later.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ray_app.process.features.known import NEVER, Known, Times, finite, known, micros
from ray_app.process.indicators.grid import EPOCH, NUMBERS, START, Array, Bars
from ray_app.process.indicators.windows import change, prior, ratio

HOUR = timedelta(hours=1)
MICROSECOND = timedelta(microseconds=1)
HOUR_US = HOUR // MICROSECOND
POINT = ("market_cap", "volume_24h")
FUNDING = ("rate",)
INTEREST = ("worth",)
SENTIMENT = ("score", "confidence", "count", "unscored")
TOTALS = ("market_cap", "volume_24h", "btc_dominance", "eth_dominance")
VALUE = ("value",)

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Joined:
    """A series beside the rows of a frame: `rows[i]` is what was known of it at `at[i]`, -1 for nothing."""

    known: Known
    rows: NDArray[np.int64]
    at: Times

    def take(self, found: Array, limit: timedelta) -> Array:
        """A number per row of `known` on the frame's rows; NaN where the newest period is older than `limit`."""
        out = np.full(len(self.at), np.nan)
        there = np.flatnonzero(self.rows >= 0)
        rows = self.rows[there]
        fresh = self.at[there] - self.known.periods[rows, 0] <= limit // MICROSECOND
        out[there[fresh]] = found[rows[fresh]]
        return out

    def period(self) -> Times:
        """The newest period of each row; NEVER where none is known."""
        there = self.rows >= 0
        out = np.full(len(self.at), NEVER)
        out[there] = self.known.periods[self.rows[there], 0]
        return out

    def newest(self, number: str, limit: timedelta) -> Array:
        return self.take(self.known.values[number][:, 0], limit)


@dataclass(frozen=True, eq=False)
class Kept:
    """Keeps what formulas find for the others that use it. Not to be written into."""

    _kept: dict[tuple[object, ...], Any] = field(default_factory=dict, init=False, repr=False)

    def keep(self, key: tuple[object, ...], make: Callable[[], T]) -> T:
        if key not in self._kept:
            self._kept[key] = make()
        found: T = self._kept[key]
        return found

    def find(self, formula: Callable[..., Array], *parameters: object) -> Array:
        """What `formula` makes of this and the parameters; worked out once."""
        return self.keep((formula, *parameters), lambda: formula(self, *parameters))


@dataclass(frozen=True, eq=False)
class Shared(Kept):
    """What all symbols share, over the hours that end in (start, end]. Both lie on the UTC hour.

    `bars`: per tracked symbol start, open, high, low, close, volume of one hour each; `BTC` and `ETH` among them.
    `points`: per tracked symbol at, known_at, market_cap, volume_24h in US dollars. `observations`: series, period,
    known_at, value, a row per vintage. `metrics`: metric, at, known_at, value. `mood`: day, known_at, value.
    `totals`: slot, known_at, market_cap, volume_24h, btc_dominance, eth_dominance. None: there is none of it.
    Raises ValueError for ends off the hour and, when read, for a frame without one of its columns.
    """

    start: datetime
    end: datetime
    bars: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    points: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    observations: pl.DataFrame | None = None
    metrics: pl.DataFrame | None = None
    mood: pl.DataFrame | None = None
    totals: pl.DataFrame | None = None

    def __post_init__(self) -> None:
        if (self.start - EPOCH) % HOUR or (self.end - EPOCH) % HOUR or self.end <= self.start:
            raise ValueError(f"{self.start} .. {self.end} is no range of whole hours")

    @cached_property
    def first(self) -> int:
        """The number of the first row's hour since 1970."""
        return (self.start - EPOCH) // HOUR

    @cached_property
    def at(self) -> Times:
        """When each row's bar ends."""
        return (self.first + 1 + np.arange((self.end - self.start) // HOUR)) * HOUR_US

    def bars_of(self, symbol: str) -> Bars:
        return self.keep(("bars", symbol), lambda: on_rows(self.bars.get(symbol), self))

    def returns_of(self, symbol: str, hours: int = 1) -> Array:
        return self.keep(("returns", symbol, hours), lambda: growth(self.bars_of(symbol).close, hours))

    def join(self, key: tuple[object, ...], frame: pl.DataFrame | None, period: str, numbers: Sequence[str],
             count: int = 1) -> Joined:  # fmt: skip
        return self.keep(key, lambda: join(frame, period, numbers, count, self.at))

    def series(self, name: str, count: int = 1) -> Joined:
        frame = self._of(self.observations, "series", name)
        return self.join(("series", name, count), frame, "period", VALUE, count)

    def metric(self, name: str, count: int = 1) -> Joined:
        return self.join(("metric", name, count), self._of(self.metrics, "metric", name), "at", VALUE, count)

    def mood_index(self) -> Joined:
        return self.join(("mood",), self.mood, "day", VALUE)

    def total(self) -> Joined:
        return self.join(("totals",), self.totals, "slot", TOTALS)

    def points_of(self, symbol: str) -> Joined:
        return self.join(("points", symbol), self.points.get(symbol), "at", POINT)

    def _of(self, frame: pl.DataFrame | None, column: str, name: str) -> pl.DataFrame | None:
        parts = self.keep(("parts", column), lambda: split(frame, column))
        return parts.get((name,))


@dataclass(frozen=True, eq=False)
class Inputs(Kept):
    """What is known of one symbol beside what all share.

    `bars`, `points`: as in Shared. `funding`: at, known_at, rate. `open_interest`: at, known_at, worth (US dollars).
    `sentiment`: window (1h, 4h, 24h, 7d), kind (all, news, reddit, twitter), at (the window's end), known_at, score,
    confidence, count (texts with a score), unscored. `listed`: when the first bar that there ever was starts, so
    that a young symbol has recursive indicators as soon as they are warm; None if that is not known.
    """

    symbol: str
    shared: Shared
    bars: pl.DataFrame | None = None
    points: pl.DataFrame | None = None
    funding: pl.DataFrame | None = None
    open_interest: pl.DataFrame | None = None
    sentiment: pl.DataFrame | None = None
    listed: datetime | None = None

    @property
    def own(self) -> Bars:
        """The symbol's bars on the rows; a bar that was not observed is NaN."""
        return self.keep(("bars",), lambda: on_rows(self.bars, self.shared))

    def returns(self, hours: int = 1) -> Array:
        """The close by the close so many hours before, less 1."""
        return self.keep(("returns", hours), lambda: growth(self.own.close, hours))

    def point(self) -> Joined:
        return self._join(("points",), self.points, "at", POINT)

    def funded(self) -> Joined:
        return self._join(("funding",), self.funding, "at", FUNDING)

    def interest(self) -> Joined:
        return self._join(("interest",), self.open_interest, "at", INTEREST)

    def mood(self, window: str, kind: str) -> Joined:
        parts = self.keep(("moods",), lambda: split(self.sentiment, "window", "kind"))
        return self._join(("mood", window, kind), parts.get((window, kind)), "at", SENTIMENT)

    def _join(self, key: tuple[object, ...], frame: pl.DataFrame | None, period: str,
              numbers: Sequence[str]) -> Joined:  # fmt: skip
        return self.keep(key, lambda: join(frame, period, numbers, 1, self.shared.at))


def growth(x: Array, rows: int) -> Array:
    """By which part x grew over so many rows; NaN where it was not above zero before."""
    before = prior(x, rows)
    return ratio(change(x, rows), np.where(before > 0, before, np.nan))


def split(frame: pl.DataFrame | None, *columns: str) -> dict[tuple[Any, ...], pl.DataFrame]:
    if frame is None:
        return {}
    need(frame, columns)
    return frame.partition_by(*columns, as_dict=True)


def join(frame: pl.DataFrame | None, period: str, numbers: Sequence[str], count: int, at: Times) -> Joined:
    if frame is None:
        empty = np.empty((0, count))
        nothing = Known(np.empty(0, np.int64), np.empty((0, count), np.int64), dict.fromkeys(numbers, empty))
        return Joined(nothing, np.full(len(at), -1), at)
    need(frame, (period, "known_at", *numbers))
    found = known(frame, period, numbers, count)
    return Joined(found, found.rows(at), at)


def need(frame: pl.DataFrame, columns: Sequence[str]) -> None:
    if lost := [name for name in columns if name not in frame.columns]:
        raise ValueError(f"a frame lacks the columns {', '.join(lost)}")


def on_rows(frame: pl.DataFrame | None, shared: Shared) -> Bars:
    """Bars on the frame's rows. What starts off the hour is no bar of an hour and left out; two different bars of one
    hour are both left out: which one is true is not known."""
    count = len(shared.at)
    numbers = {name: np.full(count, np.nan) for name in NUMBERS}
    if frame is not None:
        need(frame, ("start", *NUMBERS))
        there = frame.drop_nulls("start") if frame["start"].null_count() else frame
        place, off = np.divmod(micros(there["start"]), HOUR_US)
        place -= shared.first
        inside = np.flatnonzero((off == 0) & (place >= 0) & (place < count))
        place = place[inside]
        read = {name: finite(there[name])[inside] for name in NUMBERS}
        for name, x in numbers.items():
            x[place] = read[name]
        if (np.diff(place) <= 0).any():
            _clear_where_they_differ(numbers, place, read)
    start = pl.Series("start", shared.at - HOUR_US).cast(START)
    return Bars.of(pl.DataFrame({"start": start, **numbers}))


def _clear_where_they_differ(numbers: dict[str, Array], place: Times, read: dict[str, Array]) -> None:
    """Of several bars of one hour the last was written: where another says otherwise there is none."""
    pairs = [(x[place], read[name]) for name, x in numbers.items()]
    differ = np.logical_or.reduce([~((a == b) | (np.isnan(a) & np.isnan(b))) for a, b in pairs])
    for x in numbers.values():
        x[place[differ]] = np.nan
