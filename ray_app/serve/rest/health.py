"""/health, /ready, /api/v1/health and /metrics."""

import asyncio
import time
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response

from ray_app.observe.health import worst
from ray_app.observe.metrics import CONTENT_TYPE_LATEST, render
from ray_app.serve.condition import conditions, told
from ray_app.serve.figures import figures
from ray_app.serve.money import spendings
from ray_app.serve.node import Node
from ray_app.serve.parts_state import model_parts, parts_down
from ray_app.serve.problems import unavailable
from ray_app.serve.queries import Nothing, read_query
from ray_app.serve.rest.examples_operations import HEALTH
from ray_app.serve.routes import get
from ray_app.serve.shapes import Named
from ray_app.serve.wire import dumps

KEPT_SECONDS = 1.0  # /ready is open: however often it is asked, the parts are asked once a second
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
            "reasons": found,
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
        example={"status": "degraded", "degraded": ["redis"], "reasons": Named({"redis": "..."}), "release": "dev"},
    )  # fmt: skip
    get(
        app,
        "/api/v1/health",
        overall,
        scope="read:ops",
        example=HEALTH,
        summary="Every data set's condition; the worst required part counts",
    )
    get(
        app, "/metrics", metrics, scope="read:ops", summary="Metrics for a scraper",
        media_type="application/openmetrics-text",
    )  # fmt: skip


def _part(name: str, required: bool, down: dict[str, str]) -> dict[str, Any]:
    return {
        "part": name,
        "required": required,
        "state": "dead" if name in down else "available",
        "reason": down.get(name),
    }


def _meta(node: Node, now: Any) -> dict[str, Any]:
    return {
        "as_of": now,
        "generated_at": now,
        "simulated": node.parts.simulated,
        "release": node.parts.release,
    }
