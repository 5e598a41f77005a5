"""The drills on one cluster: where everything runs, the end of a worker, the end of the head."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ray_app.collect.planner import on_offer, plan
from ray_app.model.records import Price
from tests.drill import manifest
from tests.drill.asking import Asked, asking
from tests.drill.pressing import pressing
from tests.drill.proof import proof
from tests.drill.world import Cluster, World

PRICES = "coingecko.prices"
WITHIN = 300.0  # seconds in which whatever is waited for must have come
HEADLESS = 10.0  # seconds that the head is away
SLEEPING = frozenset({"cryptobert", "finbert"})  # no replica runs before somebody asks
OF_RAY = {"ServeController": {"head"}}  # what Ray puts where by itself; a proxy runs on each node that serves


@dataclass
class Report:
    """One line of figures, and what broke a promise."""

    name: str
    figures: str
    broken: list[str] = field(default_factory=list)


async def labels(cluster: Cluster) -> Report:
    """Where every actor and replica landed, those of models included, which sleep until somebody asks."""
    await cluster.order("wake", application="models", deployments=list(SLEEPING))
    return await placed(cluster, frozenset())


async def placed(cluster: Cluster, sleeping: frozenset[str] = SLEEPING) -> Report:
    """All that run against the pools that the manifests ask for."""
    found: dict[str, list[str]] = {}
    for one, pool in await cluster.order("where"):
        found.setdefault(one.partition("@")[0], []).append(pool)
    asked = {name: {pool} for name, pool in manifest.asked_for().items()} | OF_RAY
    broken = [
        f"{name} runs in {pools}, not in {asked[name]}"
        for name, pools in found.items()
        if not set(pools) <= asked.get(name, set(manifest.pools()))
    ]
    broken += [f"{name} does not run" for name in sorted(asked.keys() - found.keys() - sleeping)]
    told = ", ".join(
        f"{len(pools)} {name} in {'+'.join(sorted(set(pools)))}" for name, pools in sorted(found.items())
    )
    return Report("labels", told, broken)


async def worker(world: World, cluster: Cluster) -> Report:
    """The node of the pool `collect` ends, and another one comes."""
    await polled(world)
    before, then = await owner(world), world.node.clock.now()

    async def taken() -> bool:
        return await owner(world) not in (before, "")

    async with pressing(world), asking(world.service.address, world.key, cut=True) as asked:
        began = time.monotonic()
        killed = await cluster.order("kill", pool="collect")
        await cluster.order("add", pool="collect")
        await until(taken)
        back = time.monotonic() - began
        await collects(world)
        await cluster.order("running")
    found = await proof(world, then)
    figures = f"{killed} processes killed; collecting again after {back:.0f} s; {rest(asked)}; {found}"
    broken = [*found.broken, *unanswered(asked), *(await placed(cluster)).broken]
    return Report("worker death", figures, broken)


async def head(world: World, cluster: Cluster) -> Report:
    """The head ends, with its state in Redis; another one comes."""
    await polled(world)
    before, since, there = await owner(world), await newest(world), await _actors(cluster)
    then = world.node.clock.now()
    async with pressing(world), asking(world.service.address, world.key) as asked:
        began = time.monotonic()
        killed = await cluster.order("kill", pool="head")
        await asyncio.sleep(HEADLESS)
        without = asked.answered
        await cluster.order("new_head")
        statuses = await cluster.order("running")
        back = time.monotonic() - began
        await collects(world, since)  # what was collected without a head
        await collects(world)
    found = await proof(world, then)
    broken = [*found.broken, *unanswered(asked)]
    if set(statuses.values()) != {"RUNNING"}:
        broken.append(f"the new head has {statuses}")
    if without == 0:
        broken.append("nothing was answered without a head")
    if gone := there - await _actors(cluster):
        broken.append(f"ended with the head: {', '.join(sorted(gone))}")
    kept = "the same collector" if await owner(world) == before else "another collector"
    figures = (
        f"{killed} processes killed; {without} requests answered before a new head came; "
        f"all runs again after {back:.0f} s; {len(there)} actors of other nodes lived on; {kept}; "
        f"{rest(asked)}; {found}"
    )
    return Report("head death", figures, broken)


def rest(asked: Asked) -> str:
    return (
        f"REST {asked.answered} answered, {len(asked.failed)} failed, {asked.broken} connections were gone, "
        f"slowest {asked.slowest:.1f} s"
    )


def unanswered(asked: Asked) -> list[str]:
    return [f"no answer: {one}" for one in asked.failed[:10]]


async def _actors(cluster: Cluster) -> set[str]:
    """Those that the end of the head is not to touch."""
    return {one for one, pool in await cluster.order("where") if pool != "head"}


async def owner(world: World) -> str:
    """Who holds the collector's lease; "" while nobody does."""
    return (await world.node.store.leases.held()).get("collect-0", "")


async def newest(world: World) -> datetime | None:
    found = await world.node.store.reading.latest(Price, PRICES)
    return max((fact.cursor for fact in found.values()), default=None) if found else None


async def collects(world: World, since: datetime | None = None) -> None:
    """Wait until prices of a slot after `since`, by default after the newest one, are stored."""
    since = since or await newest(world)

    async def newer() -> bool:
        now = await newest(world)
        return now is not None and (since is None or now > since)

    await until(newer)


async def polled(world: World) -> None:
    """Wait until the present interval of everything that an upstream tells only now is stored.

    Three times the speed makes a slot of five minutes one of 100 s, and a node takes as long as ever to come back. What
    dies between two polls of a slot would lose what it had not asked for, which at the usual speed it has minutes for.
    """
    present = [(assigned.source.name, one) for assigned, one in world.node.streams() if one.offers is None]

    async def all_of_it() -> bool:
        now = world.node.clock.now()
        for source, stream in present:
            slot = on_offer(stream, now, timedelta(0))
            assert slot is not None
            done = await world.node.store.ledger.coverage(f"{source}.{stream.name}", slot)
            if any(plan(stream, world.node.partitions(stream), slot, done, lives=world.node.lives(stream))):
                return False
        return True

    await until(all_of_it)


async def until(true: Callable[[], Awaitable[Any]], seconds: float = WITHIN) -> Any:
    """What `true` gives once it is so. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not (found := await true()):  # noqa: ASYNC110  # what is waited for is in other processes
            await asyncio.sleep(0.2)
        return found
