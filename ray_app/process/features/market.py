"""Features of the market around the symbol: other coins, stocks, the dollar, breadth, derivatives, regimes."""

from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from ray_app.process.features.feature import HOURS, Feature, Formula
from ray_app.process.features.inputs import Shared
from ray_app.process.features.known import HOUR_US
from ray_app.process.features.macro import DAILY, TOLD_WEEKLY
from ray_app.process.features.moments import Pair, both, pair, pair_of_columns
from ray_app.process.features.symbols import Symbols
from ray_app.process.indicators.grid import Array
from ray_app.process.indicators.windows import change, growth, late, mean, ratio

STALE = 3 * HOURS  # of market totals, market points and open interest
FUNDED = 9 * HOURS  # of a funding rate: it is told every 8 hours
CLOSES = {"SP500": DAILY, "NASDAQCOM": DAILY, "VIXCLS": DAILY, "DTWEXBGS": TOLD_WEEKLY}
CLOSE_HOUR = 21  # UTC: when New York closes in winter; in summer it is an hour earlier
HALF = 0.5  # of the tracked symbols must be known
KNOWN = "of which 9 in 10 must be known"
SPANS = {"7d": 168, "30d": 720}


def total_of(shared: Shared, number: str) -> Array:
    return shared.total().newest(number, STALE)


def total_change_of(shared: Shared, number: str, hours: int) -> Array:
    return 100 * growth(shared.find(total_of, number), hours)


def dominance_change_of(shared: Shared, hours: int) -> Array:
    return change(shared.find(total_of, "btc_dominance"), hours)


def moves_of(shared: Shared, hours: int) -> tuple[Array, Array, Array]:
    """Of the tracked symbols' returns: the mean, the share above 0, the spread; NaN unless half of them are known."""
    symbols = sorted(shared.bars)
    count, rising, sums, squares = (np.zeros(len(shared.at)) for _ in range(4))
    for symbol in symbols:
        moves = growth(shared.bars_of(symbol).close, hours)
        there = np.isfinite(moves)
        filled = np.where(there, moves, 0.0)
        count += there
        rising += filled > 0
        sums += filled
        squares += filled * filled
    count = np.where(count >= max(HALF * len(symbols), 1), count, np.nan)
    middle = sums / count
    return middle, rising / count, np.sqrt(np.maximum(squares / count - middle * middle, 0 * middle))


def breadth_of(shared: Shared, hours: int, which: int, scale: float) -> Array:
    return scale * shared.keep(("moves", hours), lambda: moves_of(shared, hours))[which]


def above_mean_of(shared: Shared, hours: int) -> Array:
    """The share of the tracked symbols whose close is above the mean of so many."""
    count, above = np.zeros(len(shared.at)), np.zeros(len(shared.at))
    for symbol in sorted(shared.bars):
        close = shared.bars_of(symbol).close
        middle = mean(close, hours)
        count += np.isfinite(middle)
        above += close > middle
    return above / np.where(count >= max(HALF * len(shared.bars), 1), count, np.nan)


def pair_of(one: Symbols, other: str, hours: int) -> Pair:
    x, y = one.keep(("both", other), lambda: both(one.moves(), one.shared.moves_of(other)))
    return one.keep(("pair", other, hours), lambda: pair(x, y, hours))


def correlation_of(one: Symbols, other: str, hours: int) -> Array:
    return pair_of(one, other, hours).correlation


def beta_of(one: Symbols, other: str, hours: int) -> Array:
    return pair_of(one, other, hours).beta


def strength_of(one: Symbols, other: str, hours: int) -> Array:
    return 100 * (one.returns(hours) - one.shared.returns_of(other, hours))


def changes_of(shared: Shared, series: str, days: int) -> tuple[NDArray[np.int64], Array]:
    """Of a daily series as it was known, from the row on that held when the frame began: per day back and row, which
    bar ends when the market closes (-1: none of the frame), and the change from the day before."""
    joined = shared.series(series, days + 1)
    first = max(int(joined.held.rows[0]), 0)
    periods, values = joined.held.periods[first:].T, joined.values["value"][first:].T
    bar = periods // HOUR_US + CLOSE_HOUR - 1 - shared.first
    before = np.where(values[1:] > 0, values[1:], np.nan)
    return np.where((bar >= 0) & (bar < len(shared.at)), bar, -1), (values[:-1] - before) / before


