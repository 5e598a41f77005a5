"""Turn a page into records.

A row that cannot be read is set aside with the reason. A record outside the slice is left out:
many sources answer with a little more than was asked, often a bar that is still forming.
Every row ends in exactly one place; `Read` counts them so that conservation can be checked.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ray_app.model.collected import SetAside, as_json
from ray_app.model.errors import Malformed
from ray_app.model.records import Record
from ray_app.model.source import Page, Slice, Stream

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
    left_out: int = 0  # not asked for: outside the slice, or said twice in the same words
    without_value: int = 0  # the upstream names the partition and gives no value

    @property
    def readable(self) -> int:
        return self.rows - len(self.set_aside)


def read(stream: Stream, page: Page, wanted: Slice) -> Read:
    """The records of a page that belong to the slice, each fact once: the last one said.

    Texts of a feed that tells only the present belong to the slice whenever they were written.
    """
    out = Read()
    if page.status == NOT_MODIFIED:
        return out
    asked = frozenset(wanted.partitions)
    any_time = stream.offers is None and stream.record.key_field != ""
    start, end = wanted.range.start, wanted.range.end
    newest = page.received_at + AHEAD
    seen: dict[tuple[str, datetime | str, int | None], tuple[int, Any]] = {}
    parse = stream.parse
    for row in _rows(stream, page):
        out.rows += 1
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
            if known > newest:
                raise ValueError(f"known at {known}, received at {page.received_at}: the future")
        except UNREADABLE as e:
            out.set_aside.append(SetAside(as_json(row), _reason(e)))
            continue
        place = (partition, record.key, record.number)
        at = seen.get(place)
        if at is None:
            seen[place] = (len(out.records), row)
            out.records.append(record)
            continue
        index, earlier = at
        if out.records[index] == record:
            out.left_out += 1
        else:
            out.set_aside.append(SetAside(as_json(earlier), "said twice in one answer with different values"))
            out.records[index] = record
            seen[place] = (index, row)
    return out


def _rows(stream: Stream, page: Page) -> Iterator[Any]:
    """A page in which the rows cannot even be found has changed its format."""
    try:
        yield from stream.rows(page)
    except UNREADABLE as error:
        raise Malformed(page.source, f"no rows of {stream.name} to be found: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    first = str(error).splitlines()
    return f"{type(error).__name__}: {' '.join(line.strip() for line in first[:3])}"[:300]
