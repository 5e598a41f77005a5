"""Builds the rows of features: at each bar's end, and again where an input was corrected.

Two paces. As soon as a bar of the newest hour is committed, its row is worked out from what the store has and told to
Redis. What is stored is made two seconds later, as of a moment that nothing can slip in under any more: so it can be
worked out again, to the last bit, for ever. A row that comes out otherwise later (a late text, a corrected bar) gets a
revision; one that does not gets none.
"""

import asyncio
import ctypes
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ray_app.derive.kept import KeptFrames
from ray_app.derive.reading import Loader
from ray_app.derive.rows import NAMES, SET, rows
from ray_app.derive.stale import affected
from ray_app.model.clock import Clock
from ray_app.model.collected import Lease
from ray_app.model.errors import Fenced, StoreUnavailable
from ray_app.model.timerange import Coverage, TimeRange, floor
from ray_app.observe.log import logger
from ray_app.process.features.packed import unpack
from ray_app.runtime.alone import Alone
from ray_app.runtime.opening import Node
from ray_app.runtime.waking import Waking
from ray_app.store.hot_features import HotFeatures
from ray_app.store.reading import SETTLED, Point
from ray_app.store.vectors import Vector

log = logger("features")
HOUR = timedelta(hours=1)
EVERY = 300.0  # seconds between looks without being woken
REST = 2  # times as long as it took to tell the newest hour; at a start one bar after the other comes for minutes
SOON = SETTLED + 0.5  # seconds after the newest hour changed until it is stored
RECENT = 3 * HOUR  # rows that are worked out again at every look: their texts and bars may come late
REACH = timedelta(
    days=7
)  # how far back rows that are missing are made; older ones are for jobs/build_features.py
PATIENCE = timedelta(minutes=5)  # how long a row waits for its bar
STEP = 2 * timedelta(days=1)  # rows that are worked out at once


@dataclass(slots=True)
class Built:
    """What a look did: rows that were worked out, those of them that were written, those of old hours."""

    rows: int = 0
    written: int = 0
    old: int = 0


@dataclass(slots=True)
class _Told:
    """What Redis has: the hour, and each asset's numbers."""

    hour: datetime | None = None
    numbers: dict[str, bytes] = field(default_factory=dict)


