"""What was known of a series at each moment: its newest periods, each in the vintage of that moment.

A series is rows of (period, known_at, numbers). At time t the rows with `known_at` <= t are known; of a period
the one that became known last holds. A row without any number withdraws its period (a holiday, a vintage that took it
back). Rows that say two things of one period at one moment cancel each other: which one is true is not known. An
older period that arrives late moves no newest value, only what is compared with it.
"""

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ray_app.process.indicators.grid import START, Array

Times = NDArray[np.int64]  # microseconds since 1970, UTC
Numbers = dict[str, Array]
HOUR_US = timedelta(hours=1) // timedelta(microseconds=1)
NEVER = np.iinfo(np.int64).min  # the time of what is not there


@dataclass(frozen=True, eq=False)
class Known:
    """Row i holds from `at[i]` until `at[i + 1]`. Column 0 is the newest period, column k the k-th before it.

    `at`: each once, ascending. `periods`: NEVER where fewer are known. `values`: per number of the series; NaN where
    it is not known.
    """

    at: Times
    periods: NDArray[np.int64]
    values: Numbers

    def rows(self, hours: Times) -> NDArray[np.int64]:
        """Which row holds at each of the hours, a run of them; -1 before the first. A backward as-of join."""
        first = -((hours[0] - self.at) // HOUR_US)  # of the hours, the one from which on each row holds
        if len(first) and (first[1:] - first[:-1] == 1).all():  # one an hour, as most series
            found: NDArray[np.int64] = np.clip(np.arange(len(hours)) - first[0], -1, len(first) - 1)
            return found
        ends = np.diff(np.clip(first, 0, len(hours)), prepend=0, append=len(hours))
        return np.repeat(np.arange(-1, len(first)), ends)


@dataclass(frozen=True, eq=False)
class Told:
    """The rows of a series as arrays, in the order of its frame. `values` as they were told: finite or not."""

    at: Times
    periods: Times
    values: dict[str, NDArray[Any]]

    @classmethod
    def of(cls, frame: pl.DataFrame, period: str, numbers: Sequence[str]) -> "Told":
        return cls(
            micros(frame["known_at"]), micros(frame[period]), {name: plain(frame[name]) for name in numbers}
        )

    def only(self, which: NDArray[np.bool_] | NDArray[np.int64] | slice) -> "Told":
        return Told(self.at[which], self.periods[which], {name: x[which] for name, x in self.values.items()})

    @cached_property
    def steady(self) -> bool:
        """Whether each row tells of one more period: what is known is then these rows."""
        later = (self.at[1:] > self.at[:-1]).all() and (self.periods[1:] > self.periods[:-1]).all()
        whole = sorted(self.values.values(), key=lambda x: x.dtype.kind == "f")  # integers need no look
        return bool(later) and any(x.dtype.kind != "f" or np.isfinite(x).all() for x in whole)

    def same_times(self, other: "Told") -> bool:
        return np.array_equal(self.at, other.at) and np.array_equal(self.periods, other.periods)

    def known(self, count: int = 1) -> Known:
        """The newest `count` periods at each moment. What is not finite is not known."""
        cleared = Told(self.at, self.periods, {name: finite(x) for name, x in self.values.items()})
        return cleared._in_order(count) if self.steady else cleared._as_told(count)

    def _as_told(self, count: int) -> Known:
        later, same = self.at[1:] > self.at[:-1], self.at[1:] == self.at[:-1]
        ordered = (later | same & (self.periods[1:] >= self.periods[:-1])).all()
        rows = (self if ordered else self.only(np.lexsort((self.periods, self.at))))._one_each()
        told: NDArray[np.bool_] = np.logical_or.reduce([~np.isnan(x) for x in rows.values.values()])
        if (rows.periods[1:] > rows.periods[:-1]).all():
            return rows.only(told)._in_order(count)
        if count == 1 and told.all():
            return rows.only(rows.periods == np.maximum.accumulate(rows.periods))._in_order(1)
        return rows._out_of_order(told, count)

    def _one_each(self) -> "Told":
        """One row per moment and period; a number on which its rows differ is NaN."""
        again = (np.diff(self.at, prepend=NEVER) == 0) & (np.diff(self.periods, prepend=NEVER) == 0)
        if not again.any():
            return self
        first = np.flatnonzero(~again)
        one = {}
        for name, x in self.values.items():
            agreed = np.minimum.reduceat(x, first) == np.maximum.reduceat(x, first)  # NaN agrees with nothing
            one[name] = np.where(agreed, x[first], np.nan)
        return Told(self.at[first], self.periods[first], one)

    def _in_order(self, count: int) -> Known:
        last = np.append(self.at[1:] != self.at[:-1], True)[: len(self.at)]  # of one moment it has all of it
        if count == 1:
            ends = self if last.all() else self.only(last)
            return Known(
                ends.at, ends.periods[:, None], {name: x[:, None] for name, x in ends.values.items()}
            )
        back = np.flatnonzero(last)[:, None] - np.arange(count)
        return self._known(self.at[last], np.where(back < 0, -1, back))

    def _known(self, at: Times, back: NDArray[np.int64]) -> Known:
        """From which row is in which place; -1 for none."""
        numbers = {name: np.append(x, np.nan)[back] for name, x in self.values.items()}
        return Known(at, np.append(self.periods, NEVER)[back], numbers)  # -1 is a place that says nothing

    def _out_of_order(self, told: NDArray[np.bool_], count: int) -> Known:
        """Plays the rows one by one: revisions, withdrawals and latecomers."""
        at = self.at
        order: list[int] = []
        now: dict[int, int] = {}  # period -> the row that holds
        moments, found = [], []
        last = len(at) - 1
        for row, (moment, period) in enumerate(zip(at.tolist(), self.periods.tolist(), strict=True)):
            if period not in now and told[row]:
                insort(order, period)
                now[period] = row
            elif told[row]:
                now[period] = row
            elif now.pop(period, None) is not None:
                order.remove(period)
            if row == last or at[row + 1] != moment:
                moments.append(moment)
                newest = [now[one] for one in order[: -count - 1 : -1]]
                found.append(newest + [-1] * (count - len(newest)))
        back = np.array(found, dtype=np.int64).reshape(-1, count)
        return self._known(np.array(moments, dtype=np.int64), back)


def with_all(frame: pl.DataFrame, *names: str) -> pl.DataFrame:
    """The rows that have all of these, such as their times: one without is no fact."""
    return frame.drop_nulls(names) if any(frame[name].null_count() for name in names) else frame


def micros(times: pl.Series) -> Times:
    return times.cast(START).to_numpy().view(np.int64)


def plain(numbers: pl.Series) -> NDArray[Any]:
    """Of the type that they are read in, where numpy has it; NaN for what is missing."""
    return (numbers if numbers.dtype.is_integer() else numbers.cast(pl.Float64)).to_numpy()


def finite(x: NDArray[Any]) -> Array:
    """NaN for what is no number."""
    if x.dtype.kind != "f":
        return x.astype(np.float64)
    there = np.isfinite(x)
    return x if there.all() else np.where(there, x, np.nan)
