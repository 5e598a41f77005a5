"""Indicators of volume. Without volumes they are null.

OBV, A/D, PVT, NVI and PVI are usually sums since the first bar of a series, so their numbers say where the
data begin. Here each is over a window: what the usual one gained within it.
"""

import numpy as np

from ray_app.process.indicators import smoothing
from ray_app.process.indicators.averages import SEEDED
from ray_app.process.indicators.grid import Array, Bars
from ray_app.process.indicators.momentum import HLC, moving
from ray_app.process.indicators.output import Oracle, Output
from ray_app.process.indicators.smoothing import ema_part
from ray_app.process.indicators.trend import typical_price
from ray_app.process.indicators.windows import change, mean, prior, ratio, total

FAMILY = "volume"
HLCV, CV, V = (*HLC, "volume"), ("close", "volume"), ("volume",)
WINDOW = 200
STILL = 1e-13  # the part of a price below which a move is rounding


def money_flow_of(bars: Bars) -> Array:
    """Volume times where the close lies from the low (-1) to the high (1); a bar without range moves nothing."""
    reach = bars.high - bars.low
    where = np.where(reach == 0, 0, ratio(2 * bars.close - bars.high - bars.low, reach))
    return where * bars.volume


def obv_of(bars: Bars, n: int) -> Array:
    return total(np.sign(change(bars.close)) * bars.volume, n)


def ad_of(bars: Bars, n: int) -> Array:
    return total(bars.find(money_flow_of), n)


def pvt_of(bars: Bars, n: int) -> Array:
    return total(ratio(change(bars.close), prior(bars.close)) * bars.volume, n)


def volume_index_of(bars: Bars, n: int, direction: int) -> Array:
    """1000 times what the close made over n bars on those whose volume fell (-1) or rose (1)."""
    move, turn = np.log(ratio(bars.close, prior(bars.close))), change(bars.volume)
    return 1000 * np.exp(total(np.where(turn * direction > 0, move, 0 * turn + 0 * move), n))


def chaikin_of(bars: Bars, fast: int, slow: int) -> Array:
    """The difference of two EMAs of a sum since ever, in which that sum cancels: only the flows are left."""
    flow = bars.find(money_flow_of)
    slower, faster = ((1 - ema_part(n)) / ema_part(n) * smoothing.ema(flow, n) for n in (slow, fast))
    return slower - faster


def cmf_of(bars: Bars, n: int) -> Array:
    return ratio(total(bars.find(money_flow_of), n), total(bars.volume, n))


def mfi_of(bars: Bars, n: int) -> Array:
    typical = typical_price(bars)
    flow, move = typical * bars.volume, change(typical)
    least = (
        STILL * typical
    )  # what three prices add up to is rounded: where none has moved it may differ by a bit
    up, down = (total(np.where(move * way > least, flow, 0 * move * flow), n) for way in (1, -1))
    return 100 * ratio(up, up + down)


def force_of(bars: Bars, n: int) -> Array:
    return smoothing.ema(change(bars.close) * bars.volume, n)


def ease_of(bars: Bars, n: int) -> Array:
    moved = (change(bars.high) + change(bars.low)) * (bars.high - bars.low)
    return mean(1e8 * ratio(moved, 2 * bars.volume), n)


def vwap_of(bars: Bars, n: int) -> Array:
    return ratio(total(typical_price(bars) * bars.volume, n), total(bars.volume, n))


def volume_sma_of(bars: Bars, n: int) -> Array:
    return mean(bars.volume, n)


def volume_ratio_of(bars: Bars, n: int) -> Array:
    return ratio(bars.volume, bars.find(volume_sma_of, n))


def volume_roc_of(bars: Bars, n: int) -> Array:
    return 100 * ratio(change(bars.volume, n), prior(bars.volume, n))


def pvo_of(bars: Bars, fast: int, slow: int) -> Array:
    quick, calm = (smoothing.ema(bars.volume, n) for n in (fast, slow))
    return moving(100 * ratio(quick - calm, calm), bars.volume, slow)


