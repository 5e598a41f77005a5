"""Features of the symbol's own price, volume and capitalisation."""

import numpy as np

from ray_app.process.features.feature import HOURS, Feature, Formula
from ray_app.process.features.inputs import Shared
from ray_app.process.features.moments import Rolling, pair
from ray_app.process.features.symbols import Symbols
from ray_app.process.indicators.grid import Array
from ray_app.process.indicators.windows import growth, position, prior, ratio, total, without

STALE = 3 * HOURS  # of a market point
SPANS = {"1h": 1, "4h": 4, "24h": 24, "7d": 168, "30d": 720}
BARS, POINTS = ("bars",), ("points",)
KNOWN = "of which 9 in 10 must be known"


def close_of(one: Symbols) -> Array:
    return one.own.close


def high_of(one: Symbols) -> Array:
    return one.own.high


def low_of(one: Symbols) -> Array:
    return one.own.low


def change_of(one: Symbols, hours: int) -> Array:
    return 100 * one.returns(hours)


def volatility_of(one: Symbols, hours: int) -> Array:
    return 100 * one.moves().deviation(hours)


def point_of(one: Symbols, number: str) -> Array:
    return one.point().newest(number, STALE)


def point_change_of(one: Symbols, number: str, hours: int) -> Array:
    return 100 * growth(one.find(point_of, number), hours)


def turnover_of(one: Symbols) -> Array:
    return ratio(one.find(point_of, "volume_24h"), one.find(point_of, "market_cap"))


def rank_of(one: Symbols) -> Array:
    """Among the tracked symbols, its own left out and put in again by its own points."""
    mine = one.find(point_of, "market_cap")
    above = np.zeros_like(mine)
    for symbol in one.shared.points:
        above += one.shared.find(cap_of, symbol) > mine
    above -= one.each(lambda symbol: one.shared.find(cap_of, symbol)) > mine
    return without(1 + above, np.isnan(mine))


def cap_of(shared: Shared, symbol: str) -> Array:
    return shared.points_of(symbol).newest("market_cap", STALE)


def highest_of(one: Symbols, hours: int) -> Array:
    return one.rolling(high_of).highest(hours)


def lowest_of(one: Symbols, hours: int) -> Array:
    return one.rolling(low_of).lowest(hours)


def range_of(one: Symbols, hours: int) -> Array:
    return 100 * ratio(one.find(highest_of, hours) - one.find(lowest_of, hours), one.own.close)


def place_of(one: Symbols, hours: int) -> Array:
    return position(one.own.close, one.find(lowest_of, hours), one.find(highest_of, hours))


def drawdown_of(one: Symbols, hours: int) -> Array:
    return 100 * (ratio(one.own.close, one.find(highest_of, hours)) - 1)


def score_of(one: Symbols, hours: int) -> Array:
    return one.rolling(close_of).score(hours)


def skew_of(one: Symbols, hours: int) -> Array:
    return one.keep(("shape", hours), lambda: one.moves().third_and_fourth(hours))[0]


def tails_of(one: Symbols, hours: int) -> Array:
    return one.keep(("shape", hours), lambda: one.moves().third_and_fourth(hours))[1]


def rising_of(one: Symbols, hours: int) -> Array:
    moves = one.returns()
    return total(without((moves > 0).astype(np.float64), np.isnan(moves)), hours) / hours


def echo_of(one: Symbols, hours: int) -> Array:
    return pair(one.moves(), Rolling(prior(one.returns())), hours).correlation


def illiquidity_of(one: Symbols, hours: int) -> Array:
    traded = one.own.close * one.own.volume
    return 1e8 * Rolling(ratio(np.abs(one.returns()), traded)).mean(hours)


def _bars(name: str, formula: str, unit: str, hours: int, function: Formula, *parameters: object) -> Feature:
    return Feature(name, "price", formula, BARS, unit, hours, function, parameters)


def _points(name: str, formula: str, unit: str, back: int, function: Formula, *parameters: object) -> Feature:
    return Feature(name, "price", formula, POINTS, unit, back, function, parameters, STALE)


FEATURES: tuple[Feature, ...] = (
    _bars("price_usd", "close of the bar", "quote currency of the bars", 0, close_of),
    *(
        _bars(f"price_change_{span}", f"100 (close / close {hours} bars before - 1)", "percent", hours, change_of,
              hours)
        for span, hours in SPANS.items()
    ),
    *(
        _bars(
            f"price_volatility_{span}",
            f"100 times the standard deviation of {SPANS[span]} hourly returns, {KNOWN}", "percent an hour",
            SPANS[span], volatility_of, SPANS[span],
        )
        for span in ("24h", "7d", "30d")
    ),
    _points("volume_usd_24h", "volume over 24 hours of the newest market point", "USD", 0, point_of,
            "volume_24h"),
    _points("volume_change_24h", "100 (volume_usd_24h / its value 24 rows before - 1)", "percent", 24,
            point_change_of, "volume_24h", 24),
    _points("market_cap_usd", "market capitalisation of the newest market point", "USD", 0, point_of,
            "market_cap"),
    _points("market_cap_rank", "1 + how many of the tracked symbols have a higher market capitalisation", "rank",
            0, rank_of),
    *(
        _points(f"market_cap_change_{span}", f"100 (market_cap_usd / its value {SPANS[span]} rows before - 1)",
                "percent",
                SPANS[span], point_change_of, "market_cap", SPANS[span])
        for span in ("24h", "7d")
    ),
    _points("volume_to_market_cap", "volume_usd_24h / market_cap_usd", "ratio", 0, turnover_of),
    *(
        _bars(f"price_range_{span}", f"100 (highest high - lowest low of {SPANS[span]} bars, {KNOWN}) / close",
              "percent",
              SPANS[span], range_of, SPANS[span])
        for span in ("24h", "7d")
    ),
    *(
        _bars(f"price_position_{span}", f"where the close lies from the lowest low (0) to the highest high (1) of "
              f"{SPANS[span]} bars, {KNOWN}", "0 to 1", SPANS[span], place_of, SPANS[span])
        for span in ("24h", "7d", "30d")
    ),
    *(
        _bars(f"drawdown_{span}", f"100 (close / highest high of {hours} bars - 1), {KNOWN}", "percent", hours,
              drawdown_of,
              hours)
        for span, hours in (("7d", 168), ("30d", 720), ("90d", 2160))
    ),
    *(
        _bars(f"price_zscore_{span}", f"(close - mean) / standard deviation of {SPANS[span]} closes, {KNOWN}",
              "standard deviations", SPANS[span], score_of, SPANS[span])
        for span in ("7d", "30d")
    ),
    _bars("return_skewness_7d", f"third moment of 168 hourly returns about their mean / variance^1.5, {KNOWN}",
          "ratio", 168, skew_of, 168),
    _bars("return_kurtosis_7d", f"fourth moment of 168 hourly returns about their mean / variance^2 - 3, {KNOWN}",
          "ratio", 168, tails_of,
          168),
    _bars("rising_share_24h", "share of 24 hourly returns above 0", "0 to 1", 24, rising_of, 24),
    _bars("return_autocorrelation_7d", f"correlation of 168 hourly returns with those an hour before, {KNOWN}",
          "-1 to 1", 169, echo_of, 168),
    _bars("illiquidity_7d",
          f"mean over 168 bars, {KNOWN}, of 1e8 times the size of the return / (close volume); a bar "
          "without volume is not known (Amihud)", "1e8 / USD", 168, illiquidity_of, 168),
)  # fmt: skip
