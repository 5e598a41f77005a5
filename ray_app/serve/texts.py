"""Which texts answer a question: the feeds of a kind, and the newest texts of them that match.

Kinds: the feeds of crypto news begin with `crypto` (crypto/coindesk, the Guardian's crypto); all others, such as
stock/cnbc-top, business sections and filings, are stock news. Posts of all social networks are one kind.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from functools import cached_property
from typing import Any, Literal

from ray_app.model.symbols import UnknownSymbol
from ray_app.model.texts import Article, Post
from ray_app.model.timerange import TimeRange
from ray_app.process.linking import LINKER
from ray_app.process.linking_forms import forms
from ray_app.serve.node import Node
from ray_app.serve.points import Standing
from ray_app.serve.problems import invalid
from ray_app.serve.series import Series
from ray_app.store.linked import Linked, TextId
from ray_app.store.newest import NewestTexts, NewText, Place
from ray_app.store.reading import Point
from ray_app.store.scored import Scored, content_of, said_in

Kind = Literal["crypto", "stock", "social"]
FIRST = datetime(1990, 1, 1, tzinfo=UTC)  # no text is older
FIRST_STEP, FURTHER = timedelta(days=1), 4  # how far back the first reading goes, and each next one
CHUNK, MOST_READ = 500, 5_000  # texts read at once, and for one page, to look for words in them
MOST_ABOUT = 2_000  # texts about one asset that are looked up at once
_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a question asks of the texts. `asset`: a coin's id or a stock's ticker."""

    series: tuple[Series, ...]
    words: tuple[str, ...]  # all of them, case folded
    asset: str | None
    over: TimeRange
    limit: int


