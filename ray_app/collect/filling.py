"""Fill one slice: ask, prove an old gap against its neighbour, commit, and say how it ended.

Before an old gap is healed, the last interval known before it is asked for again, in the same call: an
upstream that no longer tells what it told may fill the gap with anything. What it tells twice in a row
with the same difference is taken as a correction, and becomes a revision. So with what it leaves out: a hole in
an old range is believed when it is told twice; in a young one the interval is awaited.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from ray_app.collect.collector import beside, collect, failure, holes
from ray_app.collect.saving import Commits, save
from ray_app.model.clock import Clock
from ray_app.model.collected import Collected
from ray_app.model.errors import NotOffered, Refused, StoreUnavailable, Transient, UpstreamError
from ray_app.model.quota import Priority
from ray_app.model.records import Record
from ray_app.model.source import Api, Slice, Source, Stream
from ray_app.model.timerange import TimeRange

Ended = Literal["filled", "not_offered", "disputed", "failed", "refused", "not_kept"]


class Asking(Api, Protocol):
    def forget(self) -> None:
        """What was answered could not be used: ask for it whole next time, changed or not."""


Apis = Callable[[Stream, Priority, datetime | None], Asking]


class Known(Protocol):
    """One stored fact, as its reader gives it."""

    @property
    def partition(self) -> str: ...
    @property
    def key(self) -> datetime | str: ...
    @property
    def values(self) -> dict[str, Any]: ...


class Books(Commits[Any], Protocol):
    async def known(self, stream: Stream, name: str, over: TimeRange, of: Sequence[str]) -> Sequence[Known]:
        """The facts within `over` as they stand."""


@dataclass(frozen=True, slots=True)
class Filled:
    """How a slice ended; `collected` is there when it was answered. Disputed: worth a second look."""

    ended: Ended
    collected: Collected | None = None
    stored: Any = None
    error: Exception | None = None


@dataclass(slots=True, kw_only=True)
class Filling:
    """Fills the slices of one stream."""

    source: Source
    stream: Stream
    books: Books
    api: Apis
    clock: Clock
    note: Callable[[Exception], None] = lambda _: None
    skip: Callable[[Slice, NotOffered], Collected] | None = None
    _disputed: dict[tuple[str, datetime | str], dict[str, Any]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.source.name}.{self.stream.name}"

    async def fill(self, wanted: Slice, priority: Priority, *, prove: bool = False) -> Filled:
        """One slice. Raises Fenced; everything that an upstream or the disk does is an outcome."""
        known = await self._neighbours(wanted) if prove else []
        asked = self._widened(wanted) if known else wanted
        api = self.api(self.stream, priority, deadline(self.stream, wanted))
        disputed = ""
        try:
            collected = await collect(self.source, self.stream, asked, api)
            if disputed := self._compare(known, collected):
                raise Transient(self.source.name, disputed)
            again = await self._second_look(wanted, collected, api)
        except NotOffered as error:
            self.note(error)
            gone = self.skip(wanted, error) if self.skip else self._failure(wanted, error)
            await save(self.books, [gone], self.clock, self.note)
            return Filled("not_offered", error=error)
        except UpstreamError as error:
            api.forget()
            self.note(error)
            await save(self.books, [self._failure(wanted, error)], self.clock, self.note)
            if disputed:
                return Filled("disputed", error=error)
            return Filled("refused" if isinstance(error, Refused) else "failed", error=error)
        except StoreUnavailable as error:  # the page could not be kept, so it does not count
            self.note(error)
            return Filled("not_kept", error=error)
        more = beside(self.stream, asked, collected, self.clock.now())
        stored = await save(self.books, [collected, *again, *more], self.clock, self.note)
        return Filled("filled", collected, stored)

    async def _second_look(self, wanted: Slice, collected: Collected, api: Api) -> list[Collected]:
        """What an old range leaves out is believed when it is left out twice. Raises UpstreamError."""
        lacking = holes(self.stream, wanted, collected, self.clock.now())
        return [] if lacking is None else [await collect(self.source, self.stream, lacking, api)]

    def _failure(self, wanted: Slice, error: UpstreamError) -> Collected:
        return failure(self.source, self.stream, wanted, error, self.clock.now())

    def _widened(self, wanted: Slice) -> Slice:
        """The slice with the interval before it; cut at the end where that is more than one call tells."""
        start = wanted.range.start - self.stream.grain
        end = min(wanted.range.end, start + max(self.stream.longest_slice, 2 * self.stream.grain))
        return Slice(wanted.partitions, TimeRange(start, end))

    async def _neighbours(self, wanted: Slice) -> Sequence[Known]:
        if not provable(self.stream):
            return []
        before = TimeRange(wanted.range.start - self.stream.grain, wanted.range.start)
        return await self.books.known(self.stream, self.name, before, wanted.partitions)

    def _compare(self, known: Sequence[Known], collected: Collected) -> str:
        """How the upstream tells a known interval differently for the first time; empty when it does not."""
        told = {(record.partition, record.key): record for record, _ in collected.records}
        differing = []
        for fact in known:
            place = fact.partition, fact.key
            now = _values(told[place], fact.values) if place in told else {}
            if now == fact.values:
                self._disputed.pop(place, None)
            elif not now or self._disputed.get(place) != now:
                self._disputed[place] = now
                differing.append((fact, now))
        if differing:
            return _difference(*differing[0], len(differing) - 1)
        for fact in known:
            self._disputed.pop((fact.partition, fact.key), None)
        return ""


def _difference(fact: Known, now: dict[str, Any], more: int) -> str:
    differ = sorted(k for k in fact.values if now.get(k) != fact.values[k])
    had = {k: str(fact.values[k]) for k in differ[:3]}
    has = {k: str(now[k]) for k in differ[:3]} if now else "nothing"
    told = f"not healed: for {fact.partition} at {fact.key} we have {had}, it now tells {has}"
    return f"{told}; {more} more differ" if more else told


def provable(stream: Stream) -> bool:
    """Whether the stream's past can be asked for again and compared: values by time, told for ranges."""
    return stream.offers is not None and not stream.record.key_field and not stream.unfinished


def deadline(stream: Stream, wanted: Slice) -> datetime | None:
    """When the upstream stops offering the slice; None when that is not foreseeable."""
    offers = stream.offers
    return wanted.range.start + offers if isinstance(offers, timedelta) else None


def _values(record: Record, like: dict[str, Any]) -> dict[str, Any]:
    return {name: getattr(record, name) for name in like}
