"""GET /api/v1/news/{crypto,stock}/latest and /api/v1/social/latest: what was written, newest first."""

from datetime import datetime
from functools import partial
from typing import Any

from fastapi import FastAPI, Request
from pydantic import Field
from starlette.responses import Response

from ray_app.model.timerange import TimeRange
from ray_app.serve.datasets import restricted
from ray_app.serve.door import key_of
from ray_app.serve.kept import place_of
from ray_app.serve.node import Node
from ray_app.serve.paging import Page, pinned
from ray_app.serve.points import instant
from ray_app.serve.problems import Problem
from ray_app.serve.queries import MOMENT, Paged, read_query
from ray_app.serve.rest.examples_texts import NEWS, NEWS_LESS, NEWS_UNSCORED, SOCIAL, SOCIAL_LESS
from ray_app.serve.routes import get
from ray_app.serve.sentiment import advanced_told, text_told
from ray_app.serve.series import Series, answer, known, split
from ray_app.serve.texts import FIRST, Kind, Texts, Wanted
from ray_app.serve.wire import MILLISECOND, Answer
from ray_app.store.changes import LINKS, SCORES
from ray_app.store.newest import NewText, Place
from ray_app.store.reading import NOW

ROUTES: tuple[tuple[str, Kind, str], ...] = (
    (
        "/api/v1/news/crypto/latest",
        "crypto",
        "News on crypto, newest first, with the assets that they mention",
    ),
    ("/api/v1/news/stock/latest", "stock", "News on stocks and the economy, newest first, filings too"),
    (
        "/api/v1/social/latest",
        "social",
        "Posts of social networks, newest first; what is deleted there is gone",
    ),
)


class TextsQuery(Paged):
    symbol: str | None = Field(
        None, description="only texts that mention this coin or stock", examples=["BTC"], max_length=100
    )
    source: str | None = Field(
        None, description="one upstream (rss, guardian) or one feed (coindesk)", max_length=190
    )
    since: str | None = Field(
        None, description="RFC 3339 time: texts published at or after it", json_schema_extra=MOMENT
    )
    q: str | None = Field(
        None, description="words that title or text must hold, all of them, in any case", max_length=200
    )


def add(app: FastAPI, node: Node) -> None:
    texts = Texts(node)

    async def latest(kind: Kind, request: Request) -> Response:
        internal = key_of(request.scope).internal

        async def read() -> Answer:
            query = read_query(TextsQuery, request)
            page = await pinned(node, request, query, query.limit)
            return await told(node, texts, kind, query, page, internal=internal)

        made = await node.kept.answer(place_of(request.scope), read)
        return made.response(request, node.clock.now())

    for path, kind, summary in ROUTES:
        get(
            app, path, partial(latest, kind), scope="read:news", query=TextsQuery, summary=summary,
            example=SOCIAL if kind == "social" else NEWS,
            also=[SOCIAL_LESS] if kind == "social" else [NEWS_LESS, NEWS_UNSCORED],
        )  # fmt: skip


async def told(
    node: Node, texts: Texts, kind: Kind, query: TextsQuery, page: Page, *, internal: bool
) -> Answer:
    """A page of the texts of a kind that a key may have."""
    at = page.standing
    feeds = await texts.feeds(kind, query.source, at)
    if not feeds:
        raise Problem("DATA_NOT_AVAILABLE", "no texts of this kind are collected here (at that time)")
    open_, closed = split(feeds, internal=internal)
    if not open_:
        raise restricted((one.dataset, one.partition) for one in closed)
    end = at.horizon + MILLISECOND
    since = min(instant(query.since, "since", FIRST), end - MILLISECOND) if query.since is not None else FIRST
    wanted = Wanted(
        series=tuple(open_),
        words=tuple((query.q or "").casefold().split()),
        asset=texts.asset(query.symbol, kind, at) if query.symbol is not None else None,
        over=TimeRange(since, end),
        limit=query.limit,
    )
    found, following = await texts.page(wanted, _after(page), at)
    links = await texts.links(found, at)
    scores, advanced = await texts.scores(found, at), await texts.advanced(found, at)
    of = {one.place: one for one in open_}
    rows = [(of[text.fact.stream, text.fact.partition], text) for text in found]

    def cursor(place: Place) -> str:
        return page.next([place.at.isoformat(), *place[1:]], at.asked or at.now)

    def payload() -> dict[str, Any]:
        data = []
        for one, text in rows:
            link = links.get(text.place)
            beside = {"story": link.story if link else None, "mentions": texts.mentions(link, at)}
            beside |= text_told(scores.get(text.place))
            beside |= advanced_told(advanced.get(text.place), one.dataset)
            data.append(_row(one, text, beside))
        return {"data": data}

    made = await answer(
        node,
        at,
        open_,
        [(one, text.fact) for one, text in rows],
        payload,
        cursor=None if following is None else cursor(following),
        closed=closed,
        changes=[one.made_at for made in (links, scores, advanced) for one in made.values()],
    )
    made.after = lambda n: cursor(rows[n][1].place)
    if at.point == NOW:
        made.of = (LINKS, SCORES, *sorted({one.dataset.name for one in open_}))
    return made


def _after(page: Page) -> Place | None:
    if page.after is None:
        return None
    at, *name = page.after
    return Place(datetime.fromisoformat(at), *name)


def _row(one: Series, text: NewText, beside: dict[str, Any]) -> dict[str, Any]:
    """`beside`: story (texts that tell the same share it; null until the text was looked into), mentions, sentiment."""
    fact, dataset = text.fact, one.dataset
    values = fact.values
    post = "likes" in values
    row = {
        "source": dataset.source,
        "feed": fact.partition,
        "outlet": dataset.about(fact.partition, "title") or None,
        "url": values["url"],
        "title": values["title"],
        "summary": values["body"] if post else values["summary"],
        "published_at": fact.cursor if post else values["published"],
        "updated_at": values["edited"] if post else values["updated"],
        "first_seen_at": text.first_seen_at,
        "language": values["language"],
        "author": values["author"],
        "topics": values["topics"],
        **beside,
        "licence": dataset.licence(fact.partition),
        "llm_allowed": bool(dataset.declared.get("llm_allowed", False)),
    }
    if post:
        row |= {name: values[name] for name in ("likes", "replies", "shares", "views", "like_ratio")}
    return row | known(fact)
