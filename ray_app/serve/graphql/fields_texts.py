"""The fields of a query about texts and what they say. The answers are those of REST."""

from enum import Enum
from typing import Any, cast

import strawberry

from ray_app.serve.graphql import assets as tracked
from ray_app.serve.graphql.arguments import (
    After,
    AsOf,
    First,
    Info,
    KnownBy,
    given,
    listed,
    moments_of,
    rows,
    words_read,
)
from ray_app.serve.graphql.rows import Connection, Time, field
from ray_app.serve.graphql.rows_texts import Article, MarketSentiment, Post
from ray_app.serve.points import to_the_minute
from ray_app.serve.queries import checked
from ray_app.serve.rest import sentiment, texts
from ray_app.serve.texts import Kind


@strawberry.enum(description="What news are about, or an asset is")
class Market(Enum):
    CRYPTO = "crypto"
    STOCK = "stock"


@strawberry.type
class TextFields:
    @field("News, newest first. Scope: read:news", size=rows, counts=words_read)
    async def news(
        self,
        info: Info,
        about: Market = Market.CRYPTO,
        symbol: str | None = None,
        source: str | None = None,
        since: Time | None = None,
        q: str | None = None,
        first: First = 100,
        after: After = None,
        as_of: AsOf = None,
        known_by: KnownBy = None,
    ) -> Connection[Article] | None:
        asked = given(first, after, as_of, known_by, symbol=symbol, source=source, since=since, q=q)
        return cast(
            "Connection[Article]", await _texts(info, "crypto" if about is Market.CRYPTO else "stock", asked)
        )

    @field("Posts of social networks, newest first. Scope: read:news", size=rows, counts=words_read)
    async def social(
        self,
        info: Info,
        symbol: str | None = None,
        source: str | None = None,
        since: Time | None = None,
        q: str | None = None,
        first: First = 100,
        after: After = None,
        as_of: AsOf = None,
        known_by: KnownBy = None,
    ) -> Connection[Post] | None:
        asked = given(first, after, as_of, known_by, symbol=symbol, source=source, since=since, q=q)
        return cast("Connection[Post]", await _texts(info, "social", asked))

    @field("What news and posts say about a coin or a stock. Scope: read:sentiment", counts=tracked.READ)
    async def sentiment(
        self,
        info: Info,
        symbol: str,
        of: Market = Market.CRYPTO,
        timeframe: str = "24h",
        sources: list[str] | None = None,
        as_of: AsOf = None,
        known_by: KnownBy = None,
    ) -> tracked.Sentiment | None:
        asking, moments = info.context, moments_of(as_of, known_by)
        asking.needs("read:sentiment")
        at = await asking.standing(moments)
        stock = of is Market.STOCK
        subject = sentiment.stock(asking.texts, symbol) if stock else sentiment.coin(asking.node, symbol, at)
        return await tracked.sentiment_of(asking, subject, timeframe, sources, moments)

    @field(
        "Coins against stocks, fear and greed, risk appetite. Scope: read:sentiment", counts=10 * tracked.READ
    )
    async def market_sentiment(
        self,
        info: Info,
        timeframe: str = "24h",
        sources: list[str] | None = None,
        as_of: AsOf = None,
        known_by: KnownBy = None,
    ) -> MarketSentiment | None:
        asking = info.context
        asking.needs("read:sentiment")
        asked = {"timeframe": timeframe, "sources": listed(sources), "as_of": as_of, "known_by": known_by}
        query = checked(sentiment.MarketQuery, asked)
        at = to_the_minute(await asking.standing(moments_of(as_of, known_by)))
        answer = await sentiment.market_told(
            asking.node, asking.texts, asking.sentiments, query, at, internal=asking.key.internal
        )
        return cast("MarketSentiment", asking.told(answer))


async def _texts(info: Info, kind: Kind, asked: dict[str, Any]) -> Any:
    asking = info.context
    asking.needs("read:news")
    query = checked(texts.TextsQuery, asked)
    page = await asking.page("texts", query, kind=kind)
    answer = await texts.told(asking.node, asking.texts, kind, query, page, internal=asking.key.internal)
    return asking.connection(answer)
