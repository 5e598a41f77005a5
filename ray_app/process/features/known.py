"""What was known of a series at each moment: its newest periods, each in the vintage of that moment.

A series is rows of (period, known_at, numbers). At time t the rows with `known_at` <= t are known; of a period
the one that became known last holds. A row without any number withdraws its period (a holiday, a vintage that took it
back). Rows that say two things of one period at one moment cancel each other: which one is true is not known. An
older period that arrives late moves no newest value, only what is compared with it.
"""

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ray_app.process.indicators.grid import START, Array

Times = NDArray[np.int64]  # microseconds since 1970, UTC
Numbers = dict[str, Array]
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

    def rows(self, moments: Times) -> NDArray[np.int64]:
        """Which row holds at each of the ascending moments; -1 before the first. A backward as-of join."""
        return np.searchsorted(self.at, moments, side="right") - 1


def known(frame: pl.DataFrame, period: str, numbers: Sequence[str], count: int = 1) -> Known:
    """The newest `count` periods at each moment. Rows without a time are no facts; what is not finite is not known."""
    there = (
        frame.drop_nulls(["known_at", period])
        if frame["known_at"].null_count() or frame[period].null_count()
        else frame
    )
    at, periods = micros(there["known_at"]), micros(there[period])
    values = {name: finite(there[name]) for name in numbers}
    again = at[1:] == at[:-1]
    if (at[1:] < at[:-1]).any() or (periods[1:] < periods[:-1])[again].any():
        order = np.lexsort((periods, at))
        at, periods, values = at[order], periods[order], {name: x[order] for name, x in values.items()}
    at, periods, values = _one_each(at, periods, values)
    told = ~np.logical_and.reduce([np.isnan(x) for x in values.values()])
    if (np.diff(periods) > 0).all():
        return _in_order(*_only(told, at, periods, values), count)
    if count == 1 and told.all():
        newest = periods == np.maximum.accumulate(periods)
        return _in_order(*_only(newest, at, periods, values), 1)
    return _out_of_order(at, periods, values, told, count)


def _only(
    which: NDArray[np.bool_], at: Times, periods: Times, values: Numbers
) -> tuple[Times, Times, Numbers]:
    if which.all():
        return at, periods, values
    return at[which], periods[which], {name: x[which] for name, x in values.items()}


def micros(times: pl.Series) -> Times:
    return times.cast(START).to_physical().to_numpy()


def finite(numbers: pl.Series) -> Array:
    """NaN for what is missing or no number."""
    x = numbers.cast(pl.Float64).to_numpy()
    return np.where(np.isfinite(x), x, np.nan)


def _one_each(at: Times, periods: Times, values: Numbers) -> tuple[Times, Times, Numbers]:
    """One row per moment and period; a number on which its rows differ is NaN."""
    again = (np.diff(at, prepend=NEVER) == 0) & (np.diff(periods, prepend=NEVER) == 0)
    if not again.any():
        return at, periods, values
    first = np.flatnonzero(~again)
    one = {}
    for name, x in values.items():
        agreed = np.minimum.reduceat(x, first) == np.maximum.reduceat(x, first)  # NaN agrees with nothing
        one[name] = np.where(agreed, x[first], np.nan)
    return at[first], periods[first], one


def _in_order(at: Times, periods: Times, values: Numbers, count: int) -> Known:
    last = np.flatnonzero(np.append(at[1:] != at[:-1], True)[: len(at)])  # of one moment it has all of it
    back = last[:, None] - np.arange(count)
    return _known(at[last], np.where(back < 0, -1, back), periods, values)


def _known(at: Times, back: NDArray[np.int64], periods: Times, values: Numbers) -> Known:
    """From which row is in which place; -1 for none."""
    ends = np.append(periods, NEVER)  # so that -1 is a place that says nothing
    numbers = {name: np.append(x, np.nan)[back] for name, x in values.items()}
    return Known(at, ends[back], numbers)


def _out_of_order(at: Times, periods: Times, values: Numbers, told: NDArray[np.bool_], count: int) -> Known:
    """Plays the rows one by one: revisions, withdrawals and latecomers."""
    order: list[int] = []
    now: dict[int, int] = {}  # period -> the row that holds
    moments, found = [], []
    last = len(at) - 1
    for row, (moment, period) in enumerate(zip(at.tolist(), periods.tolist(), strict=True)):
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
    return _known(np.array(moments, dtype=np.int64), back, periods, values)
