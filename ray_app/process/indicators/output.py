"""What the catalogue says of one column of indicators."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from ray_app.process.indicators.grid import DAY, Formula
from ray_app.process.indicators.smoothing import memory, terms

# Whether our numbers are those of another library: from the first one on, once both have forgotten how
# they started, or not (the note says why).
Agrees = Literal["at once", "once settled", "no"]


@dataclass(frozen=True, slots=True)
class Oracle:
    """A library that a test compares an output with, and what differs in its definition."""

    call: str  # ta.trend.SMAIndicator, talib.SMA
    agrees: Agrees = "at once"
    note: str = ""


@dataclass(frozen=True, slots=True)
class Output:
    """One column. Warm-up is null. After a gap in its inputs the warm-up begins again, with two exceptions:
    what compares two bars alone (`two_bars`) lacks a value only where one of them does, and what comes from
    whole days (`days`) lacks the days after those with a gap.

    `lookback`: how many bars come before the first value, in a series that begins there or after a gap.
    `parts`: of exponential averages, one of another, that it is made of.
    `memory`: how many bars must come before a value so that it is the same, to 1e-9, whatever came before
    them; equal to `lookback` where only a window is looked at. `days`: the whole UTC days before the bar's
    own that are needed besides.
    """

    name: str
    family: str
    formula: str
    inputs: tuple[str, ...]
    unit: str
    lookback: int
    function: Formula
    parameters: tuple[float, ...] = ()
    parts: tuple[float, ...] = ()
    memory: int = -1  # -1: the lookback and what the averages remember
    days: int = 0
    two_bars: bool = False
    oracles: tuple[Oracle, ...] = ()
    version: int = 1

    def __post_init__(self) -> None:
        if self.memory == -1:
            object.__setattr__(self, "memory", self.lookback + (memory(*self.parts) if self.parts else 0))
        assert self.memory >= self.lookback, self.name

    @property
    def recursive(self) -> bool:
        return self.memory > self.lookback

    @property
    def reach(self) -> int:
        """How many bars must come before a value so that it is the same to the last bit."""
        return self.lookback + sum(map(terms, self.parts)) if self.parts else self.memory

    def rows_before(self, interval: timedelta) -> int:
        """How many rows of the grid must be loaded before the first one whose value is wanted."""
        per_day = max(DAY // interval, 1)
        return max(self.memory, (self.days + 1) * per_day - 1 if self.days else 0)
