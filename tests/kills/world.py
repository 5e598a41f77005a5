"""A whole node on Ray with clients on its streams, and somebody who kills its processes."""

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from ray_app.app import open_gateway_with, open_with
from ray_app.model.clock import SystemClock
from ray_app.serve.wire import text
from ray_app.settings import Settings
from ray_app.store.store import Store
from tests.kills.clients import Asker, Reader

TITLES = {  # how Ray calls the processes
    "gateway": "ray::ServeReplica:gateway:",
    "streams-ws": "ray::ServeReplica:streams-ws:",
    "streams-sse": "ray::ServeReplica:streams-sse:",
    "collector": "ray::CollectorActor",
}
ASKERS = 2  # clients of the routes
A_POLL = 60  # events of a poll, at least
LONGEST_LIFE = 2.0  # seconds from the moment in which a process serves to its end
BACK_WITHIN = 120.0  # seconds that a killed process may take to be there again
SETTLE_WITHIN = 120.0  # seconds in which every client has caught up at the end


Application = tuple[Any, Any, str, str | None, tuple[Any, ...]]  # opening, deployment, name, route, arguments


@dataclass
class Killed:
    """What a run found."""

    kills: dict[str, int] = field(default_factory=dict)
    events: int = 0
    came_back: int = 0
    closes: dict[int, int] = field(default_factory=dict)
    answers: int = 0  # to clients of the routes
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0


