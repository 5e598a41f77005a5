"""DefiLlama, simulated on its two hosts: series that grow by the hour and change in hindsight."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.asking import Simulated, simulated
from tests.simulator.test_specs import problems

DAY = 86_400
TODAY = int(datetime(2026, 6, 1, tzinfo=UTC).timestamp())


@pytest.fixture(scope="module")
def llama() -> Iterator[Simulated]:
    with simulated("llama", "/llama") as upstream:
        yield upstream


@pytest.fixture
def moving() -> Iterator[Simulated]:
    with simulated("llama", "/llama") as upstream:
        yield upstream


@pytest.fixture(scope="module")
def stable(llama: Simulated) -> Simulated:
    return llama.beside("llama-stable", "/llama-stable")


def locked(llama: Simulated, chain: str = "") -> dict[int, Decimal]:
    told = llama.read("/v2/historicalChainTvl" + (f"/{chain}" if chain else ""))
    assert all(set(row) == {"date", "tvl"} for row in told)
    return {row["date"]: row["tvl"] for row in told}


def whole(told: dict[str, Any]) -> dict[int, Any]:
    return {int(day): value for day, value in told.items()}


def test_value_locked_is_true_and_daily(llama: Simulated):
    for chain, name in (("", "all"), ("Ethereum", "ethereum"), ("base", "base")):
        told = locked(llama, chain)
        assert told == whole(llama.truth(chain=name, at_ms=llama.now_ms()))
        assert list(told) == list(range(min(told), TODAY + 1, DAY))


def test_the_total_is_that_of_all_chains(llama: Simulated):
    chains = llama.read("/v2/chains")
    total = locked(llama)
    assert total[TODAY] == sum(chain["tvl"] for chain in chains)
    day = TODAY - 100 * DAY
    assert abs(total[day] - sum(locked(llama, chain["name"])[day] for chain in chains)) < Decimal("0.1")
    ethereum, base = (next(one for one in chains if one["name"] == name) for name in ("Ethereum", "Base"))
    assert ethereum["tvl"] == locked(llama, "Ethereum")[TODAY]
    assert (ethereum["gecko_id"], ethereum["cmcId"], ethereum["chainId"]) == ("ethereum", "1027", 1)
    assert (base["gecko_id"], base["tokenSymbol"], base["cmcId"]) == (None, None, None)


def test_the_last_point_moves_with_the_day(moving: Simulated):
    morning = locked(moving, "Solana")
    moving.advance(6 * 3600)
    afternoon = locked(moving, "Solana")
    assert list(morning) == list(afternoon)
    assert [day for day in morning if morning[day] != afternoon[day]] == [TODAY]
    moving.advance(DAY)
    later = locked(moving, "Solana")
    assert max(later) == TODAY + DAY
    assert later[TODAY - DAY] == afternoon[TODAY - DAY]


def test_history_is_restated(moving: Simulated):
    before = locked(moving, "Ethereum")
    moving.advance(30 * DAY)
    after = locked(moving, "Ethereum")
    changed = {day: after[day] / before[day] for day in before if day < TODAY and before[day] != after[day]}
    assert 0.1 < len(changed) / len(before) < 0.7
    assert all(abs(ratio - 1) < Decimal("0.021") for ratio in changed.values())
    assert locked(moving, "Ethereum") == after  # a change is made once


def test_unknown_chains(llama: Simulated, stable: Simulated):
    assert llama.ask("/v2/historicalChainTvl/Atlantis").status_code == 404
    assert stable.ask("/stablecoincharts/Atlantis").status_code == 404


def test_trade_on_exchanges(llama: Simulated):
    told = llama.read("/overview/dexs")
    chart = dict(told["totalDataChart"])
    parts = {day: sum(names.values()) for day, names in told["totalDataChartBreakdown"]}
    assert list(chart) == list(parts) == list(range(min(chart), TODAY + 1, DAY))
    assert all(abs(chart[day] - parts[day]) < Decimal("0.1") for day in chart if day < TODAY)
    assert told["total24h"] == sum(one["total24h"] for one in told["protocols"])
    assert abs(told["total24h"] - chart[TODAY - DAY]) < Decimal("0.1")
    assert 0 < chart[TODAY] < chart[TODAY - DAY]  # ten hours of the day
    lean = llama.read("/overview/dexs", excludeTotalDataChartBreakdown="true")
    assert "totalDataChartBreakdown" not in lean
    assert lean["totalDataChart"] == told["totalDataChart"]


def test_days_of_stablecoins_are_texts(llama: Simulated, stable: Simulated):
    told = stable.read("/stablecoincharts/all")
    assert [row["date"] for row in told][-2:] == [str(TODAY - DAY), str(TODAY)]
    truth = stable.truth(at_ms=llama.now_ms())
    assert {row["date"]: row["totalCirculating"] for row in told} == truth
    coins = {
        coin["symbol"]: coin for coin in stable.read("/stablecoins", includePrices="true")["peggedAssets"]
    }
    dollars = sum(coin["circulating"].get("peggedUSD", 0) for coin in coins.values())
    assert dollars == told[-1]["totalCirculating"]["peggedUSD"]
    assert coins["EURC"]["circulating"] == {"peggedEUR": told[-1]["totalCirculating"]["peggedEUR"]}
    assert coins["USDT"]["price"] == 1
    assert "price" not in stable.read("/stablecoins")["peggedAssets"][0]
    only = stable.read("/stablecoincharts/all", stablecoin=1)
    assert only[-1]["totalCirculating"] == coins["USDT"]["circulating"]
    tron = stable.read("/stablecoincharts/Tron")
    share = tron[-1]["totalCirculating"]["peggedUSD"] / told[-1]["totalCirculating"]["peggedUSD"]
    assert abs(share - Decimal("0.3")) < Decimal("0.0001")


def test_the_limit():
    with simulated("llama", "/llama", limits=True) as llama:
        llama.fault("F23", calls=1, parameters={"per_minute": 3})
        assert [llama.ask("/nope").status_code for _ in range(4)] == [404, 404, 404, 429]


@pytest.mark.parametrize(
    ("host", "path", "beyond"),
    [
        ("llama", "/v2/chains", set()),
        ("llama", "/v2/historicalChainTvl", set()),
        ("llama", "/overview/dexs", {"total24h", "totalDataChartBreakdown"}),
        ("llama-stable", "/stablecoins", {"circulatingPrevDay", "circulatingPrevWeek", "peggedEUR"}),
        # The vendor's file says that days are numbers; on the wire they are texts.
        ("llama-stable", "/stablecoincharts/all", {"date", "totalCirculatingUSD", "peggedEUR"}),
    ],
)
def test_answers_follow_the_vendors_schema(
    llama: Simulated, stable: Simulated, shared_data: Path, host: str, path: str, beyond: set[str]
):
    file = shared_data.parent / "contracts/specs/defillama-free.openapi.json"
    if not file.is_file():
        pytest.skip(f"no OpenAPI file of DefiLlama: {file}")
    spec = json.loads(file.read_text())
    schema = spec["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    answer = (llama if host == "llama" else stable).ask(path).json()
    found = problems(answer, schema, spec, "")
    places = (problem.partition(": ") for problem in found)
    names = {
        text.removeprefix("unknown ") if "unknown" in text else at.split(".")[-1] for at, _, text in places
    }
    assert names == beyond
