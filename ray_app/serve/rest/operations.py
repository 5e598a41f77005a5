"""How the node is doing: collectors, quotas, backfills. These tell the present; their past is not kept."""

from datetime import datetime, timedelta
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response

from ray_app.model.quota import QuotaState
from ray_app.serve.condition import Condition, conditions
from ray_app.serve.money import spendings
from ray_app.serve.node import Node
from ray_app.serve.problems import Problem
from ray_app.serve.queries import Nothing, read_query
from ray_app.serve.rest.examples_operations import BACKFILL, BACKFILL_RUNS, COLLECTORS, QUOTAS
from ray_app.serve.routes import get
from ray_app.serve.wire import Answer


def add(app: FastAPI, node: Node) -> None:
    async def collectors(request: Request) -> Response:
        read_query(Nothing, request)
        now = node.clock.now()
        states = {one.scope: one for one in await node.store.quotas.states(now)}
        rows = [await _collector(node, one, states) for one in await conditions(node, now)]
        return _now(node, request, {"data": rows}, now)

    async def quotas(request: Request) -> Response:
        read_query(Nothing, request)
        now = node.clock.now()
        since = await node.datasets.since() or now
        money = {one.state.scope: one.told() for one in await spendings(node, now)}
        rows = [
            _quota(one, since, now) | {"money": money.get(one.scope)}
            for one in await node.store.quotas.states(now)
        ]
        return _now(node, request, {"data": rows}, now)

    async def backfill(job: str, request: Request) -> Response:
        read_query(Nothing, request)
        found = await node.store.catalog.backfill(job)
        if found is None:
            raise Problem("NOT_FOUND", f"there is no backfill {job!r}", {"id": job})
        plain = {str(name): value for name, value in found.items()}  # SQL's names are more than texts
        return _now(node, request, plain, node.clock.now())

    get(
        app, "/api/v1/stats/collectors", collectors, scope="read:ops", example=COLLECTORS,
        summary="Per collector: state, runs, rows stored, errors, lag, quota used",
    )  # fmt: skip
    get(
        app,
        "/api/v1/quotas",
        quotas,
        scope="read:ops",
        example=QUOTAS,
        summary="Per upstream: allowance, used, reserved, forecast",
    )
    get(
        app,
        "/api/v1/backfills/{job}",
        backfill,
        scope="read:ops",
        example=BACKFILL,
        also=[BACKFILL_RUNS],
        summary="A backfill job: request, progress, receipt",
    )


def _now(node: Node, request: Request, payload: dict[str, Any], now: datetime) -> Response:
    meta = {"as_of": now, "condition": "available", "source": "store", "simulated": node.parts.simulated}
    return Answer(payload=payload, meta=meta).response(request, now)


async def _collector(node: Node, one: Condition, quotas: dict[str, QuotaState]) -> dict[str, Any]:
    declared, row = one.dataset.declared, one.row or {}
    scope = f"{one.dataset.source}-{declared['plan']}"
    quota = quotas.get(scope)
    return {
        "dataset": one.dataset.name,
        "state": one.collector,
        "owner": row.get("owner"),
        "last_run": row.get("last_run"),
        "last_success": row.get("last_success"),
        "next_run": row.get("next_run"),
        "every_seconds": declared["every_seconds"],
        "rows_stored": await node.store.reading.count(one.dataset.record, one.dataset.name),
        "errors": dict(row.get("errors", {})),
        "last_error": row.get("last_error") or None,
        "last_error_at": row.get("last_error_at"),
        "lag_seconds": None if one.judged.age_seconds is None else round(one.judged.age_seconds, 3),
        "condition": one.judged.condition,
        "not_configured": declared["not_configured"] or None,
        "quota": None if quota is None else {"scope": scope, "spent_month": quota.spent},
    }


def _quota(one: QuotaState, since: datetime, now: datetime) -> dict[str, Any]:
    """`forecast` goes on spending as so far this month, or since the node was set up if that was later."""
    forecast = one.forecast(since, now)
    ahead = max(timedelta(0), one.next_free - now)
    gap = one.quota.per / one.limit
    per_month = one.quota.per_month
    return {
        "scope": one.scope,
        "allowance": {
            "calls": one.quota.calls,
            "seconds": one.quota.per.total_seconds(),
            "calls_per_month": per_month,
        },
        "limit_in_force": one.limit,
        "learned": one.learned,
        "month": one.month,
        "used": one.spent,
        "left": None if per_month is None else max(0, per_month - one.spent),
        "reserved": -(-ahead // gap),
        "next_free": one.next_free,
        "forecast": forecast,
        "forecast_fits": None if forecast is None or per_month is None else forecast <= per_month,
    }
