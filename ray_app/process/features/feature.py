"""What the catalogue says of one feature."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from ray_app.process.indicators.grid import Array

# (Symbols or Shared, *parameters) -> a number per row, NaN where there is none
Formula = Callable[..., Array]
Group = Literal["price", "technical", "sentiment", "onchain", "macro", "market"]
HOURS = timedelta(hours=1)
DAYS = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Feature:
    """One column.

    `hours`: how many rows must come before a row for its value to be the one that any longer history gives. `limit`:
    null once the newest period that is known of its series is older than this; None for features of bars and of the
    calendar, whose row is the present one. `back`: how much older than the newest period the periods are that
    it is compared with. `function` takes (Symbols, *parameters), or (Shared, *parameters) where the value is one for
    all symbols (`shared`).
    """

    name: str
    group: Group
    formula: str
    inputs: tuple[str, ...]
    unit: str
    hours: int
    function: Formula
    parameters: tuple[object, ...] = ()
    limit: timedelta | None = None
    back: timedelta = timedelta(0)
    shared: bool = False
    version: int = 1

    @property
    def lookback(self) -> timedelta:
        """How long before a row its series must have been loaded, counted by their periods."""
        return self.hours * HOURS + (self.limit or timedelta(0)) + self.back
