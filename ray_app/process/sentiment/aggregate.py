"""One number for an asset and a window from the scores of many texts. Pure: the same texts, the same number.

score = sum(w * s) / sum(w) over the stories of the window that have a score. A text weighs

    w = 0.5 ** (age / half-life) * source * confidence * link * engagement

and texts that tell the same story are one piece of evidence: together they weigh as much as the heaviest of them
and say the mean of what they say, weighted likewise. A text without a story is one by itself.

age up to the end of the window, half-life a quarter of the window; `source` and `link` from 0 to 1; confidence of the
model; engagement = 1 + ln(1 + votes, likes, answers) for posts, 1 for news. Texts without a score are counted apart
and weigh nothing: unknown is not neutral.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from ray_app.process.sentiment.scores import Label

Kind = Literal["news", "reddit", "twitter"]

WINDOWS: Mapping[str, timedelta] = {
    "1h": timedelta(hours=1),
    "4h": timedelta(hours=4),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
}
HALF_LIVES_IN_A_WINDOW = 4
POINTS = 12  # of a history, a twelfth of the window apart
BULLISH, BEARISH = 0.15, -0.15  # from here on
FORMULA = (
    "sum(w * score) / sum(w) over stories with a scored text with start < published <= end; of a text w = "
    "0.5^(age / half-life) * source weight * model confidence * link confidence * engagement; a story weighs as its "
    "heaviest text and scores the weighted mean of its texts; half-life = window / 4; engagement = 1 + ln(1 + n) for "
    "posts, 1 for news; label bullish from 0.15, bearish from -0.15, else neutral; effective size = sum(w)^2 / "
    "sum(w^2); confidence = weighted mean of the models' confidences; texts without a score are counted as unscored "
    "and left out"
)


@dataclass(frozen=True, slots=True)
class Opinion:
    """One text about the asset. `score` and `confidence` are both None where the model gave none."""

    kind: Kind
    at: datetime  # published, aware
    score: float | None
    confidence: float | None
    model: str  # id of the model
    link: float = 1.0  # how sure it is that the text speaks of the asset, 0 to 1
    source: float = 1.0  # weight of its source, 0 to 1
    engagement: int = 0  # votes, likes and answers together; below 0 counts as 0
    story: str | None = None  # texts that tell the same share it


@dataclass(frozen=True, slots=True)
class Aggregate:
    """`score`, `label` and `confidence` are None where no text of the window has a score or weighs anything."""

    score: float | None
    label: Label | None
    confidence: float | None
    count: int  # texts with a score
    unscored: int  # texts without
    stories: int  # that the texts with a score tell
    effective: float  # as how many stories of equal weight they count
    models: tuple[str, ...]  # that gave the scores, sorted


@dataclass(frozen=True, slots=True)
class Sentiment:
    start: datetime
    end: datetime
    overall: Aggregate
    breakdown: Mapping[Kind, Aggregate]  # of the kinds that have a text in the window


def sentiment(opinions: Iterable[Opinion], window: str, end: datetime) -> Sentiment:
    """The sentiment of one asset over (end - window, end]. KeyError for a window that WINDOWS lacks."""
    length = WINDOWS[window]
    start = end - length
    # In one order, so that sums do not depend on that of the store.
    inside = sorted((one for one in opinions if start < one.at <= end), key=_order)
    kinds: tuple[Kind, ...] = ("news", "reddit", "twitter")
    parts = {kind: [one for one in inside if one.kind == kind] for kind in kinds}
    half_life = length / HALF_LIVES_IN_A_WINDOW
    return Sentiment(
        start=start,
        end=end,
        overall=_aggregate(inside, end, half_life),
        breakdown={kind: _aggregate(some, end, half_life) for kind, some in parts.items() if some},
    )


def history(opinions: Iterable[Opinion], window: str, end: datetime) -> list[tuple[datetime, Aggregate]]:
    """The same at POINTS ends, oldest first, each over a whole window; the last is that of `end`.

    `opinions` must reach back to the first of these windows: twice the window is enough.
    """
    length = WINDOWS[window]
    every = sorted(opinions, key=_order)
    times = [one.at for one in every]
    out = []
    for back in range(POINTS - 1, -1, -1):
        until = end - length / POINTS * back
        inside = every[bisect_right(times, until - length) : bisect_right(times, until)]
        out.append((until, _aggregate(inside, until, length / HALF_LIVES_IN_A_WINDOW)))
    return out


def label_of(score: float) -> Label:
    if score >= BULLISH:
        return "bullish"
    return "bearish" if score <= BEARISH else "neutral"


def _aggregate(opinions: Sequence[Opinion], end: datetime, half_life: timedelta) -> Aggregate:
    told: dict[str | int, list[tuple[float, float, float]]] = {}  # by story: weight, score, confidence
    models: set[str] = set()
    for place, one in enumerate(opinions):
        if one.score is not None and one.confidence is not None:
            weight = _weight(one, one.confidence, end, half_life)
            told.setdefault(place if one.story is None else one.story, []).append(
                (weight, one.score, one.confidence)
            )
            models.add(one.model)
    count = sum(map(len, told.values()))
    counts = (count, len(opinions) - count, len(told))
    heaviest = {story: max(weight for weight, *_ in texts) for story, texts in told.items()}
    # What a text weighs beside those that tell the same.
    shares = [
        (weight * (heaviest[story] / math.fsum(w for w, *_ in texts)), score, sure)
        for story, texts in told.items()
        if heaviest[story] > 0
        for weight, score, sure in texts
    ]
    total = math.fsum(share for share, *_ in shares)
    if total <= 0:
        return Aggregate(None, None, None, *counts, 0.0, tuple(sorted(models)))
    score = math.fsum(share * score for share, score, _ in shares) / total
    return Aggregate(
        score,
        label_of(score),
        math.fsum(share * sure for share, _, sure in shares) / total,
        *counts,
        total**2 / math.fsum(weight**2 for weight in heaviest.values()),
        tuple(sorted(models)),
    )


def _weight(one: Opinion, confidence: float, end: datetime, half_life: timedelta) -> float:
    engagement = 1.0 if one.kind == "news" else 1.0 + math.log1p(max(0, one.engagement))
    return float(0.5 ** ((end - one.at) / half_life) * one.source * confidence * one.link * engagement)


def _order(one: Opinion) -> tuple[datetime, str, float, float, float, float, int]:
    score = -2.0 if one.score is None else one.score
    return one.at, one.kind, score, one.confidence or 0.0, one.link, one.source, one.engagement
