"""Rows of facts on their way into SQL, encoded by us and handed to the driver whole.

Going through SQLAlchemy's parameter handling row by row costs as much as parsing and validating together;
the statement and the column types still come from it.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any

from sqlalchemy import Dialect, Table, insert

from ray_app.model.records import Record
from ray_app.store.tables import PROVENANCE
from ray_app.store.types import Exact, Instant, to_micros, to_sortable

Encode = Callable[[Any], Any]


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


def _encoder(column_type: Any, *, sqlite: bool) -> Encode | None:
    """How a value becomes what the driver takes; None when it is that already."""
    if isinstance(column_type, Exact):
        return to_sortable if sqlite else None
    if isinstance(column_type, Instant):
        return to_micros if sqlite else _naive
    return None


class Inserts:
    """The INSERT of one table of facts, and how a record and its provenance become its parameters."""

    def __init__(self, record: type[Record], table: Table, dialect: Dialect) -> None:
        self.cursor, self.key = record.cursor_field, record.keyed_by()
        place = (self.key,) if self.key == self.cursor else (self.key, self.cursor)
        self.fields = tuple(f for f in record.model_fields if f not in (record.partition_field, *place))
        names = (*place, *self.fields, *PROVENANCE)
        statement = insert(table).values(dict.fromkeys(names)).compile(dialect=dialect, column_keys=names)
        order = statement.positiontup or []
        self.statement = str(statement)
        sqlite = dialect.name == "sqlite"
        encoders = {name: _encoder(table.c[name].type, sqlite=sqlite) for name in names}
        self._moment: Encode = encoders["known_at"] or (lambda value: value)
        self._places = [encoders[name] or (lambda value: value) for name in place]
        self._values = [
            (at, encode) for at, f in enumerate(self.fields) if (encode := encoders[f]) is not None
        ]
        self._place = [names.index(name) for name in order]
        self._read = (
            attrgetter(*self.fields) if len(self.fields) > 1 else lambda r: (getattr(r, self.fields[0]),)
        )

    def values(self, record: Record) -> tuple[Any, ...]:
        """What makes the record's value: all but where it belongs."""
        read: tuple[Any, ...] = self._read(record)
        return read

    def row(
        self,
        key: datetime | str,
        cursor: datetime,
        values: tuple[Any, ...],
        series: int,
        revision: int,
        known_at: datetime,
        received_at: datetime,
        page: int,
    ) -> tuple[Any, ...]:
        """The parameters of one row, in the statement's order."""
        encoded = list(values)
        for at, encode in self._values:
            if encoded[at] is not None:
                encoded[at] = encode(encoded[at])
        time = self._moment
        place = [encode(at) for encode, at in zip(self._places, (key, cursor), strict=False)]
        row = (*place, *encoded, series, revision, time(known_at), time(received_at), page)
        return tuple([row[at] for at in self._place])
