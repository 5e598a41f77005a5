"""GET /api/v1/sentiment/{crypto,stock}/{symbol} and /market: what many texts say, as one number."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from fastapi import FastAPI, Request
from pydantic import Field
from starlette.responses import Response

from ray_app.model.series import MoodIndex
from ray_app.process.sentiment import market
from ray_app.process.sentiment.aggregate import (
    FORMULA,
    WINDOWS,
    Aggregate,
    Kind,
    Sentiment,
    history,
    sentiment,
)
from ray_app.serve.door import key_of
from ray_app.serve.node import Node
from ray_app.serve.points import Standing, to_the_minute
from ray_app.serve.problems import Problem, invalid
from ray_app.serve.queries import Moments, one_of, read_query
from ray_app.serve.rest.examples_texts import MARKET, SENTIMENT, SENTIMENT_WHOLE
from ray_app.serve.routes import get
from ray_app.serve.sentiment import SOURCES, Found, Sentiments, rounded, told
from ray_app.serve.series import Row, Series, answer, known, newest
from ray_app.serve.texts import Texts
from ray_app.serve.wire import Answer

OUTDATED = timedelta(days=2)  # an index of a day is not that of now any more
FEAR_AND_GREED = "fear_greed"


class MarketQuery(Moments):
    timeframe: str = Field(
        "24h",
        description="how far back texts count: 1h, 4h, 24h, 7d",
        max_length=10,
        json_schema_extra=one_of(*WINDOWS),
    )
    sources: str | None = Field(
        None, description="some of news, reddit, twitter, separated by commas; all without it", max_length=60
    )


class SentimentQuery(MarketQuery):
    include_breakdown: bool = Field(True, description="also tell each source by itself")


def add(app: FastAPI, node: Node) -> None:
    texts, sentiments = Texts(node), Sentiments(node)

    async def of_asset(kind: str, symbol: str, request: Request) -> Response:
        query = read_query(SentimentQuery, request)
        at = to_the_minute(await node.standing(query))
        about = coin(node, symbol, at) if kind == "crypto" else stock(texts, symbol)
        sources, window = sources_named(query.sources), window_named(query.timeframe)
        found = await sentiments.about([about["id"]], sources, window, at, history=True)
        check(found.series)
        whole = is_whole(found, internal=key_of(request.scope).internal)
        made, past = await asyncio.to_thread(_worked_out, found, window, at.horizon)

        def payload() -> dict[str, Any]:
            out = about | overall(made, found, window, whole=whole)
            if query.include_breakdown:
                out["breakdown"] = breakdown(made, found, sources, whole=whole)
            return out | {"history": points(past, whole=whole), "formula": FORMULA}

        done = await answer(node, at, found.series, [], payload)
        done.observed = found.observed(at.horizon)
        return done.response(request, node.clock.now())

    async def of_market(request: Request) -> Response:
        query = read_query(MarketQuery, request)
        at = to_the_minute(await node.standing(query))
        internal = key_of(request.scope).internal
        done = await market_told(node, texts, sentiments, query, at, internal=internal)
        return done.response(request, node.clock.now())

    for kind, what in (("crypto", "coin"), ("stock", "stock")):
        get(
            app, f"/api/v1/sentiment/{kind}/{{symbol}}", partial(of_asset, kind), scope="read:sentiment",
            query=SentimentQuery, example=SENTIMENT, also=[SENTIMENT_WHOLE],
            summary=f"What news and posts say about a {what}: one score, by source, and how it became so",
        )  # fmt: skip
    get(
        app, "/api/v1/sentiment/market", of_market, scope="read:sentiment", query=MarketQuery, example=MARKET,
        summary="What is said of coins against what is said of stocks, fear and greed, risk appetite",
    )  # fmt: skip


async def market_told(
    node: Node, texts: Texts, sentiments: Sentiments, query: MarketQuery, at: Standing, *, internal: bool
) -> Answer:
    """All coins against all stocks; `at` is a whole minute."""
    sources, window = sources_named(query.sources), window_named(query.timeframe)
    coins = [asset.id for asset in node.registry.assets]
    every: dict[str, Found] = {}
    parts: dict[str, Sentiment] = {}
    for name, assets in (("crypto", coins), ("stock", sorted(texts.stocks))):
        found = every[name] = await sentiments.about(assets, sources, window, at, history=False)
        parts[name] = await asyncio.to_thread(sentiment, found.opinions, window, at.horizon)
    mood = await _mood(node, at)
    series = list({one.place: one for found in every.values() for one in found.series}.values())
    check([*series, *(one for one, _ in mood)])

    def payload() -> dict[str, Any]:
        sides = {
            name: overall(parts[name], found, window, whole=is_whole(found, internal=internal))
            for name, found in every.items()
        }
        scores = {name: side["overall_sentiment"]["score"] for name, side in sides.items()}
        index = _index(mood, at)
        return {
            "timeframe": window,
            **sides,
            "crypto_minus_stock": _difference(scores["crypto"], scores["stock"]),
            "fear_and_greed": index,
            "risk_appetite": _appetite(scores["crypto"], scores["stock"], index["value"]),
            "formula": FORMULA,
        }

    also = [row[0] for row in mood]
    return await answer(node, at, [*series, *also], mood, payload)


def coin(node: Node, symbol: str, at: Standing) -> dict[str, Any]:
    """Raises UnknownSymbol or AmbiguousSymbol."""
    asset = node.resolve(symbol, at.asked)
    return {"symbol": asset.symbol_at(at.asked), "id": asset.id, "name": asset.name}


def stock(texts: Texts, symbol: str) -> dict[str, Any]:
    """Raises UnknownSymbol."""
    ticker = texts.stock(symbol)
    return {"symbol": ticker, "id": ticker, "name": None}


def window_named(timeframe: str) -> str:
    if timeframe not in WINDOWS:
        raise Problem(
            "INVALID_TIMEFRAME",
            f"no timeframe {timeframe!r}; there are {', '.join(WINDOWS)}",
            {"available": list(WINDOWS)},
        )
    return timeframe


def sources_named(listed: str | None) -> list[Kind]:
    if listed is None:
        return list(SOURCES)
    names = {part.strip().lower() for part in listed.split(",")}
    if unknown := sorted(names - set(SOURCES)):
        raise invalid(
            f"no source {', '.join(map(repr, unknown))}", parameter="sources", available=list(SOURCES)
        )
    return [one for one in SOURCES if one in names]


def check(series: list[Series]) -> None:
    if not series:
        raise Problem("DATA_NOT_AVAILABLE", "nothing that tells a sentiment is collected here (at that time)")


def is_whole(found: Found, *, internal: bool) -> bool:
    """Whether the key may have what single texts say."""
    return internal or not any(one.dataset.restricts(one.partition) for one in found.series)


def _worked_out(
    found: Found, window: str, end: datetime
) -> tuple[Sentiment, list[tuple[datetime, Aggregate]]]:
    return sentiment(found.opinions, window, end), history(found.opinions, window, end)


def overall(made: Sentiment, found: Found, window: str, *, whole: bool) -> dict[str, Any]:
    one = made.overall
    return {
        "timeframe": window,
        "start": made.start,
        "end": made.end,
        "overall_sentiment": told(one, whole=whole),
        "sample_size": one.stories,
        "effective_sample_size": rounded(one.effective),
        "texts": one.count,
        "unscored": one.unscored,
        "truncated": found.truncated,
    }


def breakdown(
    made: Sentiment, found: Found, sources: Sequence[Kind], *, whole: bool
) -> dict[str, dict[str, Any]]:
    """What each source says by itself."""
    return {one: _part(made.breakdown.get(one), whole=whole) | {"model": found.model(one)} for one in sources}


def points(past: Sequence[tuple[datetime, Aggregate]], *, whole: bool) -> list[dict[str, Any]]:
    """A history as JSON types."""
    return [{"end": end, **told(one, whole=whole), "sample_size": one.stories} for end, one in past]


def _part(one: Aggregate | None, *, whole: bool) -> dict[str, Any]:
    counts = (one.count, one.stories, one.unscored) if one is not None else (0, 0, 0)
    return told(one, whole=whole) | dict(zip(("count", "stories", "unscored"), counts, strict=True))


async def _mood(node: Node, at: Standing) -> list[Row]:
    """The newest fear and greed index, if there is one."""
    sets = await node.datasets.of(MoodIndex, at.point.as_of)
    series = [Series(one, name) for one in sets for name in one.partitions if name == FEAR_AND_GREED]
    return (await newest(node, series, at))[:1]


def _index(mood: list[Row], at: Standing) -> dict[str, Any]:
    for _, fact in mood:
        if at.horizon - fact.cursor < OUTDATED:
            value = {"value": fact.values["value"], "label": fact.values["label"], "day": fact.cursor}
            return value | {"reason": None, **known(fact)}
    reason = "outdated" if mood else "not_collected"
    return {"value": None, "label": None, "day": mood[0][1].cursor if mood else None, "reason": reason}


def _difference(crypto: float | None, stock: float | None) -> float | None:
    return None if crypto is None or stock is None else rounded(crypto - stock)


def _appetite(crypto: float | None, stock: float | None, index: Any) -> dict[str, Any]:
    given = {"crypto": crypto, "stock": stock, "fear_and_greed": index}
    missing = [name for name, value in given.items() if value is None]
    score = market.risk_appetite(crypto, stock, None if index is None else float(index))
    return {
        "score": rounded(score),
        "label": None if score is None else market.appetite_of(score),
        "reason": f"missing: {', '.join(missing)}" if missing else None,
        "formula": market.FORMULA,
    }
