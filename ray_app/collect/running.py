"""One stream, kept complete: look for gaps, fill them, commit, wait for the next due time.

Live polling, healing and first backfill are the same cycle over a longer or shorter reach. What a cycle
fetched is committed before the next begins; a store that is down is waited for, with the answer in hand.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from ray_app.collect.collector import collect, failure, unanswered
from ray_app.collect.planner import next_due, on_offer, plan
from ray_app.collect.together import together
from ray_app.model.clock import Clock
from ray_app.model.collected import Collected
from ray_app.model.errors import NotOffered, Refused, StoreUnavailable, UpstreamError
from ray_app.model.quota import Priority
from ray_app.model.source import Api, Slice, Source, Stream
from ray_app.model.timerange import Coverage, TimeRange, ceil

SILENT_CYCLES = 12  # a partition asked for this often in a row without an answer is not offered
ASK_AGAIN = timedelta(hours=24)  # whether what was not offered is offered now
REFUSED_PAUSE = timedelta(hours=1)  # then one more try, in case a human or the upstream mended it
FIRST_RETRY = timedelta(seconds=30)
AT_ONCE = 4  # slices of one stream under way together
LATE = timedelta(seconds=2)  # a commit later than this after its page was had at the commit's time
STORE_WAIT = (0.2, 5.0)  # seconds between tries at a store that is down: first, longest


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


class Books(Protocol):
    """What collecting needs of the store."""

    async def coverage(self, stream: str, over: TimeRange) -> dict[str, Coverage]: ...

    async def commit(self, collected: Sequence[Collected]) -> object:
        """Facts and coverage together. Raises StoreUnavailable (try again) or Fenced (stop)."""

    async def report(self, stream: str, status: Status) -> None: ...


@dataclass(slots=True, kw_only=True)
class Running:
    """One stream of one source under one plan. `reach` is how far back gaps are looked for."""

    source: Source
    stream: Stream
    partitions: tuple[str, ...]
    books: Books
    api: Callable[[Stream, Priority], Api]
    clock: Clock
    reach: timedelta
    status: Status = field(default_factory=Status)
    _silent: Counter[str] = field(default_factory=Counter)
    _tries: Counter[Slice] = field(default_factory=Counter)
    _failed_cycles: int = 0

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
            self.status.next_run = self._next_run(failed)
            if self.status.state != "refused":
                self.status.state = "waiting"
            await self._report()
            await self.clock.sleep_until(self.status.next_run)

    async def cycle(self) -> bool:
        """Fill every gap on offer once; True when some slice failed."""
        now = self.clock.now()
        over = on_offer(self.stream, now, self.reach)
        if over is None:
            return False
        done = await self.books.coverage(self.name, over)
        lacking = sorted(
            plan(self.stream, self.partitions, over, done), key=lambda s: s.range.end, reverse=True
        )
        self._tries = Counter({s: n for s, n in self._tries.items() if s in set(lacking)})
        await self._report()
        results: list[bool] = []

        async def one(wanted: Slice) -> None:
            if self.status.state != "refused":
                results.append(await self._fill(wanted, self._priority(wanted, now)))

        await together([partial(one, wanted) for wanted in lacking], AT_ONCE)
        return not all(results)

    async def _fill(self, wanted: Slice, priority: Priority) -> bool:
        self._tries[wanted] += 1
        try:
            collected = await collect(self.source, self.stream, wanted, self.api(self.stream, priority))
        except NotOffered as error:
            self._note(error)
            await self._save(self._skip(wanted, error))
            return True
        except UpstreamError as error:
            self._note(error)
            if isinstance(error, Refused):
                self.status.state = "refused"
            await self._save(failure(self.source, self.stream, wanted, error, self.clock.now()))
            return False
        except StoreUnavailable as error:  # the page could not be kept, so it does not count
            self._note(error)
            return False
        await self._save(collected)
        if self.status.state == "refused":
            self.status.state = "collecting"
        self.status.last_success = self.clock.now()
        await self._listen_for_silence(collected)
        return True

    async def _listen_for_silence(self, collected: Collected) -> None:
        """After SILENT_CYCLES without an answer in a batch a partition is left out for a day, on record."""
        if self.stream.batch == 1:
            return
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
        until = max(wanted.range.end, ceil(now + ASK_AGAIN, self.stream.grain))
        skipped = Slice(wanted.partitions, TimeRange(wanted.range.start, until))
        return failure(self.source, self.stream, skipped, error, now)

    async def _save(self, collected: Collected) -> None:
        """Commit, waiting for the store as long as it takes. Raises Fenced."""
        wait, longest = STORE_WAIT
        while True:
            now = self.clock.now()
            if now - collected.received_at > LATE:
                collected = collected.received(now)
            try:
                await self.books.commit([collected])
                return
            except StoreUnavailable as error:
                self._note(error)
                await self.clock.sleep(wait)
                wait = min(longest, wait * 2)

    def _priority(self, wanted: Slice, now: datetime) -> Priority:
        if self.stream.offers is None:
            return Priority.PRESENT
        if self._tries[wanted]:
            return Priority.HEAL
        fresh = now - self.stream.settle - 2 * self.stream.every
        return Priority.LIVE if wanted.range.end > fresh else Priority.BACKFILL

    def _next_run(self, failed: bool) -> datetime:
        now = self.clock.now()
        if self.status.state == "refused":
            return now + REFUSED_PAUSE
        due = next_due(self.stream, now)
        self._failed_cycles = self._failed_cycles + 1 if failed else 0
        retry = now + FIRST_RETRY * 2 ** min(self._failed_cycles - 1, 10) if failed else due
        return min(due, retry)

    def _note(self, error: Exception) -> None:
        self.status.errors[type(error).__name__] += 1
        self.status.last_error = str(error)[:500]
        self.status.last_error_at = self.clock.now()

    async def _report(self) -> None:
        try:
            await self.books.report(self.name, self.status)
        except StoreUnavailable as error:
            self._note(error)
