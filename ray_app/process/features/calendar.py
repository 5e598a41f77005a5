"""Features of the clock: known for every row, whatever else is missing. Times are UTC where nothing else is said."""

import math
from collections.abc import Callable
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from ray_app.process.features.feature import Feature, Formula
from ray_app.process.features.inputs import Shared
from ray_app.process.features.known import HOUR_US
from ray_app.process.indicators.grid import START, Array

DAY_HOURS, WEEK_HOURS = 24, 168
DAY_US = DAY_HOURS * HOUR_US
MONDAY = 96  # hours from 1970-01-01, a Thursday, to the Monday after it
NEW_YORK = ZoneInfo("America/New_York")
SATURDAY = 6
OPENS, CLOSES = 9.5, 16.0  # hours in New York


def circle_of(shared: Shared, hours: int, sine: bool) -> Array:
    """From a table, so that no place in the array can change a digit."""
    turn = math.sin if sine else math.cos
    table = np.array([turn(2 * math.pi * hour / hours) for hour in range(hours)])
    return table[(shared.at // HOUR_US - MONDAY) % hours]


def of_days(shared: Shared, find: Callable[[pl.Series], pl.Series]) -> Array:
    """A number for each day in UTC, at its hours."""
    days = shared.at // DAY_US
    found = find(pl.Series(np.arange(days[0], days[-1] + 1) * DAY_US).cast(START))
    table: Array = found.cast(pl.Float64).to_numpy()[days - days[0]]
    return table


def weekend_of(shared: Shared) -> Array:
    return of_days(shared, lambda days: days.dt.weekday() >= SATURDAY)


def session_of(shared: Shared) -> Array:
    local = pl.Series(shared.at).cast(START).dt.convert_time_zone(NEW_YORK.key)
    hour = local.dt.hour() + local.dt.minute() / 60
    return ((local.dt.weekday() < SATURDAY) & (hour >= OPENS) & (hour < CLOSES)).cast(pl.Float64).to_numpy()


def month_day_of(shared: Shared) -> Array:
    return of_days(shared, lambda days: (days.dt.day() - 1) / days.dt.month_end().dt.day())


def funding_hours_of(shared: Shared) -> Array:
    return (-(shared.at // HOUR_US) % 8).astype(np.float64)


def _clock(name: str, formula: str, unit: str, function: Formula, *parameters: object) -> Feature:
    return Feature(name, "market", formula, (), unit, 0, function, parameters, shared=True)


FEATURES: tuple[Feature, ...] = (
    _clock("hour_sine", "sine of the hour as a part of the day", "-1 to 1", circle_of, DAY_HOURS, True),
    _clock("hour_cosine", "cosine of the hour as a part of the day", "-1 to 1", circle_of, DAY_HOURS, False),
    _clock("week_sine", "sine of the hour since Monday as a part of the week", "-1 to 1", circle_of, WEEK_HOURS,
           True),
    _clock("week_cosine", "cosine of the hour since Monday as a part of the week", "-1 to 1", circle_of, WEEK_HOURS,
           False),
    _clock("weekend", "1 on Saturday and Sunday, else 0", "0 or 1", weekend_of),
    _clock("us_session", "1 from 9:30 to 16:00 in New York from Monday to Friday, holidays too, else 0", "0 or 1",
           session_of),
    _clock("month_day", "(day of the month - 1) / days of the month", "0 to 1", month_day_of),
    _clock("hours_to_funding", "hours to the next 0:00, 8:00 or 16:00, 0 at these", "hours", funding_hours_of),
)  # fmt: skip
