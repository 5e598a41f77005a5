"""The life of every number: when it first came out, how often it was revised, when it was taken back.

All of it hangs on the seed, the series and the observation's date alone. What is known on a day is cut
out of the whole life, so a day in the virtual past looks the same whenever it is asked about.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from statistics import fmean
from zoneinfo import ZoneInfo

import numpy as np

from ray_app.simulator.clock import instant
from ray_app.simulator.fred.asof import FOREVER, NOTHING, Version
from ray_app.simulator.fred.calendar import (
    DAY,
    after,
    is_business,
    month_later,
    on_or_after,
    periods,
    published,
)
from ray_app.simulator.fred.catalog import REBASED, RELEASES, SERIES, Series
from ray_app.simulator.noise import fraction, key, wander

CENTRAL = ZoneInfo("America/Chicago")
STEPS_A_DAY, EPOCH = 288, date(1970, 1, 1).toordinal()
LEVEL_YEAR = date(2020, 1, 1)
# A number of before the series proper came and went, as one of 1946 really did.
BACK_EXTENSION, TAKEN_BACK, RETOLD, GONE = (
    date(1992, 12, 22), date(1997, 5, 7), date(1999, 10, 29), date(2011, 7, 29),
)  # fmt: skip

Life = list[tuple[date, str]]  # the days on which a number was told anew, and what was told


@dataclass(frozen=True, slots=True)
class Known:
    """A series on a day: its versions up to then, and the last day on which anything changed."""

    versions: tuple[Version, ...]
    updated: date
    vintages: tuple[date, ...]


class Histories:
    """All series of one seed. Days are US Central."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._lives: dict[str, tuple[int, dict[date, Life]]] = {}  # series: until which year, and what
        self._numbers: dict[str, tuple[int, dict[date, float]]] = {}
        self._known: dict[str, tuple[date, Known]] = {}

    def visible(self, series: Series, now_ms: int) -> date:
        """The last day whose publications are out: today only from the release's hour on."""
        now = instant(now_ms).astimezone(CENTRAL)
        return now.date() if now.strftime("%H:%M") >= RELEASES[series.release].at else now.date() - DAY

    def known(self, series: Series, visible: date) -> Known:
        """Everything that was out by the end of that day."""
        kept = self._known.get(series.id)
        if kept is not None and kept[0] == visible:
            return kept[1]
        versions: list[Version] = []
        first = date.min if series.years is None else _years_before(visible, series.years)
        for period, life in self.lives(series, visible.year + 1).items():
            told = [event for event in life if event[0] <= visible]
            if not told or period < first:
                continue
            for (start, value), (following, _) in pairwise(told):
                versions.append(Version(period, start, following - DAY, value))
            versions.append(Version(period, told[-1][0], FOREVER, told[-1][1]))
        vintages = tuple(sorted({version.start for version in versions}))
        known = Known(tuple(versions), vintages[-1] if vintages else visible, vintages)
        self._known[series.id] = visible, known
        return known

    def updated_at(self, series: Series, updated: date) -> datetime:
        """The moment of that day's publication, with its zone."""
        at = datetime.fromisoformat(f"{updated}T{RELEASES[series.release].at}:01")
        return at.replace(tzinfo=CENTRAL) + timedelta(seconds=key(0, series.id, updated) % 55)

    def lives(self, series: Series, until: int) -> dict[date, Life]:
        """The life of each observation up to the end of that year, their future included."""
        kept = self._lives.get(series.id)
        if kept is None or kept[0] != until:
            numbers = self.numbers(series, until).items()
            told = {
                day: list(_merged(self._events(series, day, n), series.first_vintage)) for day, n in numbers
            }
            kept = self._lives[series.id] = until, told
        return kept[1]

    def numbers(self, series: Series, until: int) -> dict[date, float]:
        """The true number of each observation, as it will be told in the end; NaN where there is none."""
        kept = self._numbers.get(series.id)
        if kept is None or kept[0] != until:
            kept = self._numbers[series.id] = until, self._numbers_of(series, until)
        return kept[1]

    def _numbers_of(self, series: Series, until: int) -> dict[date, float]:
        days = list(periods(series.frequency, series.start, date(until, 12, 31)))
        if len(series.made_of) == 2:
            left, right = (self.numbers(SERIES[name], until) for name in series.made_of)
            return {day: round(left[day], 2) - round(right[day], 2) for day in days}
        if series.made_of:
            daily = self.numbers(SERIES[series.made_of[0]], until)
            months: dict[date, list[float]] = {}
            for day, number in daily.items():
                months.setdefault(day.replace(day=1), []).append(round(number, 2))
            means = {month: fmean(inside) for month, inside in months.items()}
            if not series.stair:
                return means
            return {day: math.ceil(means[day.replace(day=1)] / series.stair) * series.stair for day in days}
        steps = np.array([(day.toordinal() - EPOCH) * STEPS_A_DAY for day in days], dtype=np.int64)
        keys = np.array([key(self._seed, "fred", series.id)], dtype=np.uint64)
        swings = wander(keys, steps)[0] * series.swing
        years = np.array([(day - LEVEL_YEAR).days / 365.25 for day in days])
        if series.relative:
            values = series.level * np.exp(series.growth * years + swings)
        else:
            values = series.level + series.growth * years + swings
        if series.low is not None:
            values = np.maximum(values, series.low)
        if series.frequency == "D":
            values[[not is_business(day) for day in days]] = np.nan
        return dict(zip(days, values.tolist(), strict=True))

    def _events(self, series: Series, period: date, number: float) -> Life:
        first = published(series.rule, period)
        if math.isnan(number):  # a holiday
            return [(first, NOTHING)]
        if series.id == "GDP" and period.year == 1946:
            return self._before_the_start(series, number)
        luck = fraction(self._seed, "fred luck", series.id, period)
        text = _text(series, number)
        if luck < series.withdrawn:
            return [(first, text), (after(first), NOTHING), (after(first, 3), text)]
        if luck < series.withdrawn + series.corrected:
            shift = 0.01 if luck * 1e6 % 2 < 1 else -0.01
            back = 1 + int(luck * 1e7) % 3
            return [(first, _text(series, number + shift)), (after(first, back), text)]
        return list(self._revised(series, period, number))

    def _revised(self, series: Series, period: date, number: float) -> Iterator[tuple[date, str]]:
        days = [published(series.rule, period)]
        for step in range(1, series.steps + 1):
            if series.frequency == "Q" and step < 3:
                days.append(_estimate(series, period, step))
            elif series.frequency == "W":
                days.append(published(series.rule, period + 7 * DAY * step))
            else:  # a quarter's third revision comes with the next quarter
                further = 3 if series.frequency == "Q" else step
                days.append(published(series.rule, month_later(period, further)))
        yearly = (
            [_yearly(series, days[0].year + n) for n in range(series.annual + 1)] if series.annual else []
        )
        days += [day for day in yearly if day > days[-1]][: series.annual]
        for n, day in enumerate(days):
            yield day, _text(series, self._as_told(series, period, number, n, len(days) - 1), day)
        rebased = REBASED.get(series.id)
        if rebased is not None and days[-1] < rebased.day:
            yield rebased.day, _text(series, number, rebased.day)

    def _as_told(self, series: Series, period: date, number: float, n: int, last: int) -> float:
        """The number of the n-th telling; the last one is the true one."""
        if n == last:
            return number
        off = (fraction(self._seed, "fred revision", series.id, period, n) * 2 - 1) * series.size
        off *= (last - n) / last
        return number * (1 + off) if series.relative else number + off

    def _before_the_start(self, series: Series, number: float) -> Life:
        text, later = _text(series, number), _text(series, number * 1.05)
        return [(BACK_EXTENSION, text), (TAKEN_BACK, NOTHING), (RETOLD, later), (GONE, NOTHING)]


