"""More load than two replicas of the gateway are to take: HAProxy sends requests to up to six, and none fails."""

import time

from tests.drill import manifest
from tests.drill.asking import asking
from tests.drill.drills import Report, collects, newest, rest, unanswered, until
from tests.drill.world import World

LEAST, MOST = 2, 6
ASKERS = 30
# The manifests say 24. A machine of two cores that also asks does not keep 6 times as many under way.
SCALING = {"target_ongoing_requests": 1, "upscale_delay_s": 2, "look_back_period_s": 4}


async def scale(world: World, release: str) -> Report:
    """On a cluster of its own, with the load until all six take requests."""
    async with world.cluster(release, manifest.growing(SCALING)) as cluster:
        await cluster.start()
        await cluster.deploy()
        address = f"127.0.0.1:{cluster.head_port}"
        if await newest(world) is None:
            await collects(world)
        before = await cluster.order("replicas", deployment="Gateway")
        began, grew = time.monotonic(), dict[int, float]()

        async def grown() -> bool:
            now = await cluster.order("replicas", deployment="Gateway")
            grew.setdefault(now, time.monotonic() - began)
            return bool(now >= MOST)

        broken = []
        async with asking(address, world.key, ASKERS, pause=0.0) as asked:
            try:
                await until(grown)
                there = asked.answered

                async def more() -> bool:
                    return asked.answered > there + 500

                await until(more)
            except TimeoutError:
                broken.append(f"it did not grow to {MOST} replicas")
            seconds = time.monotonic() - began
    broken += unanswered(asked)
    if before != LEAST:
        broken.append(f"{before} replicas ran before the load")
    steps = ", ".join(f"{count} after {after:.0f} s" for count, after in grew.items())
    rate = asked.answered / seconds
    figures = f"{ASKERS} askers; replicas: {steps}; {rest(asked)}, {rate:.0f} a second"
    return Report("scale-up", figures, broken)
