"""The sentiment of assets at a point in time: scored mentions in, one number out, by `process.sentiment.aggregate`.

What surprises: a question about now is answered as of the last whole minute that is certainly in the store. Ages
count, so without that each answer would be another one.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ray_app.model.dataset import Dataset
from ray_app.model.timerange import TimeRange
from ray_app.process.linking import LINKER
from ray_app.process.sentiment.aggregate import WINDOWS, Aggregate, Kind, Opinion
from ray_app.process.sentiment.opinions import SOURCES, kind_of, opinions_of, rounded
from ray_app.serve.node import Node
from ray_app.serve.points import Standing
from ray_app.serve.series import Series
from ray_app.store.linked import KINDS
from ray_app.store.linked import Kind as TextKind
from ray_app.store.scored import Mention, Scored, Scorer

__all__ = ["SOURCES", "Found", "Sentiments", "model_told", "rounded", "text_told", "told", "why_none"]
MOST = 50_000  # mentions that one answer reads of articles, and of posts
LEAST = 3  # texts from which the sum of restricted ones is for every key
_INSTANT = timedelta(microseconds=1)


@dataclass(slots=True)
class Found:
    """What speaks of the assets. `truncated`: there was more than is read at once."""

    opinions: list[Opinion] = field(default_factory=list)
    series: list[Series] = field(default_factory=list)
    models: dict[Kind, Scorer | None] = field(default_factory=dict)
    truncated: bool = False

    def observed(self, end: datetime) -> datetime | None:
        return max((one.at for one in self.opinions if one.at <= end), default=None)

    def model(self, kind: Kind) -> dict[str, Any] | None:
        return model_told(self.models.get(kind))


@dataclass(slots=True)
class _Read:
    """The mentions of one kind of texts; `kinds`: by data set, as what its texts count."""

    record: TextKind
    kinds: dict[str, Kind]
    series: list[Series]
    scorer: Scorer | None = None
    mentions: list[Mention] = field(default_factory=list)

    @property
    def model(self) -> str:
        return self.scorer.model if self.scorer is not None else ""


class Sentiments:
    def __init__(self, node: Node) -> None:
        self._node = node

    async def about(
        self, assets: Sequence[str], sources: Iterable[Kind], window: str, at: Standing, *, history: bool
    ) -> Found:
        """The texts of these sources about the assets, far enough back for the window that ends now."""
        read, out = await self._read(assets, sources, window, at, history=history), Found()
        for one in read:
            out.truncated |= len(one.mentions) == MOST
            out.opinions += await asyncio.to_thread(opinions_of, one.mentions, one.kinds, one.model)
        return _beside(out, read)

    async def about_each(
        self, assets: Sequence[str], sources: Sequence[Kind], window: str, at: Standing, *, history: bool
    ) -> dict[str, Found]:
        """The same for each of the assets by itself, read at once."""
        read = await self._read(assets, sources, window, at, history=history)
        if any(len(one.mentions) == MOST for one in read) and len(assets) > 1:
            return {one: await self.about([one], sources, window, at, history=history) for one in assets}

        def split() -> dict[str, Found]:
            out = {asset: Found() for asset in assets}
            for one in read:
                mine: dict[str, list[Mention]] = {}
                for mention in one.mentions:
                    mine.setdefault(mention.asset, []).append(mention)
                for asset, mentions in mine.items():
                    out[asset].opinions += opinions_of(mentions, one.kinds, one.model)
                    out[asset].truncated |= len(mentions) == MOST
            return out

        return {asset: _beside(found, read) for asset, found in (await asyncio.to_thread(split)).items()}

    async def _read(
        self, assets: Sequence[str], sources: Iterable[Kind], window: str, at: Standing, *, history: bool
    ) -> list[_Read]:
        wanted, out = set(sources), list[_Read]()
        length = WINDOWS[window] * (2 if history else 1)
        over = TimeRange(at.horizon - length, at.horizon + _INSTANT)
        for record in KINDS:
            kinds: dict[str, Kind] = {}
            series: list[Series] = []
            for dataset in await self._node.datasets.of(record, at.point.as_of):
                kind = kind_of(record, dataset.source)
                if kind in wanted:
                    kinds[dataset.name] = kind
                    series += [Series(dataset, feed) for feed in dataset.partitions]
            if kinds:
                out.append(_Read(record, kinds, series))
        scorers = await self._node.store.scores.all_served(at.point) if out else {}
        for one in out:
            one.scorer = scorers.get(one.record)
            one.mentions = await self._node.store.opinions.mentioning(
                assets, over, LINKER, one.scorer, list(one.kinds), MOST, at.point
            )
        return out


def _beside(out: Found, read: Sequence[_Read]) -> Found:
    for one in read:
        out.series += one.series
        out.models |= dict.fromkeys(one.kinds.values(), one.scorer)
    return out


def why_none(one: Aggregate | None, *, whole: bool) -> str | None:
    """Why there is no score to show; None where there is one. `whole`: the key may have each text's."""
    if one is None or one.count + one.unscored == 0:
        return "no_texts"
    if one.score is None:
        return "not_scored"
    return None if whole or one.count >= LEAST else "few_texts"


def told(one: Aggregate | None, *, whole: bool) -> dict[str, Any]:
    """Score, label and confidence as JSON types, or the reason for none."""
    reason = why_none(one, whole=whole)
    if one is None or reason is not None:
        return {"score": None, "label": None, "confidence": None, "reason": reason}
    return {
        "score": rounded(one.score),
        "label": one.label,
        "confidence": rounded(one.confidence),
        "reason": None,
    }


def model_told(scorer: Scorer | None) -> dict[str, Any] | None:
    return None if scorer is None else {"id": scorer.model, "digest": scorer.digest}


def text_told(scored: Scored | None) -> dict[str, Any]:
    """What is shown beside a text: its sentiment, or why it has none."""
    if scored is None or scored.verdict.reason is not None:
        reason = "not_scored" if scored is None else scored.verdict.reason
        return {"sentiment": None, "sentiment_reason": reason}
    return {"sentiment": _verdict_told(scored), "sentiment_reason": None}


def advanced_told(scored: Scored | None, dataset: Dataset) -> dict[str, Any]:
    """The second opinion of a language model beside a text, or why there is none."""
    if scored is None or scored.verdict.reason is not None:
        none = "not_asked" if dataset.declared.get("llm_allowed") else "not_allowed"
        reason = none if scored is None else scored.verdict.reason
        return {"advanced_sentiment": None, "advanced_sentiment_reason": reason}
    return {"advanced_sentiment": _verdict_told(scored), "advanced_sentiment_reason": None}


def _verdict_told(scored: Scored) -> dict[str, Any]:
    verdict = scored.verdict
    told = {"score": verdict.score, "label": verdict.label, "confidence": verdict.confidence}
    return told | {"model": model_told(scored.scorer)}
