"""Faults that fit any upstream: whole answers in place of the right one, and right ones spoilt.

An upstream whose errors have a shape of their own gives them itself (`Spoils`); what is here is what a
proxy or a careless server sends. A spoilt answer is JSON of any shape: every list of rows in it is
changed, a row being a list that begins with its time or an object that has one. Which rows are hit
hangs on their times, not on the call, so that changed history is told the same in every window.
"""

import json
import math
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from ray_app.simulator.fault_answers import REASONS, page
from ray_app.simulator.faults import Rule
from ray_app.simulator.noise import fraction
from ray_app.simulator.wire import HTML, Reply

TIMES = ("time", "timestamp", "date", "t", "fundingTime", "openTime", "created_utc", "x")
EPOCHS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3), (1e8, 1.0))  # from this size on: units to a second
Row = list[Any] | dict[str, Any]


def wrong_reply(rule: Rule) -> Reply | None:
    """The whole answer of a fault; None where the fault spoils a right answer instead."""
    limited = error_body("Too Many Requests")
    match rule.fault:
        case "F01":
            return Reply(429, limited, headers=[("Retry-After", str(rule.value("retry_after", 7)))])
        case "F02":
            return Reply(429, limited)
        case "F03":
            return Reply(429, page("429 Too Many Requests").encode(), HTML)
        case "F04":
            return Reply(200, limited)
        case "F05":
            return Reply(200, error_body("Could not process the request"))
        case "F07" if int(rule.value("status", 403)) == 451:
            return Reply(451, error_body("Unavailable For Legal Reasons"))
        case "F07":
            return Reply(403, page("Error 1020: Access denied").encode(), HTML)
        case "F08" | "F22":
            return Reply(401, error_body("Unauthorized"))
        case "F09":
            return Reply(429, error_body("The quota of this month is used up"))
        case "F10":
            return broken_server(int(rule.value("status", 500)), bool(rule.value("html", False)))
    return None


def error_body(text: str) -> bytes:
    return json.dumps({"error": text}, separators=(",", ":")).encode()


def broken_server(status: int, html: bool = False) -> Reply:
    """A 5xx, as the server itself or as the proxy in front of it tells it."""
    reason = REASONS.get(status, "Error")
    if html:
        return Reply(status, page(f"{status} {reason}").encode(), HTML)
    return Reply(status, error_body(reason))


def spoil_text(body: str, rule: Rule, now_ms: int) -> str:
    """A JSON body as the fault tells it. What is no JSON, and faults of other kinds, change nothing."""
    change = CHANGES.get(rule.fault)
    if change is None:
        return body
    try:
        read = json.loads(body)
    except ValueError:
        return body
    before = json.dumps(read, separators=(",", ":"), ensure_ascii=False)
    changed = json.dumps(change(read, rule, now_ms), separators=(",", ":"), ensure_ascii=False)
    return body if changed == before else changed


def _tables(body: Any) -> Iterator[list[Row]]:
    """Every list of rows."""
    if isinstance(body, list):
        if body and (all(isinstance(row, list) for row in body) or all(isinstance(r, dict) for r in body)):
            yield body
        return
    if isinstance(body, dict):
        for value in body.values():
            yield from _tables(value)


def _place(row: Row) -> str | int | None:
    """Under which index or name a row has its time."""
    if isinstance(row, list):
        return 0 if row else None
    return next((name for name in TIMES if name in row), None)


def _time(row: Row) -> Any:
    place: Any = _place(row)  # an index of a list, a name of an object
    return json.dumps(row, sort_keys=True) if place is None else row[place]


def _seconds(told: Any) -> float:
    """A time in seconds since 1970, whatever unit it is told in; NaN: it is none."""
    try:
        number = float(told)
    except (TypeError, ValueError):
        try:
            return datetime.fromisoformat(str(told)[:19]).timestamp()
        except ValueError:
            return math.nan
    return next((number / units for size, units in EPOCHS if abs(number) >= size), math.nan)


