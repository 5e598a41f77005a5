"""One stream, kept complete: look for gaps, fill them, commit, wait for the next due time.

Live polling, healing and first backfill are the same cycle over a longer or shorter reach. What a cycle
fetched is committed before the next begins; a store that is down is waited for, with the answer in hand.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from ray_app.collect.collector import failure, lost, unanswered
from ray_app.collect.filling import Apis, Filling
from ray_app.collect.filling import Books as FillingBooks
from ray_app.collect.planner import (
    ALL_LIVE,
    Lives,
    askable,
    forgotten,
    fresh_from,
    in_order,
    next_due,
    no_longer_offered,
    on_offer,
    plan,
)
from ray_app.collect.saving import save
from ray_app.collect.together import together
from ray_app.model.clock import Clock
from ray_app.model.collected import Collected
from ray_app.model.errors import NotOffered, Refused, StoreUnavailable
from ray_app.model.quota import Priority
from ray_app.model.source import Slice, Source, Stream
from ray_app.model.timerange import ALWAYS, Coverage, TimeRange, ceil

SILENT_CYCLES = 12  # a partition asked for this often in a row without an answer is not offered
ASK_AGAIN = timedelta(hours=24)  # whether what was not offered is offered now
REFUSED_PAUSE = timedelta(hours=1)  # then one more try, in case a human or the upstream mended it
FIRST_RETRY = timedelta(seconds=30)
LOOK_FOR_LOST = timedelta(hours=1)  # what is lost is told by the schedule meanwhile
LOST_AT_ONCE = 100  # lines of the ledger in one commit
AT_ONCE = 4  # slices of one stream under way together
LONGEST_REFUSAL = timedelta(hours=24)  # between tries at one partition that refuses us


@dataclass(slots=True)
class Status:
    """How a stream's collector is doing. Errors are counted by reaction since the start."""

    state: str = "waiting"  # waiting | collecting | refused
    last_run: datetime | None = None
    last_success: datetime | None = None
    next_run: datetime | None = None
    last_error: str = ""
    last_error_at: datetime | None = None
    errors: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Refusal:
    """Partitions of a stream of independent services that refuse us: until when they are left alone, and why."""

    until: datetime
    pause: timedelta
    error: Refused


class Books(FillingBooks, Protocol):
    """What collecting needs of the store."""

    async def coverage(self, stream: str, over: TimeRange) -> dict[str, Coverage]: ...

    async def report(self, stream: str, status: Status) -> None: ...


