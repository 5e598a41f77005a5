"""Facts as they are exported: every field of the record, exact, each fact in its last revision that passes.

Numbers that the store keeps exactly become text with all their digits, since no decimal type of Parquet that readers
agree on holds them all (35 digits before the point and 30 behind it). A post that is deleted in any revision is left
out, whatever the moment asked for. Rows are counted by a query of its own, which reads none.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Boolean, Column, ColumnElement, Dialect, FromClause, Integer, Select, func, select

from ray_app.model.records import Record
from ray_app.model.timerange import TimeRange
from ray_app.model.written import number
from ray_app.store.engine import Database
from ray_app.store.frames import AT_ONCE, micros, stored
from ray_app.store.linked import bounds, same_link, same_text
from ray_app.store.reading import Point
from ray_app.store.tables import FACTS, mentions, series, text_links
from ray_app.store.types import Exact, Instant, from_sortable

if TYPE_CHECKING:
    import polars as pl

RECORDS: dict[str, type[Record]] = {table.name: record for record, table in FACTS.items()}


@dataclass(frozen=True, slots=True)
class Counted:
    """How many facts a series has, and the first and the last time of them."""

    rows: int
    first: datetime
    last: datetime


class Extracts:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def count(
        self, record: type[Record], stream: str, partitions: Sequence[str], over: TimeRange, at: Point
    ) -> dict[str, Counted]:
        """Per series the facts with a time in `over`; series without any are absent."""
        table = FACTS[record]
        time, key = table.c[record.timed_by()], table.c[record.keyed_by()]
        what = (func.count(key.distinct()), func.min(time), func.max(time))
        return await self._count(
            [
                _of(table, select(series.c.partition, *what), stream, some)
                .where(time >= over.start, time < over.end, *at.bounds(table), *_kept(table))
                .group_by(series.c.partition)
                for some in _some(partitions)
            ]
        )

    async def more_than(
        self,
        record: type[Record],
        wanted: Sequence[tuple[str, Sequence[str]]],
        over: TimeRange,
        at: Point,
        most: int,
    ) -> bool:
        """Whether these series (by stream) have more than `most` revisions in `over`; looks no further than that."""
        table = FACTS[record]
        time = table.c[record.timed_by()]
        left = most
        async with self._database.read() as connection:
            for stream, partitions in wanted:
                for some in _some(partitions):
                    found = _of(table, select(table.c.revision), stream, some)
                    found = found.where(time >= over.start, time < over.end, *at.bounds(table))
                    inner = found.limit(left + 1).subquery()
                    left -= (await connection.execute(select(func.count()).select_from(inner))).scalar_one()
                    if left < 0:
                        return True
        return False

    async def frame(
        self, record: type[Record], stream: str, partitions: Sequence[str], over: TimeRange, at: Point
    ) -> "pl.DataFrame":
        """The facts with a time in `over`, by series, time and key.

        Columns: `dataset`, the record's fields, `revision`, `known_at`, `received_at`. Times are datetime[us, UTC].
        """
        table = FACTS[record]
        time, key = table.c[record.timed_by()], table.c[record.keyed_by()]
        own = [table.c[name] for name in record.model_fields if name != record.partition_field]
        columns = [*own, table.c.revision, table.c.known_at, table.c.received_at]
        rows: list[tuple[Any, ...]] = []
        async with self._database.read() as connection:
            dialect = connection.dialect
            for some in _some(partitions):
                what = [stored(one, dialect) for one in columns]
                query = (
                    _of(table, select(series.c.partition, *what), stream, some)
                    .where(time >= over.start, time < over.end, *at.bounds(table), *_kept(table))
                    .where(table.c.revision == _last(record, at).correlate(table).scalar_subquery())
                    .order_by(series.c.partition, time, key)
                )
                rows += [tuple(row) for row in await connection.execute(query)]
        return await asyncio.to_thread(_frame, rows, record, stream, columns, dialect)

    async def count_mentions(
        self,
        stream: str,
        partitions: Sequence[str],
        assets: Sequence[str] | None,
        over: TimeRange,
        linker: str,
        at: Point,
    ) -> dict[str, Counted]:
        """Per series how many of these assets (None: of all) its texts speak of, each text counted once for each."""
        later = text_links.alias("later")
        replaced = (
            select(later.c.item)
            .where(same_text(later, text_links), later.c.linker == linker)
            .where(later.c.revision > text_links.c.revision, *bounds(later, at))
            .exists()
        )
        time = mentions.c.at
        return await self._count(
            [
                _of(mentions, select(series.c.partition, func.count(), func.min(time), func.max(time)), stream, some)
                .join(text_links, same_link(mentions, text_links))
                .where(time >= over.start, time < over.end, mentions.c.linker == linker)
                .where(~replaced, *bounds(text_links, at))
                .where(*([] if assets is None else [mentions.c.asset.in_(assets)]))
                .group_by(series.c.partition)
                for some in _some(partitions)
            ]
        )  # fmt: skip

    async def _count(self, queries: Sequence[Select[Any]]) -> dict[str, Counted]:
        out: dict[str, Counted] = {}
        async with self._database.read() as connection:
            for query in queries:
                for partition, rows, first, last in await connection.execute(query):
                    out[partition] = Counted(rows, first, last)
        return out


def _some(partitions: Sequence[str]) -> list[Sequence[str]]:
    return [partitions[first : first + AT_ONCE] for first in range(0, len(partitions), AT_ONCE)]


def _of(table: Any, query: Select[Any], stream: str, partitions: Sequence[str]) -> Select[Any]:
    joined = query.join_from(table, series, table.c.series == series.c.id)
    return joined.where(series.c.stream == stream, series.c.partition.in_(partitions))


def _kept(table: FromClause) -> list[ColumnElement[bool]]:
    """Without posts that are deleted in any revision."""
    if "deleted" not in table.c:
        return []
    others = table.alias("others")
    gone = select(others.c.item).where(same_text(others, table), others.c.deleted.is_(True))
    return [~gone.exists()]


def _last(record: type[Record], at: Point) -> Select[tuple[int]]:
    """The last revision that passes. Found by SQL: a post that gains likes all day has hundreds."""
    table, others = FACTS[record], FACTS[record].alias("revisions")
    key = record.keyed_by()
    same = (others.c.series == table.c.series, others.c[key] == table.c[key])
    return select(func.max(others.c.revision)).where(*same, *at.bounds(others))


def _frame(
    rows: Sequence[tuple[Any, ...]],
    record: type[Record],
    stream: str,
    columns: Sequence[Column[Any]],
    dialect: Dialect,
) -> "pl.DataFrame":
    import polars as pl

    whole = list(zip(*rows, strict=True)) if rows else [()] * (len(columns) + 1)
    partition = pl.Series(record.partition_field, whole[0], dtype=pl.String)
    read = {
        column.name: _series(column, values, dialect)
        for column, values in zip(columns, whole[1:], strict=True)
    }
    named = {record.partition_field: partition} | read
    order = [*record.model_fields, "revision", "known_at", "received_at"]
    frame = pl.DataFrame([named[name] for name in order])
    return frame.select(pl.lit(stream).alias("dataset"), pl.all())


def decimals_of(record: type[Record]) -> frozenset[str]:
    """Fields whose numbers are kept exactly, and so are text in a frame."""
    return frozenset(column.name for column in FACTS[record].columns if isinstance(column.type, Exact))


def _series(column: Column[Any], values: Sequence[Any], dialect: Dialect) -> "pl.Series":
    import polars as pl

    def told(decode: Callable[[Any], Any]) -> list[Any]:
        return [None if value is None else decode(value) for value in values]

    sqlite = dialect.name == "sqlite"
    match column.type:
        case Instant():
            since = list(values) if sqlite else told(micros)
            return pl.Series(column.name, since, dtype=pl.Int64).cast(pl.Datetime("us", "UTC"))
        case Exact():
            decode = (lambda text: number(from_sortable(text))) if sqlite else number
            return pl.Series(column.name, told(decode), dtype=pl.String)
        case Boolean():
            return pl.Series(column.name, told(bool), dtype=pl.Boolean)
        case Integer():
            return pl.Series(column.name, list(values), dtype=pl.Int64)
    return pl.Series(column.name, list(values), dtype=pl.String)
