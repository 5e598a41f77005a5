"""Series that may not be passed on are served to keys marked internal only, on every route that shows values."""

from typing import Any

import pytest

from ray_app.model.timerange import TimeRange
from ray_app.sources import coinmetrics, fred, mempool
from ray_app.store.keys import SCOPES
from tests.serve.conftest import Running, Start, at
from tests.serve.filling import DAY, START
from tests.serve.sources import answered, declared
from tests.serve.test_macro import YEARS, told

SENTIMENT = "fred.macro:UMCSENT:2026-10-01T00:00:00+00:00:2026111300"
RATE = "fred.macro:UNRATE:2026-10-01T00:00:00+00:00:2026110600"
CHANGED = "coinmetrics.metrics:btc.TxCnt:2026-11-21T00:00:00+00:00:1"


@pytest.fixture
async def node(start: Start) -> Running:
    """FRED (one series of somebody else's), Coin Metrics (not commercial), mempool.space; one value each revised."""
    running = await start()
    await running.fill.declare()
    for source in (fred.SOURCE, coinmetrics.SOURCE, mempool.SOURCE):
        await declared(running, source)
    for series, vintage, value in (("UMCSENT", "2026-11-13", "71.5"), ("UNRATE", "2026-11-06", "4.25")):
        body = told(("2026-10-01", vintage, value))
        await answered(running, fred.SOURCE, "macro", [series], YEARS, body, at(0, 1))
        body = told(("2026-10-01", "2026-11-20", "1"))
        await answered(running, fred.SOURCE, "macro", [series], YEARS, body, at(0, 2))
    over = TimeRange(START - 2 * DAY, START - DAY)
    for minute, count in ((1, "300000"), (2, "300001")):
        day = {"asset": "btc", "time": "2026-11-21T00:00:00.000000000Z", "TxCnt": count}
        source = coinmetrics.SOURCE
        await answered(running, source, "metrics", ["btc.TxCnt"], over, {"data": [day]}, at(0, minute))
    first = TimeRange(START, START + DAY / 144)
    waiting = {"count": 41234, "vsize": 1, "total_fee": 2}
    names = ["btc.mempool_tx", "btc.mempool_vsize", "btc.mempool_fees"]
    await answered(running, mempool.SOURCE, "waiting", names, first, waiting, at(0, 1), mempool.WAITING)
    running.clock.set(at(minutes=5))
    return running


async def ask(node: Running, path: str, *, internal: bool) -> tuple[int, Any]:
    key = await node.new_key(*SCOPES, internal=internal)
    answer = await node.http.get(path, headers={"Authorization": f"Bearer {key}"})
    return answer.status_code, answer.json()


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/macro/UMCSENT",
        "/api/v1/macro/SP500",
        "/api/v1/onchain/BTC?metrics=TxCnt",
        "/api/v1/onchain/BTC?metrics=TxCnt,mempool_tx",
        f"/api/v1/lineage/{SENTIMENT}",
        f"/api/v1/lineage/{CHANGED}",
        "/api/v1/revisions?dataset=coinmetrics.metrics",
    ],
)
async def test_refused_without_the_mark(node: Running, path: str):
    for _ in range(2):
        status, body = await ask(node, path, internal=False)
        assert (status, body["error"]["code"]) == (403, "LICENCE_RESTRICTED")
        series = body["error"]["details"]["series"]
        assert {one["licence"] for one in series} <= {"non_commercial", "no_redistribution"}
        status, _body = await ask(node, path, internal=True)
        assert status == 200


@pytest.mark.parametrize("path", ["/api/v1/macro/UNRATE", f"/api/v1/lineage/{RATE}"])
async def test_attribution_and_public_domain_are_for_everybody(node: Running, path: str):
    status, _ = await ask(node, path, internal=False)
    assert status == 200


