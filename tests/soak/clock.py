"""Virtual time that jumps: from one due moment to the next, whenever nothing else is left to do.

The node and the simulator live in one event loop and one thread: SQLite and files are used where they are
asked for, since to hand each statement to a thread and back costs more than the statement. As long as a
request is under way, time stands still; so a month takes as long as its work, and the same seed gives the same month.
"""

import asyncio
import heapq
import sqlite3
from collections.abc import AsyncIterator, Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from typing import Any

import aiosqlite
import httpx
from sqlalchemy import event

from ray_app.simulator.clock import VirtualClock
from ray_app.store.engine import Database


class Busy:
    """Requests under way: from the first byte sent to the last one read."""

    def __init__(self) -> None:
        self._jobs = 0
        self.idle = asyncio.Event()
        self.idle.set()

    def more(self) -> None:
        self._jobs += 1
        self.idle.clear()

    def less(self) -> None:
        self._jobs -= 1
        if not self._jobs:
            self.idle.set()


class AtOnce(ThreadPoolExecutor):
    """The loop's threads: there are none, what is handed to them is done on the spot."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        job: Future[Any] = Future()
        try:
            job.set_result(function(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001  # it is raised where the result is asked for
            job.set_exception(error)
        return job


class _Queue:
    """What a connection hands its thread, done on the spot."""

    def put_nowait(self, job: tuple[asyncio.Future[Any] | None, Callable[[], Any]]) -> None:
        future, function = job
        try:
            result = function()
        except BaseException as error:
            if future is None:
                raise
            future.set_exception(error)
        else:
            if future is not None:
                future.set_result(result)


class _Connection(aiosqlite.Connection):
    """A connection of SQLite without a thread."""

    def __init__(self, connector: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(connector, iter_chunk_size=64)
        self._tx = _Queue()  # type: ignore[assignment]  # all that is asked of a queue here

    def __await__(self) -> Generator[Any, None, aiosqlite.Connection]:
        return self._connect().__await__()


def without_threads(database: Database) -> None:
    """Let the database, an SQLite file, be used in the thread of the event loop."""

    def connecting(_dialect: Any, _record: Any, _args: Any, options: dict[str, Any]) -> None:
        options["async_creator_fn"] = lambda *a, **k: _Connection(partial(sqlite3.connect, *a, **k))

    event.listen(database.engine.sync_engine, "do_connect", connecting)


class CountingTransport(httpx.AsyncHTTPTransport):
    """Real HTTP, counted."""

    def __init__(self, busy: Busy) -> None:
        super().__init__(limits=httpx.Limits(max_connections=None, max_keepalive_connections=64))
        self._busy = busy

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._busy.more()
        try:
            answer = await super().handle_async_request(request)
        except BaseException:
            self._busy.less()
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
            self._busy.less()
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
            await self._busy.idle.wait()
            await asyncio.sleep(0)
            still = still + 1 if self._busy.idle.is_set() and not ready else 0
