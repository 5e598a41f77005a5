"""Health, collectors, quotas, backfills, catalogue, documents, metrics."""

import re
from collections import Counter
from datetime import timedelta
from typing import Any

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from ray_app.model.completeness import STATES
from ray_app.model.source import Quota
from ray_app.model.timerange import TimeRange
from ray_app.process.features import calendar
from ray_app.process.features.catalogue import CATALOGUE, feature_set_hash
from ray_app.process.features.catalogue import FEATURES as ALL_FEATURES
from ray_app.process.indicators.catalogue import OUTPUTS
from ray_app.process.indicators.signals import SIGNALS
from tests.serve.conftest import Running, Start, at, client, routes
from tests.serve.filling import COINS, START, flat

ALL = {"bitcoin": "1", "ethereum": "2", "solana": "3"}


async def report(node: Running, name: str, **status: Any) -> None:
    line: dict[str, Any] = {
        "state": "waiting", "last_run": None, "last_success": None, "next_run": None,
        "last_error": "", "last_error_at": None, "errors": Counter(),
    }  # fmt: skip
    await node.store.catalog.report(f"coingecko.{name}", "owner-1", line | status)


async def everything_well(node: Running) -> None:
    await node.fill.prices(at(minutes=25), ALL)
    await node.fill.rates(at(), {"usd": "1", "eur": "2", "btc": "1", "jpy": "3"})
    for coin in COINS:
        await node.fill.bars(coin, at(hours=-1), [flat("1")], at(minutes=17))
    for name in ("prices", "exchange_rates", "bars_1h"):
        await report(
            node, name, last_run=at(minutes=25), last_success=at(minutes=25), next_run=at(minutes=31)
        )
    node.clock.set(at(minutes=28))


async def test_all_is_well(node: Running):
    await everything_well(node)
    body = await node.get("/api/v1/health")
    assert body["status"] == "available"
    assert {one["dataset"]: (one["condition"], one["freshness_seconds"]) for one in body["datasets"]} == {
        "coingecko.prices": ("available", 180.0),
        "coingecko.exchange_rates": ("available", 28 * 60.0),
        "coingecko.bars_1h": ("available", 28 * 60.0),
    }
    assert body["parts"] == [
        {"part": "store", "required": True, "state": "available", "reason": None},
        {"part": "redis", "required": False, "state": "available", "reason": None},
    ]
    assert body["datasets"][0]["last_success"] == "2026-11-23T00:25:00.000Z"
    assert body["meta"]["simulated"] is True


async def test_the_worst_required_part_counts(node: Running):
    await everything_well(node)
    node.clock.set(at(minutes=33))
    late = await node.get("/api/v1/health")
    prices = next(one for one in late["datasets"] if one["dataset"] == "coingecko.prices")
    assert (late["status"], prices["condition"], prices["series"]["fresh"]) == ("degraded", "degraded", 0)
    assert prices["series"]["stale"] == list(COINS)
    node.clock.set(at(minutes=34))
    dead = await node.get("/api/v1/health")
    prices = next(one for one in dead["datasets"] if one["dataset"] == "coingecko.prices")
    assert (dead["status"], prices["collector"], prices["state"]) == ("dead", "dead", "dead")


async def test_one_late_coin_is_seen(node: Running):
    await everything_well(node)
    await node.fill.prices(at(minutes=35), ALL | {"solana": None})
    for name in ("prices", "exchange_rates", "bars_1h"):
        await report(node, name, next_run=at(minutes=40))
    node.clock.set(at(minutes=36))
    body = await node.get("/api/v1/health")
    prices = next(one for one in body["datasets"] if one["dataset"] == "coingecko.prices")
    assert (body["status"], prices["series"]) == (
        "degraded",
        {"expected": 3, "fresh": 2, "stale": ["solana"]},
    )
    await node.fill.not_offered(
        "prices", ("solana",), TimeRange(at(minutes=35), at(hours=24)), at(minutes=36)
    )
    node.clock.set(at(minutes=37))
    body = await node.get("/api/v1/health")
    prices = next(one for one in body["datasets"] if one["dataset"] == "coingecko.prices")
    assert (body["status"], prices["series"]["expected"]) == ("available", 2)


async def test_without_its_key_a_data_set_is_missing(start: Start):
    running = await start()
    await running.fill.declare(missing="coingecko_pro_key")
    running.clock.set(at(minutes=1))
    body = await running.get("/api/v1/health")
    assert body["status"] == "missing"
    assert {(one["condition"], one["not_configured"]) for one in body["datasets"]} == {
        ("missing", "coingecko_pro_key")
    }


