"""How the loops of a shard wait: until they are woken, or for so long."""

import asyncio
from contextlib import suppress


class Waking:
    """What wakes a loop while it works is not lost: its next wait ends at once."""

    def __init__(self) -> None:
        self._woken = asyncio.Event()

    def wake(self) -> None:
        self._woken.set()

    async def wait(self, seconds: float) -> None:
        """At most so many seconds of wall time. A cancellation ends it, whatever comes in the same turn."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        self._woken.clear()
