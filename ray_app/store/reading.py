"""The read side: facts now, as of T (what this node would have answered), known by T (by anyone).

as_of=T takes rows received and known by T; known_by=T takes rows known by T whenever received. Where it is not told
when a value became known but by when, known_by goes by that, also for a value that this node had earlier: so the same
history filled back later is known at the same times. Of a fact's revisions the last one that passes holds.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, FromClause, Select, Table, and_, func, select
from sqlalchemy.sql.selectable import AliasedReturnsRows

from ray_app.model.records import Record
from ray_app.model.timerange import TimeRange
from ray_app.store.engine import Database
from ray_app.store.tables import FACTS, pages, series

SETTLED = 2.0  # seconds: a commit that takes longer than this stamps its rows anew, so as_of can wait it out

_TIME = re.compile(r"\d{4}-\d\d-\d\dT")  # how a time in a fact's id begins


@dataclass(frozen=True, slots=True)
class Point:
    """A place to stand in time; None means without that bound."""

    as_of: datetime | None = None
    known_by: datetime | None = None

    def bounds(self, table: FromClause) -> list[ColumnElement[bool]]:
        out = []
        if self.as_of is not None:
            out += [table.c.received_at <= self.as_of, table.c.known_at <= self.as_of]
        if self.known_by is not None:
            out.append(table.c.known_at <= self.known_by)
            if (latest := _known_latest(table)) is not None:
                name, after = latest
                out.append(table.c[name] <= self.known_by - after)
        return out


NOW = Point()
_LATEST = {FACTS[kind]: kind.known_at_latest for kind in FACTS if kind.known_at_latest is not None}


def _known_latest(table: FromClause) -> tuple[str, timedelta] | None:
    """Of a table of facts, or an alias of it: each is known at the latest so long after this field."""
    real = table.element if isinstance(table, AliasedReturnsRows) else table
    return _LATEST.get(real) if isinstance(real, Table) else None


class Reach(NamedTuple):
    """The first and the last time of facts, and when the newest of them was received."""

    first: datetime
    last: datetime
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Fact:
    """One stored revision. `id` leads back to its raw page: stream:partition:key:revision.

    `key` is the cursor for most kinds, a text's id, or the period of an observation.
    """

    stream: str
    partition: str
    key: datetime | str
    cursor: datetime
    revision: int
    values: dict[str, Any]
    known_at: datetime
    received_at: datetime

    @property
    def id(self) -> str:
        key = self.key if isinstance(self.key, str) else self.key.isoformat()
        return f"{self.stream}:{self.partition}:{key}:{self.revision}"


def parse_id(record_id: str) -> tuple[str, str, datetime | str, int]:
    """(stream, partition, key, revision) of a fact's id. Raises ValueError when it is none."""
    stream, _, rest = record_id.partition(":")
    rest, _, revision = rest.rpartition(":")
    if not revision.isdecimal():
        raise ValueError(f"{record_id!r} is not a record id (stream:partition:key:revision)")
    for at in (i for i, letter in enumerate(rest) if letter == ":"):
        if not _TIME.match(rest, at + 1):
            continue  # the id of a post can be digits that would do as a time without dashes
        try:
            return stream, rest[:at], datetime.fromisoformat(rest[at + 1 :]), int(revision)
        except ValueError:
            continue
    partition, _, key = rest.partition(":")
    if not (partition and key):
        raise ValueError(f"{record_id!r} is not a record id (stream:partition:key:revision)")
    return stream, partition, key, int(revision)


