"""Funding rates and open interest: the same in every window, no further back than told."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.simulator.exchanges.conftest import Exchanges

FUNDING = "/binance-futures/fapi/v1/fundingRate"
HISTORY = "/binance-futures/futures/data/openInterestHist"
EIGHT_HOURS = 8 * 3_600_000


def ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def test_funding_rates_are_the_truth(exchanges: Exchanges) -> None:
    settled = exchanges.truth("binance-futures", "2026-03-01T00:00", "2026-05-01T00:00", symbol="BTCUSDT")[
        "funding"
    ]
    start = ms(datetime.fromisoformat("2026-03-01T00:00+00:00"))
    rows = exchanges.read(FUNDING, symbol="BTCUSDT", startTime=start, limit=183)
    assert [(row["fundingTime"], Decimal(row["fundingRate"])) for row in rows] == [
        (ms(datetime.fromisoformat(one["at"])), Decimal(one["rate"])) for one in settled
    ]
    assert len(rows) == 61 * 3
    assert all(row["fundingTime"] % EIGHT_HOURS < 20 for row in rows)
    assert len({row["fundingRate"] for row in rows}) > 50
    assert sum(row["fundingRate"] == "0.00010000" for row in rows) > 20


def test_the_newest_rates_and_those_from_a_start(exchanges: Exchanges) -> None:
    last = exchanges.read(FUNDING, symbol="ETHUSDT", limit=2)
    now_ms = ms(exchanges.now())
    assert [row["fundingTime"] // EIGHT_HOURS for row in last] == [
        now_ms // EIGHT_HOURS - 1,
        now_ms // EIGHT_HOURS,
    ]
    after = exchanges.read(FUNDING, symbol="ETHUSDT", startTime=last[0]["fundingTime"] + 1)
    assert after == last[1:]
    assert len(exchanges.read(FUNDING, symbol="ETHUSDT")) == 100
    assert len(exchanges.read(FUNDING, symbol="ETHUSDT", limit=9_999)) == 1_000


def test_mark_prices_are_near_the_spot(exchanges: Exchanges) -> None:
    told = exchanges.read("/binance-futures/fapi/v1/premiumIndex", symbol="BTCUSDT")
    spot = exchanges.read("/binance/api/v3/klines", symbol="BTCUSDT", interval="1m", limit=1)[0]
    assert Decimal(told["indexPrice"]) == Decimal(spot[4])
    assert abs(Decimal(told["markPrice"]) / Decimal(told["indexPrice"]) - 1) < Decimal("0.0004")
    assert told["nextFundingTime"] - told["time"] <= EIGHT_HOURS
    latest = exchanges.read(FUNDING, symbol="BTCUSDT", limit=1)[0]
    assert told["lastFundingRate"] == latest["fundingRate"]
    everything = exchanges.read("/binance-futures/fapi/v1/premiumIndex")
    assert told in everything
    assert "XMRUSDT" not in {row["symbol"] for row in everything}


@pytest.mark.parametrize(("period", "minutes"), [("5m", 5), ("1h", 60), ("1d", 1440)])
def test_open_interest_is_the_truth(exchanges: Exchanges, period: str, minutes: int) -> None:
    rows = exchanges.read(HISTORY, symbol="SOLUSDT", period=period, limit=12)
    now = exchanges.now()
    start = now - timedelta(minutes=minutes * 13)
    truth = exchanges.truth("binance-futures", start.isoformat(), now.isoformat(), symbol="SOLUSDT")
    held = {ms(datetime.fromisoformat(one["at"])): Decimal(one["held"]) for one in truth["open_interest"]}
    assert [row["timestamp"] % (minutes * 60_000) for row in rows] == [0] * 12
    assert [Decimal(row["sumOpenInterest"]) for row in rows] == [held[row["timestamp"]] for row in rows]
    assert rows[-1]["timestamp"] <= ms(now) < rows[-1]["timestamp"] + minutes * 60_000


def test_the_value_is_interest_times_price(exchanges: Exchanges) -> None:
    row = exchanges.read(HISTORY, symbol="BTCUSDT", period="1h", limit=1)[0]
    spot = exchanges.read(
        "/binance/api/v3/klines", symbol="BTCUSDT", interval="1h", startTime=row["timestamp"], limit=1
    )[0]
    assert Decimal(row["sumOpenInterestValue"]) == Decimal(row["sumOpenInterest"]) * Decimal(spot[1])


def test_only_thirty_days_and_the_newest_of_a_window(exchanges: Exchanges) -> None:
    now_ms = ms(exchanges.now())
    ask = {"symbol": "BTCUSDT", "period": "5m"}
    old = exchanges.get(HISTORY, **ask, startTime=now_ms - 31 * 86_400_000)
    assert (old.status_code, old.json()["code"]) == (400, -1130)
    rows = exchanges.read(
        HISTORY, **ask, startTime=now_ms - 29 * 86_400_000, endTime=now_ms - 86_400_000, limit=500
    )
    assert len(rows) == 500
    assert rows[-1]["timestamp"] == (now_ms - 86_400_000) // 300_000 * 300_000
    assert exchanges.get(HISTORY, **ask, limit=501).status_code == 400


def test_now(exchanges: Exchanges) -> None:
    told = exchanges.read("/binance-futures/fapi/v1/openInterest", symbol="BTCUSDT")
    row = exchanges.read(HISTORY, symbol="BTCUSDT", period="5m", limit=1)[0]
    assert Decimal(told["openInterest"]) == Decimal(row["sumOpenInterest"])
    assert told["time"] == ms(exchanges.now())


@pytest.mark.parametrize("symbol", ["SHIBUSDT", "USDCUSDT", "NOPE"])
def test_what_is_not_traded(exchanges: Exchanges, symbol: str) -> None:
    answer = exchanges.get(FUNDING, symbol=symbol)
    assert (answer.status_code, answer.json()) == (400, {"code": -1121, "msg": "Invalid symbol."})


def test_cheap_coins_trade_in_thousands(exchanges: Exchanges) -> None:
    told = exchanges.read("/binance-futures/fapi/v1/premiumIndex", symbol="1000SHIBUSDT")
    spot = exchanges.read("/binance/api/v3/klines", symbol="SHIBUSDT", interval="1m", limit=1)[0]
    assert abs(Decimal(told["indexPrice"]) / (1000 * Decimal(spot[4])) - 1) < Decimal("0.005")


def test_funding_has_a_limit_of_its_own(exchanges: Exchanges) -> None:
    exchanges.post("/sim/limits", enforced=True)
    told: list[Any] = [exchanges.get(FUNDING, symbol="NOPE").status_code for _ in range(502)]
    assert told == [400] * 500 + [429] * 2
    assert exchanges.get("/binance-futures/fapi/v1/time").headers["x-mbx-used-weight-1m"] == "1"


def test_a_contract_whose_pair_ended_is_not_open_any_more(exchanges: Exchanges) -> None:
    """Balancer's pair ended in April 2025: of the 30 days that are kept it has none."""
    assert exchanges.read(HISTORY, symbol="BALUSDT", period="1h") == []
    assert exchanges.read(HISTORY, symbol="BTCUSDT", period="1h") != []