def children() -> dict[str, list[int]]:
    """The processes of each kind that this process' Ray has started."""
    parents: dict[int, int] = {}
    titles: dict[int, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat, line = (folder / "stat").read_text(), (folder / "cmdline").read_bytes()
        except OSError:
            continue
        pid = int(folder.name)
        parents[pid] = int(stat.rpartition(")")[2].split()[1])
        titles[pid] = line.replace(b"\0", b" ").decode("utf-8", "replace")
    found: dict[str, list[int]] = {kind: [] for kind in TITLES}
    for pid, title in titles.items():
        above, ancestor = set[int](), pid
        while ancestor > 1 and ancestor not in above:
            above.add(ancestor)
            ancestor = parents.get(ancestor, 0)
        if os.getpid() in above:
            for kind, begins in TITLES.items():
                if title.startswith(begins):
                    found[kind].append(pid)
    return found


@dataclass
class World:
    """The running node."""

    applications: dict[str, Application]
    address: str
    key: str
    store: Any
    chance: random.Random
    readers: list[Reader] = field(default_factory=list)
    askers: list[Asker] = field(default_factory=list)
    killed: set[int] = field(default_factory=set)
    _announced: int = 0

    async def kill(self) -> str:
        """Kill one process, of a kind that serves now (others may still be on their way back), at a random moment.

        Not the one in which it serves again: then all that waited for it is in the middle of its answer, each time.
        """
        deadline = time.monotonic() + BACK_WITHIN
        while True:
            kinds = list(TITLES)
            self.chance.shuffle(kinds)
            there = children()
            for kind in kinds:
                fresh = set(there[kind]) - self.killed
                if fresh and await self.answers(kind):
                    pid = self.chance.choice(sorted(fresh))
                    await asyncio.sleep(self.chance.uniform(0.0, LONGEST_LIFE))
                    self.killed.add(pid)
                    os.kill(pid, signal.SIGKILL)
                    return kind
            if time.monotonic() > deadline:
                raise RuntimeError(f"nothing came back within {BACK_WITHIN} s: {there}")
            await asyncio.sleep(0.1)

    async def answers(self, kind: str) -> bool:
        """Whether the application serves; the collector does when it has announced something since it was killed."""
        paths = {"gateway": "/health", "streams-ws": "/ws/none", "streams-sse": "/api/v1/stream/none"}
        if kind == "collector":
            newest = await self.store.outbox.newest("prices")
            there, self._announced = newest > self._announced, max(newest, self._announced)
            return there
        headers = {"Authorization": f"Bearer {self.key}"}
        try:
            async with httpx.AsyncClient(
                base_url=f"http://{self.address}", timeout=3, headers=headers
            ) as http:
                return (await http.get(paths[kind])).status_code in (200, 404)
        except httpx.HTTPError:
            return False

    async def goes_on(self) -> int:
        """Wait until the collector has announced a whole poll more; the newest number then."""
        begun = newest = await self.store.outbox.newest("prices")
        async with asyncio.timeout(SETTLE_WITHIN):
            while newest <= begun + A_POLL:
                await asyncio.sleep(0.1)
                newest = await self.store.outbox.newest("prices")
        return int(newest)

    async def caught_up(self, last: int) -> int:
        """Wait until every client has all up to a number, which it gives back."""
        await until(lambda: all((one.place or 0) >= last for one in self.readers), SETTLE_WITHIN)
        return last

    async def redeploy(self, release: str) -> None:
        """A new release of the streams; wait until every client was sent away and is there again."""
        await until(lambda: all(one.live for one in self.readers), BACK_WITHIN)
        before = [one.came_back for one in self.readers]
        mine = [self.applications[name] for name in ("streams-ws", "streams-sse")]
        await asyncio.to_thread(_serve, mine, release)
        came = list(zip(self.readers, before, strict=True))
        await until(lambda: all(one.live and one.came_back > n for one, n in came), SETTLE_WITHIN)


async def truth_of(store: Store) -> dict[int, str]:
    """What the outbox says of each number."""
    out = {}
    for event in await store.outbox.after("prices", 0, 10**9):
        record = event.record
        if "interval" in record:
            kind = "interval_complete" if record["outcome"] == "covered" else "gap"
            out[event.number] = f"{kind} {text(datetime.fromisoformat(record['interval'][0]))}"
            continue
        slot = text(datetime.fromisoformat(record["slot"]))
        out[event.number] = f"{record['coin']} {slot} {record['revision']} {float(record['price'])}"
    return out


def wrong(reader: Reader, truth: dict[int, str], last: int) -> list[str]:
    """How what a client got differs from every event once, in order."""
    if reader.begun is None:
        return ["it never began"]
    got = [(number, _number(told)) for number, told in reader.events if number <= last]
    expected = [(n, truth[n]) for n in range(reader.begun + 1, last + 1)]
    if got == expected:
        return []
    numbers = [number for number, _ in got]
    missing = sorted({number for number, _ in expected} - set(numbers))
    differ = [pair for pair in zip(got, expected, strict=False) if pair[0] != pair[1]]
    found = (
        "socket" if reader.sockets else "events",
        f"{len(got)} events instead of {len(expected)}",
        f"twice {len(numbers) - len(set(numbers))}",
        f"missing {missing[:5]}",
        f"in order {numbers == sorted(numbers)}",
        f"first differences {differ[:2]}",
    )
    return ["; ".join(found)]


def _number(told: str) -> str:
    """With the price as a float: JSON may write 1 or 1.0."""
    head, _, price = told.rpartition(" ")
    return f"{head} {float(price)}" if head.count(" ") == 2 else told


async def until(true: Callable[[], bool], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110  # what is waited for is in other processes
            await asyncio.sleep(0.1)


def _serve(applications: list[Application], release: str) -> None:
    """Start them, or replace their replicas by those of another release; until they serve."""
    from ray import serve

    targets = [
        serve.RunTarget(target=deployment.bind(opening, release, *more), name=name, route_prefix=prefix)
        for opening, deployment, name, prefix, more in applications
    ]
    serve.run_many(targets, wait_for_applications_running=True)


@asynccontextmanager
async def world(settings: Settings, port: int, clients: int, seed: int) -> AsyncIterator[World]:
    """The node's four applications on the Ray that runs, clients of its streams and of its routes."""
    from ray import serve

    node = await open_with(settings)
    await node.store.database.prepare(simulated=True)
    await node.declare(node.clock.now())
    key = await node.store.keys.create(
        "kills", frozenset({"read:prices"}), SystemClock().now(), tier="premium", per_hour=10**6, burst=10**6
    )
    names = [f"coingecko.{stream.name}" for _, stream in node.streams() if stream.name == "prices"]
    applications = _applications(settings, {"collect-0": names})
    reading: list[asyncio.Task[None]] = []
    try:
        await asyncio.to_thread(serve.shutdown)  # of an earlier test: its port cannot be changed
        serve.start(http_options={"host": "127.0.0.1", "port": port})
        await asyncio.to_thread(_serve, list(applications.values()), settings.release)
        it = World(applications, f"127.0.0.1:{port}", key, node.store, random.Random(seed))
        it.readers = [Reader(it.address, key, sockets=n % 2 == 0) for n in range(clients)]
        it.askers = [Asker(it.address, key) for _ in range(ASKERS)]
        reading = [asyncio.create_task(one.run()) for one in it.readers]
        await it.goes_on()  # until there are prices
        reading += [asyncio.create_task(one.run()) for one in it.askers]
        yield it
    finally:
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
        await asyncio.to_thread(serve.shutdown)
        await node.close()


def _applications(settings: Settings, shards: dict[str, list[str]]) -> dict[str, Application]:
    from ray_app.runtime.supervisor import Supervisor
    from ray_app.serve.ingress import EventStreams, Gateway, Sockets

    collecting: Any = partial(open_with, settings)
    serving: Any = partial(open_gateway_with, settings)
    made: list[Application] = [
        (collecting, Supervisor, "collection", None, (shards,)),
        (serving, Gateway, "gateway", "/", ()),
        (serving, Sockets, "streams-ws", "/ws", ()),
        (serving, EventStreams, "streams-sse", "/api/v1/stream", ()),
    ]
    return {one[2]: one for one in made}


async def run(
    settings: Settings,
    port: int,
    *,
    kills: int,
    clients: int,
    seed: int,
    redeploy: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Killed:
    """Kill so many processes while so many clients read; what each of them got against the outbox."""
    out, began = Killed(), time.monotonic()
    async with world(settings, port, clients, seed) as it:
        await until(lambda: all(one.live for one in it.readers), BACK_WITHIN)
        for number in range(kills):
            kind = await it.kill()
            out.kills[kind] = out.kills.get(kind, 0) + 1
            say(f"{number + 1} of {kills} kills: {kind}")
        if redeploy:
            await it.redeploy("another")
        last = await it.caught_up(await it.goes_on())
        asked = [one.answers for one in it.askers]
        await until(
            lambda: all(one.answers > n for one, n in zip(it.askers, asked, strict=True)), SETTLE_WITHIN
        )
        truth = await truth_of(it.store)
        for reader in it.readers:
            out.wrong += wrong(reader, truth, last)
            out.came_back += reader.came_back
            for code in reader.closes:
                out.closes[code] = out.closes.get(code, 0) + 1
        for asker in it.askers:
            out.wrong += [f"routes; {error}" for error in asker.errors]
            out.answers += asker.answers
        out.events, out.seconds = last, time.monotonic() - began
    return out
