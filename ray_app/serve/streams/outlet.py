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


class Outlet:
    """One client's queue. `warn` makes the warning that is sent at half. `place`: up to which event it was served."""

    def __init__(self, warn: Callable[[], Frames], bounds: Bounds) -> None:
        self.place = 0
        self.ending: Ending | None = None
        self._warn, self._bounds = warn, bounds
        self._waiting: deque[Frames] = deque()
        self._messages = self._bytes = 0
        self._warned = False
        self._filled, self._ended, self._room = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._room.set()

    def put(self, frames: Frames) -> None:
        """Add to the queue. When that is full the connection ends, and what waited is dropped.

        What is larger than the whole queue can be had by a client that has read everything before.
        """
        if self.ending is not None:
            return
        if self._waiting and self._filled_to(frames) > 1.0:
            self._too_slow()
            return
        self._add(frames)
        if not self._warned and self._filled_to() >= 0.5:
            self._warned = True
            self._add(self._warn(), ahead=True)

    def offer(self, frames: Frames, most: int) -> None:
        """Add what may be left out: only while fewer than `most` lots wait."""
        if self.ending is None and len(self._waiting) < most:
            self._add(frames)

    async def feed(self, frames: Frames) -> bool:
        """Add as soon as there is room. False: the connection ends, perhaps since the client made none in time."""
        try:
            async with asyncio.timeout(STUCK_SECONDS):
                await self._room.wait()
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
        frames = self._waiting.popleft()
        self._messages -= frames.messages
        self._bytes -= frames.size
        if self._filled_to() < 0.25:
            self._warned = False
            self._room.set()

    def end(self, ending: Ending, *, drop: bool = False) -> None:
        """No more is added. With `drop` what waits is forgotten; else it is sent before the end."""
        if self.ending is not None:
            return
        self.ending = ending
        if drop:
            self._waiting.clear()
            self._messages = self._bytes = 0
            self._ended.set()
        self._filled.set()
        self._room.set()

    async def filled(self) -> None:
        """Returns when something waits."""
        await self._filled.wait()

    async def dropped(self) -> None:
        """Returns when the connection is to end at once, though something may be on its way."""
        await self._ended.wait()

    def _too_slow(self) -> None:
        self.end(Ending(4408, "too slow; resume after the last cursor that you have"), drop=True)

    def _filled_to(self, more: Frames | None = None) -> float:
        messages = self._messages + (more.messages if more else 0)
        size = self._bytes + (more.size if more else 0)
        return max(messages / self._bounds.messages, size / self._bounds.size)

    def _add(self, frames: Frames, *, ahead: bool = False) -> None:
        if ahead:
            self._waiting.insert(1, frames)  # the first is on its way
        else:
            self._waiting.append(frames)
        self._messages += frames.messages
        self._bytes += frames.size
        self._filled.set()
        if self._filled_to() >= 0.25:
            self._room.clear()
