"""FRED's routes over many series: what changed lately, and the calendar of releases, future ones included."""

from datetime import date, datetime, timedelta
from typing import Any

from ray_app.simulator.fred.answers import SeriesRoutes, released, today
from ray_app.simulator.fred.asof import FOREVER
from ray_app.simulator.fred.calendar import periods, published
from ray_app.simulator.fred.catalog import RELEASES, SERIES
from ray_app.simulator.fred.histories import CENTRAL, Histories
from ray_app.simulator.fred.query import EARLIEST, Query
from ray_app.simulator.fred.wire import listing
from ray_app.simulator.wire import Reply

AHEAD = timedelta(days=200)  # how far the calendar tells the future
TIMES = "%Y%m%d%H%M"


class ManySeriesRoutes:
    """Answers about all series together."""

    def __init__(self, histories: Histories, single: SeriesRoutes) -> None:
        self._histories, self._single = histories, single

    def updates(self, query: Query, now_ms: int) -> Reply:
        """All series, last updated first."""
        day = today(now_ms)
        start, end = query.window(day, day)
        wanted = query.choice("filter_value", "all", ("all", "macro", "regional"))
        since, until = self._moment(query, "start_time"), self._moment(query, "end_time")
        found: list[tuple[datetime, str, dict[str, Any]]] = []
        for series in SERIES.values():
            known = self._single.known(series, now_ms)
            if not known.versions:
                continue
            updated = self._histories.updated_at(series, known.updated)
            if (since is None or updated >= since) and (until is None or updated <= until):
                found.append((updated, series.id, self._single.described(series, known, start, end)[-1]))
        found.sort(key=lambda told: told[:2], reverse=True)
        rows = [row for *_, row in found] if wanted != "regional" else []
        limit, offset = query.number("limit", 1_000, 1, 1_000), query.number("offset", 0, 0, 10**9)
        head = {
            "realtime_start": start,
            "realtime_end": end,
            "filter_variable": "geography",
            "filter_value": wanted,
            "order_by": "last_updated",
            "sort_order": "desc",
            "count": len(rows),
            "offset": offset,
            "limit": limit,
        }
        return listing(head, "seriess", "series", rows[offset : offset + limit], query.as_json, None)

    def releases(self, query: Query, now_ms: int) -> Reply:
        start, end = query.window(today(now_ms), today(now_ms))
        rows = [released(number, start, end) for number in sorted(RELEASES)]
        paging, page = query.page(rows, 1_000)
        head = {"realtime_start": start, "realtime_end": end, "order_by": "release_id", **paging}
        return listing(head, "releases", "release", page, query.as_json, None)

    def release_dates(self, query: Query, now_ms: int) -> Reply:
        """The days of one release; days without data yet, so those to come, only when they are asked for."""
        number = query.number("release_id", 0, 1, 10**6) if "release_id" in query.params else 0
        if number not in RELEASES:
            raise query.refused("The release does not exist.")
        start, end = query.window(EARLIEST, FOREVER, ahead=True)
        days = [day for day in self._days(query, number, now_ms) if start <= day <= end]
        paging, page = query.page(days, 10_000)
        head = {"realtime_start": start, "realtime_end": end, "order_by": "release_date", **paging}
        rows = [{"release_id": number, "_date": day} for day in page]
        return listing(head, "release_dates", "release_date", rows, query.as_json, None)

    def releases_dates(self, query: Query, now_ms: int) -> Reply:
        """The days of all releases since New Year, newest first."""
        start, end = query.window(today(now_ms).replace(month=1, day=1), FOREVER, ahead=True)
        found = [
            (day, number)
            for number in RELEASES
            for day in self._days(query, number, now_ms)
            if start <= day <= end
        ]
        paging, page = query.page(sorted(found, reverse=True), 1_000, "desc")
        head = {"realtime_start": start, "realtime_end": end, "order_by": "release_date", **paging}
        rows = [
            {"release_id": number, "release_name": RELEASES[number].name, "_date": day}
            for day, number in page
        ]
        return listing(head, "release_dates", "release_date", rows, query.as_json, None)

    def _days(self, query: Query, number: int, now_ms: int) -> list[date]:
        """The days of one release, each once, in order."""
        ahead = query.choice("include_release_dates_with_no_data", "false", ("true", "false")) == "true"
        days: set[date] = set()
        for series in SERIES.values():
            if series.release != number:
                continue
            visible = self._histories.visible(series, now_ms)
            days.update(self._single.known(series, now_ms).vintages)
            if ahead:
                for period in periods(series.frequency, series.start, visible + AHEAD):
                    day = published(series.rule, period) if period > visible - AHEAD else visible
                    if visible < day <= visible + AHEAD:
                        days.add(day)
        return sorted(days)

    def _moment(self, query: Query, name: str) -> datetime | None:
        """`YYYYMMDDhhmm`, US Central."""
        given = query.params.get(name)
        if given is None:
            return None
        try:
            return datetime.strptime(given, TIMES).replace(tzinfo=CENTRAL)
        except ValueError:
            raise query.refused(f"Value of {name} is not a time in the format YYYYMMDDHHMM.") from None
