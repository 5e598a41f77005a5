"""Indicators of trend: whether the price has a direction, and how strong it is."""

import numpy as np

from ray_app.process.indicators import smoothing, windows
from ray_app.process.indicators.averages import SEEDED, ema_of
from ray_app.process.indicators.grid import Array, Bars
from ray_app.process.indicators.momentum import HLC, moving
from ray_app.process.indicators.output import Oracle, Output
from ray_app.process.indicators.smoothing import ema_part
from ray_app.process.indicators.windows import change, highest, lowest, prior, ratio

FAMILY = "trend"
ALIGNED = "its fast average starts with the slow one"


def macd_of(bars: Bars, fast: int, slow: int) -> Array:
    return windows.apart(bars.find(ema_of, fast), bars.find(ema_of, slow), bars.close)


def macd_signal_of(bars: Bars, fast: int, slow: int, signal: int) -> Array:
    return smoothing.ema(bars.find(macd_of, fast, slow), signal)


def macd_histogram_of(bars: Bars, fast: int, slow: int, signal: int) -> Array:
    line, smooth = bars.find(macd_of, fast, slow), bars.find(macd_signal_of, fast, slow, signal)
    return windows.apart(line, smooth, bars.close)


def ppo_of(bars: Bars, fast: int, slow: int) -> Array:
    return 100 * ratio(bars.find(macd_of, fast, slow), bars.find(ema_of, slow))


def ppo_signal_of(bars: Bars, fast: int, slow: int, signal: int) -> Array:
    return smoothing.ema(bars.find(ppo_of, fast, slow), signal)


def ppo_histogram_of(bars: Bars, fast: int, slow: int, signal: int) -> Array:
    line, smooth = bars.find(ppo_of, fast, slow), bars.find(ppo_signal_of, fast, slow, signal)
    return windows.apart(line, smooth, 100)


def trix_of(bars: Bars, n: int) -> Array:
    thrice = smoothing.ema(smoothing.ema(bars.find(ema_of, n), n), n)
    return 100 * ratio(change(thrice), prior(thrice))


def cci_of(bars: Bars, n: int) -> Array:
    typical = typical_price(bars)
    middle = windows.middle(typical, n)
    return ratio(typical - middle, 0.015 * windows.distance(typical, middle, n))


def typical_price(bars: Bars) -> Array:
    return (bars.high + bars.low + bars.close) / 3


def aroon_up_of(bars: Bars, n: int) -> Array:
    return 100 * (n - windows.since_highest(bars.high, n + 1)) / n


def aroon_down_of(bars: Bars, n: int) -> Array:
    return 100 * (n - windows.since_lowest(bars.low, n + 1)) / n


def aroon_of(bars: Bars, n: int) -> Array:
    return bars.find(aroon_up_of, n) - bars.find(aroon_down_of, n)


def true_range_of(bars: Bars) -> Array:
    before = prior(bars.close)
    return np.maximum(bars.high, before) - np.minimum(bars.low, before)


def atr_of(bars: Bars, n: int) -> Array:
    return smoothing.wilder(bars.find(true_range_of), n)


def plus_move_of(bars: Bars) -> Array:
    """Wilder's directional movement: at most one of the two is above zero."""
    up, down = change(bars.high), -change(bars.low)
    return up * ((up > down) & (up > 0))


def minus_move_of(bars: Bars) -> Array:
    up, down = change(bars.high), -change(bars.low)
    return down * ((down > up) & (down > 0))


def _di(bars: Bars, move: Array, n: int) -> Array:
    return moving(100 * ratio(smoothing.wilder(move, n), bars.find(atr_of, n)), bars.find(true_range_of), n)


def plus_di_of(bars: Bars, n: int) -> Array:
    return _di(bars, bars.find(plus_move_of), n)


def minus_di_of(bars: Bars, n: int) -> Array:
    return _di(bars, bars.find(minus_move_of), n)


