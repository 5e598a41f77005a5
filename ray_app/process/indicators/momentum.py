"""Oscillators of momentum: how far and how steadily the price moved, on a scale of its own."""

import numpy as np

from ray_app.process.indicators import smoothing
from ray_app.process.indicators.averages import SEEDED
from ray_app.process.indicators.grid import Array, Bars
from ray_app.process.indicators.output import Oracle, Output
from ray_app.process.indicators.smoothing import ema_part
from ray_app.process.indicators.windows import (
    change,
    highest,
    lowest,
    mean,
    position,
    prior,
    ratio,
    total,
    without,
)

FAMILY = "momentum"
HLC = ("high", "low", "close")
STILL = 1e-4  # an RSI that moves by less may move by rounding alone


def moving(move: Array, size: Array, n: int) -> Array:
    """`move`, with NaN where `size` was zero for the last n bars: both averages of a quotient only fade then."""
    return without(move, total(size, n) <= 0)


def rsi_of(bars: Bars, n: int) -> Array:
    move = change(bars.close)
    up = smoothing.wilder(np.maximum(move, 0), n)
    down = smoothing.wilder(np.maximum(-move, 0), n)
    return moving(100 * ratio(up, up + down), np.abs(move), n)


def stochrsi_of(bars: Bars, n: int) -> Array:
    rsi = bars.find(rsi_of, n)
    low, high = lowest(rsi, n), highest(rsi, n)
    return np.where(high - low >= STILL, position(rsi, low, high), np.nan)


def stochrsi_k_of(bars: Bars, n: int, k: int) -> Array:
    return mean(bars.find(stochrsi_of, n), k)


def stochrsi_d_of(bars: Bars, n: int, k: int, d: int) -> Array:
    return mean(bars.find(stochrsi_k_of, n, k), d)


def stoch_k_of(bars: Bars, n: int) -> Array:
    return 100 * position(bars.close, lowest(bars.low, n), highest(bars.high, n))


def stoch_d_of(bars: Bars, n: int, d: int) -> Array:
    return mean(bars.find(stoch_k_of, n), d)


def williams_r_of(bars: Bars, n: int) -> Array:
    top = highest(bars.high, n)
    return -100 * ratio(top - bars.close, top - lowest(bars.low, n))


def momentum_of(bars: Bars, n: int) -> Array:
    return change(bars.close, n)


def roc_of(bars: Bars, n: int) -> Array:
    return 100 * ratio(change(bars.close, n), prior(bars.close, n))


def tsi_of(bars: Bars, slow: int, fast: int) -> Array:
    move = change(bars.close)
    size = np.abs(move)
    twice = [smoothing.ema(smoothing.ema(x, slow), fast) for x in (move, size)]
    return moving(100 * ratio(*twice), size, slow)


def ultimate_of(bars: Bars, short: int, middle: int, long: int) -> Array:
    before = prior(bars.close)
    bottom = np.minimum(bars.low, before)
    pressure, reach = bars.close - bottom, np.maximum(bars.high, before) - bottom
    one, two, three = (ratio(total(pressure, n), total(reach, n)) for n in (short, middle, long))
    return 100 * (4 * one + 2 * two + three) / 7


def rsi(n: int = 14) -> Output:
    return Output(
        f"rsi_{n}", FAMILY,
        f"100 U / (U + D): U and D are Wilder's averages over {n} of the rises and of the falls of the close; "
        f"null if the last {n} bars did not move it",
        ("close",), "0 to 100", n, rsi_of, (n,), (1 / n,),
        oracles=(
            Oracle("ta.momentum.RSIIndicator", "once settled", "starts from a rise and a fall of zero"),
            Oracle("talib.RSI"),
        ),
    )  # fmt: skip


