"""The write side: a slice's facts, set-aside rows, pages, coverage and outbox row in one transaction.

Insert-only. A fact fetched again adds a revision only where a value differs. A revision was known when
we received it: nobody can show that the corrected value was there before.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Table, and_, insert, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from ray_app.model.collected import Collected, Lease, partitions_hash
from ray_app.model.errors import StoreUnavailable
from ray_app.model.records import Record
from ray_app.store import changes, leases
from ray_app.store.announcing import announce, repeated, told
from ray_app.store.engine import Database, dumps
from ray_app.store.rows import Inserts
from ray_app.store.tables import FACTS, pages, partition_sets, series, set_aside, slices

TRIES = 5
VERSIONS = 100  # of one vintage: its revision numbers are its day times this, and what follows


@dataclass(slots=True)
class Committed:
    """What a commit did with the records it was given: new + revised + unchanged of them."""

    new: int = 0
    revised: int = 0
    unchanged: int = 0
    slices: int = 0  # that were not in the store before


@dataclass(frozen=True, slots=True)
class Earlier:
    """The last stored revision of a fact."""

    revision: int
    cursor: datetime
    values: tuple[Any, ...]


@dataclass(slots=True)
class Made:
    """What a transaction added that may be remembered once it is committed, and not before."""

    series: dict[tuple[str, str], int]
    sets: set[str]
    ahead: dict[str, datetime] = field(default_factory=dict)  # by stream: when the last of it is known


class Facts:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._series: dict[tuple[str, str], int] = {}
        self._sets: set[str] = set()
        self._statements: dict[type[Record], Inserts] = {}

    async def commit(self, collected: Sequence[Collected], lease: Lease) -> Committed:
        """All of it or nothing. Raises Fenced when the lease was taken over, StoreUnavailable to try again.

        A slice that is in the store already adds nothing.
        """
        for _ in range(TRIES):
            made = Made({}, set())
            try:
                async with self._database.write() as connection:
                    await leases.check(connection, lease)
                    done = await self._commit(connection, collected, lease, made)
            except IntegrityError:  # another owner of another shard wrote the same fact just now: look again
                continue
            self._series |= made.series
            self._sets |= made.sets
            return done
        raise StoreUnavailable(f"the same facts were written by others {TRIES} times in a row")

    async def _commit(
        self, connection: AsyncConnection, collected: Sequence[Collected], lease: Lease, made: Made
    ) -> Committed:
        done = Committed()
        known = set(
            (
                await connection.execute(
                    select(slices.c.hash).where(slices.c.hash.in_([c.hash for c in collected]))
                )
            ).scalars()
        )
        fresh = list({c.hash: c for c in collected if c.hash not in known}.values())  # each once
        done.slices = len(fresh)
        page_ids = await self._pages(connection, fresh)
        for one in fresh:
            await self._set(connection, one.slice.partitions, made)
        events: dict[str, list[dict[str, Any]]] = {}
        for table, group in _by_table(fresh).items():
            events |= await self._insert(connection, table, group, page_ids, done, made)
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
        known_gaps = await repeated(connection, fresh)
        if fresh:
            await connection.execute(insert(slices), [_slice_row(c, lease) for c in fresh])
            await changes.note(connection, lease.shard, {c.name: made.ahead.get(c.name) for c in fresh})
        await announce(connection, fresh, events, known_gaps)
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

    async def _set(self, connection: AsyncConnection, partitions: tuple[str, ...], made: Made) -> None:
        digest = partitions_hash(partitions)
        if digest in self._sets or digest in made.sets:
            return
        found = select(partition_sets.c.hash).where(partition_sets.c.hash == digest).limit(1)
        if (await connection.execute(found)).scalar() is None:
            await connection.execute(
                insert(partition_sets), [{"hash": digest, "partition": p} for p in partitions]
            )
        made.sets.add(digest)

    async def series_ids(
        self, connection: AsyncConnection, stream: str, partitions: Iterable[str], made: Made
    ) -> dict[str, int]:
        """The numbers of a stream's series, made where they are new."""
        known = {p: self._series.get((stream, p)) or made.series.get((stream, p)) for p in partitions}
        if lacking := {p for p, number in known.items() if number is None}:
            here = select(series.c.partition, series.c.id).where(
                series.c.stream == stream, series.c.partition.in_(lacking)
            )
            found = {row.partition: row.id for row in await connection.execute(here)}
            if new := sorted(lacking - set(found)):
                await connection.execute(insert(series), [{"stream": stream, "partition": p} for p in new])
                found = {row.partition: row.id for row in await connection.execute(here)}
            made.series |= {(stream, p): number for p, number in found.items()}
            known |= found
        return {p: number for p, number in known.items() if number is not None}

    async def _insert(
        self,
        connection: AsyncConnection,
        table: Table,
        group: list[Collected],
        page_ids: dict[str, int],
        done: Committed,
        made: Made,
    ) -> dict[str, list[dict[str, Any]]]:
        """Write what is new; the events of it, by the hash of the slice."""
        inserts = self._inserts(type(group[0].records[0][0]), table)
        numbers: dict[tuple[str, str], int] = {}
        for c in group:
            ids = await self.series_ids(
                connection, c.name, {record.partition for record, _ in c.records}, made
            )
            numbers |= {(c.name, p): number for p, number in ids.items()}
        latest = await self._latest(connection, table, inserts, group, numbers)
        rows, events = [], dict[str, list[dict[str, Any]]]()
        for c in group:
            received_at = c.received_at
            for record, page in c.records:
                number, key, values = numbers[c.name, record.partition], record.key, inserts.values(record)
                place = (number, key) if record.number is None else (number, key, record.number)
                earlier = latest.get(place)
                if (
                    earlier is not None and earlier.values == values
                ):  # decimals compare as numbers: 1.50 is 1.5
                    done.unchanged += 1
                    continue
                revision, cursor = _revision(record, earlier)
                known_at = _known_at(record, received_at, first=earlier is None)
                made.ahead[c.name] = max(known_at, made.ahead.get(c.name, known_at))
                latest[place] = Earlier(revision, cursor, values)
                page_id = page_ids[c.pages[page].id]
                rows.append(
                    inserts.row(key, cursor, values, number, revision, known_at, received_at, page_id)
                )
                done.new += earlier is None
                done.revised += earlier is not None
                if c.topic is not None:
                    events.setdefault(c.hash, []).append(told(c, record, revision))
        if rows:
            await connection.exec_driver_sql(inserts.statement, rows)
        return events

    def _inserts(self, record: type[Record], table: Table) -> Inserts:
        if record not in self._statements:
            self._statements[record] = Inserts(record, table, self._database.engine.dialect)
        return self._statements[record]

    async def _latest(
        self,
        connection: AsyncConnection,
        table: Table,
        inserts: Inserts,
        group: list[Collected],
        numbers: dict[tuple[str, str], int],
    ) -> dict[tuple[Any, ...], Earlier]:
        """The last revision of every fact that the group may hold, by (series, key).

        Where the upstream numbers revisions: the last of each number, by (series, key, number).
        """
        kind = type(group[0].records[0][0])
        key, cursor = table.c[inserts.key], table.c[inserts.cursor]
        by_time = kind.key_field == ""
        spans = []
        for c in group:
            keys = [record.key for record, _ in c.records]
            mine = {numbers[c.name, record.partition] for record, _ in c.records}
            wanted = and_(key >= min(keys), key <= max(keys)) if by_time else key.in_(set(keys))
            spans.append(and_(table.c.series.in_(mine), wanted))
        query = select(
            table.c.series, key, cursor.label("at"), table.c.revision, *(table.c[f] for f in inserts.fields)
        )
        query = query.where(or_(*spans)).order_by(table.c.series, key, table.c.revision)
        numbered = group[0].records[0][0].number is not None
        out: dict[tuple[Any, ...], Earlier] = {}
        for row in await connection.execute(query):
            place = (row[0], row[1], row[3] // VERSIONS) if numbered else (row[0], row[1])
            out[place] = Earlier(row[3], row[2], tuple(row[4:]))
        return out


def _revision(record: Record, earlier: Earlier | None) -> tuple[int, datetime]:
    """The number and the cursor of a new revision. A text's cursor stays where it was found first."""
    if earlier is not None:
        return earlier.revision + 1, earlier.cursor
    return 0 if record.number is None else record.number * VERSIONS, record.cursor


def _known_at(record: Record, received_at: datetime, *, first: bool) -> datetime:
    """A revision was known when we received it, unless the upstream dates its revisions itself."""
    if record.known_at_latest:
        return min(record.known_at, received_at) if first else received_at
    return record.known_at if first else max(record.known_at, received_at)


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
