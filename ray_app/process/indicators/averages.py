"""Moving averages of the close."""

from ray_app.process.indicators import smoothing, windows
from ray_app.process.indicators.grid import Array, Bars
from ray_app.process.indicators.output import Oracle, Output
from ray_app.process.indicators.smoothing import ema_part

FAMILY = "moving averages"
SEEDED = "starts from the first number instead of the mean of the first n"


def sma_of(bars: Bars, n: int) -> Array:
    return windows.mean(bars.close, n)


def ema_of(bars: Bars, n: int) -> Array:
    return smoothing.ema(bars.close, n)


def wma_of(bars: Bars, n: int) -> Array:
    return windows.weighted(bars.close, n)


def sma(n: int) -> Output:
    return Output(
        f"sma_{n}", FAMILY, f"mean of the last {n} closes", ("close",), "price", n - 1, sma_of, (n,),
        oracles=(Oracle("ta.trend.SMAIndicator"), Oracle("talib.SMA")),
    )  # fmt: skip


def ema(n: int) -> Output:
    return Output(
        f"ema_{n}", FAMILY,
        f"the value before moved 2/{n + 1} of the way to the close; starts from the mean of {n} closes",
        ("close",), "price", n - 1, ema_of, (n,), (ema_part(n),),
        oracles=(Oracle("ta.trend.EMAIndicator", "once settled", SEEDED), Oracle("talib.EMA")),
    )  # fmt: skip


def wma(n: int) -> Output:
    return Output(
        f"wma_{n}", FAMILY, f"mean of the last {n} closes with weights 1 to {n}, {n} for the newest",
        ("close",), "price", n - 1, wma_of, (n,),
        oracles=(Oracle("ta.trend.WMAIndicator"), Oracle("talib.WMA")),
    )  # fmt: skip