async def test_a_list_goes_on_without_what_is_restricted_and_says_so(node: Running):
    path = "/api/v1/onchain/BTC"
    _, open_ = await ask(node, path, internal=False)
    assert {(row["provider"], row["metric"]) for row in open_["data"]} == {
        ("mempool", "mempool_tx"), ("mempool", "mempool_vsize"), ("mempool", "mempool_fees"),
    }  # fmt: skip
    left = {(one["series"], one["licence"]) for one in open_["meta"]["left_out"]}
    assert left == {(name, "non_commercial") for name in coinmetrics.ABOUT if name.startswith("btc.")}
    assert {one["provider"] for one in open_["metrics"]} == {"mempool"}
    _, whole = await ask(node, path, internal=True)
    assert ("coinmetrics", "TxCnt", 300001) in {
        (r["provider"], r["metric"], r["value"]) for r in whole["data"]
    }
    assert "left_out" not in whole["meta"]


async def test_revisions_leave_restricted_rows_out(node: Running):
    _, whole = await ask(node, "/api/v1/revisions", internal=True)
    assert sorted((row["series"], row["old"], row["new"]) for row in whole["data"]) == [
        ("UMCSENT", {"value": 71.5}, {"value": 1}),
        ("UNRATE", {"value": 4.25}, {"value": 1}),
        ("btc.TxCnt", {"value": 300000}, {"value": 300001}),
    ]
    for path in ("/api/v1/revisions", "/api/v1/revisions?dataset=fred.macro"):
        _, open_ = await ask(node, path, internal=False)
        assert [row["series"] for row in open_["data"]] == ["UNRATE"]
        assert ("fred.macro", "UMCSENT") in {
            (one["dataset"], one["series"]) for one in open_["meta"]["left_out"]
        }


async def test_a_cursor_opens_no_door(node: Running):
    _, first = await ask(node, "/api/v1/revisions?limit=1", internal=True)
    cursor = first["meta"]["cursor"]
    _, rest = await ask(node, f"/api/v1/revisions?limit=1&cursor={cursor}", internal=False)
    assert {row["series"] for row in rest["data"]} <= {"UNRATE"}


async def test_the_catalog_shows_each_series_with_its_terms(node: Running):
    _, body = await ask(node, "/api/v1/catalog/series?dataset=fred.macro&limit=1000", internal=False)
    rows = {row["series"]: row for row in body["data"]}
    assert body["total"] == len(fred.REVISED) == len(rows)
    assert rows["UMCSENT"] == {
        "dataset": "fred.macro",
        "series": "UMCSENT",
        "title": "Consumer sentiment, University of Michigan",
        "unit": "index",
        "life": [{"from": None, "to": None}],
        "frequency": "monthly",
        "every_seconds": 3600.0,
        "licence": "no_redistribution",
        "restricted": True,
        "attribution": fred.SOURCE.attribution,
        "llm_allowed": False,
    }
    assert (rows["GDP"]["licence"], rows["GDP"]["restricted"]) == ("public_domain", False)
    _, prices = await ask(node, "/api/v1/catalog/series?symbol=BTC", internal=False)
    assert [(row["dataset"], row["unit"], row["licence"]) for row in prices["data"]] == [
        ("coingecko.bars_1h", "USD", "attribution"),
        ("coingecko.prices", "USD", "attribution"),
    ]
    first = (await ask(node, "/api/v1/catalog/series?limit=40", internal=False))[1]
    cursor = first["meta"]["cursor"]
    second = (await ask(node, f"/api/v1/catalog/series?limit=1000&cursor={cursor}", internal=False))[1]
    places = [(row["dataset"], row["series"]) for row in first["data"] + second["data"]]
    assert places == sorted(places)
    assert len(places) == len(set(places)) == first["total"]
    _, sets = await ask(node, "/api/v1/catalog/datasets", internal=False)
    found = {row["dataset"]: (row["licence"], row["restricted"], row["attribution"]) for row in sets["data"]}
    assert found["coinmetrics.metrics"] == ("non_commercial", True, coinmetrics.SOURCE.attribution)
    assert found["fred.macro_daily"][:2] == ("public_domain", True)
    assert found["coingecko.prices"] == ("attribution", False, "Data provided by CoinGecko")
