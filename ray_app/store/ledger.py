"""The completeness ledger: which slices were tried, how each ended, and so what is accounted for."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from ray_app.model.collected import partitions_hash
from ray_app.model.timerange import Coverage, TimeRange
from ray_app.store.engine import Database
from ray_app.store.tables import partition_sets, slices

ACCOUNTED = ("covered", "not_offered", "lost")
AWAITED = "awaited"  # asked for and not told yet: not accounted, whatever was said before


@dataclass(frozen=True, slots=True)
class Tried:
    """One slice of the ledger, seen from one partition."""

    range: TimeRange
    outcome: str
    reason: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Change:
    """A slice that brought records."""

    id: int
    stream: str
    partitions: frozenset[str]
    range: TimeRange


class Ledger:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._sets: dict[str, frozenset[str]] = {}  # content-addressed, so it never goes stale

    async def tried(
        self,
        stream: str,
        over: TimeRange,
        partitions: Sequence[str] | None = None,
        as_of: datetime | None = None,
        outcomes: Iterable[str] | None = None,
    ) -> dict[str, list[Tried]]:
        """Per partition what was tried within `over`, in the order in which it ended."""
        query = (
            select(
                slices.c.partitions,
                slices.c.start,
                slices.c.end,
                slices.c.outcome,
                slices.c.reason,
                slices.c.received_at,
            )
            .where(slices.c.stream == stream, slices.c.end > over.start, slices.c.start < over.end)
            .order_by(slices.c.received_at, slices.c.id)
        )
        if as_of is not None:
            query = query.where(slices.c.received_at <= as_of)
        if outcomes is not None:
            query = query.where(slices.c.outcome.in_(tuple(outcomes)))
        wanted = frozenset(partitions) if partitions is not None else None
        out: dict[str, list[Tried]] = {}
        async with self._database.read() as connection:
            if wanted is not None and len(wanted) <= 5:
                holding = (
                    select(partition_sets.c.hash).where(partition_sets.c.partition.in_(wanted)).distinct()
                )
                query = query.where(slices.c.partitions.in_(holding))
            rows = (await connection.execute(query)).all()
            await self._load_sets(connection, {row.partitions for row in rows})
        for row in rows:
            one = Tried(TimeRange(row.start, row.end), row.outcome, row.reason, row.received_at)
            members = self._sets[row.partitions]
            for partition in members if wanted is None else members & wanted:
                out.setdefault(partition, []).append(one)
        return out

    async def coverage(
        self,
        stream: str,
        over: TimeRange,
        partitions: Sequence[str] | None = None,
        as_of: datetime | None = None,
    ) -> dict[str, Coverage]:
        """Per partition the ranges that need not be asked for (again)."""
        tried = await self.tried(stream, over, partitions, as_of, (*ACCOUNTED, AWAITED))
        return {p: _accounted(found) for p, found in tried.items()}

    async def changes(self, after: int, streams: Iterable[str] | None = None) -> list[Change]:
        """The slices with records that were committed behind number `after`, by number."""
        query = (
            select(slices.c.id, slices.c.stream, slices.c.partitions, slices.c.start, slices.c.end)
            .where(slices.c.id > after, slices.c.records > 0)
            .order_by(slices.c.id)
        )
        if streams is not None:
            query = query.where(slices.c.stream.in_(tuple(streams)))
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
            await self._load_sets(connection, {row.partitions for row in rows})
        return [
            Change(row.id, row.stream, self._sets[row.partitions], TimeRange(row.start, row.end))
            for row in rows
        ]

    async def newest(self) -> int:
        """The number of the last slice; 0 when there is none."""
        async with self._database.read() as connection:
            return (await connection.execute(select(func.max(slices.c.id)))).scalar() or 0

    async def hashes(self, over: TimeRange) -> frozenset[str]:
        """The slices received within `over`, by hash."""
        query = select(slices.c.hash).where(
            slices.c.received_at >= over.start, slices.c.received_at < over.end
        )
        async with self._database.read() as connection:
            return frozenset((await connection.execute(query)).scalars())

    async def _load_sets(self, connection: Any, digests: set[str]) -> None:
        if lacking := digests - set(self._sets):
            found: dict[str, set[str]] = {}
            query = select(partition_sets).where(partition_sets.c.hash.in_(lacking))
            for row in await connection.execute(query):
                found.setdefault(row.hash, set()).add(row.partition)
            for digest, members in found.items():
                if partitions_hash(tuple(members)) != digest:
                    raise ValueError(
                        f"partition set {digest} is damaged: it does not have the hash that names it"
                    )
            self._sets |= {digest: frozenset(members) for digest, members in found.items()}


def _accounted(tried: Sequence[Tried]) -> Coverage:
    """The last word on each range holds; `tried` in the order in which it ended."""
    if all(one.outcome != AWAITED for one in tried):
        return Coverage.of(one.range for one in tried)
    decided = Coverage()
    accounted: list[TimeRange] = []
    for one in reversed(tried):
        if one.outcome != AWAITED:
            accounted += decided.missing(one.range)
        decided = decided.add(one.range)
    return Coverage.of(accounted)
