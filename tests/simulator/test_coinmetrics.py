"""Coin Metrics, simulated: rows, pages, what is not free, when a day comes out and when it is restated."""

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ray_app.simulator.coinmetrics_data import FREE, PAID
from tests.simulator.asking import Simulated, simulated

ROUTE = "/timeseries/asset-metrics"


@pytest.fixture(scope="module")
def metrics() -> Iterator[Simulated]:
    with simulated("coinmetrics", "/cm/v4") as upstream:
        yield upstream


@pytest.fixture
def moving() -> Iterator[Simulated]:
    with simulated("coinmetrics", "/cm/v4") as upstream:
        yield upstream


def rows(upstream: Simulated, **params: Any) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = upstream.read(ROUTE, **params)["data"]
    return told


def days(told: list[dict[str, Any]]) -> list[str]:
    return [row["time"][:10] for row in told]


def stamp(day: str) -> str:
    return f"{day}T00:00:00.000000000Z"


def error(answer: Any) -> tuple[int, str, str]:
    body = answer.json()["error"]
    return answer.status_code, body["type"], body["message"]


def test_numbers_are_texts_and_true(metrics: Simulated):
    names = ["AdrActCnt", "SplyCur", "CapMrktCurUSD", "PriceUSD", "FlowInExNtv", "HashRate"]
    told = rows(metrics, assets="btc,eth", metrics=",".join(names), start_time="2026-05-20")
    assert [(row["time"], row["asset"]) for row in told] == [
        (stamp(f"2026-05-{day}"), asset) for day in range(20, 32) for asset in ("btc", "eth")
    ]
    now_ms = metrics.now_ms()
    for row in told:
        for name in names:
            truth = metrics.truth(asset=row["asset"], metric=name, day=row["time"][:10], at_ms=now_ms)
            assert row[name] == truth[name]["value"]
            assert row[name] is None or isinstance(row[name], str)


def test_the_price_is_that_of_the_market_at_the_day_s_end(metrics: Simulated):
    told = rows(metrics, assets="btc", metrics="PriceUSD", start_time="2026-05-25")
    asked = {"coin": "bitcoin", "from": "2026-05-25", "to": "2026-06-01", "interval": "daily"}
    bars = metrics.http.get("/sim/truth", params=asked).json()["bars"]
    assert [Decimal(row["PriceUSD"]) for row in told] == [Decimal(bar["close"]) for bar in bars]


def test_missing_is_not_null(metrics: Simulated):
    listings = ("btc", "eth")
    told = rows(metrics, assets="btc,eth", metrics="FeeTotNtv,AdrActCnt,TxCnt", page_size=10_000)
    assert {row["asset"] for row in told} == set(listings)
    nulls = [(row["asset"], row["time"], name) for row in told for name in row if row[name] is None]
    assert 0.002 < len(nulls) / (3 * len(told)) < 0.008
    asset, time, name = nulls[0]
    zero = rows(metrics, assets=asset, metrics=name, start_time=time, end_time=time, null_as_zero="true")
    assert zero == [{"asset": asset, "time": time, name: "0"}]


def test_an_asset_without_a_metric_has_no_key_for_it():
    from ray_app.simulator.coins import Listing

    listings = (Listing("bitcoin", "btc", "Bitcoin"), Listing("chainlink", "link", "Chainlink"))
    with simulated("coinmetrics", "/cm/v4", listings=listings) as metrics:
        told = rows(metrics, assets="btc,link", metrics="TxCnt,HashRate", start_time="2026-05-30")
        assert [sorted(set(row) - {"asset", "time"}) for row in told] == [
            ["HashRate", "TxCnt"],
            ["TxCnt"],
        ] * 2


