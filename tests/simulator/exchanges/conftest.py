"""One simulator for all tests of a module: its clock stands still, its limits are on unless switched off."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest

from ray_app.simulator.config import SimulatorConfig
from ray_app.simulator.server import running

NOW = datetime(2026, 6, 1, 10, 3, 21, tzinfo=UTC)


@dataclass
class Exchanges:
    """A running simulator and ways to ask it."""

    http: httpx.Client

    def get(self, path: str, **params: Any) -> httpx.Response:
        return self.http.get(path, params=params)

    def read(self, path: str, **params: Any) -> Any:
        answer = self.get(path, **params)
        assert answer.status_code == 200, answer.text
        return answer.json(parse_float=Decimal)

    def truth(self, name: str, start: str, end: str, **params: str) -> Any:
        return self.read(f"/sim/truth/{name}", **{"from": start, "to": end, **params})

    def fault(self, fault: str, path: str = "*", count: int | None = 1, **parameters: Any) -> None:
        rule = {"fault": fault, "path": path, "count": count, "parameters": parameters}
        answer = self.http.post("/sim/faults", json=rule)
        assert answer.status_code == 200, answer.text

    def post(self, path: str, **body: Any) -> None:
        answer = self.http.post(path, json=body)
        assert answer.status_code == 200, answer.text

    def advance(self, seconds: float) -> None:
        self.post("/sim/clock", advance=seconds)

    def now(self) -> datetime:
        return datetime.fromisoformat(self.http.get("/sim/clock").json()["now"])

    def ledger(self, path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.http.get("/sim/ledger", params={"path": path}).json()["arrivals"]
        return found

    @property
    def base(self) -> str:
        return str(self.http.base_url).rstrip("/")


@pytest.fixture(scope="module")
def running_exchanges() -> Iterator[Exchanges]:
    config = SimulatorConfig(start=NOW, frozen=True, limits=False, ws_ping_seconds=0.2, ws_pong_seconds=0.4)
    with running(config) as base, httpx.Client(base_url=base, timeout=20) as client:
        yield Exchanges(client)


@pytest.fixture
def exchanges(running_exchanges: Exchanges) -> Iterator[Exchanges]:
    """Without limits and faults, at whatever time the tests before have come to."""
    yield running_exchanges
    running_exchanges.http.delete("/sim/faults")
    running_exchanges.post("/sim/limits", enforced=False, restore=True)
