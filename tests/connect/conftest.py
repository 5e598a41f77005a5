"""A simulated upstream behind a real server, and the polite client that asks it."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from ray_app.connect.api import HttpApi, client
from ray_app.connect.signing import signing_for
from ray_app.model.clock import Clock, ManualClock
from ray_app.model.quota import Allowance, Priority, Refusal, Turn, Turns
from ray_app.model.source import Page
from ray_app.simulator.coins import Listing
from ray_app.simulator.config import SimulatorConfig
from ray_app.simulator.server import running
from ray_app.sources.coingecko import PRICES, SOURCE
from ray_app.store.quota import Quotas
from ray_app.store.store import Store
from tests.connect.turns import T0, THIRTY

START = datetime(2026, 6, 1, 10, 3, 21, tzinfo=UTC)
LISTINGS = (
    Listing("bitcoin", "btc", "Bitcoin"),
    Listing("ethereum", "eth", "Ethereum"),
    Listing("tether", "usdt", "Tether"),
)
KEY = "sim-key"


@dataclass
class Simulated:
    """A running simulator: where it answers, and its admin routes."""

    base: str
    admin: httpx.Client

    @property
    def paid(self) -> str:
        return f"{self.base}/cg-pro/api/v3"

    @property
    def public(self) -> str:
        return f"{self.base}/cg-public/api/v3"

    def fault(self, fault: str, path: str = "*", **more: Any) -> None:
        """Put a rule in force; what a rule does not know is a parameter of the fault."""
        rule = {name: more.pop(name) for name in ("probability", "calls", "count") if name in more}
        self._post("/sim/faults", {"fault": fault, "path": path, "parameters": more, **rule})

    def heal(self) -> None:
        self.admin.delete("/sim/faults").raise_for_status()

    def limits(self, **asked: Any) -> None:
        self._post("/sim/limits", asked)

    def advance_to(self, moment: datetime) -> datetime:
        told = self._post("/sim/clock", {"advance_to": moment.isoformat()})
        return datetime.fromisoformat(told["now"])

    def ledger(self) -> list[dict[str, Any]]:
        arrivals: list[dict[str, Any]] = self.admin.get("/sim/ledger").json()["arrivals"]
        return arrivals

    def truth(
        self, coin: str, start: datetime, end: datetime, interval: str = "hourly"
    ) -> list[dict[str, Any]]:
        asked = {"coin": coin, "from": start.isoformat(), "to": end.isoformat(), "interval": interval}
        answer = self.admin.get("/sim/truth", params=asked).raise_for_status()
        bars: list[dict[str, Any]] = answer.json()["bars"]
        return bars

    def _post(self, path: str, body: Any) -> Any:
        answer = self.admin.post(path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()


Simulate = Callable[..., Simulated]


@pytest.fixture
def simulate() -> Iterator[Simulate]:
    """Start simulators whose time stands still until it is moved."""
    with ExitStack() as stack:

        def started(plan: str = "analyst", **settings: Any) -> Simulated:
            chosen: dict[str, Any] = {
                "start": START,
                "frozen": True,
                "coins": 40,
                "listings": LISTINGS,
            } | settings
            base = stack.enter_context(running(SimulatorConfig(plan=plan, **chosen)))
            return Simulated(base, stack.enter_context(httpx.Client(base_url=base, timeout=10)))

        yield started


@pytest.fixture
def simulated(simulate: Simulate) -> Simulated:
    """The paid plan without limits."""
    return simulate(limits=False)


@dataclass
class Counted:
    """Turns without a wait, written down: who asked, and which refusals were reported."""

    clock: Clock
    asked: list[Priority] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    allowances: list[Allowance] = field(default_factory=list)

    async def turn(self, priority: Priority, before: datetime | None = None) -> Turn:
        self.asked.append(priority)
        return Turn(self.clock.now(), self.clock.now() + timedelta(minutes=1))

    async def refused(self, refusal: Refusal) -> None:
        self.refusals.append(refusal)

    async def told(self, allowance: Allowance) -> None:
        self.allowances.append(allowance)


@dataclass
class Asking:
    """An Api with what it did: the pages kept, the turns taken."""

    api: HttpApi
    turns: Counted
    clock: ManualClock
    kept: list[Page]


@pytest.fixture
async def asking() -> AsyncIterator[Callable[..., Asking]]:
    """Make an Api for the prices of the paid plan at an address."""
    async with AsyncExitStack() as stack:

        def made(address: str, *, turns: Turns | None = None, attempts: int = 3, **more: Any) -> Asking:
            clock, kept = ManualClock(START), list[Page]()
            counted = Counted(clock)

            async def keep(page: Page) -> None:
                kept.append(page)

            http = client()
            stack.push_async_callback(http.aclose)
            told: dict[str, Any] = {
                "source": SOURCE, "plan": SOURCE.plan("paid"), "stream": PRICES, "priority": Priority.LIVE,
                "turns": turns or counted, "clock": clock, "keep": keep, "http": http, "base_url": address,
                "simulated": True,
            } | more  # fmt: skip
            key = told.pop("key", KEY)
            if key is not None:
                plan, name = told["plan"], told["source"].name
                told["signing"] = signing_for(plan, name, (key,), str, http, told["clock"])
            told["stream"] = replace(told["stream"], attempts=attempts)
            return Asking(HttpApi(**told), counted, told["clock"], kept)

        yield made


Ask = Callable[..., Asking]
Answering = Callable[[Callable[[bytes], bytes]], Awaitable[str]]
MARKETS = {"vs_currency": "usd", "ids": "bitcoin"}


async def markets(asking: Asking) -> Page:
    return await asking.api.get("/coins/markets", **MARKETS)


@pytest.fixture
async def answering() -> AsyncIterator[Callable[..., Awaitable[str]]]:
    """A server that answers each request as told, byte for byte."""
    async with AsyncExitStack() as stack:

        async def started(answer: Callable[[bytes], bytes]) -> str:
            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                with suppress(ConnectionError):  # some clients leave early, on purpose
                    request = await reader.readuntil(b"\r\n\r\n")
                    writer.write(answer(request))
                    await writer.drain()
                writer.close()

            server = await asyncio.start_server(serve, "127.0.0.1", 0)
            stack.push_async_callback(server.wait_closed)
            stack.callback(server.close)
            return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

        yield started


def http_answer(body: bytes, status: str = "200 OK", **headers: str) -> bytes:
    told = {"content-length": str(len(body)), "connection": "close"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body


@pytest.fixture
async def ledger(tmp_path: Path, prepared_sqlite: Path) -> AsyncIterator[Quotas]:
    """The quota rows of a new store, with one scope of 30 a minute declared."""
    shutil.copy(prepared_sqlite, tmp_path / "node.db")
    store = Store(f"sqlite+aiosqlite:///{tmp_path}/node.db", str(tmp_path / "raw"))
    await store.quotas.declare("scope", THIRTY, T0)
    yield store.quotas
    await store.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(T0)
