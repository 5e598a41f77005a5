"""Answers recorded each simulated hour, and asked for again later: as of then they must be the same bytes.

python -m tests.soak.remembered --days 7 --seed 1
"""

import argparse
import asyncio
import json
import random
import re
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from ray_app.model.clock import SystemClock
from ray_app.observe.log import set_level
from ray_app.serve.gateway import Parts, build_app
from ray_app.serve.points import MINUTE
from ray_app.store.keys import SCOPES
from tests.soak.__main__ import MEMORY
from tests.soak.world import FAULTS, World, world

HOUR = timedelta(hours=1)
SETTLED = timedelta(seconds=5)  # as_of is asked for so long ago, since nothing is on its way any more then
# What may differ, as the contract says, and the time of asking in an error.
MOVING = re.compile(rb'"(generated_at|age_seconds|request_id)":("[^"]*"|[0-9.]+|null)')
WHEN = re.compile(rb'"timestamp":"[^"]*",("request_id")')  # of an error
PATHS = {"symbol": "BTC", "series": "GDP", "job": "heal-1"}
MORE: dict[str, Sequence[dict[str, str]]] = {
    "/api/v1/prices/current": ({"symbols": "BTC,ETH", "vs_currencies": "usd"},),
    "/api/v1/prices/current/{symbol}": ({"vs_currencies": "usd"},),
    "/api/v1/prices/historical/{symbol}": (
        {"interval": "1h", "days": "3"},
        {"interval": "4h", "days": "5"},
        {"interval": "1d", "days": "9"},
        {"interval": "1h", "days": "2", "venue": "kraken"},
    ),
    "/api/v1/technical/{symbol}": ({}, {"timeframe": "4h", "venue": "binance"}),
    "/api/v1/ml-features": ({"symbols": "BTC,ETH"},),
    "/api/v1/quality": ({"dataset": "binance.bars_1h"},),
    "/api/v1/coverage": ({}, {"dataset": "binance.bars_1h"}, {"symbol": "BTC"}),
    "/api/v1/news/crypto/latest": ({"limit": "30"},),
    "/api/v1/social/latest": ({"limit": "30"},),
}
TEXTS = ("/api/v1/news/crypto/latest", "/api/v1/news/stock/latest", "/api/v1/social/latest")


@dataclass(frozen=True, slots=True)
class Question:
    path: str
    params: dict[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """What was told at a moment; `again` is the as_of under which it must be told again."""

    question: Question
    status: int
    body: bytes
    again: str


@dataclass(slots=True)
class Found:
    hours: int = 0
    recorded: Counter[int] = field(default_factory=Counter)  # answers by status
    routes: set[str] = field(default_factory=set)
    changed: int = 0  # answers that are others now: so that there was something to get wrong
    revisions: int = 0
    differences: list[str] = field(default_factory=list)


@asynccontextmanager
async def asking(made: World, key: str | None = None) -> AsyncIterator[tuple[httpx.AsyncClient, str]]:
    """A gateway over the world's store: a client, and its key."""
    assert made.node is not None
    store, registry = made.node.store, made.node.registry
    app = build_app(
        Parts(store=store, redis=None, registry=registry, clock=made.clock, simulated=True, release="soak")
    )
    async with app.router.lifespan_context(app):
        key = key or await store.keys.create(
            "recorder", frozenset(SCOPES), SystemClock().now(), per_hour=10**9, burst=10**9, internal=True
        )
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://node", headers={"Authorization": f"Bearer {key}"}
        ) as http:
            yield http, key


def questions(document: dict[str, Any]) -> list[Question]:
    """Of every GET route that takes `as_of`."""
    out = []
    for path, methods in document["paths"].items():
        names = {one["name"] for one in methods.get("get", {}).get("parameters", ())}
        if "as_of" not in names:
            continue
        of = path.replace("stock/{symbol}", "stock/COIN")
        filled = re.sub(r"\{(\w+)(:path)?\}", lambda found: PATHS.get(found[1], found[0]), of)
        if "{" in filled:
            continue  # it is asked about one row, whose name must be known
        out += [Question(filled, params) for params in MORE.get(path, ({},))]
    return out


def stable(body: bytes) -> bytes:
    return MOVING.sub(b"", WHEN.sub(rb"\1", body))


