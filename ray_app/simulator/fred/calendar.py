"""When American statistics come out: holidays, business days, and a rule for each kind of release.

Days are those of the upstream, US Central; a day is the finest that a vintage knows.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache

DAY = timedelta(days=1)
MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY = range(5)


@cache
def holidays(year: int) -> frozenset[date]:
    """Days on which daily series have no number. One on a Sunday is kept on Monday, on a Saturday not at all."""
    fixed = [date(year, 1, 1), date(year, 7, 4), date(year, 11, 11), date(year, 12, 25)]
    if year >= 2021:
        fixed.append(date(year, 6, 19))
    moved = [day + DAY if day.weekday() == 6 else day for day in fixed]
    last_of_may = date(year, 5, 31)
    return frozenset(
        [
            *moved,
            nth(year, 1, MONDAY, 3),
            nth(year, 2, MONDAY, 3),
            last_of_may - DAY * last_of_may.weekday(),
            nth(year, 9, MONDAY, 1),
            nth(year, 10, MONDAY, 2),
            nth(year, 11, THURSDAY, 4),
        ]
    )


def nth(year: int, month: int, weekday: int, n: int) -> date:
    """The n-th such weekday of a month."""
    first = date(year, month, 1)
    return first + DAY * ((weekday - first.weekday()) % 7 + 7 * (n - 1))


def is_business(day: date) -> bool:
    return day.weekday() < 5 and day not in holidays(day.year)


def on_or_after(day: date) -> date:
    """The first business day from this one on."""
    while not is_business(day):
        day += DAY
    return day


def on_or_before(day: date) -> date:
    while not is_business(day):
        day -= DAY
    return day


def after(day: date, count: int = 1) -> date:
    """That many business days later."""
    for _ in range(count):
        day = on_or_after(day + DAY)
    return day


def month_later(first: date, count: int = 1) -> date:
    """The first of the month so many months on."""
    months = first.year * 12 + first.month - 1 + count
    return date(months // 12, months % 12 + 1, 1)


def periods(frequency: str, first: date, last: date) -> Iterator[date]:
    """The dates that observations bear: days (D: Monday to Friday), week ends (W), first days (M, Q).

    A weekly series is dated by the last day of its week, so `first` has to be such a day.
    """
    day = first
    while day <= last:
        yield day
        if frequency in ("D", "D7"):
            day += DAY
            while frequency == "D" and day.weekday() > FRIDAY:
                day += DAY
        elif frequency == "W":
            day += 7 * DAY
        else:
            day = month_later(day, 3 if frequency == "Q" else 1)


def published(rule: str, period: date) -> date:
    """The day on which the observation of this period first comes out.

    `itself` (on weekends too), `next`, `same` (evening), `h10` (Mondays for the week before), `wednesday` (for
    the days up to Monday), `week+5` (so many days after the week's end, a holiday earlier), `month+12`,
    `quarter+29` (so many days after the period's end), `jobs` (first Friday), `m2` (fourth Tuesday), `first`
    (business day of the month).
    """
    name, _, number = rule.partition("+")
    match name:
        case "itself":
            return period
        case "next":
            return after(period)
        case "same":
            return on_or_after(period)
        case "h10":
            return on_or_after(period + DAY * (7 - period.weekday()))
        case "wednesday":
            return on_or_after(period + DAY * (2 + (-period.weekday()) % 7))
        case "week":
            return on_or_before(period + DAY * int(number))
        case "month":
            return on_or_after(month_later(period) - DAY + DAY * int(number))
        case "quarter":
            return on_or_after(month_later(period, 3) - DAY + DAY * int(number))
        case "jobs":
            following = month_later(period)
            return on_or_after(nth(following.year, following.month, FRIDAY, 1))
        case "m2":
            following = month_later(period)
            return on_or_after(nth(following.year, following.month, TUESDAY, 4))
        case "first":
            return after(month_later(period) - DAY)
    raise ValueError(f"no rule {rule!r} for a release")
