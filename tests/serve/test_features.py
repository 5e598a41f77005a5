"""GET /api/v1/ml-features: what is stored, as it was made; groups, forms, ranges, licences, errors."""

from datetime import datetime
from functools import partial
from typing import Any

import numpy as np
import pytest

from ray_app.process.features.catalogue import CATALOGUE, FEATURES, feature_set_hash
from ray_app.sources import coinbase, coinmetrics, fred
from ray_app.store.vectors import Vector
from tests.serve.conftest import Running, at, stable
from tests.serve.sources import declared

ONE, MANY = "/api/v1/ml-features/BTC", "/api/v1/ml-features"
NAMES = tuple(one.name for one in FEATURES)
SET = feature_set_hash()


def numbers(value: float) -> bytes:
    """Feature number n is value + n; every seventh is null."""
    return np.array([np.nan if n % 7 == 3 else value + n for n in range(len(NAMES))], dtype="<f8").tobytes()


def wanted(value: float, only: set[str] | None = None) -> dict[str, float | None]:
    told = {name: None if n % 7 == 3 else value + n for n, name in enumerate(NAMES)}
    return {name: number for name, number in told.items() if only is None or name in only}


def row(asset: str, hour: datetime, value: float, as_of: datetime) -> Vector:
    return Vector(asset, hour, numbers(value), "coinbase.bars_1h", as_of)


@pytest.fixture
async def built(node: Running) -> Running:
    """Three hours of BTC, one of them corrected; one of ETH."""
    await declared(node, coinbase.SOURCE, ["bars_1h"], partitions=["BTC-USD"])
    await node.store.vectors.declare(SET, NAMES, at, 0, node.fill.lease)
    for n in (1, 2, 3):
        made = [row("bitcoin", at(n), 100 * n, at(n, seconds=10))]
        if n == 1:
            made.append(row("ethereum", at(n), 7, at(n, seconds=10)))
        await node.store.vectors.write(SET, made, partial(at, n, seconds=10), node.fill.lease)
    await node.store.vectors.write(
        SET, [row("bitcoin", at(2), 250, at(3, minutes=1))], partial(at, 3, minutes=1), node.fill.lease
    )
    node.clock.set(at(3, minutes=2))
    return node


async def test_the_newest_hour_in_three_forms(built: Running):
    body = await built.get(ONE, format="flat")
    assert body["features"] == wanted(300)
    told = {
        name: body[name]
        for name in ("symbol", "id", "timestamp", "candles", "feature_version", "feature_count")
    }
    assert told == {
        "symbol": "BTC", "id": "bitcoin", "timestamp": "2026-11-23T03:00:00.000Z", "candles": "coinbase.bars_1h",
        "feature_version": SET, "feature_count": len(NAMES),
    }  # fmt: skip
    assert body["data_quality_score"] == sum(v is not None for v in wanted(300).values()) / len(NAMES)
    assert body["meta"]["condition"] == "available"
    assert body["meta"]["as_of"] == "2026-11-23T03:00:10.000Z"
    structured = (await built.get(ONE))["features"]
    assert {name: v for group in structured.values() for name, v in group.items()} == wanted(300)
    assert all(CATALOGUE[name].group == group for group, some in structured.items() for name in some)
    array = await built.get(ONE, format="array")
    assert dict(zip(array["names"], array["features"], strict=True)) == wanted(300)


async def test_groups_are_chosen_and_counted(built: Running):
    body = await built.get(ONE, feature_groups="macro, price", format="flat")
    mine = {name for name in NAMES if CATALOGUE[name].group in ("macro", "price")}
    assert body["features"] == wanted(300, mine)
    assert body["feature_count"] == len(mine)
    wrong = await built.get(ONE, 422, feature_groups="price,volume")
    assert wrong["error"]["code"] == "VALIDATION_ERROR"
    assert "'volume'" in wrong["error"]["message"]


async def test_a_range_is_paged_and_shows_the_last_revisions(built: Running):
    whole = await built.get(ONE, start="2026-11-23", format="flat")
    assert [(one["timestamp"][11:13], one["features"]["price_usd"]) for one in whole["data"]] == [
        ("01", 100), ("02", 250), ("03", 300),
    ]  # fmt: skip
    first = await built.get(ONE, start="2026-11-23", format="flat", limit=2)
    rest = await built.get(ONE, start="2026-11-23", format="flat", limit=2, cursor=first["meta"]["cursor"])
    assert first["data"] + rest["data"] == whole["data"]
    assert rest["meta"]["cursor"] is None
    part = await built.get(ONE, start="2026-11-23T02:00:00Z", end="2026-11-23T03:00:00Z", format="flat")
    assert [one["features"] for one in part["data"]] == [wanted(250)]
    empty = await built.get(ONE, start="2026-11-22", end="2026-11-23")
    assert (empty["data"], empty["meta"]["condition"]) == ([], "missing")


