"""Bars as plain rows, for what is computed over thousands of them: a `Fact` a bar would be half of the time."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Select, TypeDecorator, func, select, type_coerce

from ray_app.model.records import Bar
from ray_app.model.timerange import TimeRange
from ray_app.store.engine import Database
from ray_app.store.reading import NOW, Point
from ray_app.store.tables import FACTS, series

COLUMNS = ("start", "end", "open", "high", "low", "close", "volume")
_BARS = FACTS[Bar]


@dataclass(frozen=True, slots=True)
class Extent:
    """What the store has of a range: rows are only ever added, so it differs as soon as one was."""

    revisions: int
    first: datetime | None  # the earliest start
    received_at: datetime | None  # of the row that came last


class BarReading:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def newest(
        self, stream: str, partition: str, over: TimeRange, at: Point = NOW
    ) -> tuple[datetime, datetime] | None:
        """(start, end) of the last bar that starts in `over`; None when there is none."""
        query = _of((_BARS.c.start, _BARS.c.end), stream, partition, over, at)
        async with self._database.read() as connection:
            found = await connection.execute(query.order_by(_BARS.c.start.desc()).limit(1))
            row = found.one_or_none()
        return None if row is None else (row[0], row[1])

    async def extent(self, stream: str, partition: str, over: TimeRange, at: Point = NOW) -> Extent:
        """Of the bars that start in `over`, every revision counted."""
        what = (func.count(), func.min(_BARS.c.start), func.max(_BARS.c.received_at))
        async with self._database.read() as connection:
            revisions, first, last = (await connection.execute(_of(what, stream, partition, over, at))).one()
        return Extent(revisions, first, last)

    async def rows(
        self, stream: str, partition: str, over: TimeRange, at: Point = NOW
    ) -> tuple[list[tuple[Any, ...]], int]:
        """COLUMNS of the bars that start in `over`, oldest first, each in its last passing revision.

        And how many revisions passed. They are decoded in a thread: years of hours would hold up the event loop.
        """
        columns = [_BARS.c[name] for name in COLUMNS]
        kinds = [cast("TypeDecorator[Any]", one.type) for one in columns]
        async with self._database.read() as connection:
            dialect = connection.dialect
            stored = [
                type_coerce(one, kind.load_dialect_impl(dialect))
                for one, kind in zip(columns, kinds, strict=True)
            ]
            query = _of(stored, stream, partition, over, at).order_by(_BARS.c.start, _BARS.c.revision)
            found = (await connection.execute(query)).all()

        def decoded() -> list[tuple[Any, ...]]:
            last = {row[0]: row for row in found}
            return [
                tuple(kind.process_result_value(x, dialect) for kind, x in zip(kinds, row, strict=True))
                for row in last.values()
            ]

        return await asyncio.to_thread(decoded), len(found)


def _of(what: Sequence[Any], stream: str, partition: str, over: TimeRange, at: Point) -> Select[Any]:
    return (
        select(*what)
        .join_from(_BARS, series, _BARS.c.series == series.c.id)
        .where(series.c.stream == stream, series.c.partition == partition)
        .where(_BARS.c.start >= over.start, _BARS.c.start < over.end, *at.bounds(_BARS))
    )
