"""One replica of the gateway: its parts and what it keeps in memory."""

import asyncio
from datetime import datetime

from ray_app.model.symbols import Asset
from ray_app.serve.auth import KeyRing, WallTime
from ray_app.serve.computed import Computed
from ray_app.serve.cursors import Cursors
from ray_app.serve.datasets import Datasets
from ray_app.serve.kept import Kept
from ray_app.serve.limits import Limits
from ray_app.serve.parts import Parts
from ray_app.serve.points import Standing, standing
from ray_app.serve.prices import CurrentPrices
from ray_app.serve.queries import Moments
from ray_app.serve.tail import repeat, stop
from ray_app.serve.together import Together
from ray_app.store.allowance import RequestCounts
from ray_app.store.secret import cursor_secret


class Node:
    """What every route is handed."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.store, self.registry, self.clock = parts.store, parts.registry, parts.clock
        self.redis = RequestCounts(parts.redis) if parts.redis is not None else None
        self.wall = WallTime()
        self.ring = KeyRing(parts.store.keys, self.wall)
        self.limits = Limits(self.redis, self.wall, parts.replicas)
        self.datasets = Datasets(parts.store.catalog)
        self.prices = CurrentPrices(parts, self.datasets)
        self.computed, self.together = Computed(), Together()
        self.kept = Kept(parts.store.changes, self.datasets, self.together, parts.clock)
        self._cursors: Cursors | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin the background tasks. Needs no store: without one a replica answers 503 until it is there."""
        self._tasks = [
            asyncio.create_task(repeat(self.ring.flush)),
            asyncio.create_task(repeat(self.limits.give_back)),
            asyncio.create_task(repeat(self.kept.sweep)),
        ]

    async def stop(self) -> None:
        await stop(self._tasks)
        await self.limits.give_back(idle_seconds=0.0)
        await self.ring.flush()

    async def close(self) -> None:
        """Close the parts."""
        await self.store.close()
        if self.redis is not None:
            await self.redis.close()

    async def standing(self, asked: Moments) -> Standing:
        return await standing(self.clock, asked.as_of, asked.known_by)

    async def cursors(self) -> Cursors:
        if self._cursors is None:
            self._cursors = Cursors(await cursor_secret(self.store.database))
        return self._cursors

    def resolve(self, symbol: str, at: datetime | None = None) -> Asset:
        """Raises UnknownSymbol or AmbiguousSymbol, which the client gets as 404 and 400."""
        return self.registry.resolve(symbol, at)
