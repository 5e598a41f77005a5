"""The examples of what operators ask and of the catalogue. They show shapes; the numbers are not data."""

from typing import Any

from ray_app.model.completeness import STATES
from ray_app.serve.rest.examples import FEATURES, GAP, META, SERIES
from ray_app.serve.shapes import Named

_TOLD: dict[str, Any] = {**META, "source": "store"}
_NOW: dict[str, Any] = {name: value for name, value in _TOLD.items() if name != "known_by"} | {
    "age_seconds": None
}
_RANGE: dict[str, Any] = {
    **_TOLD,
    "start": "2026-11-22T01:05:00.000Z",
    "end": "2026-11-23T01:05:00.000Z",
    "cursor": None,
}
LEFT_OUT: dict[str, Any] = {
    "dataset": "fred.macro",
    "series": "UMCSENT",
    "licence": "no_redistribution",
}
COVERAGE: dict[str, Any] = {
    "data": [
        {
            "dataset": "coingecko.bars_1h",
            "series": "bitcoin",
            "start": "2026-11-22T01:00:00.000Z",
            "end": "2026-11-23T01:00:00.000Z",
            "intervals": dict.fromkeys(STATES, 0) | {"collected": 23, "failed": 1},
            "percent": dict.fromkeys(STATES, 0) | {"collected": 95.8333, "failed": 4.1667},
            "spans": [GAP],
        }
    ],
    "meta": _RANGE,
}
GAPS: dict[str, Any] = {"data": [GAP], "total": 1, "meta": _RANGE}
LINEAGE: dict[str, Any] = {
    "record_id": "coingecko.prices:bitcoin:2026-11-23T01:05:00+00:00:0",
    "dataset": "coingecko.prices",
    "series": "bitcoin",
    "time": "2026-11-23T01:05:00.000Z",
    "revision": 0,
    "known_at": "2026-11-23T01:05:00.000Z",
    "received_at": "2026-11-23T01:05:02.417Z",
    "request": {"path": "/coins/markets", "params": Named({"vs_currency": "usd"})},
    "asked_at": "2026-11-23T01:05:02.117Z",
    "answered_at": "2026-11-23T01:05:02.417Z",
    "status": 200,
    "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "page": "b16358a06b44e20d1f3c6b11c8237cc8a136d2b814213f08719355ac6ab5ec25",
    "parser": "1",
    "meta": META,
}
REVISIONS: dict[str, Any] = {
    "data": [
        {
            "dataset": "coingecko.bars_1h",
            "series": "bitcoin",
            "time": "2026-11-22T22:00:00.000Z",
            "record_id": "coingecko.bars_1h:bitcoin:2026-11-22T22:00:00+00:00:1",
            "old_record_id": "coingecko.bars_1h:bitcoin:2026-11-22T22:00:00+00:00:0",
            "old": Named({"close": 1.5}),
            "new": Named({"close": 1.25}),
            "first_received_at": "2026-11-22T23:17:00.000Z",
            "received_at": "2026-11-23T00:17:00.000Z",
            "known_at": "2026-11-23T00:17:00.000Z",
        }
    ],
    "meta": {**_TOLD, "cursor": None},
}
REVISIONS_LESS: dict[str, Any] = REVISIONS | {"meta": {**REVISIONS["meta"], "left_out": [LEFT_OUT]}}
REPORT: dict[str, Any] = {
    "dataset": "coingecko.bars_1h",
    "series": 1,
    "intervals": dict.fromkeys(STATES, 0) | {"collected": 24},
    "rows_received": 25,
    "rows_revised": 1,
    "set_aside": {"count": 1, "more": False, "reasons": Named({"price is negative": 1})},
    "facts": 24,
    "flagged": [
        {
            "rule": "jump",
            "words": "close moves by more than 5% and more than 15 times the median of its last steps",
            "count": 1,
            "examples": [
                {
                    "series": "bitcoin",
                    "time": "2026-11-22T13:00:00.000Z",
                    "record_id": "coingecko.bars_1h:bitcoin:2026-11-22T13:00:00+00:00:0",
                    "reason": "close moved by -11.2% at once, usually by 0.31%",
                }
            ],
        }
    ],
    "meta": {**META, "day": "2026-11-22T00:00:00.000Z"},
}
_COLLECTOR: dict[str, Any] = {
    "dataset": "coingecko.prices",
    "state": "waiting",
    "owner": "collector-1",
    "last_run": "2026-11-23T01:05:01.000Z",
    "last_success": "2026-11-23T01:05:02.000Z",
    "next_run": "2026-11-23T01:10:00.000Z",
    "every_seconds": 300.0,
    "rows_stored": 1440,
    "errors": Named({"Transient": 1}),
    "last_error": "Transient: HTTP 503",
    "last_error_at": "2026-11-22T20:15:01.000Z",
    "lag_seconds": 47.004,
    "condition": "available",
    "not_configured": None,
    "quota": {"scope": "coingecko-demo", "spent_month": 812},
}
COLLECTORS: dict[str, Any] = {"data": [_COLLECTOR, _COLLECTOR | {"quota": None}], "meta": _NOW}
_MONEY: dict[str, Any] = {
    "currency": "USD",
    "month": "2026-11",
    "budget": 20,
    "spent": 1.25,
    "left": 18.75,
    "requests": 96,
    "unsettled": 0,
    "closed": None,
    "closed_until": None,
    "texts_waiting": 2,
    "texts_left_out": 0,
}
_QUOTA: dict[str, Any] = {
    "scope": "coingecko-demo",
    "allowance": {"calls": 30, "seconds": 60.0, "calls_per_month": 10_000},
    "limit_in_force": 30,
    "learned": None,
    "month": "2026-11",
    "used": 812,
    "left": 9188,
    "reserved": 0,
    "next_free": "2026-11-23T01:05:04.024Z",
    "forecast": 9120,
    "forecast_fits": True,
    "money": None,
}
QUOTAS: dict[str, Any] = {"data": [_QUOTA, _QUOTA | {"scope": "llm", "money": _MONEY}], "meta": _NOW}
BACKFILL: dict[str, Any] = {
    "id": "heal-1",
    "request": Named({"stream": "coingecko.bars_1h"}),
    "state": "done",
    "slices": 2,
    "done": 2,
    "receipt": Named({"requested": 24}),
    "started_at": "2026-11-23T01:00:00.000Z",
    "updated_at": "2026-11-23T01:01:00.000Z",
    "meta": _NOW,
}
BACKFILL_RUNS: dict[str, Any] = BACKFILL | {"state": "running", "done": 1, "receipt": None}
_PART: dict[str, Any] = {
    "part": "redis",
    "required": False,
    "state": "dead",
    "reason": "Redis does not answer",
}
HEALTH: dict[str, Any] = {
    "status": "degraded",
    "parts": [_PART],
    "datasets": [
        {
            "dataset": "coingecko.prices",
            "required": True,
            "condition": "available",
            "state": "available",
            "reasons": ["in words"],
            "not_configured": None,
            "newest": "2026-11-23T01:05:00.000Z",
            "freshness_seconds": 47.004,
            "allowed_seconds": 700.0,
            "series": {"expected": 3, "fresh": 3, "stale": ["solana"]},
            "collector": "waiting",
            "last_success": "2026-11-23T01:05:02.000Z",
            "last_error": None,
            "last_error_at": None,
        }
    ],
    "meta": {
        "as_of": "2026-11-23T01:05:31.004Z",
        "generated_at": "2026-11-23T01:05:31.004Z",
        "simulated": False,
        "release": "dev",
    },
}
_LISTED: dict[str, Any] = {**_TOLD, "cursor": None, "age_seconds": None}
SYMBOLS: dict[str, Any] = {
    "data": [
        {
            "id": "polygon-ecosystem-token",
            "symbol": "POL",
            "name": "Polygon",
            "kind": "crypto",
            "ids": Named({"coingecko": "polygon-ecosystem-token"}),
            "former": [{"symbol": "MATIC", "until": "2024-09-04T00:00:00.000Z"}],
            "tracked_from": "2020-01-01T00:00:00.000Z",
            "tracked_to": None,
            "datasets": ["coingecko.prices"],
        }
    ],
    "total": 1,
    "meta": _LISTED,
}
_DATASET: dict[str, Any] = {
    "dataset": "coingecko.bars_1h",
    "source": "coingecko",
    "record": "Bar",
    "describes": "hourly candles",
    "unit": "USD",
    "every_seconds": 3600.0,
    "grain_seconds": 3600.0,
    "required": True,
    "series": 3,
    "ended": 0,
    "partitioned_by": "symbol",
    "first_time": "2026-11-21T00:00:00.000Z",
    "last_time": "2026-11-23T00:00:00.000Z",
    "declared_at": "2026-11-21T00:00:00.000Z",
    "licence": "attribution",
    "restricted": False,
    "attribution": "Data provided by CoinGecko",
    "llm_allowed": False,
    "parser": "1",
    "not_configured": None,
}
_CHECK: dict[str, Any] = {
    "against": ["coinbase.bars_1h"],
    "tolerance": Named({"USD": 0.02, "USDT": 0.03}),
    "within_seconds": 900.0,
}
DATASETS: dict[str, Any] = {"data": [_DATASET, _DATASET | {"cross_check": _CHECK}], "meta": _LISTED}
SERIES_LIST: dict[str, Any] = {"data": [SERIES], "total": 1, "meta": _LISTED}
FEATURE_LIST: dict[str, Any] = {"data": FEATURES, "meta": _LISTED}
SOURCES: dict[str, Any] = {
    "data": [
        {
            "source": "coingecko",
            "plan": "demo",
            "licence": "attribution",
            "llm_allowed": False,
            "attribution": "Data provided by CoinGecko",
            "docs": "https://docs.coingecko.com",
            "datasets": ["coingecko.prices"],
        }
    ],
    "meta": _LISTED,
}
