"""What a search asks for: its words, filters, dates and page. Errors are in the API's own texts."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from ray_app.simulator.wire import JSON, Rejection

BAD_DATE = (
    "Dates must be an ISO8601 date or datetime (e.g. 2010-07-20 or 2010-07-20T10:00:00+05:00). "
    "Remember to URL-encode the '+' if you provide a timezone offset."
)
BAD_SIZE = "page-size must be an integer between 0 and 200"
BEYOND = "requested page is beyond the number of available pages"
TOO_DEEP = "Content API does not support paging this far. Please change page or page-size."
NOT_FOUND = "The requested resource could not be found."
EXPIRED = "The requested resource has expired for rights reason."
DATES = ("published", "first-publication", "last-modified", "newspaper-edition")
ORDERS = ("newest", "oldest", "relevance")
DAY = 86_400
Matches = Callable[[str], bool]


def refused(status: int, message: str) -> Rejection:
    body = {"response": {"status": "error", "message": message}}
    return Rejection(status, json.dumps(body, separators=(",", ":")), JSON)


@dataclass(frozen=True, slots=True)
class Search:
    """Dates in seconds since 1970: from `start` on and before `end`, either None where not asked for."""

    matches: Matches | None
    sections: tuple[str, ...]
    tags: tuple[tuple[str, ...], ...]  # one of each inner tuple
    ids: tuple[str, ...]
    kinds: tuple[str, ...]
    start: int | None
    end: int | None
    use_date: str
    order: str
    page: int
    size: int
    fields: tuple[str, ...]
    show_tags: bool


def read(params: Mapping[str, str]) -> Search:
    """Raises Rejection (400)."""
    words = params.get("q", "").strip()
    order = params.get("order-by", "relevance" if words else "newest")
    if order not in ORDERS:
        raise refused(400, f"order-by must be one of {', '.join(ORDERS)}")
    size, page = params.get("page-size", "10"), params.get("page", "1")
    if not size.isdigit() or int(size) > 200:
        raise refused(400, BAD_SIZE)
    if not page.isdigit() or int(page) < 1:
        raise refused(400, "page must be an integer greater than 0")
    return Search(
        matches=compiled(words) if words else None,
        sections=tuple(filter(None, params.get("section", "").split("|"))),
        tags=tuple(tuple(one.split("|")) for one in params.get("tag", "").split(",") if one),
        ids=tuple(filter(None, params.get("ids", "").split(","))),
        kinds=tuple(filter(None, params.get("type", "").split("|"))),
        start=_date(params["from-date"], end=False) if "from-date" in params else None,
        end=_date(params["to-date"], end=True) if "to-date" in params else None,
        use_date=params.get("use-date", "published"),
        order=order,
        page=int(page),
        size=int(size),
        fields=tuple(filter(None, params.get("show-fields", "").split(","))),
        show_tags="show-tags" in params,
    )


def _date(text: str, end: bool) -> int:
    """A day means its first second, or the first of the next one where it ends a range."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?", text):
        raise refused(400, BAD_DATE)
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise refused(400, BAD_DATE) from None
    seconds = int((read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp())
    if len(text) == 10:
        return seconds + DAY if end else seconds
    return seconds + 1 if end else seconds


def compiled(words: str) -> Matches:
    """`bitcoin AND (etf OR "spot fund") NOT mining`; words that only stand beside each other are ORed."""
    tokens = re.findall(r'"[^"]*"|\(|\)|[^\s()"]+', words)
    place = 0

    def either() -> Matches:
        nonlocal place
        parts = [both()]
        while place < len(tokens) and tokens[place] != ")":
            if tokens[place] in ("OR", "|", ","):
                place += 1
                continue
            parts.append(both())
        return lambda text: any(part(text) for part in parts)

    def both() -> Matches:
        nonlocal place
        parts = [one()]
        while place < len(tokens) and tokens[place] in ("AND", "NOT"):
            place += tokens[place] == "AND"
            parts.append(one())
        return lambda text: all(part(text) for part in parts)

    def one() -> Matches:
        nonlocal place
        token = tokens[place] if place < len(tokens) else ""
        place += 1
        if token == "NOT":  # noqa: S105 -- a word of the query, no secret
            inner = one()
            return lambda text: not inner(text)
        if token == "(":  # noqa: S105
            inside = either()
            place += 1
            return inside
        pattern = re.compile(rf"\b{re.escape(token.strip(chr(34)))}\b", re.IGNORECASE)
        return lambda text: pattern.search(text) is not None

    return either()
