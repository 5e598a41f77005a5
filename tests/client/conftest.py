"""Clients of a gateway: in the same process, or over HTTP on a port."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import httpx
import pytest

from ray_app.client import AsyncClient
from ray_app.store.export_files import ExportFiles
from tests.client.filled import TRADED, everything
from tests.serve.conftest import Running, Start, node, start, store  # noqa: F401  # three are fixtures
from tests.serve.exporting import Desk, at_work
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


def working(running: Running) -> AbstractAsyncContextManager[None]:
    """What makes the exports of a node, while they are asked for."""
    return at_work(Desk(running, Path(running.node.parts.exports.path)))
