"""A year of hours over REST beside the bare SQL read and orjson of the same rows; statements of SQL of a GraphQL query.

In one process and without a network, in turns: by the clock and, since the machine has other work, by processor time.
"""

import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

import httpx
from sqlalchemy import select

from benchmarks import api_data
from benchmarks.figures import Figure, at_most, exactly
from ray_app.model.clock import SystemClock
from ray_app.model.declared import declare
from ray_app.model.records import Bar
from ray_app.model.symbols import load_registry
from ray_app.serve.gateway import Parts, build_app
from ray_app.serve.wire import dumps
from ray_app.sources import coingecko, rss
from ray_app.store.keys import SCOPES
from ray_app.store.store import Store
from ray_app.store.tables import FACTS, series
from tests.serve.statements import statements

ROUNDS = 7
PAID = next(one for one in coingecko.SOURCE.plans if one.name == "paid")
YEAR = "/api/v1/prices/historical/BTC?interval=1h&days=365"
COLUMNS = ("start", "end", "open", "high", "low", "close", "volume")
GRAPHQL = """query($symbols: [String!]!) { assets(symbols: $symbols) { symbol price { quotes { currency price } }
  technical(indicators: ["rsi", "sma_10"]) { rsi { value } movingAverages { name value } }
  sentiment { overallSentiment { score } sampleSize } } }"""
ASSETS, MOST_STATEMENTS, TIMES = 50, 6, 1.5


async def measure() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(f"sqlite+aiosqlite:///{Path(folder) / 'node.db'}", str(Path(folder) / "raw"))
        registry, clock = load_registry(), SystemClock()
        await store.database.prepare(simulated=True)
        now = clock.now()
        await store.catalog.declare(
            {
                f"{source.name}.{one.name}": declare(
                    source,
                    plan,
                    one,
                    one.partitions(registry),
                    timedelta(days=400),
                    lives=one.lives(registry),
                )
                for source, plan in ((coingecko.SOURCE, PAID), (rss.SOURCE, rss.SOURCE.plans[0]))
                for one in plan.streams
            },
            now - timedelta(days=400),
        )
        lease = await store.leases.acquire("bench", "bench")
        assert lease is not None
        await api_data.fill(store, registry, now, lease)
        key = await store.keys.create(
            "bench", frozenset(SCOPES), now, per_hour=10**9, burst=10**9, internal=True
        )
        app = build_app(
            Parts(store=store, redis=None, registry=registry, clock=clock, simulated=True, release="bench"),
            owned=True,
        )
        headers = {"Authorization": f"Bearer {key}"}
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://node", headers=headers) as http,
        ):
            year = await _year(store, http)
            return year | {"statements": await _statements(store, http, registry)}


async def _year(store: Store, http: httpx.AsyncClient) -> dict[str, Any]:
    asked = await http.get(YEAR)
    asked.raise_for_status()
    told = asked.json()
    first, last = told["data"][0]["timestamp"], told["data"][-1]["end"]
    table = FACTS[Bar]
    query = (
        select(*(table.c[name] for name in COLUMNS))
        .join(series, series.c.id == table.c.series)
        .where(series.c.stream == "coingecko.bars_1h", series.c.partition == "bitcoin")
        .where(table.c.start >= clocked(first), table.c.start < clocked(last))
        .order_by(table.c.start)
    )

    async def bare() -> int:
        async with store.database.read() as connection:
            rows = (await connection.execute(query)).all()
        dumps({"data": [dict(zip(COLUMNS, row, strict=True)) for row in rows]})
        return len(rows)

    async def ours() -> int:
        answer = await http.get(YEAR)
        return answer.content.count(b'"complete":')

    found: dict[str, list[tuple[float, float, int]]] = {"bare": [], "ours": []}
    for _ in range(ROUNDS):
        for name, work in (("bare", bare), ("ours", ours)):
            found[name].append(await _took(work))
    rows = {count for runs in found.values() for _, _, count in runs}
    pairs = list(zip(found["ours"], found["bare"], strict=True))
    return {
        "rows": max(rows),
        "same_rows": len(rows) == 1,
        "bare_ms": 1000 * median(one[0] for one in found["bare"]),
        "ours_ms": 1000 * median(one[0] for one in found["ours"]),
        "times": median(mine[0] / base[0] for mine, base in pairs),
        "times_by_processor": median(mine[1] / base[1] for mine, base in pairs),
    }


def clocked(text: str) -> Any:
    from datetime import datetime

    return datetime.fromisoformat(text)


async def _took(work: Callable[[], Awaitable[int]]) -> tuple[float, float, int]:
    """By the clock, of processor time, and how many rows."""
    began, worked = time.perf_counter(), time.process_time()
    count = await work()
    return time.perf_counter() - began, time.process_time() - worked, count


async def _statements(store: Store, http: httpx.AsyncClient, registry: Any) -> int:
    """Of one query about fifty coins, once the catalogue is known and the indicators are worked out."""
    symbols = [asset.id for asset in registry.assets][:ASSETS]
    body = {"query": GRAPHQL, "variables": {"symbols": symbols}}
    for _ in range(2):
        (await http.post("/graphql", json=body)).raise_for_status()
    with statements(store) as sent:
        (await http.post("/graphql", json=body)).raise_for_status()
    return len(sent)


def figures(measured: dict[str, Any]) -> list[Figure]:
    one = measured
    return [
        exactly("rows that differ from those of the bare read", 0 if one["same_rows"] else 1, 0),
        Figure(f"bare SQL and orjson of {one['rows']:,} candles", one["bare_ms"], "ms"),
        Figure("/api/v1/prices/historical of the same", one["ours_ms"], "ms"),
        at_most("over bare, by the clock", one["times"], TIMES, "times"),
        at_most("over bare, by processor time", one["times_by_processor"], TIMES, "times"),
        at_most(f"statements of GraphQL about {ASSETS} coins", one["statements"], MOST_STATEMENTS),
    ]