def stochrsi(n: int = 14, k: int = 3, d: int = 3) -> tuple[Output, ...]:
    first, parts = 2 * n - 1, (1 / n,)
    by_ta = "ta.momentum.StochRSIIndicator"
    seeded = "its RSI starts from a rise and a fall of zero"
    scale = "is on a scale of 100, begins both lines together"
    return (
        Output(
            f"stochrsi_{n}", FAMILY, f"where RSI {n} lies from its lowest (0) to its highest (1) of {n} bars; "
            f"null if they are less than {STILL:g} apart",
            ("close",), "0 to 1", first, stochrsi_of, (n,), parts,
            oracles=(Oracle(by_ta, "once settled", seeded), Oracle("talib.STOCHRSI", note=scale)),
        ),
        Output(
            f"stochrsi_k_{n}_{k}", FAMILY, f"mean of the last {k} stochrsi_{n}",
            ("close",), "0 to 1", first + k - 1, stochrsi_k_of, (n, k), parts,
            oracles=(Oracle(by_ta, "once settled", seeded), Oracle("talib.STOCHRSI", note="is its fastd; " + scale)),
        ),
        Output(
            f"stochrsi_d_{n}_{k}_{d}", FAMILY, f"mean of the last {d} stochrsi_k_{n}_{k}",
            ("close",), "0 to 1", first + k + d - 2, stochrsi_d_of, (n, k, d), parts,
            oracles=(Oracle(by_ta, "once settled", seeded),),
        ),
    )  # fmt: skip


def stochastic(n: int = 14, d: int = 3) -> tuple[Output, ...]:
    late = "begins both lines together"
    oracles = (Oracle("ta.momentum.StochasticOscillator"), Oracle("talib.STOCHF", note=late))
    return (
        Output(
            f"stoch_k_{n}", FAMILY,
            f"where the close lies from the lowest low (0) to the highest high (100) of {n} bars",
            HLC, "0 to 100", n - 1, stoch_k_of, (n,), oracles=oracles,
        ),
        Output(
            f"stoch_d_{n}_{d}", FAMILY, f"mean of the last {d} stoch_k_{n}",
            HLC, "0 to 100", n + d - 2, stoch_d_of, (n, d), oracles=oracles,
        ),
    )  # fmt: skip


def williams_r(n: int = 14) -> Output:
    return Output(
        f"williams_r_{n}", FAMILY, f"-100 (highest high of {n} - close) / (highest high - lowest low)",
        HLC, "-100 to 0", n - 1, williams_r_of, (n,),
        oracles=(Oracle("ta.momentum.WilliamsRIndicator"), Oracle("talib.WILLR")),
    )  # fmt: skip


def momentum(n: int = 10) -> Output:
    return Output(
        f"momentum_{n}", FAMILY, f"close less the close {n} bars before", ("close",), "price", n,
        momentum_of, (n,), two_bars=True, oracles=(Oracle("talib.MOM"),),
    )  # fmt: skip


def roc(n: int = 12) -> Output:
    return Output(
        f"roc_{n}", FAMILY, f"change of the close over {n} bars, in percent of the older one", ("close",),
        "percent", n, roc_of, (n,), two_bars=True,
        oracles=(Oracle("ta.momentum.ROCIndicator"), Oracle("talib.ROC")),
    )  # fmt: skip


def tsi(slow: int = 25, fast: int = 13) -> Output:
    return Output(
        f"tsi_{slow}_{fast}", FAMILY,
        f"100 E(m) / E(|m|): m is the change of the close, E an EMA of {fast} of an EMA of {slow}; "
        f"null if the last {slow} bars did not move it",
        ("close",), "-100 to 100", slow + fast - 1, tsi_of, (slow, fast),
        (ema_part(slow), ema_part(fast)),
        oracles=(Oracle("ta.momentum.TSIIndicator", "once settled", SEEDED), Oracle("talib.TSI")),
    )  # fmt: skip


def ultimate(short: int = 7, middle: int = 14, long: int = 28) -> Output:
    return Output(
        f"ultimate_{short}_{middle}_{long}", FAMILY,
        f"100 (4 A({short}) + 2 A({middle}) + A({long})) / 7: A(n) is the sum over n bars of close - L by that "
        "of H - L, where L and H are the low and the high, or the close before if it lies beyond",
        HLC, "0 to 100", long, ultimate_of, (short, middle, long),
        oracles=(
            Oracle("ta.momentum.UltimateOscillator"),
            Oracle("talib.ULTOSC"),
        ),
    )  # fmt: skip
