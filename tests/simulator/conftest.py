"""A simulator behind a real server, asked by a real client."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest

from ray_app.simulator.coins import Listing
from ray_app.simulator.config import SimulatorConfig
from ray_app.simulator.server import running

LISTINGS = (
    Listing("bitcoin", "btc", "Bitcoin"),
    Listing("ethereum", "eth", "Ethereum"),
    Listing("tether", "usdt", "Tether"),
)
START = datetime(2026, 6, 1, 10, 3, 21, tzinfo=UTC)


@dataclass
class Upstream:
    """A running simulator and ways to ask it."""

    http: httpx.Client
    paid: bool

    def get(self, path: str, **params: Any) -> httpx.Response:
        """Ask the host that the plan belongs to, with its key."""
        return self.http.get(("/cg-pro" if self.paid else "/cg-public") + "/api/v3" + path, params=params)

    def read(self, path: str, **params: Any) -> Any:
        """The body of a good answer, numbers with a point as Decimal."""
        answer = self.get(path, **params)
        assert answer.status_code == 200, answer.text
        return answer.json(parse_float=Decimal)

    def advance(self, seconds: float) -> None:
        assert self.http.post("/sim/clock", json={"advance": seconds}).status_code == 200

    def ledger(self, **params: Any) -> list[dict[str, Any]]:
        arrivals: list[dict[str, Any]] = self.http.get("/sim/ledger", params=params).json()["arrivals"]
        return arrivals

    def fault(self, fault: str, path: str = "*", **more: Any) -> None:
        """Put one rule in force; keyword arguments that a rule does not have are the fault's parameters."""
        names = ("probability", "calls", "count", "seed")
        rule = {name: more.pop(name) for name in names if name in more}
        answer = self.http.post(
            "/sim/faults", json={"fault": fault, "path": path, "parameters": more, **rule}
        )
        assert answer.status_code == 200, answer.text

    def truth(self, coin: str, from_: str, to: str, interval: str = "hourly") -> list[dict[str, Any]]:
        params = {"coin": coin, "from": from_, "to": to, "interval": interval}
        answer = self.http.get("/sim/truth", params=params)
        assert answer.status_code == 200, answer.text
        bars: list[dict[str, Any]] = answer.json()["bars"]
        return bars


Start = Callable[..., Upstream]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start simulators with settings of the test's own; the clock stands still unless asked to run."""
    with ExitStack() as stack:

        def started(plan: str = "analyst", **settings: Any) -> Upstream:
            usual: dict[str, Any] = {"start": START, "frozen": True, "coins": 40, "listings": LISTINGS}
            base = stack.enter_context(running(SimulatorConfig(plan=plan, **usual | settings)))
            header = {"keyless": None, "demo": "x-cg-demo-api-key"}.get(plan, "x-cg-pro-api-key")
            client = httpx.Client(base_url=base, headers={header: "sim-key"} if header else {}, timeout=10)
            return Upstream(stack.enter_context(client), paid=plan not in ("keyless", "demo"))

        yield started


@pytest.fixture
def paid(start: Start) -> Upstream:
    """The analyst plan without limits: for tests of what is answered."""
    return start(limits=False)


@pytest.fixture
def demo(start: Start) -> Upstream:
    return start("demo", limits=False)
