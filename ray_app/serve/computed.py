"""Answers that take work, kept for some minutes under a name that changes with what they are made of."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

KEPT_SECONDS = 300.0
MOST_KEPT = 2_000  # a few kilobytes each
T = TypeVar("T")


class Computed:
    """What was worked out, for a while; those who ask the same meanwhile share one computation."""

    def __init__(self) -> None:
        self._kept: dict[object, tuple[float, Any]] = {}
        self._working: dict[object, asyncio.Task[Any]] = {}
        self.computed = 0

    def has(self, place: object) -> bool:
        """Whether there is something for this place, or there will be soon."""
        found = self._kept.get(place)
        return place in self._working or (found is not None and time.monotonic() < found[0])

    async def get(self, place: object, work: Callable[[], Awaitable[T]]) -> T:
        """What `work` gives for this place, at most so many seconds old."""
        now = time.monotonic()
        found = self._kept.get(place)
        if found is not None and now < found[0]:
            kept: T = found[1]
            return kept
        task = self._working.get(place)
        if task is None:
            task = self._working[place] = asyncio.ensure_future(self._keep(place, work))
            task.add_done_callback(lambda _: self._working.pop(place, None))
        worked: T = await asyncio.shield(task)
        return worked

    async def _keep(self, place: object, work: Callable[[], Awaitable[Any]]) -> Any:
        value = await work()
        self.computed += 1
        if len(self._kept) >= MOST_KEPT:
            now = time.monotonic()
            self._kept = {key: kept for key, kept in self._kept.items() if now < kept[0]}
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
        self._kept[place] = time.monotonic() + KEPT_SECONDS, value
        return value