def test_one_metric_that_is_not_free_spoils_the_call(metrics: Simulated):
    asked = {"assets": "btc", "metrics": "TxCnt,CapRealUSD"}
    text = (
        "Requested metric 'CapRealUSD' with frequency '1d' for asset 'btc' is not available with supplied "
        "credentials."
    )
    assert error(metrics.ask(ROUTE, **asked)) == (403, "forbidden", text)
    kept = rows(metrics, **asked, ignore_forbidden_errors="true", start_time="2026-05-31")
    assert [set(row) for row in kept] == [{"asset", "time", "TxCnt"}]
    assert error(metrics.ask(ROUTE, assets="btc", metrics="TxCnt", frequency="1h"))[:2] == (403, "forbidden")


def test_a_metric_may_be_free_no_more(moving: Simulated):
    moving.fault("F18", parameters={"metric": "AdrActCnt"})
    assert error(moving.ask(ROUTE, assets="btc", metrics="TxCnt,AdrActCnt"))[:2] == (403, "forbidden")
    assert [set(row) for row in rows(moving, assets="btc", metrics="TxCnt", start_time="2026-05-31")] == [
        {"asset", "time", "TxCnt"}
    ]


@pytest.mark.parametrize(
    ("asked", "status", "kind"),
    [
        ({"assets": "nope", "metrics": "TxCnt"}, 400, "bad_parameter"),
        ({"assets": "btc", "metrics": "Nope"}, 400, "bad_parameter"),
        ({"assets": "btc", "metrics": "TxCnt", "page_size": 10_001}, 400, "bad_parameter"),
        ({"assets": "btc", "metrics": "TxCnt", "paging_from": "middle"}, 400, "bad_parameter"),
        ({"assets": "btc", "metrics": "TxCnt", "start_time": "yesterday"}, 400, "bad_parameter"),
        ({"assets": ",".join(["btc"] * 3_000), "metrics": "TxCnt"}, 414, "uri_too_long"),
    ],
)
def test_refusals(metrics: Simulated, asked: dict[str, Any], status: int, kind: str):
    assert error(metrics.ask(ROUTE, **asked))[:2] == (status, kind)


def test_the_first_page_is_the_newest(metrics: Simulated):
    told = metrics.read(ROUTE, assets="btc", metrics="PriceUSD")
    assert len(told["data"]) == 100
    assert days(told["data"])[-1] == "2026-05-31"
    assert days(told["data"]) == sorted(days(told["data"]))


@pytest.mark.parametrize("paging_from", ["start", "end"])
@pytest.mark.parametrize("sort", ["time", "asset"])
def test_pages_add_up(metrics: Simulated, paging_from: str, sort: str):
    asked = {"assets": "btc,eth", "metrics": "TxCnt", "start_time": "2026-01-01", "sort": sort}
    whole = rows(metrics, **asked, page_size=10_000)
    pages = [metrics.read(ROUTE, **asked, page_size=70, paging_from=paging_from)]
    while "next_page_url" in pages[-1]:
        url = pages[-1]["next_page_url"]
        assert url.startswith(f"{metrics.http.base_url}/cm/v4{ROUTE}?".replace("//cm", "/cm"))
        pages.append(metrics.http.get(url).json())
    assert "next_page_token" not in pages[-1]
    ordered = pages if paging_from == "start" else pages[::-1]
    assert [row for page in ordered for row in page["data"]] == whole
    assert len(whole) == 2 * 151
    key = (
        (lambda row: (row["time"], row["asset"]))
        if sort == "time"
        else (lambda row: (row["asset"], row["time"]))
    )
    assert whole == sorted(whole, key=key)


def test_bounds(metrics: Simulated):
    asked = {"assets": "btc", "metrics": "TxCnt", "start_time": "2026-05-10", "end_time": "2026-05-12"}
    assert days(rows(metrics, **asked)) == ["2026-05-10", "2026-05-11", "2026-05-12"]
    assert days(rows(metrics, **asked, start_inclusive="false")) == ["2026-05-11", "2026-05-12"]
    assert days(rows(metrics, **asked, end_inclusive="false")) == ["2026-05-10", "2026-05-11"]
    between = {"start_time": "2026-05-10T00:00:00.000000001Z", "end_time": "2026-05-12T23:00:00.123456789Z"}
    assert days(rows(metrics, **asked | between))[-1] == "2026-05-12"
    assert days(rows(metrics, **asked, limit_per_asset=1, paging_from="start")) == ["2026-05-10"]


