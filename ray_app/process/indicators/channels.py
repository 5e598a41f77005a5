"""Ranges and channels around the price."""

import numpy as np

from ray_app.process.indicators import windows
from ray_app.process.indicators.averages import SEEDED, ema_of, sma_of
from ray_app.process.indicators.grid import Array, Bars
from ray_app.process.indicators.momentum import HLC
from ray_app.process.indicators.output import Oracle, Output
from ray_app.process.indicators.smoothing import ema_part
from ray_app.process.indicators.trend import atr_of, true_range_of
from ray_app.process.indicators.windows import highest, lowest, mean, position, ratio

FAMILY = "volatility"


def natr_of(bars: Bars, n: int) -> Array:
    return 100 * ratio(bars.find(atr_of, n), bars.close)


def deviation_of(bars: Bars, n: int) -> Array:
    return windows.deviation(bars.close, n)


def band_of(bars: Bars, n: int, deviations: float) -> Array:
    return bars.find(sma_of, n) + deviations * bars.find(deviation_of, n)


def bb_width_of(bars: Bars, n: int, deviations: float) -> Array:
    return 100 * ratio(2 * deviations * bars.find(deviation_of, n), bars.find(sma_of, n))


def bb_percent_of(bars: Bars, n: int, deviations: float) -> Array:
    """Worked out from the distance to the mean, so that equal closes give exactly zero over zero."""
    wide = 2 * deviations * bars.find(deviation_of, n)
    return ratio(bars.close - windows.middle(bars.close, n), wide) + 0.5


def bb_squeeze_of(bars: Bars, n: int, deviations: float, bars_back: int) -> Array:
    width = bars.find(bb_width_of, n, deviations)
    least = lowest(width, bars_back)
    return np.where(np.isnan(least), np.nan, width <= least)


def keltner_of(bars: Bars, n: int, atr_n: int, ranges: float) -> Array:
    return bars.find(ema_of, n) + ranges * bars.find(atr_of, atr_n)


def donchian_upper_of(bars: Bars, n: int) -> Array:
    return highest(bars.high, n)


def donchian_lower_of(bars: Bars, n: int) -> Array:
    return lowest(bars.low, n)


def donchian_middle_of(bars: Bars, n: int) -> Array:
    return (bars.find(donchian_upper_of, n) + bars.find(donchian_lower_of, n)) / 2


def donchian_width_of(bars: Bars, n: int) -> Array:
    wide = bars.find(donchian_upper_of, n) - bars.find(donchian_lower_of, n)
    return 100 * ratio(wide, mean(bars.close, n))


def donchian_percent_of(bars: Bars, n: int) -> Array:
    return position(bars.close, bars.find(donchian_lower_of, n), bars.find(donchian_upper_of, n))


def true_range() -> Output:
    return Output(
        "true_range", FAMILY, "the highest of the high and the close before, less the lowest of the low and that close",
        HLC, "price", 1, true_range_of, oracles=(Oracle("talib.TRANGE"),),
    )  # fmt: skip


def atr(n: int = 14) -> tuple[Output, ...]:
    return (
        Output(
            f"atr_{n}", FAMILY, f"Wilder's average over {n} of the true range", HLC, "price", n, atr_of, (n,),
            (1 / n,),
            oracles=(
                Oracle("ta.volatility.AverageTrueRange", "once settled", "counts the first bar's high - low"),
                Oracle("talib.ATR"),
            ),
        ),
        Output(
            f"natr_{n}", FAMILY, f"atr_{n} in percent of the close", HLC, "percent", n, natr_of, (n,), (1 / n,),
            oracles=(Oracle("talib.NATR"),),
        ),
    )  # fmt: skip


