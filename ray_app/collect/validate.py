"""Turn a page into records.

A row that cannot be read is set aside with the reason. A record outside the slice is left out:
many sources answer with a little more than was asked, often a bar that is still forming.
Every row ends in exactly one place; `Read` counts them so that conservation can be checked.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from ray_app.model.collected import SetAside, as_json
from ray_app.model.errors import Malformed
from ray_app.model.records import Record
from ray_app.model.source import Page, Slice, Stream
from ray_app.model.unread import reason_of, unquoted, unread

UNREADABLE = (
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
)  # pydantic's is a ValueError
NOT_MODIFIED = 304  # an answer without rows: nothing is new since the last one
AHEAD = timedelta(minutes=5)  # an upstream's clock may run ahead of ours by this much


@dataclass(slots=True)
class Read:
    """rows = len(records) + len(set_aside) + left_out + without_value, always."""

    rows: int = 0
    records: list[Record] = field(default_factory=list)
    set_aside: list[SetAside] = field(default_factory=list)
    aside_at: dict[int, str] = field(default_factory=dict)  # the place of a row that was set aside, and why
    left_out: int = 0  # not asked for: outside the slice, or said twice in the same words
    without_value: int = 0  # the upstream names the partition and gives no value

    @property
    def readable(self) -> int:
        return self.rows - len(self.set_aside)


def read(stream: Stream, page: Page, wanted: Slice) -> Read:
    """The records of a page that belong to the slice, each fact once: the last one said.

    Texts of a feed that tells only the present belong to the slice whenever they were written. Where texts
    are looked for again upstream, a row that is set aside leaves its shape and its hash, and no words.
    """
    out = Read()
    if page.status == NOT_MODIFIED:
        return out
    asked = frozenset(wanted.partitions)
    any_time = stream.offers is None and stream.record.key_field != ""
    start, end = wanted.range.start, wanted.range.end
    newest = page.received_at + AHEAD
    seen: dict[tuple[str, datetime | str, int | None], tuple[int, int, Any]] = {}
    parse, wordless = stream.parse, stream.recheck is not None

    def set_aside(at: int, row: Any, reason: str) -> None:
        row = unread(row, reason) if wordless and reason_of(row) is None else row
        out.set_aside.append(SetAside(as_json(row), reason))
        out.aside_at[at] = reason

    for at, row in enumerate(_rows(stream, page)):
        out.rows += 1
        if wordless and (reason := reason_of(row)) is not None:
            set_aside(at, row, reason)
            continue
        try:
            record = parse(row, wanted)
            if record is None:
                out.without_value += 1
                continue
            partition, cursor = record.partition, record.cursor
            if partition not in asked or not (any_time or start <= cursor < end):
                out.left_out += 1
                continue
            known = cursor if record.known_at_latest else record.known_at
        except UNREADABLE as e:
            set_aside(at, row, _wordless(e, row) if wordless else _reason(e))
            continue
        if known > newest:
            set_aside(at, row, f"ValueError: known at {known}, received at {page.received_at}: the future")
            continue
        place = (partition, record.key, record.number)
        before = seen.get(place)
        if before is None:
            seen[place] = (len(out.records), at, row)
            out.records.append(record)
            continue
        index, earlier_at, earlier = before
        if out.records[index] == record:
            out.left_out += 1
        else:
            set_aside(earlier_at, earlier, "said twice in one answer with different values")
            out.records[index] = record
            seen[place] = (index, at, row)
    return out


def _rows(stream: Stream, page: Page) -> Iterator[Any]:
    """A page in which the rows cannot even be found has changed its format."""
    try:
        yield from stream.rows(page)
    except UNREADABLE as error:
        reason = _reason(error) if stream.recheck is None else type(error).__name__
        raise Malformed(page.source, f"no rows of {stream.name} to be found: {reason}") from error


def _reason(error: Exception) -> str:
    first = str(error).splitlines()
    return f"{type(error).__name__}: {' '.join(line.strip() for line in first[:3])}"[:300]


def _wordless(error: Exception, row: Any) -> str:
    """The reason without the words of the row, which the texts of errors like to quote."""
    if isinstance(error, ValidationError):  # it quotes in a form of its own
        fields = (f"{'.'.join(map(str, e['loc']))}: {e['type']}" for e in error.errors(include_input=False))
        return f"{type(error).__name__}: {', '.join(fields)}"[:300]
    return unquoted(_reason(error), row)
