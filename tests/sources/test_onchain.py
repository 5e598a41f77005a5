"""mempool.space, Blockchain.com, DefiLlama, Etherscan, Alternative.me: what is peculiar to each."""

import json

import pytest

from ray_app.collect.collector import collect
from ray_app.connect.judge import judge
from ray_app.model.errors import Malformed, NotOffered, RateLimited, Refused, Transient, UpstreamError
from ray_app.model.source import Source, Stream
from ray_app.sources import alternative, blockchain, defillama, etherscan, mempool
from tests.sources.pages import Answer, Prepared, over, page, utc

AT = utc("2026-06-01T12:00")


def stream(source: Source, name: str) -> Stream:
    (found,) = [s for s in source.plans[0].streams if s.name == name]
    return found


@pytest.mark.parametrize("body", ["17", '"952118"', "null", "true", "[952118]"])
async def test_a_height_is_a_number_of_this_decade(body: str):
    api = Prepared(mempool.SOURCE, lambda *_: (200, body.encode()))
    wanted = over("2026-06-01T12:00", "2026-06-01T12:10", "btc.block_height")
    with pytest.raises(Malformed):
        await collect(mempool.SOURCE, stream(mempool.SOURCE, "height"), wanted, api)


async def test_a_hash_rate_in_terahashes_is_refused():
    """Blockchain.com counts in TH/s: the same number would be a trillion times too small."""
    body = b'{"hashrates":[],"difficulty":[],"currentHashrate":921350000.0,"currentDifficulty":1.2e14}'
    api = Prepared(mempool.SOURCE, lambda *_: (200, body))
    wanted = over("2026-06-01T12:00", "2026-06-01T12:30", "btc.hash_rate", "btc.difficulty")
    collected = await collect(mempool.SOURCE, stream(mempool.SOURCE, "mining"), wanted, api)
    assert [r.partition for r, _ in collected.records] == ["btc.difficulty"]
    ((aside, _),) = collected.set_aside
    assert "expected a number of 1000000000000000000 or more for btc.hash_rate" in aside.reason


async def test_what_is_told_now_is_known_at_the_end_of_its_interval_at_the_latest():
    api = Prepared(mempool.SOURCE, lambda *_: (200, b"952118"))
    wanted = over("2026-06-01T12:00", "2026-06-01T12:10", "btc.block_height")
    collected = await collect(mempool.SOURCE, stream(mempool.SOURCE, "height"), wanted, api)
    ((record, _),) = collected.records
    assert (record.key, record.known_at) == (utc("2026-06-01T12:00"), utc("2026-06-01T12:10"))
    assert record.known_at_latest


@pytest.mark.parametrize("wrong", [{"period": "week"}, {"unit": "BTC"}, {"status": "error"}], ids=str)
async def test_a_chart_of_another_kind_is_not_read(wrong: dict[str, str]):
    told = {"status": "ok", "unit": "USD", "period": "day", "values": [{"x": 1780012800, "y": 1.5}]} | wrong
    api = Prepared(blockchain.SOURCE, lambda *_: (200, json.dumps(told).encode()))
    with pytest.raises(Malformed, match="expected dollars by the day"):
        await collect(
            blockchain.SOURCE, blockchain.DAILY, over("2026-05-29", "2026-05-30", "btc.miners_revenue"), api
        )


async def test_charts_come_whole():
    empty = b'{"status":"ok","unit":"USD","period":"day","values":[]}'
    api = Prepared(blockchain.SOURCE, lambda *_: (200, empty))
    wanted = over("2016-01-01", "2025-12-29", "btc.transfer_volume")
    await collect(blockchain.SOURCE, blockchain.DAILY, wanted, api)
    assert api.asked == [
        {"start": "2016-01-01", "timespan": "3650days", "sampled": "false", "format": "json"}
    ]


