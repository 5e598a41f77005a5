"""Backfill: a year of hourly candles of 50 coins from the simulator into MariaDB, beside what ingest alone does.

A job as `crypto-data backfill` runs it: plan, turns, HTTP, raw pages, parsing, commits, and the second look that
its receipt counts. The simulator is a process of its own, its pages rendered by a first pass. Ingest is what
`benchmarks.ingest` measures, in the same run, in turn. Then once more with the limits of the paid plan: the least
time is what its calls take at the rate that it allows.
"""

import asyncio
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from benchmarks import ingest
from benchmarks.figures import Figure, at_least, at_most
from benchmarks.quota import change_limit
from ray_app.app import open_with
from ray_app.collect.backfill import Request
from ray_app.collect.planner import plan
from ray_app.commands.companions import simulator
from ray_app.model.source import Quota
from ray_app.model.timerange import ALWAYS, TimeRange
from ray_app.runtime.jobs import backfill_job
from ray_app.runtime.opening import Node
from ray_app.settings import Settings
from tests.servers import MariaDB

STREAM = "coingecko.bars_1h"
COINS, DAYS = 50, 365
YEAR = TimeRange(datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))
UNLIMITED = Quota(5_000, timedelta(seconds=1))
ROUNDS = 3
LEAST_RATIO, MOST_OVER = 0.40, 0.10


async def opened(settings: Settings, quota: Quota | None) -> Node:
    """A node with an empty database; under another quota if one is given."""
    node = await open_with(settings)
    if quota is not None:
        node.assigned = tuple(replace(a, plan=replace(a.plan, quota=quota)) for a in node.assigned)
    await node.store.database.prepare(simulated=True)
    return node


def asked(node: Node) -> Request:
    _, stream = node.find(STREAM)
    lives = node.lives(stream)
    coins = tuple(one for one in node.partitions(stream) if not any(lives.get(one, ALWAYS).missing(YEAR)))
    coins = coins[:COINS]
    assert len(coins) == COINS, f"{len(coins)} coins are tracked all year"
    return Request(STREAM, coins, YEAR)


async def render(node: Node) -> int:
    """Ask for every page once, so that the simulator has it ready; how many there are."""
    assigned, stream = node.find(STREAM)
    slices = list(plan(stream, asked(node).partitions, YEAR, {}))

    class Rendering:
        """What a source takes for the Api; the answers are thrown away."""

        async def get(self, path: str, **params: str | int) -> Any:
            answer = await http.get(path, params=params)
            answer.raise_for_status()

    headers = {"x-cg-pro-api-key": assigned.secrets[0]}
    async with httpx.AsyncClient(base_url=assigned.base_url, headers=headers, timeout=60) as http:
        for wanted in slices:
            async for _ in stream.fetch(Rendering(), wanted):
                pass
    return len(slices)


async def run(settings: Settings, quota: Quota | None) -> tuple[float, dict[str, Any]]:
    """Seconds for the job, and its receipt."""
    node = await opened(settings, quota)
    try:
        request = asked(node)
        began = time.perf_counter()
        receipt = await backfill_job(node, request, None, near=True, show=False)
        took = time.perf_counter() - began
    finally:
        await node.close()
    hours = COINS * DAYS * 24
    assert receipt["verified"] == {"collected": hours}, receipt["verified"]
    assert (receipt["new"], receipt["failed"], receipt["set_aside"]) == (hours, 0, 0), receipt
    return took, receipt


