"""One stream being collected from a simulated upstream into a store, with everything that happened written down."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from ray_app.collect.planner import next_due
from ray_app.collect.running import Running, Status
from ray_app.connect.api import HttpApi, client
from ray_app.connect.signing import signing_for
from ray_app.connect.simulated import simulator_clock
from ray_app.model.clock import SimulatedClock
from ray_app.model.collected import Collected, Lease
from ray_app.model.completeness import Schedule, spans
from ray_app.model.quota import Priority
from ray_app.model.source import Page, Plan, Stream
from ray_app.model.timerange import Coverage, TimeRange
from ray_app.sources.coingecko import PRICES, SOURCE
from ray_app.store.facts import Committed
from ray_app.store.reading import Fact
from ray_app.store.store import Store
from tests.connect.conftest import KEY, START, Counted, Simulate, Simulated, answering, simulate

__all__ = ["answering", "simulate"]
DAY = timedelta(days=1)


@dataclass
class Books:
    """The store under a lease. `before` is called ahead of each commit and may raise in its place."""

    store: Store
    lease: Lease
    reports: list[Status] = field(default_factory=list)
    before: Callable[[Sequence[Collected]], Awaitable[None]] | None = None

    async def coverage(self, stream: str, over: TimeRange) -> dict[str, Coverage]:
        return await self.store.ledger.coverage(stream, over)

    async def commit(self, collected: Sequence[Collected]) -> Committed:
        if self.before is not None:
            await self.before(collected)
        return await self.store.commit(collected, self.lease)

    async def known(self, stream: Stream, name: str, over: TimeRange, of: Sequence[str]) -> list[Fact]:
        return await self.store.reading.between(stream.record, name, of, over)

    async def report(self, _: str, status: Status) -> None:
        self.reports.append(deepcopy(status))

    async def verify(self, stream: Stream, name: str, partition: str, over: TimeRange) -> tuple[Any, Any]:
        tried = await self.store.ledger.tried(name, over, [partition])
        facts = await self.store.reading.between(stream.record, name, [partition], over)
        return tried.get(partition, []), [fact.cursor for fact in facts]


@dataclass
class Collecting:
    """A running stream and ways to look at what it did."""

    running: Running
    books: Books
    simulated: Simulated
    clock: SimulatedClock
    turns: Counted

    @property
    def store(self) -> Store:
        return self.books.store

    async def cycle_at_next_due(self) -> bool:
        """Jump to the next time that is due and run a cycle."""
        await self.clock.sleep_until(self.next_due())
        return await self.running.cycle()

    def next_due(self) -> datetime:
        return next_due(self.running.stream, self.clock.now())

    def requests(self) -> list[dict[str, Any]]:
        """What reached the upstream, each with its query decoded."""
        return [
            arrival | {name: values[0] for name, values in parse_qs(arrival["query"]).items()}
            for arrival in self.simulated.ledger()
        ]

    async def facts(self) -> list[Fact]:
        over = TimeRange(self.clock.now() - 1000 * DAY, self.clock.now() + DAY)
        stream = self.running.stream
        return await self.store.reading.between(
            stream.record, self.running.name, self.running.partitions, over
        )

    async def tried(self, partition: str) -> list[tuple[TimeRange, str, str]]:
        over = TimeRange(self.clock.now() - 1000 * DAY, self.clock.now() + 3 * DAY)
        found = await self.store.ledger.tried(self.running.name, over, [partition])
        return [(one.range, one.outcome, one.reason) for one in found.get(partition, [])]


Collect = Callable[..., Awaitable[Collecting]]


@pytest.fixture
async def collecting(tmp_path: Path, prepared_sqlite: Path) -> AsyncIterator[Collect]:
    """Collect a stream of the paid plan from a simulator; by default into a new SQLite file, without a quota."""
    async with AsyncExitStack() as stack:

        async def made(
            simulated: Simulated,
            partitions: Sequence[str],
            stream: Stream = PRICES,
            *,
            plan: Plan | None = None,
            reach: timedelta = DAY,
            database: str = "",
            attempts: int = 1,
            keep: Callable[[Page], Awaitable[None]] | None = None,
            clock: SimulatedClock | None = None,
        ) -> Collecting:
            plan = plan or SOURCE.plan("paid")
            stream = replace(stream, attempts=attempts)
            if not database and not (tmp_path / "node.db").exists():
                shutil.copy(prepared_sqlite, tmp_path / "node.db")
            store = Store(database or f"sqlite+aiosqlite:///{tmp_path}/node.db", str(tmp_path / "raw"))
            stack.push_async_callback(store.close)
            if database:
                await store.database.prepare(simulated=True)
            lease = await store.leases.acquire("shard", "me")
            assert lease is not None
            http = client()
            stack.push_async_callback(http.aclose)
            clock = clock or await simulator_clock(simulated.base, http)
            turns, books = Counted(clock), Books(store, lease)

            def api(stream: Stream, priority: Priority, _: datetime | None) -> HttpApi:
                return HttpApi(
                    source=SOURCE, plan=plan, stream=stream, priority=priority, turns=turns, clock=clock,
                    keep=keep or store.raw.keep, http=http, base_url=simulated.base + plan.simulated_at,
                    simulated=True, signing=signing_for(plan, SOURCE.name, (KEY,), str, http, clock),
                )  # fmt: skip

            running = Running(
                source=SOURCE, stream=stream, partitions=tuple(partitions), books=books, api=api, clock=clock,
                reach=reach, since=clock.now() - (reach if stream.offers is not None else timedelta(0)),
            )  # fmt: skip
            return Collecting(running, books, simulated, clock, turns)

        yield made


@pytest.fixture
def simulated(simulate: Simulate) -> Simulated:
    """The paid plan, without limits, 40 coins, its time standing still until somebody waits for it."""
    return simulate(limits=False)


async def run(collecting: Collecting, reports: int) -> None:
    """Let it run on its own until it has reported so often, then stop it."""
    task = asyncio.create_task(collecting.running.run())
    async with asyncio.timeout(30):
        while len(collecting.books.reports) < reports and not task.done():
            await asyncio.wait([task], timeout=0.005)
    if task.done():
        task.result()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def state(it: Collecting, partition: str, start: datetime) -> str:
    """Of one interval, from what the store has."""
    stream = it.running.stream
    expected = Schedule(stream.grain, stream.every, stream.settle, stream.offers, START - 365 * DAY)
    over = TimeRange(start, start + stream.grain)
    tried, cursors = await it.books.verify(stream, it.running.name, partition, over)
    (span,) = spans(expected, over, it.clock.now(), tried, cursors)
    return span.state
