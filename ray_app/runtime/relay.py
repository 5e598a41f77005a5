"""The relay: numbers what the outbox holds and brings it to the Redis streams, under a lease of its own."""

import asyncio

from ray_app.model.clock import Clock
from ray_app.model.collected import Lease
from ray_app.model.errors import Fenced, StoreUnavailable
from ray_app.observe.log import logger
from ray_app.runtime.opening import Node
from ray_app.runtime.waking import Waking
from ray_app.store.hot import EventStream
from ray_app.store.leases import TTL

log = logger("relay")
IDLE = 1.0  # seconds after which the outbox is looked at without being woken


class Relay:
    """One per node; a second one stands by. `wake` after a commit makes it look at once."""

    def __init__(self, node: Node, owner: str, wall: Clock) -> None:
        self._node, self._owner, self._wall = node, owner, wall
        self._waking = Waking()
        self._redis = node.redis()
        self._lease: Lease | None = None
        self._renew_at = 0.0

    def wake(self) -> None:
        self._waking.wake()

    async def run(self) -> None:
        """For ever; a database or Redis that is away is waited for."""
        while True:
            try:
                await self.round()
            except (StoreUnavailable, Fenced) as error:
                self._lease = None
                log.warning("relay waits", extra={"error": str(error)})
                await self._wall.sleep(IDLE)
            await self._waking.wait(IDLE)

    async def close(self) -> None:
        if self._redis is not None:
            await self._redis.aclose()

    async def round(self) -> None:
        """Number everything that waits and bring Redis up to date, once."""
        store = self._node.store
        loop_time = asyncio.get_running_loop().time()
        if self._lease is None:
            self._lease = await store.leases.acquire("relay", self._owner)
        elif loop_time > self._renew_at:
            await store.leases.renew(self._lease)
        if self._lease is None:
            return
        if loop_time > self._renew_at:
            self._renew_at = loop_time + TTL.total_seconds() / 3
        while await store.outbox.waiting():
            await store.outbox.number(self._lease)
        if self._redis is None:
            return
        for topic in await store.outbox.topics():
            await EventStream(self._redis, topic).catch_up(store.outbox, self._node.clock.now())