def dx_of(bars: Bars, n: int) -> Array:
    plus, minus = bars.find(plus_di_of, n), bars.find(minus_di_of, n)
    moves = bars.find(plus_move_of) + bars.find(minus_move_of)
    return moving(100 * ratio(np.abs(plus - minus), plus + minus), moves, n)


def adx_of(bars: Bars, n: int) -> Array:
    return smoothing.wilder(bars.find(dx_of, n), n)


def _middle_of_range(bars: Bars, n: int) -> Array:
    return (highest(bars.high, n) + lowest(bars.low, n)) / 2


def span_a_of(bars: Bars, short: int, long: int) -> Array:
    return (bars.find(_middle_of_range, short) + bars.find(_middle_of_range, long)) / 2


def macd(fast: int = 12, slow: int = 26, signal: int = 9) -> tuple[Output, ...]:
    once, twice = (ema_part(slow),), (ema_part(slow), ema_part(signal))
    oracles = (
        Oracle("ta.trend.MACD", "once settled", SEEDED),
        Oracle("talib.MACD", "once settled", ALIGNED),
    )
    name = f"{fast}_{slow}"
    return (
        Output(
            f"macd_{name}", FAMILY, f"EMA {fast} less EMA {slow} of the close", ("close",), "price",
            slow - 1, macd_of, (fast, slow), once, oracles=oracles,
        ),
        Output(
            f"macd_signal_{name}_{signal}", FAMILY, f"EMA {signal} of macd_{name}", ("close",), "price",
            slow + signal - 2, macd_signal_of, (fast, slow, signal), twice, oracles=oracles,
        ),
        Output(
            f"macd_histogram_{name}_{signal}", FAMILY, f"macd_{name} less its signal", ("close",), "price",
            slow + signal - 2, macd_histogram_of, (fast, slow, signal), twice, oracles=oracles,
        ),
    )  # fmt: skip


def ppo(fast: int = 12, slow: int = 26, signal: int = 9) -> tuple[Output, ...]:
    once, twice = (ema_part(slow),), (ema_part(slow), ema_part(signal))
    oracle = Oracle("ta.momentum.PercentagePriceOscillator", "once settled", SEEDED)
    name = f"{fast}_{slow}"
    return (
        Output(
            f"ppo_{name}", FAMILY, f"macd_{name} in percent of EMA {slow}", ("close",), "percent", slow - 1,
            ppo_of, (fast, slow), once, oracles=(oracle, Oracle("talib.PPO")),
        ),
        Output(
            f"ppo_signal_{name}_{signal}", FAMILY, f"EMA {signal} of ppo_{name}", ("close",), "percent",
            slow + signal - 2, ppo_signal_of, (fast, slow, signal), twice, oracles=(oracle,),
        ),
        Output(
            f"ppo_histogram_{name}_{signal}", FAMILY, f"ppo_{name} less its signal", ("close",), "percent",
            slow + signal - 2, ppo_histogram_of, (fast, slow, signal), twice, oracles=(oracle,),
        ),
    )  # fmt: skip


def trix(n: int = 15) -> Output:
    part = ema_part(n)
    return Output(
        f"trix_{n}", FAMILY, f"change over one bar, in percent, of an EMA of an EMA of the EMA {n} of the close",
        ("close",), "percent", 3 * n - 2, trix_of, (n,), (part, part, part),
        oracles=(Oracle("ta.trend.TRIXIndicator", "once settled", SEEDED), Oracle("talib.TRIX")),
    )  # fmt: skip


def cci(n: int = 20) -> Output:
    return Output(
        f"cci_{n}", FAMILY,
        f"(t - mean of {n} t) / (0.015 times their mean distance from it): t is (high + low + close) / 3",
        HLC, "number", n - 1, cci_of, (n,), oracles=(Oracle("ta.trend.CCIIndicator"), Oracle("talib.CCI")),
    )  # fmt: skip


