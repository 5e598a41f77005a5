"""Features made of technical indicators (docs/indicators.md).

An indicator that remembers (an EMA, an RSI) is made of so many numbers alone, its `reach`, that what came earlier would
weigh less than a rounding. So its value is equal to the last bit in every frame that reaches back so far, like that of
an indicator of a window.
"""

from ray_app.process.features.feature import Feature, Formula
from ray_app.process.features.symbols import Symbols
from ray_app.process.indicators.catalogue import CATALOGUE
from ray_app.process.indicators.grid import Array
from ray_app.process.indicators.windows import growth, ratio


def indicator_of(one: Symbols, name: str) -> Array:
    """The indicator of the catalogue; NaN where there is none or the frame does not reach back far enough."""
    output = CATALOGUE[name]
    found = one.own.find(output.function, *output.parameters)
    return found * one.find(settled_of, output.reach) if output.recursive else found


def settled_of(one: Symbols, reach: int) -> Array:
    return one.settled(reach)


def by_close_of(one: Symbols, name: str) -> Array:
    return 100 * ratio(one.find(indicator_of, name), one.own.close)


def distance_of(one: Symbols, name: str) -> Array:
    """How far the close lies from a price."""
    line = one.find(indicator_of, name)
    return 100 * ratio(one.own.close - line, line)


def slope_of(one: Symbols, name: str) -> Array:
    return 100 * growth(one.find(indicator_of, name), 1)


def _plain(indicator: str, name: str = "") -> Feature:
    output = CATALOGUE[indicator]
    return _feature(name or indicator, indicator, output.formula, output.unit, indicator_of)


def _feature(name: str, indicator: str, formula: str, unit: str, function: Formula, more: int = 0) -> Feature:
    output = CATALOGUE[indicator]
    return Feature(name, "technical", formula, ("bars",), unit, output.reach + more, function, (indicator,),
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
