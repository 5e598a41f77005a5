from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_app.process.indicators import smoothing
from ray_app.process.indicators.catalogue import CATALOGUE, OUTPUTS, compute, outputs, rows_before
from ray_app.process.indicators.channels import bollinger
from ray_app.process.indicators.grid import DAY, NUMBERS, PRICES, Array, Bars, on_grid
from ray_app.process.indicators.momentum import rsi
from ray_app.process.indicators.output import Output
from ray_app.process.indicators.smoothing import ema_part, memory, wilder
from tests.process.indicator_bars import (
    HOUR,
    T0,
    alike,
    frame,
    moved_by_the_future,
    moved_by_the_past,
    usual_sizes,
    walk,
    without,
)

BARS = walk(4000)
BY_BARS = [one for one in OUTPUTS if not one.days]
BY_DAYS = [one for one in OUTPUTS if one.days]
VOLUMES = {one.name for one in OUTPUTS if "volume" in one.inputs}
BOUNDS = {
    "0 to 100": (0, 100),
    "0 to 1": (0, 1),
    "-1 to 1": (-1, 1),
    "-100 to 0": (-100, 0),
    "-100 to 100": (-100, 100),
    "0 or 1": (0, 1),
}


def first_value(column: pl.Series) -> int | None:
    return column.is_not_null().arg_max() if column.null_count() < len(column) else None


def test_the_catalogue_is_one_column_per_name():
    assert len(CATALOGUE) == len(OUTPUTS)
    computed = compute(BARS[:300])
    assert computed.columns == ["start", *CATALOGUE]
    assert computed["start"].equals(BARS["start"][:300])
    assert set(computed.dtypes[1:]) == {pl.Float64}


def test_the_first_value_comes_after_exactly_the_lookback():
    computed = compute(BARS, whole=True)
    assert {one.name: first_value(computed[one.name]) for one in BY_BARS} == {
        one.name: one.lookback for one in BY_BARS
    }
    for one in BY_BARS:
        assert computed[one.name][one.lookback :].null_count() == 0


def test_a_frame_that_begins_anywhere_gives_settled_values_only():
    computed = compute(BARS)
    assert {one.name: first_value(computed[one.name]) for one in BY_BARS} == {
        one.name: one.memory for one in BY_BARS
    }


def test_the_lookback_follows_the_periods():
    for made in (rsi(5), *bollinger(7, 1.5, 9)):
        assert first_value(compute(BARS[:50], [made], whole=True)[made.name]) == made.lookback
    assert rsi(5).name == "rsi_5"


