"""A small upstream for the tests of the engine: hourly numbers that a test puts up, changes and takes down."""

import json
import shutil
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from ray_app.collect.running import Running
from ray_app.connect.api import HttpApi, Validators, client
from ray_app.model.clock import ManualClock
from ray_app.model.completeness import Schedule, spans
from ray_app.model.quota import Priority
from ray_app.model.series import FundingRate
from ray_app.model.source import Page, Plan, Quota, Slice, Source, Stream
from ray_app.model.texts import Article
from ray_app.model.timerange import TimeRange
from ray_app.store.reading import Fact
from ray_app.store.store import Store
from tests.collect.conftest import Books
from tests.connect.conftest import Counted
from tests.connect.served import Seen, Served, served, told

T0 = datetime(2026, 6, 1, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def hours(start: int, end: int) -> TimeRange:
    """Whole hours, counted from midnight of the first of June."""
    return TimeRange(T0 + start * HOUR, T0 + end * HOUR)


async def ask(api: Any, wanted: Slice) -> AsyncIterator[Page]:
    start, end = wanted.range.start.isoformat(), wanted.range.end.isoformat()
    yield await api.get("/rates", of=",".join(wanted.partitions), start=start, end=end)


def rows(page: Page) -> Iterable[Any]:
    found: Iterable[Any] = page.json()
    return found


def rate(row: Any, _: Slice) -> FundingRate:
    return FundingRate(symbol=row["of"], at=datetime.fromisoformat(row["at"]), rate=Decimal(row["rate"]))


def text(row: Any, _: Slice) -> Article:
    return Article(feed=row["of"], item=row["at"], at=datetime.fromisoformat(row["at"]), title=row["rate"])


RATES = Stream(
    name="rates", record=FundingRate, partitions=lambda _: ("a",), fetch=ask, rows=rows, parse=rate, every=HOUR,
    grain=HOUR, longest_slice=DAY, offers=T0 - 400 * DAY,
)  # fmt: skip


@dataclass
class Upstream:
    """What it tells: (partition, hour) to a number. `answers` says something else for a partition."""

    values: dict[tuple[str, datetime], str] = field(default_factory=dict)
    answers: dict[str, Callable[[], bytes]] = field(default_factory=dict)

    def put(self, partition: str, over: TimeRange, value: str = "1") -> None:
        for hour in over.split(HOUR):
            self.values[partition, hour.start] = value

    def take(self, partition: str, over: TimeRange) -> None:
        for hour in over.split(HOUR):
            self.values.pop((partition, hour.start), None)

    def answer(self, seen: Seen) -> bytes:
        of = seen.query["of"].split(",")
        for partition in of:
            if partition in self.answers:
                return self.answers[partition]()
        start, end = (datetime.fromisoformat(seen.query[name]) for name in ("start", "end"))
        found = [
            {"of": p, "at": at.isoformat(), "rate": value}
            for (p, at), value in sorted(self.values.items())
            if p in of and start <= at < end
        ]
        return told(json.dumps(found).encode())


@dataclass
class Small:
    """A stream that is collected from the small upstream into a store."""

    upstream: Upstream
    server: Served
    store: Store
    books: Books
    clock: ManualClock
    turns: Counted
    running: Running

    async def cycle(self, at: datetime | None = None) -> bool:
        if at is not None:
            self.clock.set(at)
        return await self.running.cycle()

    def asked(self) -> list[tuple[str, TimeRange]]:
        """What was asked for since the last look, each with its partitions."""
        out = []
        for seen in self.server.seen:
            start, end = (datetime.fromisoformat(seen.query[name]) for name in ("start", "end"))
            out.append((seen.query["of"], TimeRange(start, end)))
        self.server.seen.clear()
        return out

    async def tried(
        self, partition: str = "a", over: TimeRange | None = None
    ) -> list[tuple[TimeRange, str, str]]:
        over = over or TimeRange(T0 - 900 * DAY, T0 + 900 * DAY)
        found = await self.store.ledger.tried(self.running.name, over, [partition])
        return [(one.range, one.outcome, one.reason) for one in found.get(partition, [])]

    async def covered(self, partition: str = "a") -> tuple[TimeRange, ...]:
        over = TimeRange(T0 - 900 * DAY, T0 + 900 * DAY)
        found = await self.store.ledger.coverage(self.running.name, over)
        return found[partition].ranges if partition in found else ()

    async def facts(self, partition: str = "a") -> list[Fact]:
        over = TimeRange(T0 - 900 * DAY, T0 + 900 * DAY)
        stream = self.running.stream
        return await self.store.reading.between(stream.record, self.running.name, [partition], over)

    async def values(self, partition: str = "a") -> dict[datetime, str]:
        return {fact.cursor: str(fact.values["rate"]) for fact in await self.facts(partition)}

    async def states(self, over: TimeRange, partition: str = "a") -> list[tuple[TimeRange, str]]:
        stream = self.running.stream
        schedule = Schedule(stream.grain, stream.every, stream.settle, stream.offers, self.running.since)
        lines, cursors = await self.books.verify(stream, self.running.name, partition, over)
        return [(s.range, s.state) for s in spans(schedule, over, self.clock.now(), lines, cursors)]


@asynccontextmanager
async def collecting(
    tmp_path: Path, prepared: Path, stream: Stream = RATES, partitions: Sequence[str] = ("a",), **more: Any
) -> AsyncIterator[Small]:
    """Collect the stream into a new SQLite file, from midnight on; the time stands where it is put."""
    shutil.copy(prepared, tmp_path / "node.db")
    store = Store(f"sqlite+aiosqlite:///{tmp_path}/node.db", str(tmp_path / "raw"))
    http, upstream = client(), Upstream()
    clock, validators = ManualClock(more.pop("now", T0)), Validators()
    turns = Counted(clock)
    async with served(upstream.answer) as server:
        stream = replace(stream, attempts=1)
        plan = Plan(name="p", base_url="https://small.example", quota=Quota(600, MINUTE), streams=(stream,))
        source = Source(name="small", docs="", plans=(plan,), licence="")
        lease = await store.leases.acquire("shard", "me")
        assert lease is not None
        books = Books(store, lease)

        def api(stream: Stream, priority: Priority, before: datetime | None) -> HttpApi:
            return HttpApi(
                source=source, plan=plan, stream=stream, priority=priority, turns=turns, clock=clock,
                keep=store.raw.keep, http=http, base_url=server.base, simulated=True, before=before,
                validators=validators,
            )  # fmt: skip

        told: dict[str, Any] = {"reach": HOUR, "since": T0} | more
        running = Running(
            source=source,
            stream=stream,
            partitions=tuple(partitions),
            books=books,
            api=api,
            clock=clock,
            **told,
        )
        try:
            yield Small(upstream, server, store, books, clock, turns, running)
        finally:
            await http.aclose()
            await store.close()
