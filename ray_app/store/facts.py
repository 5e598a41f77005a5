"""The write side: a slice's facts, set-aside rows, pages, coverage and outbox row in one transaction.

Insert-only. A fact fetched again adds a revision only where a value differs. A revision was known when
we received it: nobody can show that the corrected value was there before.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Table, and_, insert, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from ray_app.model.collected import Collected, Lease, partitions_hash
from ray_app.model.errors import StoreUnavailable
from ray_app.model.records import Record
from ray_app.store import leases
from ray_app.store.engine import Database, dumps
from ray_app.store.tables import FACTS, PROVENANCE, outbox, pages, partition_sets, series, set_aside, slices
from ray_app.store.types import plain

TRIES = 5


@dataclass(slots=True)
class Committed:
    """What a commit did with the records it was given: new + revised + unchanged of them."""

    new: int = 0
    revised: int = 0
    unchanged: int = 0
    slices: int = 0  # that were not in the store before


def values_of(record: Record) -> tuple[str, ...]:
    """The names of a record's fields that make its value: all but where it belongs."""
    return tuple(
        f for f in type(record).model_fields if f not in (record.partition_field, record.cursor_field)
    )


class Facts:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._series: dict[tuple[str, str], int] = {}
        self._sets: set[str] = set()

    async def commit(self, collected: Sequence[Collected], lease: Lease) -> Committed:
        """All of it or nothing. Raises Fenced when the lease was taken over, StoreUnavailable to try again.

        A slice that is in the store already adds nothing.
        """
        for _ in range(TRIES):
            try:
                async with self._database.write() as connection:
                    await leases.check(connection, lease)
                    return await self._commit(connection, collected, lease)
            except IntegrityError:  # another owner of another shard wrote the same fact just now: look again
                self._series.clear()
                self._sets.clear()
        raise StoreUnavailable(f"the same facts were written by others {TRIES} times in a row")

    async def _commit(
        self, connection: AsyncConnection, collected: Sequence[Collected], lease: Lease
    ) -> Committed:
        done = Committed()
        known = set(
            (
                await connection.execute(
                    select(slices.c.hash).where(slices.c.hash.in_([c.hash for c in collected]))
                )
            ).scalars()
        )
        fresh = [c for c in collected if c.hash not in known]
        done.slices = len(fresh)
        page_ids = await self._pages(connection, fresh)
        for one in fresh:
            await self._set(connection, one.slice.partitions)
        for table, group in _by_table(fresh).items():
            await self._insert(connection, table, group, page_ids, done)
        aside = [
            {
                "slice": c.hash,
                "page": page_ids[c.pages[page].id],
                "place": place,
                "row": row.row,
                "reason": row.reason,
                "received_at": c.received_at,
            }
            for c in fresh
            for place, (row, page) in enumerate(c.set_aside)
        ]
        if aside:
            await connection.execute(insert(set_aside), aside)
        if fresh:
            await connection.execute(insert(slices), [_slice_row(c, lease) for c in fresh])
        return done

    async def _pages(self, connection: AsyncConnection, collected: Iterable[Collected]) -> dict[str, int]:
        wanted = {page.id: (page, c) for c in collected for page in c.pages}
        if not wanted:
            return {}
        found = select(pages.c.hash, pages.c.id).where(pages.c.hash.in_(wanted))
        ids = {row.hash: row.id for row in await connection.execute(found)}
        missing = [
            {
                "hash": page.id,
                "stream": c.name,
                "path": page.path,
                "params": dumps(dict(page.params)),
                "status": page.status,
                "body": page.body_hash,
                "parser": c.parser,
                "asked_at": page.asked_at,
                "received_at": page.received_at,
            }
            for page, c in wanted.values()
            if page.id not in ids
        ]
        if missing:
            await connection.execute(insert(pages), missing)
            ids = {row.hash: row.id for row in await connection.execute(found)}
        return ids

    async def _set(self, connection: AsyncConnection, partitions: tuple[str, ...]) -> None:
        digest = partitions_hash(partitions)
        if digest in self._sets:
            return
        found = select(partition_sets.c.hash).where(partition_sets.c.hash == digest).limit(1)
        if (await connection.execute(found)).scalar() is None:
            await connection.execute(
                insert(partition_sets), [{"hash": digest, "partition": p} for p in partitions]
            )
        self._sets.add(digest)

    async def series_ids(
        self, connection: AsyncConnection, stream: str, partitions: Iterable[str]
    ) -> dict[str, int]:
        """The numbers of a stream's series, made where they are new."""
        wanted = set(partitions)
        if lacking := {p for p in wanted if (stream, p) not in self._series}:
            here = select(series.c.partition, series.c.id).where(
                series.c.stream == stream, series.c.partition.in_(lacking)
            )
            found = {row.partition: row.id for row in await connection.execute(here)}
            if new := sorted(lacking - set(found)):
                await connection.execute(insert(series), [{"stream": stream, "partition": p} for p in new])
                found = {row.partition: row.id for row in await connection.execute(here)}
            self._series |= {(stream, p): number for p, number in found.items()}
        return {p: self._series[stream, p] for p in wanted}

    async def _insert(
        self,
        connection: AsyncConnection,
        table: Table,
        group: list[Collected],
        page_ids: dict[str, int],
        done: Committed,
    ) -> None:
        kind = type(group[0].records[0][0])
        fields = values_of(group[0].records[0][0])
        cursor = kind.cursor_field
        numbers: dict[tuple[str, str], int] = {}
        spans = []
        for c in group:
            ids = await self.series_ids(connection, c.name, {record.partition for record, _ in c.records})
            numbers |= {(c.name, p): number for p, number in ids.items()}
            times = [record.cursor for record, _ in c.records]
            spans.append(
                and_(
                    table.c.series.in_(ids.values()),
                    table.c[cursor] >= min(times),
                    table.c[cursor] <= max(times),
                )
            )
        columns = [table.c.series, table.c[cursor], table.c.revision, *(table.c[f] for f in fields)]
        latest: dict[tuple[int, datetime], tuple[int, tuple[Any, ...]]] = {}
        query = (
            select(*columns).where(or_(*spans)).order_by(table.c.series, table.c[cursor], table.c.revision)
        )
        for row in await connection.execute(query):
            latest[row[0], row[1]] = (row[2], tuple(row[3:]))
        rows: list[dict[str, Any]] = []
        for c in group:
            events = []
            for record, page in c.records:
                number, moment = numbers[c.name, record.partition], record.cursor
                values = tuple(_same(getattr(record, f)) for f in fields)
                earlier = latest.get((number, moment))
                if earlier is not None and earlier[1] == values:
                    done.unchanged += 1
                    continue
                revision = 0 if earlier is None else earlier[0] + 1
                known_at = record.known_at if revision == 0 else max(record.known_at, c.received_at)
                latest[number, moment] = (revision, values)
                provenance = (number, revision, known_at, c.received_at, page_ids[c.pages[page].id])
                rows.append(
                    {cursor: moment}
                    | dict(zip(fields, values, strict=True))
                    | dict(zip(PROVENANCE, provenance, strict=True))
                )
                done.new += revision == 0
                done.revised += revision > 0
                if c.topic is not None:
                    events.append(
                        {
                            "series": [c.name, record.partition],
                            "revision": revision,
                            **record.model_dump(mode="json"),
                        }
                    )
            if c.topic is not None and events:
                await connection.execute(
                    insert(outbox).values(
                        topic=c.topic, events=dumps(events), count=len(events), received_at=c.received_at
                    )
                )
        if rows:
            await connection.execute(insert(table), rows)


def _same(value: Any) -> Any:
    """Numbers in one form, so that 1.50 fetched again as 1.5 is no revision."""
    return plain(value) if hasattr(value, "as_tuple") else value


def _by_table(collected: Iterable[Collected]) -> dict[Table, list[Collected]]:
    groups: dict[Table, list[Collected]] = {}
    for c in collected:
        if c.records:
            groups.setdefault(FACTS[type(c.records[0][0])], []).append(c)
    return groups


def _slice_row(c: Collected, lease: Lease) -> dict[str, Any]:
    return {
        "hash": c.hash,
        "stream": c.name,
        "partitions": partitions_hash(c.slice.partitions),
        "start": c.slice.range.start,
        "end": c.slice.range.end,
        "outcome": c.outcome,
        "reason": c.reason[:500],
        "records": len(c.records),
        "received_at": c.received_at,
        "fence": lease.fence,
    }
