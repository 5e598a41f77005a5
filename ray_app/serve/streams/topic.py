"""One topic in one replica: a single reader, the newest events in memory, and everybody who listens.

The reader paces itself: after it has told some events it waits for a moment, so that what is committed meanwhile goes
out together. Who resumes is served from memory, or from the log where his place is older; he becomes a listener in the
same step in which nothing is left to tell him, so there is neither a hole nor a double.
"""

import asyncio
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Protocol

from ray_app.model.clock import Clock
from ray_app.model.errors import StoreUnavailable
from ray_app.observe.log import logger
from ray_app.serve.streams.items import Item, View, frames_of
from ray_app.serve.streams.outlet import Outlet
from ray_app.store.eventlog import EventLog
from ray_app.store.outbox import Event

log = logger("streams")
COALESCE = 0.1  # seconds between two tellings
STEP_BYTES = 256 * 1024  # told at once, so that a burst fills nobody's queue
KEPT_EVENTS, KEPT_BYTES = 5_000, 16 * 2**20  # in memory
CHUNK = 200  # events of a replay at once
RETRY = 1.0  # seconds after a failure
REACHED_SECONDS = 5.0  # that a cursor from another replica may be ahead of this one


class Makes(Protocol):
    """What a topic's events are for clients."""

    first: int  # how many of the newest events a start reads into memory

    async def standing(self) -> list[Item]:
        """How things stand in the store, where the events in memory do not tell it. Raises StoreUnavailable."""

    async def items(self, events: Sequence[Event]) -> list[Item]:
        """These events; one of which nothing is left makes none."""


class Topic:
    def __init__(self, events: EventLog, makes: Makes, wall: Clock) -> None:
        self._log, self._makes, self._wall = events, makes, wall
        self.position = 0  # the last event that was told
        self.standing: dict[str, Item] = {}  # the newest word on each asset
        self._floor = 0  # every event after this one, up to position, is in memory
        self._items: list[Item] = []
        self._bytes = 0
        self._views: dict[View, set[Outlet]] = {}
        self._task: asyncio.Task[None] | None = None
        self._ready, self._moved = asyncio.Event(), asyncio.Event()

    @property
    def name(self) -> str:
        return self._log.topic

    @property
    def log(self) -> EventLog:
        return self._log

    async def started(self, seconds: float = 15.0) -> None:
        """Begin to read, if nobody did. Raises StoreUnavailable when no store answers in time."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        try:
            async with asyncio.timeout(seconds):
                await self._ready.wait()
        except TimeoutError:
            raise StoreUnavailable(f"the events of {self.name} cannot be read") from None

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def items(self, after: int = 0, most: int = KEPT_EVENTS) -> Sequence[Item]:
        """What is in memory after a number."""
        first = bisect_right(self._items, after, key=_number)
        return self._items[first : first + most]

    def holds(self, after: int) -> bool:
        """Whether everything after a number is in memory."""
        return after >= self._floor

    async def join(self, outlet: Outlet, view: View, after: int | None) -> bool:
        """Listen from now on, or after `after`; False when the connection ended before all was told.

        Raises StoreUnavailable when older events cannot be read now.
        """
        place = self.position if after is None else after
        while True:
            if place > self.position:
                await self._reach(place)
            if place >= self._floor:
                items = self.items(place, CHUNK)
                if not items:  # from here on he listens: nothing is awaited in between
                    outlet.place = self.position
                    self._views.setdefault(view, set()).add(outlet)
                    return True
                place = items[-1].number
            else:
                events = await self._log.after(place, CHUNK)
                if not events:
                    raise StoreUnavailable(f"the events of {self.name} after {place} cannot be read")
                items, place = await self._makes.items(events), events[-1].number
            frames = frames_of(view, items)
            if frames is not None and not await outlet.feed(frames):
                return False
            outlet.place = place

    def leave(self, outlet: Outlet, view: View) -> None:
        listeners = self._views.get(view)
        if listeners is not None:
            listeners.discard(outlet)
            if not listeners:
                del self._views[view]

    async def _reach(self, place: int) -> None:
        """Wait until the reader has told up to a place that another replica told before."""
        try:
            async with asyncio.timeout(REACHED_SECONDS):
                while self.position < place:
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            raise StoreUnavailable(f"the events of {self.name} lag behind") from None

    async def _run(self) -> None:
        """For ever: read and tell."""
        while True:
            try:
                if not self._ready.is_set():
                    await self._begin()
                async for events in self._log.follow(self.position):
                    await self._tell(events)
            except StoreUnavailable as error:
                log.warning("the events of %s cannot be read: %s", self.name, error)
            except Exception:
                log.exception("the events of %s could not be told", self.name)
            await self._wall.sleep(RETRY)

    async def _begin(self) -> None:
        """The newest events into memory; nobody listens yet."""
        newest = await self._log.newest()
        self._items, self._bytes = [], 0
        self._floor = self.position = max(0, newest - self._makes.first)
        self.standing = {item.about: item for item in await self._makes.standing() if item.about is not None}
        while events := await self._log.after(self.position):
            for item in await self._makes.items(events):
                self._keep(item)
            self.position = events[-1].number
        self._ready.set()

    async def _tell(self, events: Sequence[Event]) -> None:
        items = await self._makes.items(events)
        for step, last in _steps(items, events[-1].number):
            for item in step:
                self._keep(item)
            self.position = last
            for view, listeners in self._views.items():
                frames = frames_of(view, step)
                for outlet in listeners:
                    if frames is not None:
                        outlet.put(frames)
                    if outlet.ending is None:
                        outlet.place = last
            self._moved.set()
            await self._wall.sleep(COALESCE)

    def _keep(self, item: Item) -> None:
        if item.type == "delete":  # of a text that is gone nothing stays in memory
            self._items = [one for one in self._items if one.about != item.about]
            self._bytes = sum(one.size for one in self._items)
        self._items.append(item)
        self._bytes += item.size
        if item.rank is not None and item.about is not None:
            before = self.standing.get(item.about)
            if before is None or before.rank is None or before.rank <= item.rank:
                self.standing[item.about] = item
        if len(self._items) > KEPT_EVENTS or self._bytes > KEPT_BYTES:
            drop = max(1, len(self._items) // 8)
            self._floor = self._items[drop - 1].number
            self._bytes -= sum(one.size for one in self._items[:drop])
            del self._items[:drop]


def _number(item: Item) -> int:
    return item.number


def _steps(items: Sequence[Item], last: int) -> Iterator[tuple[list[Item], int]]:
    """In parts that nobody's queue is filled by, each with the number that it goes up to."""
    step: list[Item] = []
    size = 0
    for item in items:
        if step and size + item.size > STEP_BYTES:
            yield step, step[-1].number
            step, size = [], 0
        step.append(item)
        size += item.size
    yield step, last
