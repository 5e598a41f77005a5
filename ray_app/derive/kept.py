"""Frames of facts kept in memory and kept up to date, for who asks for nearly the same again and again.

What changed since is told by the ledger: each commit leaves its slices there, with their series and range, and only
these are read again. Every kept row has its `received_at`, so a question as of a moment is answered from memory too.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import polars as pl

from ray_app.model.records import Record
from ray_app.model.timerange import TimeRange
from ray_app.store.reading import NOW, Point
from ray_app.store.store import Store

AHEAD = timedelta(days=3650)  # what comes later belongs to what is kept
SPARE = timedelta(days=2)  # older rows than are asked for stay that long before they are dropped
OVERLAP = 200  # slices before the last one seen: another writer may commit a smaller number later


@dataclass(slots=True)
class _Kept:
    over: TimeRange
    partitions: frozenset[str]
    frame: pl.DataFrame
    mark: int
    seen: set[int] = field(default_factory=set)


class KeptFrames:
    """As `store.frames.Frames`, from memory where it can be."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: dict[tuple[str, tuple[str, ...]], _Kept] = {}

    async def revisions(
        self,
        record: type[Record],
        stream: str,
        partitions: Sequence[str],
        over: TimeRange,
        numbers: Sequence[str],
        at: Point = NOW,
    ) -> pl.DataFrame:
        """The same rows in the same order. Raises ValueError for a `known_by`: only the past of this node is kept."""
        if at.known_by is not None:
            raise ValueError("kept frames answer as of a moment, not what was known by one")
        key, wanted = (stream, tuple(numbers)), frozenset(partitions)
        kept = self._kept.get(key)
        if kept is None or kept.over.start > over.start or not wanted <= kept.partitions:
            kept = await self._read(
                record, stream, wanted | (kept.partitions if kept else frozenset()), over, numbers
            )
            self._kept[key] = kept
        else:
            await self._renew(record, stream, kept, numbers)
            if over.start - kept.over.start > SPARE:
                kept.over = TimeRange(over.start, kept.over.end)
                kept.frame = kept.frame.filter(pl.col(record.timed_by()) >= over.start)
        time = pl.col(record.timed_by())
        bounds = [time >= over.start, time < over.end]
        if at.as_of is not None:
            bounds += [pl.col("received_at") <= at.as_of, pl.col("known_at") <= at.as_of]
        if wanted != kept.partitions:
            bounds.append(pl.col("partition").is_in(sorted(wanted)))
        return kept.frame.filter(*bounds)

    async def _read(
        self,
        record: type[Record],
        stream: str,
        partitions: frozenset[str],
        over: TimeRange,
        numbers: Sequence[str],
    ) -> _Kept:
        mark = await self._store.ledger.newest()
        whole = TimeRange(over.start, over.end + AHEAD)
        frame = await self._store.frames.revisions(record, stream, sorted(partitions), whole, numbers)
        return _Kept(whole, partitions, frame, mark)

    async def _renew(self, record: type[Record], stream: str, kept: _Kept, numbers: Sequence[str]) -> None:
        after = max(0, kept.mark - OVERLAP)
        changes = [
            one for one in await self._store.ledger.changes(after, [stream]) if one.id not in kept.seen
        ]
        kept.seen |= {one.id for one in changes}
        if changes:
            kept.mark = max(kept.mark, changes[-1].id)
            kept.seen = {number for number in kept.seen if number > kept.mark - OVERLAP}
        by_cursor = record.timed_by() == record.cursor_field
        fresh = set[tuple[frozenset[str], TimeRange]]()
        for one in changes:
            touched = one.partitions & kept.partitions
            span = one.range.overlap(kept.over) if by_cursor else kept.over
            if touched and span is not None:
                fresh.add((touched, span))
        for touched, span in fresh:
            time = pl.col(record.timed_by())
            rows = await self._store.frames.revisions(record, stream, sorted(touched), span, numbers)
            inside = pl.col("partition").is_in(sorted(touched)) & time.is_between(
                span.start, span.end, closed="left"
            )
            kept.frame = pl.concat([kept.frame.filter(~inside), rows])
        if fresh:
            # Revisions of a fact come in the order in which they were received or, of vintages, became known.
            order = ["partition", record.timed_by(), "known_at", "received_at"]
            kept.frame = kept.frame.sort(order, maintain_order=True)
