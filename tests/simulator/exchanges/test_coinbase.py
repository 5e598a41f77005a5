"""Coinbase candles: their order, their gaps, their edges."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.simulator.exchanges.conftest import Exchanges

CANDLES = "/coinbase-ex/products/{}/candles"


def seconds(text: str) -> int:
    return round(datetime.fromisoformat(f"{text}+00:00").timestamp())


def true(bar: dict[str, Any]) -> list[Any]:
    return [
        seconds(bar["start"][:19]),
        *(Decimal(bar[name]) for name in ("low", "high", "open", "close", "volume")),
    ]


def candles(exchanges: Exchanges, product: str, granularity: int, start: str, end: str) -> list[list[Any]]:
    asked = {"granularity": granularity, "start": start, "end": end}
    rows: list[list[Any]] = exchanges.read(CANDLES.format(product), **asked)
    return rows


def test_candles_are_the_truth_newest_first(exchanges: Exchanges) -> None:
    start, end = "2026-05-28T00:00:00", "2026-05-30T00:00:00"
    bars = exchanges.truth("coinbase", start, end, product="BTC-USD", granularity="3600")["bars"]
    rows = candles(exchanges, "BTC-USD", 3600, f"{start}Z", "2026-05-29T23:00:00Z")
    assert [row for row in rows if row[0] >= seconds(start)] == [true(bar) for bar in reversed(bars)]
    assert len(bars) == 48
    assert all(isinstance(row[0], int) for row in rows)


def test_one_bucket_may_come_from_before_the_start(exchanges: Exchanges) -> None:
    early = []
    for minute in range(20, 30):
        start = f"2026-05-28T00:{minute}:00"
        rows = candles(exchanges, "ETH-USD", 60, start + "Z", "2026-05-28T00:40:00Z")
        early += [seconds(start) - row[0] for row in rows if row[0] < seconds(start)]
    assert set(early) == {60}
    assert 3 <= len(early) <= 7


def test_a_minute_without_a_trade_is_absent(exchanges: Exchanges) -> None:
    rows: list[list[Any]] = []
    for hour in range(20):
        rows += candles(
            exchanges, "BTC-USD", 60, f"2026-05-28T{hour:02}:00:00Z", f"2026-05-28T{hour:02}:59:00Z"
        )
    told = {row[0] for row in rows}
    first = seconds("2026-05-28T00:00:00")
    absent = [at for at in range(first, first + 20 * 3_600, 60) if at not in told]
    assert 3 <= len(absent) <= 30
    bars = exchanges.truth(
        "coinbase", "2026-05-28T00:00", "2026-05-28T20:00", product="BTC-USD", granularity="60"
    )["bars"]
    assert {seconds(bar["start"][:19]) for bar in bars} == {at for at in told if at >= first}
    fives = {
        row[0] for row in candles(exchanges, "BTC-USD", 300, "2026-05-28T00:00:00Z", "2026-05-28T19:55:00Z")
    }
    assert {at - at % 300 for at in absent} <= fives


def test_more_than_300_are_refused(exchanges: Exchanges) -> None:
    asked = {"granularity": 60, "start": "2026-05-28T00:00:00Z", "end": "2026-05-28T05:00:00Z"}
    assert exchanges.get(CANDLES.format("BTC-USD"), **asked).status_code == 200
    answer = exchanges.get(CANDLES.format("BTC-USD"), **asked | {"end": "2026-05-28T05:01:00Z"})
    assert answer.status_code == 400
    assert set(answer.json()) == {"message"}


def test_without_both_ends_the_newest_300(exchanges: Exchanges) -> None:
    rows = exchanges.read(CANDLES.format("BTC-USD"), granularity=3600, start="2024-01-01T00:00:00Z")
    now = round(exchanges.now().timestamp())
    assert rows[0][0] == now - now % 3600
    assert rows[-1][0] == rows[0][0] - 299 * 3600
    assert len(rows) == 300


@pytest.mark.parametrize(
    ("path", "params", "status", "text"),
    [
        (CANDLES.format("NO-USD"), {"granularity": 60}, 404, "NotFound"),
        (CANDLES.format("BTC-USD"), {"granularity": 120}, 400, "Unsupported granularity"),
        ("/coinbase-ex/nothing", {}, 404, "NotFound"),
    ],
)
def test_what_is_refused(
    exchanges: Exchanges, path: str, params: dict[str, Any], status: int, text: str
) -> None:
    answer = exchanges.get(path, **params)
    assert (answer.status_code, answer.json()) == (status, {"message": text})


def test_ten_calls_a_second_and_fifteen_at_once(exchanges: Exchanges) -> None:
    exchanges.post("/sim/limits", enforced=True)
    exchanges.advance(10)

    def ask(times: int) -> list[int]:
        return [exchanges.get("/coinbase-ex/time").status_code for _ in range(times)]

    assert ask(17) == [200] * 15 + [429] * 2
    exchanges.advance(0.5)
    assert ask(6) == [200] * 5 + [429]
    assert exchanges.get("/coinbase-ex/time").json() == {"message": "Public rate limit exceeded"}


def test_a_product(exchanges: Exchanges) -> None:
    product = exchanges.read("/coinbase-ex/products/BTC-USD")
    assert (product["id"], product["base_currency"], product["quote_currency"]) == ("BTC-USD", "BTC", "USD")
    assert product["status"] == "online"
    products = exchanges.read("/coinbase-ex/products")
    assert product in products
    assert next(p for p in products if p["id"] == "MATIC-USD")["status"] == "delisted"


def test_the_first_tick_of_the_newest_candle(exchanges: Exchanges) -> None:
    path = CANDLES.format("BTC-USD")
    right = exchanges.read(path, granularity=3600)
    exchanges.fault("F15", path)
    told = exchanges.read(path, granularity=3600)
    assert told[1:] == right[1:]
    assert told[0][1:5] == [right[0][3]] * 4
