"""Which of two clusters on one store collects.

An upgrade runs two for a while. The newer one announces itself once everything of it runs; the older one's collectors
see that when they renew their leases, let go, and stand by until their cluster is deleted. Where the newer one does
not collect after all, they stand in for it.
"""

import ray

from ray_app.model.collected import Lease
from ray_app.store.store import Store

SHARD = "collect-"  # how the names of the collectors' leases begin


class HandedOver(Exception):
    """A newer cluster runs whole and shall collect."""


def this_cluster() -> str:
    """What tells this Ray cluster from another one; it stays when the head is started again."""
    return ray.get_runtime_context().get_session_name()


class Succession:
    """One shard's place in it. `cluster` is "" where no other one can come."""

    def __init__(self, store: Store, cluster: str, shard: str, owner: str) -> None:
        self._store, self._cluster, self._shard = store, cluster, shard
        self._owner = f"{cluster}/{owner}" if cluster else owner
        self._since = ""  # the newest cluster when the lease was taken

    async def announce(self) -> None:
        """Everything of this cluster runs: an older one shall let go."""
        await self._store.clusters.announce(self._cluster)

    async def take(self) -> Lease | None:
        """The lease; None while somebody else has it, or while another cluster collects or is about to.

        With other shards in the new release a stream may change its shard: so one cluster is done with all of its own
        before the other begins.
        """
        leases, mine = self._store.leases, f"{self._cluster}/"
        if self._cluster:
            held = {shard: owner for shard, owner in (await leases.held()).items() if shard.startswith(SHARD)}
            if not all(owner.startswith(mine) for owner in held.values()):
                return None
            self._since = await self._newest()
            another = self._since not in ("", self._cluster)
            if another and not await leases.idle(self._shard, SHARD, mine):
                return None
        return await leases.acquire(self._shard, self._owner)

    async def check(self) -> None:
        """Raises HandedOver when another cluster was announced since the lease was taken."""
        if await self._newest() not in (self._since, self._cluster):
            raise HandedOver

    async def _newest(self) -> str:
        return await self._store.clusters.newest() if self._cluster else ""
