"""An upgrade as KubeRay plays it: a second cluster on the same stores, its requests, the end of the first."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from tests.drill.asking import asking
from tests.drill.drills import Report, collects, owner, rest, unanswered, until
from tests.drill.pressing import pressing
from tests.drill.proof import proof
from tests.drill.world import Cluster, World
from tests.kills.clients import Reader
from tests.kills.world import truth_of, wrong

READERS = 10
OVERLAP = 10.0  # seconds from the switch to the end of the first cluster; 960 in the manifests


async def upgrade(world: World, old: Cluster, release: str) -> Report:
    """`old` runs and is in service; afterwards the new cluster is, and has ended when this returns."""
    address, sockets = world.service.address, old.shape.sockets
    readers = [Reader(address, world.key, sockets=sockets and n % 2 == 0) for n in range(READERS)]
    reading = [asyncio.create_task(one.run()) for one in readers]
    try:
        await until(_all(readers, lambda one: one.live))
        await collects(world)
        async with world.cluster(release, old.shape) as new:
            return await _played(world, old, new, readers)
    finally:
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)


async def _played(world: World, old: Cluster, new: Cluster, readers: list[Reader]) -> Report:
    store, before, then = world.node.store, await owner(world), world.node.clock.now()
    async with pressing(world), asking(world.service.address, world.key) as asked:
        began = time.monotonic()
        await new.start()
        await new.deploy()
        healthy = time.monotonic() - began
        await world.service.select(new.ports)
        switched = time.monotonic()

        async def handed_over() -> bool:
            return await owner(world) not in (before, "")

        await until(handed_over)
        handed = time.monotonic() - switched
        await collects(world)
        await asyncio.sleep(max(0.0, OVERLAP - (time.monotonic() - switched)))
        came_back = [one.came_back for one in readers]
        began = time.monotonic()
        await old.order("delete")
        ended = time.monotonic() - began
        moved = list(zip(readers, came_back, strict=True))
        await until(_all(readers, lambda one: one.live))
        await collects(world)
    last = await store.outbox.newest("prices")
    await until(_all(readers, lambda one: (one.place or 0) >= last))
    truth = await truth_of(store)
    found = await proof(world, then)
    broken = [*found.broken, *unanswered(asked)]
    for one in readers:
        broken += [f"a stream: {line}" for line in wrong(one, truth, last)]
    if not all(one.came_back > n for one, n in moved):
        broken.append("a stream outlived the cluster that it was read from")
    figures = (
        f"the second cluster ran after {healthy:.0f} s; collecting handed over {handed:.1f} s later; "
        f"the first ended in {ended:.0f} s; {rest(asked)}; {len(readers)} streams came back with their cursors, "
        f"{last} events once and in order; {found}"
    )
    return Report("upgrade", figures, broken)


def _all(readers: list[Reader], so: Callable[[Reader], bool]) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        return all(so(one) for one in readers)

    return check
