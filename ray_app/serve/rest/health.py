"""/health, /ready, /api/v1/health and /metrics."""

import asyncio
import time
from collections import Counter
from datetime import timedelta
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response

from ray_app.model.completeness import totals
from ray_app.model.errors import NodeError
from ray_app.model.timerange import TimeRange
from ray_app.observe.health import worst
from ray_app.observe.metrics import CONTENT_TYPE_LATEST, DatasetFigures, Figures, QuotaFigures, render
from ray_app.serve.completeness import states
from ray_app.serve.condition import Condition, conditions, told
from ray_app.serve.money import spendings
from ray_app.serve.node import Node
from ray_app.serve.points import Standing
from ray_app.serve.problems import unavailable
from ray_app.serve.queries import Nothing, read_query
from ray_app.serve.routes import get
from ray_app.serve.wire import dumps
from ray_app.store.reading import NOW

PATIENCE = 2.0  # seconds for a part to answer
KEPT_SECONDS = 1.0  # /ready is open: however often it is asked, the parts are asked once a second
DAY = timedelta(hours=24)
JSON = "application/json"


def add(app: FastAPI, node: Node) -> None:
    ready_kept: list[tuple[float, dict[str, str]]] = []
    looking = asyncio.Lock()

    async def health(request: Request) -> Response:  # noqa: ARG001 - a route's form
        return Response(b'{"status":"alive"}', headers={"Cache-Control": "no-store"}, media_type=JSON)

    async def ready(request: Request) -> Response:  # noqa: ARG001 - a route's form
        async with looking:
            if not ready_kept or time.monotonic() - ready_kept[0][0] >= KEPT_SECONDS:
                ready_kept[:] = [(time.monotonic(), await parts_down(node))]
        found = ready_kept[0][1]
        if "store" in found:
            problem = unavailable("not ready", sorted(found))
            problem.details["reasons"] = found
            raise problem
        body = {
            "status": "degraded" if found else "ready",
            "degraded": sorted(found),
            "release": node.parts.release,
        }
        return Response(dumps(body), headers={"Cache-Control": "no-store"}, media_type=JSON)

    async def overall(request: Request) -> Response:
        read_query(Nothing, request)
        now = node.clock.now()
        found = await conditions(node, now)
        down = await parts_down(node)
        parts = [_part(name, required, down) for name, required in (("store", True), ("redis", False))]
        parts += await model_parts(node)
        parts += [one.part() for one in await spendings(node, now)]
        whole = [one.overall for one in found if one.dataset.declared["required"]]
        whole += ["dead" for part in parts if part["required"] and part["state"] == "dead"]
        optional = [p["state"] for p in parts]
        optional += [
            one.overall
            for one in found
            if not one.dataset.declared["required"] and one.overall != "not_configured"
        ]
        state = worst(whole) if found else "missing"
        if state == "available" and worst(optional) != "available":
            state = "degraded"
        body = {
            "status": state,
            "parts": parts,
            "datasets": [told(one) for one in found],
            "meta": _meta(node, now),
        }
        return Response(dumps(body), headers={"Cache-Control": "private, no-cache"}, media_type=JSON)

    async def metrics(request: Request) -> Response:
        read_query(Nothing, request)
        text = render(await figures(node))
        return Response(text, headers={"Cache-Control": "no-store", "Content-Type": CONTENT_TYPE_LATEST})

    get(
        app,
        "/health",
        health,
        scope=None,
        summary="Liveness: the process answers",
        example={"status": "alive"},
    )
    get(
        app, "/ready", ready, scope=None, summary="Readiness: 503 when a part that is needed is down",
        example={"status": "degraded", "degraded": ["redis"], "release": "dev"},
    )  # fmt: skip
    get(
        app,
        "/api/v1/health",
        overall,
        scope="read:ops",
        summary="Every data set's condition; the worst required part counts",
    )
    get(
        app, "/metrics", metrics, scope="read:ops", summary="Metrics for a scraper",
        media_type="application/openmetrics-text",
    )  # fmt: skip


