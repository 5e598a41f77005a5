"""A feed listened to, against the simulated Binance: what is stored is the market, what was missed is filled."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ray_app.collect.hearing import Gap
from ray_app.collect.listening import Listening
from ray_app.collect.replay import replay
from ray_app.connect.api import HttpApi, client
from ray_app.connect.socket import opener
from ray_app.model.clock import ManualClock, SystemClock
from ray_app.model.errors import WrongStore
from ray_app.model.quota import Priority
from ray_app.model.records import Bar
from ray_app.model.source import Stream
from ray_app.model.timerange import EVER, Coverage, TimeRange, floor
from ray_app.sources.binance import FEED, SOURCE
from ray_app.store.store import Store
from tests.collect.conftest import Books
from tests.connect.conftest import START, Counted, Simulate, Simulated

PAIRS = ("BTCUSDT", "ETHUSDT")
(MINUTES,) = [stream for stream in SOURCE.plans[0].streams if stream.name == FEED.refill]
MINUTE = timedelta(minutes=1)
NAME = "binance.bars_1m"
SOCKET = "/ws/binance/stream"
TOLD_OF_A_JUMP = 5  # seconds before the one to which the simulator's time jumped


@dataclass
class Told:
    """Where ticks are told on, in a list."""

    batches: list[list[Mapping[str, Any]]] = field(default_factory=list)

    async def publish(self, topic: str, events: Sequence[Mapping[str, Any]]) -> None:
        assert topic == "ticks"
        self.batches.append(list(events))

    @property
    def events(self) -> list[Mapping[str, Any]]:
        return [event for batch in self.batches for event in batch]


@dataclass
class Heard:
    """A feed that is being listened to, and ways to look at what came of it."""

    listening: Listening
    simulated: Simulated
    clock: ManualClock
    books: Books
    told: Told
    task: "asyncio.Task[None] | None" = None

    @property
    def store(self) -> Store:
        return self.books.store

    async def start(self) -> None:
        self.task = asyncio.create_task(self.listening.run())
        await self.until(lambda: self.connections(101))

    def connections(self, status: int | None = None) -> list[dict[str, Any]]:
        found = [arrival for arrival in self.simulated.ledger() if arrival["path"] == SOCKET]
        return [arrival for arrival in found if status is None or arrival["status"] == status]

    def requests(self) -> list[dict[str, Any]]:
        return [arrival for arrival in self.simulated.ledger() if arrival["path"].endswith("/klines")]

    def move(self, moment: datetime) -> None:
        """The simulator's time and the node's. Jumps of more than 5 seconds tell closed candles only."""
        self.clock.set(moment)
        self.simulated.advance_to(moment)

    async def until(self, condition: Callable[[], object], seconds: float = 10.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                assert self.task is not None
                await asyncio.wait([self.task], timeout=0.01)
                if self.task.done():
                    self.task.result()

    async def caught_up(self) -> None:
        """Everything has been heard that the simulator told until now."""
        await self.until(lambda: (self.listening.hearing.told or START) >= floor(self.clock.now(), MINUTE))

    async def connected(self, times: int) -> None:
        await self.until(lambda: len(self.connections(101)) == times)

    async def stored(self, count: int, since: datetime = START - MINUTE) -> list[Bar]:
        """The bars in the store that start at `since` or later, once there are so many."""
        async with asyncio.timeout(15):
            while len(facts := await self.facts(since)) < count:
                assert self.task is not None
                await asyncio.wait([self.task], timeout=0.05)
                if self.task.done():
                    self.task.result()
        return facts

    async def facts(self, since: datetime = START - MINUTE) -> list[Bar]:
        over = TimeRange(since, START + timedelta(days=3))
        facts = await self.store.reading.between(Bar, NAME, PAIRS, over)
        return [Bar(symbol=fact.partition, start=fact.cursor, **fact.values) for fact in facts]

    async def tried(self, partition: str) -> list[tuple[TimeRange, str, str]]:
        over = TimeRange(START - timedelta(days=1), START + timedelta(days=3))
        found = await self.store.ledger.tried(NAME, over, [partition])
        return [(one.range, one.outcome, one.reason) for one in found.get(partition, [])]

    def market(self, start: datetime, end: datetime) -> set[tuple[Any, ...]]:
        """What was really traded, minute by minute."""
        told = set()
        for pair in PAIRS:
            asked = {"symbol": pair, "interval": "1m", "from": start.isoformat(), "to": end.isoformat()}
            for bar in (
                self.simulated.admin.get("/sim/truth/binance", params=asked).raise_for_status().json()["bars"]
            ):
                prices = (
                    Decimal(bar[name]) for name in ("open", "high", "low", "close", "volume", "quote_volume")
                )
                told.add((pair, datetime.fromisoformat(bar["start"]), *prices, bar["trades"]))
        return told


def values(bars: Sequence[Bar]) -> set[tuple[Any, ...]]:
    return {
        (b.symbol, b.start, b.open, b.high, b.low, b.close, b.volume, b.quote_volume, b.trades) for b in bars
    }


Listen = Callable[..., Awaitable[Heard]]


@pytest.fixture
async def listen(tmp_path: Path, prepared_sqlite: Path, simulate: Simulate) -> AsyncIterator[Listen]:
    async with AsyncExitStack() as stack:

        async def made(*, simulated: bool = True, **feed: Any) -> Heard:
            upstream = simulate(limits=False)
            shutil.copy(prepared_sqlite, tmp_path / "node.db")
            store = Store(f"sqlite+aiosqlite:///{tmp_path}/node.db", str(tmp_path / "raw"))
            stack.push_async_callback(store.close)
            lease = await store.leases.acquire("shard", "me")
            assert lease is not None
            http = client()
            stack.push_async_callback(http.aclose)
            clock, (plan,) = ManualClock(START), SOURCE.plans
            books, told = Books(store, lease), Told()

            def api(stream: Stream, priority: Priority, _: datetime | None) -> HttpApi:
                return HttpApi(
                    source=SOURCE, plan=plan, stream=stream, priority=priority, turns=Counted(clock),
                    clock=clock, keep=store.raw.keep, http=http, base_url=upstream.base + plan.simulated_at,
                    simulated=True,
                )  # fmt: skip

            listening = Listening(
                source=SOURCE, feed=replace(FEED, **feed), refill=MINUTES, partitions=PAIRS, books=books,
                url=upstream.base.replace("http", "ws", 1) + FEED.simulated_at, events=told, api=api,
                keep=store.raw.keep, connect=opener(SOURCE.name, simulated=simulated), clock=clock,
                wall=SystemClock(), headers={"x-simulated": "crypto-data"},
            )  # fmt: skip
            it = Heard(listening, upstream, clock, books, told)

            async def stop() -> None:
                if it.task is not None:
                    it.task.cancel()
                    await asyncio.gather(it.task, return_exceptions=True)

            stack.push_async_callback(stop)
            return it

        yield made


def at(hour: int, minute: int, second: int = 0) -> datetime:
    return datetime(2026, 6, 1, hour, minute, second, tzinfo=UTC)


async def test_minutes_are_stored_as_they_close(listen: Listen):
    it = await listen()
    await it.start()
    for minute in (4, 5, 6):
        it.move(at(10, minute))
        await it.stored((minute - 3) * len(PAIRS))
    bars = await it.stored(6)
    assert values(bars) == it.market(at(10, 3), at(10, 6))
    assert all(
        bar.taker_buy_volume is not None and bar.taker_buy_volume <= bar.volume for bar in bars if bar.volume
    )
    assert it.requests() == []
    assert [outcome for _, outcome, _ in await it.tried("BTCUSDT")] == ["covered"] * 3
    assert it.listening.hearing.gaps == []


async def test_what_was_heard_can_be_made_again_from_its_pages(
    listen: Listen, tmp_path: Path, prepared_sqlite: Path
):
    it = await listen()
    await it.start()
    it.simulated.fault("F26", kind="json", count=1)
    it.move(at(10, 3, 22))  # a second of frames cut in half
    await it.until(lambda: it.listening.hearing.bad)
    for minute in (4, 5):
        it.move(at(10, minute))
        await it.stored((minute - 3) * len(PAIRS))
    bars = await it.stored(4)
    shutil.copy(prepared_sqlite, tmp_path / "again.db")
    again = Store(f"sqlite+aiosqlite:///{tmp_path}/again.db", str(tmp_path / "raw"))
    lease = await again.leases.acquire("shard", "me")
    assert lease is not None
    (plan,) = SOURCE.plans
    heard = replace(SOURCE, plans=(replace(plan, streams=(it.listening.feed.stores,)),))
    done = await replay(again.raw, Books(again, lease), [heard])
    facts = await again.reading.between(
        Bar, NAME, PAIRS, TimeRange(START - timedelta(days=1), START + timedelta(days=1))
    )
    assert [Bar(symbol=fact.partition, start=fact.cursor, **fact.values) for fact in facts] == bars
    assert (done.records, done.problems) == (4, [])
    assert done.set_aside == it.listening.hearing.bad > 0
    await again.close()


@pytest.mark.parametrize(
    ("kind", "silence", "reason"),
    [
        ("stall", 0.4, "silent for 0:00:00.400000"),
        ("cut", 30, "connection ended"),
        ("slow", 30, "slow consumer"),
    ],
)
async def test_a_lost_connection_is_a_visible_gap_that_is_filled(
    listen: Listen, kind: str, silence: float, reason: str
):
    """Nothing is heard of three minutes; then they are in the store as they were traded."""
    it = await listen(silence=timedelta(seconds=silence))
    await it.start()
    it.move(at(10, 4))
    await it.stored(2)
    it.simulated.fault("F26", kind=kind, count=1)
    it.move(at(10, 4, 3))
    await it.until(lambda: it.listening.status.errors["Transient"])
    it.move(at(10, 7, 40))
    await it.until(lambda: len(it.connections(101)) >= 2)
    it.simulated.heal()
    it.move(at(10, 7, 44))
    bars = await it.stored(8)
    gaps = it.listening.hearing.gaps
    assert [reason in gap.reason for gap in gaps] == [True] * len(gaps)
    assert gaps[0].last <= at(10, 4, 3)
    assert at(10, 7, 40) <= gaps[-1].first <= at(10, 7, 44)
    missed = [one for one in await it.tried("BTCUSDT") if one[1] == "failed"]
    assert [over for over, _, _ in missed] == [TimeRange(at(10, 4), at(10, 7))]
    assert f"nothing heard from {gaps[0].last.isoformat()} to {gaps[-1].first.isoformat()}: " in missed[0][2]
    assert values(bars) == it.market(at(10, 3), at(10, 7))
    assert len(it.requests()) == len(PAIRS)


async def test_a_minute_that_is_left_out_is_asked_for(listen: Listen):
    """Some seconds are lost without the connection noticing, among them the one in which the candles closed."""
    it = await listen()
    await it.start()
    it.move(at(10, 4))
    await it.stored(2)
    it.simulated.fault("F26", kind="gap")
    it.move(at(10, 5))
    await it.until(lambda: it.simulated.admin.get("/sim/faults").json()[0]["injected"] == TOLD_OF_A_JUMP)
    it.simulated.heal()
    for second in (10, 20, 32):  # the candle is waited for, half a minute long
        it.move(at(10, 5, second))
        await it.caught_up()
    bars = await it.stored(4)
    assert values(bars) == it.market(at(10, 3), at(10, 5))
    assert [(over.start, outcome, reason) for over, outcome, reason in await it.tried("ETHUSDT")] == [
        (at(10, 3), "covered", ""),
        (at(10, 4), "failed", "Transient: connected, but it was not told"),
        (at(10, 4), "covered", ""),
    ]
    assert len(it.connections()) == 1


async def test_what_has_ended_is_not_missed(listen: Listen):
    """Of a pair that ended at 10:04 nothing is to be heard of the next minute, and nobody asks for it."""
    it = await listen()
    it.listening.lives = {"ETHUSDT": Coverage((TimeRange(EVER, at(10, 4)),))}
    await it.start()
    it.move(at(10, 4))
    await it.stored(2)
    it.simulated.fault("F26", kind="gap")
    it.move(at(10, 5))
    await it.until(lambda: it.simulated.admin.get("/sim/faults").json()[0]["injected"] == TOLD_OF_A_JUMP)
    it.simulated.heal()
    for second in (10, 20, 32):
        it.move(at(10, 5, second))
        await it.caught_up()
    await it.stored(3)
    assert [outcome for _, outcome, _ in await it.tried("BTCUSDT")] == ["covered", "failed", "covered"]
    assert [(over.start, outcome) for over, outcome, _ in await it.tried("ETHUSDT")] == [
        (at(10, 3), "covered")
    ]
    assert all("BTCUSDT" in one["query"] for one in it.requests())


async def test_what_has_ended_is_not_subscribed_to(listen: Listen):
    it = await listen()
    it.listening.lives = {"ETHUSDT": Coverage((TimeRange(EVER, START),))}
    await it.start()
    assert "btcusdt" in it.connections()[0]["query"]
    assert "ethusdt" not in it.connections()[0]["query"]


DAY_LATER = timedelta(days=1)


async def test_a_fresh_connection_takes_over_before_the_day_is_over(listen: Listen):
    it = await listen()
    await it.start()
    it.move(at(10, 4))
    await it.stored(2)
    for moment, connections in ((at(9, 52), 1), (at(9, 54), 2), (at(9, 55), 2)):
        it.move(moment + DAY_LATER)
        await it.caught_up()
        await it.connected(connections)
    await it.until(lambda: it.listening._alive == 1 and it.connections(101))
    it.move(at(10, 8) + DAY_LATER)
    bars = await it.stored(2 * 16, at(9, 52) + DAY_LATER)
    assert values(bars) == it.market(at(9, 52) + DAY_LATER, at(10, 8) + DAY_LATER)
    assert it.listening.hearing.gaps == []
    assert len(it.connections()) == 2
    last = [one for one in await it.tried("BTCUSDT") if one[0].start >= at(9, 52) + DAY_LATER]
    assert [outcome for _, outcome, _ in last] == ["covered"] * 16


async def test_a_connection_that_is_cut_after_a_day_is_opened_again(listen: Listen):
    """Nobody took over: what was missed shows, and is filled."""
    it = await listen(longest=timedelta(days=2))
    await it.start()
    it.move(at(10, 4))
    await it.stored(2)
    it.move(at(10, 3) + DAY_LATER)
    await it.caught_up()
    it.move(at(10, 3, 25) + DAY_LATER)
    await it.until(lambda: it.listening.hearing.cut_because)
    it.move(at(10, 6, 40) + DAY_LATER)
    await it.connected(2)
    it.move(at(10, 6, 44) + DAY_LATER)
    bars = await it.stored(2 * 4, at(10, 2) + DAY_LATER)
    assert values(bars) == it.market(at(10, 2) + DAY_LATER, at(10, 6) + DAY_LATER)
    (gap,) = it.listening.hearing.gaps
    assert at(10, 3) + DAY_LATER <= gap.last <= at(10, 3, 25) + DAY_LATER
    assert at(10, 6, 40) + DAY_LATER <= gap.first <= at(10, 6, 44) + DAY_LATER
    assert "connection ended" in gap.reason


async def test_a_server_that_says_that_it_shuts_down_is_left_in_time(listen: Listen):
    it = await listen()
    await it.start()
    it.simulated.fault("F26", kind="shutdown", seconds=600, count=1)
    it.move(at(10, 3, 22))
    await it.until(lambda: len(it.connections(101)) == 2)
    for minute in (4, 5):
        it.move(at(10, minute))
        await it.stored((minute - 3) * len(PAIRS))
    assert values(await it.stored(4)) == it.market(at(10, 3), at(10, 5))
    assert it.listening.hearing.gaps == []
    assert "about to shut down" in it.listening.status.last_error


async def test_said_twice_is_stored_once(listen: Listen):
    it = await listen()
    await it.start()
    it.simulated.fault("F26", kind="duplicate")
    it.move(at(10, 4))
    await it.stored(2)
    it.move(at(10, 5))
    bars = await it.stored(4)
    assert values(bars) == it.market(at(10, 3), at(10, 5))
    assert len(bars) == 4
    assert [outcome for _, outcome, _ in await it.tried("BTCUSDT")] == ["covered", "covered"]


async def test_ticks_are_told_on_the_newest_of_each_pair(listen: Listen):
    it = await listen()
    await it.start()
    for second in range(22, 42):
        it.move(at(10, 3, second))
        await asyncio.sleep(0.06)
    await it.until(lambda: len({e["symbol"] for e in it.told.events}) == 2)
    for batch in it.told.batches:
        symbols = [event["symbol"] for event in batch]
        assert len(set(symbols)) == len(symbols)
    for pair in PAIRS:
        times = [e["at"] for e in it.told.events if e["symbol"] == pair]
        assert times == sorted(set(times))
        (bar,) = [row for row in it.market(at(10, 3), at(10, 4)) if row[0] == pair]
        assert all(bar[4] <= Decimal(e["price"]) <= bar[3] for e in it.told.events if e["symbol"] == pair)
    assert await it.facts() == []


async def test_a_refused_handshake_stops_and_says_so(listen: Listen):
    it = await listen()
    it.simulated.fault("F07", path=SOCKET, status=451)
    it.task = asyncio.create_task(it.listening.run())
    await it.until(lambda: it.listening.status.state == "refused")
    assert it.listening.status.errors == {"Refused": 1}
    assert "HTTP 451" in it.listening.status.last_error
    assert len(it.connections()) == 1


async def test_a_refused_rate_is_waited_out(listen: Listen):
    it = await listen()
    it.simulated.fault("F01", path=SOCKET, count=1, retry_after=1)
    it.task = asyncio.create_task(it.listening.run())
    await it.until(lambda: it.connections(101))
    assert it.listening.status.errors == {"RateLimited": 1}


async def test_simulated_frames_never_reach_a_real_store(listen: Listen):
    it = await listen(simulated=False)
    it.task = asyncio.create_task(it.listening.run())
    with pytest.raises(WrongStore, match="is the simulator, but this store holds data of a real upstream"):
        await asyncio.wait_for(it.task, 10)


def test_a_gap_says_from_when_to_when_and_why():
    gap = Gap(at(10, 3), at(10, 5), "silent for 0:00:30")
    assert str(gap) == (
        "nothing heard from 2026-06-01T10:03:00+00:00 to 2026-06-01T10:05:00+00:00: silent for 0:00:30"
    )
