"""The relay: numbers what the outbox holds and brings it to the Redis streams, under a lease of its own."""

from ray_app.model.clock import Clock
from ray_app.model.errors import Fenced, StoreUnavailable
from ray_app.observe.log import logger
from ray_app.runtime.alone import Alone
from ray_app.runtime.opening import Node
from ray_app.runtime.waking import Waking
from ray_app.store.hot import EventStream, forget_others

log = logger("relay")
IDLE = 1.0  # seconds after which the outbox is looked at without being woken


class Relay:
    """One per node; a second one stands by. `wake` after a commit makes it look at once."""

    def __init__(self, node: Node, owner: str, wall: Clock) -> None:
        self._node, self._wall = node, wall
        self._alone = Alone(node.store, "relay", owner)
        self._waking = Waking()
        self._redis = node.redis()
        self._looked = False  # whether Redis was looked through for streams that are not ours

    def wake(self) -> None:
        self._waking.wake()

    async def run(self) -> None:
        """For ever; a database or Redis that is away is waited for."""
        while True:
            try:
                await self.round()
            except (StoreUnavailable, Fenced) as error:
                self._alone.lost()
                log.warning("relay waits", extra={"error": str(error)})
                await self._wall.sleep(IDLE)
            await self._waking.wait(IDLE)

    async def close(self) -> None:
        await self._alone.close()
        if self._redis is not None:
            await self._redis.aclose()

    async def round(self) -> None:
        """Number everything that waits and bring Redis up to date, once."""
        store, lease = self._node.store, await self._alone.lease()
        if lease is None:
            return
        while await store.outbox.waiting():
            await store.outbox.number(lease)
        if self._redis is None:
            return
        topics = await store.outbox.topics()
        if not self._looked:
            if gone := await forget_others(self._redis, topics, store.outbox):
                log.warning("streams of another store were in Redis", extra={"removed": gone})
            self._looked = True
        for topic in topics:
            await EventStream(self._redis, topic).catch_up(store.outbox, self._node.clock.now())