async def parts_down(node: Node) -> dict[str, str]:
    """The parts that do not answer, with the reason. Redis is left out when the node runs without it."""
    out: dict[str, str] = {}
    try:
        async with asyncio.timeout(PATIENCE):
            if await node.store.database.is_simulated() != node.parts.simulated:
                out["store"] = "holds the other kind of data (simulated or real)"
    except TimeoutError:
        out["store"] = "did not answer in time"
    except NodeError as error:
        out["store"] = type(error).__name__
    if node.redis is not None:
        try:
            async with asyncio.timeout(PATIENCE):
                if not await node.redis.answers():
                    out["redis"] = "does not answer"
        except TimeoutError:
            out["redis"] = "did not answer in time"
    return out


def _part(name: str, required: bool, down: dict[str, str]) -> dict[str, Any]:
    return {
        "part": name,
        "required": required,
        "state": "dead" if name in down else "available",
        "reason": down.get(name),
    }


async def model_parts(node: Node) -> list[dict[str, Any]]:
    """Whether the models that score texts can be loaded: in the collectors, which say so in the store, and in Serve.

    Their texts are collected all the same, so none of this is said of a data set.
    """
    found = []
    scoring = await node.store.catalog.scoring(await node.store.leases.held())
    for texts, shards in sorted(scoring.items()):
        refusals = [f"{shard}: {why}" for shard, why in shards.items() if why]
        # Where one shard has its model and another has not, some of these texts have scores.
        state = "available" if not refusals else "missing" if len(refusals) == len(shards) else "degraded"
        reason = "; ".join(refusals) or None
        found.append({"part": f"scoring.{texts}", "required": False, "state": state, "reason": reason})
    if node.parts.models is not None:
        for name, one in (await node.parts.models.states()).items():
            part = {"part": f"models.{name}", "required": False, "state": one.condition, "reason": one.reason}
            found.append(part)
    return found


def _meta(node: Node, now: Any) -> dict[str, Any]:
    return {
        "as_of": now,
        "generated_at": now,
        "simulated": node.parts.simulated,
        "release": node.parts.release,
    }


async def figures(node: Node) -> Figures:
    """What /metrics shows, read from the store."""
    now = node.clock.now()
    found = [await _figures(node, one, Standing(NOW, now, None, None)) for one in await conditions(node, now)]
    quotas = [
        QuotaFigures(
            scope=one.scope,
            limit=one.limit,
            spent_month=one.spent,
            left_month=None if one.quota.per_month is None else max(0, one.quota.per_month - one.spent),
        )
        for one in await node.store.quotas.states(now)
    ]
    skew = await node.store.vectors.skew()
    return Figures(
        simulated=node.parts.simulated,
        release=node.parts.release,
        datasets=found,
        quotas=quotas,
        money=[one.figures() for one in await spendings(node, now)],
        requests=dict(node.counts.requests),
        seconds=dict(node.counts.seconds),
        skew=None if skew is None else {name: float(skew[name]) for name in ("rows", "differing", "largest")},
    )


async def _figures(node: Node, one: Condition, at: Standing) -> DatasetFigures:
    dataset, judged = one.dataset, one.judged
    over = TimeRange(at.now - DAY, at.now)
    counted: Counter[str] = Counter()
    if not dataset.declared["not_configured"]:
        lately = [p for p in dataset.partitions if not dataset.life(p).over_by(over.start)]
        for found in (await states(node.store, dataset, lately, over, at)).spans.values():
            counted.update(totals(found))
    return DatasetFigures(
        name=dataset.name,
        required=dataset.declared["required"],
        age_seconds=judged.age_seconds,
        series=judged.series,
        fresh=judged.fresh,
        intervals=dict(counted),
        set_aside=len(await node.store.received.set_aside(dataset.name, over, 1_000_000)),
        rows=await node.store.reading.count(dataset.record, dataset.name),
        collector=one.collector,
        errors=one.row["errors"] if one.row is not None else {},
    )
