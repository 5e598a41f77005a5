"""The keepers of all quota scopes in one named Ray actor, and the way clients find it.

The actor is named by release, so the two clusters of an upgrade never share one; the SQL rows behind them
are the truth. A process costs about 100 MiB, a keeper next to nothing: so one holds them all. A client whose
keeper is gone looks for it again, and takes turns from SQL itself while there is none.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import ray
from ray.exceptions import RayActorError

from ray_app.connect.keeper import Keeper
from ray_app.model.quota import Allowance, Priority, Refusal, Turn
from ray_app.runtime.opening import NAMESPACE, Assigned, Node, Opening
from ray_app.runtime.pool import beside_me

LOOKUPS = 20  # a keeper that restarts is back within seconds
Asked = tuple[int, datetime | None]  # a priority and a deadline
PAUSE = 0.5  # seconds of wall time between lookups
LOOK_AGAIN = 30.0  # seconds after which a client that goes without a keeper looks for one


def keeper_name(release: str) -> str:
    return f"keeper-{release}"


def keeper_for(node: Node, assigned: Assigned) -> Keeper:
    """A keeper in this process, on the scope's SQL row."""
    mine = (assigned.source.name, assigned.plan.name)
    live = sum(p.live_per_day for p in node.proofs() if (p.source, p.plan) == mine)  # no schedule: 0
    return Keeper(assigned.scope, assigned.plan.quota, node.store.quotas, node.clock, live)


class KeeperActor:
    """Hands out the turns of every scope to every process. Opened at the first call, again after a restart."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._keepers: dict[str, Keeper] = {}
        self._opened = asyncio.Lock()

    async def turn(self, scope: str, asked: Asked) -> Turn:
        priority, before = asked
        return await (await self._keeper(scope)).turn(Priority(priority), before)

    async def refused(self, scope: str, refusal: Refusal) -> None:
        await (await self._keeper(scope)).refused(refusal)

    async def told(self, scope: str, allowance: Allowance) -> None:
        await (await self._keeper(scope)).told(allowance)

    async def ping(self) -> list[str]:
        """The scopes that it keeps."""
        await self._open()
        return sorted(self._keepers)

    async def _keeper(self, scope: str) -> Keeper:
        if scope not in self._keepers:
            await self._open()
        return self._keepers[scope]

    async def _open(self) -> None:
        async with self._opened:
            if not self._keepers:
                node = await self._opening()
                self._keepers = {a.scope: keeper_for(node, a) for a in node.metered}


def start_keeper(opening: Opening, release: str) -> Any:
    """The release's keeper, made here or found; it lives as long as its maker."""
    options = {"name": keeper_name(release), "namespace": NAMESPACE, "get_if_exists": True, **beside_me()}
    actor = ray.remote(KeeperActor)
    return actor.options(num_cpus=0, max_restarts=-1, max_concurrency=1000, **options).remote(opening)


@dataclass(slots=True)
class FarTurns:
    """Turns from the named keeper; from SQL when no keeper can be found."""

    node: Node
    assigned: Assigned
    wall: Any  # a Clock on wall time: looking up an actor takes real seconds
    _actor: Any = None
    _near: Keeper | None = field(default=None)
    _look_again: float = 0.0

    async def turn(self, priority: Priority, before: datetime | None = None) -> Turn:
        turn: Turn = await self._call("turn", (int(priority), before))
        return turn

    async def refused(self, refusal: Refusal) -> None:
        await self._call("refused", refusal)

    async def told(self, allowance: Allowance) -> None:
        await self._call("told", allowance)

    async def _call(self, method: str, told: Any) -> Any:
        now = asyncio.get_running_loop().time()
        lookups = LOOKUPS if self._near is None else int(now >= self._look_again)
        for _ in range(lookups):
            try:
                if self._actor is None:
                    self._actor = ray.get_actor(keeper_name(self.node.release), namespace=NAMESPACE)
                answer = await getattr(self._actor, method).remote(self.assigned.scope, told)
                self._near = None  # back at the one keeper, where priorities are weighed against each other
                return answer
            except (ValueError, RayActorError):
                self._actor = None
                await self.wall.sleep(PAUSE)
        if self._near is None:
            self._near = keeper_for(self.node, self.assigned)
        if lookups:
            self._look_again = asyncio.get_running_loop().time() + LOOK_AGAIN
        if method == "turn":
            priority, before = told
            return await self._near.turn(Priority(priority), before)
        return await getattr(self._near, method)(told)
