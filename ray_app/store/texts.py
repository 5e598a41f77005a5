"""Texts of others: which are due to be looked for again upstream, and how one that is gone is wiped here.

Terms of social networks: what is deleted there is deleted here, everywhere: in the tables, in events not
yet forgotten, in the raw pages. A wiped text keeps its place and its time; its revisions fall together.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ray_app.model.collected import Lease
from ray_app.model.texts import Post
from ray_app.store import changes, leases
from ray_app.store.engine import Database, dumps
from ray_app.store.tables import (
    FACTS,
    outbox,
    redactions,
    series,
    set_aside,
    slices,
    text_checks,
    text_scores,
)

posts = FACTS[Post]
EMPTY = {f: None for f in Post.model_fields if f not in ("feed", "item", "at", "deleted")} | {"deleted": True}
REDACTED = dumps({"redacted": True})
EMPTY_EVENT, EMPTIED = {"series", "item", "deleted"}, '"deleted":true'


@dataclass(frozen=True, slots=True)
class Due:
    """A stored post that is to be looked for again."""

    series: int
    feed: str
    item: str
    at: datetime


class Texts:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def due(self, stream: str, now: datetime, not_since: datetime, most: int) -> list[Due]:
        """Posts with a text that were last seen upstream at or before `not_since`, longest ago first."""
        query = (
            self._with_text(stream)
            .outerjoin(
                text_checks,
                and_(text_checks.c.series == posts.c.series, text_checks.c.item == posts.c.item),
            )
            .where(
                or_(
                    and_(text_checks.c.item.is_(None), posts.c.received_at <= not_since),
                    text_checks.c.due_at <= now,
                )
            )
            .order_by(func.coalesce(text_checks.c.checked_at, posts.c.received_at), posts.c.item)
            .limit(most)
        )
        return await self._due(query)

    async def outdated(self, stream: str, before: datetime, most: int) -> list[Due]:
        """Posts with a text that were written before a time."""
        return await self._due(self._with_text(stream).where(posts.c.at < before).limit(most))

    async def seen_deleted(self, stream: str, most: int) -> list[Due]:
        """Posts that have a text in one revision and are deleted in another."""
        other = posts.alias("other")
        gone = select(other.c.item).where(
            other.c.series == posts.c.series, other.c.item == posts.c.item, other.c.deleted.is_(True)
        )
        return await self._due(self._with_text(stream).where(gone.exists()).limit(most))

    def _with_text(self, stream: str) -> Select[Any]:
        return (
            select(posts.c.series, series.c.partition, posts.c.item, posts.c.at)
            .join_from(posts, series, posts.c.series == series.c.id)
            .where(series.c.stream == stream, posts.c.revision == 0, posts.c.deleted.is_(False))
        )

    async def _due(self, query: Select[Any]) -> list[Due]:
        async with self._database.read() as connection:
            return [Due(*row) for row in await connection.execute(query)]

    async def checked(self, found: Sequence[Due], at: datetime, due_at: datetime, lease: Lease) -> None:
        """Write down that these were seen upstream. Raises Fenced."""
        async with self._database.write() as connection:
            await leases.check(connection, lease)
            for one in found:
                place = (text_checks.c.series == one.series, text_checks.c.item == one.item)
                done = await connection.execute(
                    update(text_checks).where(*place).values(checked_at=at, due_at=due_at)
                )
                if done.rowcount == 0:
                    row = {"series": one.series, "item": one.item, "checked_at": at, "due_at": due_at}
                    await connection.execute(insert(text_checks).values(**row))

    async def wipe(
        self, stream: str, topic: str | None, gone: Sequence[Due], reason: str, now: datetime, lease: Lease
    ) -> list[int]:
        """Take the texts out of the tables and of the events, and announce it; the numbers of those events.

        Raises Fenced. A text that is wiped already is passed over.
        """
        numbers: list[int] = []
        async with self._database.write() as connection:
            await leases.check(connection, lease)
            for one in gone:
                place = (posts.c.series == one.series, posts.c.item == one.item)
                await connection.execute(delete(posts).where(*place, posts.c.revision > 0))
                await connection.execute(update(posts).where(*place).values(**EMPTY))
                scores = (text_scores.c.series == one.series, text_scores.c.item == one.item)
                await connection.execute(update(text_scores).where(*scores).values(content=None))
                known = select(redactions.c.item).where(
                    redactions.c.series == one.series, redactions.c.item == one.item
                )
                if (await connection.execute(known)).scalar() is None:
                    row = {"series": one.series, "item": one.item, "reason": reason, "redacted_at": now}
                    await connection.execute(insert(redactions).values(**row))
            items = {one.item for one in gone}
            if topic is not None:
                numbers = await _wipe_events(connection, topic, items)
                told = [{"delete": one.item, "series": [stream, one.feed], "reason": reason} for one in gone]
                announced = {"topic": topic, "events": dumps(told), "count": len(told), "received_at": now}
                await connection.execute(insert(outbox).values(**announced))
            await changes.note(connection, lease.shard, {stream: None, changes.SCORES: None})
        return numbers

    async def emptied(self, topic: str) -> list[int]:
        """The numbers of all events of which nothing is left."""
        query = select(outbox).where(
            outbox.c.topic == topic, outbox.c.first.is_not(None), outbox.c.events.contains(EMPTIED)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [
            row.first + at
            for row in rows
            for at, event in enumerate(json.loads(row.events))
            if set(event) == EMPTY_EVENT
        ]

    async def forget_set_aside(self, stream: str, lease: Lease) -> int:
        """Empty the rows of a store of before they were set aside without their words; how many. Raises Fenced."""
        mine = select(slices.c.hash).where(slices.c.stream == stream)
        wordy = (set_aside.c.row != REDACTED, set_aside.c.row.not_like('{"unread":%'))
        async with self._database.write() as connection:
            await leases.check(connection, lease)
            old = update(set_aside).where(set_aside.c.slice.in_(mine), *wordy)
            return (await connection.execute(old.values(row=REDACTED))).rowcount


async def _wipe_events(connection: AsyncConnection, topic: str, items: set[str]) -> list[int]:
    """Empty the events that hold one of these items; their numbers stay, so that cursors do."""
    numbers = []
    holding = or_(*(outbox.c.events.contains(f'"{item}"', autoescape=True) for item in sorted(items)))
    rows = (await connection.execute(select(outbox).where(outbox.c.topic == topic, holding))).all()
    for row in rows:
        events: list[Mapping[str, Any]] = json.loads(row.events)
        wiped = [e.get("item") in items for e in events]
        if not any(wiped):
            continue
        left = [
            {"series": e["series"], "item": e["item"], "deleted": True} if gone else e
            for e, gone in zip(events, wiped, strict=True)
        ]
        await connection.execute(update(outbox).where(outbox.c.id == row.id).values(events=dumps(left)))
        if row.first is not None:
            numbers += [row.first + at for at, gone in enumerate(wiped) if gone]
    return numbers
