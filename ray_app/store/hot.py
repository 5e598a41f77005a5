"""The hot side in Redis (or Valkey): event streams that the gateway and the socket routes read.

Losing it costs speed, never data: after a loss the last 24 hours come back from the outbox under the
same numbers.
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from ray_app.model.errors import StoreUnavailable
from ray_app.store.outbox import Event, Outbox

KEPT = timedelta(hours=24)
MOST_EVENTS = 500_000  # per topic; about 250 bytes each
MOST_PASSING = 20_000  # per topic, of what is told on and not stored


def redis_client(url: str) -> Redis:
    """A client that gives up quickly: the callers all know how to go on without Redis."""
    client: Redis = Redis.from_url(url, socket_connect_timeout=1.0, socket_timeout=5.0, decode_responses=True)
    return client


def stream_key(topic: str) -> str:
    return f"crypto-data:events:{topic}"


class EventStream:
    """One topic's events as a Redis stream whose ids are the outbox's numbers."""

    def __init__(self, redis: Redis, topic: str) -> None:
        self._redis, self._topic, self._key = redis, topic, stream_key(topic)

    async def newest(self) -> int:
        """The number of the last event in Redis; 0 when it holds none. Raises StoreUnavailable."""
        try:
            last: Any = await self._redis.xrevrange(self._key, count=1)
        except RedisError as error:
            raise StoreUnavailable(f"redis: {error}") from error
        return int(last[0][0].split("-")[0]) if last else 0

    async def catch_up(self, outbox: Outbox, now: datetime) -> int:
        """Bring what the outbox has and Redis lacks, in order; how many events were added."""
        added = 0
        oldest = await outbox.before(self._topic, now - KEPT)
        while events := await outbox.after(self._topic, max(await self.newest(), oldest)):
            try:
                pipe: Any = self._redis.pipeline(transaction=True)  # a full Redis takes all or nothing
                for event in events:
                    pipe.xadd(self._key, {"e": _packed(event)}, id=f"{event.number}-0")
                await pipe.execute()
                await self._redis.xtrim(
                    self._key, minid=f"{max(oldest, events[-1].number - MOST_EVENTS) + 1}-0", approximate=True
                )
            except RedisError as error:
                if "equal or smaller than the target" in str(error):  # another relay was here: look again
                    continue
                raise StoreUnavailable(f"redis: {error}") from error
            added += len(events)
        return added

    async def forget(self, numbers: Sequence[int]) -> None:
        """Take events out; the numbers of the others stay. Raises StoreUnavailable."""
        try:
            if numbers:
                await self._redis.xdel(self._key, *(f"{number}-0" for number in numbers))
        except RedisError as error:
            raise StoreUnavailable(f"redis: {error}") from error

    async def read(self, after: int, block_ms: int | None = None, most: int = 1000) -> list[Event]:
        """The events that Redis holds after a number; waits so long for the first. Raises StoreUnavailable."""
        try:
            found: Any = await self._redis.xread({self._key: f"{after}-0"}, count=most, block=block_ms)
        except RedisError as error:
            raise StoreUnavailable(f"redis: {error}") from error
        return [_unpacked(number, fields) for _, batch in found or () for number, fields in batch]


def _packed(event: Event) -> str:
    return json.dumps({"at": event.received_at.isoformat(), "record": event.record}, separators=(",", ":"))


def _unpacked(number: str, fields: dict[str, Any]) -> Event:
    body = json.loads(fields["e"])
    return Event(int(number.split("-", maxsplit=1)[0]), datetime.fromisoformat(body["at"]), body["record"])


async def forget_others(redis: Redis, topics: Sequence[str], outbox: Outbox) -> list[str]:
    """Remove streams that are not this store's: of a topic that is no more, or ahead of the outbox.

    Their keys. A Redis outlives a database that is made anew or restored, and would hold what was deleted since.
    Raises StoreUnavailable.
    """
    gone = []
    try:
        async for key in redis.scan_iter(match=stream_key("*")):
            topic = str(key).removeprefix(stream_key(""))
            mine = topic in topics
            if not mine or await EventStream(redis, topic).newest() > await outbox.newest(topic):
                await redis.delete(key)
                gone.append(str(key))
    except RedisError as error:
        raise StoreUnavailable(f"redis: {error}") from error
    return gone


class Passing:
    """What is told on and never stored, as capped Redis streams; without Redis nobody listens."""

    def __init__(self, redis: Redis | None) -> None:
        self._redis = redis

    async def publish(self, topic: str, events: Sequence[Mapping[str, Any]]) -> None:
        """Raises StoreUnavailable; then these are forgotten."""
        if self._redis is None or not events:
            return
        try:
            pipe: Any = self._redis.pipeline(transaction=False)
            for event in events:
                told = {"e": json.dumps(event, default=str, separators=(",", ":"))}
                pipe.xadd(passing_key(topic), told, maxlen=MOST_PASSING, approximate=True)
            await pipe.execute()
        except RedisError as error:
            raise StoreUnavailable(f"redis: {error}") from error

    async def follow(
        self, topic: str, block_ms: int = 1000, most: int = 1000
    ) -> AsyncIterator[list[dict[str, Any]]]:
        """Batches of what is told on from now on; an empty one when nothing was in time. Raises StoreUnavailable."""
        if self._redis is None:
            raise StoreUnavailable("redis: there is none")
        last = "$"
        while True:
            try:
                found: Any = await self._redis.xread({passing_key(topic): last}, count=most, block=block_ms)
            except RedisError as error:
                raise StoreUnavailable(f"redis: {error}") from error
            batch = [entry for _, entries in found or () for entry in entries]
            if batch:
                last = batch[-1][0]
            yield [json.loads(fields["e"]) for _, fields in batch]


def passing_key(topic: str) -> str:
    return f"crypto-data:passing:{topic}"
