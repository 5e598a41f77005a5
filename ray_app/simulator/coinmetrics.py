"""Coin Metrics' community API v4, simulated: daily metrics of assets, paged from the newest, all texts.

One metric that is not free makes the whole call 403. A metric that an asset has not is missing from its
row, one without data on a day is null.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from ray_app.simulator.coinmetrics_data import ASSETS, FREE, PAID, Metrics
from ray_app.simulator.drift import DAY_SECONDS
from ray_app.simulator.faults import Rule
from ray_app.simulator.quota import Rolling
from ray_app.simulator.simulation import Simulation
from ray_app.simulator.upstream import Asked
from ray_app.simulator.wire import Rejection, Reply

CALLS, WINDOW_MS = 10, 6_000
LONGEST_QUERY, LARGEST_PAGE = 10_000, 10_000
JSON = "application/json"
METRICS, CATALOG = "/timeseries/asset-metrics", "/catalog-v2/asset-metrics"
TRUE, FALSE = "true", "false"
Place = tuple[int, str]  # a row's day and asset


class CoinMetrics:
    """One upstream: the host that needs no key."""

    name, prefix = "coinmetrics", "/cm/v4"
    secret_params = frozenset({"api_key"})
    own_faults: Mapping[str, str] = {"F18": "Coin Metrics: metric=... is not free any more"}

    def __init__(self, simulation: Simulation) -> None:
        self.metrics = Metrics(simulation.world, simulation.config.seed)
        self._window = Rolling(CALLS, WINDOW_MS)

    def limit(self, asked: Asked) -> Reply | None:
        wait_ms = self._window.arrive(asked.client, asked.now_ms)
        if not wait_ms:
            return None
        reply = _error(429, "too_many_requests", "Too many requests.").reply()
        reply.headers += self._headers(asked)
        return reply

    def answer(self, asked: Asked) -> Reply:
        try:
            if len(urlencode(asked.query)) > LONGEST_QUERY:
                raise _error(414, "uri_too_long", "The requested URI is too long.")
            if asked.method != "GET" or asked.path.rstrip("/") not in (METRICS, CATALOG):
                raise _error(404, "not_found", "Not found.")
            told = self._rows(asked) if asked.path.rstrip("/") == METRICS else self._catalog(asked)
        except Rejection as rejected:
            rejected.headers = tuple(self._headers(asked))
            raise
        return Reply(200, json.dumps(told, separators=(",", ":")).encode(), JSON, self._headers(asked))

    def spoilt(self, rule: Rule, asked: Asked) -> Reply | None:
        metric = str(rule.value("metric", ""))
        if rule.fault != "F18" or metric not in asked.params.get("metrics", "").split(","):
            return None
        raise _forbidden(metric, asked.params.get("frequency", "1d"), asked.params["assets"].split(",")[0])

    def truth(self, params: Mapping[str, str]) -> Any:
        """A number as it was told at `at_ms`: `asset`, `metric`, `day` (`2026-05-31`)."""
        day = int(datetime.fromisoformat(params["day"]).replace(tzinfo=UTC).timestamp())
        row = self.metrics.row(params["asset"], day, [params["metric"]], int(params["at_ms"]))
        return {name: asdict(told) for name, told in row.items()}

    def _headers(self, asked: Asked) -> list[tuple[str, str]]:
        left = max(0, CALLS - self._window.used(asked.client, asked.now_ms))
        return [
            ("X-RateLimit-Limit", str(CALLS)),
            ("X-RateLimit-Remaining", str(left)),
            ("X-RateLimit-Reset", str(WINDOW_MS // 1000)),
            ("X-RateLimit-Plan", "community"),
        ]

    def _assets(self, params: Mapping[str, str]) -> list[str]:
        wanted = _list(params, "assets")
        if wanted == ["*"]:
            return list(self.metrics.assets)
        for asset in wanted:
            if asset not in self.metrics.assets:
                raise _bad("assets", asset)
        return wanted

    def _metrics(self, params: Mapping[str, str], assets: list[str]) -> list[str]:
        wanted, frequency = _list(params, "metrics"), params.get("frequency", "1d")
        forbidden = [name for name in wanted if name in PAID or (name in FREE and frequency != "1d")]
        if forbidden and params.get("ignore_forbidden_errors") != TRUE:
            raise _forbidden(forbidden[0], frequency, assets[0])
        unknown = [name for name in wanted if name not in FREE and name not in PAID]
        if unknown and params.get("ignore_unsupported_errors") != TRUE:
            raise _bad("metrics", unknown[0])
        return [name for name in wanted if name in FREE and name not in forbidden]

    def _rows(self, asked: Asked) -> dict[str, Any]:
        params = asked.params
        assets = self._assets(params)
        names = self._metrics(params, assets)
        if params.get("format", "json") != "json":
            raise _bad("format", params["format"])
        by_asset = _choice(params, "sort", "time", ("time", "asset")) == "asset"
        from_end = _choice(params, "paging_from", "end", ("end", "start")) == "end"
        size = _number(params, "page_size", 100, LARGEST_PAGE)
        keys = self._keys(params, assets, asked.now_ms)
        order = _by_asset if by_asset else _by_time
        keys.sort(key=order)
        if "next_page_token" in params:
            edge = order(_read_token(params["next_page_token"]))
            keys = [key for key in keys if (order(key) < edge if from_end else order(key) > edge)]
        page = keys[-size:] if from_end else keys[:size]
        answer: dict[str, Any] = {
            "data": [
                row for day, asset in page if (row := self._row(asset, day, names, params, asked.now_ms))
            ]
        }
        if len(page) < len(keys):
            token = _write_token(page[0] if from_end else page[-1])
            query = [pair for pair in asked.query if pair[0] != "next_page_token"]
            host = asked.headers.get("host", "localhost")
            answer["next_page_token"] = token
            answer["next_page_url"] = (
                f"http://{host}{self.prefix}{METRICS}?{urlencode([*query, ('next_page_token', token)])}"
            )
        return answer

    def _keys(self, params: Mapping[str, str], assets: list[str], now_ms: int) -> list[Place]:
        """Day and asset of every row within the asked time."""
        last = self.metrics.last_day(now_ms)
        first = None
        if "start_time" in params:
            first = -(-_moment(params, "start_time") // DAY_SECONDS) * DAY_SECONDS
            if params.get("start_inclusive") == FALSE and first == _moment(params, "start_time"):
                first += DAY_SECONDS
        if "end_time" in params:
            end = _moment(params, "end_time")
            if params.get("end_inclusive") == FALSE:
                end -= 1
            last = min(last, end // DAY_SECONDS * DAY_SECONDS)
        most = _number(params, "limit_per_asset", 10**6, 10**6)
        keys = []
        for asset in assets:
            begun = self.metrics.first_day(asset)
            days = range(begun if first is None else max(first, begun), last + 1, DAY_SECONDS)
            from_end = params.get("paging_from", "end") == "end"
            keys += [(day, asset) for day in (days[-most:] if from_end else days[:most])]
        return keys

    def _row(
        self, asset: str, day: int, names: list[str], params: Mapping[str, str], now_ms: int
    ) -> dict[str, str | None] | None:
        """A row; None: the asset has none of the metrics in the wanted state."""
        status = _choice(params, "status", "all", ("all", "flash", "reviewed", "revised"))
        row: dict[str, str | None] = {"asset": asset, "time": _stamp(day)}
        for name, told in self.metrics.row(asset, day, names, now_ms).items():
            state = "flash" if told.is_first else "reviewed"
            if status not in ("all", state):
                continue
            row[name] = "0" if told.value is None and params.get("null_as_zero") == TRUE else told.value
            if "status" in params:
                row |= {f"{name}-status": state, f"{name}-status-time": _stamp(told.at)}
        return row if len(row) > 2 else None

    def _catalog(self, asked: Asked) -> dict[str, Any]:
        """Which metric of which asset there is, and whether it is free."""
        params, last = asked.params, self.metrics.last_day(asked.now_ms)
        assets = self._assets(params) if "assets" in params else list(self.metrics.assets)
        return {
            "data": [
                {
                    "asset": asset,
                    "metrics": [
                        {
                            "metric": name,
                            "frequencies": [
                                {
                                    "frequency": "1d",
                                    "min_time": _stamp(self.metrics.first_day(asset)),
                                    "max_time": _stamp(last),
                                    **({"community": True} if name in FREE else {}),
                                }
                            ],
                        }
                        for name in sorted([*FREE, *PAID])
                        if name in PAID or self.metrics.has(asset, name)
                    ],
                }
                for asset in sorted(assets, key=ASSETS.index)
            ]
        }


def _by_time(place: Place) -> tuple[Any, Any]:
    return place


def _by_asset(place: Place) -> tuple[Any, Any]:
    return place[1], place[0]


def _forbidden(metric: str, frequency: str, asset: str) -> Rejection:
    return _error(
        403,
        "forbidden",
        f"Requested metric '{metric}' with frequency '{frequency}' for asset '{asset}' is not "
        "available with supplied credentials.",
    )


def _error(status: int, kind: str, text: str) -> Rejection:
    body = json.dumps({"error": {"type": kind, "message": text}}, separators=(",", ":"))
    return Rejection(status, body, JSON)


def _bad(parameter: str, value: str) -> Rejection:
    text = f"Bad parameter '{parameter}'. Value '{value}' is not supported."
    return _error(400, "bad_parameter", text)


def _list(params: Mapping[str, str], name: str) -> list[str]:
    if not params.get(name):
        raise _error(400, "missing_parameter", f"Missing parameter '{name}'.")
    return params[name].split(",")


def _choice(params: Mapping[str, str], name: str, default: str, options: tuple[str, ...]) -> str:
    given = params.get(name, default)
    if given not in options:
        raise _bad(name, given)
    return given


def _number(params: Mapping[str, str], name: str, default: int, most: int) -> int:
    given = params.get(name, str(default))
    if not given.isascii() or not given.isdigit() or not 1 <= int(given) <= most:
        raise _bad(name, given)
    return int(given)


def _moment(params: Mapping[str, str], name: str) -> int:
    """Seconds since 1970 of an ISO time with up to nine decimals, or a day."""
    text = params[name].removesuffix("Z")
    try:
        read = datetime.fromisoformat(text[:26])
    except ValueError:
        raise _bad(name, params[name]) from None
    return int(read.replace(tzinfo=UTC).timestamp())


def _stamp(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000000000Z")


def _write_token(place: Place) -> str:
    return "0." + base64.urlsafe_b64encode(f"{place[0]}|{place[1]}".encode()).decode().rstrip("=")


def _read_token(token: str) -> Place:
    try:
        text = base64.urlsafe_b64decode(token.removeprefix("0.") + "==").decode()
        day, _, asset = text.partition("|")
        return int(day), asset
    except ValueError:
        raise _bad("next_page_token", token) from None
