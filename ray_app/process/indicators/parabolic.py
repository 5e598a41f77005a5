"""Wilder's parabolic stop and reverse.

Its state depends on every reversal before, so a run from the first bar ever would never be forgotten for
certain. Here the value of a bar is that of a run of its own, which begins `window` bars before (or after a gap,
if that is later). All those runs are stepped side by side.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ray_app.process.indicators.grid import Array, Bars
from ray_app.process.indicators.output import Oracle, Output
from ray_app.process.indicators.smoothing import runs

FAMILY = "trend"
Pair = tuple[Array, Array]  # highs and lows of one bar of each run


@dataclass(slots=True)
class Stops:
    """The state of many runs: which way each goes, its stop for the next bar, its extreme, its acceleration."""

    rising: NDArray[np.bool_]
    stop: Array
    extreme: Array
    factor: Array

    @classmethod
    def of(cls, count: int) -> "Stops":
        return cls(np.zeros(count, dtype=bool), *(np.full(count, np.nan) for _ in range(3)))

    def since(self, run: int) -> "Stops":
        """The same state from that run on; what is written there is written here."""
        return Stops(self.rising[run:], self.stop[run:], self.extreme[run:], self.factor[run:])

    def begin(self, which: NDArray[np.intp], first: Pair, second: Pair, step: float) -> None:
        """From two bars: downwards if the low fell, and by more than the high rose."""
        fall, rise = first[1] - second[1], second[0] - first[0]
        rising = ~((fall > 0) & (fall > rise))
        self.rising[which] = rising
        self.stop[which] = np.where(rising, first[1], first[0])
        self.extreme[which] = np.where(rising, second[0], second[1])
        self.factor[which] = step

    def move(self, bar: Pair, top: Array, bottom: Array, step: float, most: float) -> Array:
        """The stop of this bar; afterwards the state is that for the next. top, bottom: of it and the one before."""
        high, low = bar
        up = self.rising
        hit = np.where(up, low <= self.stop, high >= self.stop)
        # A bar that is hit stops at the extreme, or at what it and the bar before reached beyond that.
        turned = np.where(up, np.maximum(self.extreme, top), np.minimum(self.extreme, bottom))
        stop = np.where(hit, turned, self.stop)
        self.rising[:] = up = up ^ hit
        further = hit | np.where(up, high > self.extreme, low < self.extreme)
        faster = np.minimum(self.factor + step, most)
        self.factor[:] = np.where(hit, step, np.where(further, faster, self.factor))
        self.extreme[:] = np.where(further, np.where(up, high, low), self.extreme)
        ahead = stop + self.factor * (self.extreme - stop)
        self.stop[:] = np.where(up, np.minimum(ahead, bottom), np.maximum(ahead, top))
        return stop


def psar_of(bars: Bars, window: int, step: float, most: float) -> Array:
    """Run i ends at bar i. In the round `back`, each run is at the bar so many before its end."""
    high, low, count = bars.high, bars.low, len(bars)
    age = np.full(count, -1)  # of each bar in its stretch without gaps
    for first, end in runs(high):
        age[first:end] = np.arange(end - first)
    top, bottom = high.copy(), low.copy()
    top[1:], bottom[1:] = np.fmax(high[1:], high[:-1]), np.fmin(low[1:], low[:-1])
    state, found = Stops.of(count), np.full(count, np.nan)
    for back in range(min(window, count) - 2, -1, -1):
        bar = slice(0, count - back)
        running = state.since(back)
        starts = age[bar] >= 1 if back == window - 2 else age[bar] == 1
        new = np.flatnonzero(starts)
        highest, lowest = top[bar], bottom[bar]
        if len(new):
            running.begin(new, (high[new - 1], low[new - 1]), (high[new], low[new]), step)
            highest, lowest = highest.copy(), lowest.copy()
            highest[new], lowest[new] = high[new], low[new]  # the first stop is limited by its own bar alone
        found = running.move((high[bar], low[bar]), highest, lowest, step, most)
    return np.where(age >= 1, found, np.nan)


def psar(window: int = 240, step: float = 0.02, most: float = 0.2) -> Output:
    return Output(
        f"psar_{window}", FAMILY,
        f"the stop moves to the extreme of its direction by a part of {step}, which grows by {step} to {most} at each "
        "new extreme, but not into the last two bars; a bar that reaches it turns the direction; "
        f"a run of {window} bars, or of all since a gap",
        ("high", "low"), "price", 1, psar_of, (window, step, most), memory=window - 1,
        oracles=(
            Oracle("talib.SAR", note="is one run from the first bar: the same once both have turned alike"),
            Oracle("ta.trend.PSARIndicator", "no", "starts upwards from a close, is limited by other bars"),
        ),
    )  # fmt: skip
