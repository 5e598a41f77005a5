"""Growth: what one live cycle of prices costs for 50 to 17,000 coins, on SQLite and on MariaDB.

Each size runs in a process of its own, against a simulator with as many coins: a first cycle, which also
makes every series, and the cycle of the next slot. The pace of an upstream's limit is left out (turns are
given at once) and told beside: what it would add under the paid plan. Seconds hold the simulator's own
work too, since it shares the machine; CPU seconds are the collecting process' alone.
"""

import asyncio
import gc
import json
import math
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from benchmarks.figures import Figure, at_most, exactly
from ray_app.collect.running import Running
from ray_app.commands.companions import simulator
from ray_app.connect.keeper import slack
from ray_app.connect.simulated import simulator_clock
from ray_app.model.clock import Clock
from ray_app.model.quota import Allowance, Priority, Refusal, Turn
from ray_app.settings import Settings
from tests.servers import MariaDB

SIZES = (50, 500, 5_000, 17_000)
COINS = (
    "coins.txt"  # ids, one a line: read in the process itself, CoinGecko's own list would leave memory to use
)
BATCH, SLOT = 250, 300.0  # coins a call; seconds between two live cycles
START = "2026-03-01T10:00:30+00:00"  # half a minute into a slot
MIB = 2**20


@dataclass(frozen=True, slots=True)
class AtOnce:
    """Turns without a pace."""

    clock: Clock

    async def turn(self, _: Priority, before: datetime | None = None) -> Turn:  # noqa: ARG002  # as Turns has it
        now = self.clock.now()
        return Turn(now, now + timedelta(hours=1))

    async def refused(self, refusal: Refusal) -> None:
        raise AssertionError(f"refused by a simulator without limits: {refusal}")

    async def told(self, allowance: Allowance) -> None:
        raise AssertionError(f"a simulator without limits stated one: {allowance}")


def memory(name: str) -> int:
    """Bytes of this process: VmRSS is now, VmHWM the most since the last `forget_peak`."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise KeyError(name)


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


async def collecting(address: str, folder: str, database: str) -> list[dict[str, Any]]:
    """Two cycles over the coins in the folder's list: what the process of its own does."""
    from ray_app.app import open_with
    from ray_app.runtime.opening import LeasedBooks

    settings = Settings.model_validate(
        {"data_dir": Path(folder), "coingecko_plan": "paid", "upstreams": address, "database_url": database}
    )
    node = await open_with(settings)
    await node.store.database.prepare(simulated=True)
    await node.declare(node.clock.now())
    assigned = next(a for a in node.assigned if a.source.name == "coingecko")
    (prices,) = (s for s in assigned.plan.streams if s.name == "prices")
    coins = tuple((Path(folder) / COINS).read_text().split())
    lease = await node.store.leases.acquire("benchmark", "benchmark")
    assert lease is not None
    cycles = []
    async with httpx.AsyncClient(base_url=address) as http:
        for _ in range(2):
            node.clock = await simulator_clock(address, node.http)
            running = Running(
                source=assigned.source,
                stream=prices,
                partitions=coins,
                books=LeasedBooks(node, lease),
                api=lambda stream, priority, _: node.api(assigned, stream, priority, AtOnce(node.clock)),
                clock=node.clock,
                reach=timedelta(hours=1),
                since=node.clock.now(),
            )
            (await http.post("/sim/ledger/reset")).raise_for_status()
            gc.collect()
            forget_peak()
            rss, cpu, began = memory("VmRSS"), time.process_time(), time.perf_counter()
            failed = await running.cycle()
            seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
            assert not failed, running.status.last_error
            arrived = (await http.get("/sim/ledger")).raise_for_status().json()["total"]
            cycles.append(
                {
                    "coins": len(coins),
                    "calls": arrived,
                    "seconds": round(seconds, 3),
                    "cpu_seconds": round(cpu, 3),
                    "added_mib": round((memory("VmHWM") - rss) / MIB, 1),
                    "rss_mib": round(memory("VmRSS") / MIB, 1),
                    "facts": await node.store.reading.count(prices.record, "coingecko.prices"),
                }
            )
            (await http.post("/sim/clock", json={"advance": SLOT})).raise_for_status()
    await node.close()
    return cycles


def apart(coins: int, database: str) -> list[dict[str, Any]]:
    """The two cycles of one size, in a fresh process against a fresh simulator."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings.model_validate({"data_dir": Path(folder)})
        arguments = [
            "--plan",
            "analyst",
            "--coins",
            str(coins),
            "--no-limits",
            "--start",
            START,
            "--seed",
            "7",
        ]
        with simulator(settings, arguments, lambda _: None) as address:
            listed = httpx.get(address + "/cg-pro/api/v3/coins/list", headers={"x-cg-pro-api-key": "sim-key"})
            ids = [row["id"] for row in listed.raise_for_status().json()]
            (Path(folder) / COINS).write_text("\n".join(ids))
            command = [sys.executable, "-m", "benchmarks.growth", address, folder, database]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure() -> dict[str, Any]:
    """Both cycles of every size on both databases."""
    found: dict[str, Any] = {"sqlite": {}, "mariadb": {}}
    for coins in SIZES:
        found["sqlite"][coins] = apart(coins, "")
    with tempfile.TemporaryDirectory() as folder:
        server = MariaDB(Path(folder))
        try:
            for coins in SIZES:
                name = f"growth_{coins}"
                found["mariadb"][coins] = apart(coins, server.create_database(name))
                server.drop_database(name)
        finally:
            server.close()
    return found


def figures(measured: dict[str, Any]) -> list[Figure]:
    from ray_app.sources.coingecko import SOURCE

    quota = SOURCE.plan("paid").quota
    gap = (quota.per + slack(quota.per)) / quota.calls
    out = []
    for database, sizes in measured.items():
        for coins, (first, second) in sizes.items():
            name = f"{database}, {coins:,} coins"
            calls = math.ceil(first["coins"] / BATCH)
            longest = max(first["seconds"], second["seconds"]) + calls * gap.total_seconds()
            out += [
                exactly(f"{name}: calls of a cycle", max(first["calls"], second["calls"]), calls),
                at_most(f"{name}: longer cycle, with the plan's pace", round(longest, 2), SLOT, "s"),
                Figure(f"{name}: memory added by the first cycle", first["added_mib"], "MiB"),
                at_most(f"{name}: memory added by the next", second["added_mib"], first["added_mib"], "MiB"),
            ]
        smaller, largest = sizes[SIZES[-2]][1], sizes[SIZES[-1]][1]
        for unit, label in (("cpu_seconds", "CPU"), ("seconds", "seconds")):
            ratio = (largest[unit] / largest["coins"]) / (smaller[unit] / smaller["coins"])
            out.append(
                Figure(
                    f"{database}: {label} a coin, {SIZES[-1]:,} beside {SIZES[-2]:,}",
                    round(ratio, 2),
                    "times",
                )
            )
    return out


if __name__ == "__main__":
    print(json.dumps(asyncio.run(collecting(*sys.argv[1:]))))
