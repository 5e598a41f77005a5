"""A collector: an actor that owns a shard of the streams while it holds the shard's lease.

Whoever holds no lease stands by. A collector that died is started again by Ray; it takes its lease up,
finishes what it had fetched and not committed, and goes on with the gaps. Of two clusters on one store the one that
came to run whole last collects; the other stands by, and collects where that one does not.
"""

import asyncio
import contextlib
import importlib
import os
import socket
from collections.abc import Callable, Coroutine, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import ray

from ray_app.collect.filling import Apis
from ray_app.collect.replay import replay
from ray_app.collect.running import Running
from ray_app.collect.together import together
from ray_app.model.clock import Clock, SystemClock
from ray_app.model.collected import Lease
from ray_app.model.errors import Fenced, StoreUnavailable
from ray_app.model.quota import Turns
from ray_app.model.timerange import TimeRange
from ray_app.observe.log import logger
from ray_app.runtime.advanced import AdvancedScoring
from ray_app.runtime.aggregating import Aggregating
from ray_app.runtime.exporting import Exporting
from ray_app.runtime.feeds import listenings
from ray_app.runtime.keeper import FarTurns
from ray_app.runtime.linking import Linking
from ray_app.runtime.measured import RayMeasured
from ray_app.runtime.opening import Assigned, LeasedBooks, Node, Opening
from ray_app.runtime.pool import beside_me
from ray_app.runtime.rechecking import Rechecking
from ray_app.runtime.relay import Relay
from ray_app.runtime.scoring import Scoring
from ray_app.runtime.succession import HandedOver, Succession, this_cluster
from ray_app.store.leases import TTL

if TYPE_CHECKING:
    from ray_app.runtime.building import Building

log = logger("collector")
RECOVER = timedelta(days=2)  # how far back a start looks for pages that were kept and not committed
REQUIRED_FIRST = 90.0  # seconds of wall time that the others wait at most
STANDBY = 1.0  # seconds between tries at a lease that somebody else holds


class Shard:
    """The streams of one shard, run under its lease; plain asyncio, so that tests need no Ray."""

    def __init__(
        self,
        node: Node,
        name: str,
        members: list[str],
        wall: Clock,
        owner: str,
        turns: Callable[[Assigned], Turns] | None = None,
        opening: Opening | None = None,
        cluster: str = "",
    ) -> None:
        """`cluster`: the Ray cluster that this is part of; "" where no other one can come."""
        self.node, self.name, self._members, self._wall, self.owner = node, name, members, wall, owner
        self._opening = opening
        self.succession = Succession(node.store, cluster, name, owner)
        self._turns = turns or (lambda assigned: FarTurns(node, assigned, wall))
        self.lease: Lease | None = None

    async def run(self) -> None:
        """For ever: hold the lease, run the streams; when it is lost, stop them and stand by."""
        while True:
            try:
                self.lease = await self.succession.take()
                if self.lease is None:
                    await self._wall.sleep(STANDBY)
                    continue
                log.info("lease taken", extra={"shard": self.name, "fence": self.lease.fence})
                await self._owning(self.lease)
            except StoreUnavailable as error:
                self.lease = None
                log.warning("store is away", extra={"shard": self.name, "error": str(error)})
                await self._wall.sleep(STANDBY)
            except Fenced as error:
                self.lease = None
                log.warning("lease lost", extra={"shard": self.name, "error": str(error)})
            except HandedOver:
                await self.release()
                log.info("handed over to a newer cluster", extra={"shard": self.name})

    async def _owning(self, lease: Lease) -> None:
        relay = Relay(self.node, self.owner, self._wall)
        linking = Linking(self.node, lease, self._members, self._wall)
        scoring = Scoring(self.node, lease, self._members, self._wall)
        building = await self._builds()
        advanced = self._advanced(lease)
        aggregating = Aggregating(self.node, self.owner, self._wall, relay.wake)

        def committed() -> None:
            relay.wake()
            linking.wake()
            scoring.wake()
            if building is not None:
                building.wake()

        # Only the owner says what there is: a newer cluster that stands by must not change it under the older one.
        await self.node.declare(self.node.clock.now())
        books = LeasedBooks(self.node, lease, committed)
        await self._recover(books)
        jobs: list[Callable[[], Coroutine[Any, Any, None]]]
        jobs = [self._renewing, relay.run, linking.run, scoring.run, aggregating.run]
        if building is not None:
            jobs.append(building.run)
        jobs += [advanced.run] if advanced is not None else []
        if self.node.exports is not None:
            jobs.append(Exporting(self.node, self.node.exports, self.owner, self._wall, self._opening).run)
        turns = {a.scope: self._turns(a) for a in self.node.assigned}
        since, first = await self.node.since(), list[Running]()
        for assigned, stream in self.node.streams():
            if f"{assigned.source.name}.{stream.name}" not in self._members:
                continue
            running = Running(
                source=assigned.source,
                stream=stream,
                partitions=self.node.partitions(stream),
                lives=self.node.lives(stream),
                books=books,
                api=self._apis(assigned, turns[assigned.scope]),
                clock=self.node.clock,
                reach=self.node.reach_of(stream),
                since=since[f"{assigned.source.name}.{stream.name}"],
            )
            if stream.required:
                first.append(running)
            waits = stream.offers is not None and not stream.required
            jobs.append(partial(_after, first, running.run) if waits else running.run)
            if stream.recheck is not None:
                jobs.append(Rechecking(self.node, assigned, stream, turns[assigned.scope], lease).run)
        redis = self.node.redis()
        for assigned in self.node.assigned:
            api = self._apis(assigned, turns[assigned.scope])
            found = listenings(self.node, assigned, self._members, books, api, self._wall, redis)
            jobs += [listening.run for listening in found]
        try:
            await together(jobs, len(jobs))
        finally:
            await relay.close()
            await aggregating.close()
            if building is not None:
                await building.close()
            if redis is not None:
                await redis.aclose()

    async def _builds(self) -> "Building | None":
        """What builds features; loaded in a thread, and only where they are wanted: Polars takes its time."""
        if not self.node.features:
            return None
        module = await asyncio.to_thread(importlib.import_module, "ray_app.runtime.building")
        built: Building = module.Building(self.node, self.owner, self._wall)
        return built

    def _advanced(self, lease: Lease) -> AdvancedScoring | None:
        if (advanced := self.node.advanced) is None:
            return None
        chat = self.node.chat(advanced, self._turns(advanced.assigned))
        return AdvancedScoring(self.node, advanced, chat, lease, self._members, self._wall)

    def _apis(self, assigned: Assigned, turns: Turns) -> Apis:
        return lambda stream, priority, before: self.node.api(assigned, stream, priority, turns, before)

    async def _renewing(self) -> None:
        """Renew at a third of the lease's life. Raises Fenced when somebody else has it, HandedOver when it is due."""
        while True:
            await self._wall.sleep(TTL.total_seconds() / 3)
            try:
                if self.lease is not None:
                    await self.node.store.leases.renew(self.lease)
                await self.succession.check()
            except StoreUnavailable as error:  # nothing can be committed meanwhile, by anyone
                log.warning("lease cannot be renewed", extra={"shard": self.name, "error": str(error)})

    async def _recover(self, books: LeasedBooks) -> None:
        """Commit what was fetched and kept before a crash and never reached the database."""
        now = self.node.clock.now()
        since = now - RECOVER
        known = await self.node.store.ledger.hashes(TimeRange(since - RECOVER, now + RECOVER))
        sources = [a.source for a in self.node.assigned]
        mine = frozenset(self._members)
        done = await replay(
            self.node.store.raw, books, sources, since=since, known=known, only=mine, announce=True
        )
        if done.manifests:
            log.info(
                "recovered",
                extra={"slices": done.manifests, "records": done.records, "problems": done.problems},
            )

    async def release(self) -> None:
        """Let others take over at once; while the database is away the lease runs out instead."""
        lease, self.lease = self.lease, None
        if lease is not None:
            with contextlib.suppress(StoreUnavailable):
                await self.node.store.leases.release(lease)


