"""Clients of a gateway: in the same process, or over HTTP on a port."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from ray_app.client import AsyncClient
from ray_app.store.export_files import ExportFiles
from tests.client.filled import TRADED, everything
from tests.serve.conftest import Running, Start, node, start, store  # noqa: F401  # three are fixtures
from tests.serve.exporting import Desk
from tests.serve.streams.conftest import served, streams  # noqa: F401  # one is a fixture
from tests.serve.test_models import Here


@pytest.fixture
async def full(start: Start, tmp_path: Path) -> Running:  # noqa: F811  # the fixture
    """A gateway with models and exports over a store with something of everything."""
    files = ExportFiles(str(tmp_path / "exports"))
    return await everything(await start(registry=TRADED, models=Here(), exports=files))


def in_process(running: Running, **options) -> AsyncClient:
    """A client of the gateway without a network."""
    http = httpx.AsyncClient(transport=httpx.ASGITransport(running.app))
    return AsyncClient("http://node", options.pop("key", running.key), http=http, **options)


@pytest.fixture
async def client(node: Running) -> AsyncIterator[AsyncClient]:  # noqa: F811  # the fixture
    """Of a gateway over a store in which nothing is collected, with a key to everything."""
    async with in_process(node) as made:
        yield made


@pytest.fixture
async def address(node: Running) -> AsyncIterator[str]:  # noqa: F811  # the fixture
    """Where the same gateway answers over HTTP."""
    async with served(node.app) as port:
        yield f"http://127.0.0.1:{port}"


@asynccontextmanager
async def working(running: Running) -> AsyncIterator[None]:
    """What makes the exports of a node, while they are asked for."""
    desk = Desk(running, Path(running.node.parts.exports.path))

    async def work() -> None:
        worker = desk.worker()
        while True:
            await worker.look()
            await asyncio.sleep(0.02)

    task = asyncio.create_task(work())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await desk.close()
