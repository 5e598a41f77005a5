"""Online: from the commit of fifty bars to the fifty rows of features in Redis.

A store with the hours that features look back, a builder that has told the hour before, and then the bars of
the next hour of all symbols, committed one slice each as a collector does. What is measured begins when the last
commit returns. Beside it: the same again from frames that are read anew, which is what a start pays.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figures import Figure, at_most
from ray_app.connect.api import client
from ray_app.model.clock import ManualClock, SystemClock
from ray_app.model.collected import Collected, Lease
from ray_app.model.declared import declare
from ray_app.model.records import Bar
from ray_app.model.source import Page, Slice
from ray_app.model.symbols import Registry, load_registry
from ray_app.model.timerange import TimeRange
from ray_app.process.features.catalogue import hours_before
from ray_app.runtime.building import Building
from ray_app.runtime.opening import Node
from ray_app.sources import all_sources
from ray_app.store.hot import redis_client
from ray_app.store.hot_features import HotFeatures
from ray_app.store.store import Store
from tests.servers import Redis

HOUR = timedelta(hours=1)
END = datetime(2026, 11, 23, tzinfo=UTC)
YEAR = TimeRange(END - timedelta(days=365), END + timedelta(days=1))  # whose candles are collected throughout
SYMBOLS, ROUNDS = 50, 5
LONGEST = 1.0  # seconds
STREAM = "coinbase.bars_1h"


def walk(pair: str, hours: int) -> list[Bar]:
    """Hours of a random walk, ROUNDS of them after END."""
    random = np.random.default_rng(list(pair.encode()))
    ends = 100 * np.exp(np.cumsum(0.01 * random.standard_normal(hours + 1)))
    prices = [Decimal(f"{x:.4f}") for x in ends]
    first = END + ROUNDS * HOUR - hours * HOUR
    half = Decimal("0.5")
    return [
        Bar(
            symbol=pair, interval="1h", start=first + n * HOUR, end=first + (n + 1) * HOUR,
            open=prices[n], close=prices[n + 1], high=max(prices[n : n + 2]) + half,
            low=min(prices[n : n + 2]) / 2, volume=Decimal(n % 97 + 1),
        )
        for n in range(hours)
    ]  # fmt: skip


def answer(bars: Sequence[Bar], at: datetime) -> Collected:
    pair = bars[0].symbol
    page = Page(
        source="coinbase", stream="bars_1h", path="/x", params={"pair": pair}, status=200, headers={},
        body=f"{pair} {at}".encode(), asked_at=at, received_at=at,
    )  # fmt: skip
    return Collected(
        source="coinbase", stream="bars_1h", parser="1", outcome="covered", received_at=at, pages=(page,), topic=None,
        slice=Slice((pair,), TimeRange(bars[0].start, bars[-1].end)), records=tuple((bar, 0) for bar in bars),
    )  # fmt: skip


async def filled(store: Store, registry: Registry, lease: Lease) -> dict[str, list[Bar]]:
    source = all_sources()["coinbase"]
    stream = next(one for one in source.plans[0].streams if one.name == "bars_1h")
    lives = stream.lives(registry)
    alive = (pair for pair in stream.partitions(registry) if not any(lives[pair].missing(YEAR)))
    living = tuple(islice(alive, SYMBOLS))
    line = declare(source, source.plans[0], stream, living, timedelta(days=3), lives=lives)
    await store.catalog.declare({STREAM: line}, END - timedelta(days=400))
    bars = {pair: walk(pair, hours_before() + ROUNDS + 10) for pair in living}
    for some in bars.values():
        await store.commit([answer(some[:-ROUNDS], END)], lease)
    return bars


async def measure() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        server = await asyncio.to_thread(Redis, Path(folder))
        try:
            return await _measure(Path(folder) / "node", server.url())
        finally:
            server.close()


async def _measure(folder: Path, redis_url: str) -> dict[str, Any]:
    await asyncio.to_thread(folder.mkdir)
    registry, clock = load_registry(), ManualClock(END)
    store = Store(f"sqlite+aiosqlite:///{folder / 'node.db'}", str(folder / "raw"))
    await store.database.prepare(simulated=True)
    lease = await store.leases.acquire("benchmark", "benchmark")
    assert lease is not None
    bars = await filled(store, registry, lease)
    node = Node(
        store=store, registry=registry, clock=clock, assigned=(), simulated=True, reach=HOUR, redis_url=redis_url,
        release="benchmark", http=client(), features=True,
    )  # fmt: skip
    building, hot = Building(node, "benchmark", SystemClock()), redis_client(redis_url)
    began = time.perf_counter()
    await building.tell()
    first = time.perf_counter() - began
    took = []
    for number in range(ROUNDS):
        hour = END + (number + 1) * HOUR
        clock.set(hour + timedelta(seconds=2))
        for some in bars.values():
            await store.commit([answer([some[number - ROUNDS]], hour + timedelta(seconds=1))], lease)
        began = time.perf_counter()
        await building.tell()
        told = await HotFeatures(hot).read([one.id for one in registry.tracked()])
        took.append(time.perf_counter() - began)
        newest = [one for one in told.values() if one["at"] == hour.isoformat()]
        assert len(newest) == len(bars), f"{len(newest)} of {len(bars)} rows of {hour}"
    await hot.aclose()
    await building.close()
    await node.close()
    return {
        "symbols": len(bars),
        "first_seconds": round(first, 3),
        "seconds": [round(one, 3) for one in took],
    }


def figures(measured: dict[str, Any]) -> Sequence[Figure]:
    middle = statistics.median(measured["seconds"])
    return [
        Figure("symbols", measured["symbols"]),
        Figure("the first time, everything read", measured["first_seconds"], "s"),
        at_most(f"from the commit to Redis, median of {ROUNDS}", middle, LONGEST, "s"),
    ]
