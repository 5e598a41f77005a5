"""mempool.space and Blockchain.com, simulated: one chain, told in two vendors' units and shapes."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ray_app.simulator.chain import RETARGET, Chain
from tests.simulator.asking import Simulated, simulated

DAY = 86_400
TODAY = int(datetime(2026, 6, 1, tzinfo=UTC).timestamp())
CHAIN = Chain(7)  # the seed of a simulator by default


@pytest.fixture(scope="module")
def mempool() -> Iterator[Simulated]:
    with simulated("mempool", "/mempool/api") as upstream:
        yield upstream


@pytest.fixture(scope="module")
def charts(mempool: Simulated) -> Simulated:
    return mempool.beside("bci", "/bci")


@pytest.fixture
def moving() -> Iterator[Simulated]:
    with simulated("mempool", "/mempool/api") as upstream:
        yield upstream


def chart(charts: Simulated, name: str, **params: Any) -> dict[int, Decimal]:
    told = charts.read(f"/charts/{name}", **params)
    assert told["status"] == "ok"
    return {point["x"]: point["y"] for point in told["values"]}


def is_html(answer: Any) -> bool:
    return answer.headers["content-type"].startswith("text/html") and "<html>" in answer.text


def test_the_tip_is_a_bare_number(moving: Simulated):
    told = moving.ask("/blocks/tip/height")
    assert told.headers["content-type"].startswith("text/plain")
    tip = int(told.text)
    assert tip == moving.truth(at_ms=moving.now_ms())["tip"] == CHAIN.tip(moving.now_ms())
    assert CHAIN.mined_ms(tip) <= moving.now_ms() < CHAIN.mined_ms(tip + 1)
    moving.advance((CHAIN.mined_ms(tip + 1) - moving.now_ms()) / 1000)
    assert int(moving.ask("/blocks/tip/height").text) == tip + 1


def test_blocks_come_in_order_about_every_ten_minutes():
    times = [CHAIN.mined_ms(height) for height in range(940_000, 945_000)]
    gaps = [after - before for before, after in pairwise(times)]
    assert 10_000 < min(gaps) < max(gaps) < 1_200_000
    assert 595_000 < sum(gaps) / len(gaps) < 605_000


def test_fees(mempool: Simulated):
    told = mempool.read("/v1/fees/recommended")
    assert list(told) == ["fastestFee", "halfHourFee", "hourFee", "economyFee", "minimumFee"]
    assert list(told.values()) == sorted(told.values(), reverse=True)
    assert told["fastestFee"] == round(mempool.truth(at_ms=mempool.now_ms())["fee_rate"])
    assert told["minimumFee"] >= 1


def test_the_mempool(mempool: Simulated):
    told = mempool.read("/mempool")
    assert told["count"] == mempool.truth(at_ms=mempool.now_ms())["waiting"]
    rates = [rate for rate, _ in told["fee_histogram"]]
    assert rates == sorted(rates, reverse=True)
    sizes = sum(size for _, size in told["fee_histogram"])
    assert told["vsize"] - len(rates) < sizes <= told["vsize"]
    assert told["total_fee"] == int(sum(rate * size for rate, size in told["fee_histogram"]))


def test_the_adjustment_mixes_seconds_and_milliseconds(mempool: Simulated):
    told = mempool.read("/v1/difficulty-adjustment")
    tip, now_ms = CHAIN.tip(mempool.now_ms()), mempool.now_ms()
    start = tip - tip % RETARGET
    assert told["previousTime"] == CHAIN.mined_ms(start) // 1000
    assert told["remainingBlocks"] == start + RETARGET - tip
    assert told["nextRetargetHeight"] == start + RETARGET
    assert told["remainingTime"] == told["remainingBlocks"] * told["timeAvg"]
    assert told["estimatedRetargetDate"] == now_ms + told["remainingTime"]
    assert 540_000 < told["timeAvg"] < 660_000


def test_hash_rate_is_the_same_in_both_units(mempool: Simulated, charts: Simulated):
    told = mempool.read("/v1/mining/hashrate/1m")
    assert [point["timestamp"] for point in told["hashrates"]] == [TODAY - DAY * n for n in range(30, 0, -1)]
    tera = chart(charts, "hash-rate", timespan="30days", sampled="false")
    metrics = mempool.beside("coinmetrics", "/cm/v4")
    for point in told["hashrates"]:
        if point["timestamp"] in tera:
            assert float(point["avgHashrate"]) == pytest.approx(
                float(tera[point["timestamp"]]) * 1e12, rel=1e-12
            )
    asked = {"assets": "btc", "metrics": "HashRate", "start_time": "2026-05-02", "end_time": "2026-05-29"}
    rows = metrics.read("/timeseries/asset-metrics", **asked)["data"]
    by_day = {point["timestamp"]: float(point["avgHashrate"]) for point in told["hashrates"]}
    for row in rows:
        if row["HashRate"] is not None:
            day = int(datetime.fromisoformat(row["time"][:10]).replace(tzinfo=UTC).timestamp())
            assert float(row["HashRate"]) * 1e12 == pytest.approx(by_day[day], rel=1e-9)


def test_retargets(mempool: Simulated):
    told = mempool.read("/v1/mining/difficulty-adjustments/3m")
    assert told == [
        [
            CHAIN.mined_ms(height) // 1000,
            height,
            Decimal(repr(CHAIN.difficulty(height))),
            Decimal(repr(round(CHAIN.difficulty(height) / CHAIN.difficulty(height - 1), 5))),
        ]
        for height in range(told[0][1], told[-1][1] - 1, -RETARGET)
    ]
    assert 6 <= len(told) <= 7
    in_hash_rate = mempool.read("/v1/mining/hashrate/3m")["difficulty"]
    assert [[row["time"], row["height"], row["difficulty"]] for row in in_hash_rate] == [
        r[:3] for r in told[::-1]
    ]


def test_rewards_are_texts(mempool: Simulated):
    told = mempool.read("/v1/mining/reward-stats/144")
    heights = range(told["startBlock"], told["endBlock"] + 1)
    assert len(heights) == 144
    fees = sum(CHAIN.fees(height) for height in heights)
    assert told["totalFee"] == str(fees)
    assert told["totalReward"] == str(fees + 144 * 312_500_000)
    assert told["totalTx"] == str(sum(CHAIN.transactions(height) for height in heights))


def test_blocks_have_the_recorded_shape(mempool: Simulated, shared_data: Path):
    path = shared_data / "http/mempool/details_rbf__tx01_ws_blocks_01.json"
    recorded = json.loads(path.read_text())["blocks"][0]
    told = mempool.ask("/v1/blocks").json()
    tip = CHAIN.tip(mempool.now_ms())
    assert [block["height"] for block in told] == list(range(tip, tip - 15, -1))
    for block in told:
        extras, known = block.pop("extras"), dict(recorded)
        known_extras = known.pop("extras")
        assert {name: type(value) for name, value in block.items() if name != "difficulty"} == {
            name: type(value) for name, value in known.items() if name != "difficulty"
        }
        assert set(extras) <= set(known_extras)
        assert extras["reward"] == 312_500_000 + extras["totalFees"]
        assert block["timestamp"] == CHAIN.mined_ms(block["height"]) // 1000
    assert [block["previousblockhash"] for block in told[:-1]] == [block["id"] for block in told[1:]]
    assert mempool.ask("/v1/blocks/900000").json()[0]["height"] == 900_000


def test_a_refusal_is_html_without_a_word_about_time():
    with simulated("mempool", "/mempool/api", limits=True) as mempool:
        statuses = [mempool.ask("/blocks/tip/height").status_code for _ in range(200)]
        assert set(statuses) == {200}
        refused = mempool.ask("/blocks/tip/height")
        assert refused.status_code == 429
        assert is_html(refused)
        assert "retry-after" not in refused.headers
        charts = mempool.beside("bci", "/bci")
        for _ in range(30):
            charts.ask("/stats")
        refused = charts.ask("/stats")
        assert (refused.status_code, is_html(refused)) == (429, True)


def test_unknown_paths(mempool: Simulated, charts: Simulated):
    assert mempool.ask("/v1/nope").status_code == 404
    assert mempool.ask("/v1/mining/hashrate/2w").status_code == 404
    assert charts.ask("/charts/nope").status_code == 404
    assert charts.ask("/charts/hash-rate", timespan="often").status_code == 400


def test_a_chart_is_sampled_unless_told_not_to(charts: Simulated):
    whole = chart(charts, "n-transactions", timespan="all", sampled="false")
    sampled = chart(charts, "n-transactions", timespan="all")
    assert 1_200 < len(sampled) <= 1_500 < len(whole)
    assert sampled.items() <= whole.items()
    days = range(min(whole), TODAY, DAY)
    assert max(whole) == TODAY - DAY  # today is not over
    assert 0.001 < 1 - len(whole) / len(days) < 0.006  # some days are missing
    assert len(chart(charts, "n-transactions")) in range(360, 366)  # a year, and few enough points


@pytest.mark.parametrize(
    "name", ["hash-rate", "miners-revenue", "market-price", "difficulty", "mempool-size"]
)
def test_points_are_true(charts: Simulated, name: str):
    told = chart(charts, name, timespan="2weeks", sampled="false")
    for n in range(1, 15):
        day = datetime.fromtimestamp(TODAY - n * DAY, UTC).strftime("%Y-%m-%d")
        assert charts.truth(name=name, day=day)["y"] == told.get(TODAY - n * DAY)
    assert len(told) >= 12


def test_revenue_is_what_miners_got_at_the_day_s_price(charts: Simulated):
    asked = {"start": "2026-05-01", "timespan": "30days", "sampled": "false"}
    revenue, fees, price = (
        chart(charts, name, **asked) for name in ("miners-revenue", "transaction-fees", "market-price")
    )
    common = revenue.keys() & fees.keys() & price.keys()
    assert len(common) > 25
    for day in common:
        minted = CHAIN.blocks_of_day(day) * Decimal("3.125")
        assert float(revenue[day]) == pytest.approx(float((minted + fees[day]) * price[day]), rel=1e-6)


def test_stats_tell_milliseconds_and_satoshi(mempool: Simulated, charts: Simulated):
    told = charts.read("/stats")
    assert told["timestamp"] == mempool.now_ms()
    assert told["n_blocks_total"] == CHAIN.tip(mempool.now_ms())
    assert told["totalbc"] == CHAIN.minted(told["n_blocks_total"]) == 2_003_508_750_000_000
    rewards = mempool.read(f"/v1/mining/reward-stats/{told['n_blocks_mined']}")
    assert rewards["totalFee"] == str(told["total_fees_btc"])
    assert rewards["totalTx"] == str(told["n_tx"])
    assert float(told["hash_rate"]) * 1e9 == pytest.approx(
        CHAIN.hash_rate(told["timestamp"] // 1000), rel=1e-12
    )
