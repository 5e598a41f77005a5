"""GET /api/v1/ml-features: rows of features of an hour, of one coin or of many, stored as they were made."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from fastapi import FastAPI, Request
from pydantic import Field
from starlette.responses import Response

from ray_app.model.symbols import Asset
from ray_app.observe.health import worst
from ray_app.serve.datasets import left_out
from ray_app.serve.door import key_of
from ray_app.serve.features import GROUPS, Shown, between, condition, latest, shown, turn
from ray_app.serve.kept import place_of
from ray_app.serve.node import Node
from ray_app.serve.paging import Page, pinned
from ray_app.serve.points import Standing
from ray_app.serve.problems import Problem, invalid
from ray_app.serve.queries import MOMENT, Paged, read_query
from ray_app.serve.rest.current import assets_named
from ray_app.serve.rest.examples_features import ML_FEATURES, ML_MANY, ML_MANY_OTHERS, ML_OTHERS
from ray_app.serve.routes import get
from ray_app.serve.series import period
from ray_app.serve.wire import Answer
from ray_app.store.changes import FEATURES
from ray_app.store.reading import NOW
from ray_app.store.vectors import Vector

MOST_SYMBOLS = 250
Format = Literal["structured", "flat", "array"]


class FeaturesQuery(Paged):
    feature_groups: str | None = Field(
        None,
        description=f"some of {', '.join(GROUPS)}, separated by commas; all without it",
        examples=["price,technical"],
    )
    format: Format = Field(
        "structured", description="features by group, in one object, or as an array with `names` beside it"
    )
    latest_only: bool | None = Field(
        None, description="the newest hour; so it is without start and end. false with a range"
    )
    start: str | None = Field(
        None, description="RFC 3339 time: hours that end at it or later", json_schema_extra=MOMENT
    )
    end: str | None = Field(
        None, description="RFC 3339 time: hours that end before it", json_schema_extra=MOMENT
    )


class ManyQuery(FeaturesQuery):
    symbols: str = Field(
        description=f"up to {MOST_SYMBOLS} symbols, separated by commas: the newest hour of each",
        examples=["BTC,ETH"],
    )


def add(app: FastAPI, node: Node) -> None:
    async def one(symbol: str, request: Request) -> Response:
        internal = key_of(request.scope).internal

        async def read() -> Answer:
            query = read_query(FeaturesQuery, request)
            ranged = query.start is not None or query.end is not None
            page = await pinned(node, request, query, query.limit)
            at = page.standing
            if query.latest_only is not None and query.latest_only is ranged:
                raise invalid(
                    "latest_only=true takes no range, and latest_only=false needs start or end",
                    parameters=["latest_only", "start", "end"],
                )
            asset = node.resolve(symbol, at.asked)
            if ranged:
                return await told_range(node, asset, query, page, internal=internal)
            what = await shown(node, query.feature_groups, at, internal=internal)
            [found] = await told_newest(node, [asset], what, query.format, at)
            if isinstance(found, Problem):
                raise found
            if at.point == NOW:
                found.of = (FEATURES,)
            return found

        made = await node.kept.answer(place_of(request.scope), read)
        return made.response(request, node.clock.now())

    async def many(request: Request) -> Response:
        query = read_query(ManyQuery, request)
        if query.start is not None or query.end is not None or query.cursor is not None:
            raise invalid(
                "many symbols at once take no range: ask for one", parameters=["start", "end", "cursor"]
            )
        at = await node.standing(query)
        assets = assets_named(node, query.symbols, at)
        what = await shown(node, query.feature_groups, at, internal=key_of(request.scope).internal)
        found = await latest(node, assets, what, at)
        rows = [found[asset.id] for asset in assets if asset.id in found]
        data = [
            _named(asset, at) | _row(found[asset.id], what, query.format)
            for asset in assets
            if asset.id in found
        ]
        payload = {
            "data": data,
            "missing": [asset.symbol_at(at.asked) for asset in assets if asset.id not in found],
        }
        answer = _answer(node, at, what, rows, payload, query.format, missing=len(found) < len(assets))
        return answer.response(request, node.clock.now())

    get(
        app, "/api/v1/ml-features/{symbol}", one, scope="read:features", query=FeaturesQuery,
        example=ML_FEATURES, also=ML_OTHERS,
        summary="The features of one coin: of the newest hour, or of a range of hours",
    )  # fmt: skip
    get(
        app, "/api/v1/ml-features", many, scope="read:features", query=ManyQuery,
        example=ML_MANY, also=ML_MANY_OTHERS,
        summary="The features of the newest hour of many coins",
    )  # fmt: skip


async def told_newest(
    node: Node, assets: Sequence[Asset], what: Shown, form: Format, at: Standing
) -> list[Answer | Problem]:
    """The newest row of each, read at once; a Problem for each without one."""
    found = await latest(node, assets, what, at)
    out: list[Answer | Problem] = []
    for asset in assets:
        if (row := found.get(asset.id)) is None:
            said = f"no row of features of {asset.id} is stored (at that time)"
            out.append(Problem("DATA_NOT_AVAILABLE", said, {"id": asset.id}))
        else:
            out.append(_answer(node, at, what, [row], _named(asset, at) | _row(row, what, form), form))
    return out


async def told_range(node: Node, asset: Asset, query: FeaturesQuery, page: Page, *, internal: bool) -> Answer:
    """A page of the rows of a range of hours."""
    at = page.standing
    what = await shown(node, query.feature_groups, at, internal=internal)
    over = period(query.start, query.end, at)
    if page.after is not None:
        over = type(over)(datetime.fromisoformat(page.after[0]), over.end)
    rows = await between(node, asset, what, over, at)
    shown_rows = rows[: query.limit]

    def after(n: int) -> str:
        behind = shown_rows[n].at + timedelta(microseconds=1)
        return page.next([behind.isoformat()], at.as_of(*(row.made_at for row in rows)))

    cursor = after(-1) if len(rows) > query.limit else None
    data = [_row(row, what, query.format) for row in shown_rows]
    payload = _named(asset, at) | {"data": data, "total_points": len(data)}
    made = _answer(node, at, what, shown_rows, payload, query.format, cursor, everything=rows)
    made.after = after
    return made


def _named(asset: Asset, at: Standing) -> dict[str, Any]:
    return {"symbol": asset.symbol_at(at.asked), "id": asset.id, "name": asset.name}


def _row(row: Vector, what: Shown, form: Format) -> dict[str, Any]:
    from ray_app.process.features.packed import unpack

    values = unpack(row.numbers, what.set.names)
    mine: Any = {name: values[name] for name in what.names}
    known = sum(value is not None for value in mine.values())
    if form == "array":
        mine = list(mine.values())
    elif form == "structured":
        mine = {
            group: {name: value for name, value in mine.items() if what.groups[name] == group}
            for group in dict.fromkeys(what.groups.values())
        }
    return {
        "timestamp": row.at,
        "features": mine,
        "data_quality_score": known / len(what.names) if what.names else None,
        "candles": row.bars,
        "inputs_as_of": row.as_of,
        "made_at": row.made_at,
    }


def _answer(
    node: Node,
    at: Standing,
    what: Shown,
    rows: Sequence[Vector],
    payload: dict[str, Any],
    form: Format,
    cursor: str | None = None,
    *,
    everything: Sequence[Vector] | None = None,
    missing: bool = False,
) -> Answer:
    newest = max(rows, key=lambda row: row.at, default=None)
    told, turns = condition(newest, at)
    until = turn(newest) if newest is not None and not turns else None
    if everything is not None:
        told, turns = ("available" if rows else "missing"), []
    if missing:
        told = worst([told, "degraded"]) if rows else "missing"
    head = {"feature_version": what.set.hash, "feature_count": len(what.names)}
    if form == "array":
        head["names"] = list(what.names)
    changes = [row.made_at for row in (rows if everything is None else everything)]
    meta: dict[str, Any] = {
        "as_of": at.as_of(*changes, *turns),
        "known_by": at.known_by,
        "condition": told,
        "source": "features",
        "simulated": node.parts.simulated,
        "cursor": cursor,
    }
    if what.closed:
        meta["left_out"] = left_out(what.closed)
        meta["left_out_features"] = list(what.left_out)
    observed = None if newest is None else newest.at
    return Answer(payload=payload | head, meta=meta, observed=observed, until=until)
