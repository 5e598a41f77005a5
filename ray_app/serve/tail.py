"""Background tasks of a replica: write key uses, give requests back, drop kept answers."""

import asyncio
from collections.abc import Awaitable, Callable

from ray_app.model.clock import Clock, SystemClock
from ray_app.observe.log import logger

log = logger("gateway")
FLUSH_SECONDS = 3.0
WALL: Clock = SystemClock()  # sockets and flushes stay on wall time


async def repeat(task: Callable[[], Awaitable[None]], seconds: float = FLUSH_SECONDS) -> None:
    """For ever, every so many seconds; a failure is logged and does not end it."""
    while True:
        await WALL.sleep(seconds)
        try:
            await task()
        except Exception:
            log.exception("a background task failed; it goes on")


async def stop(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
