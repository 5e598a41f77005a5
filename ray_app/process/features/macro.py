"""Features of the economy of the US and of other markets, each in the vintage that was known at the row.

Changes are worked out between periods as they were known at one moment: the older period in its vintage of
then, not in that of its own release.
"""

from datetime import timedelta

import numpy as np

from ray_app.process.features.feature import DAYS, Feature, Formula
from ray_app.process.features.inputs import Shared
from ray_app.process.features.joined import MICROSECOND, Joined
from ray_app.process.features.known import NEVER
from ray_app.process.indicators.grid import Array
from ray_app.process.indicators.windows import ratio

# How old the newest period may be, counted from its first day: one release may be late by some days.
DAILY, WEEKLY, MONTHLY, QUARTERLY = 8 * DAYS, 21 * DAYS, 100 * DAYS, 260 * DAYS
TOLD_WEEKLY = 18 * DAYS  # daily values that are told once a week
SPARE = 4  # days: how far from where it should be the older period may lie


def level_of(shared: Shared, name: str, limit: timedelta) -> Array:
    return shared.series(name).newest("value", limit)


def older(joined: Joined, days: float) -> tuple[Array, Array]:
    """The newest value, and the one whose period is nearest to so many days before; NaN where none is near."""
    values, starts = joined.values["value"], joined.held.periods
    off = np.abs((starts[:, :1] - starts) / (DAYS // MICROSECOND) - days)
    off[starts == NEVER] = np.inf
    rows, nearest = np.arange(len(off)), np.argmin(off, axis=1)
    return values[:, 0], np.where(off[rows, nearest] <= SPARE, values[rows, nearest], np.nan)


def growth_of(shared: Shared, name: str, limit: timedelta, periods: int, days: float) -> Array:
    joined = shared.series(name, periods + 1)
    now, then = older(joined, days)
    return joined.take(100 * ratio(now - then, np.where(then > 0, then, np.nan)), limit)


def difference_of(shared: Shared, name: str, limit: timedelta, periods: int, days: float) -> Array:
    joined = shared.series(name, periods + 1)
    now, then = older(joined, days)
    return joined.take(now - then, limit)


def less_of(shared: Shared, one: str, other: str, limit: timedelta) -> Array:
    return shared.find(level_of, one, limit) - shared.find(level_of, other, limit)


def liquidity_of(shared: Shared) -> Array:
    """WALCL and WTREGEN are in millions, RRPONTSYD is in billions."""
    assets, treasury = (shared.find(level_of, name, WEEKLY) for name in ("WALCL", "WTREGEN"))
    return (assets - treasury) / 1000 - shared.find(level_of, "RRPONTSYD", DAILY)


def _macro(name: str, series: tuple[str, ...], formula: str, unit: str, limit: timedelta, function: Formula,
           *parameters: object, back: float = 0) -> Feature:  # fmt: skip
    inputs = tuple(f"observations {one}" for one in series)
    older_by = timedelta(days=back + (SPARE if back else 0))
    return Feature(
        name, "macro", formula, inputs, unit, 0, function, parameters, limit, older_by, shared=True
    )


def _level(name: str, series: str, formula: str, unit: str, limit: timedelta) -> Feature:
    return _macro(name, (series,), formula, unit, limit, level_of, series, limit)


def _grown(name: str, series: str, what: str, limit: timedelta, periods: int, days: float) -> Feature:
    formula = (
        f"100 (newest / period nearest to {days:g} days before - 1) of {what}, within {SPARE} days of it"
    )
    return _macro(
        name, (series,), formula, "percent", limit, growth_of, series, limit, periods, days, back=days
    )


def _moved(
    name: str, series: str, what: str, unit: str, limit: timedelta, periods: int, days: float
) -> Feature:
    formula = f"newest less period nearest to {days:g} days before of {what}, within {SPARE} days of it"
    return _macro(
        name, (series,), formula, unit, limit, difference_of, series, limit, periods, days, back=days
    )


FEATURES: tuple[Feature, ...] = (
    _level("fed_funds_rate", "DFF", "federal funds effective rate", "percent", DAILY),
    _level("fed_target_rate", "DFEDTARU", "upper limit of the federal funds target", "percent", DAILY),
    _level("yield_3m", "DGS3MO", "Treasury yield, 3 months", "percent", DAILY),
    _level("yield_2y", "DGS2", "Treasury yield, 2 years", "percent", DAILY),
    _level("yield_10y", "DGS10", "Treasury yield, 10 years", "percent", DAILY),
    _level("real_yield_10y", "DFII10", "real Treasury yield, 10 years", "percent", DAILY),
    _level("breakeven_10y", "T10YIE", "inflation that 10-year yields imply", "percent", DAILY),
    _macro("yield_curve_10y_2y", ("DGS10", "DGS2"), "yield_10y - yield_2y", "percentage points", DAILY, less_of,
           "DGS10",
           "DGS2", DAILY),
    _macro("yield_curve_10y_3m", ("DGS10", "DGS3MO"), "yield_10y - yield_3m", "percentage points", DAILY, less_of,
           "DGS10",
           "DGS3MO", DAILY),
    _moved("yield_10y_change_5d", "DGS10", "the yield of 10 years", "percentage points", DAILY, 5, 7),
    _moved("yield_2y_change_5d", "DGS2", "the yield of 2 years", "percentage points", DAILY, 5, 7),
    _grown("cpi_yoy", "CPIAUCSL", "the consumer price index", MONTHLY, 12, 365),
    _grown("cpi_mom", "CPIAUCSL", "the consumer price index", MONTHLY, 1, 30.5),
    _grown("core_cpi_yoy", "CPILFESL", "consumer prices without food and energy", MONTHLY, 12, 365),
    _grown("core_pce_yoy", "PCEPILFE", "the price index of consumption without food and energy", MONTHLY, 12, 365),
    _level("unemployment", "UNRATE", "unemployment rate", "percent", MONTHLY),
    _moved("unemployment_change_3m", "UNRATE", "the unemployment rate", "percentage points", MONTHLY, 3, 91.5),
    _moved("payrolls_change_1m", "PAYEMS", "nonfarm employees", "thousands of persons", MONTHLY, 1, 30.5),
    _level("initial_claims", "ICSA", "initial unemployment claims of a week", "claims", WEEKLY),
    _grown("initial_claims_change_4w", "ICSA", "initial claims", WEEKLY, 4, 28),
    _grown("industrial_production_yoy", "INDPRO", "industrial production", MONTHLY, 12, 365),
    _grown("retail_sales_yoy", "RSAFS", "retail sales", MONTHLY, 12, 365),
    _grown("m2_yoy", "M2SL", "the money stock M2", MONTHLY, 12, 365),
    _grown("gdp_yoy", "GDPC1", "real gross domestic product", QUARTERLY, 4, 365),
    _level("consumer_mood", "UMCSENT", "consumer sentiment, University of Michigan", "index", MONTHLY),
    _grown("fed_assets_change_13w", "WALCL", "the Federal Reserve's assets", WEEKLY, 13, 91),
    _macro("net_liquidity", ("WALCL", "WTREGEN", "RRPONTSYD"), "the Federal Reserve's assets - Treasury's account - "
           "overnight reverse repurchases", "billions of USD", WEEKLY, liquidity_of),
    _level("dollar_index", "DTWEXBGS", "broad US dollar index", "index", TOLD_WEEKLY),
    _grown("dollar_change_20d", "DTWEXBGS", "the broad dollar index", TOLD_WEEKLY, 20, 29),
    _level("vix", "VIXCLS", "VIX, close", "index", DAILY),
    _moved("vix_change_5d", "VIXCLS", "the VIX", "points", DAILY, 5, 7),
    _grown("sp500_change_5d", "SP500", "the S&P 500", DAILY, 5, 7),
    _grown("sp500_change_20d", "SP500", "the S&P 500", DAILY, 20, 29),
    _grown("nasdaq_change_5d", "NASDAQCOM", "the NASDAQ Composite", DAILY, 5, 7),
    _grown("oil_change_20d", "DCOILWTICO", "crude oil, West Texas Intermediate", TOLD_WEEKLY, 20, 29),
)  # fmt: skip
