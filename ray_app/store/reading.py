"""The read side: facts now, as of T (what this node would have answered), known by T (by anyone).

as_of=T takes rows received and known by T; known_by=T takes rows known by T whenever received. Of a fact's
revisions the last one that passes holds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Select, Table, and_, func, select

from ray_app.model.records import Record
from ray_app.model.timerange import TimeRange
from ray_app.store.engine import Database
from ray_app.store.tables import FACTS, pages, series, set_aside, slices

SETTLED = 2.0  # seconds: a commit that takes longer than this stamps its rows anew, so as_of can wait it out


@dataclass(frozen=True, slots=True)
class Point:
    """A place to stand in time; None means without that bound."""

    as_of: datetime | None = None
    known_by: datetime | None = None

    def bounds(self, table: Table) -> list[ColumnElement[bool]]:
        out = []
        if self.as_of is not None:
            out += [table.c.received_at <= self.as_of, table.c.known_at <= self.as_of]
        if self.known_by is not None:
            out.append(table.c.known_at <= self.known_by)
        return out


NOW = Point()


@dataclass(frozen=True, slots=True)
class Fact:
    """One stored revision. `id` leads back to its raw page: stream:partition:cursor:revision."""

    stream: str
    partition: str
    cursor: datetime
    revision: int
    values: dict[str, Any]
    known_at: datetime
    received_at: datetime

    @property
    def id(self) -> str:
        return f"{self.stream}:{self.partition}:{self.cursor.isoformat()}:{self.revision}"


def parse_id(record_id: str) -> tuple[str, str, datetime, int]:
    """(stream, partition, cursor, revision) of a fact's id. Raises ValueError when it is none."""
    stream, _, rest = record_id.partition(":")
    rest, _, revision = rest.rpartition(":")
    for at in (i for i, letter in enumerate(rest) if letter == ":"):
        try:
            return stream, rest[:at], datetime.fromisoformat(rest[at + 1 :]), int(revision)
        except ValueError:
            continue
    raise ValueError(f"{record_id!r} is not a record id (stream:partition:time:revision)")


