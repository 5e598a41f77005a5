"""Quota: how much of an upstream's allowance is used, and whether its limit holds, by the upstream's ledger.

Collecting processes send as fast as they get turns from the keeper, against a simulator whose time runs
SPEED times as fast: everything that Ray, SQL and HTTP take in real time weighs that much more here. Judged
over all arrivals with a strict rolling window.
"""

import asyncio
import os
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import ray

from benchmarks.figures import Figure, at_least, at_most, exactly
from benchmarks.judge import MINUTE_MS, Arrival, downtime, judge
from ray_app.app import open_with
from ray_app.commands.companions import simulator
from ray_app.model.clock import SystemClock
from ray_app.model.errors import RateLimited
from ray_app.model.quota import Priority
from ray_app.model.source import Quota
from ray_app.runtime.keeper import FarTurns, start_keeper
from ray_app.runtime.opening import Node, Opening
from ray_app.settings import Settings

SPEED = float(os.environ.get("BENCH_QUOTA_SPEED", "6"))  # simulated seconds per real second
LIMIT, LOWERED, WINDOWS = 30, 10, 10.2
MINUTE = timedelta(minutes=1)
BEFORE, QUIET = 2, 5  # windows before a limit is lowered; windows without a refusal that must follow
LEARNING = 4.5  # windows that learning may take before these
USED, REFUSALS = 0.98, 3

During = Callable[[Node, Any], Awaitable[dict[str, Any]]]


async def opened(settings: Settings, quota: Quota | None) -> Node:
    """A node's parts with CoinGecko alone, under another quota if one is given."""
    node = await open_with(settings)
    node.assigned = tuple(
        replace(a, plan=replace(a.plan, quota=quota or a.plan.quota))
        for a in node.assigned
        if a.source.name == "coingecko"
    )
    return node


def simulator_of(node: Node) -> httpx.AsyncClient:
    """A client for the simulator's own routes."""
    return httpx.AsyncClient(base_url=node.assigned[0].base_url.partition("/cg-")[0])


class Sender:
    """A collecting process in small: turn, send, judge the answer, again."""

    async def ready(self, opening: Opening) -> None:
        """Open everything and reach the upstream once: a first request is slow, and here SPEED times so."""
        self._node = await opening()
        await self._node.http.get(self._node.assigned[0].base_url.partition("/cg-")[0] + "/sim")

    async def send(self, until: datetime) -> None:
        node = self._node
        (assigned,) = node.assigned
        turns = FarTurns(node, assigned, SystemClock())
        api = node.api(assigned, assigned.plan.streams[0], Priority.LIVE, turns)
        while node.clock.now() < until:
            try:
                await api.get("/ping")
            except RateLimited:
                continue
        await node.close()


async def change_limit(http: httpx.AsyncClient, plan: str, per_minute: int) -> None:
    """What the upstream really gives from now on, whatever it promises."""
    (await http.post("/sim/limits", json={"plan": plan, "per_minute": per_minute})).raise_for_status()


async def nothing(_: Node, __: Any) -> dict[str, Any]:
    return {}


async def run(
    name: str, senders: int, windows: float, during: During = nothing, told: bool = True
) -> tuple[list[Arrival], dict[str, Any]]:
    """The ledger of one run, and what `during` did to it. `told`: refusals state the upstream's limit."""
    plan, quota = ("demo", None) if told else ("paid", Quota(LIMIT, MINUTE))
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings.model_validate(
            {"data_dir": Path(folder), "coingecko_plan": plan, "release": name}
        )
        arguments = ["--plan", plan, "--speed", str(SPEED), "--seed", "7"]
        with simulator(settings, arguments, lambda _: None) as address:
            settings = settings.model_copy(update={"upstreams": address})
            async with httpx.AsyncClient(base_url=address) as http:
                if not told:
                    await change_limit(http, plan, LIMIT)
                node = await opened(settings, quota)
                await node.store.database.prepare(simulated=True)
                (assigned,) = node.assigned
                await node.store.quotas.declare(assigned.scope, assigned.plan.quota, node.clock.now())
                opening = partial(opened, settings, quota)
                keeper = start_keeper(opening, settings.release)
                await keeper.ping.remote()
                sender: Any = ray.remote(Sender)
                actors = [sender.options(num_cpus=0).remote() for _ in range(senders)]
                await asyncio.gather(*(actor.ready.remote(opening) for actor in actors))
                until = node.clock.now() + windows * MINUTE
                jobs = [actor.send.remote(until) for actor in actors]
                done = await during(node, keeper)
                await asyncio.gather(*jobs)
                read = (await http.get("/sim/ledger")).raise_for_status().json()["arrivals"]
                spent = (await node.store.quotas.state(assigned.scope, node.clock.now())).spent
                for actor in (*actors, keeper):
                    ray.kill(actor)
                await node.close()
    return [Arrival(a["at_ms"], a["status"]) for a in read], {**done, "turns_unused": spent - len(read)}


