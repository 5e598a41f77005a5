"""FRED's routes for one series: observations, the series itself, its vintages, its release."""

from datetime import date
from typing import Any

from ray_app.simulator.clock import instant
from ray_app.simulator.fred import asof
from ray_app.simulator.fred.asof import FOREVER, Version
from ray_app.simulator.fred.catalog import ADJUSTMENTS, FREQUENCIES, RELEASES, Series
from ray_app.simulator.fred.histories import CENTRAL, Histories, Known, units
from ray_app.simulator.fred.query import EARLIEST, ECHOED_EARLIEST, Query
from ray_app.simulator.fred.wire import NO_SERIES, NOT_ARCHIVED, listing, stamp
from ray_app.simulator.wire import Reply

MOST_VINTAGES, MOST_ROWS = 2_000, 100_000


class SeriesRoutes:
    """Answers about one series, as of a virtual time."""

    def __init__(self, histories: Histories) -> None:
        self._histories = histories

    def known(self, series: Series, now_ms: int) -> Known:
        return self._histories.known(series, self._histories.visible(series, now_ms))

    def _asked(self, query: Query, now_ms: int) -> tuple[Series, Known]:
        series = query.series()
        known = self.known(series, now_ms)
        if not known.versions:  # the virtual present is before the series began
            raise query.refused(NO_SERIES)
        return series, known

    def observations(self, query: Query, now_ms: int) -> Reply:
        series, known = self._asked(query, now_ms)
        kind = query.number("output_type", 1, 1, 4)
        for name, only in (("units", "lin"), ("aggregation_method", "avg")):
            if query.params.get(name, only) != only:
                raise query.refused(f"The simulator has no {name} but {only}.")
        if "frequency" in query.params:
            raise query.refused("The simulator does not aggregate: leave frequency out.")
        vintages = query.vintages()
        start, end = query.window(known.updated, known.updated)
        if vintages:
            start, end = vintages[0], vintages[-1]
        if query.is_historical():
            self._check(query, series, known, start, end)
        asked = query.day("observation_start", ECHOED_EARLIEST), query.day("observation_end", FOREVER)
        versions = [version for version in known.versions if asked[0] <= version.period <= asked[1]]
        rows: list[Any]
        if kind in (2, 3):
            told = vintages or [day for day in known.vintages if start <= day <= end] or [start]
            rows = [
                {"date": day, **{f"{series.id}_{vintage:%Y%m%d}": value for vintage, value in row}}
                for day, row in asof.as_columns(versions, told, only_new=kind == 3)
            ]
        else:
            rows = asof.in_window(asof.initial(known.versions) if kind == 4 else versions, start, end)
            if kind == 4:
                rows = [version for version in rows if asked[0] <= version.period <= asked[1]]
            if len(vintages) > 1:
                rows = [row for row in rows if any(row.start <= day <= row.end for day in vintages)]
        paging, page = query.page(rows, MOST_ROWS)
        head = {
            "realtime_start": start,
            "realtime_end": end,
            "observation_start": asked[0],
            "observation_end": asked[1],
            "units": "lin",
            "output_type": kind,
            "file_type": "json" if query.as_json else "xml",
            "order_by": "observation_date",
            **paging,
        }
        plain = [_observation(row) if isinstance(row, Version) else row for row in page]
        return self._listing(query, series, known, head, "observations", "observation", plain)

    def series(self, query: Query, now_ms: int) -> Reply:
        series, known = self._asked(query, now_ms)
        start, end = query.window(known.updated, known.updated)
        if query.is_historical():
            self._check(query, series, known, start, end, counted=False)
        rows = self.described(series, known, start, end)
        head = {"realtime_start": start, "realtime_end": end}
        return self._listing(query, series, known, head, "seriess", "series", rows)

    def vintagedates(self, query: Query, now_ms: int) -> Reply:
        series, known = self._asked(query, now_ms)
        start, end = query.window(EARLIEST, FOREVER)
        if series.first_vintage is None:
            raise query.refused(NOT_ARCHIVED)
        paging, page = query.page([day for day in known.vintages if start <= day <= end], 10_000)
        head = {"realtime_start": start, "realtime_end": end, "order_by": "vintage_date", **paging}
        return self._listing(query, series, known, head, "vintage_dates", "vintage_date", page)

    def release(self, query: Query, now_ms: int) -> Reply:
        series, known = self._asked(query, now_ms)
        start, end = query.window(known.updated, known.updated)
        head = {"realtime_start": start, "realtime_end": end}
        rows = [released(series.release, start, end)]
        return self._listing(query, series, known, head, "releases", "release", rows)

    def described(self, series: Series, known: Known, start: date, end: date) -> list[dict[str, Any]]:
        """What /series tells: a row for each time within the window that had units of its own."""
        spans = [(start, end, units(series, end))]
        for day in [day for day in known.vintages if start < day <= end and _changes_units(series, day)]:
            spans = [(start, day - date.resolution, units(series, start)), (day, end, units(series, end))]
        dates = [version.period for version in known.versions]
        name, short = FREQUENCIES[series.frequency]
        # As recorded, a row of numbers that begins with absent ones is said to start after them.
        first = min(
            (v.period for v in known.versions if v.end == FOREVER and v.value != "."), default=min(dates)
        )
        if series.frequency == "D":
            first = min(dates)
        return [
            {
                "id": series.id,
                "realtime_start": since,
                "realtime_end": until,
                "title": series.title,
                "observation_start": first,
                "observation_end": max(dates),
                "frequency": name,
                "frequency_short": short,
                "units": long_units,
                "units_short": short_units,
                "seasonal_adjustment": ADJUSTMENTS[series.adjustment],
                "seasonal_adjustment_short": series.adjustment,
                "last_updated": stamp(self._histories.updated_at(series, known.updated)),
                "popularity": series.popularity,
            }
            for since, until, (long_units, short_units) in spans
        ]

    def _check(
        self, query: Query, series: Series, known: Known, start: date, end: date, counted: bool = True
    ) -> None:
        """Refuse a window for which there is nothing in ALFRED, or too much."""
        archived = series.first_vintage is not None and end >= known.vintages[0]
        if not archived and not start == end == query.today:
            raise query.refused(NOT_ARCHIVED)
        inside = sum(start <= day <= end for day in known.vintages)
        if counted and inside > MOST_VINTAGES:
            raise query.refused(
                f"There are {inside} vintage dates in the specified real-time period: {start} to {end}.  "
                f"This exceeds the maximum number of vintage dates allowed ({MOST_VINTAGES})."
            )

    def _listing(
        self,
        query: Query,
        series: Series,
        known: Known,
        head: dict[str, Any],
        name: str,
        item: str,
        rows: Any,
    ) -> Reply:
        updated = self._histories.updated_at(series, known.updated)
        return listing(head, name, item, rows, query.as_json, updated.astimezone(instant(0).tzinfo))


def released(number: int, start: date, end: date) -> dict[str, Any]:
    """A release as FRED describes it."""
    release = RELEASES[number]
    return {
        "id": number,
        "realtime_start": start,
        "realtime_end": end,
        "name": release.name,
        "press_release": release.press,
        "link": f"https://simulated.invalid/releases/{number}/",
    }


def today(now_ms: int) -> date:
    return instant(now_ms).astimezone(CENTRAL).date()


def _changes_units(series: Series, day: date) -> bool:
    return units(series, day) != units(series, day - date.resolution)


def _observation(version: Version) -> dict[str, Any]:
    return {
        "realtime_start": version.start,
        "realtime_end": version.end,
        "date": version.period,
        "value": version.value,
    }
