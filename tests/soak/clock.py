"""Virtual time that jumps: from one due moment to the next, whenever nothing else is left to do.

The node and the simulator live in one event loop. As long as a request, a transaction or a thread is under
way, time stands still; so a month takes as long as its work, and the same seed gives the same month.
"""

import asyncio
import heapq
from collections.abc import AsyncIterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import httpx
from sqlalchemy import event

from ray_app.simulator.clock import VirtualClock
from ray_app.store.engine import Database


class Busy:
    """What is under way outside the event loop's own queue."""

    def __init__(self) -> None:
        self.jobs = 0

    def watch(self, database: Database) -> None:
        """A connection that is checked out is a transaction under way."""
        event.listen(database.engine.sync_engine, "checkout", lambda *_: self._more())
        event.listen(database.engine.sync_engine, "checkin", lambda *_: self._less())

    def _more(self) -> None:
        self.jobs += 1

    def _less(self) -> None:
        self.jobs -= 1


class CountingThreads(ThreadPoolExecutor):
    """The loop's threads, counted from submission to the end."""

    def __init__(self, busy: Busy, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(max_workers=4)
        self._busy, self._loop = busy, loop

    def submit(self, *args: Any, **kwargs: Any) -> Future[Any]:
        self._busy.jobs += 1
        job = super().submit(*args, **kwargs)
        job.add_done_callback(lambda _: self._loop.call_soon_threadsafe(self._done))
        return job

    def _done(self) -> None:
        self._busy.jobs -= 1


class CountingTransport(httpx.AsyncHTTPTransport):
    """Real HTTP, counted from the first byte sent to the last one read."""

    def __init__(self, busy: Busy) -> None:
        super().__init__(limits=httpx.Limits(max_connections=None, max_keepalive_connections=64))
        self._busy = busy

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._busy.jobs += 1
        try:
            answer = await super().handle_async_request(request)
        except BaseException:
            self._busy.jobs -= 1
            raise
        assert isinstance(answer.stream, httpx.AsyncByteStream)
        answer.stream = _CountedStream(answer.stream, self._busy)
        return answer


class _CountedStream(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, busy: Busy) -> None:
        self._stream, self._busy, self._open = stream, busy, True

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream:
            yield piece

    async def aclose(self) -> None:
        if self._open:
            self._open = False
            self._busy.jobs -= 1
        await self._stream.aclose()


class EventClock:
    """A Clock of the simulator's time; `drive` moves it."""

    def __init__(self, virtual: VirtualClock, busy: Busy) -> None:
        self._virtual, self._busy = virtual, busy
        self._sleeping: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._order = count()

    def now(self) -> datetime:
        return self._virtual.now()

    async def sleep(self, seconds: float) -> None:
        await self.sleep_until(self.now() + timedelta(seconds=max(0.0, seconds)))

    async def sleep_until(self, moment: datetime) -> None:
        if moment <= self.now():
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleeping, (moment, next(self._order), woken))
        await woken

    async def drive(self, until: datetime) -> None:
        """Let time pass up to a moment."""
        while True:
            await self._quiet()
            while self._sleeping and self._sleeping[0][2].done():
                heapq.heappop(self._sleeping)
            if not self._sleeping or self._sleeping[0][0] > until:
                self._virtual.advance_to(until)
                return
            due = self._sleeping[0][0]
            self._virtual.advance_to(due + timedelta(microseconds=-due.microsecond % 1000))
            while self._sleeping and self._sleeping[0][0] <= self.now():
                woken = heapq.heappop(self._sleeping)[2]
                if not woken.done():
                    woken.set_result(None)

    async def _quiet(self) -> None:
        """Wait until nothing can happen any more without time passing."""
        ready: Any = getattr(asyncio.get_running_loop(), "_ready")  # noqa: B009  # the loop tells it nowhere else
        still = 0
        while still < 3:
            await asyncio.sleep(0)
            if self._busy.jobs:
                await asyncio.sleep(0.0005)
                still = 0
            else:
                still = still + 1 if not ready else 0