async def test_a_node_that_declares_nothing_is_not_healthy(start: Start):
    running = await start()
    assert (await running.get("/api/v1/health"))["status"] == "missing"


async def test_a_young_node_is_pending(node: Running):
    node.clock.set(at(minutes=1))
    body = await node.get("/api/v1/health")
    assert body["status"] == "pending"
    assert {one["condition"] for one in body["datasets"]} == {"pending"}


async def test_health_and_ready(node: Running):
    async with client(node.app, None) as nobody:
        assert (await nobody.get("/health")).json() == {"status": "alive"}
        ready = await nobody.get("/ready")
        assert (ready.status_code, ready.json()) == (
            200,
            {"status": "ready", "degraded": [], "reasons": {}, "release": "test"},
        )


async def test_collectors(node: Running):
    await everything_well(node)
    errors = Counter({"Transient": 3, "RateLimited": 1})
    await report(
        node, "prices", last_run=at(minutes=25), last_success=at(minutes=25), next_run=at(minutes=30),
        last_error="HTTP 503", last_error_at=at(minutes=5), errors=errors,
    )  # fmt: skip
    await node.store.quotas.declare("coingecko-paid", Quota(500, timedelta(minutes=1), 500_000), START)
    await node.store.quotas.reserve("coingecko-paid", 12, at(minutes=1), 1.0)
    rows = {row["dataset"]: row for row in (await node.get("/api/v1/stats/collectors"))["data"]}
    prices = rows["coingecko.prices"]
    assert (prices["state"], prices["rows_stored"], prices["errors"]) == ("waiting", 3, dict(errors))
    assert (prices["last_error"], prices["lag_seconds"]) == ("HTTP 503", 180.0)
    assert prices["quota"] == {"scope": "coingecko-paid", "spent_month": 12}
    assert (prices["last_run"], prices["next_run"]) == (
        "2026-11-23T00:25:00.000Z",
        "2026-11-23T00:30:00.000Z",
    )
    assert rows["coingecko.exchange_rates"]["rows_stored"] == 4


async def test_quotas(node: Running):
    await node.store.quotas.declare("coingecko-demo", Quota(30, timedelta(minutes=1), 10_000), START)
    await node.store.quotas.reserve("coingecko-demo", 60, at(hours=12), 1.0)
    node.clock.set(at(hours=12))
    (row,) = (await node.get("/api/v1/quotas"))["data"]
    assert row["allowance"] == {"calls": 30, "seconds": 60.0, "calls_per_month": 10_000}
    assert (row["used"], row["left"], row["reserved"], row["limit_in_force"]) == (60, 9_940, 60, 30)
    assert row["forecast"] == 60 + 60 * 15  # 12 of the month's last 192 hours brought 60
    assert row["forecast_fits"] is True


async def test_backfills(node: Running):
    receipt = {"requested": 24, "new": 20, "lost": [{"from": "a", "reason": "b"}]}
    await node.store.catalog.write_backfill(
        "heal-1", request={"stream": "coingecko.bars_1h"}, state="done", slices=2, done=2,
        receipt=receipt, started_at=at(), updated_at=at(minutes=1),
    )  # fmt: skip
    body = await node.get("/api/v1/backfills/heal-1")
    assert (body["state"], body["slices"], body["receipt"]) == ("done", 2, receipt)
    assert body["updated_at"] == "2026-11-23T00:01:00.000Z"


async def test_the_catalogue(node: Running):
    await everything_well(node)
    symbols = (await node.get("/api/v1/catalog/symbols"))["data"]
    assert [one["id"] for one in symbols] == ["bitcoin", "ethereum", "one-thing", "other-thing", "solana"]
    assert symbols[0]["datasets"] == ["coingecko.bars_1h", "coingecko.prices"]
    assert symbols[0]["ids"] == {"coingecko": "bitcoin"}
    assert symbols[2]["datasets"] == []
    first = await node.get("/api/v1/catalog/symbols", limit=2)
    second = await node.get("/api/v1/catalog/symbols", limit=3, cursor=first["meta"]["cursor"])
    assert first["data"] + second["data"] == symbols
    rows = {one["dataset"]: one for one in (await node.get("/api/v1/catalog/datasets"))["data"]}
    prices = rows["coingecko.prices"]
    assert (prices["unit"], prices["every_seconds"], prices["series"]) == ("USD", 300.0, 3)
    assert prices["first_time"] == prices["last_time"] == "2026-11-23T00:25:00.000Z"
    (source,) = (await node.get("/api/v1/catalog/sources"))["data"]
    assert (source["licence"], source["attribution"]) == ("attribution", "Data provided by CoinGecko")


