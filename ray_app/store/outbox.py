"""The outbox: each commit leaves its events there, and one relay numbers them without gaps.

The number is the cursor that stream clients hold. It lives in SQL, so it survives a loss of Redis.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, insert, select, update

from ray_app.model.collected import Lease
from ray_app.store import leases
from ray_app.store.engine import Database, dumps
from ray_app.store.tables import outbox


@dataclass(frozen=True, slots=True)
class Event:
    """One announced record: its number within the topic, when we had it, and the record as JSON types."""

    number: int
    received_at: datetime
    record: dict[str, Any]


class Outbox:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self, topic: str, events: Sequence[Mapping[str, Any]], received_at: datetime, lease: Lease
    ) -> None:
        """Announce what is worked out and not collected; records are announced by their commit. Raises Fenced."""
        async with self._database.write() as connection:
            await leases.check(connection, lease)
            row = {"topic": topic, "events": dumps(list(events)), "count": len(events)}
            await connection.execute(insert(outbox).values(**row, received_at=received_at))

    async def waiting(self) -> bool:
        """Whether some row has no number yet."""
        async with self._database.read() as connection:
            query = select(outbox.c.id).where(outbox.c.first.is_(None)).limit(1)
            return (await connection.execute(query)).scalar() is not None

    async def count_waiting(self) -> int:
        """How many rows have no number yet."""
        async with self._database.read() as connection:
            query = select(func.count()).select_from(outbox).where(outbox.c.first.is_(None))
            return int((await connection.execute(query)).scalar_one())

    async def number(self, lease: Lease, most: int = 500) -> int:
        """Give the next numbers to rows that have none; how many rows got one. Raises Fenced."""
        async with self._database.write() as connection:
            await leases.check(connection, lease)
            waiting = select(outbox.c.id, outbox.c.topic, outbox.c.count.label("held"))
            waiting = waiting.where(outbox.c.first.is_(None)).order_by(outbox.c.id).limit(most)
            rows = (await connection.execute(waiting)).all()
            following: dict[str, int] = {}
            for row in rows:
                if row.topic not in following:
                    following[row.topic] = (await connection.execute(_last(row.topic))).scalar() or 1
                first = following[row.topic]
                await connection.execute(update(outbox).where(outbox.c.id == row.id).values(first=first))
                following[row.topic] = first + row.held
        return len(rows)

    async def after(self, topic: str, number: int, most: int = 1000) -> list[Event]:
        """The events that follow `number`, in order, about `most` of them."""
        following = outbox.c.first + outbox.c.count
        mine = (outbox.c.topic == topic, following > number + 1)
        ends = select(following).where(*mine).order_by(outbox.c.first).limit(most)
        query = select(outbox.c.first, outbox.c.events, outbox.c.received_at).where(*mine)
        async with self._database.read() as connection:
            last = 0
            for last in (await connection.execute(ends)).scalars():
                if last > number + most:
                    break
            rows = await connection.execute(query.where(following <= last).order_by(outbox.c.first))
            return [
                Event(row.first + place, row.received_at, record)
                for row in rows
                for place, record in enumerate(json.loads(row.events))
                if row.first + place > number
            ]

    async def newest(self, topic: str) -> int:
        """The highest number given out; 0 when there is none."""
        async with self._database.read() as connection:
            return ((await connection.execute(_last(topic))).scalar() or 1) - 1

    async def before(self, topic: str, moment: datetime) -> int:
        """The highest number that was received before `moment`; 0 when there is none."""
        async with self._database.read() as connection:
            query = _last(topic).where(outbox.c.received_at < moment)
            return ((await connection.execute(query)).scalar() or 1) - 1

    async def received(self, topic: str, number: int) -> datetime | None:
        """When the event with this number was received; None for a number that was never given out."""
        query = select(outbox.c.received_at, (outbox.c.first + outbox.c.count).label("following"))
        query = query.where(outbox.c.topic == topic, outbox.c.first <= number)
        async with self._database.read() as connection:
            row = (await connection.execute(query.order_by(outbox.c.first.desc()).limit(1))).one_or_none()
        return row.received_at if row is not None and number < row.following else None

    async def topics(self) -> list[str]:
        async with self._database.read() as connection:
            return list((await connection.execute(select(outbox.c.topic).distinct())).scalars())


def _last(topic: str) -> Select[Any]:
    """The number that follows the last one, from the index: the outbox grows for years and is asked all day."""
    given = outbox.c.first + outbox.c.count
    query = select(given).where(outbox.c.topic == topic, outbox.c.first.is_not(None))
    return query.order_by(outbox.c.first.desc()).limit(1)
