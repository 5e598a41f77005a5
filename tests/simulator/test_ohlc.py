"""/ohlc and /ohlc/range: sizes, times at the close, the candle that forms, and agreement with the truth."""

from datetime import datetime
from decimal import Decimal
from itertools import pairwise

import pytest

from ray_app.simulator.clock import instant

HOUR, DAY = 3_600_000, 86_400_000
NOW = 1_780_308_201_000  # 2026-06-01T10:03:21Z


def candles_of(bars):
    """Truth bars as candles, stamped at their ends."""
    names = ("open", "high", "low", "close")
    return [
        [
            round(datetime.fromisoformat(bar["end"]).timestamp() * 1000),
            *(Decimal(bar[name]) for name in names),
        ]
        for bar in bars
    ]


@pytest.mark.parametrize(
    ("days", "minutes", "count"),
    [
        (1, 30, 48),
        (7, 240, 42),
        (14, 240, 84),
        (30, 240, 180),
        (90, 5_760, 22),
        (180, 5_760, 45),
        (365, 5_760, 91),
    ],
)
def test_sizes_follow_the_span(paid, days, minutes, count):
    candles = paid.read("/coins/bitcoin/ohlc", vs_currency="usd", days=days)
    stamps = [candle[0] for candle in candles]
    length = minutes * 60_000
    assert len(stamps) == count
    assert {b - a for a, b in pairwise(stamps)} == {length}
    assert stamps[-1] == NOW // length * length + length  # the end of the one that forms


def test_an_interval_is_for_paid_plans(paid, demo):
    hourly = paid.read("/coins/bitcoin/ohlc", vs_currency="usd", days=7, interval="hourly")
    assert len(hourly) == 168
    assert hourly[-1][0] == 1_780_311_600_000  # 11:00
    assert paid.get("/coins/bitcoin/ohlc", vs_currency="usd", days=180, interval="hourly").status_code == 400
    assert len(paid.read("/coins/bitcoin/ohlc", vs_currency="usd", days=180, interval="daily")) == 180
    refused = demo.get("/coins/bitcoin/ohlc", vs_currency="usd", days=7, interval="hourly")
    assert (refused.status_code, refused.json()["status"]["error_code"]) == (401, 10005)
    assert demo.get("/coins/bitcoin/ohlc", vs_currency="usd", days=8).status_code == 400


def test_a_range_is_31_days_of_hours_and_equals_the_truth(paid):
    asked = {"vs_currency": "usd", "interval": "hourly", "from": "2026-04-01", "to": "2026-05-02"}
    candles = paid.read("/coins/bitcoin/ohlc/range", **asked)
    assert len(candles) == 744
    assert candles == candles_of(paid.truth("bitcoin", "2026-04-01T00:00", "2026-05-02T00:00"))
    too_long = paid.get("/coins/bitcoin/ohlc/range", **(asked | {"to": "2026-05-02T01:00"}))
    assert too_long.status_code == 400
    daily = asked | {"interval": "daily", "from": "2025-11-03"}
    assert paid.read("/coins/bitcoin/ohlc/range", **daily) == candles_of(
        paid.truth("bitcoin", "2025-11-03T00:00", "2026-05-02T00:00", "daily")
    )
    assert paid.get("/coins/bitcoin/ohlc/range", **(daily | {"from": "2025-11-02"})).status_code == 400


def test_the_end_of_a_range_may_be_left_out(start):
    simulator = start(limits=False, ohlc_end_included=False)
    candles = simulator.read("/coins/bitcoin/ohlc/range", vs_currency="usd", interval="hourly",
                             **{"from": "2026-05-01"}, to="2026-05-02")  # fmt: skip
    assert [instant(candle[0]).hour for candle in candles] == list(range(24))


def test_a_shorter_range_includes_the_candle_stamped_at_its_start(paid):
    """As in upstream's own example: from 2025-12-01 gives a first candle stamped 2025-12-01T00:00."""
    candles = paid.read("/coins/bitcoin/ohlc/range", vs_currency="usd", interval="hourly",
                        **{"from": "2026-05-01"}, to="2026-05-01T03:00")  # fmt: skip
    assert [instant(candle[0]).hour for candle in candles] == [0, 1, 2, 3]
    assert candles == candles_of(paid.truth("bitcoin", "2026-04-30T23:00", "2026-05-01T03:00"))