def _numeric(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return False
    try:
        return Decimal(str(value)).is_finite()
    except InvalidOperation:
        return False


def _hit(rule: Rule, row: object, share: float) -> bool:
    return fraction(rule.seed, rule.fault, rule.number, row) < float(rule.value("share", share))


def _values(row: Row) -> list[Any]:
    """Indexes or names of a row's numbers, its time left out."""
    place = _place(row)
    pairs = enumerate(row) if isinstance(row, list) else row.items()
    return [at for at, value in pairs if at != place and _numeric(value)]


def _absent(body: Any, rule: Rule, _: int) -> Any:
    kind = rule.kind()
    if kind == "empty":
        for table in _tables(body):
            table.clear()
        return body
    for table in _tables(body):
        for row in table:
            for at in reversed(_values(row)):
                if _hit(rule, (_time(row), at), 0.2):
                    if kind == "missing" and isinstance(row, dict):
                        del row[at]
                    else:
                        row[at] = None
    return body


def _times(body: Any, rule: Rule, _: int) -> Any:
    kind = rule.kind()
    for table in _tables(body):
        if kind == "shuffled":
            table.sort(key=lambda row: fraction(rule.seed, _time(row)))
            continue
        hit = [at for at, row in enumerate(table) if _hit(rule, _time(row), 0.05)] or [len(table) // 2]
        for at in reversed(hit):
            again: Any = table[at].copy()
            place = _place(again)
            if kind == "backwards" and place is not None and isinstance(again[place], int | float):
                again[place] -= 1
            table.insert(at + 1, again)
    return body


def _holes(body: Any, rule: Rule, _: int) -> Any:
    for table in _tables(body):
        table[:] = [row for row in table if not _hit(rule, _time(row), 0.2)]
    return body


def _revised(body: Any, rule: Rule, now_ms: int) -> Any:
    factor, age = Decimal(str(rule.value("factor", 1.001))), float(rule.value("age", 3600))
    for table in _tables(body):
        for row in table:
            if _seconds(_time(row)) < now_ms / 1000 - age and _hit(rule, _time(row), 0.1):
                for at in _values(row):
                    row[at] = _times_factor(row[at], factor)
    return body


def _times_factor(value: Any, factor: Decimal) -> Any:
    if isinstance(value, str):
        digits = -int(Decimal(value).as_tuple().exponent)
        return f"{Decimal(value) * factor:.{max(0, digits)}f}"
    return value if isinstance(value, int) else float(value) * float(factor)


def _cut(body: Any, rule: Rule, _: int) -> Any:
    for table in _tables(body):
        del table[int(rule.value("rows", 100)) :]
    return body


def _drifted(body: Any, rule: Rule, _: int) -> Any:
    kind, wanted = rule.kind(), rule.value("field", None)
    for table in _tables(body):
        for row in table:
            if kind == "extra":
                if isinstance(row, dict):
                    row["simulated_new_field"] = {"since": "today"}
                else:
                    row.append(0)
                continue
            for at in reversed(_values(row)):
                if wanted in (None, at):
                    _drift(row, at, kind)
    return body


def _drift(row: Any, at: Any, kind: str) -> None:
    if kind == "missing":
        del row[at]
    elif kind == "integers":
        row[at] = round(float(row[at]))
    else:  # strings become numbers, numbers become strings
        row[at] = float(row[at]) if isinstance(row[at], str) else str(row[at])


def _units(body: Any, rule: Rule, _: int) -> Any:
    kind = rule.kind()
    for table in _tables(body):
        for row in table:
            place: Any = _place(row)
            if kind == "cents":
                for at in _values(row):
                    row[at] = _times_factor(row[at], Decimal(100))
            elif place is not None and isinstance(row[place], int):
                row[place] = row[place] // 1000 if kind == "seconds" else row[place] * 1000
    return body


CHANGES: dict[str, Callable[[Any, Rule, int], Any]] = {
    "F12": _absent,
    "F13": _times,
    "F14": _holes,
    "F16": _revised,
    "F19": _cut,
    "F24": _drifted,
    "F25": _units,
}