def aroon(n: int = 25) -> tuple[Output, ...]:
    ties = Oracle(
        "ta.trend.AroonIndicator", note="takes the oldest of equal extremes; compared where there is one"
    )
    high_low = ("high", "low")
    return (
        Output(
            f"aroon_up_{n}", FAMILY, f"100 ({n} - bars since the latest highest high of {n + 1}) / {n}",
            ("high",), "0 to 100", n, aroon_up_of, (n,), oracles=(ties, Oracle("talib.AROON")),
        ),
        Output(
            f"aroon_down_{n}", FAMILY, f"100 ({n} - bars since the latest lowest low of {n + 1}) / {n}",
            ("low",), "0 to 100", n, aroon_down_of, (n,), oracles=(ties, Oracle("talib.AROON")),
        ),
        Output(
            f"aroon_{n}", FAMILY, f"aroon_up_{n} less aroon_down_{n}", high_low, "-100 to 100", n, aroon_of,
            (n,), oracles=(ties, Oracle("talib.AROONOSC")),
        ),
    )  # fmt: skip


def directional(n: int = 14) -> tuple[Output, ...]:
    once = (1 / n,)
    zeros = Oracle("ta.trend.ADXIndicator", "once settled", "zeros during warm-up and on the bar after")
    sums = "starts from sums of n - 1 bars"
    di = f"100 W(move) / W(true range): W is Wilder's average over {n}; the move is"
    quiet = f"null if the last {n} bars had no range"
    return (
        Output(
            f"plus_di_{n}", FAMILY,
            f"{di} the rise of the high if it is above zero and above the fall of the low, else 0; {quiet}",
            HLC, "0 to 100", n, plus_di_of, (n,), once,
            oracles=(zeros, Oracle("talib.PLUS_DI", "once settled", sums)),
        ),
        Output(
            f"minus_di_{n}", FAMILY,
            f"{di} the fall of the low if it is above zero and above the rise of the high, else 0; {quiet}",
            HLC, "0 to 100", n, minus_di_of, (n,), once,
            oracles=(zeros, Oracle("talib.MINUS_DI", "once settled", sums)),
        ),
        Output(
            f"dx_{n}", FAMILY,
            f"100 |P - M| / (P + M): P is plus_di_{n}, M minus_di_{n}; null if none of the last {n} bars had a move",
            HLC, "0 to 100", n, dx_of, (n,), once, oracles=(Oracle("talib.DX", "once settled", sums),),
        ),
        Output(
            f"adx_{n}", FAMILY, f"Wilder's average over {n} of dx_{n}; where that is null it starts again",
            HLC, "0 to 100", 2 * n - 1, adx_of, (n,), (1 / n, 1 / n),
            oracles=(
                Oracle(zeros.call, note="zeros during warm-up"), Oracle("talib.ADX", "once settled", sums),
            ),
        ),
    )  # fmt: skip


def ichimoku(short: int = 9, middle: int = 26, long: int = 52) -> tuple[Output, ...]:
    oracle = Oracle("ta.trend.IchimokuIndicator")
    early = Oracle(oracle.call, note=f"has values before there are {long} bars")
    of = "mean of the highest high and the lowest low of"
    return (
        Output(
            f"ichimoku_conversion_{short}", FAMILY, f"{of} {short} bars", ("high", "low"), "price", short - 1,
            _middle_of_range, (short,), oracles=(oracle,),
        ),
        Output(
            f"ichimoku_base_{middle}", FAMILY, f"{of} {middle} bars", ("high", "low"), "price", middle - 1,
            _middle_of_range, (middle,), oracles=(oracle,),
        ),
        Output(
            f"ichimoku_a_{short}_{middle}", FAMILY,
            f"mean of the conversion and the base line; at its own bar, charts draw it {middle} later",
            ("high", "low"), "price", middle - 1, span_a_of, (short, middle), oracles=(oracle,),
        ),
        Output(
            f"ichimoku_b_{long}", FAMILY,
            f"{of} {long} bars; at its own bar, charts draw it {middle} later",
            ("high", "low"), "price", long - 1, _middle_of_range, (long,), oracles=(early,),
        ),
    )  # fmt: skip
