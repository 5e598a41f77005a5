"""Etherscan v2, simulated: texts for numbers, and errors that look like good answers."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.asking import Simulated, simulated

KEY = {"apikey": "sim-key"}


@pytest.fixture(scope="module")
def etherscan() -> Iterator[Simulated]:
    with simulated("etherscan", "/etherscan", KEY) as upstream:
        yield upstream


def ask(etherscan: Simulated, module: str, action: str, **params: Any) -> Any:
    return etherscan.read("/v2/api", **{"chainid": 1, "module": module, "action": action} | params)


def result(etherscan: Simulated, module: str, action: str, **params: Any) -> Any:
    told = ask(etherscan, module, action, **params)
    assert (told["status"], told["message"]) == ("1", "OK")
    return told["result"]


def refused(told: Any) -> str:
    assert (told["status"], told["message"]) == ("0", "NOTOK")
    assert isinstance(told["result"], str)
    return str(told["result"])


def test_the_price_is_the_market_s(etherscan: Simulated):
    told = result(etherscan, "stats", "ethprice")
    looked_at = etherscan.now_ms() // 300_000 * 300
    begin, end = (datetime.fromtimestamp(looked_at + late, UTC).isoformat() for late in (0, 300))
    asked = {"from": begin, "to": end, "interval": "5m"}
    prices = {}
    for coin in ("ethereum", "bitcoin"):
        bars = etherscan.http.get("/sim/truth", params=asked | {"coin": coin}).json()["bars"]
        prices[coin] = float(bars[0]["close"])
    assert told["ethusd"] == f"{prices['ethereum']:.2f}"
    assert told["ethbtc"] == f"{prices['ethereum'] / prices['bitcoin']:.5f}"
    assert told["ethusd_timestamp"] == told["ethbtc_timestamp"] == str(looked_at)


def test_gas(etherscan: Simulated):
    told = result(etherscan, "gastracker", "gasoracle")
    assert told == etherscan.truth(at_ms=etherscan.now_ms())["gas"]
    assert all(isinstance(value, str) for value in told.values())
    base, safe, usual, fast = (
        Decimal(told[name]) for name in ("suggestBaseFee", "SafeGasPrice", "ProposeGasPrice", "FastGasPrice")
    )
    assert 0 < base < safe < usual < fast
    assert [0 < Decimal(share) < 1 for share in told["gasUsedRatio"].split(",")] == [True] * 5
    assert int(told["LastBlock"]) == int(ask(etherscan, "proxy", "eth_blockNumber")["result"], 16)
    etherscan.advance(120)
    assert int(result(etherscan, "gastracker", "gasoracle")["LastBlock"]) == int(told["LastBlock"]) + 10


def test_supplies_are_in_wei(etherscan: Simulated):
    told = result(etherscan, "stats", "ethsupply2")
    assert told == etherscan.truth(at_ms=etherscan.now_ms())["supplies"]
    assert set(told) == {"EthSupply", "Eth2Staking", "BurntFees", "WithdrawnTotal"}
    assert result(etherscan, "stats", "ethsupply") == told["EthSupply"]
    assert 1.1e26 < int(told["EthSupply"]) < 1.4e26


def test_shapes_as_recorded(etherscan: Simulated, shared_data: Path):
    path = shared_data / "http/etherscan/standard__get_est_confirmation_time.json"
    recorded = json.loads(path.read_text())
    told = result(etherscan, "gastracker", "gasestimate", gasprice=recorded["kwargs"]["gas_price"])
    assert isinstance(recorded["res"], str)
    assert isinstance(told, str)
    assert told.isdigit()
    assert recorded["res"].isdigit()


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"chainid": ""}, "Missing or unsupported chainid parameter"),
        ({"chainid": 999_999}, "Missing or unsupported chainid parameter"),
        ({"action": "nope"}, "Error! Missing Or invalid Action name"),
        ({"action": "dailytx"}, "Sorry, it looks like you are trying to access an API Pro endpoint"),
        ({"apikey": "wrong"}, "Invalid API Key"),
    ],
)
def test_errors_come_with_200(etherscan: Simulated, asked: dict[str, Any], text: str):
    assert refused(ask(etherscan, "stats", asked.pop("action", "ethprice"), **asked)).startswith(text)


def test_wrong_keys_shut_out(etherscan: Simulated):
    etherscan.advance(31)  # the last wrong key is forgotten
    told = [refused(ask(etherscan, "stats", "ethprice", apikey="wrong")) for _ in range(5)]
    shut_out = "Too many invalid api key attempts, please try again later"
    assert told == ["Invalid API Key"] * 4 + [shut_out]
    etherscan.advance(31)
    assert refused(ask(etherscan, "stats", "ethprice", apikey="wrong")) == "Invalid API Key"
    arrivals = etherscan.http.get("/sim/ledger").json()["arrivals"]
    assert not any("apikey" in arrival["query"] for arrival in arrivals)


def test_three_calls_a_second():
    with simulated("etherscan", "/etherscan", KEY, limits=True) as etherscan:
        told = [ask(etherscan, "stats", "ethprice") for _ in range(4)]
        assert [answer["status"] for answer in told] == ["1", "1", "1", "0"]
        assert refused(told[3]) == "Max rate limit reached, please use API Key for higher rate limit"
        etherscan.advance(1)
        assert ask(etherscan, "stats", "ethprice")["status"] == "1"


def test_faults_in_its_own_words(etherscan: Simulated):
    for fault, text in (
        ("F04", "Max rate limit reached"),
        ("F05", "Query Timeout"),
        ("F08", "Invalid API Key"),
    ):
        etherscan.fault(fault, calls=1)
        assert refused(ask(etherscan, "stats", "ethprice")).startswith(text)
    assert ask(etherscan, "stats", "ethprice")["status"] == "1"