class Reading:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def latest(
        self, record: type[Record], stream: str, partitions: Sequence[str] | None = None, at: Point = NOW
    ) -> dict[str, Fact]:
        """The newest fact of each partition, by time; partitions without one are absent."""
        table = FACTS[record]
        time = table.c[record.timed_by()]
        mine = [
            series.c.stream == stream,
            *([series.c.partition.in_(partitions)] if partitions is not None else []),
        ]
        newest = (
            select(func.max(time))
            .where(table.c.series == series.c.id, *at.bounds(table))
            .correlate(series)
            .scalar_subquery()
        )
        query = (
            facts_of(record)
            .where(*mine, time == newest, *at.bounds(table))
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
        """The facts with a time in `over`, by partition and time, each in its last passing revision."""
        table = FACTS[record]
        time = table.c[record.timed_by()]
        query = (
            facts_of(record)
            .where(series.c.stream == stream, series.c.partition.in_(partitions))
            .where(time >= over.start, time < over.end, *at.bounds(table))
            .order_by(series.c.partition, time, table.c[record.keyed_by()], table.c.revision)
        )
        last: dict[tuple[str, datetime | str], Fact] = {}
        for fact in await self._read(record, query):
            last[fact.partition, fact.key] = fact
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

    async def extent(self, record: type[Record], stream: str, at: Point = NOW) -> Reach | None:
        """Of all facts of the stream; None without one."""
        table = FACTS[record]
        time = table.c[record.timed_by()]
        query = select(func.min(time), func.max(time), func.max(table.c.received_at)).join_from(
            table, series, table.c.series == series.c.id
        )
        async with self._database.read() as connection:
            first, last, received = (
                await connection.execute(query.where(series.c.stream == stream, *at.bounds(table)))
            ).one()
        return None if first is None else Reach(first, last, received)

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
        after: tuple[datetime, str, datetime | str, int] | None = None,
        partitions: Sequence[str] | None = None,
        at: Point = NOW,
    ) -> list[tuple[Fact, Fact]]:
        """(old, new) of what changed after first being seen, by when the change was received.

        `after` is the place of the last one seen: when received, partition, key, revision.
        """
        table, old = FACTS[record], FACTS[record].alias("old")
        key = table.c[record.keyed_by()]
        earlier = FACTS[record].alias("earlier")
        before = (
            select(func.max(earlier.c.revision))
            .where(earlier.c.series == table.c.series, earlier.c[record.keyed_by()] == key)
            .where(earlier.c.revision < table.c.revision)
            .correlate(table)
            .scalar_subquery()
        )
        query = (
            facts_of(record)
            .add_columns(*(c.label(f"old_{c.name}") for c in old.c if c.name != "series"))
            .join(
                old,
                and_(
                    old.c.series == table.c.series,
                    old.c[record.keyed_by()] == key,
                    old.c.revision == before,
                ),
            )
            .where(series.c.stream == stream)
            .where(table.c.received_at >= over.start, table.c.received_at < over.end, *at.bounds(table))
            .where(*([series.c.partition.in_(partitions)] if partitions is not None else []))
            .order_by(table.c.received_at, series.c.partition, key, table.c.revision)
            .limit(limit)
        )
        if after is not None:
            columns = (table.c.received_at, series.c.partition, key, table.c.revision)
            query = query.where(_behind(columns, after))
        out = []
        async with self._database.read() as connection:
            for row in (await connection.execute(query)).mappings():
                new = {k: v for k, v in row.items() if not k.startswith("old_")}
                then = {k.removeprefix("old_"): v for k, v in row.items() if k.startswith("old_")}
                place = {"stream": row["stream"], "partition": row["partition"]}
                out.append((fact_of(record, place | then), fact_of(record, new)))
        return out

    async def lineage(
        self,
        record: type[Record],
        stream: str,
        partition: str,
        key: datetime | str,
        revision: int,
        at: Point = NOW,
    ) -> dict[str, Any] | None:
        """From a row to its raw response; None when there is no such row (at that point in time)."""
        table = FACTS[record]
        query = (
            select(pages, table.c.known_at, table.c.received_at.label("had_at"))
            .join_from(table, series, table.c.series == series.c.id)
            .join(pages, table.c.page == pages.c.id)
            .where(series.c.stream == stream, series.c.partition == partition)
            .where(table.c[record.keyed_by()] == key, table.c.revision == revision, *at.bounds(table))
        )
        async with self._database.read() as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        return dict(row) if row else None

    async def _read(self, record: type[Record], query: Select[Any]) -> list[Fact]:
        async with self._database.read() as connection:
            return [fact_of(record, dict(row)) for row in (await connection.execute(query)).mappings()]


def _behind(columns: Sequence[Any], place: Sequence[Any]) -> ColumnElement[bool]:
    """Rows that come after `place` in the order of these columns, the first of them deciding first."""
    column, at = columns[0], place[0]
    further: ColumnElement[bool] = column > at
    return further if len(columns) == 1 else further | ((column == at) & _behind(columns[1:], place[1:]))


def facts_of(record: type[Record]) -> Select[Any]:
    """The facts of a kind, each revision a row that `fact_of` reads."""
    table = FACTS[record]
    own = [c for c in table.c if c.name not in ("series", "page")]
    return select(series.c.stream, series.c.partition, *own).join_from(
        table, series, table.c.series == series.c.id
    )


def fact_of(record: type[Record], row: dict[str, Any]) -> Fact:
    """A row of `facts_of`; further columns are passed over."""
    names = ("stream", "partition", "revision", "known_at", "received_at")
    place = {name: row[name] for name in names}
    apart = (record.partition_field, record.keyed_by(), record.cursor_field)
    values = {f: row[f] for f in record.model_fields if f not in apart}
    return Fact(key=row[record.keyed_by()], cursor=row[record.cursor_field], values=values, **place)
