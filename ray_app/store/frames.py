"""Facts as frames of numbers, for what is computed over many of them: a `Fact` each would be most of the time.

Polars comes in with the first frame: what only serves prices starts without it.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, ColumnElement, Dialect, Numeric, TypeDecorator, select, type_coerce

from ray_app.model.records import Record
from ray_app.model.timerange import TimeRange
from ray_app.store.engine import Database
from ray_app.store.reading import NOW, Point
from ray_app.store.tables import FACTS, series
from ray_app.store.types import Exact, Instant, to_micros

if TYPE_CHECKING:
    import polars as pl

AT_ONCE = 400  # series asked for in one query
_TURNED = str.maketrans("0123456789", "9876543210")
_BIAS = 500
LATEST = "latest"


class Frames:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def revisions(
        self,
        record: type[Record],
        stream: str,
        partitions: Sequence[str],
        over: TimeRange,
        numbers: Sequence[str],
        at: Point = NOW,
    ) -> "pl.DataFrame":
        """Every revision that passes of the facts with a time in `over`, by partition, time and revision.

        Columns: `partition`, the time under its own name (datetime[us, UTC]), `known_at` and `received_at` likewise,
        and `numbers` as Float64, null where there is none. With `known_by`, `known_at` is when anyone knew it at the
        latest, where that is told. They are decoded in a thread: a year of a market would hold
        up the event loop.
        """
        table = FACTS[record]
        time = table.c[record.timed_by()]
        latest = record.known_at_latest if at.known_by is not None else None
        columns = [time, table.c.known_at, table.c.received_at, *(table.c[name] for name in numbers)]
        columns += [table.c[latest[0]]] if latest else []
        rows: list[tuple[Any, ...]] = []
        async with self._database.read() as connection:
            dialect = connection.dialect
            what = [stored(one, dialect) for one in columns]
            for first in range(0, len(partitions), AT_ONCE):
                query = (
                    select(series.c.partition, *what)
                    .join_from(table, series, table.c.series == series.c.id)
                    .where(series.c.stream == stream)
                    .where(series.c.partition.in_(partitions[first : first + AT_ONCE]))
                    .where(time >= over.start, time < over.end, *at.bounds(table))
                    .order_by(series.c.partition, time, table.c.revision)
                )
                rows += [tuple(row) for row in await connection.execute(query)]
        names = ["partition", time.name, "known_at", "received_at", *numbers, *([LATEST] if latest else [])]
        decoders = [None, *(_decoder(one, dialect) for one in columns)]
        made = await asyncio.to_thread(_frame, rows, names, decoders)
        return _known_at_the_latest(made, latest[1]) if latest else made


def stored(column: Column[Any], dialect: Dialect) -> ColumnElement[Any]:
    """The column as the driver has it, untouched by its type."""
    kind = column.type
    return type_coerce(column, kind.load_dialect_impl(dialect)) if isinstance(kind, TypeDecorator) else column


def _decoder(column: Column[Any], dialect: Dialect) -> Callable[[Any], Any]:
    sqlite = dialect.name == "sqlite"
    if isinstance(column.type, Instant):
        return _same if sqlite else micros
    if isinstance(column.type, Exact | Numeric):
        return _number if sqlite else float
    return float


def _same(value: Any) -> Any:
    return value


def micros(moment: datetime) -> int:
    return to_micros(moment.replace(tzinfo=UTC))


def _number(text: str) -> float:
    """The float nearest to what `types.to_sortable` wrote."""
    if text == "1":
        return 0.0
    negative = text[0] == "0"
    body = text[1:-1].translate(_TURNED) if negative else text[1:]
    digits = body[3:]
    return float(f"{'-' if negative else ''}{digits}E{int(body[:3]) - _BIAS - len(digits)}")


def _frame(
    rows: Sequence[tuple[Any, ...]], names: Sequence[str], decoders: Sequence[Callable[[Any], Any] | None]
) -> "pl.DataFrame":
    import polars as pl

    instant = pl.Datetime("us", "UTC")
    whole = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    columns = []
    for place, (name, decode, values) in enumerate(zip(names, decoders, whole, strict=True)):
        if decode is None:
            columns.append(pl.Series(name, values, dtype=pl.String))
            continue
        told = list(values) if decode is _same else [None if v is None else decode(v) for v in values]
        kind = pl.Int64 if place in (1, 2, 3) or name == LATEST else pl.Float64
        one = pl.Series(name, told, dtype=kind)
        columns.append(one.cast(instant) if kind == pl.Int64 else one)
    return pl.DataFrame(columns)


def _known_at_the_latest(frame: "pl.DataFrame", after: timedelta) -> "pl.DataFrame":
    import polars as pl

    known = pl.max_horizontal(pl.col("known_at"), pl.col(LATEST) + after)
    return frame.with_columns(known_at=known).drop(LATEST)
