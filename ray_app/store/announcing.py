"""What a commit tells those who follow a topic: new records, and how each interval ended.

The events of one slice are one row of the outbox, records first: whoever was told that an interval is complete has
been told its records.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ray_app.model.collected import Collected, Outcome, partitions_hash
from ray_app.model.records import Record
from ray_app.store.engine import dumps
from ray_app.store.tables import outbox, slices

GAPS: tuple[Outcome, ...] = ("failed", "not_offered", "lost")
ENDED: tuple[Outcome, ...] = ("covered", *GAPS)  # an interval that is awaited has not ended


def told(c: Collected, record: Record, revision: int) -> dict[str, Any]:
    """A new record, or one that is told differently now."""
    return {"series": [c.name, record.partition], "revision": revision} | record.model_dump(mode="json")


async def repeated(connection: AsyncConnection, collected: Sequence[Collected]) -> set[str]:
    """The hashes of those that say no more than the ledger's last word: the same gap once more.

    Must be asked before they are written down. A slice that fails every minute is one event, not one a minute.
    """
    found: set[str] = set()
    last: dict[tuple[Any, ...], str | None] = {}
    for c in collected:
        if c.topic is None or c.outcome not in ENDED:
            continue
        over = c.slice.range
        place = (c.name, partitions_hash(c.slice.partitions), over.start, over.end)
        if place not in last:
            query = (
                select(slices.c.outcome)
                .where(slices.c.stream == place[0], slices.c.end == over.end, slices.c.start == over.start)
                .where(slices.c.partitions == place[1])
                .order_by(slices.c.id.desc())
                .limit(1)
            )
            last[place] = (await connection.execute(query)).scalar() if c.outcome in GAPS else None
        if c.outcome in GAPS and last[place] == c.outcome:
            found.add(c.hash)
        last[place] = c.outcome
    return found


async def announce(
    connection: AsyncConnection,
    collected: Sequence[Collected],
    records: Mapping[str, Sequence[dict[str, Any]]],
    known: set[str],
) -> None:
    """Write the events of these slices. `records`: by the slice's hash; `known`: gaps that were told before."""
    for c in collected:
        if c.topic is None:
            continue
        events = list(records.get(c.hash, ()))
        if c.outcome in ENDED and c.hash not in known:
            events.append(_ended(c))
        if events:
            row = {"topic": c.topic, "events": dumps(events), "count": len(events)}
            await connection.execute(insert(outbox).values(**row, received_at=c.received_at))


def _ended(c: Collected) -> dict[str, Any]:
    over = c.slice.range
    return {
        "interval": [over.start.isoformat(), over.end.isoformat()],
        "stream": c.name,
        "partitions": sorted(c.slice.partitions),
        "outcome": c.outcome,
        "reason": c.reason[:500],
    }
