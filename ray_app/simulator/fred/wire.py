"""How FRED writes: XML unless JSON is asked for, every number a text, two spaces after a full stop."""

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from email.utils import format_datetime
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from ray_app.simulator.wire import Rejection, Reply

JSON = "application/json; charset=UTF-8"
XML = "text/xml; charset=UTF-8"
HEADERS = (("Cache-Control", "max-age=0, no-cache"), ("Pragma", "no-cache"), ("Server", "Apache"))
REASONS = {400: "Bad Request.", 404: "Not Found.", 429: "Too Many Requests.", 500: "Internal Server Error."}
READ_ABOUT_KEYS = "Read https://fred.stlouisfed.org/docs/api/api_key.html for more information."
KEY_MISSING = f"Variable api_key has not been set.  {READ_ABOUT_KEYS}"
KEY_UNKNOWN = f"The value for variable api_key is not registered.  {READ_ABOUT_KEYS}"
NO_SERIES = "The series does not exist."
NOT_ARCHIVED = "The series does not exist in ALFRED but may exist in FRED."
TOO_MANY_CALLS = "Exceeded Rate Limit"

Head = Mapping[str, Any]


def refusal(status: int, text: str, as_json: bool) -> Rejection:
    """An error as FRED tells it."""
    message = f"{REASONS[status]}  {text}"
    if as_json:
        body = _json({"error_code": status, "error_message": message})
        return Rejection(status, body, JSON, HEADERS)
    xml = f'<?xml version="1.0" encoding="utf-8" ?>\n<error code="{status}" message={quoteattr(message)}/>\n'
    return Rejection(status, xml, XML, HEADERS)


def listing(
    head: Head, name: str, item: str, rows: Sequence[Any], as_json: bool, updated: datetime | None
) -> Reply:
    """An answer: its head and, under `name`, the rows: mappings, or plain texts.

    In XML the rows are elements called `item`; a key `_` of a mapping is the text inside its element.
    """
    headers = list(HEADERS)
    if updated is not None:
        headers.append(("Last-Modified", format_datetime(updated, usegmt=True)))
    if as_json:
        plain = [_renamed(row) if isinstance(row, Mapping) else row for row in rows]
        return Reply(200, _json({**head, name: plain}).encode(), JSON, headers)
    told = "\n".join(_element(item, row) for row in rows)
    attributes = "".join(f" {key}={quoteattr(_text(value))}" for key, value in head.items())
    body = f'<?xml version="1.0" encoding="utf-8" ?>\n\n<{name}{attributes}>\n{told}\n</{name}>\n'
    return Reply(200, body.encode(), XML, headers)


def stamp(moment: datetime) -> str:
    """`2024-10-30 07:54:01-05`: with the hours of the zone only."""
    return moment.strftime("%Y-%m-%d %H:%M:%S%z")[:-2]


def _element(item: str, row: Any) -> str:
    if not isinstance(row, Mapping):
        return f"  <{item}>{escape(str(row))}</{item}>"
    attributes = "".join(f" {key}={quoteattr(_text(value))}" for key, value in row.items() if key[0] != "_")
    inside = [value for key, value in row.items() if key[0] == "_"]
    end = f">{escape(_text(inside[0]))}</{item}>" if inside else "/>"
    return f"  <{item}{attributes}{end}"


def _renamed(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key.removeprefix("_"): value for key, value in row.items()}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _json(value: Any) -> str:
    """Slashes are escaped in the recordings."""
    written = json.dumps(value, separators=(",", ":"), default=_day)
    return written.replace("/", "\\/")


def _day(value: Any) -> str:
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{value!r} has no place in an answer")
