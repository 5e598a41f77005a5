"""One symbol's bars on a regular grid: the frame that indicators are computed from, and its columns as arrays."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

Array = NDArray[np.float64]
PRICES = ("open", "high", "low", "close")
NUMBERS = (*PRICES, "volume")
DAY = timedelta(days=1)
START = pl.Datetime("us", "UTC")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def on_grid(bars: pl.DataFrame, interval: timedelta) -> pl.DataFrame:
    """The bars with a row of nulls for each bar between the first and the last that was not observed.

    `bars`: start (UTC), open, high, low, close, volume, in any order of rows; numbers of any type. Raises
    ValueError for a missing column, a start off the UTC grid of `interval`, and two bars with one start.
    """
    if lost := [name for name in ("start", *NUMBERS) if name not in bars.columns]:
        raise ValueError(f"bars lack the columns {', '.join(lost)}")
    known = bars.select(pl.col("start").cast(START), pl.col(NUMBERS).cast(pl.Float64)).sort("start")
    if known.is_empty():
        return known
    starts = known["start"]
    if starts.null_count() or starts.is_duplicated().any():
        raise ValueError("each bar has a start, and one that no other has")
    if ((starts - EPOCH).dt.total_microseconds() % (interval // timedelta(microseconds=1)) != 0).any():
        raise ValueError(f"a bar does not start on the grid of {interval}")
    if known.height == (starts[-1] - starts[0]) // interval + 1:
        return known
    grid = pl.datetime_range(starts[0], starts[-1], interval, time_unit="us", eager=True).alias("start")
    return grid.to_frame().join(known, on="start", how="left", maintain_order="left")


def interval_of(starts: pl.Series) -> timedelta | None:
    """The step of the grid; None with fewer than two rows. Raises ValueError where the rows are no grid."""
    if len(starts) < 2:
        return None
    steps = np.diff(starts.to_numpy())
    if starts.null_count() or (steps != steps[0]).any() or steps[0] <= np.timedelta64(0):
        raise ValueError("the rows are not a regular grid, oldest first: put the gaps in with on_grid")
    return timedelta(microseconds=int(steps[0].astype(np.int64)))


@dataclass(frozen=True)
class Bars:
    """Columns as arrays, NaN where a number is missing. What a formula finds is kept for the others that use it.

    Arrays are (bars,) of one symbol. Formulas of windows and averages take (symbols, bars) too.
    A bar counts as observed if its four prices are finite and above zero; otherwise it is a gap as a whole.
    A volume that is not finite or is below zero is missing.
    """

    start: pl.Series
    interval: timedelta | None
    open: Array
    high: Array
    low: Array
    close: Array
    volume: Array
    _found: dict[tuple[object, ...], Array] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def of(cls, frame: pl.DataFrame) -> "Bars":
        """Raises ValueError for a missing column and for rows that are no regular grid."""
        if lost := [name for name in ("start", *NUMBERS) if name not in frame.columns]:
            raise ValueError(f"bars lack the columns {', '.join(lost)}")
        starts = frame["start"].cast(START)
        numbers = {name: frame[name].cast(pl.Float64).to_numpy() for name in NUMBERS}
        return cls.observed(starts, interval_of(starts), numbers)

    @classmethod
    def observed(cls, start: pl.Series, interval: timedelta | None, numbers: Mapping[str, Array]) -> "Bars":
        """Of numbers as they come."""
        there = np.logical_and.reduce([(numbers[name] > 0) & (numbers[name] < np.inf) for name in PRICES])
        volume = numbers["volume"]
        known = {name: _only(there, numbers[name]) for name in PRICES}
        return cls(start, interval, volume=_only(there & (volume >= 0) & (volume < np.inf), volume), **known)

    @classmethod
    def beside(cls, parts: Sequence["Bars"]) -> "Bars":
        """The same bars of several symbols as (symbols, bars)."""
        numbers = {name: np.stack([getattr(one, name) for one in parts]) for name in NUMBERS}
        return cls(parts[0].start, parts[0].interval, **numbers)

    def since(self, row: int) -> "Bars":
        """The bars from that one on."""
        return Bars(self.start[row:], self.interval, *(getattr(self, name)[..., row:] for name in NUMBERS))

    def __len__(self) -> int:
        return len(self.start)

    def find(self, formula: "Formula", *parameters: float) -> Array:
        """What `formula` makes of these bars; worked out once. Not to be written into."""
        key = (formula, *parameters)
        if key not in self._found:
            self._found[key] = formula(self, *parameters)
        return self._found[key]


Formula = Callable[..., Array]  # (bars, *parameters) -> one number a bar, NaN where there is none


def _only(which: NDArray[np.bool_], x: Array) -> Array:
    return x if which.all() else np.where(which, x, np.nan)
