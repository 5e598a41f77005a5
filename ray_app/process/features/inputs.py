"""What features are computed from: frames of what is known of each symbol, and of what all symbols share.

Every frame but bars has `known_at`: when anyone could have known the row; a bar is known when it ends. Rows may come
in any order. What was received when is the reader's to choose before: with `as_of`, a frame lacks what came later.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Protocol, Self, TypeVar

import numpy as np
import polars as pl

from ray_app.process.features.joined import Joined, Labelled, join, need, split
from ray_app.process.features.known import HOUR_US, Times, finite, micros, plain, with_all
from ray_app.process.features.moments import Rolling
from ray_app.process.indicators.grid import EPOCH, NUMBERS, START, Array, Bars
from ray_app.process.indicators.windows import growth
from ray_app.process.sentiment.hourly import SCHEMA

HOUR = timedelta(hours=1)
POINT = ("market_cap", "volume_24h")
FUNDING = ("rate",)
INTEREST = ("worth",)
SENTIMENT = ("score", "confidence", "count", "unscored")
LABELS: dict[str, pl.Enum] = {name: SCHEMA[name] for name in ("window", "kind")}
TOTALS = ("market_cap", "volume_24h", "btc_dominance", "eth_dominance")
VALUE = ("value",)

T = TypeVar("T")


class Part(Protocol):
    def since(self, row: int) -> Self: ...


R = TypeVar("R", bound=Part)


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of a frame, or the last of them: those of `whole` but the first `skipped`, which reads the frames for both.
    Keeps what formulas find for the others that use it; not to be written into."""

    whole: Self | None = field(default=None, kw_only=True, repr=False)
    skipped: int = field(default=0, kw_only=True, repr=False)
    _kept: dict[tuple[object, ...], Any] = field(default_factory=dict, init=False, repr=False)

    def keep(self, key: tuple[object, ...], make: Callable[[], T]) -> T:
        if key not in self._kept:
            self._kept[key] = make()
        found: T = self._kept[key]
        return found

    def find(self, formula: Callable[..., Array], *parameters: object) -> Array:
        """What `formula` makes of this and the parameters; worked out once."""
        return self.keep((formula, *parameters), lambda: formula(self, *parameters))

    def rolling(self, formula: Callable[..., Array], *parameters: object) -> Rolling:
        """The windows of what `formula` makes."""
        return self.keep(("rolling", formula, *parameters), lambda: Rolling(self.find(formula, *parameters)))

    def from_whole(self, key: tuple[object, ...], make: Callable[[Self], R]) -> R:
        """What is made of the whole frame, beside these rows."""
        whole = self.whole
        return self.keep(
            key, lambda: make(self) if whole is None else whole.from_whole(key, make).since(self.skipped)
        )