def units(series: Series, day: date) -> tuple[str, str]:
    """The units, long and short, in which the series was told on a day."""
    rebased = REBASED.get(series.id)
    if rebased is not None and day < rebased.day:
        return rebased.units, rebased.units_short
    return series.units, series.units_short


def _text(series: Series, number: float, told: date | None = None) -> str:
    decimals, rebased = series.decimals, REBASED.get(series.id)
    if told is not None and rebased is not None and told < rebased.day:
        number, decimals = number * rebased.factor, rebased.decimals
    rounded = round(number, decimals)
    return f"{rounded + 0.0:.{max(0, decimals)}f}" if rounded else f"{0:.{max(0, decimals)}f}"


def _merged(events: Life, first_vintage: date | None) -> Iterator[tuple[date, str]]:
    """In order and without repetitions; what came before the first vintage is told with it."""
    said: str | None = None
    ordered = sorted(events, key=lambda event: event[0])
    for at, (day, value) in enumerate(ordered):
        shown = day if first_vintage is None else max(day, first_vintage)
        following = ordered[at + 1][0] if at + 1 < len(ordered) else None
        if following is not None and (following == day or following <= (first_vintage or date.min)):
            continue
        if value != said:
            said = value
            yield shown, value


def _yearly(series: Series, year: int) -> date:
    """The day of a year's revision: with the release of the month before (Q: the spring's last estimate)."""
    if series.frequency == "Q":
        return _estimate(series, date(year, 4, 1), 2)
    return published(series.rule, month_later(date(year, series.annual_month, 1), -1))


def _estimate(series: Series, quarter: date, step: int) -> date:
    """The day of a quarter's second (1) or third (2) estimate."""
    return on_or_after(published(series.rule, quarter) + DAY * 30 * step)


def _years_before(day: date, years: int) -> date:
    leap_day = (day.month, day.day) == (2, 29)
    return (day - DAY if leap_day else day).replace(year=day.year - years)
