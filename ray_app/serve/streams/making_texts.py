"""News and sentiment as clients are told them.

A text is told as soon as it is committed. Its links are worked out later, so the coins and stocks that it speaks of
are found here, by the same rules, which give the same.
"""

import asyncio
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from ray_app.model.symbols import Registry
from ray_app.model.texts import Article, Post
from ray_app.process.linking import Linker
from ray_app.process.sentiment.aggregate import Aggregate
from ray_app.process.sentiment.opinions import kind_of, rounded
from ray_app.serve.datasets import Datasets
from ray_app.serve.sentiment import told
from ray_app.serve.streams.items import Item
from ray_app.serve.streams.making import Making, moment, text_name
from ray_app.store.linked import LONGEST, words_in
from ray_app.store.outbox import Event
from ray_app.store.store import Store
from ray_app.store.texts import EMPTY_EVENT

COUNTS = ("likes", "replies", "shares", "views")
ON_THE_LOOP = 5  # texts that are read for mentions between two turns of the loop
MOST_FOUND = 10_000  # texts whose mentions are kept, for those who resume


class News(Making):
    """Articles and posts."""

    first = 300

    def __init__(self, store: Store, registry: Registry, datasets: Datasets) -> None:
        super().__init__(store, registry, datasets)
        self._found: dict[str, list[dict[str, Any]]] = {}

    @cached_property
    def _linker(self) -> Linker:
        return Linker(self._registry)

    async def items(self, events: Sequence[Event]) -> list[Item]:
        await self._look()
        if len(events) <= ON_THE_LOOP:
            return list(self._made(events))
        return await asyncio.to_thread(lambda: list(self._made(events)))

    def _item(self, event: Event) -> Item | None:
        record = event.record
        if set(record) == EMPTY_EVENT or record.get("deleted"):
            return None  # a `delete` tells it
        stream, feed = record["series"]
        item, at = str(record["item"]), moment(record["at"])
        post = "likes" in record
        name = text_name(stream, feed, item)
        mentions = self._mentions(f"{name}:{record['revision']}", record)
        data: dict[str, Any] = {
            "kind": "post" if post else "article",
            **self._terms(stream, feed),
            "url": record["url"],
            "title": record["title"],
            "summary": record["body"] if post else record["summary"],
            "published_at": at if post else moment(record["published"]),
            "updated_at": moment(record["edited"] if post else record["updated"]),
            "language": record["language"],
            "author": record["author"],
            "topics": record["topics"],
            "mentions": mentions,
        }
        if post:
            data |= {count: record[count] for count in COUNTS}
        body = {
            "id": name,
            "data": data,
            "timestamp": at,
            "received_at": event.received_at,
            "revision": record["revision"],
            "record_id": f"{name}:{record['revision']}",
        }
        return Item(
            number=event.number,
            type="news_update",
            whole=body,
            open_=None if self._closed(stream, feed) else body,
            assets=frozenset(one["asset"] for one in mentions),
            about=name,
            size=1_000 + sum(len(text) for text in record.values() if isinstance(text, str)),
        )

    def _terms(self, stream: str, feed: str) -> dict[str, Any]:
        dataset = self._known.get(stream)
        return {
            "source": stream.partition(".")[0],
            "feed": feed,
            "outlet": (dataset.about(feed, "title") or None) if dataset else None,
            "licence": dataset.licence(feed) if dataset else "unknown",
            "llm_allowed": bool(dataset and dataset.declared.get("llm_allowed", False)),
        }

    def _mentions(self, record_id: str, record: Mapping[str, Any]) -> list[dict[str, Any]]:
        """As linking finds them: it reads the same words of a text."""
        if record_id in self._found:
            return self._found[record_id]
        cut = {name: (record.get(name) or "")[:LONGEST] for name in ("summary", "body")}
        title, text = words_in({"title": record["title"], **cut})
        topics = tuple(filter(None, (record["topics"] or "").split("; ")))
        found = self._linker.mentions(title, text, topics, moment(record["at"]))
        if len(self._found) >= MOST_FOUND:
            self._found.clear()
        self._found[record_id] = [
            {
                "symbol": self._tickers.get(one.asset, one.asset) if one.kind == "coin" else one.asset,
                "asset": one.asset,
                "kind": one.kind,
                "confidence": one.confidence,
            }
            for one in found
        ]
        return self._found[record_id]

    @cached_property
    def _tickers(self) -> dict[str, str]:
        return {asset.id: asset.symbol for asset in self._registry.assets}


class Sentiment(Making):
    """What many texts say about an asset, in the words of /api/v1/sentiment."""

    def _item(self, event: Event) -> Item:
        record = event.record
        asset, at = str(record["asset"]), moment(record["at"])
        coin = record["kind"] == "coin"
        named = {one.id: one for one in self._registry.assets}.get(asset) if coin else None
        head = {
            "symbol": named.symbol if named is not None else asset,
            "id": asset,
            "kind": record["kind"],
            "timeframe": record["timeframe"],
        }
        tail = {"timestamp": at, "received_at": event.received_at}
        whole, cut = (_numbers(record, whole=whole) for whole in (True, not self._restricted))
        return Item(
            number=event.number,
            type="sentiment_update",
            whole={**head, "data": whole, **tail},
            open_={**head, "data": cut, **tail},
            assets=frozenset([asset]),
            about=asset,
            rank=at,
            size=1_500,
        )

    @property
    def _restricted(self) -> bool:
        """Whether sums over few texts are for internal keys: some of the texts that count may not be passed on."""
        counting = (d for d in self._known.values() if d.record in (Article, Post))
        return any(
            d.restricts(feed) for d in counting if kind_of(d.record, d.source) for feed in d.partitions
        )


def _numbers(record: Mapping[str, Any], *, whole: bool) -> dict[str, Any]:
    overall = _aggregate(record["overall"])
    parts = {name: _aggregate(part) for name, part in record["breakdown"].items()}
    return {
        "overall_sentiment": told(overall, whole=whole),
        "sample_size": overall.stories,
        "effective_sample_size": rounded(overall.effective),
        "texts": overall.count,
        "unscored": overall.unscored,
        "breakdown": {
            name: told(part, whole=whole)
            | {"count": part.count, "stories": part.stories, "unscored": part.unscored}
            for name, part in parts.items()
        },
    }


def _aggregate(part: Mapping[str, Any]) -> Aggregate:
    return Aggregate(**{**part, "models": tuple(part["models"])})
