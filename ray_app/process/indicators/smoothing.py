"""Recursive averages: each value is the one before moved a part of the way to the newest number.

One rule for all: the average starts from the plain mean of its first n numbers, as Wilder wrote it and as TA-Lib
does; a gap ends it, and it starts again from the n numbers after the gap. The start fades but never ends, so
`memory` says after how many bars it weighs less than FADED.
"""

import numpy as np
import polars as pl

from ray_app.process.indicators.grid import Array

FADED = 1e-13  # what is left of the start's weight when a value counts as independent of it


def ema(x: Array, n: int) -> Array:
    """The exponential average of span n: a part of 2/(n+1)."""
    return _smooth(x, n, ema_part(n))


def wilder(x: Array, n: int) -> Array:
    """Wilder's average: a part of 1/n."""
    return _smooth(x, n, 1 / n)


def ema_part(n: int) -> float:
    return 2 / (n + 1)


def runs(x: Array, least: int = 1) -> list[tuple[int, int]]:
    """Where the stretches without a gap begin and end (exclusive), those with at least so many numbers."""
    edges = np.flatnonzero(np.diff(np.isfinite(x), prepend=False, append=False)).reshape(-1, 2)
    return [(int(first), int(end)) for first, end in edges[edges[:, 1] - edges[:, 0] >= least]]


def _smooth(x: Array, n: int, part: float) -> Array:
    out, found = np.full_like(x, np.nan), runs(x, n)
    averages = []
    for first, end in found:
        run = x[first + n - 1 : end].copy()
        run[0] = x[first : first + n].mean()
        averages.append(pl.lit(pl.Series(run)).ewm_mean(alpha=part, adjust=False).implode())
    # One query for all runs: each costs as much as the arithmetic of some thousand bars.
    if averages:
        made = pl.select(one.alias(str(i)) for i, one in enumerate(averages))
        for (first, end), average in zip(found, made.iter_columns(), strict=True):
            out[first + n - 1 : end] = average[0].to_numpy()
    return out


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
