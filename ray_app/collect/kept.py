"""What is kept of an answer that holds posts of others: the texts that become records, and no other.

A record's text is looked for again and wiped when it is deleted. One that was not asked for, that could not
be read, that another post quotes, or that came with an error, is in no record: it is cut out before the
page is kept, and before anybody can quote it in a reason or a log.
"""

import json
import re
from collections.abc import Container
from dataclasses import dataclass, fields
from typing import Any

from ray_app.collect.validate import UNREADABLE, read
from ray_app.model.errors import UpstreamError
from ray_app.model.source import Page, Recheck, Slice, Stream
from ray_app.model.unread import NAME, is_unread_body, reason_of, shape, unread, unread_body

WORD = re.compile(r"[!-~]{0,400}")  # a cursor, a time, an id: anything but a sentence
NOT_STORED = "its record is not stored"


class Everything(Container[str]):
    def __contains__(self, _: object) -> bool:
        return True


@dataclass(frozen=True, kw_only=True)
class Told(Page):
    """A page whose JSON is read already, so that its rows are parts of what was read."""

    told: Any = None

    def json(self) -> Any:
        return self.told


def kept(stream: Stream, wanted: Slice, page: Page) -> Page:
    """The page with the texts of the slice's records only; of one that is no listing, the shape."""
    recheck = stream.recheck
    if recheck is None:
        return page
    try:
        if page.status == 200:
            left = _listing(stream, recheck, wanted, page)
            return page.without(lambda _: left)
    except (*UNREADABLE, RecursionError, UpstreamError):
        pass
    return page.without(unread_body)


def answer_without_texts(recheck: Recheck, page: Page) -> Page:
    """An answer to the question which posts are still there, without what they say."""
    return page.without(lambda body: _ids_only(recheck, body) if page.status == 200 else unread_body(body))


def without_texts(recheck: Recheck, body: bytes) -> bytes:
    """A kept body with the ids of its posts only; of one that is no listing, the shape."""
    return body if is_unread_body(body) else _ids_only(recheck, body)


def _ids_only(recheck: Recheck, body: bytes) -> bytes:
    try:
        left = recheck.redact(body, Everything())
        return _written(left, json.loads(left), [], [])
    except (*UNREADABLE, RecursionError):
        return unread_body(body)


def _listing(stream: Stream, recheck: Recheck, wanted: Slice, page: Page) -> bytes:
    """Raises what a page raises that is no listing."""
    told = page.json()
    whole = Told(**{f.name: getattr(page, f.name) for f in fields(page)}, told=told)
    rows = list(stream.rows(whole))
    if any(reason_of(row) is not None for row in rows):
        raise ValueError("nobody but us says of a row that it was not read")
    found = read(stream, whole, wanted)
    stored = {(record.partition, str(record.key)) for record in found.records}
    others, fates = set(), list(rows)
    for place, row in enumerate(rows):
        if place in found.aside_at:
            fates[place] = unread(row, found.aside_at[place])
            continue
        record = stream.parse(row, wanted)
        if record is None:
            fates[place] = unread(row, NOT_STORED)
        elif (record.partition, str(record.key)) not in stored:
            others.add(str(record.key))
    return recheck.redact(_written(page.body, told, rows, fates), others)


def _written(body: bytes, told: Any, rows: list[Any], fates: list[Any]) -> bytes:
    changed = _with_rows(told, rows, fates)
    return body if changed == told else json.dumps(changed, separators=(",", ":"), default=float).encode()


def _with_rows(told: Any, rows: list[Any], fates: list[Any]) -> Any:
    """What was told with other rows, and around them no text. Raises ValueError where they are no list of it."""
    found = 0

    def walk(value: Any) -> Any:
        nonlocal found
        if isinstance(value, str):
            return value if WORD.fullmatch(value) else shape(value)
        if isinstance(value, list):
            if rows and len(value) == len(rows) and all(a is b for a, b in zip(value, rows, strict=True)):
                found += 1
                return fates
            return [walk(one) for one in value]
        if isinstance(value, dict):
            return {name if NAME.fullmatch(name) else "...": walk(one) for name, one in value.items()}
        return value

    changed = walk(told)
    if rows and found != 1:
        raise ValueError("the rows of this page are no list in it")
    return changed