def test_a_day_comes_out_and_is_restated_a_day_later(moving: Simulated):
    asked = {"assets": "btc", "metrics": "AdrActCnt,PriceUSD,SplyCur", "start_time": "2026-06-01"}
    moving.advance_to("2026-06-02T00:34:59+00:00")
    assert rows(moving, **asked) == []
    moving.advance_to("2026-06-02T00:35:00+00:00")
    first = rows(moving, **asked)
    assert days(first) == ["2026-06-01"]
    flash = rows(moving, **asked, status="all")[0]
    assert flash["AdrActCnt-status"] == "flash"
    assert flash["AdrActCnt-status-time"] == "2026-06-02T00:35:00.000000000Z"
    moving.advance_to("2026-06-03T00:35:00+00:00")
    second = rows(moving, **asked, end_time="2026-06-01")
    assert second[0]["AdrActCnt"] != first[0]["AdrActCnt"]
    assert abs(int(second[0]["AdrActCnt"]) / int(first[0]["AdrActCnt"]) - 1) < 0.005
    assert {**second[0], "AdrActCnt": ""} == {**first[0], "AdrActCnt": ""}
    assert (
        rows(moving, **asked, end_time="2026-06-01", status="reviewed")[0]["AdrActCnt-status"] == "reviewed"
    )
    moving.advance_to("2026-08-01T00:00:00+00:00")
    assert rows(moving, **asked, end_time="2026-06-01") == second


def test_ten_calls_in_six_seconds():
    with simulated("coinmetrics", "/cm/v4", limits=True) as metrics:
        asked = {"assets": "btc", "metrics": "TxCnt", "page_size": 1}
        answers = [metrics.ask(ROUTE, **asked) for _ in range(11)]
        assert [answer.status_code for answer in answers] == [200] * 10 + [429]
        assert [answer.headers["x-ratelimit-remaining"] for answer in answers[:3]] == ["9", "8", "7"]
        assert {answer.headers["x-ratelimit-limit"] for answer in answers} == {"10"}
        assert error(answers[-1])[0] == 429
        metrics.advance(5.999)
        assert metrics.ask(ROUTE, **asked).status_code == 429
        metrics.advance(6)
        assert metrics.ask(ROUTE, **asked).status_code == 200


def test_the_catalogue_says_what_is_free(metrics: Simulated):
    told = metrics.read("/catalog-v2/asset-metrics", assets="btc")["data"]
    free = {one["metric"]: one["frequencies"][0].get("community", False) for one in told[0]["metrics"]}
    assert {name for name, is_free in free.items() if is_free} == set(FREE)
    assert {name for name, is_free in free.items() if not is_free} == set(PAID)
    spans = told[0]["metrics"][0]["frequencies"][0]
    assert spans["max_time"] == stamp("2026-05-31")
    first = rows(metrics, assets="btc", metrics="TxCnt", paging_from="start", page_size=1)
    assert first[0]["time"] == spans["min_time"]


def test_every_metric_has_a_real_name(shared_data: Path):
    with (shared_data / "onchain_daily/coinmetrics_2021/metrics.csv").open() as file:
        known = {next(iter(row.values())) for row in csv.DictReader(file)}
    assert (set(FREE) | set(PAID)) - known == {"SplyExNtv"}  # younger than that list of 2021


def test_time_is_told_to_the_nanosecond(metrics: Simulated):
    row = rows(metrics, assets="btc", metrics="TxCnt", page_size=1)[0]
    assert datetime.fromisoformat(row["time"][:26]).replace(tzinfo=UTC) == datetime(2026, 5, 31, tzinfo=UTC)
    assert row["time"] == "2026-05-31T00:00:00.000000000Z"
