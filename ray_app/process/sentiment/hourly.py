"""The sentiment of an asset at many ends at once, as features take it: the formula of `aggregate` over arrays.

A text has states: what was known of it from one moment until the next. At an end those states count that were
known by then, so an hour of last year knows nothing of a title that was changed since. Each number is made from
its own texts in one order and rounded: the same whether one hour is asked for or a year.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ray_app.process.indicators.grid import EPOCH, START, Array
from ray_app.process.sentiment.aggregate import HALF_LIVES_IN_A_WINDOW, WINDOWS, Kind

ALL = "all"
KINDS: tuple[Kind, ...] = ("news", "reddit", "twitter")
FOREVER = np.iinfo(np.int64).max
DIGITS = 9
SCHEMA: dict[str, Any] = {
    "window": pl.Enum(list(WINDOWS)), "kind": pl.Enum([ALL, *KINDS]), "at": START, "known_at": START,
    "score": pl.Float64, "confidence": pl.Float64, "count": pl.Int64, "unscored": pl.Int64,
}  # fmt: skip
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class State:
    """What was known of a text from `since` until before `until` (None: still). No score: there was none then."""

    kind: Kind
    at: datetime  # published
    since: datetime
    until: datetime | None
    link: float  # how sure it is that the text speaks of the asset, 0 to 1
    story: str
    engagement: int = 0
    score: float | None = None
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class _Texts:
    """The states as columns, by time of publishing."""

    at: NDArray[np.int64]
    since: NDArray[np.int64]
    until: NDArray[np.int64]
    kind: NDArray[np.int64]
    story: NDArray[np.int64]
    weight: Array  # all of it but the age
    score: Array  # NaN where there is none
    confidence: Array

    def take(self, which: NDArray[np.int64]) -> "_Texts":
        return _Texts(*(getattr(self, name)[which] for name in self.__slots__))


def hourly(states: Iterable[State], ends: Sequence[datetime], begun: datetime) -> pl.DataFrame:
    """SCHEMA: per window and end a row of all texts, and one for each kind that has some.

    `begun`: since when texts were collected at all; windows that reach back beyond it have no row, for none collected
    is not none written. Raises ValueError for ends that do not ascend.
    """
    if any(b <= a for a, b in pairwise(ends)):
        raise ValueError("the ends must ascend")
    texts = _columns(states)
    moments = np.array([_micros(one) for one in ends], dtype=np.int64)
    parts: dict[str, list[object]] = {name: [] for name in SCHEMA}
    for window, length in WINDOWS.items():
        span = length // _MICROSECOND
        first = np.searchsorted(texts.at, moments - span, side="right")
        last = np.searchsorted(texts.at, moments, side="right")
        for place, end in enumerate(moments.tolist()):
            if end - span < _micros(begun):
                continue
            which = np.arange(first[place], last[place])
            some = texts.take(which[(texts.since[which] <= end) & (texts.until[which] > end)])
            _tell(parts, window, ALL, end, some, span)
            for code, kind in enumerate(KINDS):
                mine = np.flatnonzero(some.kind == code)
                if len(mine):
                    _tell(parts, window, kind, end, some.take(mine), span)
    frame = pl.DataFrame(
        {name: pl.Series(name, told, dtype=pl.Int64 if kind == START else kind) for (name, kind), told in
         zip(SCHEMA.items(), parts.values(), strict=True)}
    )  # fmt: skip
    return frame.with_columns(pl.col("at", "known_at").cast(START))


def _tell(
    parts: Mapping[str, list[object]], window: str, kind: str, end: int, texts: _Texts, span: int
) -> None:
    score, confidence, count = _sum(texts, end, span)
    row = (window, kind, end, end, score, confidence, count, len(texts.at) - count)
    for column, value in zip(parts.values(), row, strict=True):
        column.append(value)


def _sum(texts: _Texts, end: int, span: int) -> tuple[float | None, float | None, int]:
    """Score, confidence, how many texts have a score. A story weighs as its heaviest text."""
    scored = np.flatnonzero(~np.isnan(texts.score))
    if not len(scored):
        return None, None, 0
    by_story = scored[np.argsort(texts.story[scored], kind="stable")]
    age = (end - texts.at[by_story]) / (span / HALF_LIVES_IN_A_WINDOW)
    weight = np.power(0.5, age) * texts.weight[by_story]
    stories = texts.story[by_story]
    starts = np.flatnonzero(np.append(True, stories[1:] != stories[:-1]))
    heaviest = np.maximum.reduceat(weight, starts)
    told = heaviest > 0
    if not told.any():
        return None, None, len(scored)
    whole = np.add.reduceat(weight, starts)[told]
    said = np.add.reduceat(weight * texts.score[by_story], starts)[told] / whole
    sure = np.add.reduceat(weight * texts.confidence[by_story], starts)[told] / whole
    heaviest = heaviest[told]
    total = math.fsum(heaviest)
    score = round(math.fsum(heaviest * said) / total, DIGITS) + 0.0
    return score, round(math.fsum(heaviest * sure) / total, DIGITS) + 0.0, len(scored)


def _columns(states: Iterable[State]) -> _Texts:
    rows = sorted(states, key=_order)
    codes = {story: code for code, story in enumerate(dict.fromkeys(one.story for one in rows))}
    weight = [
        (1.0 if one.kind == "news" else 1.0 + math.log1p(max(0, one.engagement)))
        * one.link
        * (one.confidence or 0.0)
        for one in rows
    ]
    nan = math.nan
    return _Texts(
        at=np.array([_micros(one.at) for one in rows], dtype=np.int64),
        since=np.array([_micros(one.since) for one in rows], dtype=np.int64),
        until=np.array(
            [FOREVER if one.until is None else _micros(one.until) for one in rows], dtype=np.int64
        ),
        kind=np.array([KINDS.index(one.kind) for one in rows], dtype=np.int64),
        story=np.array([codes[one.story] for one in rows], dtype=np.int64),
        weight=np.array(weight, dtype=np.float64),
        score=np.array([nan if one.score is None else one.score for one in rows], dtype=np.float64),
        confidence=np.array(
            [nan if one.confidence is None else one.confidence for one in rows], dtype=np.float64
        ),
    )


def _order(one: State) -> tuple[datetime, str, str, float, float, int]:
    return one.at, one.kind, one.story, one.score or 0.0, one.confidence or 0.0, one.engagement


def _micros(moment: datetime) -> int:
    return (moment - EPOCH) // _MICROSECOND
