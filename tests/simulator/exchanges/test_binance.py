"""Binance spot as its users see it: rows, limits, bans, refusals."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.simulator.exchanges.conftest import Exchanges

KLINES = "/binance/api/v3/klines"


def ms(text: str) -> int:
    return round(datetime.fromisoformat(f"{text}+00:00").timestamp() * 1000)


def told(row: list[Any]) -> tuple[Any, ...]:
    """Open, high, low, close, volume, quote volume and trades of a row."""
    return *(Decimal(text) for text in row[1:6]), Decimal(row[7]), row[8]


def true(bar: dict[str, Any]) -> tuple[Any, ...]:
    names = ("open", "high", "low", "close", "volume", "quote_volume")
    return *(Decimal(bar[name]) for name in names), bar["trades"]


def test_klines_are_the_truth(exchanges: Exchanges) -> None:
    start, end = "2026-05-20T00:00:00", "2026-05-31T00:00:00"
    bars = exchanges.truth("binance", start, end, symbol="BTCUSDT", interval="4h")["bars"]
    rows = exchanges.read(KLINES, symbol="BTCUSDT", interval="4h", startTime=ms(start), endTime=ms(end) - 1)
    assert [told(row) for row in rows] == [true(bar) for bar in bars]
    assert [row[0] for row in rows] == [ms(bar["start"][:19]) for bar in bars]
    assert len(rows) == 66
    assert all(row[6] == row[0] + 4 * 3_600_000 - 1 for row in rows)
    assert all(row[11] == "0" and len(row) == 12 for row in rows)
    assert all(0 < Decimal(row[9]) < Decimal(row[5]) and Decimal(row[10]) < Decimal(row[7]) for row in rows)


def test_a_start_gives_the_first_rows_and_no_start_the_last(exchanges: Exchanges) -> None:
    ask = {"symbol": "ETHUSDT", "interval": "1m"}
    start = ms("2026-05-30T00:00:30")
    first = exchanges.read(KLINES, **ask, startTime=start, limit=3)
    assert [row[0] for row in first] == [start + 30_000 + 60_000 * n for n in range(3)]
    last = exchanges.read(KLINES, **ask, endTime=ms("2026-05-30T00:05:10"), limit=2)
    assert [row[0] for row in last] == [ms("2026-05-30T00:04:00"), ms("2026-05-30T00:05:00")]
    assert len(exchanges.read(KLINES, **ask)) == 500
    assert len(exchanges.read(KLINES, **ask, limit=5_000)) == 1_000


def test_the_last_row_is_open_and_grows(exchanges: Exchanges) -> None:
    row = exchanges.read(KLINES, symbol="BTCUSDT", interval="1h", limit=1)[0]
    now_ms = round(exchanges.now().timestamp() * 1000)
    assert row[0] <= now_ms <= row[6]
    exchanges.advance(61)
    later = exchanges.read(KLINES, symbol="BTCUSDT", interval="1h", limit=1)[0]
    assert later[0] == row[0]
    assert Decimal(later[5]) > Decimal(row[5])
    assert later[1] == row[1]


def test_the_first_row_is_the_listing(exchanges: Exchanges) -> None:
    first = exchanges.read(KLINES, symbol="SOLUSDT", interval="1d", startTime=0, limit=1)[0]
    assert first[0] == ms("2020-04-11T00:00:00")


def test_weeks_begin_on_monday_and_months_on_the_first(exchanges: Exchanges) -> None:
    week = exchanges.read(
        KLINES, symbol="BTCUSDT", interval="1w", startTime=ms("2026-03-01T00:00:00"), limit=1
    )
    assert week[0][0] == ms("2026-03-02T00:00:00")
    month = exchanges.read(
        KLINES, symbol="BTCUSDT", interval="1M", startTime=ms("2026-02-02T00:00:00"), limit=1
    )
    assert month[0][0] == ms("2026-03-01T00:00:00")
    assert month[0][6] == ms("2026-04-01T00:00:00") - 1


def test_microseconds_on_request(exchanges: Exchanges) -> None:
    ask: dict[str, Any] = {
        "symbol": "BTCUSDT",
        "interval": "1h",
        "limit": 2,
        "endTime": ms("2026-05-30T00:00:00"),
    }
    plain = exchanges.read(KLINES, **ask)
    ask["endTime"] *= 1000
    micro = exchanges.http.get(KLINES, params=ask, headers={"X-MBX-TIME-UNIT": "MICROSECOND"}).json()
    assert [row[0] for row in micro] == [row[0] * 1000 for row in plain]
    assert [row[6] for row in micro] == [row[6] * 1000 + 999 for row in plain]
    assert [row[1:6] for row in micro] == [row[1:6] for row in plain]


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"symbol": "NOPEUSDT", "interval": "1h"}, -1121),
        ({"symbol": "btcusdt", "interval": "1h"}, -1121),
        ({"symbol": "BTCUSDT", "interval": "1H"}, -1120),
        ({"interval": "1h"}, -1102),
        ({"symbol": "BTCUSDT"}, -1102),
        ({"symbol": "BTCUSDT", "interval": "1h", "startTime": "yesterday"}, -1100),
    ],
)
def test_what_is_refused(exchanges: Exchanges, params: dict[str, str], code: int) -> None:
    answer = exchanges.get(KLINES, **params)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert set(answer.json()) == {"code", "msg"}


def test_a_delisted_pair_is_in_a_break_and_keeps_its_history(exchanges: Exchanges) -> None:
    rule = exchanges.read("/binance/api/v3/exchangeInfo", symbol="XMRUSDT")["symbols"][0]
    assert rule["status"] == "BREAK"
    rows = exchanges.read(KLINES, symbol="XMRUSDT", interval="1h", limit=1)
    assert rows[0][0] == ms("2024-02-20T02:00:00")


def test_prices_keep_to_the_tick(exchanges: Exchanges) -> None:
    rules = exchanges.read("/binance/api/v3/exchangeInfo")["symbols"]
    assert {rule["status"] for rule in rules} == {"TRADING", "BREAK"}
    for rule in rules[:20]:
        tick = Decimal(rule["filters"][0]["tickSize"])
        lot = Decimal(rule["filters"][1]["stepSize"])
        row = exchanges.read(KLINES, symbol=rule["symbol"], interval="1d", limit=1)[0]
        assert all(Decimal(price) % tick == 0 for price in row[1:5])
        assert Decimal(row[5]) % lot == 0


def test_weights_are_counted_by_the_clock_minute_and_too_many_are_refused(exchanges: Exchanges) -> None:
    exchanges.post("/sim/limits", enforced=True)
    exchanges.advance(60 - exchanges.now().second)  # a new minute, 10 s into it
    exchanges.advance(10)
    info = "/binance/api/v3/exchangeInfo"
    used = [exchanges.get(info, symbol="BTCUSDT").headers["x-mbx-used-weight-1m"] for _ in range(300)]
    assert used == [str(20 * n) for n in range(1, 301)]
    refused = exchanges.get(KLINES, symbol="BTCUSDT", interval="1h")
    assert (refused.status_code, refused.json()["code"]) == (429, -1003)
    assert refused.headers["retry-after"] == "50"
    exchanges.advance(50)
    answer = exchanges.get(KLINES, symbol="BTCUSDT", interval="1h")
    assert (answer.status_code, answer.headers["x-mbx-used-weight-1m"]) == (200, "2")


def test_who_goes_on_is_banned_and_each_ban_is_longer(exchanges: Exchanges) -> None:
    exchanges.post("/sim/limits", enforced=True)
    exchanges.fault("F23", "/klines", per_minute=6)

    def hammer() -> list[int]:
        return [exchanges.get(KLINES, symbol="BTCUSDT", interval="1h").status_code for _ in range(9)]

    exchanges.advance(60 - exchanges.now().second)
    assert hammer() == [200] * 3 + [429] * 4 + [418] * 2
    banned = exchanges.get("/binance/api/v3/ping")
    assert (banned.status_code, banned.headers["retry-after"]) == (418, "120")
    until = round(exchanges.now().timestamp() * 1000) + 120_000
    assert f"IP banned until {until}." in banned.json()["msg"]
    exchanges.advance(119)
    assert exchanges.get("/binance/api/v3/ping").status_code == 418
    exchanges.advance(1)
    assert exchanges.get("/binance/api/v3/ping").status_code == 200
    exchanges.advance(60)
    assert hammer()[-1] == 418
    assert exchanges.get("/binance/api/v3/ping").headers["retry-after"] == "600"
    exchanges.advance(700)


def test_faults_in_binances_words(exchanges: Exchanges) -> None:
    ask = {"symbol": "BTCUSDT", "interval": "1h", "limit": 3}
    exchanges.fault("F07", KLINES, status=451)
    answer = exchanges.get(KLINES, **ask)
    assert (answer.status_code, answer.json()["code"]) == (451, 0)
    assert "restricted location" in answer.json()["msg"]
    exchanges.fault("F01", KLINES, retry_after=3)
    answer = exchanges.get(KLINES, **ask)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")
    exchanges.fault("F10", KLINES, status=503)
    assert exchanges.get(KLINES, **ask).json()["code"] == -1008
    exchanges.fault("F03", KLINES)
    answer = exchanges.get(KLINES, **ask)
    assert (answer.status_code, answer.headers["content-type"]) == (429, "text/html; charset=UTF-8")
    assert [arrival["fault"] for arrival in exchanges.ledger(KLINES)[-4:]] == ["F07", "F01", "F10", "F03"]


def test_a_ban_on_request(exchanges: Exchanges) -> None:
    exchanges.post("/sim/limits", enforced=True)
    exchanges.fault("F06", KLINES, seconds=7_200)
    ask = {"symbol": "BTCUSDT", "interval": "1h"}
    assert exchanges.get(KLINES, **ask).headers["retry-after"] == "7200"
    exchanges.advance(7_000)
    assert exchanges.get(KLINES, **ask).headers["retry-after"] == "200"
    exchanges.advance(200)
    assert exchanges.get(KLINES, **ask).status_code == 200


def test_spoilt_klines(exchanges: Exchanges) -> None:
    ask: dict[str, Any] = {
        "symbol": "BTCUSDT",
        "interval": "1h",
        "limit": 200,
        "endTime": ms("2026-05-30T00:00:00"),
    }
    right = exchanges.read(KLINES, **ask)
    exchanges.fault("F14", KLINES)
    holes = exchanges.read(KLINES, **ask)
    assert 100 < len(holes) < 200
    assert [row for row in holes if row not in right] == []
    exchanges.fault("F16", KLINES, factor=2)
    revised = exchanges.read(KLINES, **ask)
    changed = [(old, new) for old, new in zip(right, revised, strict=True) if old != new]
    assert 5 < len(changed) < 60
    assert all(Decimal(new[4]) == 2 * Decimal(old[4]) and new[0] == old[0] for old, new in changed)
    exchanges.fault("F25", KLINES, kind="microseconds")
    micro = exchanges.read(KLINES, **ask | {"endTime": ask["endTime"] * 1000})
    assert [row[0] for row in micro] == [row[0] * 1000 for row in right]
    exchanges.fault("F13", KLINES)
    doubled = exchanges.read(KLINES, **ask)
    assert len(doubled) > 200
    assert {row[0] for row in doubled} == {row[0] for row in right}
    exchanges.fault("F17", KLINES, id="BTCUSDT")
    assert exchanges.get(KLINES, **ask).json()["code"] == -1121


def test_the_first_tick_of_the_last_candle(exchanges: Exchanges) -> None:
    right = exchanges.read(KLINES, symbol="BTCUSDT", interval="1h", limit=2)
    exchanges.fault("F15", KLINES)
    told = exchanges.read(KLINES, symbol="BTCUSDT", interval="1h", limit=2)
    assert told[0] == right[0]
    assert told[1][1:5] == [right[1][1]] * 4


def test_an_id_that_was_two_coins_is_the_later_one(exchanges: Exchanges) -> None:
    rows = exchanges.read(KLINES, symbol="LUNAUSDT", interval="1h", limit=3)
    hour_ms = 3_600_000
    this_hour = round(exchanges.now().timestamp() * 1000) // hour_ms * hour_ms
    assert [row[0] for row in rows] == [this_hour - n * hour_ms for n in (2, 1, 0)]
    assert exchanges.read(KLINES, symbol="LUNAUSDT", interval="1d", startTime=0, limit=1)[0][0] == ms(
        "2022-05-31T00:00:00"
    )