class Texts:
    """The texts of a node."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._newest = NewestTexts(node.store.database)
        self._links, self._scores = node.store.links, node.store.scores

    async def feeds(self, kind: Kind, source: str | None, at: Standing) -> list[Series]:
        """The feeds of a kind, perhaps only those of a source, or one of them. Raises Problem for an unknown one."""
        found = await self._node.datasets.of(Post if kind == "social" else Article, at.point.as_of)
        every = [
            Series(one, feed) for one in found for feed in one.partitions if kind in ("social", _kind(feed))
        ]
        if source is None:
            return every
        name = source.strip().lower()
        mine = [one for one in every if name in _names(one)]
        if not mine:
            raise invalid(
                f"no source {source!r} of these texts",
                parameter="source",
                available=sorted({one.dataset.source for one in every} | {one.partition for one in every}),
            )
        return mine

    def asset(self, symbol: str, kind: Kind, at: Standing) -> str:
        """The coin or stock that a symbol means: of stock news a stock first, else a coin. Raises UnknownSymbol."""
        ticker = symbol.strip().upper()
        if kind == "stock" and ticker in self.stocks:
            return ticker
        try:
            return self._node.resolve(symbol, at.asked).id
        except UnknownSymbol:
            if ticker in self.stocks:
                return ticker
            raise

    def stock(self, symbol: str) -> str:
        """The ticker of a stock that texts are linked to. Raises UnknownSymbol."""
        ticker = symbol.strip().upper()
        if ticker not in self.stocks:
            raise UnknownSymbol(symbol, tuple(get_close_matches(ticker, sorted(self.stocks), 3, 0.0)))
        return ticker

    async def page(
        self, wanted: Wanted, after: Place | None, at: Standing
    ) -> tuple[list[NewText], Place | None]:
        """The texts of a page and the place after which the next one goes on; None when there is none.

        A page whose words are rare can be short, or empty, and still have a next one.
        """
        over, point = wanted.over, Point(at.point.as_of, at.horizon)
        found: list[NewText] = []
        read, end, span = 0, over.end, FIRST_STEP
        while True:
            span = min(span, end - over.start)
            window = TimeRange(end - span, end)
            most = CHUNK if wanted.words else wanted.limit + 1 - len(found)
            chunk = await self._read(wanted, window, most, after, point)
            found += [one for one in chunk if _says(one, wanted.words)]
            read += len(chunk)
            if len(found) > wanted.limit:
                return found[: wanted.limit], found[wanted.limit - 1].place
            if len(chunk) == most:
                after = chunk[-1].place
                if read >= MOST_READ:
                    return found, after
                continue
            if window.start <= over.start:
                return found, None
            end, span = window.start, FURTHER * span

    async def links(self, texts: Sequence[NewText], at: Standing) -> dict[Place, Linked]:
        """Story and mentions of each text that was linked by then."""
        ids = {TextId(*one.place[1:]): one.place for one in texts}
        found = await self._links.mentions_of(list(ids), LINKER, at.point)
        return {ids[name]: linked for name, linked in found.items()}

    async def scores(self, texts: Sequence[NewText], at: Standing) -> dict[Place, Scored]:
        """What the served model says of each text in the words that are shown; unscored ones are absent."""
        kind = Post if texts and "likes" in texts[0].fact.values else Article
        ids = (TextId(*one.place[1:]) for one in texts)
        return _of_shown_words(texts, await self._scores.scores_of(ids, kind, at.point))

    async def advanced(self, texts: Sequence[NewText], at: Standing) -> dict[Place, Scored]:
        """What a language model said last of each in the words that are shown; those not asked about are absent."""
        ids = (TextId(*one.place[1:]) for one in texts)
        return _of_shown_words(texts, await self._node.store.advanced.scores_of(ids, at.point))

    def mentions(self, linked: Linked | None, at: Standing) -> list[dict[str, Any]]:
        """As JSON types, the surest first; `symbol` is the ticker."""
        return [
            {
                "symbol": self._tickers(at).get(said.asset, said.asset)
                if said.kind == "coin"
                else said.asset,
                "asset": said.asset,
                "kind": said.kind,
                "confidence": said.confidence,
            }
            for said in (linked.said if linked is not None else ())
        ]

    async def _read(
        self, wanted: Wanted, window: TimeRange, most: int, after: Place | None, point: Point
    ) -> list[NewText]:
        feeds: dict[str, list[str]] = {}
        for one in wanted.series:
            feeds.setdefault(one.dataset.name, []).append(one.partition)
        kind = Post if wanted.series and wanted.series[0].dataset.record is Post else Article
        if wanted.asset is None:
            return await self._newest.newest(kind, feeds, window, most, point, after)
        out: list[NewText] = []
        end = window.end if after is None else min(window.end, after.at + _INSTANT)
        span = end - window.start
        while end > window.start and len(out) < most:
            span = min(span, end - window.start)
            part = TimeRange(end - span, end)
            about = await self._links.texts_about(wanted.asset, part, LINKER, MOST_ABOUT, point, (kind,))
            if len(about) == MOST_ABOUT and span > _INSTANT:
                span = max(span / 2, _INSTANT)
                continue
            items = {one.item for one in about}
            texts = await self._newest.newest(kind, feeds, part, MOST_ABOUT, point, after, items)
            named = set(about)
            out += [one for one in texts if TextId(*one.place[1:]) in named]
            end = part.start
        return out[:most]

    def _tickers(self, at: Standing) -> Mapping[str, str]:
        return {asset.id: asset.symbol_at(at.asked) for asset in self._node.registry.assets}

    @cached_property
    def stocks(self) -> frozenset[str]:
        """The tickers of all stocks that texts are linked to."""
        return frozenset(form.means for form in forms(self._node.registry) if form.kind == "stock")


def _of_shown_words(
    texts: Sequence[NewText], found: Mapping[TextId, Sequence[Scored]]
) -> dict[Place, Scored]:
    out = {}
    for one in texts:
        content = content_of(said_in(one.fact.values))
        scored = found.get(TextId(*one.place[1:]), [])
        if (fitting := next((each for each in scored if each.content == content), None)) is not None:
            out[one.place] = fitting
    return out


def _kind(feed: str) -> Kind:
    return "crypto" if feed.partition("/")[0] == "crypto" else "stock"


def _names(one: Series) -> set[str]:
    """What a feed may be asked for by: its source, its own name, the last part of that."""
    feed = one.partition.lower()
    return {one.dataset.source, feed, feed.rpartition("/")[2]}


def _says(text: NewText, words: Sequence[str]) -> bool:
    if not words:
        return True
    values = text.fact.values
    told = " ".join(values[name] or "" for name in ("title", "summary", "body") if name in values).casefold()
    return all(word in told for word in words)
