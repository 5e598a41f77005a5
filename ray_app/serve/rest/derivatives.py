"""GET /api/v1/derivatives/{symbol}: what perpetual contracts of a coin pay, and how many are open."""

from typing import Any

from fastapi import FastAPI, Request
from pydantic import Field
from starlette.responses import Response

from ray_app.model.series import FundingRate, OpenInterest
from ray_app.model.symbols import Asset
from ray_app.serve.datasets import restricted
from ray_app.serve.door import key_of
from ray_app.serve.node import Node
from ray_app.serve.paging import pinned
from ray_app.serve.points import Standing
from ray_app.serve.problems import Problem
from ray_app.serve.queries import MOMENT, Paged, read_query
from ray_app.serve.rest.examples import DERIVATIVES
from ray_app.serve.routes import get
from ray_app.serve.series import Row, Series, answer, known, newest, paged, period, split
from ray_app.store.reading import Fact


class DerivativesQuery(Paged):
    start: str | None = Field(
        None,
        description="RFC 3339 time: values from it on; without start and end the newest of each contract",
        json_schema_extra=MOMENT,
    )
    end: str | None = Field(None, description="RFC 3339 time: values before it", json_schema_extra=MOMENT)


def add(app: FastAPI, node: Node) -> None:
    async def derivatives(symbol: str, request: Request) -> Response:
        query = read_query(DerivativesQuery, request)
        page = await pinned(node, request, query, query.limit)
        at = page.standing
        asset = node.resolve(symbol, at.asked)
        ticker = asset.symbol_at(at.asked)
        every = await _contracts(node, asset, at)
        open_, closed = split(every, internal=key_of(request.scope).internal)
        if not open_:
            raise restricted((one.dataset, one.partition) for one in closed)
        rows: list[Row]
        if query.start is None and query.end is None:
            rows, cursor = await newest(node, open_, at), None
        else:
            over = period(query.start, query.end, at)
            rows, cursor = await paged(node, open_, over, page, query.limit)

        def payload() -> dict[str, Any]:
            told = {"symbol": ticker, "id": asset.id, "name": asset.name}
            return {**told, "data": [_row(one, fact, ticker) for one, fact in rows]}

        made = await answer(node, at, open_, rows, payload, cursor=cursor, closed=closed)
        return made.response(request, node.clock.now())

    get(
        app, "/api/v1/derivatives/{symbol}", derivatives, scope="read:prices", query=DerivativesQuery,
        example=DERIVATIVES,
        summary="Funding rates and open interest of a coin's perpetuals: the newest, or a range, newest first",
    )  # fmt: skip


async def _contracts(node: Node, asset: Asset, at: Standing) -> list[Series]:
    out = [
        Series(dataset, name)
        for record in (FundingRate, OpenInterest)
        for dataset in await node.datasets.of(record, at.point.as_of)
        for name in dataset.contracts(asset)
    ]
    if not out:
        raise Problem("DATA_NOT_AVAILABLE", f"no contracts of {asset.id} are collected", {"id": asset.id})
    return out


def _row(one: Series, fact: Fact, ticker: str) -> dict[str, Any]:
    """A funding rate is a part of the position; open interest is in coins (or thousands), and its worth."""
    row: dict[str, Any] = {
        "venue": one.dataset.source,
        "contract": one.partition,
        "time": fact.cursor,
    }
    if one.dataset.record is FundingRate:
        row |= {"kind": "funding_rate", "rate": fact.values["rate"], "mark_price": fact.values["mark_price"]}
    else:
        _, _, currency = str(one.dataset.declared["unit"]).partition(", ")
        row |= {"kind": "open_interest", "amount": fact.values["amount"], "worth": fact.values["worth"]}
        amount = one.dataset.about(one.partition, "unit") or ticker
        row |= {"units": {"amount": amount, "worth": currency or None}}
    return row | known(fact)
