"""An export cut into pieces, each of which becomes a file, and the rows of each.

How many rows there must be is counted without reading them: by SQL, or for rows of features that are worked out, by the
hours in which their assets were tracked.
"""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl

from ray_app.derive.reading import Loader, Of
from ray_app.derive.rows import SET, lived, rows
from ray_app.derive.training import training
from ray_app.model.export import COMPUTED, FEATURES, SENTIMENT, ExportRequest, Part, Piece
from ray_app.model.symbols import Registry
from ray_app.model.texts import Article, Post
from ray_app.model.timerange import TimeRange, floor
from ray_app.model.written import number
from ray_app.process.features.inputs import HOUR
from ray_app.process.features.packed import unpack
from ray_app.process.linking import LINKER
from ray_app.store.extracts import RECORDS, Counted, decimals_of
from ray_app.store.linked import Kind
from ray_app.store.reading import Point
from ray_app.store.store import Store
from ray_app.store.vectors import Vector

FEW = 100_000  # rows that one file holds without being cut by series or month
SPAN = timedelta(days=14)  # rows of features that become one file: what comes before is read for each of them
MANY = 1_000_000_000
_INSTANT, MILLISECOND = timedelta(microseconds=1), timedelta(milliseconds=1)
TEXT, INSTANT = pl.String, pl.Datetime("us", "UTC")
SENTIMENTS: dict[str, Any] = {
    "dataset": TEXT, "feed": TEXT, "item": TEXT, "at": INSTANT, "asset": TEXT, "kind": TEXT, "story": TEXT,
    "link_confidence": TEXT, "engagement": pl.Int64, "score": TEXT, "confidence": TEXT, "model": TEXT,
    "model_digest": TEXT,
}  # fmt: skip
DIGITS = frozenset({"link_confidence", "score", "confidence"})


