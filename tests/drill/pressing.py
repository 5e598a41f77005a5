"""Somebody else under the same quota, who takes every turn that is left: then whatever is taken twice exceeds it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx

from ray_app.model.quota import Priority
from ray_app.runtime.keeper import keeper_for
from tests.drill.world import World


@asynccontextmanager
async def pressing(world: World) -> AsyncIterator[None]:
    """As a backfill of another process does: turns from the store's row, at the lowest priority, until the end."""
    task = asyncio.create_task(_press(world))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _press(world: World) -> None:
    (assigned,) = world.node.assigned
    keeper = keeper_for(world.node, assigned)
    try:
        async with httpx.AsyncClient(base_url=assigned.base_url, timeout=20) as http:
            while True:
                turn = await keeper.turn(Priority.BACKFILL)
                if world.node.clock.now() > turn.expires:
                    continue  # sent late it would crowd the next minute
                (await http.get("/ping")).raise_for_status()
    finally:
        await keeper.close()
