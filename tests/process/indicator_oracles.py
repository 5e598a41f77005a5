"""The other libraries' calls, one per output that the catalogue says was compared with them.

Each gives an array as long as the bars, NaN where it has no value or where the catalogue's note says that it
is not comparable.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import talib
from ta import momentum, trend, volatility, volume

Array = np.ndarray[Any, Any]
WINDOW = 200
LIB: Any = talib  # its stubs know scalars only


# ta's loops in Python: seconds over years.
SLOW = {
    "wma_20", "cci_20", "psar_240", "plus_di_14", "minus_di_14", "adx_14", "atr_14", "nvi_200", "mfi_14",
    "keltner_upper_20_10_2", "keltner_middle_20", "keltner_lower_20_10_2",
}  # fmt: skip


@dataclass(frozen=True)
class Columns:
    """Bars as `ta` and as TA-Lib want them."""

    pandas: dict[str, "pd.Series[float]"]

    @classmethod
    def of(cls, bars: pl.DataFrame) -> "Columns":
        return cls({name: pd.Series(bars[name].to_numpy()) for name in bars.columns if name != "start"})

    def __call__(self, letters: str) -> dict[str, "pd.Series[float]"]:
        names = {"h": "high", "l": "low", "c": "close", "v": "volume"}
        return {names[one]: self.pandas[names[one]] for one in letters}

    def arrays(self, letters: str) -> list[Array]:
        return [one.to_numpy() for one in self(letters).values()]


def gained(x: Array, n: int = WINDOW) -> Array:
    return np.concatenate([np.full(n, np.nan), x[n:] - x[:-n]])


def grown(x: Array, n: int = WINDOW) -> Array:
    return np.concatenate([np.full(n, np.nan), 1000 * x[n:] / x[:-n]])


def one_extreme(bars: Columns, name: str, n: int = 26) -> Array:
    """Where the extreme of the window stands alone."""
    x = bars.pandas[name].to_numpy() * (1 if name == "high" else -1)
    windows = np.lib.stride_tricks.sliding_window_view(x, n)
    alone = (windows == windows.max(axis=1)[:, None]).sum(axis=1) == 1
    return np.concatenate([np.full(n - 1, np.nan), np.where(alone, 1.0, np.nan)])


def by_ta(bars: Columns) -> dict[str, Callable[[], Any]]:
    """A call for each output; ta's classes work all out at once, so they are made once."""
    c, hl, hlc, hlcv, cv = bars("c"), bars("hl"), bars("hlc"), bars("hlcv"), bars("cv")
    macd = cache(lambda: trend.MACD(**c))
    ppo = cache(lambda: momentum.PercentagePriceOscillator(**c))
    aroon = cache(lambda: trend.AroonIndicator(**hl))
    adx = cache(lambda: trend.ADXIndicator(**hlc))
    cloud = cache(lambda: trend.IchimokuIndicator(**hl))
    strsi = cache(lambda: momentum.StochRSIIndicator(**c))
    stoch = cache(lambda: momentum.StochasticOscillator(**hlc))
    bands = cache(lambda: volatility.BollingerBands(**c))
    keltner = cache(lambda: volatility.KeltnerChannel(**hlc, original_version=False))
    channel = cache(lambda: volatility.DonchianChannel(**hlc))
    up, down = (cache(partial(one_extreme, bars, name)) for name in ("high", "low"))
    moved = np.where(bars.pandas["close"].diff().to_numpy() == 0, np.nan, 1.0)
    settled = np.concatenate([np.full(51, np.nan), np.ones(len(moved) - 51)])
    late = np.concatenate([np.full(14, np.nan), np.ones(len(moved) - 14)])
    no_ties = cache(lambda: gained(np.nancumsum(np.where(np.isnan(moved), 1.0, 0.0))) == 0)
    return {
        **{f"sma_{n}": trend.SMAIndicator(**c, window=n).sma_indicator for n in (10, 20, 30, 50, 100, 200)},
        **{f"ema_{n}": trend.EMAIndicator(**c, window=n).ema_indicator for n in (12, 20, 26, 50, 100, 200)},
        "wma_20": lambda: trend.WMAIndicator(**c, window=20).wma(),
        "macd_12_26": lambda: macd().macd(),
        "macd_signal_12_26_9": lambda: macd().macd_signal(),
        "macd_histogram_12_26_9": lambda: macd().macd_diff(),
        "ppo_12_26": lambda: ppo().ppo(),
        "ppo_signal_12_26_9": lambda: ppo().ppo_signal(),
        "ppo_histogram_12_26_9": lambda: ppo().ppo_hist(),
        "trix_15": lambda: trend.TRIXIndicator(**c).trix(),
        "cci_20": lambda: trend.CCIIndicator(**hlc).cci(),
        "aroon_up_25": lambda: aroon().aroon_up() * up(),
        "aroon_down_25": lambda: aroon().aroon_down() * down(),
        "aroon_25": lambda: aroon().aroon_indicator() * up() * down(),
        "plus_di_14": lambda: adx().adx_pos(),
        "minus_di_14": lambda: adx().adx_neg(),
        "adx_14": lambda: adx().adx(),
        "psar_240": lambda: trend.PSARIndicator(**hlc).psar(),
        "ichimoku_conversion_9": lambda: cloud().ichimoku_conversion_line(),
        "ichimoku_base_26": lambda: cloud().ichimoku_base_line(),
        "ichimoku_a_9_26": lambda: cloud().ichimoku_a(),
        "ichimoku_b_52": lambda: cloud().ichimoku_b() * settled,
        "rsi_7": lambda: momentum.RSIIndicator(**c, window=7).rsi(),
        "rsi_14": lambda: momentum.RSIIndicator(**c).rsi(),
        "stochrsi_14": lambda: strsi().stochrsi(),
        "stochrsi_k_14_3": lambda: strsi().stochrsi_k(),
        "stochrsi_d_14_3_3": lambda: strsi().stochrsi_d(),
        "stoch_k_14": lambda: stoch().stoch(),
        "stoch_d_14_3": lambda: stoch().stoch_signal(),
        "williams_r_14": lambda: momentum.WilliamsRIndicator(**hlc).williams_r(),
        "roc_12": lambda: momentum.ROCIndicator(**c).roc(),
        "tsi_25_13": lambda: momentum.TSIIndicator(**c).tsi(),
        "ultimate_7_14_28": lambda: momentum.UltimateOscillator(**hlc).ultimate_oscillator(),
        "atr_14": lambda: volatility.AverageTrueRange(**hlc).average_true_range(),
        "bb_upper_20_2": lambda: bands().bollinger_hband(),
        "bb_middle_20": lambda: bands().bollinger_mavg(),
        "bb_lower_20_2": lambda: bands().bollinger_lband(),
        "bb_width_20_2": lambda: bands().bollinger_wband(),
        "bb_percent_20_2": lambda: bands().bollinger_pband(),
        "keltner_upper_20_10_2": lambda: keltner().keltner_channel_hband(),
        "keltner_middle_20": lambda: keltner().keltner_channel_mband(),
        "keltner_lower_20_10_2": lambda: keltner().keltner_channel_lband(),
        "donchian_upper_20": lambda: channel().donchian_channel_hband(),
        "donchian_middle_20": lambda: channel().donchian_channel_mband(),
        "donchian_lower_20": lambda: channel().donchian_channel_lband(),
        "donchian_width_20": lambda: channel().donchian_channel_wband(),
        "donchian_percent_20": lambda: channel().donchian_channel_pband(),
        "vwap_14": lambda: volume.VolumeWeightedAveragePrice(**hlcv).volume_weighted_average_price(),
        "obv_200": lambda: np.where(
            no_ties(), gained(volume.OnBalanceVolumeIndicator(**cv).on_balance_volume().to_numpy()), np.nan
        ),
        "ad_200": lambda: gained(volume.AccDistIndexIndicator(**hlcv).acc_dist_index().to_numpy()),
        "pvt_200": lambda: gained(volume.VolumePriceTrendIndicator(**cv).volume_price_trend().to_numpy()),
        "nvi_200": lambda: grown(
            volume.NegativeVolumeIndexIndicator(**cv).negative_volume_index().to_numpy()
        ),
        "cmf_20": lambda: volume.ChaikinMoneyFlowIndicator(**hlcv).chaikin_money_flow(),
        "mfi_14": lambda: volume.MFIIndicator(**hlcv).money_flow_index() * late,
        "force_13": lambda: volume.ForceIndexIndicator(**cv).force_index(),
        "ease_14": lambda: volume.EaseOfMovementIndicator(**bars("hlv")).sma_ease_of_movement(),
        "pvo_12_26": lambda: momentum.PercentageVolumeOscillator(**bars("v")).pvo(),
    }


