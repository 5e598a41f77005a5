import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from ray_app.model.clock import ManualClock, SystemClock
from ray_app.serve.gateway import Parts, build_app
from ray_app.store.hot import redis_client
from ray_app.store.keys import SCOPES
from ray_app.store.store import Store
from tests.serve.filling import REGISTRY, START, Filler


@dataclass
class Running:
    """A gateway over a real store, with a client that holds a key to everything."""

    store: Store
    fill: Filler
    clock: ManualClock
    app: FastAPI
    key: str
    http: httpx.AsyncClient
    open_apps: list[Any] = field(default_factory=list)

    async def get(self, path: str, status: int = 200, /, **params: Any) -> Any:
        """The body; fails with it when the status is another."""
        answer = await self.http.get(path, params=params or None)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def new_key(self, *scopes: str, **more: Any) -> str:
        number = len(await self.store.keys.list())
        return await self.store.keys.create(
            f"client {number}", frozenset(scopes), SystemClock().now(), **more
        )

    @property
    def node(self) -> Any:
        return self.app.state.node


def client(app: FastAPI, key: str | None) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://node", headers=headers)


@pytest.fixture
async def store(tmp_path: Path, prepared_sqlite: Path) -> AsyncIterator[Store]:
    shutil.copy(prepared_sqlite, tmp_path / "node.db")
    opened = Store(f"sqlite+aiosqlite:///{tmp_path / 'node.db'}", str(tmp_path / "raw"))
    yield opened
    await opened.close()


Start = Callable[..., Awaitable[Running]]


@pytest.fixture
async def start(store: Store) -> AsyncIterator[Start]:
    """Start gateways over the test's store: start(redis_url=..., **Parts fields)."""
    running: list[tuple[Any, Any, Any]] = []
    clock = ManualClock(START)

    async def begin(
        redis_url: str | None = None, registry: Any = REGISTRY, over: Store | None = None, **more: Any
    ) -> Running:
        opened = over or store
        redis = redis_client(redis_url) if redis_url else None
        parts = Parts(
            store=opened, redis=redis, registry=registry, clock=clock, simulated=True, release="test", **more
        )
        app = build_app(parts)
        life = app.router.lifespan_context(app)
        await life.__aenter__()
        lease = await opened.leases.acquire("tests", "tests")
        assert lease is not None
        number = len(await opened.keys.list())
        key = await opened.keys.create(
            f"tests {number}", frozenset(SCOPES), SystemClock().now(), per_hour=100_000, burst=100_000
        )
        http = client(app, key)
        running.append((life, http, redis))
        return Running(opened, Filler(opened, lease), clock, app, key, http)

    yield begin
    for life, http, redis in running:
        await http.aclose()
        await life.__aexit__(None, None, None)
        if redis is not None:
            await redis.aclose()


@pytest.fixture
async def node(start: Start) -> Running:
    """A gateway without Redis over a store in which everything is declared and nothing collected."""
    running = await start()
    await running.fill.declare()
    return running


def at(hours: float = 0, minutes: float = 0, seconds: float = 0) -> datetime:
    return START + timedelta(hours=hours, minutes=minutes, seconds=seconds)


def routes(node: Running) -> list[APIRoute]:
    """Every route of the application."""
    found = node.app.routes
    assert found
    return [route for route in found if isinstance(route, APIRoute)]


def stable(answer: httpx.Response) -> bytes:
    """The body without what is allowed to differ: when it was written and how old the data were then."""
    return re.sub(rb'"(generated_at|age_seconds)":("[^"]*"|[^,}]*)', b"", answer.content)
