"""A whole node without Ray and a whole simulator, in one event loop and in virtual time."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import uvicorn

from ray_app.configured import assignments
from ray_app.connect.api import client
from ray_app.connect.keeper import Keeper
from ray_app.model.clock import SystemClock
from ray_app.model.quota import Turns
from ray_app.model.source import Stream
from ray_app.model.symbols import Registry, load_registry
from ray_app.model.timerange import floor
from ray_app.runtime.collector import Shard
from ray_app.runtime.keeper import keeper_for
from ray_app.runtime.opening import Assigned, Node
from ray_app.settings import Settings
from ray_app.simulator.config import SimulatorConfig
from ray_app.simulator.server import address, app_of, listen
from ray_app.simulator.simulation import Simulation
from ray_app.store.store import Store
from tests.soak.clock import AtOnce, Busy, CountingTransport, EventClock, without_threads
from tests.soak.socket import sockets_of

START = datetime(2026, 6, 1, tzinfo=UTC)
COINS = ("bitcoin", "ethereum")
# All of the catalogue but what needs a human (F08, F09), what never ends (F17, F23) and kills, which `kill` does (F27).
FAULTS: tuple[Mapping[str, Any], ...] = (
    {"fault": "F01", "probability": 0.01},
    {"fault": "F02", "probability": 0.01},
    {"fault": "F03", "probability": 0.01},
    {"fault": "F04", "probability": 0.005},
    {"fault": "F05", "probability": 0.005},
    {"fault": "F06", "path": "/binance*", "probability": 0.001},
    {"fault": "F07", "probability": 0.0005, "parameters": {"status": 403}},
    {"fault": "F10", "probability": 0.01, "parameters": {"status": 503}},
    {"fault": "F10", "probability": 0.01, "parameters": {"status": 520, "html": True}},
    {"fault": "F11", "probability": 0.01, "parameters": {"kind": "reset"}},
    {"fault": "F11", "probability": 0.01, "parameters": {"kind": "truncated"}},
    {"fault": "F11", "probability": 0.01, "parameters": {"kind": "empty"}},
    {"fault": "F11", "probability": 0.005, "parameters": {"kind": "gzip"}},
    {"fault": "F11", "probability": 0.002, "parameters": {"kind": "hang", "seconds": 0.05}},
    {"fault": "F12", "probability": 0.003, "parameters": {"share": 0.02}},
    {"fault": "F12", "probability": 0.002, "parameters": {"kind": "missing", "share": 0.02}},
    {"fault": "F12", "probability": 0.002, "parameters": {"kind": "empty"}},
    {"fault": "F13", "probability": 0.005},
    {"fault": "F13", "probability": 0.005, "parameters": {"kind": "backwards"}},
    {"fault": "F13", "probability": 0.005, "parameters": {"kind": "shuffled"}},
    {"fault": "F14", "path": "/binance/*", "probability": 0.02},
    {"fault": "F14", "path": "/coinbase-ex/*", "probability": 0.02},
    {"fault": "F14", "path": "/kraken/*", "probability": 0.02},
    {"fault": "F15", "probability": 0.005},
    {"fault": "F16", "probability": 0.003},
    {"fault": "F19", "probability": 0.003},
    {"fault": "F20", "probability": 0.003},
    {"fault": "F20", "probability": 0.002, "parameters": {"kind": "repeat"}},
    {"fault": "F21", "probability": 0.01},
    {"fault": "F22", "probability": 0.003},
    {"fault": "F24", "probability": 0.005},
    {"fault": "F24", "probability": 0.005, "parameters": {"kind": "strings"}},
    {"fault": "F25", "probability": 0.002, "parameters": {"kind": "seconds"}},
    {"fault": "F25", "probability": 0.002, "parameters": {"kind": "microseconds"}},
    {"fault": "F26", "probability": 0.002, "parameters": {"kind": "gap"}},  # of the seconds of a socket
    {"fault": "F26", "probability": 0.001, "parameters": {"kind": "json"}},
    {"fault": "F26", "probability": 0.001, "parameters": {"kind": "duplicate"}},
    {"fault": "F26", "probability": 0.0003, "parameters": {"kind": "stall", "seconds": 1200}},
    {"fault": "F26", "probability": 0.0003, "parameters": {"kind": "cut"}},
    {"fault": "F26", "probability": 0.0001, "parameters": {"kind": "shutdown", "seconds": 600}},
    {"fault": "F26", "probability": 0.0001, "parameters": {"kind": "slow"}},
)
MINUTE, MONTH = timedelta(minutes=1), timedelta(days=30)


@dataclass(slots=True)
class World:
    """One run: a simulator, a node, and the means to let time pass, strike and kill."""

    folder: Path
    simulation: Simulation
    clock: EventClock
    busy: Busy
    upstreams: str
    application: Any
    series: int  # of each stream, at most
    sources: str = "all"
    quick: bool = False  # nothing more often than every quarter of an hour
    features: bool = False  # whether rows of features are built, as wall time allows
    reach: timedelta = timedelta(hours=6)  # how far back from its start the node fills what it lacks
    late: timedelta = timedelta(0)  # how long after the start it begins
    node: Node | None = None
    _shard: asyncio.Task[None] | None = None
    _keepers: Mapping[str, Keeper] = field(default_factory=dict)
    _owners: Any = field(default_factory=lambda: count(1))

    async def begin(self) -> None:
        """Open the node and collect."""
        registry = load_registry()
        few = Registry(tuple(asset for asset in registry.assets if asset.id in COINS))
        settings = Settings(
            data_dir=self.folder,
            upstreams=self.upstreams,
            coingecko_plan="paid",
            coingecko_minutes=15 if self.quick else None,
            sources=self.sources,
        )
        store = Store(settings.database, settings.raw)
        without_threads(store.database)
        http = client()
        http._transport = CountingTransport(self.busy)
        self.node = Node(
            store=store,
            registry=few,
            clock=self.clock,
            assigned=tuple(self._few(a, few) for a in assignments(settings)),
            simulated=True,
            reach=self.reach + self.late,
            redis_url="",
            release="soak",
            http=http,
            sockets=sockets_of(self.application),
            features=self.features,
            # No models: texts are scored by none. A score takes 15 ms of processor time that is not virtual, and
            # nothing that the soak proves depends on it.
        )
        await store.database.prepare(simulated=True)
        await self.node.declare(self.clock.now())
        keepers = self._keepers = {a.scope: keeper_for(self.node, a) for a in self.node.assigned}
        members = [f"{a.source.name}.{s.name}" for a, s in self.node.streams()]

        def turns(assigned: Assigned) -> Turns:
            return keepers[assigned.scope]

        shard = Shard(self.node, "soak", members, SystemClock(), f"owner-{next(self._owners)}", turns)
        self._shard = asyncio.create_task(shard.run())

    def _few(self, assigned: Assigned, registry: Registry) -> Assigned:
        """The same with fewer series and less history."""
        streams = tuple(self._fewer(s, registry) for s in assigned.plan.streams if self._wants(s))
        pairs = {s.name: s.partitions for s in streams}
        feeds = tuple(
            replace(f, partitions=pairs[f.refill]) for f in assigned.plan.feeds if f.refill in pairs
        )
        return replace(assigned, plan=replace(assigned.plan, streams=streams, feeds=feeds))

    def _wants(self, stream: Stream) -> bool:
        return not self.quick or stream.every >= timedelta(minutes=15)

    def _fewer(self, stream: Stream, registry: Registry) -> Stream:
        mine = stream.partitions(registry)[: self.series]
        reach = min(stream.reach, MONTH) + self.late if stream.reach is not None else None
        return replace(stream, partitions=lambda _: mine, reach=reach)

    def empty(self, folder: Path) -> "World":
        """Another node that knows nothing yet and fills back as far as this one did, which must have ended."""
        late = self.clock.now() - START
        return replace(self, folder=folder, late=late, node=None, _shard=None, _keepers={})

    async def close(self) -> None:
        await self.end()
        if self.node is not None:
            await self.node.close()

    async def kill(self) -> None:
        """Stop in the middle of everything, as a killed process does: nothing is finished or given back."""
        await self.close()
        await _expire_leases(self.folder)  # on wall time, that the test does not wait for

    async def pass_time(self, span: timedelta) -> None:
        """Raises what ended the collecting."""
        assert self._shard is not None
        driving = asyncio.create_task(self.clock.drive(self.clock.now() + span))
        await asyncio.wait({driving, self._shard}, return_when=asyncio.FIRST_COMPLETED)
        if self._shard.done():
            driving.cancel()
            await self._shard
        await driving

    async def pass_nothing(self, span: timedelta) -> None:
        """Time passes and nobody collects."""
        await self.clock.drive(self.clock.now() + span)

    async def end(self) -> None:
        if self._shard is not None:
            self._shard.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._shard
        for keeper in self._keepers.values():
            await keeper.close()


async def _expire_leases(folder: Path) -> None:
    from sqlalchemy import update

    from ray_app.store.engine import Database
    from ray_app.store.tables import leases

    database = Database(f"sqlite+aiosqlite:///{folder / 'node.db'}")
    async with database.write() as connection:
        await connection.execute(update(leases).values(expires_at=datetime(2000, 1, 1, tzinfo=UTC)))
    await database.close()


async def _minute(clock: EventClock) -> None:
    """Streams are told each whole minute, with what closed and the seconds before it."""
    await clock.sleep_until(floor(clock.now(), MINUTE) + MINUTE)


@contextlib.asynccontextmanager
async def world(
    folder: Path,
    seed: int,
    series: int,
    faults: Sequence[Mapping[str, Any]] = (),
    sources: str = "all",
    *,
    quick: bool = False,
    features: bool = False,
    reach: timedelta = timedelta(hours=6),
) -> AsyncIterator[World]:
    """A simulator that answers on a socket of this event loop, its time standing still until driven."""
    loop, busy = asyncio.get_running_loop(), Busy()
    loop.set_default_executor(AtOnce())
    config = SimulatorConfig(start=START, frozen=True, seed=seed, coins=80)
    simulation = Simulation(config, SystemClock().now())
    application = app_of(simulation)  # each upstream adds faults of its own to the catalogue
    for number, rule in enumerate(faults):
        simulation.faults.add({**rule, "seed": seed * 1000 + number})
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    server = uvicorn.Server(
        uvicorn.Config(application, lifespan="off", log_config=None, access_log=False, date_header=False)
    )
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]  # of older versions; a test's signals are pytest's
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]  # as above
    with listen(0) as bound:
        serving = asyncio.create_task(server.serve(sockets=[bound]))
        clock = EventClock(simulation.clock, busy)
        simulation.beat = partial(_minute, clock)
        made = World(
            folder,
            simulation,
            clock,
            busy,
            address(bound),
            application,
            series,
            sources,
            quick,
            features,
            reach,
        )
        try:
            await made.begin()
            yield made
        finally:
            await made.close()
            server.should_exit = True
            await serving
