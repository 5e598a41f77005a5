"""A running simulator that several tests of one module ask; only its clock moves, and only forward."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx

from ray_app.simulator.coins import Listing
from ray_app.simulator.config import SimulatorConfig
from ray_app.simulator.server import running

START = datetime(2026, 6, 1, 10, 3, 21, tzinfo=UTC)
LISTINGS = (Listing("bitcoin", "btc", "Bitcoin"), Listing("ethereum", "eth", "Ethereum"))


@dataclass
class Simulated:
    """One of a simulator's upstreams: paths are those behind its prefix."""

    http: httpx.Client
    prefix: str
    name: str
    key: dict[str, str]

    def ask(self, path: str, **params: Any) -> httpx.Response:
        return self.http.get(self.prefix + path, params=self.key | params)

    def read(self, path: str, **params: Any) -> Any:
        """The body of a good answer, numbers with a point as Decimal."""
        answer = self.ask(path, **params)
        assert answer.status_code == 200, answer.text
        return answer.json(parse_float=Decimal)

    def truth(self, **params: Any) -> Any:
        answer = self.http.get(f"/sim/truth/{self.name}", params=params)
        assert answer.status_code == 200, answer.text
        return answer.json(parse_float=Decimal)

    def advance_to(self, moment: str) -> None:
        assert self.http.post("/sim/clock", json={"advance_to": moment}).status_code == 200

    def advance(self, seconds: float) -> None:
        assert self.http.post("/sim/clock", json={"advance": seconds}).status_code == 200

    def now_ms(self) -> int:
        told = datetime.fromisoformat(self.http.get("/sim/clock").json()["now"])
        return round(told.timestamp() * 1000)

    def fault(self, fault: str, **rule: Any) -> None:
        asked = {"fault": fault, "path": f"{self.prefix}/*", **rule}
        assert self.http.post("/sim/faults", json=asked).status_code == 200

    def beside(self, name: str, prefix: str) -> "Simulated":
        """Another upstream of the same simulator, asked without a key."""
        return Simulated(self.http, prefix, name, {})


@contextmanager
def simulated(
    name: str, prefix: str, key: dict[str, str] | None = None, **settings: Any
) -> Iterator[Simulated]:
    usual: dict[str, Any] = {
        "start": START,
        "frozen": True,
        "coins": 40,
        "listings": LISTINGS,
        "limits": False,
    }
    with (
        running(SimulatorConfig(**usual | settings)) as base,
        httpx.Client(base_url=base, timeout=30) as http,
    ):
        yield Simulated(http, prefix, name, key or {})
