"""Kraken: never more than its newest candles, errors in good answers, names of its own."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from tests.simulator.exchanges.conftest import Exchanges

OHLC = "/kraken/0/public/OHLC"


def result(exchanges: Exchanges, **params: Any) -> dict[str, Any]:
    answer = exchanges.read(OHLC, **params)
    assert answer["error"] == []
    told: dict[str, Any] = answer["result"]
    return told


def test_the_newest_720_and_the_open_one(exchanges: Exchanges) -> None:
    told = result(exchanges, pair="XBTUSD", interval=60)
    rows, now = told["XXBTZUSD"], round(exchanges.now().timestamp())
    assert [row[0] for row in rows] == list(range(now - now % 3600 - 720 * 3600, now + 1, 3600))
    assert told["last"] == rows[-2][0]


def test_rows_are_the_truth(exchanges: Exchanges) -> None:
    rows = {row[0]: row for row in result(exchanges, pair="XBTUSD", interval=60)["XXBTZUSD"]}
    now = exchanges.now()
    bars = exchanges.truth(
        "kraken", (now - timedelta(days=20)).isoformat(), now.isoformat(), pair="XBTUSD", interval="60"
    )["bars"]
    final = [bar for bar in bars if bar["final"]]
    assert len(final) > 470
    for bar in final:
        row = rows[round(datetime.fromisoformat(bar["start"]).timestamp())]
        names = ("open", "high", "low", "close")
        assert [Decimal(text) for text in row[1:5]] == [Decimal(bar[name]) for name in names]
        assert Decimal(row[6]) == Decimal(bar["volume"])
        assert row[7] == bar["trades"]
        vwap = Decimal(bar["quote_volume"]) / Decimal(bar["volume"])
        assert abs(Decimal(row[5]) - vwap) < Decimal("0.02")


def test_since_reaches_no_further_back(exchanges: Exchanges) -> None:
    everything = result(exchanges, pair="XBTUSD", interval=1)["XXBTZUSD"]
    assert result(exchanges, pair="XBTUSD", interval=1, since=1_500_000_000)["XXBTZUSD"] == everything
    since = everything[-3][0]
    assert result(exchanges, pair="XBTUSD", interval=1, since=since)["XXBTZUSD"] == everything[-2:]


def test_a_minute_without_a_trade_is_flat(exchanges: Exchanges) -> None:
    rows = result(exchanges, pair="SOLUSD", interval=1)["SOLUSD"]
    flat = [(before, row) for before, row in pairwise(rows) if row[7] == 0]
    assert 5 <= len(flat) <= 70
    for before, row in flat:
        assert row[1:5] == [before[4]] * 4
        assert row[6] == "0.00000000"


@pytest.mark.parametrize("name", ["XBTUSD", "XXBTZUSD", "XBT/USD"])
def test_the_result_goes_by_the_long_name(exchanges: Exchanges, name: str) -> None:
    assert set(result(exchanges, pair=name, interval=60)) == {"XXBTZUSD", "last"}


@pytest.mark.parametrize(
    ("path", "params", "error"),
    [
        (OHLC, {"pair": "NOPEUSD"}, "EQuery:Unknown asset pair"),
        (OHLC, {"pair": "MKRUSD"}, "EQuery:Unknown asset pair"),
        (OHLC, {"pair": "XBTUSD", "interval": 2}, "EGeneral:Invalid arguments"),
        ("/kraken/0/public/Nothing", {}, "EGeneral:Unknown method"),
    ],
)
def test_errors_come_in_good_answers(
    exchanges: Exchanges, path: str, params: dict[str, Any], error: str
) -> None:
    answer = exchanges.get(path, **params)
    assert (answer.status_code, answer.json()) == (200, {"error": [error]})


def test_a_call_a_second(exchanges: Exchanges) -> None:
    exchanges.post("/sim/limits", enforced=True)
    exchanges.advance(20)
    told = [exchanges.get("/kraken/0/public/Time").json()["error"] for _ in range(12)]
    assert told == [[]] * 10 + [["EGeneral:Too many requests"]] * 2
    exchanges.advance(1)
    assert exchanges.get("/kraken/0/public/Time").json()["error"] == []


def test_faults_in_krakens_words(exchanges: Exchanges) -> None:
    exchanges.fault("F05", OHLC)
    answer = exchanges.get(OHLC, pair="XBTUSD", interval=60)
    assert (answer.status_code, answer.json()) == (200, {"error": ["EService:Unavailable"]})
    right = result(exchanges, pair="XBTUSD", interval=60)["XXBTZUSD"]
    exchanges.fault("F15", OHLC)
    told = result(exchanges, pair="XBTUSD", interval=60)["XXBTZUSD"]
    assert told[:-1] == right[:-1]
    assert told[-1][1:5] == [right[-1][1]] * 4
    exchanges.fault("F20", OHLC, hours=5)
    old = result(exchanges, pair="XBTUSD", interval=60)["XXBTZUSD"]
    assert old[-1][0] == right[-1][0] - 5 * 3600


def test_pairs(exchanges: Exchanges) -> None:
    pairs = exchanges.read("/kraken/0/public/AssetPairs")["result"]
    assert pairs["XXBTZUSD"]["altname"] == "XBTUSD"
    assert "MKRUSD" not in pairs
    assert exchanges.now() > datetime(2025, 9, 1, tzinfo=UTC)
