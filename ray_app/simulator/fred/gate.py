"""The way into the simulated FRED: the key, two calls a second and 120 a minute, and the routes."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from ray_app.simulator.faults import Rule
from ray_app.simulator.fred.answers import SeriesRoutes, today
from ray_app.simulator.fred.asof import NOTHING
from ray_app.simulator.fred.catalog import SERIES
from ray_app.simulator.fred.histories import Histories
from ray_app.simulator.fred.query import Query
from ray_app.simulator.fred.releases import ManySeriesRoutes
from ray_app.simulator.fred.wire import KEY_MISSING, KEY_UNKNOWN, TOO_MANY_CALLS, refusal
from ray_app.simulator.noise import fraction
from ray_app.simulator.quota import Rolling
from ray_app.simulator.simulation import Simulation
from ray_app.simulator.upstream import Asked
from ray_app.simulator.wire import Reply

KEY = "sim-key"
PER_SECOND, PER_MINUTE = 2, 120


class Fred:
    """One upstream: FRED v1 with ALFRED's vintages."""

    name, prefix = "fred", "/fred"
    secret_params = frozenset({"api_key"})
    own_faults: Mapping[str, str] = {
        "F02": "FRED: 429 in its own words",
        "F08": "FRED: 400, the key is not registered",
        "F10": "FRED: 500 in its own words where no status is named",
        "F12": "FRED: kind=dot, a share of the numbers is told as absent",
        "F22": "FRED: a false 400, the key is not registered",
    }

    def __init__(self, simulation: Simulation) -> None:
        histories = Histories(simulation.config.seed)
        single = SeriesRoutes(histories)
        many = ManySeriesRoutes(histories, single)
        self._histories, self._single = histories, single
        self._second, self._minute = Rolling(PER_SECOND, 1_000), Rolling(PER_MINUTE, 60_000)
        self._routes = {
            "/series/observations": single.observations,
            "/series": single.series,
            "/series/vintagedates": single.vintagedates,
            "/series/release": single.release,
            "/series/updates": many.updates,
            "/releases": many.releases,
            "/releases/dates": many.releases_dates,
            "/release/dates": many.release_dates,
        }

    def limit(self, asked: Asked) -> Reply | None:
        who = asked.params.get("api_key", asked.client)
        over = [window.arrive(who, asked.now_ms) for window in (self._second, self._minute)]
        return refusal(429, TOO_MANY_CALLS, _as_json(asked)).reply() if any(over) else None

    def lower(self, per_minute: int) -> None:
        self._minute.limit = per_minute

    def answer(self, asked: Asked) -> Reply:
        as_json = _as_json(asked)
        if "api_key" not in asked.params:
            raise refusal(400, KEY_MISSING, as_json)
        if asked.params["api_key"] != KEY:
            raise refusal(400, KEY_UNKNOWN, as_json)
        route = self._routes.get(asked.path.rstrip("/"))
        if route is None or asked.method != "GET":
            raise refusal(404, "The page does not exist.", as_json)
        query = Query(asked.params, today(asked.now_ms))
        query.choice("file_type", "xml", ("xml", "json"))
        return route(query, asked.now_ms)

    def spoilt(self, rule: Rule, asked: Asked) -> Reply | None:
        as_json = _as_json(asked)
        if rule.fault == "F02":
            raise refusal(429, TOO_MANY_CALLS, as_json)
        if rule.fault in ("F08", "F22"):
            raise refusal(400, KEY_UNKNOWN, as_json)
        if rule.fault == "F10" and not rule.parameters:
            raise refusal(500, "Try again later.", as_json)
        if rule.fault == "F12" and rule.kind() == "dot" and as_json:
            return _with_dots(self.answer(asked), rule)
        return None

    def truth(self, params: Mapping[str, str]) -> Any:
        """The life of a series' numbers as told up to the day `until`, which may be a future one.

        `series_id`; `since` leaves out earlier observations. Versions are sorted by (date, start).
        """
        series = SERIES[params["series_id"]]
        known = self._histories.known(series, date.fromisoformat(params["until"]))
        since = date.fromisoformat(params.get("since", "1776-07-04"))
        return {
            "series_id": series.id,
            "updated": known.updated.isoformat(),
            "vintages": [day.isoformat() for day in known.vintages],
            "versions": [
                {"date": str(one.period), "start": str(one.start), "end": str(one.end), "value": one.value}
                for one in known.versions
                if one.period >= since
            ],
        }


def _with_dots(reply: Reply, rule: Rule) -> Reply:
    """The same numbers are absent in every answer under the rule."""
    body, share = json.loads(reply.body), float(rule.value("share", 0.2))
    for row in body.get("observations", ()):
        if "value" in row and fraction(rule.seed, rule.number, row["date"]) < share:
            row["value"] = NOTHING
    return replace(reply, body=json.dumps(body, separators=(",", ":")).encode())


def _as_json(asked: Asked) -> bool:
    return asked.params.get("file_type") == "json"