def closes_of(one: Symbols, series: str, days: int) -> Pair:
    """The symbol's changes over the same times as the last `days` of the series, and these."""
    shared = one.shared
    bar, theirs = shared.keep(("changes", series, days), lambda: changes_of(shared, series, days))
    close = np.concatenate([one.own.close, np.full((len(one.inputs), 1), np.nan)], axis=1)
    own = np.moveaxis(close[:, bar], 0, 1)  # (days, symbols, rows of the series)
    return pair_of_columns((own[:-1] - own[1:]) / own[1:], np.broadcast_to(theirs[:, None], own[1:].shape))


def stock_of(one: Symbols, series: str, days: int, number: str) -> Array:
    """`number`: correlation or beta."""
    found: Array = getattr(one.keep(("closes", series, days), lambda: closes_of(one, series, days)), number)
    joined = one.shared.series(series, days + 1)
    return joined.take(late(found, joined.held.periods[:, 0]), CLOSES[series])


def funding_of(one: Symbols) -> Array:
    return 100 * one.funded().newest("rate", FUNDED)


def funding_mean_of(one: Symbols, hours: int) -> Array:
    return one.rolling(funding_of).mean(hours)


def funding_score_of(one: Symbols, hours: int) -> Array:
    return one.rolling(funding_of).score(hours)


def interest_of(one: Symbols) -> Array:
    return one.interest().newest("worth", STALE)


def interest_change_of(one: Symbols, hours: int) -> Array:
    return 100 * growth(one.find(interest_of), hours)


def interest_share_of(one: Symbols) -> Array:
    return 100 * ratio(one.find(interest_of), one.point().newest("market_cap", STALE))


def share_of(one: Symbols) -> Array:
    total = one.shared.find(total_of, "market_cap")
    return 100 * ratio(one.point().newest("market_cap", STALE), total)


def regime_of(one: Symbols, short: int, long: int) -> Array:
    return ratio(one.moves().deviation(short), one.moves().deviation(long))


def market_regime_of(shared: Shared, short: int, long: int) -> Array:
    moves = shared.moves_of("BTC")
    return ratio(moves.deviation(short), moves.deviation(long))


def size_of(one: Symbols) -> Array:
    return np.abs(one.returns())


def trend_of(one: Symbols, hours: int) -> Array:
    """How straight the way was: the change by the sum of all changes on it."""
    way = one.rolling(size_of)
    return ratio(np.abs(one.returns(hours)), way.sum(hours) + 0 * way.count(hours))


def _bars(name: str, formula: str, unit: str, hours: int, function: Formula, *parameters: object,
          other: str = "") -> Feature:  # fmt: skip
    inputs = ("bars", f"bars {other}") if other else ("bars",)
    return Feature(name, "market", formula, inputs, unit, hours, function, parameters)


def _crowd(name: str, formula: str, unit: str, hours: int, function: Formula, *parameters: object) -> Feature:
    return Feature(name, "market", formula, ("bars of all",), unit, hours, function, parameters, shared=True)


def _totals(
    name: str, formula: str, unit: str, hours: int, function: Formula, *parameters: object
) -> Feature:
    return Feature(name, "market", formula, ("totals",), unit, hours, function, parameters, STALE,
                   shared=True)  # fmt: skip


