"""One number for an asset and a window from the scores of many texts. Pure: the same texts, the same number.

score = sum(w * s) / sum(w) over the texts of the window that have a score, each weighing

    w = 0.5 ** (age / half-life) * source * confidence * link * engagement

age up to the end of the window, half-life a quarter of the window; `source` and `link` from 0 to 1; confidence of the
model; engagement = 1 + ln(1 + votes, likes, answers) for posts, 1 for news. Texts without a score are counted apart
and weigh nothing: unknown is not neutral.
"""

import math
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
BULLISH, BEARISH = 0.15, -0.15  # from here on
FORMULA = (
    "sum(w * score) / sum(w) over scored texts with start < published <= end; w = 0.5^(age / half-life) * source "
    "weight * model confidence * link confidence * engagement; half-life = window / 4; engagement = 1 + ln(1 + n) for "
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


@dataclass(frozen=True, slots=True)
class Aggregate:
    """`score`, `label` and `confidence` are None where no text of the window has a score or weighs anything."""

    score: float | None
    label: Label | None
    confidence: float | None
    count: int  # texts with a score
    unscored: int  # texts without
    effective: float  # as how many texts of equal weight they count
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


def label_of(score: float) -> Label:
    if score >= BULLISH:
        return "bullish"
    return "bearish" if score <= BEARISH else "neutral"


def _aggregate(opinions: Sequence[Opinion], end: datetime, half_life: timedelta) -> Aggregate:
    scored = [
        (one.score, one.confidence, _weight(one, one.confidence, end, half_life), one.model)
        for one in opinions
        if one.score is not None and one.confidence is not None
    ]
    total = math.fsum(weight for *_, weight, _ in scored)
    models = tuple(sorted({model for *_, model in scored}))
    count, unscored = len(scored), len(opinions) - len(scored)
    if total <= 0:
        return Aggregate(None, None, None, count, unscored, 0.0, models)
    score = math.fsum(weight * score for score, _, weight, _ in scored) / total
    return Aggregate(
        score=score,
        label=label_of(score),
        confidence=math.fsum(weight * sure for _, sure, weight, _ in scored) / total,
        count=count,
        unscored=unscored,
        effective=total**2 / math.fsum(weight**2 for *_, weight, _ in scored),
        models=models,
    )


def _weight(one: Opinion, confidence: float, end: datetime, half_life: timedelta) -> float:
    engagement = 1.0 if one.kind == "news" else 1.0 + math.log1p(max(0, one.engagement))
    return float(0.5 ** ((end - one.at) / half_life) * one.source * confidence * one.link * engagement)


def _order(one: Opinion) -> tuple[datetime, str, float, float, float, float, int]:
    score = -2.0 if one.score is None else one.score
    return one.at, one.kind, score, one.confidence or 0.0, one.link, one.source, one.engagement
