"""The simulated exchanges hold to what was recorded of the real ones: the same names, the same kinds of value."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.exchanges.conftest import Exchanges
from tests.simulator.exchanges.test_binance_ws import COMBINED, at_second, listening


def shape(value: Any) -> Any:
    """What a value looks like: names and kinds; of numbers in texts the decimals, of times the digits."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, str) and re.fullmatch(r"-?\d+\.\d+", value):
        return "text with decimals", len(value.partition(".")[2])
    if isinstance(value, str) and value.isdigit():
        return "text of digits"
    if isinstance(value, int) and value > 10**12:
        return "time", len(str(value))
    return type(value).__name__


def frames(shared_data: Path, name: str, mark: str) -> list[Any]:
    text = (shared_data / "ticks/cryptofeed" / name).read_text()
    return [
        json.loads(line.partition(": ")[2]) for line in text.splitlines() if mark in line and ": {" in line
    ]


def test_a_kline_of_the_stream(shared_data: Path, exchanges: Exchanges) -> None:
    recorded = frames(shared_data, "BINANCE.ws.1.0", '"e":"kline"')
    assert len(recorded) == 2
    at_second(exchanges, 41)
    with listening(exchanges, COMBINED + "bnbusdt@kline_1m") as stream:
        exchanges.advance(1)
        ours = json.loads(stream.line.recv(timeout=5))
    for frame in recorded:
        ours["data"]["k"] |= {name: frame["data"]["k"][name] for name in ("f", "L")}  # ids of some size
        assert shape(ours) == shape(frame)


def test_the_rules_of_the_spot_exchange(shared_data: Path, exchanges: Exchanges) -> None:
    (recorded, *_) = frames(shared_data, "BINANCE.0", "/api/v3/exchangeInfo")
    real = next(symbol for symbol in recorded["symbols"] if symbol["symbol"] == "BTCUSDT")
    ours = exchanges.read("/binance/api/v3/exchangeInfo", symbol="BTCUSDT")
    assert set(ours) == set(recorded)
    told = ours["symbols"][0]
    assert set(told) <= set(real)
    for name in set(told) - {"filters"}:
        assert shape(told[name]) == shape(real[name]), name
    filters = {one["filterType"]: one for one in real["filters"]}
    for one in told["filters"]:
        assert shape(one) == shape(filters[one["filterType"]])
    assert told["filters"][0]["tickSize"] == filters["PRICE_FILTER"]["tickSize"]
    assert told["filters"][1]["stepSize"] == filters["LOT_SIZE"]["stepSize"]


def test_rows_of_klines(shared_data: Path, exchanges: Exchanges) -> None:
    path = shared_data / "ohlcv/hourly_binance/vision_raw/BTCUSDT-1h-2023-01.csv"
    rows = list(csv.reader(path.read_text().splitlines()))[1:]
    ours = exchanges.read("/binance/api/v3/klines", symbol="BTCUSDT", interval="1h", limit=5)
    for row in ours[:4]:
        assert len(row) == len(rows[0])
        assert row[6] - row[0] == int(rows[0][6]) - int(rows[0][0])
        assert row[11] == rows[0][11]
        assert [type(value) for value in row] == [int, *[str] * 5, int, str, int, str, str, str]


def test_funding_rates(shared_data: Path, exchanges: Exchanges) -> None:
    path = shared_data / "ohlcv/hourly_binance/BTCUSDT-funding.csv"
    rows = list(csv.DictReader(path.read_text().splitlines()))
    real = [int(row["funding_rate_timestamp"]) for row in rows]
    ours = exchanges.read("/binance-futures/fapi/v1/fundingRate", symbol="BTCUSDT", limit=len(rows))
    hours = {at // 1000 % 86_400 // 3600 for at in real}
    assert {row["fundingTime"] // 1000 % 86_400 // 3600 for row in ours} == hours == {0, 8, 16}
    largest = max(abs(float(row["funding_rate"])) for row in rows)
    assert max(abs(float(row["fundingRate"])) for row in ours) < 10 * largest


def test_a_product_of_coinbase(shared_data: Path, exchanges: Exchanges) -> None:
    text = (shared_data / "ticks/cryptofeed/COINBASE.0").read_text()
    line = next(line for line in text.splitlines() if "/products -> " in line)
    real = next(product for product in json.loads(line.partition(": ")[2]) if product["id"] == "BTC-USD")
    ours = exchanges.read("/coinbase-ex/products/BTC-USD")
    assert set(ours) <= set(real)
    for name in set(ours) - {"quote_increment", "base_increment", "min_market_funds"}:
        assert ours[name] == real[name], name
    assert ours["quote_increment"] == real["quote_increment"]


@pytest.mark.parametrize("name", ["BINANCE_FUTURES.ws.1.0"])
def test_a_kline_of_the_futures_stream_is_alike(shared_data: Path, exchanges: Exchanges, name: str) -> None:
    recorded = frames(shared_data, name, '"e":"kline"')[0]["data"]
    at_second(exchanges, 41)
    with listening(exchanges, "/ws/binance/ws/bnbusdt@kline_1m") as stream:
        exchanges.advance(1)
        ours = json.loads(stream.line.recv(timeout=5))
    assert set(ours) == set(recorded)
    assert set(ours["k"]) == set(recorded["k"])
