"""Tables as text that means the same on both databases: a line of JSON per row, in pieces that stay where they are.

A piece ends where a row's key says so, not after so many rows: a row that is added changes its own piece only, and
every other one is in the target already. The checksum of a table does not depend on the order of its rows.
"""

from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any, Literal
from zlib import crc32

import orjson
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    String,
    Table,
    select,
    type_coerce,
)
from sqlalchemy.dialects.mysql import DATETIME
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import TypeEngine

from ray_app.model.written import number
from ray_app.store.types import Exact, Instant, LongText, from_micros, from_sortable

Kind = Literal["number", "time", "yes_or_no", "whole", "text", "bytes"]
PIECE, LONGEST = 512, 8192  # rows of a piece: about so many, and at most
FETCH = 2000
MODULUS = 2**256
_EPOCH, _MICROSECOND = datetime(1970, 1, 1), timedelta(microseconds=1)  # noqa: DTZ001  # as MariaDB gives them


def reading_of(table: Table) -> "Reading":
    """A table of this release."""
    ordered = [*table.primary_key.columns, *(c for c in table.c if not c.primary_key)]
    return Reading(table.name, [(c.name, _kind(c.type)) for c in ordered], len(table.primary_key.columns))


def _kind(of: TypeEngine[Any]) -> Kind:
    if isinstance(of, Exact):
        return "number"
    if isinstance(of, Instant):
        return "time"
    if isinstance(of, Boolean):
        return "yes_or_no"
    if isinstance(of, Integer | BigInteger):
        return "whole"
    if isinstance(of, String):
        return "text"
    if isinstance(of, LargeBinary):
        return "bytes"
    raise TypeError(f"nobody said how a backup writes {of!r}")


@dataclass(slots=True)
class Summed:
    """What was read of a table."""

    rows: int = 0
    checksum: int = 0

    def add(self, line: bytes) -> None:
        self.rows += 1
        self.checksum = (self.checksum + int.from_bytes(sha256(line).digest(), "big")) % MODULUS

    @property
    def hex(self) -> str:
        return f"{self.checksum:064x}"


@dataclass(slots=True)
class Reading:
    """One table, piece by piece; `summed` grows with it. Of the columns the first `key` are the key."""

    name: str
    columns: Sequence[Sequence[str]]
    key: int
    summed: Summed = field(default_factory=Summed)

    async def pieces(self, connection: AsyncConnection) -> AsyncIterator[bytes]:
        """Lines of about 500 rows each."""
        sqlite = connection.dialect.name == "sqlite"
        table = table_of(self.name, self.columns)
        writers = [_writer(kind, sqlite=sqlite) for _, kind in self.columns]
        raw = [_raw(table.c[name], kind, sqlite=sqlite) for name, kind in self.columns]
        held: list[bytes] = []
        query = select(*raw).order_by(*list(table.c)[: self.key])
        result = await connection.stream(query.execution_options(yield_per=FETCH))
        async for rows in result.partitions(FETCH):
            for row in rows:
                values = [v if w is None or v is None else w(v) for w, v in zip(writers, row, strict=True)]
                line = orjson.dumps(values)
                self.summed.add(line)
                held.append(line)
                if crc32(orjson.dumps(values[: self.key])) % PIECE == 0 or len(held) >= LONGEST:
                    yield b"\n".join(held)
                    held = []
        if held:
            yield b"\n".join(held)


def _raw(column: Column[Any], kind: str, *, sqlite: bool) -> Any:
    """What the driver gives, where our own types would work longer than needed."""
    if kind == "number":
        return type_coerce(column, String() if sqlite else Numeric(65, 30))
    if kind == "time":
        return type_coerce(column, BigInteger() if sqlite else DATETIME(fsp=6))
    return column


def _writer(kind: str, *, sqlite: bool) -> Callable[[Any], Any] | None:
    match kind:
        case "number":
            return (lambda text: number(from_sortable(text))) if sqlite else number
        case "time":
            return None if sqlite else lambda at: (at - _EPOCH) // _MICROSECOND
        case "yes_or_no":
            return bool
        case "bytes":
            return lambda held: b64encode(held).decode()
    return None


def table_of(name: str, columns: Sequence[Sequence[str]]) -> Table:
    """A table to insert into as a backup tells it: it may be older than this release's."""
    types: dict[str, Any] = {
        "number": Exact(), "time": Instant(), "yes_or_no": Boolean(create_constraint=False), "whole": BigInteger(),
        "text": LongText, "bytes": LargeBinary(),
    }  # fmt: skip
    return Table(name, MetaData(), *(Column(title, types[kind]) for title, kind in columns))


def read_rows(piece: bytes, columns: Sequence[Sequence[str]]) -> Iterator[dict[str, Any]]:
    """Rows as they are inserted."""
    readers: list[Callable[[Any], Any] | None] = [_READERS.get(kind) for _, kind in columns]
    names = [name for name, _ in columns]
    for line in piece.split(b"\n"):
        values = orjson.loads(line)
        yield {
            name: v if r is None or v is None else r(v)
            for name, r, v in zip(names, readers, values, strict=True)
        }


_READERS: dict[str, Callable[[Any], Any]] = {"number": Decimal, "time": from_micros, "bytes": b64decode}
