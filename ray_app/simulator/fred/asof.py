"""The as-of engine: what a series looked like on a day, told from the versions of its numbers.

A version is a number of one observation and the days, both inclusive, on which it was the newest one.
Versions come sorted by (period, start); those of one observation follow each other without holes.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date

FOREVER = date(9999, 12, 31)
NOTHING = "."  # as FRED writes a number that is not there, or was taken back


@dataclass(frozen=True, slots=True)
class Version:
    """`period` is the observation's date; `value` the text that the upstream tells."""

    period: date
    start: date
    end: date
    value: str


def in_window(versions: Iterable[Version], start: date, end: date) -> list[Version]:
    """Versions in force at any time within the window, their bounds clamped to it."""
    return [
        replace(version, start=max(version.start, start), end=min(version.end, end))
        for version in versions
        if version.start <= end and version.end >= start
    ]


def vintage_dates(versions: Iterable[Version]) -> list[date]:
    """The days on which anything changed."""
    return sorted({version.start for version in versions})


def initial(versions: Sequence[Version]) -> list[Version]:
    """First releases only: a date is one when it is later than all that were known before.

    So neither the history that came with the first vintage nor one added at the beginning later counts.
    """
    firsts: dict[date, Version] = {}
    for version in versions:
        firsts.setdefault(version.period, version)
    latest: date | None = None
    known: dict[date, date | None] = {}  # vintage -> the latest observation known before it
    for vintage, newest in sorted(_newest(firsts.values()).items()):
        known[vintage] = latest
        latest = newest if latest is None else max(latest, newest)
    return [
        version
        for version in firsts.values()
        if (before := known[version.start]) is not None and version.period > before
    ]


def as_columns(
    versions: Sequence[Version], vintages: Sequence[date], only_new: bool
) -> list[tuple[date, list[tuple[date, str]]]]:
    """Per observation: its number at each of the vintages, or (only_new) at those that changed it."""
    rows: dict[date, list[tuple[date, str]]] = {}
    for version in versions:
        first = bisect_right(vintages, version.start)
        first -= bool(first and vintages[first - 1] == version.start)
        last = bisect_right(vintages, version.end)
        told = vintages[first:last]
        if only_new:
            told = [vintage for vintage in told if vintage == version.start]
        if told:
            rows.setdefault(version.period, []).extend((vintage, version.value) for vintage in told)
    return list(rows.items())


def _newest(firsts: Iterable[Version]) -> dict[date, date]:
    newest: dict[date, date] = {}
    for version in firsts:
        newest[version.start] = max(version.period, newest.get(version.start, version.period))
    return newest
