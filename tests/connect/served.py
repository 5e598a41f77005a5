"""An upstream made for one test: a real server that answers as told, and the polite client that asks it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ray_app.connect.addresses import address_of
from ray_app.connect.api import HttpApi, Validators, client
from ray_app.connect.signing import signing_for
from ray_app.model.clock import Clock, ManualClock
from ray_app.model.quota import Priority
from ray_app.model.source import Page, Plan, Quota, Slice, Source, Stream
from ray_app.model.texts import Article
from tests.connect.conftest import Counted, http_answer

NOW = datetime(2026, 6, 1, 10, 3, 21, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Seen:
    """One request as it came in."""

    method: str
    target: str  # path and query
    headers: dict[str, str]  # lower case
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.target).query).items()}


Answer = Callable[[Seen], bytes | Awaitable[bytes]]


@dataclass
class Served:
    """A running server and all that it was asked."""

    base: str = ""
    seen: list[Seen] = field(default_factory=list)

    def paths(self) -> list[str]:
        return [one.path for one in self.seen]


@asynccontextmanager
async def served(answer: Answer) -> AsyncIterator[Served]:
    """A server on a free port; each connection carries one request."""
    out = Served()

    serving: set[asyncio.Task[Any] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.split("\r\n")
            headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines if line)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            method, target, _ = first.split(" ")
            seen = Seen(method, target, headers, body)
            out.seen.append(seen)
            told = answer(seen)
            writer.write(told if isinstance(told, bytes) else await told)
            await writer.drain()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    out.base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield out
    finally:
        server.close()
        await asyncio.gather(*(task for task in serving if task is not None))
        await server.wait_closed()


def told(body: bytes = b"[]", status: str = "200 OK", **headers: str) -> bytes:
    """An answer of a simulated upstream."""
    return http_answer(body, status, **({"x_simulated": "yes"} | headers))


async def ask(api: Any, wanted: Slice) -> AsyncIterator[Page]:
    yield await api.get("/x")


def listed(page: Page) -> Iterable[Any]:
    found: Iterable[Any] = page.json()
    return found


def article(row: Any, wanted: Slice) -> Article:
    return Article(feed=wanted.partition, item=row["id"], at=wanted.range.start, title=row["title"])


NEWS = Stream(
    name="news", record=Article, partitions=lambda _: ("a", "b"), fetch=ask, rows=listed, parse=article,
    every=15 * MINUTE, grain=15 * MINUTE, longest_slice=15 * MINUTE, offers=None,
)  # fmt: skip
PLAN = Plan(
    name="only", base_url="https://api.example.com/v1", quota=Quota(600, MINUTE), streams=(NEWS,),
    simulated_at="/example/v1", elsewhere={"https://www.example.com": "/example-www"},
)  # fmt: skip
SOURCE = Source(name="example", docs="https://example.com", plans=(PLAN,), licence="none")


@dataclass
class Asked:
    """An Api, and what it did."""

    api: HttpApi
    kept: list[Page]
    turns: Counted
    clock: Any


@asynccontextmanager
async def asks(
    server: Served, *, plan: Plan = PLAN, source: Source = SOURCE, secrets: tuple[str, ...] = (), **more: Any
) -> AsyncIterator[Callable[..., Asked]]:
    """Make Apis that share a signature and what they know of earlier answers."""
    http, validators = client(), Validators()
    clock: Clock = more.pop("clock", None) or ManualClock(NOW)
    base = server.base + plan.simulated_at
    address = partial(address_of, plan, base, simulated=True)
    signing = signing_for(plan, source.name, secrets, address, http, clock, "node of a test")

    def made(stream: Stream = NEWS, attempts: int = 1, **changes: Any) -> Asked:
        kept: list[Page] = []
        turns = Counted(clock)

        async def keep(page: Page) -> None:
            kept.append(page)

        parts: dict[str, Any] = {
            "source": source, "plan": plan, "stream": replace(stream, attempts=attempts), "turns": turns,
            "priority": Priority.LIVE, "clock": clock, "keep": keep, "http": http, "base_url": base,
            "simulated": True, "signing": signing, "validators": validators,
        }  # fmt: skip
        return Asked(HttpApi(**(parts | more | changes)), kept, turns, clock)

    try:
        yield made
    finally:
        await http.aclose()