class Building:
    """The rows of all assets, by one process of the node at a time."""

    def __init__(self, node: Node, owner: str, wall: Clock) -> None:
        self._node, self._wall = node, wall
        self._alone = Alone(node.store, "features", owner)
        self._waking = Waking()
        self._recent = Loader(node.store, node.registry, KeptFrames(node.store))
        self._redis = node.redis()
        self._told = _Told()
        self._mark = -1  # the last slice that was looked at for the newest hour
        self._waits = -1  # corrections of old hours that were there at the last look

    def wake(self) -> None:
        """Something was committed."""
        self._waking.wake()

    async def close(self) -> None:
        await self._alone.close()
        if self._redis is not None:
            await self._redis.aclose()

    async def run(self) -> None:
        """For ever; a database that is away is waited for."""
        loop = asyncio.get_running_loop()
        look_at = tell_at = loop.time()
        while True:
            try:
                lease = await self._alone.lease()
                if lease is not None:
                    began = loop.time()
                    if began >= tell_at and await self.tell():
                        look_at = min(look_at, loop.time() + SOON)
                        tell_at = loop.time() + REST * (loop.time() - began)
                    if loop.time() >= look_at:
                        look_at = loop.time() + EVERY
                        done = await self.look(lease)
                        await asyncio.to_thread(_give_back)
                        if done.written:
                            log.info("features written", extra={"rows": done.written, "old": done.old})
            except (StoreUnavailable, Fenced) as error:
                self._alone.lost()
                log.warning("features wait", extra={"error": str(error)})
                await self._wall.sleep(1.0)
            await self._waking.wait(min(max(look_at - loop.time(), 0.05), 5.0))

    async def tell(self) -> bool:
        """Tell Redis the rows of the newest hour if a bar of it came; whether one did."""
        now = self._node.clock.now()
        hour = floor(now, HOUR)
        if not await self._news(hour):
            return False
        made = await rows(self._recent, TimeRange(hour - HOUR, hour), Point(as_of=now), now)
        there = [one for one in made if _has_price(one)]
        await self._publish(hour, there, stored=False)
        return True

    async def look(self, lease: Lease) -> Built:
        """Store what is new of the recent hours, of missing ones, and of those that a correction changed."""
        store = self._node.store
        as_of = self._node.clock.now() - timedelta(seconds=SETTLED)
        newest, done = floor(as_of, HOUR), Built()
        await store.vectors.declare(SET, NAMES, self._node.clock.now, await store.ledger.newest(), lease)
        recent = TimeRange(newest - RECENT, newest)
        made = await rows(self._recent, recent, Point(as_of=as_of), as_of)
        ready = [one for one in made if _has_price(one) or as_of >= one.at + PATIENCE]
        await self._write(ready, lease, done)
        await self._publish(newest, [one for one in ready if one.at == newest], stored=True)
        await self._old(recent.start, as_of, lease, done)
        return done

    async def _old(self, before: datetime, as_of: datetime, lease: Lease, done: Built) -> None:
        """The hours up to `before` that lack rows or whose inputs changed, once the changes have come to rest."""
        store = self._node.store
        known = await store.vectors.newest_set()
        if known is None or known.hash != SET:
            return
        mark = await store.ledger.newest()
        changes = await store.ledger.changes(known.looked)
        extent = await store.vectors.extent(SET)
        corrected = affected(changes, await self._recent.records(), before)
        waits, self._waits = self._waits, len(corrected)
        if corrected and waits != len(corrected):
            return
        wanted = [part for one in corrected if extent and (part := one.overlap(_rows(extent)))]
        wanted += await self._missing(before, as_of)
        loader = Loader(store, self._node.registry)
        for span in reversed(Coverage.of(wanted).ranges):
            for part in reversed(list(span.split(STEP))):
                made = await rows(loader, part, Point(as_of=as_of), as_of)
                done.old += len(made)
                await self._write(made, lease, done)
        await store.vectors.write(SET, [], self._node.clock.now, lease, looked=mark)

    async def _missing(self, before: datetime, as_of: datetime) -> list[TimeRange]:
        """Runs of whole hours within REACH in which no asset has a row."""
        start = floor(as_of, HOUR) - REACH
        found = await self._node.store.vectors.hours(SET, TimeRange(start + HOUR, before + HOUR))
        there = set().union(*found.values()) if found else set()
        count = (before - start) // HOUR
        return [
            TimeRange(start + n * HOUR, start + (n + 1) * HOUR)
            for n in range(count)
            if start + (n + 1) * HOUR not in there
        ]

    async def _write(self, made: list[Vector], lease: Lease, done: Built) -> None:
        done.rows += len(made)
        done.written += len(await self._node.store.vectors.write(SET, made, self._node.clock.now, lease))

    async def _news(self, hour: datetime) -> bool:
        """Whether a bar of the hour that ended last was committed since the last time that this was asked."""
        ledger = self._node.store.ledger
        if self._mark < 0:
            self._mark = await ledger.newest()
            return True
        streams = {of.bars.name for of in (await self._recent.symbols()).values()}
        changes = await ledger.changes(self._mark, streams)
        self._mark = max([self._mark, *(one.id for one in changes)])
        return any(one.range.start < hour and one.range.end >= hour for one in changes)

    async def _publish(self, hour: datetime, made: Iterable[Vector], *, stored: bool) -> None:
        """Tell Redis what it does not have; without Redis nobody asks there."""
        if self._redis is None:
            return
        if self._told.hour != hour:
            self._told = _Told(hour)
        new = [one for one in made if stored or self._told.numbers.get(one.asset) != one.numbers]
        told = {
            one.asset: {
                "at": one.at, "as_of": one.as_of, "feature_set": SET, "stored": stored,
                "features": unpack(one.numbers, NAMES),
            }
            for one in new
        }  # fmt: skip
        try:
            await HotFeatures(self._redis).publish(told)
            self._told.numbers |= {one.asset: one.numbers for one in new}
        except StoreUnavailable as error:
            log.warning("features are not told", extra={"error": str(error)})


def _has_price(one: Vector) -> bool:
    return unpack(one.numbers, NAMES)["price_usd"] is not None


def _rows(extent: tuple[datetime, datetime]) -> TimeRange:
    return TimeRange(extent[0] - HOUR, extent[1])


def _give_back() -> None:
    """Reading history takes hundreds of MB for seconds, which glibc would keep for ever."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # other C libraries have none
    if trim is not None:
        trim(0)
