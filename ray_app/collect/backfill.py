"""Cover an old range of one stream on request, and hand out a receipt.

The same plan, collect and commit as live work, at backfill priority. Stopped and started again it goes on
with what is missing. The receipt counts what re-reading the store shows, not what was sent there.
"""

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol

from ray_app.collect.filling import Apis, Filling
from ray_app.collect.filling import Books as FillingBooks
from ray_app.collect.planner import ALL_LIVE, Lives, askable, on_offer, plan
from ray_app.collect.together import together
from ray_app.model.clock import Clock
from ray_app.model.completeness import Schedule, Span, spans, totals
from ray_app.model.errors import Refused
from ray_app.model.quota import Priority
from ray_app.model.source import Slice, Source, Stream
from ray_app.model.timerange import ALWAYS, Coverage, TimeRange

AT_ONCE = 8
FOREVER = timedelta(days=36_500)
PATIENCE = 3  # failed rounds in a row over the same gaps before the job gives up on them


@dataclass(frozen=True, slots=True)
class Request:
    """What to cover: a stream (source.stream), some of its partitions, and a range."""

    stream: str
    partitions: tuple[str, ...]
    range: TimeRange

    def as_json(self) -> dict[str, Any]:
        start, end = self.range.start.isoformat(), self.range.end.isoformat()
        return {"stream": self.stream, "partitions": list(self.partitions), "start": start, "end": end}


@dataclass(slots=True)
class Receipt:
    """What a backfill did. Intervals are those of the requested range; they add up to `requested`."""

    requested: int = 0  # intervals
    slices: int = 0  # calls planned in this run
    fetched: int = 0  # slices answered in this run
    records: int = 0  # in those answers
    new: int = 0
    revised: int = 0
    unchanged: int = 0
    set_aside: int = 0
    failed: int = 0  # slices that were given up in this run
    verified: dict[str, int] = field(default_factory=dict)  # intervals by state, by re-reading the store
    lost: list[dict[str, str]] = field(default_factory=list)  # what is not there, with reasons
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Books(FillingBooks, Protocol):
    """What a backfill needs of the store."""

    async def coverage(self, stream: str, over: TimeRange) -> dict[str, Coverage]: ...
    async def verify(
        self, stream: Stream, name: str, partition: str, over: TimeRange
    ) -> tuple[list[Any], list[datetime]]:
        """What was tried and which cursors there are, read from the store."""


Progress = Callable[[int, int, Receipt], Awaitable[None]]


@dataclass(slots=True, kw_only=True)
class Backfill:
    """One request on its way. `progress` is told (slices done, slices in all, receipt so far)."""

    source: Source
    stream: Stream
    request: Request
    books: Books
    api: Apis
    clock: Clock
    progress: Progress
    lives: Lives = field(default_factory=lambda: ALL_LIVE)  # of partitions that have not always been
    receipt: Receipt = field(default_factory=Receipt)
    _answered: dict[str, Coverage] = field(default_factory=dict)  # in this run, whatever the answers held
    _filling: Filling = field(init=False)

    def __post_init__(self) -> None:
        self._filling = Filling(
            source=self.source, stream=self.stream, books=self.books, api=self.api, clock=self.clock
        )

    async def run(self) -> Receipt:
        """Cover the range as far as the upstream offers it. Raises Refused, Fenced."""
        over = self._offered()
        if over is not None:
            tries = 0
            while tries < PATIENCE and (wanted := await self._gaps(over)):
                self.receipt.slices += len(wanted)
                failed = await self._round(wanted)
                tries = tries + 1 if failed else 0
                if failed:
                    await self.clock.sleep(30.0 * tries)
        await self._verify()
        return self.receipt

    def _offered(self) -> TimeRange | None:
        offered = on_offer(self.stream, self.clock.now(), FOREVER)
        if self.stream.offers is None:
            self.receipt.note = "this upstream tells only the present: nothing can be fetched for the past"
            return None
        over = offered.overlap(self.request.range) if offered is not None else None
        if over is None:
            self.receipt.note = f"nothing of this range is on offer; the upstream has {offered}"
        return over

    async def _gaps(self, over: TimeRange) -> list[Slice]:
        """What is not accounted for. What is awaited only later than now is asked for once in a run."""
        stored, nothing = await self.books.coverage(self.request.stream, over), Coverage()
        done = {
            p: Coverage.of((*stored.get(p, nothing).ranges, *self._answered.get(p, nothing).ranges))
            for p in self.request.partitions
        }
        lives = askable(self.stream, self.lives, self.clock.now())
        return list(plan(self.stream, self.request.partitions, over, done, lives=lives))

    async def _round(self, wanted: list[Slice]) -> bool:
        total = self.receipt.slices
        failures: list[Slice] = []

        async def one(part: Slice) -> None:
            if not await self._fill(part):
                failures.append(part)
            await self.progress(self.receipt.fetched + self.receipt.failed, total, self.receipt)

        await together([partial(one, part) for part in wanted], AT_ONCE)
        return bool(failures)

    async def _fill(self, wanted: Slice) -> bool:
        """Whether the slice need not be asked for again in this run. Raises Refused, Fenced."""
        filled = await self._filling.fill(wanted, Priority.BACKFILL)
        collected, stored = filled.collected, filled.stored
        if collected is None:
            if isinstance(filled.error, Refused) and not self.stream.independent:
                raise filled.error
            self.receipt.failed += 1
            return filled.ended == "not_offered"
        for partition in wanted.partitions:
            self._answered[partition] = self._answered.get(partition, Coverage()).add(wanted.range)
        self.receipt.fetched += 1
        self.receipt.records += len(collected.records)
        self.receipt.set_aside += len(collected.set_aside)
        self.receipt.new += stored.new
        self.receipt.revised += stored.revised
        self.receipt.unchanged += stored.unchanged
        return True

    async def _verify(self) -> None:
        """Look every interval of the request up in the store; name what is not collected, with its reason."""
        stream, now = self.stream, self.clock.now()
        expected = Schedule(
            stream.grain, stream.every, stream.settle, stream.offers, self.request.range.start
        )
        found: list[Span] = []
        for partition in self.request.partitions:
            tried, cursors = await self.books.verify(
                stream, self.request.stream, partition, self.request.range
            )
            expected = replace(expected, life=self.lives.get(partition, ALWAYS))
            mine = spans(expected, self.request.range, now, tried, cursors)
            found += mine
            self.receipt.lost += [
                {
                    "partition": partition,
                    "start": span.range.start.isoformat(),
                    "end": span.range.end.isoformat(),
                    "state": span.state,
                    "reason": span.reason,
                }
                for span in mine
                if span.state != "collected"
            ]
        self.receipt.verified = {state: count for state, count in totals(found).items() if count}
        self.receipt.requested = sum(self.receipt.verified.values())
