"""Work that would hold up the event loop for long: in a thread, where there is much of it."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
LARGE = 64 * 1024  # bytes of a page; less is done sooner than it is handed over


async def off_the_loop(work: Callable[..., T], *given: object, size: int) -> T:
    """What `work` makes of what is given, in a thread where `size` is large. It must touch nothing else."""
    return await asyncio.to_thread(work, *given) if size >= LARGE else work(*given)
