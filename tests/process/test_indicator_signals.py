from itertools import product
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_app.process.indicators.catalogue import CATALOGUE, compute
from ray_app.process.indicators.signals import (
    HISTOGRAM,
    LONG,
    PERCENT,
    RSI,
    SHORT,
    SIGNALS,
    SQUEEZE,
    bollinger_position,
    macd_crossover,
    rsi_signal,
    signals,
)
from tests.process.indicator_bars import walk

INPUTS = (RSI, HISTOGRAM, PERCENT, SQUEEZE, SHORT, LONG, "close")
BULLISH = {RSI: 25.0, HISTOGRAM: 1.5, PERCENT: -0.1, SQUEEZE: 0.0, SHORT: 9.0, LONG: 8.0, "close": 10.0}
BEARISH = {RSI: 75.0, HISTOGRAM: -2.0, PERCENT: 1.1, SQUEEZE: 1.0, SHORT: 8.0, LONG: 9.0, "close": 7.0}


def said(*rows: dict[str, Any]) -> list[dict[str, Any]]:
    frame = pl.DataFrame(
        {"start": range(len(rows)), **{name: [row[name] for row in rows] for name in INPUTS}},
        schema={"start": pl.Int64, **dict.fromkeys(INPUTS, pl.Float64)},
    )
    return signals(frame).drop("start").to_dicts()


def words(expression: pl.Expr, values: list[float | None]) -> list[str | None]:
    return pl.DataFrame({"x": values}, schema={"x": pl.Float64}).select(expression).to_series().to_list()


def test_rsi():
    values = [None, 0.0, 30.0, 30.01, 50.0, 69.99, 70.0, 100.0]
    usual = [None, "oversold", "oversold", "neutral", "neutral", "neutral", "overbought", "overbought"]
    assert words(rsi_signal(pl.col("x")), values) == usual
    assert words(rsi_signal(pl.col("x"), 20, 80), [25.0, 20.0, 75.0, 80.0]) == [
        "neutral", "oversold", "neutral", "overbought",
    ]  # fmt: skip


def test_macd_crosses_once():
    values = [-1.0, 2.0, 3.0, 0.0, 1.0, -1.0, -2.0, 0.0, -1.0, None, 1.0, 2.0]
    assert words(macd_crossover(pl.col("x")), values) == [
        None, "bullish", "none", "none", "bullish", "bearish", "none", "none", "bearish", None, None, "none",
    ]  # fmt: skip


def test_the_position_in_the_bands():
    assert words(bollinger_position(pl.col("x")), [1.01, 1.0, 0.5, 0.49, 0.0, -0.01, None]) == [
        "above_upper", "upper_half", "upper_half", "lower_half", "lower_half", "below_lower", None,
    ]  # fmt: skip


def test_all_votes_for_one_direction():
    up, down = said(BULLISH, BEARISH)
    assert up == {
        "rsi_signal": "oversold", "macd_crossover": None, "bollinger_position": "below_lower",
        "bollinger_squeeze": False, "overall_direction": "bullish", "overall_strength": 1.0,
        "overall_confidence": 1.0,
    }  # fmt: skip
    assert down == {
        "rsi_signal": "overbought", "macd_crossover": "bearish", "bollinger_position": "above_upper",
        "bollinger_squeeze": True, "overall_direction": "bearish", "overall_strength": 1.0,
        "overall_confidence": 1.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({RSI: 50.0}, ("bullish", 0.8, 0.8)),
        ({RSI: 75.0}, ("bullish", 0.6, 0.8)),
        ({RSI: 50.0, PERCENT: 0.5, HISTOGRAM: -1.0}, ("bullish", 0.2, 0.4)),
        ({RSI: 50.0, PERCENT: 0.5, HISTOGRAM: -1.0, LONG: 9.0}, ("neutral", 0.0, 0.6)),
        ({RSI: 75.0, PERCENT: 1.2, HISTOGRAM: -1.0}, ("bearish", 0.2, 0.6)),
    ],
)
def test_votes_against_each_other(changes: dict[str, float], expected: tuple[str, float, float]):
    (row,) = said(BULLISH | changes)
    assert row["overall_direction"] == expected[0]
    assert (row["overall_strength"], row["overall_confidence"]) == pytest.approx(expected[1:])


@pytest.mark.parametrize("lost", INPUTS)
def test_a_signal_without_one_of_its_inputs_is_null(lost: str):
    before, row = said(BEARISH, BULLISH | {lost: None})
    assert {name for name, value in row.items() if value is None} == {
        one.name for one in SIGNALS if lost in one.inputs
    }
    assert {name for name, value in before.items() if value is None} == {"macd_crossover"}


NUMBER = st.none() | st.floats(-200, 200)


@given(st.lists(st.fixed_dictionaries(dict.fromkeys(INPUTS, NUMBER)), min_size=1, max_size=6))
def test_the_values_are_those_that_are_said(rows: list[dict[str, Any]]):
    allowed = {one.name: one.values.split(", ") for one in SIGNALS}
    for (i, row), one in product(enumerate(said(*rows)), SIGNALS):
        value = row[one.name]
        missing = any(rows[i][name] is None for name in one.inputs)
        if one.name == "macd_crossover":
            missing |= i == 0 or rows[i - 1][HISTOGRAM] is None
        assert (value is None) == missing
        if isinstance(value, float):
            assert one.values == "0 to 1"
            assert 0 <= value <= 1
        elif value is not None:
            assert str(value).lower() in allowed[one.name]


def test_over_what_is_computed():
    bars = walk(800, seed=4)
    computed = compute(bars, [name for name in INPUTS if name != "close"], whole=True)
    found = signals(computed.with_columns(bars["close"]))
    assert found.columns == ["start", *(one.name for one in SIGNALS)]
    assert found["overall_direction"].null_count() == CATALOGUE[LONG].lookback
    assert set(found["overall_direction"].drop_nulls()) == {"bullish", "bearish", "neutral"}
    crossed = found["macd_crossover"].value_counts().drop_nulls()
    assert set(crossed["macd_crossover"]) == {"bullish", "bearish", "none"}
    assert {name for one in SIGNALS for name in one.inputs} == set(INPUTS)
