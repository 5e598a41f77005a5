"""Arithmetic over the last n bars, the present one included. A gap in the window makes the result NaN.

Arrays end in bars: (bars,) of one symbol, (symbols, bars) of several.

A value is made from the numbers in its window alone, by the same operations in the same order wherever the
window lies: no sum is carried along, so nothing before the window can leave a trace, not even by rounding.
What can be joined (sums, extremes, means) is joined from blocks of 1, 2, 4, ... bars: log n passes over the column.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ray_app.process.indicators.grid import Array

ROUNDING = 1e-12  # above what a faded start leaves of an average

Parts = tuple[NDArray[Any], ...]
Join = Callable[[Parts, Parts, int, int], Parts]  # newer, older, and over how many bars each is


def late(found: NDArray[Any], x: NDArray[Any]) -> Array:
    """What was found for the last bars of x; NaN for the bars before them."""
    out = np.empty((*found.shape[:-1], x.shape[-1]))
    first = x.shape[-1] - found.shape[-1]
    out[..., :first] = np.nan
    out[..., first:] = found
    return out


def without(x: Array, which: NDArray[np.bool_]) -> Array:
    """x with NaN there; written into x itself."""
    if which.any():
        np.copyto(x, np.nan, where=which)
    return x


def prior(x: Array, n: int = 1) -> Array:
    """The value n bars before; NaN where there is none."""
    return late(x[..., : max(x.shape[-1] - n, 0)], x)


def change(x: Array, n: int = 1) -> Array:
    return late(x[..., n:] - x[..., :-n], x)


def ratio(above: Array, below: Array) -> Array:
    """The quotient; NaN where it would be a division by zero, of which numpy warns unless it is told not to."""
    return without(above / below, below == 0)


def growth(x: Array, n: int) -> Array:
    """By which part x grew over n bars; NaN where it was not above zero before."""
    before = x[..., :-n]
    return late(without((x[..., n:] - before) / before, before <= 0), x)


def apart(one: Array, other: Array, size: Array | float) -> Array:
    """The difference; 0 where it is below ROUNDING of `size`: its sign would be chance, another in another frame."""
    difference = one - other
    return difference * (np.abs(difference) >= ROUNDING * size)


def _over(n: int, block: Parts, join: Join) -> Parts:
    """What `join` makes of each n bars, from the n-th on; nothing where there are fewer."""
    if block[0].shape[-1] < n:
        return tuple(x[..., :0] for x in block)
    newest, covered, size = block, 0, 1  # `newest` is over `covered` bars, `block` over `size`
    while True:
        if n & size:
            left = newest[0].shape[-1] - size
            newest = join(
                tuple(x[..., size:] for x in newest), tuple(x[..., :left] for x in block), covered, size
            ) if covered else block  # fmt: skip
            covered += size
        if covered == n:
            return newest
        block = join(tuple(x[..., size:] for x in block), tuple(x[..., :-size] for x in block), size, size)
        size *= 2


def total(x: Array, n: int) -> Array:
    """The sum over n bars."""
    (found,) = _over(n, (x,), lambda newer, older, *_: (newer[0] + older[0],))
    return late(found, x)


def count(which: NDArray[np.bool_], n: int) -> Array:
    """How many of n bars are among these."""
    (found,) = _over(n, (which.astype(np.uint16),), lambda newer, older, *_: (newer[0] + older[0],))
    return late(found, which)


def mean(x: Array, n: int) -> Array:
    return total(x, n) / n


def highest(x: Array, n: int) -> Array:
    (found,) = _over(n, (x,), lambda newer, older, *_: (np.maximum(newer[0], older[0]),))
    return late(found, x)


def lowest(x: Array, n: int) -> Array:
    (found,) = _over(n, (x,), lambda newer, older, *_: (np.minimum(newer[0], older[0]),))
    return late(found, x)


def position(x: Array, low: Array, high: Array) -> Array:
    """Where x lies from low (0) to high (1); NaN where they are one."""
    return ratio(x - low, high - low)


def weighted(x: Array, n: int) -> Array:
    """The mean with weights 1 .. n, n for the newest."""
    out = np.zeros_like(x)
    for age in range(n):
        out += (n - age) * prior(x, age)
    return out / (n * (n + 1) / 2)


def _spread(newer: Parts, older: Parts, n: int, m: int) -> Parts:
    """Of the mean and the sum of the squared distances from it: of equal numbers exactly zero."""
    apart = newer[0] - older[0]
    return older[0] + apart * (n / (n + m)), newer[1] + older[1] + apart * apart * (n * m / (n + m))


def deviation(x: Array, n: int) -> Array:
    """The standard deviation of n values as a whole population (divided by n)."""
    _, squares = _over(n, (x, np.zeros_like(x)), _spread)
    return late(np.sqrt(squares / n), x)


def _middle(newer: Parts, older: Parts, n: int, m: int) -> Parts:
    """Of the mean. Equal numbers have exactly their mean."""
    return (older[0] + (newer[0] - older[0]) * (n / (n + m)),)


def middle(x: Array, n: int) -> Array:
    """The mean of n values, joined from distances: of equal numbers it is exactly theirs, which `mean` may miss."""
    (found,) = _over(n, (x,), _middle)
    return late(found, x)


def distance(x: Array, middle: Array, n: int) -> Array:
    """The mean absolute distance of n values from their `middle`."""
    last = middle[..., n - 1 :]
    out, apart = np.zeros_like(last), np.empty_like(last)
    for first in range(n if last.size else 0):
        np.subtract(x[..., first : first + last.shape[-1]], last, out=apart)
        out += np.abs(apart, out=apart)
    return late(out / n, x)


def _latest(newer: Parts, older: Parts, n: int, _: int) -> Parts:
    """Of the highest and how many bars ago it was."""
    return np.maximum(newer[0], older[0]), np.where(older[0] > newer[0], older[1] + n, newer[1])


def since_highest(x: Array, n: int) -> Array:
    """How many bars ago the highest of the last n was; the latest one if several are equally high."""
    best, age = _over(n, (x, np.zeros_like(x)), _latest)
    return late(without(age, np.isnan(best)), x)


def since_lowest(x: Array, n: int) -> Array:
    return since_highest(-x, n)