async def unlimited(server: MariaDB, folder: Path) -> dict[str, Any]:
    """Backfill and ingest in turn, without limits."""
    work = list(ingest.pages())
    rounds: list[dict[str, float]] = []
    calls = 0
    base = Settings.model_validate({"data_dir": folder, "coingecko_plan": "paid", "sources": "coingecko"})
    with simulator(base, ["--plan", "paid", "--no-limits"], lambda _: None) as address:
        for number in range(ROUNDS):
            name = f"round{number}"
            ingest_took = await ingest.ours(server.create_database(f"{name}_ingest"), work)
            server.drop_database(f"{name}_ingest")
            changes = {
                "upstreams": address,
                "database_url": server.create_database(name),
                "data_dir": folder / name,
            }
            settings = base.model_copy(update=changes)
            node = await opened(settings, UNLIMITED)
            calls = await render(node)
            await node.close()
            took, receipt = await run(settings, UNLIMITED)
            server.drop_database(name)
            assert receipt["slices"] == calls
            rounds.append(
                {
                    "backfill_seconds": round(took, 2),
                    "backfill_rows_per_second": round(receipt["new"] / took),
                    "ingest_rows_per_second": round(len(work) * 744 / ingest_took),
                }
            )
    ratios = sorted(r["backfill_rows_per_second"] / r["ingest_rows_per_second"] for r in rounds)
    return {"calls": calls, "rounds": rounds, "ratio": round(ratios[len(ratios) // 2], 3)}


async def limited(server: MariaDB, folder: Path) -> dict[str, Any]:
    """The same once more at the pace that the paid plan allows, its limits in force."""
    base = Settings.model_validate({"data_dir": folder, "coingecko_plan": "paid", "sources": "coingecko"})
    with simulator(base, ["--plan", "paid"], lambda _: None) as address:
        changes = {"upstreams": address, "database_url": server.create_database("limited")}
        settings = base.model_copy(update=changes | {"data_dir": folder / "limited"})
        node = await opened(settings, None)
        assigned, _ = node.find(STREAM)
        async with httpx.AsyncClient(base_url=address, timeout=60) as http:
            await change_limit(http, "paid", UNLIMITED.calls * 60)
            rendered = await render(node)
            await change_limit(http, "paid", assigned.plan.quota.calls)
            (
                await http.post("/sim/clock", json={"advance": 120})
            ).raise_for_status()  # a window without calls
            took, receipt = await run(settings, None)
            told = (await http.get("/sim/ledger?path=*/ohlc/range")).raise_for_status().json()["arrivals"]
        arrivals = told[rendered:]
        spent = (await node.store.quotas.state(assigned.scope, node.clock.now())).spent
        await node.close()
        server.drop_database("limited")
    quota = assigned.plan.quota
    least = receipt["slices"] * quota.per.total_seconds() / quota.calls
    return {
        "calls": receipt["slices"],
        "seconds": round(took, 2),
        "least_seconds": round(least, 2),
        "over": round(took / least - 1, 4),
        "sending_seconds": round((arrivals[-1]["at_ms"] - arrivals[0]["at_ms"]) / 1000, 2),
        "turns_unused": spent - len(arrivals),
        "refused": sum(a["status"] == 429 for a in arrivals),
    }


async def measure() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        server = await asyncio.to_thread(MariaDB, Path(folder))
        try:
            return {
                "unlimited": await unlimited(server, Path(folder) / "unlimited"),
                "limited": await limited(server, Path(folder) / "limited"),
            }
        finally:
            server.close()


def figures(measured: dict[str, Any]) -> Sequence[Figure]:
    free, bound = measured["unlimited"], measured["limited"]
    middle = sorted(free["rounds"], key=lambda r: r["backfill_rows_per_second"])[ROUNDS // 2]
    return [
        Figure("calls", free["calls"]),
        Figure("rows", COINS * DAYS * 24),
        Figure("ingest: validate and commit", middle["ingest_rows_per_second"], "rows/s"),
        Figure("backfill, end to end", middle["backfill_rows_per_second"], "rows/s"),
        Figure("backfill, end to end", middle["backfill_seconds"], "s"),
        at_least(f"backfill to ingest, median of {ROUNDS} rounds", free["ratio"], LEAST_RATIO),
        Figure("with limits: the least that they allow", bound["least_seconds"], "s"),
        Figure("with limits", bound["seconds"], "s"),
        Figure("with limits: from the first call to the last", bound["sending_seconds"], "s"),
        Figure("with limits: turns that came too late", bound["turns_unused"]),
        at_most("with limits: over the least", bound["over"], MOST_OVER),
        at_most("with limits: refused", bound["refused"], 0, "calls"),
    ]
