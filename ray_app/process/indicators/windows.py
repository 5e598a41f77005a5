"""Arithmetic over the last n bars, the present one included. A gap in the window makes the result NaN.

A value is made from the numbers in its window alone, by the same operations in the same order wherever the
window lies: no sum is carried along, so nothing before the window can leave a trace, not even by rounding.
Sums and extremes join blocks of 1, 2, 4, ... bars, which takes log n passes over the whole column.
"""

from collections.abc import Iterable
from functools import reduce

import numpy as np

from ray_app.process.indicators.grid import Array

ROUNDING = 1e-12  # above what a faded start leaves of an average


def prior(x: Array, n: int = 1) -> Array:
    """The value n bars before; NaN where there is none."""
    out = np.empty_like(x)
    out[:n] = np.nan
    if n < len(x):
        out[n:] = x[: len(x) - n]
    return out


def change(x: Array, n: int = 1) -> Array:
    return x - prior(x, n)


def ratio(above: Array, below: Array) -> Array:
    """The quotient; NaN where it would be a division by zero."""
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below != 0)


def apart(one: Array, other: Array, size: Array | float) -> Array:
    """The difference; 0 where it is below ROUNDING of `size`: its sign would be chance, another in another frame."""
    difference = one - other
    return np.where(np.abs(difference) < ROUNDING * size, 0, difference)


def total(x: Array, n: int) -> Array:
    """The sum over n bars."""
    out, covered, block, size = np.zeros_like(x), 0, x, 1
    while True:
        if n & size:
            out = out + prior(block, covered) if covered else block
            covered += size
        if covered == n:
            return out
        block = block + prior(block, size)
        size *= 2


def mean(x: Array, n: int) -> Array:
    return total(x, n) / n


def highest(x: Array, n: int) -> Array:
    block, size = x, 1
    while size * 2 <= n:
        block = np.maximum(block, prior(block, size))
        size *= 2
    return block if size == n else np.maximum(block, prior(block, n - size))


def lowest(x: Array, n: int) -> Array:
    return -highest(-x, n)


def position(x: Array, low: Array, high: Array) -> Array:
    """Where x lies from low (0) to high (1); NaN where they are one."""
    return ratio(x - low, high - low)


def weighted(x: Array, n: int) -> Array:
    """The mean with weights 1 .. n, n for the newest."""
    out = np.zeros_like(x)
    for age in range(n):
        out += (n - age) * prior(x, age)
    return out / (n * (n + 1) / 2)


def _against_newest(x: Array, n: int) -> tuple[list[Array], Array]:
    """Each bar's difference from the newest of its window, and their mean: equal numbers give exactly zero."""
    differences = [prior(x, age) - x for age in range(n)]
    return differences, _sum(differences) / n


def _sum(columns: Iterable[Array]) -> Array:
    return reduce(np.add, columns)


def deviation(x: Array, n: int) -> Array:
    """The standard deviation of n values as a whole population (divided by n)."""
    differences, middle = _against_newest(x, n)
    return np.sqrt(_sum((one - middle) ** 2 for one in differences) / n)


def from_mean(x: Array, n: int) -> Array:
    """The newest value less the mean of n."""
    return -_against_newest(x, n)[1]


def mean_distance(x: Array, n: int) -> Array:
    """The mean absolute distance of n values from their mean."""
    differences, middle = _against_newest(x, n)
    return _sum(np.abs(one - middle) for one in differences) / n


def since_highest(x: Array, n: int) -> Array:
    """How many bars ago the highest of the last n was; the latest one if several are equally high."""
    best, age = x, np.where(np.isnan(x), np.nan, 0.0)
    for back in range(1, n):
        older = prior(x, back)
        age = np.where(older > best, float(back), age)
        best = np.maximum(best, older)
    return np.where(np.isnan(best), np.nan, age)


def since_lowest(x: Array, n: int) -> Array:
    return since_highest(-x, n)
