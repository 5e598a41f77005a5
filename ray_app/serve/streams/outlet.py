"""What waits to be sent to one client: bounded, so that a client that does not read costs little and delays nobody."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from ray_app.serve.streams.items import Frames

STUCK_SECONDS = 30.0  # that a replay waits for a client to read


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may wait for one client. Warned at half, closed when it is full."""

    messages: int = 2_000
    size: int = 2**20  # bytes


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a connection ends: the close code and its reason, and after how long a client should come back."""

    code: int
    reason: str
    retry_ms: int | None = None


class Held:
    """How much waits for one client, in all of its queues."""

    def __init__(self) -> None:
        self.messages = self.size = 0
        self.warned = False
        self.room = asyncio.Event()
        self.room.set()

    def add(self, frames: Frames) -> None:
        self.messages += frames.messages
        self.size += frames.size

    def take(self, frames: Frames) -> None:
        self.messages -= frames.messages
        self.size -= frames.size


class Outlet:
    """One client's queue, or one of several whose bounds are those of `held`.

    `warn` makes the warning that is sent at half. `place`: up to which event the client was served.
    """

    def __init__(self, warn: Callable[[], Frames], bounds: Bounds, held: Held | None = None) -> None:
        self.place = 0
        self.ending: Ending | None = None
        self._warn, self._bounds = warn, bounds
        self._waiting: deque[Frames] = deque()
        self._held = held or Held()
        self._filled, self._ended = asyncio.Event(), asyncio.Event()

    def put(self, frames: Frames) -> None:
        """Add to the queue. When that is full the connection ends, and what waited is dropped.

        What is larger than the whole queue can be had by a client that has read everything before.
        """
        if self.ending is not None:
            return
        if self._held.messages and self._filled_to(frames) > 1.0:
            self._too_slow()
            return
        self._add(frames)
        if not self._held.warned and self._filled_to() >= 0.5:
            self._held.warned = True
            self._add(self._warn(), ahead=True)

    def offer(self, frames: Frames, most: int) -> None:
        """Add what may be left out: only while fewer than `most` lots wait."""
        if self.ending is None and len(self._waiting) < most:
            self._add(frames)

    async def feed(self, frames: Frames) -> bool:
        """Add as soon as there is room. False: the connection ends, perhaps since the client made none in time."""
        try:
            async with asyncio.timeout(STUCK_SECONDS):
                await self._held.room.wait()
        except TimeoutError:
            self._too_slow()
        if self.ending is not None:
            return False
        self._add(frames)
        return True

    async def next(self) -> Frames | None:
        """What is to be sent now; say `sent` then. None: nothing waits any more and the connection ends."""
        while not self._waiting:
            if self.ending is not None:
                return None
            self._filled.clear()
            await self._filled.wait()
        return self._waiting[0]

    def sent(self) -> None:
        """The first of the queue is on its way."""
        if not self._waiting:  # it was dropped meanwhile
            return
        self._held.take(self._waiting.popleft())
        self._emptier()

    def end(self, ending: Ending, *, drop: bool = False) -> None:
        """No more is added. With `drop` what waits is forgotten; else it is sent before the end."""
        if self.ending is not None:
            return
        self.ending = ending
        if drop:
            self.forget()
            self._ended.set()
        self._filled.set()
        self._held.room.set()  # whoever waits for it sees the end

    def forget(self) -> None:
        """Drop what waits."""
        while self._waiting:
            self._held.take(self._waiting.popleft())
        self._emptier()

    async def filled(self) -> None:
        """Returns when something waits."""
        await self._filled.wait()

    async def dropped(self) -> None:
        """Returns when the connection is to end at once, though something may be on its way."""
        await self._ended.wait()

    def _too_slow(self) -> None:
        self.end(Ending(4408, "too slow; resume after the last cursor that you have"), drop=True)

    def _filled_to(self, more: Frames | None = None) -> float:
        messages = self._held.messages + (more.messages if more else 0)
        size = self._held.size + (more.size if more else 0)
        return max(messages / self._bounds.messages, size / self._bounds.size)

    def _add(self, frames: Frames, *, ahead: bool = False) -> None:
        if ahead:
            self._waiting.insert(1, frames)  # the first is on its way
        else:
            self._waiting.append(frames)
        self._held.add(frames)
        self._filled.set()
        if self._filled_to() >= 0.25:
            self._held.room.clear()

    def _emptier(self) -> None:
        if self._filled_to() < 0.25:
            self._held.warned = False
            self._held.room.set()
