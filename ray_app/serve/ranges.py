"""Which bytes of a file a request wants: Range, If-Range and If-None-Match, as in RFC 9110; one range at a time."""

import re
from dataclasses import dataclass

from starlette.datastructures import Headers

from ray_app.serve.problems import Problem
from ray_app.serve.wire import matches

_RANGE = re.compile(r"(\d{0,18})-(\d{0,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Wanted:
    """`status`: 200 for all, 206 for [first, last], 304 for nothing."""

    status: int
    first: int
    last: int

    @property
    def length(self) -> int:
        return 0 if self.status == 304 else self.last - self.first + 1


def wanted(headers: Headers, etag: str, size: int) -> Wanted:
    """Raises Problem RANGE_NOT_SATISFIABLE for bytes that there are not, and for more than one range."""
    whole = Wanted(200, 0, size - 1)
    if (known := headers.get("if-none-match")) and matches(known.encode("latin-1"), etag.encode()):
        return Wanted(304, 0, -1)
    asked = ",".join(headers.getlist("range")).strip()
    unit, _, ranges = asked.partition("=")
    if not asked or unit.strip().lower() != "bytes":  # a unit that we do not know means nothing to us
        return whole
    if (condition := headers.get("if-range")) is not None and condition.strip() != etag:
        return whole
    if "," in ranges:
        raise _refused("ask for one range at a time", size)
    found = _RANGE.fullmatch(ranges.strip())
    if found is None or ranges.strip() == "-":
        raise _refused("a range is bytes=FIRST-LAST, bytes=FIRST- or bytes=-COUNT", size)
    begin, end = found.groups()
    if not begin:
        first, last = max(0, size - int(end)), size - 1
    else:
        first, last = int(begin), min(int(end), size - 1) if end else size - 1
    if first > last or (begin and end and int(end) < int(begin)):
        raise _refused("the file has no such bytes", size)
    return Wanted(206, first, last)


def _refused(message: str, size: int) -> Problem:
    headers = {"Content-Range": f"bytes */{size}"}
    return Problem("RANGE_NOT_SATISFIABLE", f"{message}; it has {size} bytes", {"bytes": size}, headers)
