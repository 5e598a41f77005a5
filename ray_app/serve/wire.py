"""How answers are written: exact numbers, RFC 3339 times in milliseconds, meta last, a weak ETag.

generated_at and age_seconds come at the very end of `meta`, so that a body that is kept can be sent again
with these two fresh. The ETag is over everything before them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from ray_app.model.written import number, text

__all__ = ["MILLISECOND", "Answer", "dumps", "matches", "number", "text"]
_JSON = b"application/json"
MILLISECOND = timedelta(milliseconds=1)


def _default(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(number(value).encode())
    if isinstance(value, datetime):
        return text(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def dumps(value: Any) -> bytes:
    return orjson.dumps(value, _default, orjson.OPT_PASSTHROUGH_DATETIME)


@dataclass(slots=True, kw_only=True)
class Answer:
    """What is told. `observed` is the time of the newest observation in it; None when it has none.

    `of` names what it is made of, in the words of `store.changes`; such an answer may be kept while none of that is
    committed to, and before `until`, when time alone changes it. It is written as a body once, when one is asked for,
    and `payload` is given up then: of many answers that are kept only the bytes are. `after` gives the cursor behind
    row n of a paged answer.
    """

    payload: dict[str, Any]
    meta: dict[str, Any]
    observed: datetime | None = None
    after: Callable[[int], str] | None = None
    of: tuple[str, ...] = ()
    until: datetime | None = None
    head: bytes = field(default=b"", init=False)
    etag: bytes = field(default=b"", init=False)

    def age(self, now: datetime) -> float | None:
        """Seconds since the newest observation."""
        return None if self.observed is None else max(0.0, (now - self.observed).total_seconds())

    def body(self, now: datetime) -> bytes:
        self._write()
        age = self.age(now)
        told = "null" if age is None else f"{age:.3f}"
        return self.head + f',"generated_at":"{text(now)}","age_seconds":{told}}}}}'.encode()

    def response(self, request: Request, now: datetime) -> "Sent":
        """200 with the body, or 304 when the client has it."""
        self._write()
        asked = b""
        for name, value in request.scope["headers"]:
            if name == b"if-none-match":
                asked = value
                break
        if asked and matches(asked, self.etag):
            return Sent(304, b"", self.etag)
        return Sent(200, self.body(now), self.etag)

    def seal(self) -> None:
        """Give up all but the bytes: it is kept, and may have been made of thousands of rows."""
        self._write()
        self.after = None

    def _write(self) -> None:
        if not self.head:
            self.head = dumps({**self.payload, "meta": self.meta})[:-2]  # open at the end of meta
            self.etag = b'W/"' + sha256(self.head).hexdigest()[:32].encode() + b'"'
            self.payload = {}


def matches(asked: bytes, etag: bytes) -> bool:
    """If-None-Match compares weakly: W/"a" and "a" are the same."""
    opaque = etag.removeprefix(b"W/")
    return asked.strip() == b"*" or any(
        one.strip().removeprefix(b"W/") == opaque for one in asked.split(b",")
    )


class Sent(Response):
    """A response whose headers are written by hand: building them is half the cost of a small answer."""

    media_type = "application/json"

    def __init__(self, status: int, body: bytes, etag: bytes) -> None:
        self.status_code, self.body, self.background = status, body, None
        headers = [(b"etag", etag), (b"cache-control", b"private, no-cache"), (b"vary", b"authorization")]
        if status != 304:
            headers += [(b"content-type", _JSON), (b"content-length", str(len(body)).encode())]
        self.raw_headers = headers
