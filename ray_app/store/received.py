"""What was received in a span of time, whatever time it speaks of: rows, and rows that could not be read."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import case, func, select

from ray_app.model.records import Record
from ray_app.model.timerange import TimeRange
from ray_app.store.engine import Database
from ray_app.store.reading import NOW, Point
from ray_app.store.tables import FACTS, pages, series, set_aside, slices


class Received:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def tally(
        self, record: type[Record], stream: str, partitions: Sequence[str], over: TimeRange, at: Point = NOW
    ) -> tuple[int, int]:
        """How many rows of these series were received within `over`, and how many of them replaced another."""
        table, earlier = FACTS[record], FACTS[record].alias("earlier")
        key = record.keyed_by()
        replaced = (
            select(earlier.c.revision)
            .where(earlier.c.series == table.c.series, earlier.c[key] == table.c[key])
            .where(earlier.c.revision < table.c.revision)
            .correlate(table)
            .exists()
        )
        query = (
            select(func.count(), func.count(case((replaced, 1))))
            .select_from(table.join(series))
            .where(series.c.stream == stream, series.c.partition.in_(partitions))
            .where(table.c.received_at >= over.start, table.c.received_at < over.end, *at.bounds(table))
        )
        async with self._database.read() as connection:
            rows, revised = (await connection.execute(query)).one()
        return int(rows), int(revised)

    async def count_set_aside(self, stream: str, over: TimeRange) -> int:
        """How many rows could not be read."""
        query = (
            select(func.count())
            .select_from(set_aside)
            .join(slices, set_aside.c.slice == slices.c.hash)
            .where(slices.c.stream == stream)
            .where(set_aside.c.received_at >= over.start, set_aside.c.received_at < over.end)
        )
        async with self._database.read() as connection:
            return int((await connection.execute(query)).scalar_one())

    async def rows_read(self, stream: str, over: TimeRange) -> int:
        """How many rows were read in slices that end within `over` or later, and were received in it."""
        query = select(func.coalesce(func.sum(slices.c.records), 0)).where(
            slices.c.stream == stream,
            slices.c.end > over.start,
            slices.c.received_at >= over.start,
            slices.c.received_at < over.end,
        )
        async with self._database.read() as connection:
            return int((await connection.execute(query)).scalar_one())

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
