"""Answers held to the vendor's own OpenAPI files, and to answers that were recorded."""

import json
import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

REPO = Path(__file__).parents[2]
QUESTIONS: dict[str, dict[str, Any]] = {
    "/ping": {},
    "/key": {},
    "/simple/price": {
        "ids": "bitcoin,ethereum", "vs_currencies": "usd", "include_market_cap": "true",
        "include_24hr_vol": "true", "include_24hr_change": "true", "include_last_updated_at": "true",
    },
    "/simple/supported_vs_currencies": {},
    "/coins/list": {"include_platform": "true"},
    "/coins/markets": {
        "vs_currency": "usd", "per_page": 250, "sparkline": "true",
        "price_change_percentage": "1h,24h,7d,14d,30d,200d,1y", "include_rehypothecated": "true",
    },
    "/exchange_rates": {},
    "/coins/{id}/market_chart": {"vs_currency": "usd", "days": 1},
    "/coins/{id}/market_chart/range": {"vs_currency": "usd", "from": 1_779_000_000, "to": 1_780_000_000},
    "/coins/{id}/ohlc": {"vs_currency": "usd", "days": 1},
    "/coins/{id}/ohlc/range": {
        "vs_currency": "usd", "from": "2026-05-01", "to": "2026-05-03", "interval": "hourly",
    },
    "/coins/{id}/history": {"date": "2026-05-01"},
    "/global": {},
}  # fmt: skip


@pytest.fixture(scope="session")
def specs() -> Path:
    """The folder with the vendor's OpenAPI files: a sibling of the recorded data's folder."""
    shared = Path(os.environ.get("CRYPTO_DATA_SHARED") or REPO / "../shared/data").resolve()
    folder = shared.parent / "contracts" / "specs"
    if not (folder / "coingecko-pro.openapi.json").is_file():
        pytest.skip(f"no OpenAPI files of CoinGecko in {folder}")
    return folder


def problems(value: Any, schema: dict[str, Any], spec: dict[str, Any], at: str) -> list[str]:
    """How a value differs from an OpenAPI 3.0 schema: types, nulls, required keys, keys it does not know."""
    while "$ref" in schema:
        schema = spec["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if value is None:
        return [] if schema.get("nullable") else [f"{at}: null"]
    kinds: dict[str, Any] = {
        "object": dict,
        "array": list,
        "string": str,
        "boolean": bool,
        "integer": int,
        "number": (int, float),
    }
    expected = schema.get("type")
    if expected and (
        not isinstance(value, kinds[expected]) or (isinstance(value, bool) and expected != "boolean")
    ):
        return [f"{at}: {value!r:.40} is no {expected}"]
    found = []
    if isinstance(value, dict):
        known, more = schema.get("properties", {}), schema.get("additionalProperties")
        found += [f"{at}: no {name}" for name in schema.get("required", ()) if name not in value]
        for name, inner in value.items():
            if name in known:
                found += problems(inner, known[name], spec, f"{at}.{name}")
            elif isinstance(more, dict):
                found += problems(inner, more, spec, f"{at}.{name}")
            elif known and not more:
                found.append(f"{at}: unknown {name}")
    if isinstance(value, list):
        for n, inner in enumerate(value):
            found += problems(inner, schema.get("items", {}), spec, f"{at}[{n}]")
    return found


@pytest.mark.parametrize("host", ["pro", "demo"])
@pytest.mark.parametrize("path", QUESTIONS)
def test_answers_follow_the_vendors_schema(start, specs, host, path):
    spec = json.loads((specs / f"coingecko-{host}.openapi.json").read_text())
    if path not in spec["paths"]:
        assert (host, path) in {("demo", "/key"), ("demo", "/coins/{id}/ohlc/range")}
        return
    simulator = start("analyst" if host == "pro" else "demo", limits=False, coins=60)
    asked = QUESTIONS[path] | ({"date": "01-05-2026"} if "date" in QUESTIONS[path] and host == "demo" else {})
    known = {parameter["name"] for parameter in spec["paths"][path]["get"].get("parameters", ())}
    assert set(asked) <= known
    answer = simulator.get(path.replace("{id}", "bitcoin"), **asked)
    assert answer.status_code == 200, answer.text
    schema = spec["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    found = problems(answer.json(), schema, spec, path)
    # Null caps are real; the schema forgets them.
    assert [p for p in found if not ("market_caps" in p and p.endswith(": null"))] == []


def test_the_check_of_schemas_can_fail(specs):
    spec = json.loads((specs / "coingecko-pro.openapi.json").read_text())
    schema = {"$ref": "#/components/schemas/CoinsMarkets"}
    assert problems([{"id": 1, "extra": 2, "symbol": "x", "name": None}], schema, spec, "x")[-3:] == [
        "x[0].id: 1 is no string", "x[0]: unknown extra", "x[0].name: null",
    ]  # fmt: skip


RECORDED: dict[str, tuple[str, dict[str, Any]]] = {
    "test_that_it_gets_price_for_one_coin": ("/simple/price", {"ids": "bitcoin", "vs_currencies": "usd"}),
    "test_that_it_gets_price_for_one_coin.01": ("/simple/price", {}),
    "test_that_it_gets_market_data_for_a_coin": ("/coins/markets", {"ids": "bitcoin", "vs_currency": "usd"}),
    "test_that_it_gets_market_data_for_a_coin.01": ("/coins/markets", {}),
    "test_that_it_gets_market_data_for_a_coin.02": ("/coins/markets", {"ids": "bitcoin"}),
    "test_that_it_gets_market_data_for_multiple_coins_in_eth": (
        "/coins/markets", {"ids": "bitcoin,ethereum", "vs_currency": "eth"},
    ),
    "test_that_it_gets_ohlc_data_for_one_coin_in_the_last_30_days_in_myr": (
        "/coins/bitcoin/ohlc", {"days": 30, "vs_currency": "myr"},
    ),
    "test_that_it_gets_the_list_supported_coins": ("/coins/list", {}),
}  # fmt: skip


def shape(value: Any) -> Any:
    """Keys and kinds of values; of a list the first element's; a number is a number, whole or not."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "number" if isinstance(value, int | float) else type(value).__name__


@pytest.mark.parametrize("name", RECORDED)
def test_answers_have_the_shape_that_was_recorded(start, shared_data, name):
    folder = shared_data / "http" / "coingecko"
    meta = json.loads((folder / f"{name}.meta.json").read_text())["response"]
    body = (folder / f"{name}.body.json").is_file() and json.loads((folder / f"{name}.body.json").read_text())
    simulator = start("keyless", limits=False)
    path, params = RECORDED[name]
    answer = simulator.get(path, **params)
    assert answer.status_code == meta["status"]
    recorded = {header.lower(): value for header, value in meta["headers"].items()}
    for header in ("content-type", "vary", "access-control-expose-headers"):
        if header in recorded:
            assert answer.headers[header] == recorded[header]
    for header in ("date", "x-request-id", "cache-control", "cf-cache-status", "server"):
        assert header in answer.headers
    assert ("etag" in answer.headers) == ("etag" in recorded)
    if meta["status"] != 200:
        assert answer.json() == body
    elif body:
        assert shape(answer.json()) == shape(body)
    if path.endswith("ohlc"):
        assert len(answer.json()) == len(body) == 180
        assert {b[0] - a[0] for a, b in pairwise(body)} == {14_400_000}