async def arrived(node: Node, wanted: float) -> None:
    """Wait until so many windows have passed since the first arrival."""
    async with simulator_of(node) as http:
        while not (seen := (await http.get("/sim/ledger")).json()["arrivals"]):
            await node.clock.sleep(1)
    await node.clock.sleep_until(datetime.fromisoformat(seen[0]["at"]) + wanted * MINUTE)


async def kill(node: Node, keeper: Any) -> dict[str, Any]:
    await arrived(node, WINDOWS / 2)
    killed = node.clock.now()
    ray.kill(keeper, no_restart=False)
    return {"killed_ms": round(killed.timestamp() * 1000)}


async def lower(plan: str, node: Node, _: Any) -> dict[str, Any]:
    await arrived(node, BEFORE)
    async with simulator_of(node) as http:
        await change_limit(http, plan, LOWERED)
    return {"lowered_ms": round(node.clock.now().timestamp() * 1000)}


def kept(name: str, arrivals: Sequence[Arrival], done: dict[str, Any]) -> tuple[list[Figure], dict[str, Any]]:
    """The figures of a run under one limit."""
    gap, killed_ms = MINUTE_MS / LIMIT, done.get("killed_ms")
    paused = 0.0 if killed_ms is None else downtime(arrivals, killed_ms, gap)
    judged = judge(arrivals, LIMIT, paused_ms=paused)
    figures = [
        at_least(f"{name}: full windows", judged.windows, 10),
        at_least(f"{name}: allowance used", judged.used, USED),
        exactly(f"{name}: refused", judged.refused, 0, "calls"),
        at_most(f"{name}: fullest window", judged.fullest, LIMIT, "calls"),
    ]
    if killed_ms is not None:
        figures.append(
            Figure(f"{name}: downtime, not counted", round(paused / 1000 / SPEED, 2), "s of real time")
        )
    return figures, {**asdict(judged), "paused_ms": paused, **done}


def learned(
    name: str, arrivals: Sequence[Arrival], done: dict[str, Any]
) -> tuple[list[Figure], dict[str, Any]]:
    """The figures of a run whose limit was lowered in silence."""
    lowered_ms: int = done["lowered_ms"]
    after = [a for a in arrivals if a.at_ms >= lowered_ms]
    refused = [a.at_ms for a in after if a.status == 429]
    since = refused[-1] if refused else lowered_ms
    quiet = judge([a for a in after if a.at_ms > since], LOWERED)
    figures = [
        at_most(f"{name}: refused in all", len(refused), REFUSALS, "calls"),
        at_least(
            f"{name}: windows without a refusal after that", (after[-1].at_ms - since) / MINUTE_MS, QUIET
        ),
        at_most(f"{name}: fullest window after that", quiet.fullest, LOWERED, "calls"),
        Figure(f"{name}: new allowance used after that", quiet.used),
    ]
    before = sum(a.status == 429 for a in arrivals) - len(refused)
    figures.insert(0, exactly(f"{name}: refused before that", before, 0, "calls"))
    return figures, {"refused_after_ms": [at - lowered_ms for at in refused], **asdict(quiet), **done}


async def measure() -> dict[str, Any]:
    """Every run with its figures."""
    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=100 * 2**20,
    )
    found: dict[str, Any] = {"speed": SPEED, "runs": {}, "figures": []}

    def add(name: str, figures: list[Figure], told: dict[str, Any]) -> None:
        found["figures"] += figures
        found["runs"][name] = told

    try:
        for senders in (1, 8):
            name = f"{senders} sender{'s' * (senders > 1)}"
            add(name, *kept(name, *(await run(f"even-{senders}", senders, WINDOWS))))
        arrivals, done = await run("killed", 8, WINDOWS + 2, kill)
        add("killed", *kept("8 senders, keeper killed", arrivals, done))
        for told in (True, False):
            name = f"limit lowered, {'' if told else 'not '}stated in refusals"
            plan = "demo" if told else "paid"
            windows = BEFORE + LEARNING + QUIET
            arrivals, done = await run(f"lowered-{plan}", 8, windows, partial(lower, plan), told)
            add(name, *learned(name, arrivals, done))
    finally:
        ray.shutdown()
    return found


def figures(measured: dict[str, Any]) -> list[Figure]:
    return list(measured["figures"])