async def record(http: httpx.AsyncClient, asked: Sequence[Question], now: datetime) -> list[Answer]:
    """Each question without a point in time, and as of some seconds ago."""
    out, ago = [], (now - SETTLED).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    for question in asked:
        plain = await http.get(question.path, params=question.params)
        if plain.status_code == 200:
            as_of = plain.json()["meta"]["as_of"]
            if now - datetime.fromisoformat(as_of) >= SETTLED:  # else something may still be on its way
                out.append(Answer(question, plain.status_code, plain.content, as_of))
        past = await http.get(question.path, params={**question.params, "as_of": ago})
        out.append(Answer(question, past.status_code, past.content, ago))
    return out


async def compare(http: httpx.AsyncClient, answers: Sequence[Answer], gone: set[str], found: Found) -> None:
    now = dict[str, bytes]()
    for answer in answers:
        question, found.routes = answer.question, found.routes | {answer.question.path}
        found.recorded[answer.status] += 1
        later = await http.get(question.path, params={**question.params, "as_of": answer.again})
        same = (later.status_code, stable(later.content)) == (answer.status, stable(answer.body))
        if not same and not _only_deleted(answer, later, gone):
            where = f"{question.path} {question.params} as of {answer.again}"
            found.differences.append(f"{where}: {_differ(answer.body, later.content)}")
        name = f"{question.path} {question.params}"
        if name not in now:
            now[name] = stable((await http.get(question.path, params=question.params)).content)
        found.changed += now[name] != stable(answer.body)


def _only_deleted(answer: Answer, later: httpx.Response, gone: set[str]) -> bool:
    """Texts that were deleted upstream since then are gone, and older ones follow at the page's end."""
    if answer.question.path not in TEXTS or later.status_code != 200:
        return False
    told = [one for one in json.loads(answer.body)["data"] if one["record_id"].rpartition(":")[0] not in gone]
    return later.json()["data"][: len(told)] == told


def _differ(before: bytes, after: bytes) -> str:
    one, two = stable(before), stable(after)
    place = next(
        (n for n, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two))
    )
    start = max(place - 120, 0)
    return f"...{one[start : place + 120]!r} became {two[start : place + 120]!r}"


async def remembered(days: float, seed: int, *, series: int = 1, every: timedelta = HOUR) -> Found:
    """A run with faults and kills; each hour's answers are asked for again at its end, after a backfill."""
    chance, found, answers = random.Random(seed), Found(), list[Answer]()
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        async with world(Path(folder), seed, series, FAULTS, quick=True, features=True) as made:
            key: str | None = None
            asked: list[Question] = []
            end = made.clock.now() + timedelta(days=days)
            while made.clock.now() < end:
                await made.pass_time(every + chance.uniform(0, 1) * MINUTE)
                if chance.random() < 0.1:
                    await made.kill()
                    await made.pass_nothing(chance.choice((0, 1, 12)) * MINUTE)
                    await made.begin()
                async with asking(made, key) as (http, key):
                    asked = asked or questions((await http.get("/openapi.json")).json())
                    answers += await record(http, asked, made.clock.now())
                found.hours += 1
            made.simulation.faults.clear()
            await made.pass_time(6 * HOUR)
            async with asking(made, key) as (http, key):
                told = (await http.get("/api/v1/revisions", params={"limit": "1000"})).json()
                found.revisions = len(told["data"])
                await compare(http, answers, await _gone(made), found)
    return found


async def _gone(made: World) -> set[str]:
    """The ids of the texts that were deleted upstream."""
    from sqlalchemy import select

    from ray_app.model.texts import Post
    from ray_app.store.tables import FACTS, series

    assert made.node is not None
    table = FACTS[Post]
    query = (
        select(series.c.stream, series.c.partition, table.c.item)
        .join(series, series.c.id == table.c.series)
        .where(table.c.deleted)
    )
    async with made.node.store.database.read() as connection:
        return {":".join(row) for row in await connection.execute(query)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=float, default=7)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    set_level("ERROR")
    found = asyncio.run(remembered(args.days, args.seed))
    answers = sum(found.recorded.values())
    print(f"{found.hours} hours, {answers} answers of {len(found.routes)} routes: {dict(found.recorded)}")
    print(
        f"{found.revisions} revisions since (1000 at most are counted); {found.changed} answers differ by now"
    )
    for difference in found.differences[:30]:
        print("DIFFERS", difference)
    print(f"{len(found.differences)} differ from what was told then")
    return 1 if found.differences else 0


if __name__ == "__main__":
    sys.exit(main())
