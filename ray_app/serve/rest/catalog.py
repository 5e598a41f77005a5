"""What exists: symbols, data sets, features, sources."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from fastapi import FastAPI, Request
from pydantic import Field
from starlette.responses import Response

from ray_app.model.dataset import Dataset
from ray_app.model.records import Bar, Price
from ray_app.model.symbols import Asset
from ray_app.model.timerange import EVER, NEVER, floor
from ray_app.observe.crosscheck import figures
from ray_app.serve.catalogued import catalogued
from ray_app.serve.crosscheck import venues
from ray_app.serve.node import Node
from ray_app.serve.paging import Page, pinned
from ray_app.serve.points import Standing
from ray_app.serve.queries import Moments, Paged, read_query
from ray_app.serve.rest.coverage import series as declared_series
from ray_app.serve.rest.examples_operations import DATASETS, FEATURE_LIST, SERIES_LIST, SOURCES, SYMBOLS
from ray_app.serve.routes import ANY, get
from ray_app.serve.wire import Answer
from ray_app.store.reading import Reach


class SeriesQuery(Paged):
    dataset: str | None = Field(None, description="one data set, as /api/v1/catalog/datasets names it")
    symbol: str | None = Field(None, description="one coin; data sets that are not by coin are left out")


def add(app: FastAPI, node: Node) -> None:
    async def symbols(request: Request) -> Response:
        query = read_query(Paged, request)
        made = await symbols_told(node, await pinned(node, request, query, query.limit), query.limit)
        return made.response(request, node.clock.now())

    async def datasets(request: Request) -> Response:
        made = await datasets_told(node, await node.standing(read_query(Moments, request)))
        return made.response(request, node.clock.now())

    async def series(request: Request) -> Response:
        query = read_query(SeriesQuery, request)
        made = await series_told(node, query, await pinned(node, request, query, query.limit))
        return made.response(request, node.clock.now())

    async def features(request: Request) -> Response:
        made = await features_told(node, await node.standing(read_query(Moments, request)))
        return made.response(request, node.clock.now())

    async def sources(request: Request) -> Response:
        made = await sources_told(node, await node.standing(read_query(Moments, request)))
        return made.response(request, node.clock.now())

    get(
        app,
        "/api/v1/catalog/symbols",
        symbols,
        scope=ANY,
        query=Paged,
        example=SYMBOLS,
        summary="The assets that are tracked",
    )
    get(
        app,
        "/api/v1/catalog/datasets",
        datasets,
        scope=ANY,
        query=Moments,
        example=DATASETS,
        summary="The data sets that are declared",
    )
    get(
        app,
        "/api/v1/catalog/series",
        series,
        scope=ANY,
        query=SeriesQuery,
        summary="Every series: what it is, its unit and its licence",
        example=SERIES_LIST,
    )
    get(
        app,
        "/api/v1/catalog/features",
        features,
        scope=ANY,
        query=Moments,
        summary="The features that are computed: indicators, signals and features, with their formulas",
        example=FEATURE_LIST,
    )
    get(
        app,
        "/api/v1/catalog/sources",
        sources,
        scope=ANY,
        query=Moments,
        example=SOURCES,
        summary="The upstreams and their terms",
    )


async def symbols_told(node: Node, page: Page, limit: int) -> Answer:
    """A page of the assets that are tracked."""
    at = page.standing
    declared = await node.datasets.all(at.point.as_of)
    known = sorted(node.registry.tracked(at.asked), key=lambda asset: asset.id)
    rest = [asset for asset in known if page.after is None or asset.id > page.after[0]]
    shown = rest[:limit]
    as_of = at.as_of(*_declared(declared))

    def after(n: int) -> str:
        return page.next([shown[n].id], as_of)

    more = after(-1) if len(rest) > len(shown) else None
    rows = [_symbol(asset, declared, at) for asset in shown]
    return _answer(node, {"data": rows, "total": len(known)}, at, as_of, more, after)


async def datasets_told(node: Node, at: Standing) -> Answer:
    declared = await node.datasets.all(at.point.as_of)
    rows, changes = list[dict[str, Any]](), list[datetime]()
    for one in declared.values():
        extent = await node.store.reading.extent(one.record, one.name, at.point)
        changes += [extent.received_at] if extent else []
        rows.append(_dataset(one, extent, at) | _checked(one, declared))
    as_of = at.as_of(*_declared(declared), *changes, floor(at.now, _grain(declared)))
    return _answer(node, {"data": rows}, at, as_of, None)


async def series_told(node: Node, query: SeriesQuery, page: Page) -> Answer:
    """A page of every series."""
    at = page.standing
    declared = await node.datasets.all(at.point.as_of)
    every = await declared_series(node, query.dataset, query.symbol, at)
    rest = [one for one in every if page.after is None or list(one.place) > page.after]
    shown = rest[: query.limit]
    as_of = at.as_of(*_declared(declared))

    def after(n: int) -> str:
        return page.next(list(shown[n].place), as_of)

    more = after(-1) if len(rest) > len(shown) else None
    rows = [_series(one.dataset, one.partition) for one in shown]
    return _answer(node, {"data": rows, "total": len(every)}, at, as_of, more, after)


async def features_told(node: Node, at: Standing) -> Answer:
    declared = await node.datasets.all(at.point.as_of)
    # A feature begins with the data sets it is made of.
    there = any(one.record is Bar for one in declared.values())
    rows = await asyncio.to_thread(catalogued) if there else []
    return _answer(node, {"data": rows}, at, at.as_of(*_declared(declared)), None)


async def sources_told(node: Node, at: Standing) -> Answer:
    declared = await node.datasets.all(at.point.as_of)
    found: dict[str, dict[str, Any]] = {}
    for one in declared.values():
        line = one.declared
        mine = found.setdefault(
            one.source,
            {
                "source": one.source,
                "plan": line["plan"],
                "licence": line["licence"],
                "llm_allowed": line.get("llm_allowed", False),
                "attribution": line["attribution"],
                "docs": line["docs"],
                "datasets": [],
            },
        )
        mine["datasets"].append(one.name)
    return _answer(node, {"data": list(found.values())}, at, at.as_of(*_declared(declared)), None)


def _declared(datasets: dict[str, Dataset]) -> list[Any]:
    return [one.declared["declared_at"] for one in datasets.values()]


def _grain(datasets: dict[str, Dataset]) -> Any:
    return min((one.grain for one in datasets.values()), default=timedelta(hours=1))


def _symbol(asset: Asset, datasets: dict[str, Dataset], at: Standing) -> dict[str, Any]:
    return {
        "id": asset.id,
        "symbol": asset.symbol_at(at.asked),
        "name": asset.name,
        "kind": asset.kind,
        "ids": dict(asset.ids),
        "former": [{"symbol": old.symbol, "until": old.until} for old in asset.former],
        "tracked_from": asset.tracked_from,
        "tracked_to": asset.tracked_to,
        "datasets": [name for name, one in datasets.items() if one.by_asset and one.names(asset)],
    }


def _dataset(one: Dataset, extent: Reach | None, at: Standing) -> dict[str, Any]:
    line = one.declared
    return {
        "dataset": one.name,
        "source": one.source,
        "record": line["record"],
        "describes": line["describes"],
        "unit": line["unit"],
        "every_seconds": line["every_seconds"],
        "grain_seconds": line["grain_seconds"],
        "required": line["required"],
        "series": len(one.partitions),
        "ended": sum(one.life(p).over_by(at.now) for p in one.partitions),
        "partitioned_by": one.record.partition_field,
        "first_time": extent.first if extent else None,
        "last_time": extent.last if extent else None,
        "declared_at": line["declared_at"],
        "licence": line["licence"],
        "restricted": one.restricted,
        "attribution": line["attribution"],
        "llm_allowed": line.get("llm_allowed", False),
        "parser": line["parser"],
        "not_configured": line["not_configured"] or None,
    }


def _checked(one: Dataset, declared: dict[str, Dataset]) -> dict[str, Any]:
    """What prices are held against."""
    if one.record is not Price:
        return {}
    return {"cross_check": figures(venue.name for venue in venues(declared.values(), one))}


def _series(dataset: Dataset, partition: str) -> dict[str, Any]:
    """`restricted`: its values need a key marked internal; `life`: when it had or has something to tell."""
    line = dataset.declared
    return {
        "dataset": dataset.name,
        "series": partition,
        "title": dataset.about(partition, "title") or None,
        "unit": dataset.unit(partition),
        "life": [
            {
                "from": None if one.start == EVER else one.start,
                "to": None if one.end == NEVER else one.end,
            }
            for one in dataset.life(partition).ranges
        ],
        "frequency": dataset.about(partition, "frequency") or None,
        "every_seconds": line["every_seconds"],
        "licence": dataset.licence(partition),
        "restricted": dataset.restricts(partition),
        "attribution": line["attribution"],
        "llm_allowed": line.get("llm_allowed", False),
    }


def _answer(
    node: Node,
    payload: dict[str, Any],
    at: Standing,
    as_of: Any,
    cursor: str | None,
    after: Callable[[int], str] | None = None,
) -> Answer:
    meta = {
        "as_of": as_of,
        "known_by": at.known_by,
        "condition": "available",
        "source": "store",
        "simulated": node.parts.simulated,
        "cursor": cursor,
    }
    return Answer(payload=payload, meta=meta, after=after)