def by_talib(bars: Columns) -> dict[str, Callable[[], Any]]:
    c, hl, hlc, hlcv, cv, v = (bars.arrays(letters) for letters in ("c", "hl", "hlc", "hlcv", "cv", "v"))
    macd = cache(lambda: LIB.MACD(*c))
    bands = cache(lambda: LIB.BBANDS(*c, 20, 2, 2))
    keltner = cache(lambda: LIB.KC(*hlc, 20, 10, 2))
    channel = cache(lambda: LIB.DONCHIAN(*hl, 20))
    return {
        **{f"sma_{n}": partial(LIB.SMA, *c, n) for n in (10, 20, 30, 50, 100, 200)},
        **{f"ema_{n}": partial(LIB.EMA, *c, n) for n in (12, 20, 26, 50, 100, 200)},
        "wma_20": lambda: LIB.WMA(*c, 20),
        "macd_12_26": lambda: macd()[0],
        "macd_signal_12_26_9": lambda: macd()[1],
        "macd_histogram_12_26_9": lambda: macd()[2],
        "ppo_12_26": lambda: LIB.PPO(*c, 12, 26, 1),
        "trix_15": lambda: LIB.TRIX(*c, 15),
        "cci_20": lambda: LIB.CCI(*hlc, 20),
        "aroon_up_25": lambda: LIB.AROON(*hl, 25)[1],
        "aroon_down_25": lambda: LIB.AROON(*hl, 25)[0],
        "aroon_25": lambda: LIB.AROONOSC(*hl, 25),
        "plus_di_14": lambda: LIB.PLUS_DI(*hlc, 14),
        "minus_di_14": lambda: LIB.MINUS_DI(*hlc, 14),
        "dx_14": lambda: LIB.DX(*hlc, 14),
        "adx_14": lambda: LIB.ADX(*hlc, 14),
        "psar_240": lambda: LIB.SAR(*hl),
        "rsi_7": lambda: LIB.RSI(*c, 7),
        "rsi_14": lambda: LIB.RSI(*c, 14),
        "stochrsi_14": lambda: LIB.STOCHRSI(*c, 14, 14, 3)[0] / 100,
        "stochrsi_k_14_3": lambda: LIB.STOCHRSI(*c, 14, 14, 3)[1] / 100,
        "stoch_k_14": lambda: LIB.STOCHF(*hlc, 14, 3)[0],
        "stoch_d_14_3": lambda: LIB.STOCHF(*hlc, 14, 3)[1],
        "williams_r_14": lambda: LIB.WILLR(*hlc, 14),
        "momentum_10": lambda: LIB.MOM(*c, 10),
        "roc_12": lambda: LIB.ROC(*c, 12),
        "tsi_25_13": lambda: LIB.TSI(*c, 25, 13),
        "ultimate_7_14_28": lambda: LIB.ULTOSC(*hlc, 7, 14, 28),
        "true_range": lambda: LIB.TRANGE(*hlc),
        "atr_14": lambda: LIB.ATR(*hlc, 14),
        "natr_14": lambda: LIB.NATR(*hlc, 14),
        "bb_upper_20_2": lambda: bands()[0],
        "bb_middle_20": lambda: bands()[1],
        "bb_lower_20_2": lambda: bands()[2],
        "keltner_upper_20_10_2": lambda: keltner()[0],
        "keltner_middle_20": lambda: keltner()[1],
        "keltner_lower_20_10_2": lambda: keltner()[2],
        "donchian_upper_20": lambda: channel()[0],
        "donchian_middle_20": lambda: channel()[1],
        "donchian_lower_20": lambda: channel()[2],
        "vwap_14": lambda: LIB.VWAP(*hlcv),
        "obv_200": lambda: gained(LIB.OBV(*cv)),
        "ad_200": lambda: gained(LIB.AD(*hlcv)),
        "pvt_200": lambda: gained(LIB.PVT(*cv)),
        "nvi_200": lambda: grown(LIB.NVI(*cv)),
        "pvi_200": lambda: grown(LIB.PVI(*cv)),
        "chaikin_3_10": lambda: LIB.ADOSC(*hlcv, 3, 10),
        "cmf_20": lambda: LIB.CMF(*hlcv, 20),
        "mfi_14": lambda: LIB.MFI(*hlcv, 14),
        "force_13": lambda: LIB.EFI(*cv, 13),
        "volume_sma_20": lambda: LIB.SMA(*v, 20),
        "volume_ratio_20": lambda: LIB.RVOL(*v, 20),
        "volume_roc_20": lambda: LIB.ROC(*v, 20),
        "pvo_12_26": lambda: LIB.PVO(*v),
    }
