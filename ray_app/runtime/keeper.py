"""The keeper as a named Ray actor, one per quota scope, and the way clients find it.

Named by release, so the two clusters of an upgrade never share one; the SQL row behind both is the truth.
A client whose keeper is gone looks for it again, and takes turns from SQL itself while there is none.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import RayActorError

from ray_app.connect.keeper import Keeper
from ray_app.model.quota import Allowance, Priority, Refusal, Turn
from ray_app.runtime.opening import NAMESPACE, Assigned, Node, Opening

LOOKUPS = 20  # a keeper that restarts is back within seconds
PAUSE = 0.5  # seconds of wall time between lookups
LOOK_AGAIN = 30.0  # seconds after which a client that goes without a keeper looks for one


def keeper_name(release: str, scope: str) -> str:
    return f"keeper-{release}-{scope}"


def keeper_for(node: Node, assigned: Assigned) -> Keeper:
    """A keeper in this process, on the scope's SQL row."""
    live = next(
        p.live_per_day
        for p in node.proofs()
        if (p.source, p.plan) == (assigned.source.name, assigned.plan.name)
    )
    return Keeper(assigned.scope, assigned.plan.quota, node.store.quotas, node.clock, live)


class KeeperActor:
    """Hands out the turns of one scope to every process. Opened at the first call, again after a restart."""

    def __init__(self, opening: Opening, scope: str) -> None:
        self._opening, self._scope = opening, scope
        self._keeper: Keeper | None = None
        self._opened = asyncio.Lock()

    async def turn(self, priority: int) -> Turn:
        return await (await self._ready()).turn(Priority(priority))

    async def refused(self, refusal: Refusal) -> None:
        await (await self._ready()).refused(refusal)

    async def told(self, allowance: Allowance) -> None:
        await (await self._ready()).told(allowance)

    async def ping(self) -> str:
        await self._ready()
        return self._scope

    async def _ready(self) -> Keeper:
        async with self._opened:
            if self._keeper is None:
                node = await self._opening()
                assigned = next(a for a in node.assigned if a.scope == self._scope)
                self._keeper = keeper_for(node, assigned)
        return self._keeper


def start_keeper(opening: Opening, release: str, scope: str) -> Any:
    """The scope's keeper, made here or found; it lives as long as its maker."""
    options = {"name": keeper_name(release, scope), "namespace": NAMESPACE, "get_if_exists": True}
    actor = ray.remote(KeeperActor)
    return actor.options(num_cpus=0, max_restarts=-1, max_concurrency=1000, **options).remote(opening, scope)


@dataclass(slots=True)
class FarTurns:
    """Turns from the named keeper; from SQL when no keeper can be found."""

    node: Node
    assigned: Assigned
    wall: Any  # a Clock on wall time: looking up an actor takes real seconds
    _actor: Any = None
    _near: Keeper | None = field(default=None)
    _look_again: float = 0.0

    async def turn(self, priority: Priority) -> Turn:
        turn: Turn = await self._call("turn", priority, int(priority))
        return turn

    async def refused(self, refusal: Refusal) -> None:
        await self._call("refused", refusal, refusal)

    async def told(self, allowance: Allowance) -> None:
        await self._call("told", allowance, allowance)

    async def _call(self, method: str, near: Any, far: Any) -> Any:
        now = asyncio.get_running_loop().time()
        lookups = LOOKUPS if self._near is None else int(now >= self._look_again)
        for _ in range(lookups):
            try:
                if self._actor is None:
                    name = keeper_name(self.node.release, self.assigned.scope)
                    self._actor = ray.get_actor(name, namespace=NAMESPACE)
                answer = await getattr(self._actor, method).remote(far)
                self._near = None  # back at the one keeper, where priorities are weighed against each other
                return answer
            except (ValueError, RayActorError):
                self._actor = None
                await self.wall.sleep(PAUSE)
        if self._near is None:
            self._near = keeper_for(self.node, self.assigned)
        if lookups:
            self._look_again = asyncio.get_running_loop().time() + LOOK_AGAIN
        return await getattr(self._near, method)(near)
