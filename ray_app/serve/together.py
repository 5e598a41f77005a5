"""Those who ask the same at once share one reading, which begins after the last of them has asked.

Nothing is kept: an answer is as fresh as if each had been read by itself. Under load a hot question costs one reading
for all who wait, and who waits is behind one other reading at most.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class Together:
    def __init__(self) -> None:
        self._begun: dict[Hashable, asyncio.Task[Any]] = {}
        self._next: dict[Hashable, asyncio.Task[Any]] = {}

    async def read(self, place: Hashable, work: Callable[[], Awaitable[T]]) -> T:
        """What `work` gives, of this or of another who asks the same. `place` names all that it depends on."""
        task: asyncio.Task[T] | None = self._next.get(place)
        if task is None:
            task = asyncio.create_task(self._after(place, self._begun.get(place), work))
            self._next[place] = task
        return await asyncio.shield(task)

    async def _after(
        self, place: Hashable, before: asyncio.Task[Any] | None, work: Callable[[], Awaitable[T]]
    ) -> T:
        if before is not None:
            await asyncio.wait([before])
        task = self._begun[place] = self._next.pop(
            place
        )  # who asks from here on may ask about something newer
        try:
            return await work()
        finally:
            if self._begun.get(place) is task:
                del self._begun[place]
