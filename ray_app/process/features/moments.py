"""Means, deviations and correlations over the last n rows, of the numbers that are there.

Like `indicators.windows`: a value is made from the numbers in its window alone, by the same operations in the same
order wherever the window lies. Unlike there, a window may have gaps: LEAST of its rows must be known, else the
result is NaN. A window that reaches beyond the frame is NaN. No logarithms or exponentials: their last digit can
depend on the place in the array.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ray_app.process.indicators import windows
from ray_app.process.indicators.grid import Array
from ray_app.process.indicators.windows import ratio, total, without

LEAST = 0.9  # the part of a window that must be known
FLAT = 1e-10  # a spread below this part of the mean square is rounding


@dataclass(frozen=True, eq=False)
class Sums:
    """Of the known numbers of each window: how many, their sum, the sum of their squares."""

    count: Array
    sum: Array
    squares: Array

    @cached_property
    def mean(self) -> Array:
        return self.sum / self.count

    @cached_property
    def variance(self) -> Array:
        """As of a whole population; exactly 0 where the numbers are equal but for rounding."""
        square = self.squares / self.count
        spread = square - self.mean * self.mean
        square *= FLAT
        spread *= spread > square
        return spread

    @cached_property
    def deviation(self) -> Array:
        return np.sqrt(self.variance)


@dataclass(frozen=True, eq=False)
class Rolling:
    """A series, the last axis its rows; what is asked for of its windows is worked out once."""

    x: Array
    _kept: dict[tuple[str, int], Array] = field(default_factory=dict, init=False, repr=False)
    _sums: dict[int, Sums] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def known(self) -> NDArray[np.bool_]:
        return np.isfinite(self.x)

    @cached_property
    def filled(self) -> Array:
        """With 0 for what is not known."""
        return np.where(self.known, self.x, 0.0)

    def only(self, known: NDArray[np.bool_]) -> "Rolling":
        """Those of the rows where that is known too."""
        return Rolling(np.where(known, self.x, np.nan)) if (self.known & ~known).any() else self

    def count(self, n: int) -> Array:
        return self._keep("count", n, lambda: _enough(windows.count(self.known, n), n))

    def sum(self, n: int) -> Array:
        return self._keep("sum", n, lambda: total(self.filled, n))

    def mean(self, n: int) -> Array:
        return self.sum(n) / self.count(n)

    def sums(self, n: int) -> Sums:
        if n not in self._sums:
            self._sums[n] = Sums(self.count(n), self.sum(n), total(self.filled * self.filled, n))
        return self._sums[n]

    def deviation(self, n: int) -> Array:
        return self.sums(n).deviation

    def score(self, n: int) -> Array:
        """How many standard deviations the newest lies above the mean of n; NaN where they are equal."""
        found = self.sums(n)
        return ratio(self.x - found.mean, found.deviation)

    def highest(self, n: int) -> Array:
        return self._extreme(n, windows.highest, -np.inf)

    def lowest(self, n: int) -> Array:
        return self._extreme(n, windows.lowest, np.inf)

    def third_and_fourth(self, n: int) -> tuple[Array, Array]:
        """Skewness and excess kurtosis of n numbers; NaN where they are equal."""
        found = self.sums(n)
        count, m, variance = found.count, found.mean, found.variance
        square = self.filled * self.filled
        second, third, fourth = (
            found.squares / count,
            total(square * self.filled, n) / count,
            total(square * square, n) / count,
        )
        skew = third - 3 * m * second + 2 * m * m * m
        tails = fourth - 4 * m * third + 6 * m * m * second - 3 * m * m * m * m
        return ratio(skew, variance * found.deviation), ratio(tails, variance * variance) - 3

    def _extreme(self, n: int, find: Callable[[Array, int], Array], nothing: float) -> Array:
        found = find(np.where(self.known, self.x, nothing), n)
        return without(found, np.isnan(self.count(n)))

    def _keep(self, what: str, n: int, make: Callable[[], Array]) -> Array:
        if (what, n) not in self._kept:
            self._kept[what, n] = make()
        return self._kept[what, n]


def _enough(count: Array, n: int) -> Array:
    return without(count, count < LEAST * n)


@dataclass(frozen=True, eq=False)
class Pair:
    """Of the rows of each window in which both are known."""

    x: Sums
    y: Sums
    products: Array

    @cached_property
    def covariance(self) -> Array:
        return self.products / self.x.count - self.x.mean * self.y.mean

    @property
    def correlation(self) -> Array:
        """NaN where one of them does not move."""
        found = ratio(self.covariance, self.x.deviation * self.y.deviation)
        return np.clip(found, -1, 1)  # rounding alone leads beyond

    @property
    def beta(self) -> Array:
        """By how much x moves with one of y."""
        return ratio(self.covariance, self.y.variance)


def both(x: Rolling, y: Rolling) -> tuple[Rolling, Rolling]:
    """Those of the rows where both are known."""
    return x.only(y.known), y.only(x.known)


def pair(x: Rolling, y: Rolling, n: int) -> Pair:
    x, y = both(x, y)
    return Pair(x.sums(n), y.sums(n), total(x.filled * y.filled, n))


def pair_of_columns(x: Array, y: Array) -> Pair:
    """The same over the first axis, in place of a window of rows."""
    there = np.isfinite(x) & np.isfinite(y)
    a, b = np.where(there, x, 0.0), np.where(there, y, 0.0)
    count = there.sum(axis=0, dtype=np.uint16).astype(np.float64)
    count = without(count, count < LEAST * len(there))
    mine, theirs = (Sums(count, _down(one), _down(one * one)) for one in (a, b))
    return Pair(mine, theirs, _down(a * b))


def _down(x: Array) -> Array:
    """Row by row: the order of a plain sum depends on the shape of the array."""
    found = np.zeros(x.shape[1:])
    for row in x:
        found += row
    return found
