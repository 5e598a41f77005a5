"""Looks after exports: takes those that are asked for, one at a time, and takes away what is over.

Each runs under a lease of its own, so several processes share the work, and what a dead one had begun is taken again.
What makes files is loaded with the first of them.
"""

import asyncio
import importlib
from typing import TYPE_CHECKING

from ray_app.model.clock import Clock
from ray_app.model.collected import Lease
from ray_app.model.errors import Fenced, NodeError, StoreUnavailable
from ray_app.observe.log import logger
from ray_app.runtime.jobs import Holding
from ray_app.runtime.opening import Node, Opening
from ray_app.store.export_files import ExportFiles
from ray_app.store.exports import Export

if TYPE_CHECKING:
    from ray_app.runtime.exporting_job import Pool

log = logger("exports")
EVERY = 2.0  # seconds between looks
MOST_ATTEMPTS = 5  # an export whose worker died as often is not tried again
ACTORS = 2  # of the pool that makes a large one


class Exporting:
    """The exports of a node, by one of its processes. `opening`: how a pool's actors open the node; None: no pool."""

    def __init__(
        self, node: Node, files: ExportFiles, owner: str, wall: Clock, opening: Opening | None = None
    ) -> None:
        self._node, self._files, self._owner, self._wall = node, files, owner, wall
        self._opening = opening

    async def run(self) -> None:
        """For ever; a database that is away is waited for."""
        while True:
            try:
                await self.look()
            except StoreUnavailable as error:
                log.warning("exports wait", extra={"error": str(error)})
            await self._wall.sleep(EVERY)

    async def look(self) -> int:
        """Take away what is over, make what is asked for and nobody else makes; how many were brought to an end."""
        await self._expire()
        ended = 0
        for export in await self._node.store.exports.under_way():
            try:
                ended += await self.make(export)
            except Fenced:
                continue  # somebody else has it
        return ended

    async def make(self, export: str, pool: "Pool | None" = None) -> bool:
        """Bring an export to its end; False when it was there already. Raises Fenced and StoreUnavailable."""
        job = await asyncio.to_thread(importlib.import_module, "ray_app.runtime.exporting_job")
        if pool is None and self._opening is not None:
            pool = job.pool_of(self._opening, ACTORS)
        exports = self._node.store.exports
        async with Holding(self._node.store, f"export-{export}", self._owner) as lease:
            begun = await exports.begin(export, self._node.clock.now(), lease)
            if begun is None:
                return False
            try:
                if begun.attempts > MOST_ATTEMPTS:
                    raise NodeError(f"it was begun {MOST_ATTEMPTS} times and never came to an end")
                told = await job.export_job(self._node, self._files, begun, lease, pool)
            except (Fenced, StoreUnavailable):
                raise
            except Exception as error:
                log.exception("export failed", extra={"export": export})
                await self._failed(begun, error, lease)
            else:
                log.info("export done", extra={"export": export, "rows": told["rows"]})
        return True

    async def _failed(self, export: Export, error: Exception, lease: Lease) -> None:
        now = self._node.clock.now()
        await self._remove(export.id)
        expires_at = now + self._node.exports_kept
        await self._node.store.exports.failed(export.id, _told(error), now, expires_at, lease)

    async def _expire(self) -> None:
        outlived = await self._node.store.exports.outlived(self._node.clock.now())
        if gone := [export for export in outlived if await self._remove(export)]:
            await self._node.store.exports.expire(gone)
            log.info("exports expired", extra={"exports": len(gone)})

    async def _remove(self, export: str) -> bool:
        """Whether its files are gone; else it is tried again at the next look, or when the export expires."""
        try:
            await asyncio.to_thread(self._files.remove, export)
        except OSError as error:
            log.warning("files are left", extra={"export": export, "error": str(error)})
            return False
        return True


def _told(error: Exception) -> str:
    """What whoever asked may read: no paths, no addresses; the log has the rest."""
    match error:
        case OSError():
            return f"its files could not be written: {error.strerror or type(error).__name__}; ask again"
        case ValueError() | NodeError():
            return str(error)
    return "something went wrong on our side; the node's log has it under this export's id"
