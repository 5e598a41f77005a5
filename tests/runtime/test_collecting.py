"""The collecting half on a real Ray: keepers, collectors and their supervisor, killed and back."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any

import httpx
import pytest
from ray.exceptions import RayActorError
from sqlalchemy import select

from ray_app.app import open_with
from ray_app.model.clock import SystemClock
from ray_app.model.completeness import spans, totals
from ray_app.model.declared import lives, record_of, schedule
from ray_app.model.timerange import ALWAYS, TimeRange, ceil, floor
from ray_app.runtime.opening import Node
from ray_app.settings import Settings
from ray_app.store.tables import leases

WALL = SystemClock()


async def until(condition: Callable[[], Any], seconds: float) -> Any:
    """What `condition` gives once it is true; fails after that many seconds."""
    deadline = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < deadline:
        if found := await condition():
            return found
        await WALL.sleep(0.2)
    raise AssertionError(f"not within {seconds} s: {condition}")


async def opened(settings: Settings) -> Node:
    node = await open_with(settings)
    await node.store.database.prepare(simulated=True)
    return node


async def states(node: Node, name: str, since: datetime) -> dict[str, int]:
    """Intervals of a stream by state, over all its partitions, from `since` to now."""
    declared = (await node.store.catalog.streams())[name]
    now = node.clock.now()
    over = TimeRange(floor(since, schedule(declared).grain), ceil(now, schedule(declared).grain))
    tried = await node.store.ledger.tried(name, over)
    facts = await node.store.reading.between(record_of(declared), name, declared["partitions"], over)
    cursors: dict[str, list[datetime]] = {}
    for fact in facts:
        cursors.setdefault(fact.partition, []).append(fact.cursor)
    found = []
    for partition in declared["partitions"]:
        expected = replace(schedule(declared), life=lives(declared).get(partition, ALWAYS))
        found += spans(expected, over, now, tried.get(partition, []), cursors.get(partition, []))
    return {state: count for state, count in totals(found).items() if count}


async def fence(node: Node, shard: str) -> int:
    async with node.store.database.read() as connection:
        return (await connection.execute(select(leases.c.fence).where(leases.c.shard == shard))).scalar_one()


@pytest.mark.slow
async def test_a_killed_collector_is_back_with_nothing_lost_and_nothing_twice(
    ray_session: Any, simulate: Any, settings_for: Any
) -> None:
    from ray import serve

    from ray_app.runtime.supervisor import Supervisor

    address = simulate(
        "--speed", "14", "--coins", "90", "--start", "2026-03-01T10:00:30+00:00", "--no-limits"
    )  # a slot of prices takes 21 s: a process that starts on a busy machine takes 10
    settings = settings_for(address, history=timedelta(hours=6))
    node = await opened(settings)
    names = [f"coingecko.{stream.name}" for _, stream in node.streams()]
    deployment: Any = Supervisor
    supervisor = serve.run(
        deployment.bind(partial(open_with, settings), settings.release, {"collect-0": names}),
        name="killed",
        route_prefix=None,
    )
    try:
        began = node.clock.now()

        async def pid() -> int | None:
            return (await supervisor.status.remote()).get("collect-0", {}).get("pid")

        fences, pids = [], set()
        for _ in range(3):
            seen = await until(pid, 60)
            slots = await node.store.reading.latest(node.streams()[0][1].record, "coingecko.prices")
            os.kill(seen, signal.SIGKILL)
            pids.add(seen)

            async def newer(seen: int = seen, slots: Any = slots) -> bool:
                found = await node.store.reading.latest(node.streams()[0][1].record, "coingecko.prices")
                return await pid() not in (None, seen) and found != slots and bool(found)

            await until(newer, 60)
            fences.append(await fence(node, "collect-0"))
        assert len(pids) == 3
        assert fences == sorted(fences)
        assert len(set(fences)) == 3, "each successor must raise the fence"

        async def caught_up() -> bool:
            return set(await states(node, "coingecko.bars_1h", began - timedelta(hours=5))) <= {
                "collected",
                "not_due",
            }

        await until(caught_up, 120)
        assert set(await states(node, "coingecko.prices", began)) <= {"collected", "not_due"}
        for name in names:
            declared = (await node.store.catalog.streams())[name]
            everything = TimeRange(began - timedelta(days=1), began + timedelta(days=1))
            assert await node.store.reading.revisions(record_of(declared), name, everything, 10) == []
        prices = await node.store.reading.count(
            record_of((await node.store.catalog.streams())["coingecko.prices"]), "coingecko.prices"
        )
        events = await node.store.outbox.after("prices", 0, 10**6)
        assert [event.number for event in events] == list(range(1, len(events) + 1))
        told = [(e.record["coin"], e.record["slot"]) for e in events if "coin" in e.record]
        assert len(told) == len(set(told)) == prices, "each price is announced once"
    finally:
        await asyncio.to_thread(serve.delete, "killed")
        await node.close()


async def test_a_client_without_a_keeper_takes_turns_from_sql(
    ray_session: Any, simulate: Any, settings_for: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ray_app.model.quota import Priority
    from ray_app.runtime import keeper

    monkeypatch.setattr(keeper, "PAUSE", 0.01)
    address = simulate("--coins", "90")
    node = await opened(settings_for(address))
    try:
        await node.declare(node.clock.now())
        far = keeper.FarTurns(node, node.assigned[0], WALL)
        turns = [await far.turn(Priority.LIVE) for _ in range(3)]
        gap = timedelta(minutes=1) / 500
        assert all(later.not_before - earlier.not_before >= gap for earlier, later in pairwise(turns))
        assert (await node.store.quotas.state("coingecko-paid", node.clock.now())).spent == 3
    finally:
        await node.close()


async def test_a_killed_keeper_is_found_again_and_its_chunk_stays_spent(
    ray_session: Any, simulate: Any, settings_for: Any
) -> None:
    from ray_app.model.quota import Priority
    from ray_app.runtime.keeper import FarTurns, start_keeper

    settings = settings_for(simulate("--coins", "90"))
    node = await opened(settings)
    try:
        await node.declare(node.clock.now())
        actor = start_keeper(partial(open_with, settings), settings.release)
        far = FarTurns(node, node.assigned[0], WALL)
        before = [await far.turn(Priority.LIVE) for _ in range(5)]
        ray_session.kill(actor, no_restart=False)
        after = [await far.turn(Priority.LIVE) for _ in range(5)]
        times = [turn.not_before for turn in before + after]
        gap = timedelta(minutes=1) / 500
        assert all(later - earlier >= gap for earlier, later in pairwise(times))
        assert far._near is None, "the keeper itself must have answered"
        async with httpx.AsyncClient(base_url=settings.upstreams) as http:
            assert (await http.get("/sim/ledger")).status_code == 200
    finally:
        await node.close()


async def test_a_keeper_that_ends_with_its_former_owner_is_followed_by_another(
    ray_session: Any, simulate: Any, settings_for: Any
) -> None:
    """The Supervisor of a node that came for a dead one finds the keeper of the one before, for a moment."""
    from ray import serve

    from ray_app.runtime.keeper import keeper_name, start_keeper
    from ray_app.runtime.opening import NAMESPACE
    from ray_app.runtime.supervisor import Supervisor

    settings = settings_for(simulate("--coins", "90"), release="owned")
    opening = partial(open_with, settings)

    class Former:
        def start(self) -> None:
            self.keeper = start_keeper(opening, settings.release)

    former = ray_session.remote(Former).options(num_cpus=0).remote()
    await former.start.remote()
    node, found = await opened(settings), ray_session.get_actor(keeper_name("owned"), namespace=NAMESPACE)
    await found.ping.remote()
    deployment: Any = Supervisor
    serve.run(deployment.bind(opening, settings.release, {}), name="owned", route_prefix=None)
    try:
        ray_session.kill(former)

        async def another() -> bool:
            with contextlib.suppress(ValueError, RayActorError):
                keeper = ray_session.get_actor(keeper_name("owned"), namespace=NAMESPACE)
                return keeper != found and bool(await keeper.ping.remote())
            return False

        await until(another, 60)
    finally:
        await asyncio.to_thread(serve.delete, "owned")
        await node.close()
