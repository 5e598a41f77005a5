"""Random walks that can be asked at any point: hashes on several time scales, no history to walk through.

Everything counts time in steps of five minutes since 1970. The same key and step give the same
number in every call, alone or within any window, to the last bit.
"""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Steps = NDArray[np.int64]
Keys = NDArray[np.uint64]

STEP_SECONDS = 300
STEPS_PER_YEAR = 105_120
PERIODS = (1, 3, 12, 48, 192, 768, 3_072, 12_288, 49_152, 196_608)  # steps: 5 minutes to 1.9 years
# A random walk spreads with the root of time; 0.7 makes the sum of all scales spread by about 1 a year.
SWINGS = tuple(0.7 * (period / STEPS_PER_YEAR) ** 0.5 for period in PERIODS)
FARTHEST = sum(SWINGS)  # |wander| never exceeds this

_SALT, _CELL = 0xD1342543DE82EF95, np.uint64(0x9E3779B97F4A7C15)


def key(seed: int, *parts: object) -> int:
    """A 64-bit key for a name."""
    digest = hashlib.blake2b(repr((seed, *parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def fraction(seed: int, *parts: object) -> float:
    """A number in [0, 1) that belongs to a name."""
    return key(seed, *parts) / 2**64


def scramble(keys: NDArray[Any], salt: int, cells: NDArray[Any]) -> NDArray[np.uint64]:
    """A 64-bit hash for each pair of key and cell (splitmix64's finish). Only arrays wrap silently."""
    x = keys + np.uint64((salt + 1) * _SALT % 2**64) + cells.astype(np.uint64) * _CELL
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))


def unit(keys: NDArray[Any], salt: int, cells: NDArray[Any]) -> Floats:
    """A number in [0, 1) for each pair of key and cell."""
    return np.asarray((scramble(keys, salt, cells) >> np.uint64(11)) * 2.0**-53)


def wander(keys: Keys, steps: Steps) -> Floats:
    """One random walk for each key, at all the steps: shape (keys, steps), within ±FARTHEST.

    Each scale draws a number at every multiple of its period and goes straight from one to the next.
    """
    column = keys[:, np.newaxis]
    total = np.zeros((len(keys), len(steps)))
    if not len(steps):
        return total
    for octave, (period, swing) in enumerate(zip(PERIODS, SWINGS, strict=True)):
        cell = steps // period
        first, last = int(cell.min()), int(cell.max()) + 1
        if last - first <= 2 * len(steps):  # close together: draw each number once
            drawn = unit(column, octave, np.arange(first, last + 1)) * 2 - 1
            left, right = drawn[:, cell - first], drawn[:, cell - first + 1]
        else:
            left, right = unit(column, octave, cell) * 2 - 1, unit(column, octave, cell + 1) * 2 - 1
        total += (left + (right - left) * ((steps - cell * period) / period)) * swing
    return total
