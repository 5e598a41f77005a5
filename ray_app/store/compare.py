"""Are two stores the same? Their facts, revisions, slices, set-aside rows and lineage, row by row by content.

Numbers that a database gave out (ids of series and pages) are replaced by what they stand for.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from sqlalchemy import Select, Table, select

from ray_app.store.engine import Database, dumps
from ray_app.store.tables import FACTS, pages, partition_sets, series, set_aside, slices
from ray_app.store.types import plain


@dataclass(frozen=True, slots=True)
class Difference:
    """The first row in which two stores differ; None stands for no row there."""

    table: str
    left: str | None
    right: str | None


def _queries() -> dict[str, Select[Any]]:
    out: dict[str, Select[Any]] = {}
    for record, table in FACTS.items():
        own = [c for c in table.c if c.name not in ("series", "page")]
        out[table.name] = (
            select(series.c.stream, series.c.partition, *own, pages.c.hash.label("page"))
            .join_from(table, series, table.c.series == series.c.id)
            .join(pages, table.c.page == pages.c.id)
            .order_by(series.c.stream, series.c.partition, table.c[record.keyed_by()], table.c.revision)
        )
    out["slices"] = select(*(c for c in slices.c if c.name not in ("id", "fence"))).order_by(slices.c.hash)
    out["set_aside"] = (
        select(
            set_aside.c.slice,
            set_aside.c.place,
            set_aside.c.row,
            set_aside.c.reason,
            set_aside.c.received_at,
            pages.c.hash,
        )
        .join_from(set_aside, pages)
        .order_by(set_aside.c.slice, set_aside.c.place, set_aside.c.row)
    )
    out["pages"] = select(*(c for c in pages.c if c.name != "id")).order_by(pages.c.hash)
    out["partition_sets"] = _ordered(partition_sets)
    return out


def _ordered(table: Table) -> Select[Any]:
    return select(table).order_by(*table.primary_key.columns)


async def rows(database: Database, query: Select[Any]) -> AsyncIterator[str]:
    """Each row as one line of JSON."""
    async with database.read() as connection:
        async for row in await connection.stream(query):
            yield dumps([format(plain(v), "f") if hasattr(v, "as_tuple") else v for v in row])


async def compare(left: Database, right: Database) -> tuple[dict[str, int], list[Difference]]:
    """Rows per table that are equal in both, and the first difference of each table that has one."""
    equal: dict[str, int] = {}
    different: list[Difference] = []
    for title, query in _queries().items():
        equal[title] = 0
        ours, theirs = [line async for line in rows(left, query)], [line async for line in rows(right, query)]
        for mine, other in zip_longest(ours, theirs):
            if mine != other:
                different.append(Difference(title, mine, other))
                break
            equal[title] += 1
    return equal, different
