"""Exponential averages: each value is the one before moved a part of the way to the newest number.

One rule for all: the average starts from the plain mean of its first n numbers, as Wilder wrote it and as TA-Lib
does; a gap ends it, and it starts again from the n numbers after the gap. The start fades but never ends, so
`memory` says after how many bars it weighs less than FADED.

A value is made from the last `terms` numbers alone: what came before would weigh less than the rounding of a number.
It is the same to the last bit wherever it lies, like those of `windows`, and worked out as they are, from blocks of
1, 2, 4, ... numbers.
"""

from collections import defaultdict
from math import ceil, log, log2

import numpy as np

from ray_app.process.indicators import windows
from ray_app.process.indicators.grid import Array

FADED = 1e-13  # what is left of the start's weight when a value counts as independent of it
ROUNDING = 2.0**-53  # of a number, relative to it


def ema(x: Array, n: int) -> Array:
    """The exponential average of span n: a part of 2/(n+1)."""
    return _smooth(x, n, ema_part(n))


def wilder(x: Array, n: int) -> Array:
    """Wilder's average: a part of 1/n."""
    return _smooth(x, n, 1 / n)


def ema_part(n: int) -> float:
    return 2 / (n + 1)


def terms(part: float) -> int:
    """Of how many numbers an average of this part is made: a power of two."""
    return 2 ** ceil(log2(log(ROUNDING) / log(1 - part))) if part < 1 else 1


def runs(x: Array, least: int = 1) -> dict[tuple[int, int], list[int]]:
    """Where stretches without a gap begin and end (exclusive), those with at least so many numbers, and in which rows
    of x."""
    table = np.atleast_2d(x)
    width = table.shape[-1] + 2
    known = np.zeros((len(table), width), dtype=bool)
    known[:, 1:-1] = np.isfinite(table)
    flat = known.reshape(-1)
    edges = np.flatnonzero(flat[1:] != flat[:-1]).reshape(-1, 2)
    found = defaultdict(list)
    for first, end in edges[edges[:, 1] - edges[:, 0] >= least].tolist():
        found[first % width, end % width].append(first // width)
    return found


def _smooth(x: Array, n: int, part: float) -> Array:
    table = np.atleast_2d(x)
    out = np.full_like(table, np.nan)
    for (first, end), rows in runs(table, n).items():
        which = slice(None) if len(rows) == len(table) else rows  # a list would be copied
        out[which, first + n - 1 : end] = _average(table[which, first:end], n, part)
    return out.reshape(x.shape)


def _average(run: Array, n: int, part: float) -> Array:
    """Of stretches without a gap, from the n-th number on."""
    found = part * run[:, n - 1 :]
    found[:, 0] = windows.mean(run[:, :n], n)[:, -1]
    size = 1
    while size < min(terms(part), found.shape[-1]):
        found[:, size:] += (1 - part) ** size * found[:, :-size]
        size *= 2
    return found


def memory(*parts: float) -> int:
    """After how many bars averages of these parts, one of another, have forgotten their start.

    The weight that is left after k bars is the chance that waiting times, one per average, add up to k or more.
    """
    length = 64
    while True:
        ages = np.arange(length)
        waits = np.eye(1, length)[0]
        for part in parts:
            waits = np.convolve(waits, part * (1 - part) ** ages)[:length]
        if waits[-1] / min(parts) < FADED / 1000:  # what lies beyond does not count
            left = np.cumsum(waits[::-1])[::-1]
            return int(np.argmax(left <= FADED))
        length *= 2