async def test_as_of_gives_what_was_said_then(built: Running):
    asked: dict[str, Any] = {}
    for moment in (at(2, minutes=5), at(3, seconds=30), at(3, minutes=2)):
        name = moment.isoformat().replace("+00:00", "Z")
        asked[name] = await built.get(ONE, start="2026-11-23", as_of=name, format="flat")
    values = {name: [one["features"]["price_usd"] for one in body["data"]] for name, body in asked.items()}
    assert list(values.values()) == [[100, 200], [100, 200, 300], [100, 250, 300]]
    latest = await built.http.get(ONE, params={"format": "flat"})
    built.clock.set(at(8))
    again = await built.http.get(ONE, params={"format": "flat", "as_of": latest.json()["meta"]["as_of"]})
    assert stable(again) == stable(latest)
    now = await built.get(ONE, format="flat")
    assert (now["meta"]["condition"], now["meta"]["as_of"]) == ("degraded", "2026-11-23T04:10:00.000Z")
    before = await built.get(ONE, 404, as_of="2026-11-23T00:30:00Z")
    assert before["error"]["code"] == "DATA_NOT_AVAILABLE"


async def test_many_at_once(built: Running):
    body = await built.get(MANY, symbols="BTC,ethereum,SOL", format="flat")
    assert [(one["symbol"], one["timestamp"][11:13], one["features"]) for one in body["data"]] == [
        ("BTC", "03", wanted(300)), ("ETH", "01", wanted(7)),
    ]  # fmt: skip
    assert (body["missing"], body["meta"]["condition"]) == (["SOL"], "degraded")
    wrong = await built.get(MANY, 422, symbols="BTC", start="2026-11-23")
    assert "no range" in wrong["error"]["message"]


async def test_what_is_made_of_restricted_series_is_for_internal_keys(built: Running):
    await declared(built, fred.SOURCE, ["macro"])
    await declared(built, coinmetrics.SOURCE)
    open_key = await built.new_key("read:features")
    internal = await built.new_key("read:features", internal=True)
    built.http.headers["Authorization"] = f"Bearer {internal}"
    assert (await built.get(ONE, format="flat"))["features"] == wanted(300)
    built.http.headers["Authorization"] = f"Bearer {open_key}"
    body = await built.get(ONE, format="flat")
    closed = set(body["meta"]["left_out_features"])
    assert {"consumer_mood"} < closed
    assert {CATALOGUE[name].group for name in closed} == {"macro", "onchain"}
    assert body["features"] == wanted(300, set(NAMES) - closed)
    assert {"dataset": "fred.macro", "series": "UMCSENT", "licence": "no_redistribution"} in body["meta"][
        "left_out"
    ]
    inputs = {f"{d['dataset']}:{d['series']}" for d in body["meta"]["left_out"]}
    assert "coinmetrics.metrics:btc.AdrActCnt" in inputs


@pytest.mark.parametrize(
    ("parameters", "status", "said"),
    [
        ({"latest_only": "true", "start": "2026-11-23"}, 422, "takes no range"),
        ({"latest_only": "false"}, 422, "needs start or end"),
        ({"format": "csv"}, 422, "not valid"),
        ({"limit": "0"}, 422, "not valid"),
        ({"start": "2026-11-24", "end": "2026-11-23"}, 422, "start must be before end"),
        ({"cursor": "x" * 40}, 400, "cursor"),
        ({"feature_group": "price"}, 422, "this route takes"),
    ],
)
async def test_bad_questions_are_told_what_to_do(
    built: Running, parameters: dict[str, str], status: int, said: str
):
    answer = await built.get(ONE, status, **parameters)
    assert said in answer["error"]["message"]


async def test_known_by_is_worked_out_from_the_facts(built: Running):
    """Nothing is collected in this store: so nothing was known of any hour, whatever rows say."""
    body = await built.get(ONE, known_by="2026-11-23T02:30:00Z", format="flat")
    assert body["timestamp"] == "2026-11-23T02:00:00.000Z"
    known = {name for name, value in body["features"].items() if value is not None}
    assert known == {name for name in NAMES if not CATALOGUE[name].inputs}  # those of the calendar
    costly = await built.get(ONE, 400, known_by="2026-11-23T02:30:00Z", start="2025-01-01")
    assert costly["error"]["code"] == "QUERY_TOO_COSTLY"


async def test_without_a_set_there_is_nothing_to_tell(node: Running):
    answer = await node.get(ONE, 404)
    assert answer["error"]["code"] == "DATA_NOT_AVAILABLE"