@pytest.mark.parametrize(("interval", "bars"), [(HOUR, 24), (4 * HOUR, 6), (DAY, 1)])
def test_pivots_come_from_the_whole_day_before(interval: timedelta, bars: int):
    made = frame(BARS.select(NUMBERS).to_numpy()[: 3 * bars], interval)
    day = made[:bars]
    high, low, close = max(day["high"].to_list()), min(day["low"].to_list()), day["close"][-1]
    p = (high + low + close) / 3
    wanted = {
        "pivot": p, "pivot_r1": 2 * p - low, "pivot_s1": 2 * p - high, "pivot_r2": p + high - low,
        "pivot_s2": p - high + low, "pivot_r3": high + 2 * (p - low), "pivot_s3": low - 2 * (high - p),
    }  # fmt: skip
    assert set(wanted) == {one.name for one in BY_DAYS}
    computed = compute(made, wanted, whole=True)
    for name, value in wanted.items():
        assert computed[name][:bars].null_count() == bars
        assert computed[name][bars : 2 * bars].to_list() == pytest.approx([value] * bars, rel=1e-14)
        assert computed[name][2 * bars] != pytest.approx(value)
    lost = compute(without(made, bars // 2), wanted, whole=True)
    assert lost["pivot"].is_null().to_list() == [True] * 2 * bars + [False] * bars


def test_pivots_of_a_frame_that_begins_within_a_day():
    assert rows_before(["pivot"], HOUR) == 47
    assert rows_before(["pivot"], DAY) == 1
    computed = compute(BARS[7:200], ["pivot"])["pivot"]
    assert first_value(computed) == 47
    assert alike(computed[47:], compute(BARS[:200], ["pivot"], whole=True)["pivot"][54:])


def test_what_other_libraries_do_not_have():
    computed = compute(BARS, ["bb_squeeze_20_2_120", "bb_width_20_2", "volume_ratio_20"], whole=True)
    width = computed["bb_width_20_2"]
    lowest = (width == width.rolling_min(120)).cast(pl.Float64)
    assert computed["bb_squeeze_20_2_120"].equals(lowest.alias("bb_squeeze_20_2_120"))
    assert 0 < lowest.sum() < 1000
    ratio = BARS["volume"] / BARS["volume"].rolling_mean(20)
    assert computed["volume_ratio_20"].to_list()[19:] == pytest.approx(ratio.to_list()[19:], rel=1e-12)


GAP = 300


def test_after_a_gap_the_warm_up_begins_again():
    hole, after = compute(without(BARS, GAP), whole=True), compute(BARS[GAP + 1 :], whole=True)
    before = compute(BARS[:GAP], whole=True)
    for one in BY_BARS:
        assert alike(hole[one.name][:GAP], before[one.name])
        assert hole[one.name][GAP] is None
        if one.two_bars:
            assert hole[one.name].is_null().arg_true().to_list()[one.lookback :] == [GAP, GAP + one.lookback]
            continue
        assert alike(hole[one.name][GAP + 1 :], after[one.name]), one.name


def test_a_volume_that_is_not_known_is_a_gap_for_indicators_of_volume_alone():
    full, hole = compute(BARS, whole=True), compute(without(BARS, GAP, "volume"), whole=True)
    for one in BY_BARS:
        name = one.name
        if name not in VOLUMES:
            assert hole[name].equals(full[name])
            continue
        assert alike(hole[name][:GAP], full[name][:GAP])
        if one.two_bars:
            assert hole[name].is_null().arg_true().to_list()[one.lookback :] == [GAP, GAP + one.lookback]
            continue
        again = first_value(hole[name][GAP:])
        assert again is not None
        # One bar sooner where the change of a price was known on the bar after the hole.
        assert again in (one.lookback, one.lookback + 1)
        assert hole[name][GAP + again :].null_count() == 0


def test_without_volumes_indicators_of_volume_are_null_and_the_others_the_same():
    full = compute(BARS, whole=True)
    for nothing in (pl.lit(None, pl.Float64), pl.lit(float("nan")), pl.lit(-1.0)):
        computed = compute(BARS.with_columns(volume=nothing), whole=True)
        assert {name for name in VOLUMES if computed[name].null_count() < len(BARS)} == set()
        assert all(computed[name].equals(full[name]) for name in CATALOGUE if name not in VOLUMES)


RISING = frame(np.array([[100 + i / 100] * 4 + [1 + i % 3] for i in range(600)]))
# A market that moves, then hardly, then by the same step up and up: what recursive averages remember shows.
DYING = pl.concat(
    [walk(6000, seed=2, calm_from=4500), RISING.with_columns(start=pl.col("start") + 6000 * HOUR)]
)
ENDS = [4000, 4700, 5300, 6000, 6300, 6600]


@pytest.mark.parametrize("bars", [BARS, DYING], ids=["walk", "dying"])
def test_the_future_moves_no_value(bars: pl.DataFrame):
    assert moved_by_the_future(bars, list(OUTPUTS), [1, 2, 25, 250, 1111, 3999]) == set()


def test_how_much_history_was_loaded_moves_no_value():
    usual = usual_sizes(compute(DYING[:4500], whole=True))
    assert moved_by_the_past(DYING, list(OUTPUTS), ENDS, usual) == set()


def leaking(bars: Bars) -> Array:
    return np.append(bars.close[1:], np.nan)


def centred(bars: Bars) -> Array:
    return bars.close - np.nanmean(bars.close)


def since_the_first_bar(bars: Bars) -> Array:
    return np.nancumsum(bars.volume)


def started_elsewhere(bars: Bars) -> Array:
    return wilder(bars.close, 14)


def planted(function: object, seen: int = 0) -> Output:
    return Output("planted", "", "", ("close",), "price", 0, function, memory=seen)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize("function", [leaking, centred])
def test_a_leak_would_be_seen(function: object):
    assert moved_by_the_future(BARS, [planted(function)], [250, 1111]) == {"planted"}


@pytest.mark.parametrize(("function", "seen"), [(since_the_first_bar, 0), (started_elsewhere, 200)])
def test_a_memory_that_is_understated_would_be_seen(function: object, seen: int):
    assert moved_by_the_past(BARS, [planted(function, seen)], [4000], {"planted": 100.0}) == {"planted"}


def test_the_memory_is_when_the_start_has_faded():
    for parts in [(0.5,), (2 / 201,), (1 / 14, 1 / 14), (0.2, 0.1, 0.3)]:
        found = memory(*parts)
        # An average of a step: what the start still weighs is what is missing of it.
        left = {}
        for last in (found - 1, found):
            x = np.ones(last + 1)
            x[0] = 0
            for part in parts:
                start, out = 0.0, []
                for value in x:
                    start += part * (value - start)
                    out.append(start)
                x = np.array(out)
            left[last] = 1 - x[-1]
        assert left[found] <= 1.2e-13
    assert memory(0.5) == 44


def test_what_came_before_the_reach_moves_no_bit():
    whole = compute(BARS, whole=True)
    averages = [one for one in OUTPUTS if one.parts and one.reach < len(BARS) - 100]
    assert len(averages) >= 25
    for one in averages:
        part = compute(BARS[-one.reach - 20 :], [one], whole=True)[one.name]
        assert part[-20:].equals(whole[one.name][-20:]), one.name
    # Of half as many the last digits differ: averages are made of no more numbers than they need.
    half = compute(BARS[-CATALOGUE["rsi_14"].reach // 2 :], ["rsi_14"], whole=True)["rsi_14"]
    assert not half[-20:].equals(whole["rsi_14"][-20:])


NOTHING_MOVES = frame(np.tile([7.0, 7.0, 7.0, 7.0, 3.0], (700, 1)))
DIVISIONS = {  # by the movement, by the range, by the volume: null where there is none
    "price": {
        "rsi_7", "rsi_14", "stochrsi_14", "stochrsi_k_14_3", "stochrsi_d_14_3_3", "stoch_k_14", "stoch_d_14_3",
        "williams_r_14", "tsi_25_13", "ultimate_7_14_28", "cci_20", "plus_di_14", "minus_di_14", "dx_14",
        "adx_14", "bb_percent_20_2", "donchian_percent_20", "mfi_14",
    },
    "volume": {
        "vwap_14", "cmf_20", "mfi_14", "ease_14", "volume_ratio_20", "volume_roc_20", "pvo_12_26",
    },
}  # fmt: skip


def test_where_nothing_moves_there_is_no_quotient():
    computed = compute(NOTHING_MOVES, whole=True)
    assert {name for name in CATALOGUE if computed[name][-1] is None} == DIVISIONS["price"]
    still = {name: computed[name][-1] for name in CATALOGUE if name not in DIVISIONS["price"]}
    zero = {name for name, value in still.items() if value == 0}
    assert {"macd_12_26", "roc_12", "atr_14", "bb_width_20_2", "obv_200", "ad_200", "force_13"} <= zero
    seven = {name for name, value in still.items() if value == pytest.approx(7, rel=1e-14)}
    assert {"sma_20", "ema_200", "psar_240", "vwap_14", "pivot_r3"} <= seven
    assert (still["nvi_200"], still["volume_ratio_20"]) == (1000, 1)


def test_without_trading_there_is_no_quotient_by_volume():
    computed = compute(BARS[:700].with_columns(volume=pl.lit(0.0)), whole=True)
    assert {name for name in VOLUMES if computed[name][-1] is None} == DIVISIONS["volume"]
    assert {computed[name][-1] for name in VOLUMES - DIVISIONS["volume"]} == {0.0, 1000.0}


def test_a_series_that_stops_moving_has_no_rsi_from_memory():
    stopped = pl.concat([BARS[:700], NOTHING_MOVES.with_columns(start=pl.col("start") + 700 * HOUR)])
    computed = compute(stopped, ["rsi_14", "adx_14"], whole=True)
    for name in ("rsi_14", "adx_14"):
        assert computed[name][:714].null_count() == CATALOGUE[name].lookback
        assert computed[name][714:].null_count() == 686


@pytest.mark.parametrize("first", [0, 150])
def test_averages_of_a_price_that_stands_still_do_not_cross(first: int):
    numbers = BARS[:1500].select(NUMBERS).to_numpy().copy()
    numbers[300:, :4] = 0.1 + 0.7  # a number that binary digits only come near to
    names = ["macd_12_26", "macd_histogram_12_26_9", "ppo_12_26", "ppo_histogram_12_26_9"]
    computed = compute(frame(numbers)[first:], names, whole=True)
    for name in names:
        moving, still = computed[name][60 : 300 - first], computed[name][-200:]
        assert (moving != 0).all()
        assert (still == 0).all()


ODD = st.sampled_from(
    [None, float("nan"), float("inf"), -float("inf"), 0.0, -1.0, 5e-324, 1e-300, 1e308, 1e150]
)
NUMBER = st.floats(min_value=0.5, max_value=2) | ODD
ROWS = st.lists(st.tuples(*[NUMBER] * 5), max_size=12)


@settings(max_examples=40, deadline=None)
@given(ROWS, st.integers(0, 400))
def test_whatever_the_numbers_are_there_is_a_number_or_nothing(rows: list[tuple[float, ...]], at: int):
    hostile = np.array(rows, dtype=float).reshape(-1, 5)
    calm = BARS[:400].select(NUMBERS).to_numpy()
    made = frame(np.concatenate([calm[:at], hostile, calm[at:]]))
    computed = compute(made, whole=True)
    assert computed["start"].equals(made["start"])
    assert all(computed[name].is_finite().all() for name in CATALOGUE)


FEW_PRICES, FEW_VOLUMES = st.sampled_from([1.0, 1.01, 1.02, 1.5, 900.0]), st.sampled_from([0.0, 1.0, 7.0])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(*[FEW_PRICES] * 4, FEW_VOLUMES), min_size=1, max_size=90))
def test_what_has_bounds_stays_within(rows: list[tuple[float, ...]]):
    numbers = np.array(rows)
    numbers[:, 1], numbers[:, 2] = numbers[:, :4].max(axis=1), numbers[:, :4].min(axis=1)
    made = frame(numbers)
    computed = compute(made, whole=True)
    for one in OUTPUTS:
        low, high = BOUNDS.get(one.unit, (-np.inf, np.inf))
        known = computed[one.name].drop_nulls()
        assert known.is_between(low - 1e-9, high + 1e-9).all(), one.name
    cut = len(rows) // 2 + 1
    assert moved_by_the_future(made, list(OUTPUTS), [cut]) == set()


@pytest.mark.parametrize("count", [0, 1, 2])
def test_hardly_any_bars(count: int):
    computed = compute(BARS[:count], whole=True)
    assert computed.height == count
    known = {name for name in CATALOGUE if computed[name].null_count() < count}
    assert known == ({"true_range", "psar_240"} if count == 2 else set())


def test_a_bar_that_cannot_be_a_price_is_a_gap():
    lost = compute(without(BARS[:900], GAP), whole=True)
    for name in PRICES:
        for odd in (float("nan"), float("inf"), 0.0, -5.0):
            hole = pl.int_range(pl.len()) == GAP
            made = BARS[:900].with_columns(pl.when(hole).then(odd).otherwise(pl.col(name)).alias(name))
            assert compute(made, whole=True).equals(lost)


def test_gaps_are_put_in_on_the_grid():
    bars = BARS[[5, 0, 1, 4]].with_columns(pl.col("close").cast(pl.Decimal(20, 8)))
    grid = on_grid(bars, HOUR)
    assert grid["start"].to_list() == [T0 + i * HOUR for i in range(6)]
    assert grid["close"].to_list() == [*BARS["close"][:2], None, None, *BARS["close"][4:6]]
    assert on_grid(BARS, HOUR).equals(BARS)
    assert on_grid(BARS[:0], HOUR).height == 0
    assert compute(on_grid(BARS[:0], HOUR)).height == 0


def test_what_is_no_grid_is_refused():
    with pytest.raises(ValueError, match="grid of 4:00:00"):
        on_grid(BARS, 4 * HOUR)
    with pytest.raises(ValueError, match="no other has"):
        on_grid(BARS[[0, 0]], HOUR)
    with pytest.raises(ValueError, match="lack the columns volume"):
        on_grid(BARS.drop("volume"), HOUR)
    with pytest.raises(ValueError, match="lack the columns open"):
        compute(BARS.drop("open"))
    for rows in ([0, 1, 3], [1, 0], [0, 0]):
        with pytest.raises(ValueError, match="put the gaps in with on_grid"):
            compute(BARS[rows])
    with pytest.raises(ValueError, match="do not divide a day"):
        compute(frame(BARS.select(NUMBERS).to_numpy()[:5], 5 * HOUR))
    with pytest.raises(ValueError, match="no indicator 'rsi'"):
        compute(BARS, ["sma_20", "rsi"])


def test_only_what_is_asked_for_and_in_that_order():
    asked = ["sma_20", "rsi_14", "ema_12"]
    assert compute(BARS, asked).columns == ["start", *asked]
    assert [one.name for one in outputs(asked)] == asked
    assert rows_before(asked, HOUR) == CATALOGUE["rsi_14"].memory == 14 + smoothing.memory(1 / 14)
    assert rows_before([], HOUR) == 0
    assert CATALOGUE["ema_12"].memory == 11 + memory(ema_part(12))


def test_prices_that_add_up_to_the_same_are_no_flow_of_money():
    """0.2559 + 0.2554 + 0.2557 and 0.2562 + 0.2552 + 0.2556 differ by a bit as floats, and by nothing as prices."""
    highs, lows, closes = [0.2559, 0.2562] * 20, [0.2554, 0.2552] * 20, [0.2557, 0.2556] * 20
    start = pl.datetime_range(T0, T0 + 39 * HOUR, HOUR, time_unit="us", eager=True)
    bars = pl.DataFrame(
        {"start": start, "open": closes, "high": highs, "low": lows, "close": closes, "volume": 1.0}
    )
    assert compute(bars)["mfi_14"].null_count() == 40
