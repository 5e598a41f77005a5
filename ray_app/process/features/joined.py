"""A series beside the rows of a frame: what was known of it at each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ray_app.process.features.known import NEVER, Known, Times, Told, finite, with_all
from ray_app.process.indicators.grid import Array

MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, eq=False)
class Held:
    """Which row of `periods` (as in Known) held at each hour of a frame: `rows[i]` at `at[i]`, -1 for none."""

    periods: NDArray[np.int64]
    rows: NDArray[np.int64]
    at: Times
    _fresh: dict[timedelta, NDArray[np.int64] | slice] = field(default_factory=dict, init=False, repr=False)
    _since: dict[int, "Held"] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def period(self) -> Times:
        """The newest period at each hour; NEVER where none is known."""
        return np.append(self.periods[:, 0], NEVER)[self.rows]

    def fresh(self, limit: timedelta) -> NDArray[np.int64] | slice:
        """`rows`, but -1 where the newest period is older than the limit; a slice where they follow one another."""
        if limit not in self._fresh:
            rows = np.where(self.period >= self.at - limit // MICROSECOND, self.rows, -1)
            one_an_hour = rows[0] >= 0 and (rows[1:] - rows[:-1] == 1).all()
            self._fresh[limit] = slice(rows[0], rows[-1] + 1) if one_an_hour else rows
        return self._fresh[limit]

    def since(self, row: int) -> "Held":
        if row not in self._since:
            self._since[row] = Held(self.periods, self.rows[row:], self.at[row:])
        return self._since[row]


@dataclass(frozen=True, eq=False)
class Joined:
    """A series beside the hours of a frame. `values`: those of the rows of `held.periods`."""

    held: Held
    values: Mapping[str, NDArray[Any]]

    def take(self, found: Array, limit: timedelta) -> Array:
        """A number per row of the series at the frame's hours; NaN where the newest period is older than `limit`."""
        rows = self.held.fresh(limit)
        if isinstance(rows, slice):
            return found[..., rows]
        nothing = np.full((*found.shape[:-1], 1), np.nan)
        return np.concatenate([found, nothing], axis=-1)[..., rows]

    def newest(self, number: str, limit: timedelta) -> Array:
        return self.take(finite(self.values[number][:, 0]), limit)

    def newest_with(self, whole: "Joined", number: str, limit: timedelta) -> Array:
        """The same where the newest period is also that of `whole`, else NaN."""
        found = self.newest(number, limit)
        if self.held is whole.held:
            return found
        return np.where(self.held.period == whole.held.period, found, np.nan)

    def since(self, row: int) -> "Joined":
        """Beside the rows of the frame from that one on."""
        return Joined(self.held.since(row), self.values)


def join(
    frame: pl.DataFrame | None, period: str, numbers: Sequence[str], at: Times, count: int = 1
) -> Joined:
    """The newest `count` periods at each of the hours `at`; nothing of no frame. Raises ValueError for a frame that
    lacks a column."""
    if frame is None:
        return nothing(numbers, at, count)
    return beside(read(frame, period, numbers).known(count), at)


def nothing(numbers: Sequence[str], at: Times, count: int = 1) -> Joined:
    empty = np.empty((0, count))
    return Joined(Held(empty.astype(np.int64), np.full(len(at), -1), at), dict.fromkeys(numbers, empty))


def beside(known: Known, at: Times) -> Joined:
    return Joined(Held(known.periods, known.rows(at), at), known.values)


def read(frame: pl.DataFrame, period: str, numbers: Sequence[str]) -> Told:
    need(frame, (period, "known_at", *numbers))
    return Told.of(with_all(frame, "known_at", period), period, numbers)


@dataclass(frozen=True, eq=False)
class Stacked:
    """The same series of several symbols beside the same rows: arrays of (symbols, rows)."""

    parts: Sequence[Joined]

    def newest(self, number: str, limit: timedelta) -> Array:
        return np.stack([one.newest(number, limit) for one in self.parts])

    def newest_with(self, whole: "Stacked", number: str, limit: timedelta) -> Array:
        """The same where the newest period is also that of `whole`, else NaN."""
        return np.stack([one.newest_with(other, number, limit) for one, other in
                         zip(self.parts, whole.parts, strict=True)])  # fmt: skip

    def since(self, row: int) -> "Stacked":
        return Stacked([one.since(row) for one in self.parts])


@dataclass(frozen=True, eq=False)
class Labelled:
    """Series of a frame by the words in its columns `labels`, in the order of their codes."""

    labels: Mapping[str, pl.Enum]
    told: Told
    codes: NDArray[np.uint8]  # ascending
    order: NDArray[np.int64] | None  # of the rows of `told`; None: as they are
    _held: list[tuple[Told, Held]] = field(default_factory=list, init=False, repr=False)

    @classmethod
    def of(cls, frame: pl.DataFrame, labels: Mapping[str, pl.Enum], period: str,
           numbers: Sequence[str]) -> "Labelled":  # fmt: skip
        """Rows with other words are left out. Columns of type Enum are read several times faster than text."""
        need(frame, (*labels, period, "known_at", *numbers))
        there = with_all(frame, "known_at", period, *labels)
        codes = np.zeros(len(there), dtype=np.uint8)
        for column, words in labels.items():
            codes = codes * np.uint8(len(words.categories) + 1) + _places(there[column], words)
        told = Told.of(there, period, numbers)
        if (codes[1:] >= codes[:-1]).all():
            return cls(labels, told, codes, None)
        order = np.argsort(codes, kind="stable")
        return cls(labels, told, codes[order], order)

    def join(self, at: Times, *words: str) -> Joined:
        """The series of these words beside the hours `at`, which are the same at each call."""
        code = 0
        for word, known in zip(words, self.labels.values(), strict=True):
            code = code * (len(known.categories) + 1) + known.categories.to_list().index(word)
        first, end = np.searchsorted(self.codes, np.array([code, code + 1], dtype=np.uint8))
        told = self.told.only(slice(first, end) if self.order is None else self.order[first:end])
        if not told.steady:
            return beside(told.known(), at)
        # Most often all of them are told at the same times: what held when is then sought once.
        held = next((held for other, held in self._held if other.same_times(told)), None)
        if held is None:
            held = beside(told.known(), at).held
            self._held.append((told, held))
        return Joined(held, {name: x[:, None] for name, x in told.values.items()})


def _places(column: pl.Series, words: pl.Enum) -> NDArray[np.uint8]:
    """Which of the words each is; how many there are for another one."""
    if column.dtype == words:
        return column.to_physical().to_numpy()
    count = len(words.categories)
    found = np.full(len(column), count, dtype=np.uint8)
    for place, word in enumerate(words.categories):
        found -= (column == word).to_numpy() * np.uint8(count - place)
    return found


def split(frame: pl.DataFrame | None, column: str) -> dict[Any, pl.DataFrame]:
    if frame is None:
        return {}
    need(frame, (column,))
    return {part[column][0]: part for part in frame.partition_by(column)}


def need(frame: pl.DataFrame, columns: Sequence[str]) -> None:
    if lost := [name for name in columns if name not in frame.columns]:
        raise ValueError(f"a frame lacks the columns {', '.join(lost)}")
