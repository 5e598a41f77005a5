"""Alternative.me's Fear and Greed Index, simulated: one number a day, newest first, everything a text."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ray_app.simulator.drift import DAY_SECONDS, Drift, midnight
from ray_app.simulator.fault_answers import page
from ray_app.simulator.noise import fraction
from ray_app.simulator.quota import Rolling
from ray_app.simulator.simulation import Simulation
from ray_app.simulator.upstream import Asked
from ray_app.simulator.wire import HTML, Rejection, Reply

FIRST_DAY = 1_517_443_200  # 2018-02-01
GAP = range(1_523_664_000, 1_523_923_200, DAY_SECONDS)  # 14 to 16 April 2018 have no number
PER_TEN_MINUTES = 600
CLASSES = ((25, "Extreme Fear"), (46, "Fear"), (54, "Neutral"), (75, "Greed"), (100, "Extreme Greed"))
MIDDLE = Drift(42.0, 0.0, 0.8)
DATES = {"us": "%m-%d-%Y", "cn": "%Y年%m月%d日", "kr": "%Y년 %m월 %d일", "world": "%d-%m-%Y"}


class FearAndGreed:
    """One upstream, one route."""

    name, prefix = "fng", "/fng"
    secret_params: frozenset[str] = frozenset()

    def __init__(self, simulation: Simulation) -> None:
        self._seed = simulation.config.seed
        self._window = Rolling(PER_TEN_MINUTES, 600_000)

    def limit(self, asked: Asked) -> Reply | None:
        if not self._window.arrive(asked.client, asked.now_ms):
            return None
        return Reply(429, page("429 Too Many Requests").encode(), HTML)

    def lower(self, per_minute: int) -> None:
        self._window.limit = per_minute * 10

    def answer(self, asked: Asked) -> Reply:
        if asked.path != "/" or asked.method != "GET":
            raise Rejection(404, page("404 Not Found"), HTML)
        limit, style = asked.params.get("limit", "1"), asked.params.get("date_format", "")
        if not limit.isdigit() or not limit.isascii():
            return _told([], "limit has to be a number")
        days = [
            day for day in range(FIRST_DAY, self.last_day(asked.now_ms) + 1, DAY_SECONDS) if day not in GAP
        ]
        days.reverse()
        rows, days = [], days[: int(limit) or None]
        for day, value in zip(days, self.values(days), strict=True):
            shown = datetime.fromtimestamp(day, UTC).strftime(DATES[style]) if style in DATES else str(day)
            rows.append({"value": str(value), "value_classification": classified(value), "timestamp": shown})
        if rows:
            rows[0]["time_until_update"] = str(days[0] + DAY_SECONDS - asked.now_ms // 1000)
        return _told(rows, None)

    def values(self, days: Sequence[int]) -> list[int]:
        """The index of the days that start at these seconds, 1 to 99."""
        return [min(99, max(1, round(value))) for value in MIDDLE.at(self._seed, "fng", days).tolist()]

    def last_day(self, now_ms: int) -> int:
        """The newest day with a number: today's comes some minutes after midnight."""
        today = midnight(now_ms // 1000)
        late = 60 + int(fraction(self._seed, "fng late", today) ** 4 * 7_200)
        return today if now_ms // 1000 >= today + late else today - DAY_SECONDS

    def truth(self, params: Mapping[str, str]) -> Any:
        """A day's number: `day` (`2026-05-31`)."""
        day = int(datetime.fromisoformat(params["day"]).replace(tzinfo=UTC).timestamp())
        return {"value": None if day in GAP else self.values([day])[0]}


def classified(value: int) -> str:
    return next(name for most, name in CLASSES if value <= most)


def _told(rows: list[dict[str, str]], error: str | None) -> Reply:
    body = {"name": "Fear and Greed Index", "data": rows, "metadata": {"error": error}}
    return Reply(200, json.dumps(body, indent="\t", ensure_ascii=False).encode(), "application/json")
