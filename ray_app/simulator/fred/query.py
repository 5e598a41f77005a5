"""Reading FRED's parameters: days, the real-time window, paging. What is wrong is refused with HTTP 400."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from ray_app.simulator.fred.asof import FOREVER
from ray_app.simulator.fred.catalog import SERIES, Series
from ray_app.simulator.fred.wire import NO_SERIES, NOT_ARCHIVED, refusal

EARLIEST = date(1776, 7, 4)
Row = TypeVar("Row")
ECHOED_EARLIEST = date(1600, 1, 1)  # what an answer says where no observation_start was asked for


@dataclass(frozen=True, slots=True)
class Query:
    """The parameters of one call. `today` is the upstream's day."""

    params: Mapping[str, str]
    today: date

    @property
    def as_json(self) -> bool:
        return self.params.get("file_type") == "json"

    def refused(self, text: str, status: int = 400) -> Exception:
        return refusal(status, text, self.as_json)

    def series(self) -> Series:
        """The series that is asked for. One that is not there is said not to be in ALFRED, if a window is asked."""
        if "series_id" not in self.params:
            raise self.refused("Variable series_id has not been set.")
        found = SERIES.get(self.params["series_id"].upper())
        if found is None:
            raise self.refused(NOT_ARCHIVED if self.is_historical() else NO_SERIES)
        return found

    def is_historical(self) -> bool:
        return "realtime_start" in self.params or "realtime_end" in self.params or bool(self.vintages())

    def window(self, start: date, end: date, *, ahead: bool = False) -> tuple[date, date]:
        """The real-time window. One that is asked for in part is completed: to the end of time, or from its end.

        Nothing is known yet of a day to come, but the end of time may be named; calendars look `ahead`.
        """
        if "realtime_start" in self.params or "realtime_end" in self.params:
            end = self.day("realtime_end", FOREVER)
            start = self.day("realtime_start", min(self.today, end))
            for name, day in (("realtime_start", start), ("realtime_end", end)):
                if self.today < day < FOREVER and not ahead:
                    raise self.refused(f"Variable {name} can not be after today's date ({self.today}).")
        if start > end:
            raise self.refused("Variable realtime_start can not be after variable realtime_end.")
        return start, end

    def day(self, name: str, default: date) -> date:
        given = self.params.get(name)
        if given is None:
            return default
        try:
            read = date.fromisoformat(given)
        except ValueError:
            raise self.refused(f"Value of {name} is not a valid date in the format YYYY-MM-DD.") from None
        if not EARLIEST <= read <= FOREVER:
            raise self.refused(f"Value of {name} is not between 1776-07-04 and 9999-12-31.")
        return read

    def vintages(self) -> list[date]:
        """The days in `vintage_dates`, in order."""
        given = self.params.get("vintage_dates")
        if not given:
            return []
        try:
            return sorted(date.fromisoformat(day) for day in given.split(","))
        except ValueError:
            raise self.refused("Value of vintage_dates is not a list of dates.") from None

    def number(self, name: str, default: int, low: int, high: int) -> int:
        given = self.params.get(name, str(default))
        if not given.isascii() or not given.isdigit() or not low <= int(given) <= high:
            raise self.refused(f"Value of {name} is not between {low} and {high}.")
        return int(given)

    def choice(self, name: str, default: str, options: tuple[str, ...]) -> str:
        given = self.params.get(name, default)
        if given not in options:
            raise self.refused(f"Value of {name} is not one of: " + ", ".join(f"'{one}'" for one in options))
        return given

    def page(
        self, rows: list[Row], most: int, default_order: str = "asc"
    ) -> tuple[dict[str, object], list[Row]]:
        """Rows in the asked order and their page; the fields of the head that speak of both."""
        order = self.choice("sort_order", default_order, ("asc", "desc"))
        limit, offset = self.number("limit", most, 1, most), self.number("offset", 0, 0, 10**9)
        if order != default_order:
            rows = rows[::-1]
        head: dict[str, object] = {"sort_order": order, "count": len(rows), "offset": offset, "limit": limit}
        return head, rows[offset : offset + limit]
