"""Ingest: pages of hourly candles through validate and commit, beside the driver's own executemany of the same rows.

Ours does all that collecting does after the answer is there: parse, validate, manifest, revisions, coverage, one
transaction per page, eight pages under way as in a backfill. The baseline inserts the finished rows, 744 a commit.
"""

import asyncio
import json
import random
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.engine import make_url

from benchmarks.figures import Figure, at_least
from ray_app.collect.collector import parsed
from ray_app.model.source import Page, Slice
from ray_app.model.timerange import TimeRange
from ray_app.sources.coingecko import BARS, SOURCE
from ray_app.store.store import Store
from ray_app.store.tables import FACTS
from tests.servers import MariaDB

HOUR, CALL = timedelta(hours=1), timedelta(days=31)
BEGIN = datetime(2020, 1, 1, tzinfo=UTC)
COINS, CALLS, AT_ONCE = 10, 12, 8  # 10 coins x 12 calls x 744 hours = 89,280 rows
ROUNDS = 3


def pages() -> Iterator[tuple[Slice, Page]]:
    """A year of hours of some coins as the upstream sends it: made once, not measured."""
    rng = random.Random(7)
    for coin in range(COINS):
        price = 10 ** rng.uniform(-4, 5)
        for call in range(CALLS):
            wanted = Slice((f"coin-{coin}",), TimeRange(BEGIN + call * CALL, BEGIN + (call + 1) * CALL))
            rows = []
            for hour in range(744):
                close = price * rng.uniform(0.99, 1.01)
                high, low = max(price, close) * 1.001, min(price, close) * 0.999
                stamp = int((wanted.range.start + (hour + 1) * HOUR).timestamp() * 1000)
                rows.append([stamp, *(float(f"{x:.8g}") for x in (price, high, low, close))])
                price = close
            now = BEGIN + (call + 1) * CALL
            path = f"/coins/coin-{coin}/ohlc/range"
            body = json.dumps(rows).encode()
            yield wanted, Page(
                source="coingecko", stream="bars_1h", path=path, params={"vs_currency": "usd"}, status=200, headers={},
                body=body, asked_at=now, received_at=now,
            )  # fmt: skip


async def ours(url: str, work: list[tuple[Slice, Page]]) -> float:
    """Seconds for everything after the answers are there."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(url, folder)
        await store.database.prepare(simulated=True)
        lease = await store.leases.acquire("bench", "bench")
        assert lease is not None
        queue = list(reversed(work))

        async def worker() -> None:
            while queue:
                wanted, page = queue.pop()
                await store.commit([parsed(SOURCE, BARS, wanted, [page])], lease)

        began = time.perf_counter()
        await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
        took = time.perf_counter() - began
        stored = await store.reading.count(BARS.record, "coingecko.bars_1h")
        assert stored == len(work) * 744, f"{stored} rows are stored"
        await store.close()
    return took


def finished(work: list[tuple[Slice, Page]], dialect: Any) -> list[list[tuple[Any, ...]]]:
    """The same rows ready for the driver, page by page."""
    table = FACTS[BARS.record]
    binds = [c.type.dialect_impl(dialect).bind_processor(dialect) for c in table.columns]
    out = []
    for number, (wanted, page) in enumerate(work):
        rows = []
        for record, _ in parsed(SOURCE, BARS, wanted, [page]).records:
            values = {**record.model_dump(), "series": number // CALLS + 1, "revision": 0, "page": 1}
            values |= {"known_at": record.known_at, "received_at": page.received_at}
            rows.append(
                tuple(
                    b(values[c.name]) if b else values[c.name]
                    for c, b in zip(table.columns, binds, strict=True)
                )
            )
        out.append(rows)
    return out


async def baseline_mariadb(server: MariaDB, batches: list[list[tuple[Any, ...]]]) -> float:
    """asyncmy's executemany into a table of the same shape and key, a durable commit per page."""
    import asyncmy

    url = make_url(server.create_database("baseline"))
    connection = await asyncmy.connect(
        host=url.host,
        port=url.port,
        user=url.username,
        password=url.password or "",
        db="baseline",
        autocommit=False,
    )
    columns = ", ".join(f"`{c.name}`" for c in FACTS[BARS.record].columns)
    statement = f"INSERT INTO bars ({columns}) VALUES ({', '.join(['%s'] * len(FACTS[BARS.record].columns))})"
    async with connection.cursor() as cursor:
        await cursor.execute(ddl(mysql.dialect()))
        began = time.perf_counter()
        for rows in batches:
            await cursor.executemany(statement, rows)
            await connection.commit()
        took = time.perf_counter() - began
    connection.close()
    server.drop_database("baseline")
    return took


