"""Faults that spoil a right answer: its JSON with values, points, names or units changed.

Which points are hit hangs on the point (its time or id), not on the call, so that a fault which
changes history tells the same changed history in every window.
"""

import json
from collections.abc import Callable
from typing import Any

from ray_app.simulator.faults import Rule
from ray_app.simulator.noise import fraction

MOMENT_MS = 60_000  # a point that is younger is of this moment, beside the grid of the others


def spoil(body: str, rule: Rule, now_ms: int) -> str:
    """The answer's text as the fault tells it. Faults that are no matter of the body change nothing."""
    change = CHANGES.get(rule.fault)
    if change is None:
        return body
    return json.dumps(change(json.loads(body), rule, now_ms), separators=(",", ":"), ensure_ascii=False)


def _hit(rule: Rule, point: object, share: float) -> bool:
    return fraction(rule.seed, rule.fault, rule.number, point) < float(rule.value("share", share))


def _series(body: Any) -> list[list[Any]]:
    """The arrays of points in an answer: a chart's three, or the candles themselves."""
    if isinstance(body, dict) and "prices" in body:
        return [body["prices"], body["market_caps"], body["total_volumes"]]
    return [body] if isinstance(body, list) and body and isinstance(body[0], list) else []


def _rows(body: Any) -> list[tuple[str, dict[str, Any]]]:
    """The objects in an answer that each tell about one thing, with a name for each."""
    if isinstance(body, list):
        return [(str(row.get("id")), row) for row in body if isinstance(row, dict)]
    if isinstance(body, dict):
        inner = body.get("rates") or body.get("data") or body
        found = [(name, row) for name, row in inner.items() if isinstance(row, dict)]
        return found or [("", body)]
    return []


def _absent(body: Any, rule: Rule, _: int) -> Any:
    kind = rule.kind()
    if kind == "empty":
        series: dict[str, list[Any]] = {"prices": [], "market_caps": [], "total_volumes": []}
        return series if isinstance(body, dict) and "prices" in body else type(body)()
    for points in _series(body):
        for point in points:
            if _hit(rule, point[0], 0.2):
                if kind == "missing":
                    point.pop()
                else:
                    point[1:] = [None] * (len(point) - 1)
    for name, row in _rows(body):
        for field in [field for field, value in row.items() if isinstance(value, int | float)]:
            if _hit(rule, (name, field), 0.2):
                if kind == "missing":
                    del row[field]
                else:
                    row[field] = None
    return body


def _times(body: Any, rule: Rule, _: int) -> Any:
    kind = rule.kind()
    for points in _series(body):
        if kind == "shuffled":
            points.sort(key=lambda point: fraction(rule.seed, point[0]))
            continue
        hit = [at for at, point in enumerate(points) if _hit(rule, point[0], 0.05)] or [len(points) // 2]
        for at in reversed(hit):
            again = list(points[at])
            if kind == "backwards":
                again[0] -= 1000
            points.insert(at + 1, again)
    return body


def _holes(body: Any, rule: Rule, _: int) -> Any:
    for points in _series(body):
        points[:] = [point for point in points if not _hit(rule, point[0], 0.2)]
    if isinstance(body, list):
        body[:] = [row for row in body if not isinstance(row, dict) or not _hit(rule, row.get("id"), 0.2)]
    return body


def _first_tick(body: Any, _: Rule, now_ms: int) -> Any:
    """Of the candle that forms (its time is its end), and of the point of this moment."""
    for points in _series(body):
        if points and len(points[-1]) == 5 and points[-1][0] > now_ms:
            points[-1][2:] = [points[-1][1]] * 3
        elif len(points) > 1 and len(points[-1]) == 2 and points[-1][0] > now_ms - MOMENT_MS:
            points[-1][1] = points[-2][1]
    return body


def _revised(body: Any, rule: Rule, now_ms: int) -> Any:
    factor, age = float(rule.value("factor", 1.001)), float(rule.value("age", 3600))
    for points in _series(body):
        for point in points:
            if point[0] < now_ms - age * 1000 and _hit(rule, point[0], 0.1):
                point[1:] = [value if value is None else value * factor for value in point[1:]]
    return body


def _renamed(body: Any, rule: Rule, _: int) -> Any:
    gone, new = rule.value("id", None), rule.value("renamed_to", None)
    if isinstance(body, list):
        if new is not None:
            for row in body:
                if isinstance(row, dict) and row.get("id") == gone:
                    row["id"] = new
        return [row for row in body if not isinstance(row, dict) or row.get("id") != gone]
    return {
        new if name == gone else name: row for name, row in body.items() if name != gone or new is not None
    }


def _cut(body: Any, rule: Rule, _: int) -> Any:
    return body[: int(rule.value("rows", 100))] if isinstance(body, list) else body


def _drifted(body: Any, rule: Rule, _: int) -> Any:
    kind, wanted = rule.kind(), rule.value("field", None)
    for points in _series(body):
        for point in points:
            if kind == "extra":
                point.append(0)
            elif kind == "strings":
                point[1:] = [value if value is None else repr(value) for value in point[1:]]
            elif kind == "missing":
                point.pop()
            else:
                point[1:] = [value if value is None else round(value) for value in point[1:]]
    for _name, row in _rows(body):
        if kind == "extra":
            row["simulated_new_field"] = {"since": "today"}
        for field, value in list(row.items()):
            if wanted not in (None, field) or isinstance(value, bool) or not isinstance(value, int | float):
                continue
            if kind == "strings":
                row[field] = repr(value)
            elif kind == "integers":
                row[field] = round(value)
            elif kind == "missing" and (wanted or field in ("current_price", "value", "usd")):
                del row[field]
    return body


def _units(body: Any, rule: Rule, _: int) -> Any:
    kind = rule.kind()
    for points in _series(body):
        for point in points:
            if kind == "seconds":
                point[0] //= 1000
            elif kind == "microseconds":
                point[0] *= 1000
            else:
                point[1:] = [value if value is None else value * 100 for value in point[1:]]
    for _name, row in _rows(body):
        for field in ("current_price", "usd", "value"):
            if kind == "cents" and isinstance(row.get(field), int | float):
                row[field] *= 100
        if kind != "cents" and isinstance(row.get("last_updated_at"), int):
            row["last_updated_at"] *= 1000  # the one time that rightly is in seconds
    return body


CHANGES: dict[str, Callable[[Any, Rule, int], Any]] = {
    "F12": _absent,
    "F13": _times,
    "F14": _holes,
    "F15": _first_tick,
    "F16": _revised,
    "F17": _renamed,
    "F19": _cut,
    "F24": _drifted,
    "F25": _units,
}
