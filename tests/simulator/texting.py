"""A simulator for tests of its texts: one server per module, asked by a client that names itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from ray_app.simulator.coins import Listing
from ray_app.simulator.config import SimulatorConfig
from ray_app.simulator.server import running

LISTINGS = (
    Listing("bitcoin", "btc", "Bitcoin"),
    Listing("ethereum", "eth", "Ethereum"),
    Listing("solana", "sol", "Solana"),
    Listing("dogecoin", "doge", "Dogecoin"),
)
START = datetime(2026, 6, 1, 10, 3, 21, tzinfo=UTC)
AGENT = "linux:crypto-data:1.0 (by /u/simulated; mail@example.com)"


@dataclass
class Sim:
    http: httpx.Client
    bearer: dict[str, str] = field(default_factory=dict)  # the header of a test that has a token

    def get(self, path: str, headers: dict[str, str] | None = None, **params: Any) -> httpx.Response:
        """`from_` stands for the parameter `from`, which is a word of Python."""
        named = {name.rstrip("_"): value for name, value in params.items()}
        return self.http.get(path, params=named or None, headers=headers)

    def advance(self, seconds: float) -> None:
        assert self.http.post("/sim/clock", json={"advance": seconds}).status_code == 200

    def now(self) -> datetime:
        return datetime.fromisoformat(self.http.get("/sim/clock").json()["now"])

    def truth(self, name: str, **params: Any) -> Any:
        answer = self.get(f"/sim/truth/{name}", **params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def adjust(self, name: str, **settings: Any) -> Any:
        answer = self.http.post(f"/sim/upstream/{name}", json=settings)
        assert answer.status_code == 200, answer.text
        return answer.json()

    @contextmanager
    def fault(self, fault: str, path: str = "*", **parameters: Any) -> Iterator[None]:
        """One rule in force within the block; all are taken away after it."""
        rule = {"fault": fault, "path": path, "parameters": parameters}
        answer = self.http.post("/sim/faults", json=rule)
        assert answer.status_code == 200, answer.text
        try:
            yield
        finally:
            self.http.delete("/sim/faults")


@contextmanager
def simulated(**settings: Any) -> Iterator[Sim]:
    usual: dict[str, Any] = {
        "start": START,
        "frozen": True,
        "coins": 6,
        "listings": LISTINGS,
        "limits": False,
    }
    with (
        running(SimulatorConfig(**usual | settings)) as base,
        httpx.Client(base_url=base, headers={"User-Agent": AGENT}, timeout=20) as http,
    ):
        yield Sim(http)
