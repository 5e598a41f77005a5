"""What is said elsewhere too and is no longer asked for: old events of the outbox, leases of exports that are over.

An event tells of records and slices that stay where they are. The ledger is never shortened: `as_of` and the proof by
replay rest on each of its rows.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select

from ray_app.model.export import UNDER_WAY
from ray_app.store.engine import Database
from ray_app.store.tables import exports, leases, outbox

SHORTEST = timedelta(days=2)  # streams replay 24 hours
BATCH = 1000  # rows of one transaction: nobody waits for long
EXPORT = "export-"


@dataclass(slots=True)
class Forgotten:
    """The receipt. Of each topic: numbers that went, and the first that is still there."""

    events: dict[str, int] = field(default_factory=dict)
    first_kept: dict[str, int] = field(default_factory=dict)
    leases: int = 0


class Forgetting:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self, events_before: datetime) -> Forgotten:
        """Raises StoreUnavailable; whatever was done until then is done, and the next run goes on."""
        done = Forgotten()
        async with self._database.read() as connection:
            topics = sorted((await connection.execute(select(outbox.c.topic).distinct())).scalars())
        for topic in topics:
            await self._events(topic, events_before, done)
        done.leases = await self._leases(events_before)
        return done

    async def _events(self, topic: str, before: datetime, done: Forgotten) -> None:
        """Rows before the last one of that time: what was told last before any moment since is still known."""
        mine = outbox.c.topic == topic
        last = select(func.max(outbox.c.first)).where(mine, outbox.c.received_at < before)
        async with self._database.read() as connection:
            keep = (await connection.execute(last)).scalar()
        done.events[topic] = 0
        while keep is not None:
            old = select(outbox.c.id, outbox.c.count.label("held")).where(mine, outbox.c.first < keep)
            async with self._database.write() as connection:
                rows = (await connection.execute(old.order_by(outbox.c.first).limit(BATCH))).all()
                if not rows:
                    break
                await connection.execute(delete(outbox).where(outbox.c.id.in_([row.id for row in rows])))
            done.events[topic] += sum(row.held for row in rows)
        async with self._database.read() as connection:
            first = (await connection.execute(select(func.min(outbox.c.first)).where(mine))).scalar()
        done.first_kept[topic] = first or 0

    async def _leases(self, before: datetime) -> int:
        """Rows of exports that ended before a time: such an export is never begun again."""
        ended = select(exports.c.id).where(exports.c.state.not_in(UNDER_WAY), exports.c.finished_at < before)
        kept = select(leases.c.shard).where(leases.c.shard.startswith(EXPORT))
        async with self._database.write() as connection:
            over = {f"{EXPORT}{export}" for export in (await connection.execute(ended)).scalars()}
            gone = sorted(over & set((await connection.execute(kept)).scalars()))
            for at in range(0, len(gone), BATCH):
                some = gone[at : at + BATCH]
                await connection.execute(delete(leases).where(leases.c.shard.in_(some)))
        return len(gone)
