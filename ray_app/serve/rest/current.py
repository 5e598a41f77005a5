"""GET /api/v1/prices/current: what a coin costs now, or what the node would have said at a time."""

from typing import Any

from fastapi import FastAPI, Request
from pydantic import Field
from starlette.responses import Response

from ray_app.model.symbols import CURRENCIES, Asset
from ray_app.serve.door import key_of
from ray_app.serve.kept import place_of
from ray_app.serve.node import Node
from ray_app.serve.points import Standing
from ray_app.serve.prices import Wanted
from ray_app.serve.problems import invalid
from ray_app.serve.queries import Moments, read_query
from ray_app.serve.rest.examples import CONVERTED, CURRENT
from ray_app.serve.routes import get
from ray_app.serve.wire import Answer

MOST_SYMBOLS, MOST_CURRENCIES = 250, 20


class CurrentQuery(Moments):
    vs_currencies: str = Field("usd", description="currencies, separated by commas", examples=["usd,eur"])
    include_24hr_change: bool = Field(True, description="with price_change_24h and its percentage")
    include_market_cap: bool = Field(True, description="with market_cap")


class ManyQuery(CurrentQuery):
    symbols: str = Field(
        description=f"up to {MOST_SYMBOLS} symbols, separated by commas", examples=["BTC,ETH"]
    )


def add(app: FastAPI, node: Node) -> None:
    async def current(symbol: str, request: Request) -> Response:
        internal = key_of(request.scope).internal

        async def read() -> Answer:
            query = read_query(CurrentQuery, request)
            standing = await node.standing(query)
            wanted = _wanted(query, (node.resolve(symbol, standing.asked),), one=True)
            return await node.prices.read(wanted, standing, internal=internal)

        answer = await node.kept.answer(place_of(request.scope), read)
        return answer.response(request, node.clock.now())

    async def many(request: Request) -> Response:
        internal = key_of(request.scope).internal

        async def read() -> Answer:
            query = read_query(ManyQuery, request)
            standing = await node.standing(query)
            wanted = _wanted(query, assets_named(node, query.symbols, standing), one=False)
            return await node.prices.read(wanted, standing, internal=internal)

        answer = await node.kept.answer(place_of(request.scope), read)
        return answer.response(request, node.clock.now())

    get(
        app,
        "/api/v1/prices/current/{symbol}",
        current,
        scope="read:prices",
        query=CurrentQuery,
        example=CURRENT,
        also=[CONVERTED],
        summary="The current price of one coin",
    )
    get(
        app,
        "/api/v1/prices/current",
        many,
        scope="read:prices",
        query=ManyQuery,
        example=_together(CURRENT),
        also=[_together(CONVERTED)],
        summary="The current prices of many coins",
    )


def _together(one: dict[str, Any]) -> dict[str, Any]:
    return {"data": [{k: v for k, v in one.items() if k != "meta"}], "meta": one["meta"]}


def _wanted(query: CurrentQuery, assets: tuple[Asset, ...], *, one: bool) -> Wanted:
    return Wanted(
        assets, one, currencies(query.vs_currencies), query.include_24hr_change, query.include_market_cap
    )


def currencies(listed: str) -> tuple[str, ...]:
    """The currencies named, lower case, each once. Raises Problem for one that nobody quotes."""
    wanted = tuple(dict.fromkeys(part.strip().lower() for part in listed.split(",")))
    if unknown := [one for one in wanted if one not in CURRENCIES]:
        raise invalid(
            f"unknown currency {', '.join(map(repr, unknown))}",
            currencies=unknown,
            available=sorted(CURRENCIES),
        )
    if len(wanted) > MOST_CURRENCIES:
        raise invalid(f"at most {MOST_CURRENCIES} currencies at once, not {len(wanted)}")
    return wanted


def assets_named(node: Node, listed: str, standing: Standing) -> tuple[Asset, ...]:
    """The assets that are listed, each once. Raises Problem for too many."""
    names = [part.strip() for part in listed.split(",")]
    if len(names) > MOST_SYMBOLS:
        raise invalid(f"at most {MOST_SYMBOLS} symbols at once, not {len(names)}", parameter="symbols")
    found = {asset.id: asset for asset in (node.resolve(name, standing.asked) for name in names)}
    return tuple(found.values())
