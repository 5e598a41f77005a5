"""One topic's events for readers: from the Redis stream where it is, else from the outbox in SQL, each once, in order.

The outbox is the truth, the Redis stream its newest part under the same numbers. A reader holds its own place, so it
may change from one to the other at any event.
"""

import time
from collections.abc import AsyncIterator
from datetime import datetime

from redis.asyncio import Redis

from ray_app.model.clock import Clock
from ray_app.model.errors import StoreUnavailable
from ray_app.store.hot import KEPT, EventStream
from ray_app.store.outbox import Event, Outbox

BLOCK_MS = 1000  # that Redis is waited for
POLL = 0.5  # seconds between looks at SQL without Redis
REDIS_AGAIN = 2.0  # seconds before a Redis that failed is tried again
SQL_TOO = 5.0  # seconds of silence after which SQL is looked at: Redis may be there and full


class EventLog:
    def __init__(self, topic: str, outbox: Outbox, redis: Redis | None, wall: Clock) -> None:
        self.topic = topic
        self._outbox, self._wall = outbox, wall
        self._stream = EventStream(redis, topic) if redis is not None else None
        self._redis_from = 0.0  # monotonic time from which Redis may be asked

    async def newest(self) -> int:
        """The number of the last event; 0 when there is none. Raises StoreUnavailable when neither store answers."""
        try:
            return await self._outbox.newest(self.topic)
        except StoreUnavailable:
            if self._stream is None:
                raise
            return await self._stream.newest()

    async def oldest(self, now: datetime) -> int:
        """The number before the first event that a reader may ask for: of 24 hours. Raises StoreUnavailable."""
        return await self._outbox.before(self.topic, now - KEPT)

    async def received(self, number: int) -> datetime | None:
        """When an event was received; None for a number that was never given out. Raises StoreUnavailable."""
        return await self._outbox.received(self.topic, number)

    async def after(self, number: int, most: int = 1000) -> list[Event]:
        """Events that follow `number`, about `most`, none left out. Raises StoreUnavailable."""
        events = await self._from_redis(number, None, most)
        if events and _follows(events, number):
            return events
        return await self._outbox.after(self.topic, number, most)

    async def follow(self, after: int) -> AsyncIterator[list[Event]]:
        """Batches after `after`, for ever, none left out and none twice; stores that are away are waited for."""
        last, looked = after, time.monotonic()
        while True:
            events = await self._from_redis(last, BLOCK_MS)
            silent = time.monotonic() - looked > SQL_TOO
            if events is None or (events and not _follows(events, last)) or (silent and not events):
                looked = time.monotonic()
                try:
                    found = await self._outbox.after(self.topic, last)
                except StoreUnavailable:
                    found = []  # Redis alone might leave events out
                if events is None and not found:
                    await self._wall.sleep(POLL)
                events = found
            if events:
                last, looked = events[-1].number, time.monotonic()
                yield events

    async def _from_redis(self, number: int, block_ms: int | None, most: int = 1000) -> list[Event] | None:
        """None when Redis is away."""
        if self._stream is None or time.monotonic() < self._redis_from:
            return None
        try:
            return await self._stream.read(number, block_ms, most)
        except StoreUnavailable:
            self._redis_from = time.monotonic() + REDIS_AGAIN
            return None


def _follows(events: list[Event], number: int) -> bool:
    """Whether nothing is missing before the first. What was deleted is missing too: SQL then tells the same."""
    return events[0].number == number + 1