async def test_the_running_days_point_is_left_out_wherever_it_lies():
    """The last point carries the time of the answer; in its own day it would be taken for the day's."""
    running = [{"date": 1780012800, "tvl": 5}, {"date": 1780185600 + 4321, "tvl": 7}]
    api = Prepared(defillama.SOURCE, lambda *_: (200, json.dumps(running).encode()))
    wanted = over("2026-05-29", "2026-05-31", "all.tvl")
    collected = await collect(defillama.SOURCE, defillama.LOCKED_VALUE, wanted, api)
    assert [(r.key, r.known_at) for r, _ in collected.records] == [(utc("2026-05-29"), utc("2026-05-31"))]
    assert collected.set_aside == ()


GATES: dict[str, tuple[str, type[UpstreamError]]] = {
    "too fast": ("Max rate limit reached, please use API Key for higher rate limit", RateLimited),
    "wrong key": ("Invalid API Key", Refused),
    "no chain": ("Missing or unsupported chainid parameter (required for v2 api)", Refused),
    "no action": ("Error! Missing Or invalid Action name", Refused),
    "shut out": ("Too many invalid api key attempts, please try again later", Refused),
    "paid": ("Sorry, it looks like you are trying to access an API Pro endpoint.", NotOffered),
    "unheard of": ("Query Timeout occurred. Please select a smaller result dataset", Transient),
}


@pytest.mark.parametrize(("text", "reaction"), GATES.values(), ids=GATES.keys())
def test_etherscans_errors_come_in_a_200(text: str, reaction: type[UpstreamError]):
    body = json.dumps({"status": "0", "message": "NOTOK", "result": text}).encode()
    with pytest.raises(UpstreamError) as told:
        judge(etherscan.SOURCE, page(etherscan.SOURCE, body, AT))
    assert type(told.value) is reaction
    assert text in str(told.value)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-0.1", "0.5 gwei", ""])
async def test_a_gas_price_is_a_number(text: str):
    fields = dict.fromkeys(("SafeGasPrice", "ProposeGasPrice", "FastGasPrice"), text)
    told = {"status": "1", "message": "OK", "result": {**fields, "suggestBaseFee": "0.5"}}
    api = Prepared(etherscan.SOURCE, lambda *_: (200, json.dumps(told).encode()))
    wanted = over("2026-06-01T12:00", "2026-06-01T12:30", *etherscan.GAS)
    collected = await collect(etherscan.SOURCE, etherscan.PRICES, wanted, api)
    assert [r.partition for r, _ in collected.records] == ["eth.gas_base"]
    assert len(collected.set_aside) == 3


def index(*days: tuple[int, str], error: str | None = None) -> Answer:
    data = [{"value": value, "value_classification": "Fear", "timestamp": str(day)} for day, value in days]
    told = {"name": "Fear and Greed Index", "data": data, "metadata": {"error": error}}
    return 200, json.dumps(told).encode()


async def test_all_days_are_asked_for_only_when_the_newest_do_not_reach_back():
    newest, everything = index((1780272000, "27")), index((1780272000, "27"), (1780185600, "31"))
    api = Prepared(alternative.SOURCE, lambda _, asked: newest if asked["limit"] == "10" else everything)
    wanted = over("2026-06-01", "2026-06-02", "fear_greed")
    collected = await collect(alternative.SOURCE, alternative.FEAR_AND_GREED, wanted, api)
    assert [r.key for r, _ in collected.records] == [utc("2026-06-01")]
    assert [asked["limit"] for asked in api.asked] == ["10"]

    earlier = over("2026-05-31", "2026-06-02", "fear_greed")
    collected = await collect(alternative.SOURCE, alternative.FEAR_AND_GREED, earlier, api)
    assert [r.key for r, _ in collected.records] == [utc("2026-06-01"), utc("2026-05-31")]
    assert [asked["limit"] for asked in api.asked] == ["10", "10", "0"]
    assert len(collected.pages) == 1


def test_an_error_beside_no_data_is_not_an_empty_answer():
    _, body = index(error="no data for this date")
    with pytest.raises(Transient, match="no data for this date"):
        judge(alternative.SOURCE, page(alternative.SOURCE, body, AT))
    judge(alternative.SOURCE, page(alternative.SOURCE, index((1780272000, "27"))[1], AT))
