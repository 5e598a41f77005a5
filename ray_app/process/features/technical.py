"""Features made of technical indicators (docs/indicators.md).

An indicator that remembers its start (an EMA, an RSI) is worked out from a fixed hour on: ANCHOR hours are one block
since 1970, and the values of a block come from a run that begins with the block before. So the value of an hour is
made by the same operations in every frame that reaches back so far, equal to the last digit, and what came earlier
would weigh less than 1e-13. Indicators of a window need no such thing.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ray_app.process.features.feature import Feature, Formula
from ray_app.process.features.inputs import Inputs
from ray_app.process.indicators.catalogue import CATALOGUE
from ray_app.process.indicators.grid import NUMBERS, START, Array, Bars
from ray_app.process.indicators.windows import change, prior, ratio

ANCHOR = 1024  # hours


def indicator_of(one: Inputs, name: str) -> Array:
    """The indicator of the catalogue; NaN where there is none or the frame does not reach back far enough."""
    output = CATALOGUE[name]
    if not output.recursive:
        return one.own.find(output.function, *output.parameters)
    place, bars = one.keep(("blocks",), lambda: blocks(one))
    found = np.append(bars.find(output.function, *output.parameters), np.nan)
    return found[place]


def blocks(one: Inputs) -> tuple[NDArray[np.int64], Bars]:
    """Every block after the one before it, a gap between one run and the next, and where in them each row is; -1 past
    their end, for rows of a block before which the frame lacks bars.

    The gap ends what an indicator remembers. None of them looks past it: beside averages they compare neighbours.
    """
    shared, own = one.shared, one.own
    whole = one.listed is not None and one.listed >= shared.start
    count, length, rows = len(shared.at), 0, []
    place = np.full(count, -1)
    for block in range(shared.first // ANCHOR, (shared.first + count - 1) // ANCHOR + 1):
        first, begin = block * ANCHOR - shared.first, (block - 1) * ANCHOR - shared.first
        if begin < 0 and not whole:
            continue
        first, begin, end = max(first, 0), max(begin, 0), min(first + ANCHOR, count)
        place[first:end] = np.arange(first, end) - begin + length
        rows += [np.arange(begin, end), np.array([count])]
        length += end - begin + 1
    taken = np.concatenate(rows) if rows else np.empty(0, np.int64)
    nowhere = pl.Series("start", [None], dtype=START).new_from_index(0, len(taken))
    numbers = {name: np.append(getattr(own, name), np.nan)[taken] for name in NUMBERS}
    return place, Bars(nowhere, own.interval, **numbers)


def by_close_of(one: Inputs, name: str) -> Array:
    return 100 * ratio(one.find(indicator_of, name), one.own.close)


def distance_of(one: Inputs, name: str) -> Array:
    """How far the close lies from a price."""
    line = one.find(indicator_of, name)
    return 100 * ratio(one.own.close - line, line)


def slope_of(one: Inputs, name: str) -> Array:
    line = one.find(indicator_of, name)
    return 100 * ratio(change(line), prior(line))


def _plain(indicator: str, name: str = "") -> Feature:
    output = CATALOGUE[indicator]
    return _feature(name or indicator, indicator, output.formula, output.unit, indicator_of)


def _feature(name: str, indicator: str, formula: str, unit: str, function: Formula, more: int = 0) -> Feature:
    output = CATALOGUE[indicator]
    bars = 2 * ANCHOR if output.recursive else output.lookback
    return Feature(name, "technical", formula, ("bars",), unit, bars + more, function, (indicator,),
                   version=output.version)  # fmt: skip


def _distance(indicator: str) -> Feature:
    return _feature(
        f"{indicator}_distance", indicator, f"100 (close - {indicator}) / {indicator}", "percent", distance_of
    )


def _slope(indicator: str) -> Feature:
    formula = f"change of {indicator} over a bar, in percent of the older one"
    return _feature(f"{indicator}_slope", indicator, formula, "percent", slope_of, 1)


def _by_close(name: str, indicator: str) -> Feature:
    return _feature(name, indicator, f"100 {indicator} / close", "percent", by_close_of)


FEATURES: tuple[Feature, ...] = (
    _plain("rsi_14"), _plain("rsi_7"), _plain("macd_signal_12_26_9", "macd_signal"),
    _by_close("macd_percent", "macd_12_26"), _by_close("macd_histogram_percent", "macd_histogram_12_26_9"),
    _plain("bb_percent_20_2", "bb_position"), _plain("bb_width_20_2", "bb_width"),
    *(_distance(f"sma_{n}") for n in (20, 50, 200)), *(_distance(f"ema_{n}") for n in (12, 26)),
    *(_slope(f"ema_{n}") for n in (12, 26)), _slope("sma_50"),
    _plain("atr_14"), _plain("natr_14"), _plain("volume_ratio_20", "volume_sma_ratio"), _plain("volume_roc_20"),
    _plain("stoch_k_14"), _plain("stoch_d_14_3"), _plain("stochrsi_14"), _plain("williams_r_14"), _plain("cci_20"),
    _plain("adx_14"), _plain("plus_di_14"), _plain("minus_di_14"), _plain("aroon_25"), _plain("roc_12"),
    _plain("ppo_12_26"), _plain("tsi_25_13"), _plain("ultimate_7_14_28"), _plain("donchian_percent_20",
            "donchian_position"),
    _plain("donchian_width_20", "donchian_width"), _plain("mfi_14"), _plain("cmf_20"), _distance("vwap_14"),
    _by_close("true_range_percent", "true_range"),
)  # fmt: skip
