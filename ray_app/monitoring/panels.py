"""What a Grafana dashboard is made of: panels in rows, each with expressions that a test runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

SOURCE = {"type": "prometheus", "uid": "${source}"}
WIDTH, HEIGHT = 24, 8  # of a row, in Grafana's grid
UNITS = {  # ours -> Grafana's
    "seconds": "s", "ratio": "percentunit", "bytes": "bytes", "count": "short", "rate": "ops", "dollars": "currencyUSD",
    "percent": "percent", "milliseconds": "ms",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Query:
    """`legend` names a line by its labels: {{dataset}}."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """`red`: from where on a value is shown in red; below it where `low_is_bad`."""

    title: str
    about: str  # what it shows, and what to think of it
    queries: tuple[Query, ...]
    unit: str = "count"
    kind: Literal["timeseries", "stat", "table"] = "timeseries"
    width: int = 12
    red: float | None = None
    low_is_bad: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """`name` is the file's and its address; at most 40 letters."""

    name: str
    title: str
    panels: tuple[Panel, ...]


def board_json(board: Board, names: Sequence[Board]) -> dict[str, Any]:
    """The dashboard as Grafana reads it, with links to the others."""
    panels, x, y = [], 0, 0
    for number, panel in enumerate(board.panels, start=1):
        if x + panel.width > WIDTH:
            x, y = 0, y + HEIGHT
        panels.append(_panel(panel, number, {"x": x, "y": y, "w": panel.width, "h": HEIGHT}))
        x += panel.width
    return {
        "uid": f"crypto-data-{board.name}",
        "title": f"crypto-data: {board.title}",
        "tags": ["crypto-data"],
        "timezone": "utc",
        "schemaVersion": 39,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [{"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}]
        },
        "links": [
            {"type": "link", "title": other.title, "url": f"/d/crypto-data-{other.name}", "keepTime": True}
            for other in names
            if other.name != board.name
        ],
        "panels": panels,
    }


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.red is not None:
        first, second = ("red", "green") if panel.low_is_bad else ("green", "red")
        steps = [{"color": first, "value": None}, {"color": second, "value": panel.red}]
    at_once = panel.kind != "timeseries"
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {
            "defaults": {"unit": UNITS[panel.unit], "thresholds": {"mode": "absolute", "steps": steps}},
            "overrides": [],
        },
        "options": {},
        "targets": [
            {
                "refId": chr(ord("A") + place_of),
                "datasource": SOURCE,
                "expr": query.expr,
                "legendFormat": query.legend or "__auto",
                "instant": at_once,
                "range": not at_once,
                "format": "table" if panel.kind == "table" else "time_series",
            }
            for place_of, query in enumerate(panel.queries)
        ],
    }
