"""One feed, listened to: connect, watch for silence, hand over before a connection is cut, keep the accounts.

What closed is committed as a page of frames, interval by interval. What was not heard is written down as
failed, with the gap that it fell into, and asked for over the feed's stream at once; if that fails too, the
stream's own cycle finds the same hole in the ledger. Ticks go to the event streams and nowhere else.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from ray_app.collect.collector import failure, parsed
from ray_app.collect.filling import Apis, Filling
from ray_app.collect.hearing import Heard, Hearing, Missed, body_of
from ray_app.collect.planner import ALL_LIVE, Lives, plan
from ray_app.collect.running import ASK_AGAIN, REFUSED_PAUSE, Books, Status
from ray_app.collect.saving import save
from ray_app.collect.together import together
from ray_app.model.clock import Clock
from ray_app.model.errors import NotOffered, RateLimited, Refused, StoreUnavailable, Transient, UpstreamError
from ray_app.model.feed import Connect, Feed
from ray_app.model.quota import Priority
from ray_app.model.source import Page, Slice, Source, Stream
from ray_app.model.timerange import ALWAYS

FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0  # seconds between tries to connect
OVERLAP = 2.0  # seconds that the old connection goes on after the fresh one has been heard
STEADY = 60.0  # seconds after which a connection counts as a good one
KEEP_AGAIN = 1.0  # seconds between tries to keep a page
WAITING = 10_000  # intervals that may wait for the store; older ones are dropped, and asked for again later
AT_ONCE = 4  # slices of a refill under way together


class Events(Protocol):
    async def publish(self, topic: str, events: Sequence[Mapping[str, Any]]) -> object:
        """Tell what is not stored to whoever listens now. Raises StoreUnavailable; then it is forgotten."""


@dataclass(slots=True)
class Connection:
    """How one connection is doing: whether it has been heard, and whether a fresh one should take over."""

    heard: asyncio.Event = field(default_factory=asyncio.Event)
    aged: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True, kw_only=True)
class Listening:
    """One feed of one source. `url` is where it answers; `wall` is the machine's time, for sockets and waits."""

    source: Source
    feed: Feed
    refill: Stream
    url: str
    partitions: tuple[str, ...]
    books: Books
    events: Events
    keep: Callable[[Page], Awaitable[None]]
    connect: Connect
    api: Apis
    clock: Clock
    wall: Clock
    lives: Lives = field(default_factory=lambda: ALL_LIVE)  # of partitions that have not always been
    headers: Mapping[str, str] = field(default_factory=dict)  # of its pages: that they are simulated
    status: Status = field(default_factory=Status)
    hearing: Hearing = field(init=False)
    _alive: int = 0  # connections that have been heard and have not ended
    _commits: asyncio.Queue[Heard | Missed] = field(default_factory=lambda: asyncio.Queue(WAITING))
    _refills: asyncio.Queue[Slice] = field(default_factory=lambda: asyncio.Queue(WAITING))

    def __post_init__(self) -> None:
        self.hearing = Hearing(self.feed, self.partitions)

    @property
    def name(self) -> str:
        return f"{self.source.name}.{self.feed.name}"

    async def run(self) -> None:
        """For ever. Raises Fenced when somebody else took over, WrongStore when data is not of our kind."""
        await together([self._connecting, self._committing, self._refilling, self._telling], 4)

    async def _connecting(self) -> None:
        """Keep a connection open. The old one goes on until the fresh one has been heard."""
        failed, tasks = 0, list[asyncio.Task[None]]()
        try:
            while True:
                fresh, started = Connection(), self.wall.now()
                task = asyncio.create_task(self._hear(fresh))
                tasks.append(task)
                if await _first(task, fresh.heard):
                    if len(tasks) > 1:  # the old one may have said what is still to be read
                        await self.wall.sleep(OVERLAP)
                    await _end([old for old in tasks if old is not task])
                    tasks = [task]
                    self.status.state = "collecting"
                    await self._report()
                    if await _first(task, fresh.aged):
                        failed = 0
                        continue
                tasks.remove(task)
                error = task.exception()
                if not isinstance(error, UpstreamError):
                    raise error or RuntimeError(f"{self.name}: a connection ended without a reason")
                self._note(error)
                steady = (self.wall.now() - started).total_seconds() > STEADY
                failed = 1 if steady else failed + 1
                if not self._alive:
                    self.status.state = "refused" if isinstance(error, Refused) else "waiting"
                await self._report()
                await self.wall.sleep(_pause(error, failed))
        finally:
            await _end(tasks)

    async def _hear(self, connection: Connection) -> None:
        """One connection until it ends; ends by raising."""
        now = self.clock.now()
        living = [p for p in self.partitions if not self.lives.get(p, ALWAYS).over_by(now)]
        asked = self.feed.subscribe(living)
        opened = self.status.last_run = self.clock.now()
        reason = "stopped"
        try:
            async with self.connect(self.url + asked.query) as socket:
                for message in asked.messages:
                    await socket.send(message)
                while True:
                    try:
                        async with asyncio.timeout(self.feed.silence.total_seconds()):
                            frame = await socket.receive()
                    except TimeoutError as error:
                        raise Transient(self.source.name, f"silent for {self.feed.silence}") from error
                    if not connection.heard.is_set():
                        connection.heard.set()
                        self._alive += 1
                    self._take(frame, connection)
                    if self.clock.now() - opened >= self.feed.longest:
                        connection.aged.set()
        except UpstreamError as error:
            reason = error.detail
            raise
        finally:
            self._alive -= connection.heard.is_set()
            if not self._alive:
                self.hearing.cut(reason)

    def _take(self, frame: bytes, connection: Connection) -> None:
        now = self.clock.now()
        try:
            if unreadable := self.hearing.frame(frame, now):
                self._note(ValueError(unreadable))
        except Transient as ending:  # the upstream says so: let a fresh connection take over
            self._note(ending)
            connection.aged.set()
        for done in self.hearing.finished():
            _hand_over(self._commits, done)

    async def _committing(self) -> None:
        while True:
            done = await self._commits.get()
            wanted = Slice(done.partitions, done.range)
            if isinstance(done, Missed):
                if not (alive := self._alive_in(done)):
                    continue
                wanted = Slice(alive, done.range)
                error = Transient(self.source.name, done.reason)
                self._note(error)
                lacking = failure(self.source, self.refill, wanted, error, self.clock.now())
                await save(self.books, [lacking], self.clock, self._note)
                _hand_over(self._refills, wanted)
                continue
            page = self._page(done)
            await self._kept(page)
            try:
                told = parsed(self.source, self.feed.stores, wanted, [page])
            except UpstreamError as unreadable:  # the page is kept: a mended parser can read it again
                self._note(unreadable)
                continue
            await save(self.books, [told], self.clock, self._note)
            self.status.last_success = self.clock.now()

    def _alive_in(self, missed: Missed) -> tuple[str, ...]:
        """Those whose life had not ended: of the others nothing was to be heard."""
        over, grain = missed.range, self.refill.grain
        return tuple(p for p in missed.partitions if any(self.lives.get(p, ALWAYS).touched(over, grain)))

    async def _refilling(self) -> None:
        """Ask for what was missed; what cannot be had now is left to the stream's own cycle."""
        filling = Filling(
            source=self.source,
            stream=self.refill,
            books=self.books,
            api=self.api,
            clock=self.clock,
            note=self._note,
        )
        while True:
            missed = await self._refills.get()
            try:
                done = await self.books.coverage(filling.name, missed.range)
            except StoreUnavailable as error:
                self._note(error)
                continue
            slices = plan(self.refill, missed.partitions, missed.range, done, lives=self.lives)
            await together([partial(filling.fill, wanted, Priority.HEAL) for wanted in slices], AT_ONCE)

    async def _telling(self) -> None:
        while True:
            await self.wall.sleep(self.feed.coalesce.total_seconds())
            if ticks := self.hearing.ticks():
                told = [{"series": [self.name, t.partition], **t.model_dump(mode="json")} for t in ticks]
                try:
                    await self.events.publish(self.feed.topic, told)
                except StoreUnavailable as error:
                    self._note(error)

    def _page(self, heard: Heard) -> Page:
        return Page(
            source=self.source.name,
            stream=self.feed.stores.name,
            path=self.feed.url,
            params={},
            status=101,
            headers=self.headers,
            body=body_of(heard.frames),
            asked_at=heard.first_at,
            received_at=heard.last_at,
        )

    async def _kept(self, page: Page) -> None:
        while True:
            try:
                return await self.keep(page)
            except StoreUnavailable as error:
                self._note(error)
                await self.wall.sleep(KEEP_AGAIN)

    def _note(self, error: Exception) -> None:
        self.status.errors[type(error).__name__] += 1
        self.status.last_error = str(error)[:500]
        self.status.last_error_at = self.clock.now()

    async def _report(self) -> None:
        try:
            await self.books.report(self.name, self.status)
        except StoreUnavailable as error:
            self._note(error)


def _hand_over(queue: asyncio.Queue[Any], done: object) -> None:
    if queue.full():
        queue.get_nowait()
    queue.put_nowait(done)


async def _first(task: asyncio.Task[None], event: asyncio.Event) -> bool:
    """Wait for the event or the task's end; whether it was the event."""
    waiting = asyncio.create_task(event.wait())
    try:
        await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
        return not task.done()
    finally:
        waiting.cancel()


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _pause(error: UpstreamError, failed: int) -> float:
    """Seconds before the next try: as long as told, an hour where we are refused, else more with each failure."""
    if isinstance(error, RateLimited) and error.retry_after is not None:
        return error.retry_after
    if isinstance(error, NotOffered):
        return ASK_AGAIN.total_seconds()
    if isinstance(error, Refused):
        return REFUSED_PAUSE.total_seconds()
    return random.uniform(0.5, 1.0) * min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** (failed - 1))
