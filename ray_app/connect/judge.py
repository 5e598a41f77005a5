"""What an answer means: one table from status to reaction.

A body is judged too: 200 can carry an error (the source's own `judge` knows its shapes), and an
error can be HTML.
"""

import json
from email.utils import parsedate_to_datetime

from ray_app.model.errors import Malformed, NotOffered, RateLimited, Refused, Transient, UpstreamError
from ray_app.model.source import Page, Source

REACTIONS: dict[int, type[UpstreamError]] = {
    400: Refused,
    401: Refused,
    402: Refused,
    403: Refused,
    404: NotOffered,
    408: Transient,
    409: Transient,
    410: NotOffered,
    418: RateLimited,  # Binance: banned for as long as Retry-After says
    422: Refused,
    425: Transient,
    429: RateLimited,
    451: Refused,
}


def judge(source: Source, page: Page, *, quoting: bool = True) -> None:
    """Raise the reaction that this answer asks for; return when its body may be read.

    Without `quoting` the reason has no words of the body but those that the source's own judge knows.
    """
    source.judge(page)
    if 200 <= page.status < 300:
        return
    said = _message(page.body) if quoting else f"{len(page.body)} bytes, not quoted"
    detail = f"HTTP {page.status}: {said}"
    if page.status >= 500:
        raise Transient(source.name, detail)
    reaction = REACTIONS.get(page.status, Malformed)
    if reaction is RateLimited:
        raise RateLimited(source.name, detail, retry_after(page))
    raise reaction(source.name, detail)


def retry_after(page: Page) -> float | None:
    """Seconds to wait, from Retry-After as seconds or as a date; None when absent or unreadable."""
    value = page.headers.get("retry-after", "").strip()
    if value.isdigit():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - page.received_at).total_seconds())
    except (ValueError, TypeError):
        return None


def allowance(source: Source, page: Page) -> int | None:
    """The limit per window that the answer itself states, where the source's headers mean our window."""
    value = page.headers.get("x-ratelimit-limit", "").strip() if source.states_limit else ""
    return int(value) if value.isdigit() and int(value) > 0 else None


def remaining(page: Page) -> int | None:
    """How many calls of the window are left, if the answer says so."""
    for name in ("x-ratelimit-remaining", "x-rate-limit-remaining"):
        try:
            left = int(float(page.headers[name]))  # Reddit says 997.0
        except (KeyError, ValueError, OverflowError):
            continue
        return left if left >= 0 else None
    return None


def _message(body: bytes) -> str:
    """The error text of any of the shapes in use, or the start of the body."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return body[:120].decode("utf-8", "replace")
    for key in ("error", "status", "error_message", "message"):
        while isinstance(found, dict) and key in found and not isinstance(found[key], int):
            found = found[key]
    return str(found)[:200]