def baseline_sqlite(folder: Path, batches: list[list[tuple[Any, ...]]]) -> float:
    """sqlite3's executemany into a table of the same shape and key, with the same journal and sync."""
    connection = sqlite3.connect(folder / "baseline.db")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(ddl(sqlite.dialect()))
    columns = ", ".join(f'"{c.name}"' for c in FACTS[BARS.record].columns)
    statement = f"INSERT INTO bars ({columns}) VALUES ({', '.join('?' * len(FACTS[BARS.record].columns))})"
    began = time.perf_counter()
    for rows in batches:
        connection.executemany(statement, rows)
        connection.commit()
    took = time.perf_counter() - began
    connection.close()
    return took


def ddl(dialect: Any) -> str:
    from sqlalchemy import MetaData, Table
    from sqlalchemy.schema import CreateTable

    table = FACTS[BARS.record]
    plain = Table(
        "bars",
        MetaData(),
        *(c._copy() for c in table.columns if not c.foreign_keys),
        *(
            type(c)(c.name, c.type, primary_key=c.primary_key, autoincrement=False, nullable=False)
            for c in table.columns
            if c.foreign_keys
        ),
    )
    return str(CreateTable(plain).compile(dialect=dialect))


async def measure() -> dict[str, Any]:
    """Rows a second of both, on both databases: the best of some rounds in turn, and their ratio."""
    work = list(pages())
    rows = len(work) * 744
    figures: dict[str, Any] = {"rows": rows}
    with tempfile.TemporaryDirectory() as folder:
        server = MariaDB(Path(folder))
        try:
            ready = finished(work, mysql.dialect())
            pairs = []
            for number in range(ROUNDS):
                base = await baseline_mariadb(server, ready)
                name = f"ours{number}"
                pairs.append((base, await ours(server.create_database(name), work)))
                server.drop_database(name)
            figures["mariadb"] = summary(rows, pairs)
        finally:
            server.close()
    ready = finished(work, sqlite.dialect())
    pairs = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            base = baseline_sqlite(Path(folder), ready)
            pairs.append((base, await ours(f"sqlite+aiosqlite:///{Path(folder) / 'ours.db'}", work)))
    figures["sqlite"] = summary(rows, pairs)
    return figures


def summary(rows: int, pairs: list[tuple[float, float]]) -> dict[str, float]:
    ratios = sorted(base / mine for base, mine in pairs)
    return {
        "baseline_rows_per_second": round(rows / min(base for base, _ in pairs)),
        "ours_rows_per_second": round(rows / min(mine for _, mine in pairs)),
        "ratio": round(ratios[len(ratios) // 2], 3),
        "ratio_least": round(ratios[0], 3),
        "ratio_most": round(ratios[-1], 3),
    }


def figures(measured: dict[str, Any]) -> list[Figure]:
    out = [Figure("rows", measured["rows"])]
    for title, least in (("mariadb", 0.30), ("sqlite", 0.08)):
        mine = measured[title]
        out.append(Figure(f"{title}: the driver's executemany", mine["baseline_rows_per_second"], "rows/s"))
        out.append(Figure(f"{title}: validate and commit", mine["ours_rows_per_second"], "rows/s"))
        out.append(at_least(f"{title}: ratio, median of {ROUNDS} rounds", mine["ratio"], least))
    return out
