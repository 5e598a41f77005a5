"""What every drill promises, read back: intervals, doubled rows and events, and the upstream's own ledger."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx

from ray_app.model.declared import record_of
from ray_app.model.timerange import TimeRange
from ray_app.simulator.ledger import Arrival
from tests.drill.world import World
from tests.soak.account import account

SETTLED_WITHIN = 400.0  # seconds; 59 coins at 5 a minute are 240 s at three times the speed
FIELDS = ("number", "at_ms", "path", "query", "plan", "key", "status", "fault", "cache")


@dataclass
class Found:
    """Figures and broken promises."""

    states: Counter[str] = field(default_factory=Counter)
    facts: int = 0
    events: int = 0
    calls: int = 0
    busiest: int = 0  # most calls within one of the quota's windows, wherever it begins
    pressed: int = 0  # the same since something was done to the cluster
    limit: int = 0
    broken: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        states = ", ".join(f"{count} {state}" for state, count in sorted(self.states.items()) if count)
        return (
            f"intervals: {states}; {self.facts} facts and {self.events} events, none twice; "
            f"{self.calls} calls, at most {self.busiest} of {self.limit} a minute, {self.pressed} from then on"
        )


async def proof(world: World, since: datetime) -> Found:
    """Everything since the stores were made, once nothing is late any more. `since`: from then on somebody took every
    turn that was left, so a quota that was not in full use proves nothing."""
    await _settled(world)
    arrivals = await _arrivals(world.upstream)
    told, out = await account(world.node, arrivals), Found()
    out.states, out.facts, out.calls = told.states, len(told.facts), told.calls
    out.broken += [f"unexplained: {one}" for one in told.unexplained]
    out.broken += [
        f"lost: {stream} {partition} {ranges}" for (stream, partition), ranges in told.lost.items()
    ]
    out.broken += [f"refused for its rate: {one}" for one in told.refused]
    if sum(told.states.values()) != told.expected:
        out.broken.append(
            f"{told.expected} intervals were expected and {sum(told.states.values())} have a state"
        )
    await _doubled(world, out)
    await _events(world, out)
    quota, from_then = world.node.assigned[0].plan.quota, since.timestamp() * 1000
    out.limit, out.busiest = quota.calls, _busiest(arrivals, quota.per)
    out.pressed = _busiest([one for one in arrivals if one.at_ms >= from_then], quota.per)
    if out.busiest > out.limit:
        out.broken.append(f"{out.busiest} calls within {quota.per}, {out.limit} are allowed")
    if out.pressed < out.limit:
        out.broken.append(f"{out.pressed} calls within {quota.per} are too few to show that {out.limit} hold")
    return out


async def _settled(world: World) -> None:
    """Wait until what a small quota could not get at once is there. Raises TimeoutError."""
    async with asyncio.timeout(SETTLED_WITHIN):
        while (await account(world.node, ())).states["late"]:  # noqa: ASYNC110  # it is in other processes
            await asyncio.sleep(2.0)


async def _doubled(world: World, out: Found) -> None:
    """A simulated upstream corrects nothing: a second revision would be one fact stored twice."""
    now = world.node.clock.now()
    everything = TimeRange(now - timedelta(days=30), now + timedelta(days=1))
    for name, declared in (await world.node.store.catalog.streams()).items():
        for one in await world.node.store.reading.revisions(record_of(declared), name, everything, 10):
            out.broken.append(f"stored twice: {name} {one}")


async def _events(world: World, out: Found) -> None:
    events = await world.node.store.outbox.after("prices", 0, 10**9)
    out.events = len(events)
    if [one.number for one in events] != list(range(1, len(events) + 1)):
        out.broken.append("events are not numbered one after the other")
    told: Counter[Any] = Counter((e.record["coin"], e.record["slot"]) for e in events if "coin" in e.record)
    out.broken += [f"announced {count} times: {price}" for price, count in told.items() if count > 1]


async def _arrivals(upstream: str) -> list[Arrival]:
    async with httpx.AsyncClient(base_url=upstream, timeout=60) as http:
        told = (await http.get("/sim/ledger")).raise_for_status().json()
    assert told["total"] == len(told["arrivals"]), "the simulator forgot some"
    return [
        Arrival(
            wall_ms=round(datetime.fromisoformat(one["wall"]).timestamp() * 1000),
            **{f: one[f] for f in FIELDS},
        )
        for one in told["arrivals"]
        if not one["path"].startswith("/sim")
    ]


def _busiest(arrivals: list[Arrival], per: timedelta) -> int:
    """Most arrivals within a window of that length, in the upstream's own time."""
    times, most, first = sorted(one.at_ms for one in arrivals), 0, 0
    for last, at in enumerate(times):
        while times[first] <= at - per.total_seconds() * 1000:
            first += 1
        most = max(most, last - first + 1)
    return most