async def test_the_catalogue_of_features(start: Start):
    running = await start()
    await running.fill.declare(names=("prices",))
    assert (await running.get("/api/v1/catalog/features"))["data"] == []  # made of candles: there are none
    await running.fill.declare(at(hours=1), names=("bars_1h",))
    running.clock.set(at(hours=2))
    assert (await running.get("/api/v1/catalog/features", as_of="2026-11-23T00:30:00Z"))["data"] == []
    rows = (await running.get("/api/v1/catalog/features", as_of="2026-11-23T01:30:00Z"))["data"]
    computed = [one.name for one in OUTPUTS] + [one.name for one in SIGNALS]
    assert [row["name"] for row in rows] == [
        *computed,
        *(one.name for one in ALL_FEATURES),
        "data_quality_score",
    ]
    found = {(row["kind"], row["name"]): row for row in rows}
    assert found["indicator", "atr_14"] == {
        "name": "atr_14", "group": "technical", "kind": "indicator", "family": "volatility",
        "formula": "Wilder's average over 14 of the true range", "inputs": ["high", "low", "close"],
        "unit": "price", "values": None, "lookback": 14, "memory": 418, "days": 0, "limit_seconds": None,
        "version": 1,
    }  # fmt: skip
    assert found["feature", "cpi_yoy"] == {
        "name": "cpi_yoy", "group": "macro", "kind": "feature", "family": None,
        "formula": CATALOGUE["cpi_yoy"].formula, "inputs": ["observations CPIAUCSL"], "unit": "percent",
        "values": None, "lookback": 0, "memory": 0, "days": None, "limit_seconds": 100 * 86_400.0, "version": 1,
    }  # fmt: skip
    assert found["quality", "data_quality_score"]["version"] == feature_set_hash()
    assert found["signal", "bollinger_squeeze"] == {
        "name": "bollinger_squeeze", "group": "technical", "kind": "signal", "family": None,
        "formula": "whether bb_squeeze_20_2_120 is 1", "inputs": ["bb_squeeze_20_2_120"], "unit": None,
        "values": "true, false", "lookback": None, "memory": None, "days": None,
        "limit_seconds": None, "version": 1,
    }  # fmt: skip
    assert all(row["formula"] for row in rows)
    assert {row["name"] for row in rows if not row["inputs"]} == {one.name for one in calendar.FEATURES}


async def test_metrics_are_what_the_store_says(node: Running):
    await everything_well(node)
    answer = await node.http.get("/metrics")
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    families: Any = text_string_to_metric_families(answer.text)
    found = {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }
    assert found["crypto_data_freshness_seconds", "coingecko.prices", "true"] == 180
    assert found["crypto_data_intervals", "coingecko.prices", "collected"] == 3
    # Six polls were due since the node began, for three coins each; one of them was made.
    assert found["crypto_data_intervals", "coingecko.prices", "lost"] == 15
    assert found["crypto_data_completeness_ratio", "coingecko.prices"] == 3 / 18
    assert found["crypto_data_stored_rows", "coingecko.exchange_rates"] == 4
    assert found["crypto_data_simulated", "test"] == 1
    states = {key[2] for key in found if key[:2] == ("crypto_data_intervals", "coingecko.prices")}
    assert states == set(STATES)


async def test_the_documents_need_no_key_and_show_every_route(node: Running):
    async with client(node.app, None) as nobody:
        document = (await nobody.get("/openapi.json")).json()
        page = await nobody.get("/docs")
    shown = {route.path.replace(":path", "") for route in routes(node) if route.include_in_schema}
    assert set(document["paths"]) == shown
    current = document["paths"]["/api/v1/prices/current/{symbol}"]["get"]
    names = {one["name"] for one in current["parameters"]}
    assert names == {
        "symbol",
        "vs_currencies",
        "include_24hr_change",
        "include_market_cap",
        "as_of",
        "known_by",
    }
    assert current["security"] == [{"key": []}]
    assert current["responses"]["200"]["content"]["application/json"]["example"]["symbol"] == "BTC"
    assert "security" not in document["paths"]["/health"]["get"]
    assert page.headers["content-type"].startswith("text/html")
    assert all(path.replace("<", "&lt;") in page.text for path in shown)
    assert not re.search(
        r"(?:src|href|action|url)\W{1,3}https?://", page.text
    )  # it loads nothing from elsewhere
