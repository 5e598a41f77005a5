"""What a process of the node needs to collect: opened anew in each process, so that no secret crosses Ray."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from ray_app.collect.planner import Lives, living
from ray_app.collect.proof import Proof, prove
from ray_app.collect.running import Status
from ray_app.connect.addresses import address_of
from ray_app.connect.api import HttpApi, HttpClient, Validators
from ray_app.connect.chat import Chat
from ray_app.connect.signing import Signing, signing_for
from ray_app.connect.socket import opener
from ray_app.model.clock import Clock
from ray_app.model.collected import Collected, Lease
from ray_app.model.declared import declare, schedule
from ray_app.model.feed import Connect
from ray_app.model.money import Prices
from ray_app.model.quota import Priority, Turns
from ray_app.model.records import Bar
from ray_app.model.series import FundingRate, OpenInterest
from ray_app.model.source import Page, Plan, Source, Stream
from ray_app.model.symbols import Registry
from ray_app.model.timerange import Coverage, TimeRange
from ray_app.process.sentiment.model import SentimentModel
from ray_app.runtime.measured import Measured, Unmeasured
from ray_app.store.export_files import ExportFiles
from ray_app.store.facts import Committed
from ray_app.store.hot import redis_client
from ray_app.store.linked import Kind
from ray_app.store.reading import Fact
from ray_app.store.store import Store

NAMESPACE = "crypto-data"
HOUR = timedelta(hours=1)
Load = Callable[[], SentimentModel]  # loads a model anew; raises ModelError
FINE_REACH = timedelta(days=2)  # a month of minutes is 43,200 candles a pair: older ones are for a backfill


@dataclass(frozen=True, kw_only=True)
class Assigned:
    """One source under one plan, at an address, with the secrets that the plan needs.

    `missing` names an absent one; such a source is declared and not collected.
    """

    source: Source
    plan: Plan
    base_url: str
    secrets: tuple[str, ...] = field(default=(), repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    missing: str = ""

    @property
    def scope(self) -> str:
        """Who is metered together: everyone with this key, or everyone at this address."""
        return f"{self.source.name}-{self.plan.name}"


@dataclass(frozen=True, kw_only=True)
class Advanced:
    """A language model that gives second opinions on texts, and what they may cost."""

    assigned: Assigned
    model: str  # by the name that the server is asked for
    prices: Prices
    budget: int  # nanodollars a calendar month
    most: int  # tokens that an answer may cost
    together: int  # texts of one feed in a request


@dataclass(kw_only=True)
class Node:
    """The parts of a collecting process. `redis_url` empty: no hot side. `models`: what scores texts, by kind.

    `features`: whether rows of features are built. `exports`: where their files are; None: exports are not made here.
    """

    store: Store
    registry: Registry
    clock: Clock
    assigned: tuple[Assigned, ...]
    simulated: bool
    reach: timedelta
    redis_url: str
    release: str
    http: HttpClient
    sockets: Callable[..., Connect] = opener
    models: Mapping[Kind, Load] = field(default_factory=dict)
    features: bool = False
    advanced: Advanced | None = None
    measured: Measured = field(default_factory=Unmeasured)
    exports: ExportFiles | None = None
    exports_kept: timedelta = timedelta(days=7)
    _signing: dict[str, Signing] = field(default_factory=dict, repr=False)
    _validators: Validators = field(default_factory=dict, repr=False)

    @property
    def metered(self) -> tuple[Assigned, ...]:
        """All that is asked at the pace of a keeper."""
        return self.assigned if self.advanced is None else (*self.assigned, self.advanced.assigned)

    def partitions(self, stream: Stream) -> tuple[str, ...]:
        return stream.partitions(self.registry)

    def lives(self, stream: Stream) -> Lives:
        return stream.lives(self.registry)

    def reach_of(self, stream: Stream) -> timedelta:
        """How far back the stream's gaps are filled by themselves; of what is finer than an hour, two days.

        What features are made of is filled as far back as they look.
        """
        if stream.reach is not None:
            return stream.reach
        if self.features and (far := _looked_at(stream)) is not None:
            return max(self.reach, far)
        return self.reach if stream.grain >= HOUR else min(self.reach, FINE_REACH)

    def proofs(self) -> list[Proof]:
        """Each upstream's month against its allowance; those without a key too."""
        return [self._proof(a) for a in self.assigned]

    def _proof(self, assigned: Assigned) -> Proof:
        now = self.clock.now()
        partitions = {s.name: living(s, self.registry, now) for s in assigned.plan.streams}
        return prove(assigned.source, assigned.plan, partitions)

    def streams(self) -> list[tuple[Assigned, Stream]]:
        return [(a, stream) for a in self.assigned for stream in a.plan.streams]

    def find(self, name: str) -> tuple[Assigned, Stream]:
        """A stream by source.stream. Raises ValueError that lists what there is."""
        for assigned, stream in self.streams():
            if f"{assigned.source.name}.{stream.name}" == name:
                return assigned, stream
        names = [f"{a.source.name}.{s.name}" for a, s in self.streams()]
        near = [one for one in names if one.partition(".")[0] == name.partition(".")[0]]
        known = ", ".join(near or names)
        raise ValueError(f"no stream {name!r} in the plans in use; there are {known}")

    def need_to_fit(self) -> None:
        """Raises ValueError for a schedule that does not fit an upstream's allowance."""
        proofs = [self._proof(a) for a in self.assigned if not a.missing]
        if refusals := [text for proof in proofs for text in proof.refusals]:
            raise ValueError("\n".join(refusals))

    async def declare(self, now: datetime) -> None:
        """Write the catalogue and the quota rows. Raises ValueError for a schedule that does not fit."""
        self.need_to_fit()
        lines = {
            f"{a.source.name}.{s.name}": declare(
                a.source,
                a.plan,
                s,
                self.partitions(s),
                self.reach_of(s),
                missing=a.missing,
                lives=self.lives(s),
            )
            for a, s in self.streams()
        }
        await self.store.catalog.declare(lines, now, whole=True)
        for assigned in self.metered:
            await self.store.quotas.declare(assigned.scope, assigned.plan.quota, now)
        if self.advanced is None:
            await self.store.llm_spend.retire()
        else:
            await self.store.llm_spend.declare(self.advanced.assigned.scope, self.advanced.budget, now)

    async def since(self) -> dict[str, datetime]:
        """From when on this node accounts for each declared stream."""
        declared = await self.store.catalog.streams()
        return {name: schedule(line).wanted_from for name, line in declared.items()}

    def api(
        self,
        assigned: Assigned,
        stream: Stream,
        priority: Priority,
        turns: Turns,
        before: datetime | None = None,
    ) -> HttpApi:
        return HttpApi(
            source=assigned.source,
            plan=assigned.plan,
            stream=stream,
            priority=priority,
            before=before,
            turns=turns,
            clock=self.clock,
            keep=self._keep,
            http=self.http,
            base_url=assigned.base_url,
            simulated=self.simulated,
            signing=self._signing_of(assigned),
            headers=assigned.headers,
            validators=self._validators,
        )

    async def _keep(self, page: Page) -> None:
        await self.store.raw.keep(page)
        self.measured.answered(page)

    def chat(self, advanced: Advanced, turns: Turns) -> Chat:
        return Chat(
            scope=advanced.assigned.scope,
            url=advanced.assigned.base_url,
            prices=advanced.prices,
            purse=self.store.llm_spend,
            turns=turns,
            clock=self.clock,
            http=self.http,
            simulated=self.simulated,
            signing=self._signing_of(advanced.assigned),
        )

    def _signing_of(self, assigned: Assigned) -> Signing:
        """One per scope, so that a token is bought once for all its streams."""
        if assigned.scope not in self._signing:
            address = partial(address_of, assigned.plan, assigned.base_url, simulated=self.simulated)
            agent = assigned.headers.get("user-agent", "")
            self._signing[assigned.scope] = signing_for(
                assigned.plan, assigned.source.name, assigned.secrets, address, self.http, self.clock, agent
            )
        return self._signing[assigned.scope]

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
        self._node.measured.committed(collected, done)
        return done

    async def known(self, stream: Stream, name: str, over: TimeRange, of: Sequence[str]) -> list[Fact]:
        return await self._node.store.reading.between(stream.record, name, of, over)

    async def report(self, stream: str, status: Status) -> None:
        values = {name: getattr(status, name) for name in Status.__dataclass_fields__}
        await self._node.store.catalog.report(stream, self._lease.owner, values)

    async def verify(
        self, stream: Stream, name: str, partition: str, over: TimeRange
    ) -> tuple[list[Any], list[datetime]]:
        tried = await self._node.store.ledger.tried(name, over, [partition])
        cursors = await self._node.store.reading.cursors(stream.record, name, [partition], over)
        return tried.get(partition, []), cursors.get(partition, [])


def _looked_at(stream: Stream) -> timedelta | None:
    """How far back features look in such a stream; None for one that they are not made of."""
    if stream.record is Bar and (stream.grain != HOUR or stream.unit.lower() != "usd"):
        return None
    if stream.record not in (Bar, FundingRate, OpenInterest):
        return None
    from ray_app.derive.stale import reach  # loads Polars: only a node that builds features needs it

    return reach(stream.record)