@dataclass(frozen=True, eq=False)
class Shared(Rows):
    """What all symbols share, over the hours that end in (start, end]. Both lie on the UTC hour.

    `bars`: per tracked symbol start, open, high, low, close, volume of one hour each; `BTC` and `ETH` among them.
    `points`: per tracked symbol at, known_at, market_cap, volume_24h in US dollars. `observations`: series, period,
    known_at, value, a row per vintage. `metrics`: metric, at, known_at, value. `mood`: day, known_at, value.
    `totals`: slot, known_at, market_cap, volume_24h, btc_dominance, eth_dominance. None: there is none of it.
    Raises ValueError for ends off the hour and, when read, for a frame without one of its columns.
    """

    start: datetime
    end: datetime
    bars: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    points: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    observations: pl.DataFrame | None = None
    metrics: pl.DataFrame | None = None
    mood: pl.DataFrame | None = None
    totals: pl.DataFrame | None = None

    def __post_init__(self) -> None:
        if (self.start - EPOCH) % HOUR or (self.end - EPOCH) % HOUR or self.end <= self.start:
            raise ValueError(f"{self.start} .. {self.end} is no range of whole hours")

    @cached_property
    def first(self) -> int:
        """The number of the first row's hour since 1970."""
        return (self.start - EPOCH) // HOUR

    @cached_property
    def at(self) -> Times:
        """When each row's bar ends."""
        return (self.first + 1 + np.arange((self.end - self.start) // HOUR)) * HOUR_US

    @cached_property
    def starts(self) -> pl.Series:
        return pl.Series("start", self.at - HOUR_US).cast(START)

    def since(self, row: int) -> "Shared":
        """The rows from that one on."""
        if not row:
            return self
        start = self.start + row * HOUR
        return self.keep(("since", row), lambda: replace(self, start=start, whole=self, skipped=row))

    def bars_of(self, symbol: str) -> Bars:
        return self.from_whole(("bars", symbol), lambda whole: on_rows(whole.bars.get(symbol), whole))

    def returns_of(self, symbol: str, hours: int = 1) -> Array:
        return self.find(returns_of, symbol, hours)

    def moves_of(self, symbol: str) -> Rolling:
        """The hourly returns."""
        return self.rolling(returns_of, symbol, 1)

    def series(self, name: str, count: int = 1) -> Joined:
        return self.from_whole(("series", name, count), lambda whole: join(
            whole._parts("observations", "series").get(name), "period", VALUE, whole.at, count))  # fmt: skip

    def metric(self, name: str, count: int = 1) -> Joined:
        return self.from_whole(("metric", name, count), lambda whole: join(
            whole._parts("metrics", "metric").get(name), "at", VALUE, whole.at, count))  # fmt: skip

    def has_metric(self, name: str) -> bool:
        return name in (self.whole or self)._parts("metrics", "metric")

    def mood_index(self) -> Joined:
        return self.from_whole(("mood",), lambda whole: join(whole.mood, "day", VALUE, whole.at))

    def total(self) -> Joined:
        return self.from_whole(("totals",), lambda whole: join(whole.totals, "slot", TOTALS, whole.at))

    def points_of(self, symbol: str) -> Joined:
        return self.from_whole(
            ("points", symbol), lambda whole: join(whole.points.get(symbol), "at", POINT, whole.at)
        )

    def _parts(self, frame: str, column: str) -> dict[Any, pl.DataFrame]:
        return self.keep(("parts", column), lambda: split(getattr(self, frame), column))


def returns_of(shared: Shared, symbol: str, hours: int) -> Array:
    return growth(shared.bars_of(symbol).close, hours)


@dataclass(frozen=True, eq=False)
class Inputs:
    """What is known of one symbol beside what all share.

    `bars`, `points`: as in Shared. `funding`: at, known_at, rate. `open_interest`: at, known_at, worth (US dollars).
    `sentiment`: window (1h, 4h, 24h, 7d), kind (all, news, reddit, twitter), at (the window's end), known_at, score,
    confidence, count (texts with a score), unscored; window and kind are read quicker as LABELS has them than as
    text. `listed`: when the first bar that there ever was starts, so that a young symbol has recursive indicators as
    soon as they are warm; None if that is not known.
    """

    symbol: str
    shared: Shared
    bars: pl.DataFrame | None = None
    points: pl.DataFrame | None = None
    funding: pl.DataFrame | None = None
    open_interest: pl.DataFrame | None = None
    sentiment: pl.DataFrame | None = None
    listed: datetime | None = None

    @property
    def young(self) -> bool:
        """Whether the frame has the symbol's first bar."""
        return self.listed is not None and self.listed >= self.shared.start

    def own(self) -> Bars:
        """The symbol's bars on the rows; a bar that was not observed is NaN."""
        if self.bars is self.shared.bars.get(self.symbol):
            return self.shared.bars_of(self.symbol)
        return on_rows(self.bars, self.shared)

    def point(self) -> Joined:
        if self.points is self.shared.points.get(self.symbol):
            return self.shared.points_of(self.symbol)
        return join(self.points, "at", POINT, self.shared.at)

    def funded(self) -> Joined:
        return join(self.funding, "at", FUNDING, self.shared.at)

    def interest(self) -> Joined:
        return join(self.open_interest, "at", INTEREST, self.shared.at)

    def texts(self) -> Labelled | None:
        return None if self.sentiment is None else Labelled.of(self.sentiment, LABELS, "at", SENTIMENT)


def on_rows(frame: pl.DataFrame | None, shared: Shared) -> Bars:
    """Bars on the frame's rows. What starts off the hour is no bar of an hour and left out; two different bars of one
    hour are both left out: which one is true is not known."""
    if frame is None:
        return Bars.observed(shared.starts, HOUR, dict.fromkeys(NUMBERS, np.full(len(shared.at), np.nan)))
    need(frame, ("start", *NUMBERS))
    there = with_all(frame, "start")
    start = micros(there["start"])
    hour = start // HOUR_US
    place = hour - shared.first
    told = {name: plain(there[name]).astype(np.float64, copy=False) for name in NUMBERS}
    inside = (place >= 0) & (place < len(shared.at)) & (hour * HOUR_US == start)
    if not inside.all():
        place, told = place[inside], {name: x[inside] for name, x in told.items()}
    if len(place) == len(shared.at) and (place[1:] > place[:-1]).all():
        return Bars.observed(shared.starts, HOUR, told)
    told = {name: finite(x) for name, x in told.items()}
    numbers = {name: np.full(len(shared.at), np.nan) for name in NUMBERS}
    for name, x in numbers.items():
        x[place] = told[name]
    if (np.diff(place) <= 0).any():
        _clear_where_they_differ(numbers, place, told)
    return Bars.observed(shared.starts, HOUR, numbers)


def _clear_where_they_differ(numbers: dict[str, Array], place: Times, told: dict[str, Array]) -> None:
    """Of several bars of one hour the last was written: where another says otherwise there is none."""
    pairs = [(x[place], told[name]) for name, x in numbers.items()]
    differ = np.logical_or.reduce([~((a == b) | (np.isnan(a) & np.isnan(b))) for a, b in pairs])
    for x in numbers.values():
        x[place[differ]] = np.nan