def cumulated(n: int = WINDOW) -> tuple[Output, ...]:
    since = "is a sum since the first bar: compared is what it gained"
    grew = "is an index since the first bar: compared is how it grew"
    return (
        Output(
            f"obv_{n}", FAMILY, f"over {n} bars: the volume of those that closed higher less that of those lower",
            CV, "volume", n, obv_of, (n,),
            oracles=(
                Oracle("ta.volume.OnBalanceVolumeIndicator", note=since + "; adds a bar of equal close, so not those"),
                Oracle("talib.OBV", note=since),
            ),
        ),
        Output(
            f"ad_{n}", FAMILY,
            f"over {n} bars: sum of volume times ((close - low) - (high - close)) / (high - low); "
            "0 for a bar without range",
            HLCV, "volume", n - 1, ad_of, (n,),
            oracles=(Oracle("ta.volume.AccDistIndexIndicator", note=since), Oracle("talib.AD", note=since)),
        ),
        Output(
            f"pvt_{n}", FAMILY, f"over {n} bars: sum of volume times the relative change of the close", CV,
            "volume", n, pvt_of, (n,),
            oracles=(Oracle("ta.volume.VolumePriceTrendIndicator", note=since), Oracle("talib.PVT", note=since)),
        ),
        Output(
            f"nvi_{n}", FAMILY, f"over {n} bars: 1000 times the product of the close's changes on falling volume",
            CV, "1000 at the start", n, volume_index_of, (n, -1),
            oracles=(
                Oracle("ta.volume.NegativeVolumeIndexIndicator", note=grew), Oracle("talib.NVI", note=grew),
            ),
        ),
        Output(
            f"pvi_{n}", FAMILY, f"over {n} bars: 1000 times the product of the close's changes on rising volume",
            CV, "1000 at the start", n, volume_index_of, (n, 1), oracles=(Oracle("talib.PVI", note=grew),),
        ),
    )  # fmt: skip


def chaikin(fast: int = 3, slow: int = 10) -> Output:
    return Output(
        f"chaikin_{fast}_{slow}", FAMILY,
        f"EMA {fast} less EMA {slow} of the running sum of what ad adds up", HLCV, "volume", slow - 1,
        chaikin_of, (fast, slow), (ema_part(slow),),
        oracles=(Oracle("talib.ADOSC", "once settled", "its averages start from the first sum"),),
    )  # fmt: skip


def flows(cmf: int = 20, mfi: int = 14) -> tuple[Output, ...]:
    return (
        Output(
            f"cmf_{cmf}", FAMILY, f"what ad adds up over {cmf} bars, by the volume of these", HLCV, "-1 to 1",
            cmf - 1, cmf_of, (cmf,), oracles=(Oracle("ta.volume.ChaikinMoneyFlowIndicator"), Oracle("talib.CMF")),
        ),
        Output(
            f"mfi_{mfi}", FAMILY,
            f"100 U / (U + D) over {mfi} bars: U sums volume times t where t rose, D where it fell; "
            "t is (high + low + close) / 3, and less than 1e-13 of it is no move",
            HLCV, "0 to 100", mfi, mfi_of, (mfi,), version=2,
            oracles=(
                Oracle("ta.volume.MFIIndicator", note=f"has a value one bar earlier, of {mfi - 1} changes"),
                Oracle("talib.MFI"),
            ),
        ),
    )  # fmt: skip


def force(n: int = 13) -> Output:
    return Output(
        f"force_{n}", FAMILY, f"EMA {n} of volume times the change of the close", CV, "price x volume", n,
        force_of, (n,), (ema_part(n),),
        oracles=(Oracle("ta.volume.ForceIndexIndicator", "once settled", SEEDED), Oracle("talib.EFI")),
    )  # fmt: skip


def ease(n: int = 14) -> Output:
    return Output(
        f"ease_{n}", FAMILY,
        f"mean over {n} bars of 1e8 (change of high + change of low) / 2 (high - low) / volume",
        ("high", "low", "volume"), "1e8 price^2 / volume", n, ease_of, (n,),
        oracles=(Oracle("ta.volume.EaseOfMovementIndicator"),),
    )  # fmt: skip


def vwap(n: int = 14) -> Output:
    return Output(
        f"vwap_{n}", FAMILY, f"mean of (high + low + close) / 3 over {n} bars, weighted by volume", HLCV,
        "price", n - 1, vwap_of, (n,),
        oracles=(
            Oracle("ta.volume.VolumeWeightedAveragePrice"),
            Oracle("talib.VWAP", "no", "sums since the first bar"),
        ),
    )  # fmt: skip


def volumes(n: int = 20, fast: int = 12, slow: int = 26) -> tuple[Output, ...]:
    return (
        Output(f"volume_sma_{n}", FAMILY, f"mean of the last {n} volumes", V, "volume", n - 1, volume_sma_of, (n,),
               oracles=(Oracle("talib.SMA"),)),
        Output(
            f"volume_ratio_{n}", FAMILY, f"volume by the mean of the last {n}, its own included", V, "ratio", n - 1,
            volume_ratio_of, (n,),
            oracles=(Oracle("talib.RVOL", "no", f"divides by the mean of the {n} before, without its own"),),
        ),
        Output(f"volume_roc_{n}", FAMILY, f"change of the volume over {n} bars, in percent of the older one", V,
               "percent", n, volume_roc_of, (n,), two_bars=True, oracles=(Oracle("talib.ROC"),)),
        Output(
            f"pvo_{fast}_{slow}", FAMILY,
            f"EMA {fast} less EMA {slow} of the volume, in percent of the latter; null if the last {slow} had none",
            V, "percent", slow - 1, pvo_of, (fast, slow), (ema_part(slow),),
            oracles=(
                Oracle("ta.momentum.PercentageVolumeOscillator", "once settled", SEEDED),
                Oracle("talib.PVO"),
            ),
        ),
    )  # fmt: skip
