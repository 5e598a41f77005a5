"""Bars as plain rows, for what is computed over thousands of them: a `Fact` a bar would be half of the time."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, cast

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


class Bars(NamedTuple):
    """COLUMNS of each bar, how many revisions of them passed, and when the newest of these bars was received."""

    rows: list[tuple[Any, ...]]
    revisions: int
    received_at: datetime | None


class BarReading:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def ends(
        self, stream: str, partitions: Sequence[str], over: TimeRange, at: Point = NOW
    ) -> dict[str, tuple[datetime, datetime]]:
        """The first and the last start in `over` of each series; those without a bar are absent."""
        mine = (_BARS.c.series == series.c.id, _BARS.c.start >= over.start, _BARS.c.start < over.end)
        first, last = (  # each looks at one end of the index, also where bounds leave out rows there
            select(_BARS.c.start)
            .where(*mine, *at.bounds(_BARS))
            .order_by(order)
            .limit(1)
            .correlate(series)
            .scalar_subquery()
            for order in (_BARS.c.start.asc(), _BARS.c.start.desc())
        )
        query = select(series.c.partition, first, last).where(
            series.c.stream == stream, series.c.partition.in_(partitions)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return {row[0]: (row[1], row[2]) for row in rows if row[1] is not None}

    async def newest(
        self, stream: str, partition: str, over: TimeRange, at: Point = NOW
    ) -> tuple[datetime, datetime] | None:
        """(start, end) of the last bar that starts in `over`; None when there is none."""
        query = _of((_BARS.c.start, _BARS.c.end), stream, [partition], over, at)
        async with self._database.read() as connection:
            found = await connection.execute(query.order_by(_BARS.c.start.desc()).limit(1))
            row = found.one_or_none()
        return None if row is None else (row[0], row[1])

    async def extents(
        self, stream: str, partitions: Sequence[str], over: TimeRange, at: Point = NOW
    ) -> dict[str, Extent]:
        """Of the bars of each series that start in `over`, every revision counted."""
        what = (func.count(), func.min(_BARS.c.start), func.max(_BARS.c.received_at))
        query = _of((series.c.partition, *what), stream, partitions, over, at).group_by(series.c.partition)
        async with self._database.read() as connection:
            found = {row[0]: Extent(*row[1:]) for row in await connection.execute(query)}
        return {one: found.get(one, Extent(0, None, None)) for one in partitions}

    async def rows(
        self, stream: str, partitions: Sequence[str], over: TimeRange, at: Point = NOW
    ) -> dict[str, Bars]:
        """The bars of each series that start in `over`, oldest first, each in its last passing revision.

        They are decoded in a thread: years of hours would hold up the event loop.
        """
        columns = [_BARS.c[name] for name in (*COLUMNS, "received_at")]
        kinds = [cast("TypeDecorator[Any]", one.type) for one in columns]
        async with self._database.read() as connection:
            dialect = connection.dialect
            stored = [
                type_coerce(one, kind.load_dialect_impl(dialect))
                for one, kind in zip(columns, kinds, strict=True)
            ]
            query = _of((series.c.partition, *stored), stream, partitions, over, at)
            found = (await connection.execute(query.order_by(_BARS.c.start, _BARS.c.revision))).all()

        def decoded() -> dict[str, Bars]:
            last: dict[str, dict[Any, Sequence[Any]]] = {one: {} for one in partitions}
            revisions = dict.fromkeys(partitions, 0)
            for partition, *row in found:
                last[partition][row[0]] = row
                revisions[partition] += 1
            *own, when = [kind.process_result_value for kind in kinds]
            out = {}
            for one, mine in last.items():
                rows = [
                    tuple([read(value, dialect) for read, value in zip(own, row, strict=False)])
                    for row in mine.values()
                ]
                newest = max((row[-1] for row in mine.values()), default=None)
                out[one] = Bars(rows, revisions[one], when(newest, dialect))
            return out

        return await asyncio.to_thread(decoded)


def _of(
    what: Sequence[Any], stream: str, partitions: Sequence[str], over: TimeRange, at: Point
) -> Select[Any]:
    return (
        select(*what)
        .join_from(_BARS, series, _BARS.c.series == series.c.id)
        .where(series.c.stream == stream, series.c.partition.in_(partitions))
        .where(_BARS.c.start >= over.start, _BARS.c.start < over.end, *at.bounds(_BARS))
    )