def _closes(name: str, series: str, formula: str, unit: str, days: int, number: str) -> Feature:
    own = f"the symbol's from {CLOSE_HOUR}:00 UTC to {CLOSE_HOUR}:00 of the same days"
    words = f"{formula} of the last {days} changes, {KNOWN}; {own}"
    limit = CLOSES[series]
    # A trading day in seven tenths of the days, and some days of holidays.
    hours = (limit + timedelta(days=days * 7 // 5 + 10)) // HOURS
    inputs, parameters = ("bars", f"observations {series}"), (series, days, number)
    return Feature(name, "market", words, inputs, unit, hours, stock_of, parameters, limit)


def _own(name: str, source: str, formula: str, unit: str, limit: timedelta, hours: int, function: Formula,
         *parameters: object) -> Feature:  # fmt: skip
    inputs = tuple(source.split(", "))
    return Feature(name, "market", formula, inputs, unit, hours, function, parameters, limit)


FEATURES: tuple[Feature, ...] = (
    _totals("btc_dominance", "bitcoin's share of the market's capitalisation", "percent", 0, total_of,
            "btc_dominance"),
    _totals("eth_dominance", "ether's share of the market's capitalisation", "percent", 0, total_of, "eth_dominance"),
    _totals("btc_dominance_change_7d", "btc_dominance less its value 168 rows before", "percentage points", 168,
            dominance_change_of, 168),
    *(
        _totals(f"total_market_cap_change_{span}", f"growth of the market's capitalisation over {hours} rows",
                "percent", hours,
                total_change_of, "market_cap", hours)
        for span, hours in (("24h", 24), ("7d", 168))
    ),
    *(
        _crowd(f"breadth_rising_{span}",
               f"share of the tracked symbols that rose over {hours} bars; half of them must be known",
               "0 to 1", hours, breadth_of, hours, 1, 1.0)
        for span, hours in (("24h", 24), ("7d", 168))
    ),
    _crowd("breadth_above_mean_200",
           "share of the tracked symbols whose close is above the mean of 200; half of them must "
           "be known", "0 to 1", 200, above_mean_of, 200),
    _crowd("market_return_24h", "mean change over 24 bars of the tracked symbols; half of them must be known",
           "percent", 24,
           breadth_of, 24, 0, 100.0),
    _crowd("market_dispersion_24h",
           "standard deviation of the tracked symbols' changes over 24 bars; half of them must be "
           "known", "percent", 24, breadth_of, 24, 2, 100.0),
    *(
        _bars(f"{word}_{other.lower()}_{span}",
              f"{text} of hourly returns with those of {other} over {hours} hours, {KNOWN}",
              unit, hours, function, other, hours, other=other)
        for other in ("BTC", "ETH")
        for span, hours in SPANS.items()
        for word, text, unit, function in (
            ("correlation", "correlation", "-1 to 1", correlation_of), ("beta", "covariance / variance", "ratio",
                    beta_of),
        )
    ),
    *(
        _bars(f"strength_btc_{span}", f"change over {hours} bars less bitcoin's", "percentage points", hours,
              strength_of, "BTC",
              hours, other="BTC")
        for span, hours in (("24h", 24), ("7d", 168))
    ),
    *(
        _closes(f"correlation_{word}_30d", series, f"correlation with {what}", "-1 to 1", 30, "correlation")
        for word, series, what in (
            ("sp500", "SP500", "the S&P 500"), ("nasdaq", "NASDAQCOM", "the NASDAQ Composite"), ("vix", "VIXCLS",
                    "the VIX"),
            ("dollar", "DTWEXBGS", "the broad dollar index"),
        )
    ),
    *(
        _closes(f"beta_{word}_60d", series, f"covariance / variance with {what}", "ratio", 60, "beta")
        for word, series, what in (("sp500", "SP500", "the S&P 500"), ("dollar", "DTWEXBGS",
                "the broad dollar index"))
    ),
    _own("funding_rate", "funding", "100 times the newest funding rate", "percent of the position", FUNDED, 0,
         funding_of),
    _own("funding_mean_7d", "funding", f"mean of funding_rate over 168 rows, {KNOWN}", "percent of the position",
         FUNDED, 168,
         funding_mean_of, 168),
    _own("funding_zscore_30d", "funding", f"(funding_rate - mean) / standard deviation over 720 rows, {KNOWN}",
         "standard deviations", FUNDED, 720, funding_score_of, 720),
    _own("open_interest_usd", "open_interest", "what the open contracts are worth", "USD", STALE, 0, interest_of),
    *(
        _own(f"open_interest_change_{span}", "open_interest", f"growth of open_interest_usd over {hours} rows",
             "percent", STALE,
             hours, interest_change_of, hours)
        for span, hours in (("24h", 24), ("7d", 168))
    ),
    _own("open_interest_to_market_cap", "open_interest, points", "100 open_interest_usd / market_cap_usd",
         "percent", STALE, 0,
         interest_share_of),
    _own("market_share", "points, totals", "100 market_cap_usd / the market's capitalisation", "percent", STALE, 0,
         share_of),
    *(
        _bars(f"volatility_regime_{word}", f"standard deviation of {short} hourly returns / of {long}, {KNOWN}",
              "ratio", long,
              regime_of, short, long)
        for word, short, long in (("24h_7d", 24, 168), ("24h_30d", 24, 720), ("7d_90d", 168, 2160))
    ),
    Feature("btc_volatility_regime_24h_30d", "market", f"the same of bitcoin: of 24 hourly returns / of 720, {KNOWN}",
            ("bars BTC",), "ratio", 720, market_regime_of, (24, 720), shared=True),
    *(
        _bars(f"trend_strength_{span}",
              f"size of the change over {hours} bars / sum of the sizes of their hourly returns, {KNOWN}",
              "0 to 1 and little more", hours, trend_of, hours)
        for span, hours in (("24h", 24), ("7d", 168))
    ),
)  # fmt: skip