def test_the_last_candle_still_forms(paid):
    asked = {"vs_currency": "usd", "interval": "hourly", "from": "2026-06-01T08:00", "to": "2026-06-01T12:00"}
    forming = paid.read("/coins/bitcoin/ohlc/range", **asked)[-1]
    assert forming[0] == 1_780_311_600_000
    so_far = paid.truth("bitcoin", "2026-06-01T10:00", "2026-06-01T10:05", "5m")
    assert forming[1:] == [Decimal(so_far[0]["open"])] * 4
    paid.advance(3_600)
    final = [c for c in paid.read("/coins/bitcoin/ohlc/range", **asked) if c[0] == forming[0]]
    assert final == candles_of(paid.truth("bitcoin", "2026-06-01T10:00", "2026-06-01T11:00"))
    assert final[0] != forming


def test_ranges_need_the_plan_and_the_parameters(paid, demo):
    asked = {"vs_currency": "usd", "interval": "hourly", "from": "2026-05-01", "to": "2026-05-02"}
    assert demo.get("/coins/bitcoin/ohlc/range", **asked).json()["status"]["error_code"] == 10005
    for missing in asked:
        answer = paid.get("/coins/bitcoin/ohlc/range", **{k: v for k, v in asked.items() if k != missing})
        assert (answer.status_code, answer.json()) == (422, {"error": f"Missing parameter {missing}"})


def test_nothing_before_the_first_candles(paid):
    candles = paid.read("/coins/bitcoin/ohlc/range", vs_currency="usd", interval="hourly",
                        **{"from": "2018-02-08"}, to="2018-02-10")  # fmt: skip
    assert candles[0][0] == 1_518_134_400_000  # 9 February 2018
    assert not paid.read("/coins/bitcoin/ohlc/range", vs_currency="usd", interval="hourly",
                         **{"from": "2017-02-08"}, to="2017-02-10")  # fmt: skip


def test_a_coins_currency_is_a_ratio_of_paths(paid):
    candles = paid.read("/coins/bitcoin/ohlc", vs_currency="btc", days=1)
    assert {value for candle in candles for value in candle[1:]} == {Decimal("1.0")}
    eth = paid.read("/coins/ethereum/ohlc", vs_currency="btc", days=1)
    assert all(0 < c[3] <= c[1] <= c[2] < 1 for c in eth)


def test_digits_survive(paid):
    tiny = paid.read("/coins/sim-coin-00004/ohlc/range", vs_currency="usd", interval="hourly",
                     **{"from": "2026-05-01"}, to="2026-05-02")  # fmt: skip
    assert tiny == candles_of(paid.truth("sim-coin-00004", "2026-04-30T23:00", "2026-05-02T00:00"))
    assert max(len(value.as_tuple().digits) for value in tiny[0][1:]) >= 15
    assert tiny[0][1] < Decimal("1e-10")
    rounded = paid.read("/coins/bitcoin/ohlc", vs_currency="usd", days=1, precision="2")
    assert all(value == round(value, 2) for candle in rounded for value in candle[1:])


def test_an_id_that_was_given_up_tells_its_history_and_nothing_else(start):
    """MATIC's id until the day on which POL took over; both are the same coin."""
    paid = start(limits=False, coins=100, listings=None)
    asked = {"vs_currency": "usd", "interval": "hourly", "from": "2024-09-03", "to": "2024-09-05"}
    given_up = 1_725_408_000_000  # 2024-09-04
    old = paid.read("/coins/matic-network/ohlc/range", **asked)
    new = paid.read("/coins/polygon-ecosystem-token/ohlc/range", **asked)
    assert old == [row for row in new if row[0] <= given_up]
    assert (old[-1][0], len(new) - len(old)) == (given_up, 24)
    chart = paid.read("/coins/matic-network/market_chart/range", **asked)["prices"]
    assert given_up - 3_600_000 < chart[-1][0] < given_up
    for path, more in (("ohlc", {"days": "1"}), ("market_chart", {"days": "1"})):
        answer = paid.get(f"/coins/matic-network/{path}", vs_currency="usd", **more)
        assert answer.status_code == 404
    assert paid.read("/simple/price", ids="matic-network", vs_currencies="usd") == {}
    assert "matic-network" in {coin["id"] for coin in paid.read("/coins/list", status="inactive")}