async def _after(first: Sequence[Running], job: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Let the streams that the node's health depends on fill their gaps before the others begin with theirs."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(REQUIRED_FIRST):
            for running in first:
                await running.begun.wait()
    await job()


class CollectorActor:
    """One shard as a Ray actor. `tick` starts it, also after a restart, and says how it is doing."""

    def __init__(self, opening: Opening, shard: str, members: list[str]) -> None:
        self._opening, self._name, self._members = opening, shard, members
        self._shard: Shard | None = None
        self._task: asyncio.Task[None] | None = None
        self._announced = False
        self._starting = asyncio.Lock()

    async def tick(self, whole: bool = False) -> dict[str, Any]:
        """Keep the shard running; `whole`: everything of this cluster runs.

        Raises what ended it (a schedule that does not fit, a wrong store).
        """
        async with self._starting:
            if self._task is not None and self._task.done():
                failed = self._task.exception()
                self._task = None
                if failed is not None:
                    raise failed
            if self._task is None:
                node = await self._opening()
                node.measured = RayMeasured()
                await node.store.database.prepare(simulated=node.simulated)
                node.need_to_fit()
                self._shard = Shard(
                    node,
                    self._name,
                    self._members,
                    SystemClock(),
                    self._owner(),
                    opening=self._opening,
                    cluster=this_cluster(),
                )
                self._task = asyncio.create_task(self._shard.run())
        if whole and not self._announced and self._shard is not None:
            await self._shard.succession.announce()
            self._announced = True
        lease = self._shard.lease if self._shard else None
        return {"shard": self._name, "pid": os.getpid(), "fence": lease.fence if lease else None}

    def _owner(self) -> str:
        """With the actor's id: a restarted actor takes its own lease up again without waiting for it to expire."""
        return f"{socket.gethostname()}/{ray.get_runtime_context().get_actor_id()}"

    async def stop(self) -> None:
        """Stop collecting and let a successor take over at once."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._shard is not None:
            await self._shard.release()
            await self._shard.node.close()


def start_collector(opening: Opening, shard: str, members: list[str]) -> Any:
    """A collector that lives as long as its maker and is restarted for ever."""
    actor = ray.remote(CollectorActor)
    options = {"num_cpus": 0.05, "max_restarts": -1, "max_task_retries": 0, "max_concurrency": 100}
    return actor.options(**options, **beside_me()).remote(opening, shard, members)