@dataclass(slots=True, kw_only=True)
class Running:
    """One stream of one source under one plan. `reach` is how far back gaps are looked for."""

    source: Source
    stream: Stream
    partitions: tuple[str, ...]
    books: Books
    api: Apis
    clock: Clock
    reach: timedelta
    since: datetime  # what this node accounts for begins here
    lives: Lives = field(default_factory=lambda: ALL_LIVE)  # of partitions that have not always been
    status: Status = field(default_factory=Status)
    _silent: Counter[str] = field(default_factory=Counter)
    _tries: Counter[Slice] = field(default_factory=Counter)
    _refusals: dict[tuple[str, ...], Refusal] = field(default_factory=dict)
    _failed_cycles: int = 0
    _looked_at: datetime | None = None
    _lost_at: datetime | None = None
    begun: asyncio.Event = field(default_factory=asyncio.Event)  # its first cycle is over
    _filling: Filling = field(init=False)

    def __post_init__(self) -> None:
        self._filling = Filling(
            source=self.source,
            stream=self.stream,
            books=self.books,
            api=self.api,
            clock=self.clock,
            note=self._note,
            skip=self._skip,
        )

    @property
    def name(self) -> str:
        return f"{self.source.name}.{self.stream.name}"

    async def run(self) -> None:
        """For ever. Raises Fenced when somebody else took over, WrongStore when data is not of our kind."""
        while True:
            started = self.clock.now()
            self.status.state, self.status.last_run = "collecting", started
            try:
                failed = await self.cycle()
            except StoreUnavailable as error:
                failed = True
                self._note(error)
            self.begun.set()
            self.status.next_run = self._next_run(started, failed)
            if self.status.state != "refused":
                self.status.state = "waiting"
            await self._report()
            await self.clock.sleep_until(self.status.next_run)

    async def cycle(self) -> bool:
        """Fill every gap on offer once, and write down what is lost; True when some slice failed."""
        now = self.clock.now()
        if self._lost_at is None or now - self._lost_at >= LOOK_FOR_LOST:
            await self._lose(now)
            self._lost_at = now
        over = on_offer(self.stream, now, max(self.reach, now - self.since))
        if over is None:
            return False
        done = await self.books.coverage(self.name, over)
        lacking = in_order(self.stream, self._gaps(over, done, now), now)
        lacking += self._look_again(over, lacking, now)
        self._tries = Counter({s: n for s, n in self._tries.items() if s in set(lacking)})
        if len(lacking) > AT_ONCE:  # it will take a while
            await self._report()
        results: list[bool] = []

        async def one(wanted: Slice) -> None:
            if self.status.state != "refused":
                results.append(await self._fill(wanted, now, done))

        await together([partial(one, wanted) for wanted in lacking], AT_ONCE)
        return not all(results)

    def _look_again(self, over: TimeRange, lacking: Sequence[Slice], now: datetime) -> list[Slice]:
        """Once a day what the upstream may have corrected; equal values add nothing."""
        if not self.stream.restated or (self._looked_at and now - self._looked_at < ASK_AGAIN):
            return []
        first, self._looked_at = self._looked_at is None, now
        lately = over.overlap(TimeRange(max(over.start, now - self.stream.restated), over.end))
        if first or lately is None:  # a start has just filled, or fills, the gaps of these days
            return []
        asked = set(lacking)
        return [s for s in self._gaps(lately, {}, now) if s not in asked]

    def _gaps(self, over: TimeRange, done: Mapping[str, Coverage], now: datetime) -> Iterator[Slice]:
        """What is lacking and can still be asked for."""
        lives = askable(self.stream, self.lives, now)
        return plan(self.stream, self.partitions, over, done, lives=lives)

    async def _fill(self, wanted: Slice, now: datetime, done: Mapping[str, Coverage]) -> bool:
        priority = self._priority(wanted, now)
        self._tries[wanted] += 1
        if refusal := self._refusing(wanted):
            await self._save(failure(self.source, self.stream, wanted, refusal.error, self.clock.now()))
            return True
        old = priority > Priority.LIVE and any(p in done for p in wanted.partitions)
        filled = await self._filling.fill(wanted, priority, prove=old)
        if filled.collected is None:
            if isinstance(filled.error, Refused) and self.stream.independent:
                self._leave_alone(wanted, filled.error)
                return True
            if filled.ended == "refused":
                self.status.state = "refused"
            return filled.ended == "not_offered"
        self._refusals.pop(wanted.partitions, None)
        if self.status.state == "refused":
            self.status.state = "collecting"
        self.status.last_success = self.clock.now()
        await self._listen_for_silence(filled.collected)
        return True

    def _refusing(self, wanted: Slice) -> Refusal | None:
        refusal = self._refusals.get(wanted.partitions)
        return refusal if refusal and self.clock.now() < refusal.until else None

    def _leave_alone(self, wanted: Slice, error: Refused) -> None:
        """The other partitions go on; this one is tried again after an hour, then two, up to a day."""
        earlier = self._refusals.get(wanted.partitions)
        if earlier and self.clock.now() < earlier.until:
            return  # another slice of the same cycle was refused just now
        pause = min(LONGEST_REFUSAL, earlier.pause * 2) if earlier else REFUSED_PAUSE
        self._refusals[wanted.partitions] = Refusal(self.clock.now() + pause, pause, error)

    async def _listen_for_silence(self, collected: Collected) -> None:
        """After SILENT_CYCLES without an answer in a batch a partition is left out for a day, on record."""
        if self.stream.batch == 1 or self.stream.patience:
            return  # what comes late is awaited, interval by interval
        silent = unanswered(collected)
        for partition in collected.slice.partitions:
            self._silent[partition] = self._silent[partition] + 1 if partition in silent else 0
        if gone := tuple(p for p in silent if self._silent[p] >= SILENT_CYCLES):
            for partition in gone:
                del self._silent[partition]
            reason = NotOffered(
                self.source.name, f"asked for in {SILENT_CYCLES} cycles in a row, never answered"
            )
            self._note(reason)
            end = collected.slice.range.end
            await self._save(self._skip(Slice(gone, TimeRange(end, end + self.stream.grain)), reason))

    def _skip(self, wanted: Slice, error: NotOffered) -> Collected:
        """Leave the partitions out until they are asked again, and say so in the ledger."""
        now = self.clock.now()
        until = wanted.range.end
        if until + self.stream.grain > now - self.stream.settle:  # it is so now, not only then
            until = max(until, ceil(now + ASK_AGAIN, self.stream.grain))
        skipped = Slice(wanted.partitions, TimeRange(wanted.range.start, until))
        return failure(self.source, self.stream, skipped, error, now)

    async def _save(self, *collected: Collected) -> None:
        """Commit, waiting for the store as long as it takes. Raises Fenced."""
        await save(self.books, collected, self.clock, self._note)

    def _priority(self, wanted: Slice, now: datetime) -> Priority:
        if self.stream.offers is None:
            return Priority.PRESENT
        if self._tries[wanted]:
            return Priority.HEAL
        return Priority.LIVE if wanted.range.end > fresh_from(self.stream, now) else Priority.BACKFILL

    def _next_run(self, started: datetime, failed: bool) -> datetime:
        """What fell due since the cycle `started` is due now: it looked for nothing that came later."""
        now = self.clock.now()
        if self.status.state == "refused":
            return now + REFUSED_PAUSE
        due = next_due(self.stream, started)
        self._failed_cycles = self._failed_cycles + 1 if failed else 0
        retry = now + FIRST_RETRY * 2 ** min(self._failed_cycles - 1, 10) if failed else due
        return min(due, retry)

    def _note(self, error: Exception) -> None:
        self.status.errors[type(error).__name__] += 1
        self.status.last_error = str(error)[:500]
        self.status.last_error_at = self.clock.now()

    async def _lose(self, now: datetime) -> None:
        """Write down the gaps that the upstream does not offer any more, once, each with what is known of it."""
        ended = [p for p in self.partitions if self.lives.get(p, ALWAYS).over_by(now)]
        for of, over, gone in (
            (self.partitions, no_longer_offered(self.stream, self.since, now), False),
            (ended, forgotten(self.stream, self.since, now), True),
        ):
            gaps = await self._lacking(of, over)
            for at in range(0, len(gaps), LOST_AT_ONCE):
                some = gaps[at : at + LOST_AT_ONCE]
                await self._save(*(lost(self.source, self.stream, gap, now, forgotten=gone) for gap in some))

    async def _lacking(self, partitions: Sequence[str], over: TimeRange | None) -> list[Slice]:
        if over is None or not partitions:
            return []
        done = await self.books.coverage(self.name, over)
        return list(plan(self.stream, partitions, over, done, longest=over.length, lives=self.lives))

    async def _report(self) -> None:
        try:
            await self.books.report(self.name, self.status)
        except StoreUnavailable as error:
            self._note(error)
