"""GET /api/v1/onchain/{symbol}: every on-chain metric of an asset, each with its provider.

Providers name their metrics by the asset (btc.AdrActCnt) or by its chain (ethereum.tvl). What belongs to no
coin has a name of its own here: `all` chains together, `base`.
"""

from typing import Any

from fastapi import FastAPI, Request
from pydantic import Field
from starlette.responses import Response

from ray_app.model.series import Metric
from ray_app.serve.datasets import restricted
from ray_app.serve.door import key_of
from ray_app.serve.node import Node
from ray_app.serve.paging import Page, pinned
from ray_app.serve.points import Standing
from ray_app.serve.problems import Problem, invalid
from ray_app.serve.queries import MOMENT, Paged, read_query
from ray_app.serve.rest.examples import ONCHAIN, ONCHAIN_LESS
from ray_app.serve.routes import get
from ray_app.serve.series import Row, Series, answer, cursor_after, known, newest, paged, period, split
from ray_app.serve.wire import Answer

ASSETS = {  # what metrics are named by -> whose they are
    "btc": "bitcoin",
    "eth": "ethereum",
    "ethereum": "ethereum",
    "solana": "solana",
    "arbitrum": "arbitrum",
}
NO_COIN = {"all": "All chains", "base": "Base"}


class OnchainQuery(Paged):
    metrics: str | None = Field(
        None,
        description="some metrics, separated by commas; all without it",
        examples=["hash_rate,mempool_tx"],
    )
    start: str | None = Field(
        None,
        description="RFC 3339 time: values from it on; without start and end the newest of each metric",
        json_schema_extra=MOMENT,
    )
    end: str | None = Field(None, description="RFC 3339 time: values before it", json_schema_extra=MOMENT)


def add(app: FastAPI, node: Node) -> None:
    async def onchain(symbol: str, request: Request) -> Response:
        query = read_query(OnchainQuery, request)
        page = await pinned(node, request, query, query.limit)
        made = await told(node, symbol, query, page, internal=key_of(request.scope).internal)
        return made.response(request, node.clock.now())

    get(
        app, "/api/v1/onchain/{symbol}", onchain, scope="read:onchain", query=OnchainQuery, example=ONCHAIN,
        also=[ONCHAIN_LESS],
        summary="On-chain metrics of an asset: the newest of each, or a range, newest first",
    )  # fmt: skip


async def told(node: Node, symbol: str, query: OnchainQuery, page: Page, *, internal: bool) -> Answer:
    """The newest value of each metric that a key may have, or a page of a range of them."""
    at = page.standing
    about = _about(node, symbol, at)
    every = await metrics_of(node, about["id"], at)
    wanted = _filtered(every, query.metrics, about["id"])
    open_, closed = split(wanted, internal=internal)
    if closed and (query.metrics is not None or not open_):
        raise restricted((one.dataset, one.partition) for one in closed)
    rows: list[Row]
    ranged = query.start is not None or query.end is not None
    if not ranged:
        rows, cursor = await newest(node, open_, at), None
    else:
        over = period(query.start, query.end, at)
        rows, cursor = await paged(node, open_, over, page, query.limit)

    def payload() -> dict[str, Any]:
        described = [{"metric": _metric(one), **one.told()} for one in open_]
        return {**about, "metrics": described, "data": [_row(*row) for row in rows]}

    made = await answer(node, at, open_, rows, payload, cursor=cursor, closed=closed)
    made.after = (lambda n: cursor_after(rows[n], page)) if ranged else None
    return made


def _about(node: Node, symbol: str, at: Standing) -> dict[str, Any]:
    """Raises UnknownSymbol or AmbiguousSymbol."""
    if (name := symbol.strip().lower()) in NO_COIN:
        return {"symbol": None, "id": name, "name": NO_COIN[name]}
    asset = node.resolve(symbol, at.asked)
    return {"symbol": asset.symbol_at(at.asked), "id": asset.id, "name": asset.name}


async def metrics_of(node: Node, asset: str, at: Standing) -> list[Series]:
    """Raises Problem when there are none."""
    out = []
    for dataset in await node.datasets.of(Metric, at.point.as_of):
        for partition in dataset.partitions:
            named_by = partition.partition(".")[0]
            if ASSETS.get(named_by, named_by) == asset and (named_by in ASSETS or named_by in NO_COIN):
                out.append(Series(dataset, partition))
    if not out:
        raise Problem("DATA_NOT_AVAILABLE", f"no on-chain metrics of {asset} are collected", {"id": asset})
    return sorted(out, key=lambda one: one.place)


def _filtered(every: list[Series], listed: str | None, asset: str) -> list[Series]:
    if listed is None:
        return every
    by_name: dict[str, list[Series]] = {}
    for one in every:
        by_name.setdefault(_metric(one).lower(), []).append(one)
    names = [part.strip().lower() for part in listed.split(",")]
    if unknown := [name for name in names if name not in by_name]:
        raise invalid(
            f"no metric {', '.join(map(repr, unknown))} of {asset}",
            parameter="metrics",
            available=sorted({_metric(one) for one in every}),
        )
    return [one for one in every if _metric(one).lower() in names]


def _metric(one: Series) -> str:
    return one.partition.partition(".")[2]


def _row(one: Series, fact: Any) -> dict[str, Any]:
    """`time` is the start of the period that the value speaks of, or the moment."""
    return {
        "metric": _metric(one),
        "provider": one.dataset.source,
        "time": fact.cursor,
        "value": fact.values["value"],
        "unit": one.dataset.unit(one.partition),
        **known(fact),
    }
