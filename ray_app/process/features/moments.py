"""Means, deviations and correlations over the last n rows, of the numbers that are there.

Like `indicators.windows`: a value is made from the numbers in its window alone, by the same operations in the same
order wherever the window lies. Unlike there, a window may have gaps: LEAST of its rows must be known, else the
result is NaN. A window that reaches beyond the frame is NaN. No logarithms or exponentials: their last digit can
depend on the place in the array.
"""

from dataclasses import dataclass

import numpy as np

from ray_app.process.indicators import windows
from ray_app.process.indicators.grid import Array
from ray_app.process.indicators.windows import ratio, total

LEAST = 0.9  # the part of a window that must be known
FLAT = 1e-10  # a spread below this part of the mean square is rounding


@dataclass(frozen=True)
class Sums:
    """Of the known numbers of each window: how many, their sum, the sum of their squares."""

    count: Array
    sum: Array
    squares: Array

    @property
    def mean(self) -> Array:
        return self.sum / self.count

    @property
    def variance(self) -> Array:
        """As of a whole population; exactly 0 where the numbers are equal but for rounding."""
        square = self.squares / self.count
        middle = self.mean
        spread = square - middle * middle
        return np.where(spread <= FLAT * square, 0 * square, spread)

    @property
    def deviation(self) -> Array:
        return np.sqrt(self.variance)


def sums(x: Array, n: int, known: Array | None = None) -> Sums:
    """Of x over n rows; with `known`, of the rows alone where that is finite too."""
    there = np.isfinite(x) if known is None else np.isfinite(x) & np.isfinite(known)
    filled = np.where(there, x, 0.0)
    count = total(there.astype(np.float64), n)
    count = np.where(count >= LEAST * n, count, np.nan)
    return Sums(count, total(filled, n), total(filled * filled, n))


def mean(x: Array, n: int) -> Array:
    return sums(x, n).mean


def deviation(x: Array, n: int) -> Array:
    return sums(x, n).deviation


def highest(x: Array, n: int) -> Array:
    there = np.isfinite(x)
    top = windows.highest(np.where(there, x, -np.inf), n)
    return np.where(total(there.astype(np.float64), n) >= LEAST * n, top, np.nan)


def lowest(x: Array, n: int) -> Array:
    return -highest(-x, n)


def score(x: Array, n: int) -> Array:
    """How many standard deviations the newest lies above the mean of n; NaN where they are equal."""
    found = sums(x, n)
    return ratio(x - found.mean, found.deviation)


@dataclass(frozen=True)
class Pair:
    """Of the rows of each window in which both are known."""

    x: Sums
    y: Sums
    products: Array

    @property
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


def pair(x: Array, y: Array, n: int) -> Pair:
    there = np.isfinite(x) & np.isfinite(y)
    products = total(np.where(there, x, 0.0) * np.where(there, y, 0.0), n)
    return Pair(sums(x, n, y), sums(y, n, x), products)


def third_and_fourth(x: Array, n: int) -> tuple[Array, Array]:
    """Skewness and excess kurtosis of n numbers; NaN where they are equal."""
    found = sums(x, n)
    filled = np.where(np.isfinite(x), x, 0.0)
    count, m, variance = found.count, found.mean, found.variance
    square = filled * filled
    second, third, fourth = (
        found.squares / count,
        total(square * filled, n) / count,
        total(square * square, n) / count,
    )
    skew = third - 3 * m * second + 2 * m * m * m
    tails = fourth - 4 * m * third + 6 * m * m * second - 3 * m * m * m * m
    return ratio(skew, variance * np.sqrt(variance)), ratio(tails, variance * variance) - 3


def pair_of_columns(x: Array, y: Array) -> Pair:
    """The same of the columns of each row, in place of a window of rows."""
    there = np.isfinite(x) & np.isfinite(y)
    a, b = np.where(there, x, 0.0), np.where(there, y, 0.0)
    count = _across(there.astype(np.float64))
    count = np.where(count >= LEAST * x.shape[1], count, np.nan)
    mine, theirs = (Sums(count, _across(one), _across(one * one)) for one in (a, b))
    return Pair(mine, theirs, _across(a * b))


def _across(x: Array) -> Array:
    """Column by column: the order of a plain sum depends on the size of the array."""
    found = np.zeros(len(x))
    for column in range(x.shape[1]):
        found = found + x[:, column]
    return found
