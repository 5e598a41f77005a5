"""What a process of the node needs to collect: opened anew in each process, so that no secret crosses Ray."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ray_app.collect.proof import Proof, prove
from ray_app.collect.running import Status
from ray_app.connect.api import HttpApi, HttpClient
from ray_app.model.clock import Clock
from ray_app.model.collected import Collected, Lease
from ray_app.model.declared import declare
from ray_app.model.quota import Priority, Turns
from ray_app.model.source import Plan, Source, Stream
from ray_app.model.symbols import Registry
from ray_app.model.timerange import Coverage, TimeRange
from ray_app.store.facts import Committed
from ray_app.store.hot import redis_client
from ray_app.store.store import Store

NAMESPACE = "crypto-data"


@dataclass(frozen=True, kw_only=True)
class Assigned:
    """One source under one plan, at an address, with the key that the plan needs. `missing` names an absent key."""

    source: Source
    plan: Plan
    base_url: str
    key: str | None = field(default=None, repr=False)
    missing: str = ""

    @property
    def scope(self) -> str:
        """Who is metered together: everyone with this key, or everyone at this address."""
        return f"{self.source.name}-{self.plan.name}"


@dataclass(kw_only=True)
class Node:
    """The parts of a collecting process. `redis_url` empty: no hot side."""

    store: Store
    registry: Registry
    clock: Clock
    assigned: tuple[Assigned, ...]
    simulated: bool
    reach: timedelta
    redis_url: str
    release: str
    http: HttpClient

    def partitions(self, stream: Stream) -> tuple[str, ...]:
        return stream.partitions(self.registry)

    def proofs(self) -> list[Proof]:
        """Each upstream's month against its allowance."""
        return [
            prove(a.source, a.plan, {s.name: self.partitions(s) for s in a.plan.streams})
            for a in self.assigned
        ]

    def streams(self) -> list[tuple[Assigned, Stream]]:
        return [(a, stream) for a in self.assigned for stream in a.plan.streams]

    def find(self, name: str) -> tuple[Assigned, Stream]:
        """A stream by source.stream. Raises ValueError that lists what there is."""
        for assigned, stream in self.streams():
            if f"{assigned.source.name}.{stream.name}" == name:
                return assigned, stream
        known = ", ".join(f"{a.source.name}.{s.name}" for a, s in self.streams())
        raise ValueError(f"no stream {name!r} in the plans in use; there are {known}")

    async def declare(self, now: datetime) -> None:
        """Write the catalogue and the quota rows. Raises ValueError for a schedule that does not fit."""
        if refusals := [text for proof in self.proofs() for text in proof.refusals]:
            raise ValueError("\n".join(refusals))
        lines = {
            f"{a.source.name}.{s.name}": declare(
                a.source, a.plan, s, self.partitions(s), self.reach, missing=a.missing
            )
            for a, s in self.streams()
        }
        await self.store.catalog.declare(lines, now)
        for assigned in self.assigned:
            await self.store.quotas.declare(assigned.scope, assigned.plan.quota, now)

    def api(self, assigned: Assigned, stream: Stream, priority: Priority, turns: Turns) -> HttpApi:
        return HttpApi(
            source=assigned.source,
            plan=assigned.plan,
            stream=stream,
            priority=priority,
            turns=turns,
            clock=self.clock,
            keep=self.store.raw.keep,
            http=self.http,
            base_url=assigned.base_url,
            simulated=self.simulated,
            key=assigned.key,
        )

    def redis(self) -> Any:
        return redis_client(self.redis_url) if self.redis_url else None

    async def close(self) -> None:
        await self.http.aclose()
        await self.store.close()


Opening = Callable[[], Awaitable[Node]]


class LeasedBooks:
    """The store under one lease: what `Running` and `Backfill` write to."""

    def __init__(self, node: Node, lease: Lease, committed: Callable[[], None] = lambda: None) -> None:
        self._node, self._lease, self._committed = node, lease, committed

    async def coverage(self, stream: str, over: TimeRange) -> dict[str, Coverage]:
        return await self._node.store.ledger.coverage(stream, over)

    async def commit(self, collected: Sequence[Collected]) -> Committed:
        done = await self._node.store.commit(collected, self._lease)
        self._committed()
        return done

    async def report(self, stream: str, status: Status) -> None:
        values = {name: getattr(status, name) for name in Status.__dataclass_fields__}
        await self._node.store.catalog.report(stream, self._lease.owner, values)

    async def verify(
        self, stream: Stream, name: str, partition: str, over: TimeRange
    ) -> tuple[list[Any], list[datetime]]:
        tried = await self._node.store.ledger.tried(name, over, [partition])
        facts = await self._node.store.reading.between(stream.record, name, [partition], over)
        return tried.get(partition, []), [fact.cursor for fact in facts]