class Cutting:
    """One export over one store."""

    def __init__(self, store: Store, registry: Registry, request: ExportRequest) -> None:
        self._store, self._registry, self._request = store, registry, request
        as_of, known_by = request.bounds
        self._at = Point(as_of=as_of, known_by=known_by)

    async def pieces(self) -> list[Piece]:
        """In the order of what they hold; none where there are no rows. The same for the same request."""
        if self._request.what in COMPUTED:
            return await self._spans()
        out: list[Piece] = []
        for part in self._request.parts:
            out += self._cut(part, await self._counted(part), len(out))
        return out

    async def frame(self, piece: Piece) -> pl.DataFrame:
        """The rows of a piece, in an order of their own that never changes."""
        what = self._request.what
        if what not in COMPUTED:
            assert piece.dataset is not None
            part = Part(dataset=piece.dataset, series=piece.series)
            if what == SENTIMENT:
                return await self._sentiment(part, piece.over)
            return await self._store.extracts.frame(
                RECORDS[what], part.dataset, part.series, piece.over, self._at
            )
        loader = Loader(self._store, self._registry)
        if what == FEATURES:
            return await self._features(loader, piece.over)
        as_of = self._at.as_of
        request = self._request
        return await training(loader, piece.over, request.assets, request.names, request.horizons, as_of)

    async def _counted(self, part: Part) -> Mapping[str, Counted]:
        over, extracts = part.within(self._request.over), self._store.extracts
        if self._request.what != SENTIMENT:
            return await extracts.count(
                RECORDS[self._request.what], part.dataset, part.series, over, self._at
            )
        return await extracts.count_mentions(
            part.dataset, part.series, self._mentioned, over, LINKER, self._at
        )

    @property
    def _mentioned(self) -> tuple[str, ...] | None:
        return self._request.assets or None

    async def _kind(self, stream: str) -> Kind:
        records = await Loader(self._store, self._registry).records()
        return Post if records[stream] is Post else Article

    def _cut(self, part: Part, counted: Mapping[str, Counted], first: int) -> Iterator[Piece]:
        """All in one file, else one per series, else one per series and month. Sentiment is not cut by series."""
        if not counted:
            return
        there = tuple(sorted(counted))
        total = sum(one.rows for one in counted.values())
        whole = total <= FEW or self._request.what == SENTIMENT
        groups = [there] if whole else [(name,) for name in there]
        place = first
        for group, series in enumerate(groups, first):
            mine = [counted[name] for name in series]
            rows = sum(one.rows for one in mine)
            span = TimeRange(
                min(one.first for one in mine),
                floor(max(one.last for one in mine), MILLISECOND) + MILLISECOND,
            )
            for part_of in months(span) if rows > FEW else [span]:
                name = _plain(".".join([part.dataset, *(series if not whole else ())]))
                month = f".{part_of.start:%Y-%m}" if rows > FEW else ""
                yield Piece(
                    name=f"{place:05d}.{name}{month}.parquet", dataset=part.dataset, series=series,
                    start=part_of.start, end=part_of.end, group=group, counted=rows,
                )  # fmt: skip
                place += 1

    async def _spans(self) -> list[Piece]:
        every = await Loader(self._store, self._registry).symbols(self._at)
        known = {of.asset.id: of for of in every.values()} | dict(every)
        over, out = self._request.over, list[Piece]()
        for place, span in enumerate(over.split(SPAN)):
            rows = await self._hours(known, span)
            name = f"{place:05d}.{self._request.what}.{span.start:%Y-%m-%dT%H}.parquet"
            out.append(
                Piece(name=name, dataset=None, series=(), start=span.start, end=span.end, group=place, counted=rows)
            )  # fmt: skip
        return [one for one in out if one.counted]

    async def _hours(self, known: Mapping[str, Of], span: TimeRange) -> int:
        """How many rows of features the span has: those stored by then, else every hour of every asset."""
        assets = self._request.assets
        if self._request.what == FEATURES and self._request.known_by is None:
            return await self._store.vectors.count(self._set, assets, _ends(span), self._at)
        hours = [span.start + n * HOUR for n in range(1, span.length // HOUR + 1)]
        return sum(lived(known[name], hour) for name in assets for hour in hours if name in known)

    @property
    def _set(self) -> str:
        assert self._request.feature_set is not None
        return self._request.feature_set

    async def _sentiment(self, part: Part, over: TimeRange) -> pl.DataFrame:
        kind, wanted = await self._kind(part.dataset), set(part.series)
        scorer = await self._store.scores.served(kind, self._at)
        found = await self._store.opinions.mentioning(
            self._mentioned, over, LINKER, scorer, [part.dataset], MANY, self._at
        )
        model = (None, None) if scorer is None else (scorer.model, scorer.digest)
        rows = [
            (
                one.id.stream, one.id.partition, one.id.item, one.at, one.asset, one.kind, one.story,
                number(one.link), one.engagement, _digits(one.score), _digits(one.confidence), *model,
            )
            for one in found if one.id.partition in wanted
        ]  # fmt: skip
        return pl.DataFrame(rows, SENTIMENTS, orient="row").sort("feed", "at", "item", "asset")

    async def _features(self, loader: Loader, span: TimeRange) -> pl.DataFrame:
        request, at = self._request, self._at
        if request.known_by is None:
            found = await self._store.vectors.between(self._set, request.assets, _ends(span), at)
        elif self._set == SET:
            found = await rows(loader, span, at, request.bounds[0], set(request.assets))
        else:
            raise ValueError("the features of then are worked out otherwise now: leave known_by out")
        names = await self._store.vectors.names(self._set)
        return _vectors(found, names, request.names, self._set)


def _vectors(
    found: Collection[Vector], names: tuple[str, ...], shown: tuple[str, ...], feature_set: str
) -> pl.DataFrame:
    ordered = sorted(found, key=lambda one: (one.asset, one.at))
    head = {
        "asset": pl.Series([one.asset for one in ordered], dtype=TEXT),
        "at": pl.Series([one.at for one in ordered], dtype=INSTANT),
        "feature_set": pl.Series([feature_set] * len(ordered), dtype=TEXT),
        "candles": pl.Series([one.bars for one in ordered], dtype=TEXT),
        "as_of": pl.Series([one.as_of for one in ordered], dtype=INSTANT),
        "made_at": pl.Series([one.made_at for one in ordered], dtype=INSTANT),
    }
    numbers = [unpack(one.numbers, names) for one in ordered]
    values = {name: pl.Series([one[name] for one in numbers], dtype=pl.Float64) for name in shown}
    return pl.DataFrame(head | values)


def decimals(what: str) -> frozenset[str]:
    """The columns of a kind of export that hold exact decimals as text."""
    if what in COMPUTED:
        return frozenset()
    return DIGITS if what == SENTIMENT else decimals_of(RECORDS[what])


def months(over: TimeRange) -> Iterator[TimeRange]:
    """The range cut where months begin, oldest first."""
    start = over.start
    while start < over.end:
        following = datetime(start.year + start.month // 12, start.month % 12 + 1, 1, tzinfo=start.tzinfo)
        yield TimeRange(start, min(following, over.end))
        start = following


def hours_of(over: TimeRange) -> TimeRange | None:
    """The hours that end in [start, end) as the range (start, end] that rows of features are asked for by."""
    first, last = floor(over.start - _INSTANT, HOUR), floor(over.end - _INSTANT, HOUR)
    return TimeRange(first, last) if first < last else None


def _ends(span: TimeRange) -> TimeRange:
    """The ends of hours in (start, end], as [start, end)."""
    return TimeRange(span.start + _INSTANT, span.end + _INSTANT)


def _digits(value: Decimal | None) -> str | None:
    return None if value is None else number(value)


def _plain(name: str) -> str:
    """What any file system and any URL takes."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in name)
    return kept[:120]