class Reading:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def latest(
        self, record: type[Record], stream: str, partitions: Sequence[str] | None = None, at: Point = NOW
    ) -> dict[str, Fact]:
        """The newest fact of each partition, by cursor; partitions without one are absent."""
        table = FACTS[record]
        cursor = table.c[record.cursor_field]
        mine = [
            series.c.stream == stream,
            *([series.c.partition.in_(partitions)] if partitions is not None else []),
        ]
        newest = (
            select(func.max(cursor))
            .where(table.c.series == series.c.id, *at.bounds(table))
            .correlate(series)
            .scalar_subquery()
        )
        query = (
            _facts(table, cursor)
            .where(*mine, cursor == newest, *at.bounds(table))
            .order_by(series.c.partition, table.c.revision)
        )
        return {fact.partition: fact for fact in await self._read(record, query)}

    async def between(
        self,
        record: type[Record],
        stream: str,
        partitions: Sequence[str],
        over: TimeRange,
        at: Point = NOW,
    ) -> list[Fact]:
        """The facts with a cursor in `over`, by partition and cursor, each in its last passing revision."""
        table = FACTS[record]
        cursor = table.c[record.cursor_field]
        query = (
            _facts(table, cursor)
            .where(series.c.stream == stream, series.c.partition.in_(partitions))
            .where(cursor >= over.start, cursor < over.end, *at.bounds(table))
            .order_by(series.c.partition, cursor, table.c.revision)
        )
        last: dict[tuple[str, datetime], Fact] = {}
        for fact in await self._read(record, query):
            last[fact.partition, fact.cursor] = fact
        return list(last.values())

    async def cursors(
        self, record: type[Record], stream: str, partitions: Sequence[str], over: TimeRange, at: Point = NOW
    ) -> dict[str, list[datetime]]:
        """Per partition the times within `over` that have a fact; partitions without one are absent."""
        table = FACTS[record]
        cursor = table.c[record.cursor_field]
        query = (
            select(series.c.partition, cursor)
            .join_from(table, series, table.c.series == series.c.id)
            .where(series.c.stream == stream, series.c.partition.in_(partitions))
            .where(cursor >= over.start, cursor < over.end, *at.bounds(table))
            .distinct()
            .order_by(series.c.partition, cursor)
        )
        out: dict[str, list[datetime]] = {}
        async with self._database.read() as connection:
            for partition, moment in await connection.execute(query):
                out.setdefault(partition, []).append(moment)
        return out

    async def extent(
        self, record: type[Record], stream: str, at: Point = NOW
    ) -> tuple[datetime, datetime] | None:
        """The first and the last cursor of the stream; None when it has no facts."""
        table = FACTS[record]
        cursor = table.c[record.cursor_field]
        query = select(func.min(cursor), func.max(cursor)).join_from(
            table, series, table.c.series == series.c.id
        )
        async with self._database.read() as connection:
            first, last = (
                await connection.execute(query.where(series.c.stream == stream, *at.bounds(table)))
            ).one()
        return None if first is None else (first, last)

    async def count(self, record: type[Record], stream: str) -> int:
        """How many revisions the stream has in the store, by looking."""
        table = FACTS[record]
        query = select(func.count()).select_from(table.join(series)).where(series.c.stream == stream)
        async with self._database.read() as connection:
            return int((await connection.execute(query)).scalar_one())

    async def revisions(
        self,
        record: type[Record],
        stream: str,
        over: TimeRange,
        limit: int,
        after: tuple[datetime, str, datetime] | None = None,
        partitions: Sequence[str] | None = None,
        at: Point = NOW,
    ) -> list[tuple[Fact, Fact]]:
        """(old, new) of what changed after first being seen, by when the change was received."""
        table, old = FACTS[record], FACTS[record].alias("old")
        cursor = table.c[record.cursor_field]
        query = (
            select(
                series.c.stream,
                series.c.partition,
                cursor.label("cursor"),
                *(c for c in table.c if c.name not in ("series", record.cursor_field)),
                *(c.label(f"old_{c.name}") for c in old.c if c.name not in ("series", record.cursor_field)),
            )
            .join_from(table, series, table.c.series == series.c.id)
            .join(
                old,
                and_(
                    old.c.series == table.c.series,
                    old.c[record.cursor_field] == cursor,
                    old.c.revision == table.c.revision - 1,
                ),
            )
            .where(series.c.stream == stream, table.c.revision > 0)
            .where(table.c.received_at >= over.start, table.c.received_at < over.end, *at.bounds(table))
            .where(*([series.c.partition.in_(partitions)] if partitions is not None else []))
            .order_by(table.c.received_at, series.c.partition, cursor, table.c.revision)
            .limit(limit)
        )
        if after is not None:
            moment, partition, time = after
            query = query.where(
                (table.c.received_at > moment)
                | (
                    (table.c.received_at == moment)
                    & (
                        (series.c.partition > partition)
                        | ((series.c.partition == partition) & (cursor > time))
                    )
                )
            )
        out = []
        async with self._database.read() as connection:
            for row in (await connection.execute(query)).mappings():
                new = _fact(record, {k: v for k, v in row.items() if not k.startswith("old_")})
                before = {k.removeprefix("old_"): v for k, v in row.items() if k.startswith("old_")}
                out.append(
                    (
                        _fact(
                            record,
                            {"stream": row["stream"], "partition": row["partition"], "cursor": row["cursor"]}
                            | before,
                        ),
                        new,
                    )
                )
        return out

    async def lineage(
        self, record: type[Record], stream: str, partition: str, cursor: datetime, revision: int
    ) -> dict[str, Any] | None:
        """From a row to its raw response; None when there is no such row."""
        table = FACTS[record]
        query = (
            select(pages, table.c.known_at, table.c.received_at.label("had_at"))
            .join_from(table, series, table.c.series == series.c.id)
            .join(pages, table.c.page == pages.c.id)
            .where(series.c.stream == stream, series.c.partition == partition)
            .where(table.c[record.cursor_field] == cursor, table.c.revision == revision)
        )
        async with self._database.read() as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        return dict(row) if row else None

    async def set_aside(self, stream: str, over: TimeRange, limit: int = 1000) -> list[dict[str, Any]]:
        """Rows that could not be read, with their reasons, by when they were received."""
        query = (
            select(
                set_aside.c.row,
                set_aside.c.reason,
                set_aside.c.place,
                set_aside.c.received_at,
                slices.c.hash,
                pages.c.hash.label("page"),
            )
            .join_from(set_aside, slices, set_aside.c.slice == slices.c.hash)
            .join(pages, set_aside.c.page == pages.c.id)
            .where(
                slices.c.stream == stream,
                set_aside.c.received_at >= over.start,
                set_aside.c.received_at < over.end,
            )
            .order_by(set_aside.c.received_at, set_aside.c.id)
            .limit(limit)
        )
        async with self._database.read() as connection:
            return [dict(row) for row in (await connection.execute(query)).mappings()]

    async def _read(self, record: type[Record], query: Select[Any]) -> list[Fact]:
        async with self._database.read() as connection:
            return [_fact(record, dict(row)) for row in (await connection.execute(query)).mappings()]


def _facts(table: Table, cursor: Column[Any]) -> Select[Any]:
    own = [c for c in table.c if c.name not in ("series", "page") and c.name != cursor.name]
    return select(series.c.stream, series.c.partition, cursor.label("cursor"), *own).join_from(
        table, series, table.c.series == series.c.id
    )


def _fact(record: type[Record], row: dict[str, Any]) -> Fact:
    names = ("stream", "partition", "cursor", "revision", "known_at", "received_at")
    place = {name: row[name] for name in names}
    values = {
        f: row[f] for f in record.model_fields if f not in (record.partition_field, record.cursor_field)
    }
    return Fact(values=values, **place)
