"""/market_chart and its range: the granularity table, times off the grid, the tail, the walls."""

from collections import Counter
from decimal import Decimal
from itertools import pairwise

import pytest

from ray_app.simulator.clock import instant

DAY, HOUR, FIVE = 86_400_000, 3_600_000, 300_000
NOW = 1_780_308_201_000  # 2026-06-01T10:03:21Z


def times(chart):
    """The times of a chart; its three arrays must agree on them."""
    one, two, three = (
        [point[0] for point in chart[name]] for name in ("prices", "market_caps", "total_volumes")
    )
    assert one == two == three
    return one


def spacing(chart):
    """The usual distance between points, as a name."""
    found = times(chart)
    gaps = Counter(round((b - a) / FIVE) * FIVE for a, b in pairwise(found))
    return {FIVE: "5m", HOUR: "hourly", DAY: "daily"}[gaps.most_common(1)[0][0]]


@pytest.mark.parametrize(
    ("days", "expected"),
    [(1, "5m"), (2, "hourly"), (90, "hourly"), (91, "daily"), (365, "daily"), ("max", "daily")],
)
def test_spacing_follows_the_span(paid, days, expected):
    assert spacing(paid.read("/coins/bitcoin/market_chart", vs_currency="usd", days=days)) == expected


@pytest.mark.parametrize(
    ("from_", "to", "expected"),
    [
        (NOW - DAY, NOW, "5m"),
        (NOW - DAY - 7 * DAY, NOW - 7 * DAY, "hourly"),  # a day, but not the last one
        (NOW - 3 * DAY, NOW, "hourly"),
        (NOW - 90 * DAY, NOW, "hourly"),
        (NOW - 91 * DAY, NOW, "daily"),
        (NOW - 500 * DAY, NOW - 480 * DAY, "hourly"),
    ],
)
def test_the_spacing_of_a_range_follows_its_span_and_place(paid, from_, to, expected):
    chart = paid.read(
        "/coins/bitcoin/market_chart/range", vs_currency="usd", **{"from": from_ // 1000}, to=to // 1000
    )
    assert spacing(chart) == expected
    assert all(from_ - 1000 <= t <= to for t in times(chart))


def test_an_interval_may_be_asked_for(paid, demo):
    asked = {"vs_currency": "usd", "days": 7}
    assert spacing(paid.read("/coins/bitcoin/market_chart", interval="daily", **asked)) == "daily"
    assert (
        spacing(demo.read("/coins/bitcoin/market_chart", interval="hourly", vs_currency="usd", days=1))
        == "hourly"
    )
    hundred = paid.read("/coins/bitcoin/market_chart", vs_currency="usd", days=100, interval="hourly")
    assert spacing(hundred) == "hourly"
    assert (
        paid.get("/coins/bitcoin/market_chart", vs_currency="usd", days=101, interval="hourly").status_code
        == 400
    )
    refused = paid.get("/coins/bitcoin/market_chart", interval="5m", **asked)
    assert (refused.status_code, refused.json()["status"]["error_code"]) == (401, 401)
    assert demo.get("/coins/bitcoin/market_chart", interval="5m", **asked).status_code == 401


def test_the_enterprise_plan_may_ask_for_five_minutes(start):
    simulator = start("enterprise", limits=False)
    asked = {"vs_currency": "usd", "interval": "5m"}
    assert spacing(simulator.read("/coins/bitcoin/market_chart", days=10, **asked)) == "5m"
    assert simulator.get("/coins/bitcoin/market_chart", days=11, **asked).status_code == 400


def test_points_are_off_the_grid_but_told_at_the_price_in_force(paid):
    for days, interval_ms in ((1, FIVE), (30, HOUR)):
        chart = paid.read("/coins/bitcoin/market_chart", vs_currency="usd", days=days)
        truth = {
            bar["start"]: bar for bar in paid.truth("bitcoin", "2026-05-01T00:00", "2026-06-01T12:00", "5m")
        }
        on_grid = 0
        for (at, price), (_, cap), (_, volume) in zip(*chart.values(), strict=True):
            bar = truth[instant(at // FIVE * FIVE).isoformat()]
            assert price == Decimal(bar["open"])
            assert cap in (None, Decimal(bar["market_cap"]))
            assert volume == Decimal(bar["volume_24h"])
            on_grid += at % interval_ms == 0
        assert on_grid == 0


def test_some_hours_have_two_points_and_rarely_time_steps_back(start):
    """In many charts together, since it is rare in each."""
    simulator, doubled, back, late = start(coins=12, limits=False), 0, 0, 0
    for coin in simulator.read("/coins/list"):
        if coin["id"].startswith("sim-"):
            chart = simulator.read(f"/coins/{coin['id']}/market_chart", vs_currency="usd", days=90)
            found = times(chart)
            buckets = Counter(t // HOUR for t in found)
            assert len(buckets) >= 90 * 24 - 1  # no hour is missing
            doubled += sum(n > 1 for n in buckets.values())
            gaps = [b - a for a, b in pairwise(found)]
            back += gaps.count(-1000)
            late += sum(gap > 1.4 * HOUR for gap in gaps)
            assert all(gap >= -1000 for gap in gaps)
    assert doubled > 10
    assert back > 10
    assert late > 10


def test_the_last_point_is_now(paid):
    for days in (1, 30, 365):
        chart = paid.read("/coins/bitcoin/market_chart", vs_currency="usd", days=days)
        now = paid.read("/simple/price", ids="bitcoin", vs_currencies="usd", precision="full",
                        include_last_updated_at="true")["bitcoin"]  # fmt: skip
        at, price = chart["prices"][-1]
        assert price == now["usd"]
        assert at // 1000 == now["last_updated_at"]
        assert NOW - 60_000 <= at <= NOW
    past = paid.read(
        "/coins/bitcoin/market_chart/range", vs_currency="usd", **{"from": "2026-05-01"}, to="2026-05-09"
    )
    assert times(past)[-1] <= 1_778_284_800_000


def test_a_day_is_told_some_minutes_after_its_end(start):
    from datetime import UTC, datetime

    simulator = start(start=datetime(2026, 6, 2, 0, 9, tzinfo=UTC), limits=False)
    midnight = 1_780_358_400_000

    def last_days():
        chart = simulator.read("/coins/bitcoin/market_chart", vs_currency="usd", days=100)
        span = simulator.read("/coins/bitcoin/market_chart/range", vs_currency="usd",
                              **{"from": "2026-01-01"}, to="2026-06-02T02:00")  # fmt: skip
        candles = simulator.read("/coins/bitcoin/ohlc/range", vs_currency="usd", interval="daily",
                                 **{"from": "2026-05-01"}, to="2026-06-02T02:00")  # fmt: skip
        return (
            midnight in times(chart),
            midnight in times(span),
            midnight in [candle[0] for candle in candles],
        )

    assert last_days() == (False, False, False)
    simulator.advance(120)  # 00:11
    assert last_days()[:2] == (True, False)
    simulator.advance(1_800)  # 00:41, and the copies of 00:09 are gone
    assert last_days() == (True, True, True)


def test_the_public_hosts_stop_at_365_days(demo, start):
    keyless = start("keyless", limits=False)
    for simulator in (demo, keyless):
        for path, params in (
            ("market_chart", {"days": 366}),
            ("market_chart", {"days": "max"}),
            ("market_chart/range", {"from": NOW // 1000 - 366 * 86_400, "to": NOW // 1000}),
            ("ohlc", {"days": "max"}),
            ("history", {"date": "01-05-2025"}),
        ):
            answer = simulator.get(f"/coins/bitcoin/{path}", vs_currency="usd", **params)
            assert answer.status_code == 401
            assert answer.json()["error"]["status"]["error_code"] == 10012
            assert "past 365 days" in answer.json()["error"]["status"]["error_message"]
        assert simulator.get("/coins/bitcoin/market_chart", vs_currency="usd", days=365).status_code == 200


def test_the_basic_plan_stops_at_two_years(start):
    basic = start("basic", limits=False)
    asked = {"vs_currency": "usd", "to": NOW // 1000}
    assert (
        basic.get("/coins/bitcoin/market_chart/range", **{"from": "2024-06-03"}, **asked).status_code == 200
    )
    assert (
        basic.get("/coins/bitcoin/market_chart/range", **{"from": "2024-05-01"}, **asked).status_code == 401
    )
    assert (
        basic.get(
            "/coins/bitcoin/ohlc/range", interval="daily", **{"from": "2026-05-01"}, **asked
        ).status_code
        == 401
    )


def test_each_host_reads_its_own_times(paid, demo):
    asked = {"vs_currency": "usd", "to": NOW // 1000}
    path = "/coins/bitcoin/market_chart/range"
    for given in ("2026-05-20", "2026-05-20T00:00", "1779235200"):
        assert times(paid.read(path, **{"from": given}, **asked))[0] // DAY == 1_779_235_200_000 // DAY
    assert demo.get(path, **{"from": "1779235200"}, **asked).status_code == 200
    assert demo.get(path, **{"from": "2026-05-20"}, **asked).status_code == 400
    assert paid.get(path, **{"from": "2026-05-20T00:00:00Z"}, **asked).status_code == 400
    # The public host's range knows no interval: it goes by the span.
    assert spacing(demo.read(path, interval="daily", **{"from": "1779235200"}, **asked)) == "hourly"


def test_an_empty_window_is_three_empty_arrays(paid):
    chart = paid.read(
        "/coins/bitcoin/market_chart/range", vs_currency="usd", **{"from": "2011-01-01"}, to="2011-01-05"
    )
    assert chart == {"prices": [], "market_caps": [], "total_volumes": []}


def test_caps_may_be_null(paid):
    chart = paid.read(
        "/coins/bitcoin/market_chart/range", vs_currency="usd", **{"from": "2017-01-01"}, to="2017-12-01"
    )
    assert [1_491_091_200_000, None] in chart["market_caps"]
    assert all(cap is None or cap > 0 for _, cap in chart["market_caps"])
    capless = paid.read("/coins/sim-coin-00006/market_chart", vs_currency="usd", days=30)
    assert {cap for _, cap in capless["market_caps"]} == {None}
    assert None not in {price for _, price in capless["prices"]}


def test_overlapping_windows_agree(paid):
    one = paid.read(
        "/coins/bitcoin/market_chart/range", vs_currency="usd", **{"from": "2026-03-01"}, to="2026-04-15"
    )
    two = paid.read(
        "/coins/bitcoin/market_chart/range", vs_currency="usd", **{"from": "2026-04-01"}, to="2026-05-15"
    )
    for name in one:
        shared = [p for p in one[name] if p[0] >= 1_775_001_600_000]
        assert shared == two[name][: len(shared)]
        assert len(shared) > 330