def bollinger(n: int = 20, deviations: float = 2, bars_back: int = 120) -> tuple[Output, ...]:
    name, ta = f"{n}_{deviations:g}", Oracle("ta.volatility.BollingerBands")
    both = (ta, Oracle("talib.BBANDS"))
    off = f"{deviations:g} standard deviations (divided by {n})"
    return (
        Output(
            f"bb_upper_{name}", FAMILY, f"mean of the last {n} closes plus {off}", ("close",), "price", n - 1,
            band_of, (n, deviations), oracles=both,
        ),
        Output(
            f"bb_middle_{n}", FAMILY, f"mean of the last {n} closes", ("close",), "price", n - 1, sma_of, (n,),
            oracles=both,
        ),
        Output(
            f"bb_lower_{name}", FAMILY, f"mean of the last {n} closes less {off}", ("close",), "price", n - 1,
            band_of, (n, -deviations), oracles=both,
        ),
        Output(
            f"bb_width_{name}", FAMILY, "upper less lower band, in percent of the middle", ("close",),
            "percent", n - 1, bb_width_of, (n, deviations), oracles=(ta,),
        ),
        Output(
            f"bb_percent_{name}", FAMILY, "where the close lies from the lower (0) to the upper band (1)",
            ("close",), "ratio", n - 1, bb_percent_of, (n, deviations), oracles=(ta,),
        ),
        Output(
            f"bb_squeeze_{name}_{bars_back}", FAMILY,
            f"1 if bb_width_{name} is the lowest of the last {bars_back} bars, else 0", ("close",), "0 or 1",
            n + bars_back - 2, bb_squeeze_of, (n, deviations, bars_back),
        ),
    )  # fmt: skip


def keltner(n: int = 20, atr_n: int = 10, ranges: float = 2) -> tuple[Output, ...]:
    name, first = f"{n}_{atr_n}_{ranges:g}", max(n - 1, atr_n)
    slower = (min(ema_part(n), 1 / atr_n),)
    oracles = (
        Oracle("ta.volatility.KeltnerChannel", "once settled", "with original_version=False; " + SEEDED),
        Oracle("talib.KC", "no", "takes the EMA of (high + low + close) / 3"),
    )
    return (
        Output(
            f"keltner_upper_{name}", FAMILY, f"EMA {n} of the close plus {ranges:g} atr_{atr_n}", HLC, "price",
            first, keltner_of, (n, atr_n, ranges), slower, oracles=oracles,
        ),
        Output(
            f"keltner_middle_{n}", FAMILY, f"EMA {n} of the close", ("close",), "price", n - 1, ema_of, (n,),
            (ema_part(n),), oracles=oracles,
        ),
        Output(
            f"keltner_lower_{name}", FAMILY, f"EMA {n} of the close less {ranges:g} atr_{atr_n}", HLC, "price",
            first, keltner_of, (n, atr_n, -ranges), slower, oracles=oracles,
        ),
    )  # fmt: skip


def donchian(n: int = 20) -> tuple[Output, ...]:
    ta = Oracle("ta.volatility.DonchianChannel")
    both = (ta, Oracle("talib.DONCHIAN"))
    return (
        Output(
            f"donchian_upper_{n}", FAMILY, f"highest high of {n} bars, the present one included", ("high",),
            "price", n - 1, donchian_upper_of, (n,), oracles=both,
        ),
        Output(
            f"donchian_middle_{n}", FAMILY, "mean of the upper and the lower one", ("high", "low"), "price",
            n - 1, donchian_middle_of, (n,), oracles=both,
        ),
        Output(
            f"donchian_lower_{n}", FAMILY, f"lowest low of {n} bars, the present one included", ("low",),
            "price", n - 1, donchian_lower_of, (n,), oracles=both,
        ),
        Output(
            f"donchian_width_{n}", FAMILY, f"upper less lower one, in percent of the mean of {n} closes", HLC,
            "percent", n - 1, donchian_width_of, (n,), oracles=(ta,),
        ),
        Output(
            f"donchian_percent_{n}", FAMILY, "where the close lies from the lower (0) to the upper one (1)",
            HLC, "0 to 1", n - 1, donchian_percent_of, (n,), oracles=(ta,),
        ),
    )  # fmt: skip
