"""What one process of a node does at a time, under a lease of its own; the others stand by."""

import asyncio
import contextlib

from ray_app.model.collected import Lease
from ray_app.model.errors import StoreUnavailable
from ray_app.store.leases import TTL
from ray_app.store.store import Store

RENEW = TTL.total_seconds() / 3


class Alone:
    """The lease of one task, taken up and renewed as it is asked for."""

    def __init__(self, store: Store, task: str, owner: str) -> None:
        self._store, self._task, self._owner = store, task, owner
        self._lease: Lease | None = None
        self._renew_at = 0.0

    async def lease(self) -> Lease | None:
        """The lease, renewed when it is time; None while somebody else has it. Raises Fenced and StoreUnavailable."""
        now = asyncio.get_running_loop().time()
        if self._lease is None:
            self._lease = await self._store.leases.acquire(self._task, self._owner)
        elif now > self._renew_at:
            await self._store.leases.renew(self._lease)
        if self._lease is not None and now > self._renew_at:
            self._renew_at = now + RENEW
        return self._lease

    async def close(self) -> None:
        """Let another process take over at once; while the database is away its lease runs out instead."""
        lease, self._lease = self._lease, None
        if lease is not None:
            with contextlib.suppress(StoreUnavailable):
                await self._store.leases.release(lease)

    def lost(self) -> None:
        """After an error: it is taken anew."""
        self._lease = None
