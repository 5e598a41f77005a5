"""Texts made for tests of the store, each value said in the test or here."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from ray_app.model.collected import Collected
from ray_app.model.source import Slice
from ray_app.model.texts import Article, Post
from ray_app.model.timerange import TimeRange
from ray_app.store.linked import Link, Said, StoredText, TextId
from tests.store.made import MINUTE, T0, page

NEWS, POSTS = "rss.stories", "reddit.posts"
DESK, WIRE, SUB = "crypto/desk", "crypto/wire", "r/coins"


def article(item: str, title: str | None, feed: str = DESK, at: datetime = T0, **more: Any) -> Article:
    return Article(feed=feed, item=item, at=at, title=title, **more)


def post(item: str, title: str | None, at: datetime = T0, **more: Any) -> Post:
    return Post(feed=SUB, item=item, at=at, title=title, **more)


def brought(records: Sequence[Article | Post], at: datetime = T0) -> Collected:
    """One slice of the stream that these belong to, received at `at`."""
    source, _, stream = (POSTS if isinstance(records[0], Post) else NEWS).partition(".")
    body = f"{at} {records!r}".encode()
    return Collected(
        source=source,
        stream=stream,
        parser="1",
        slice=Slice(tuple(sorted({r.partition for r in records})), TimeRange(at, at + MINUTE)),
        outcome="covered",
        received_at=at,
        pages=(page(body, at, stream),),
        records=tuple((record, 0) for record in records),
        topic="news",
    )


def place(item: str, feed: str = DESK, stream: str = NEWS) -> TextId:
    return TextId(stream, feed, item)


def says(*assets: str, sure: str = "0.97") -> tuple[Said, ...]:
    return tuple(Said(a, "stock" if a.isupper() else "coin", Decimal(sure)) for a in assets)


def link(text: StoredText, *assets: str, story: str = "a" * 64) -> Link:
    return Link(text, story, says(*assets))
