"""Clients of a gateway: in the same process, or over HTTP on a port."""

from collections.abc import AsyncIterator

import httpx
import pytest

from ray_app.client import AsyncClient
from tests.serve.conftest import Running, node, start, store  # noqa: F401  # three are fixtures
from tests.serve.streams.conftest import served, streams  # noqa: F401  # one is a fixture


@pytest.fixture
async def client(node: Running) -> AsyncIterator[AsyncClient]:  # noqa: F811  # the fixture
    """Of the gateway over the test's store, with a key to everything."""
    http = httpx.AsyncClient(transport=httpx.ASGITransport(node.app))
    async with AsyncClient("http://node", node.key, http=http) as made:
        yield made


@pytest.fixture
async def address(node: Running) -> AsyncIterator[str]:  # noqa: F811  # the fixture
    """Where the same gateway answers over HTTP."""
    async with served(node.app) as port:  # type: ignore[arg-type]  # any application has the same form
        yield f"http://127.0.0.1:{port}"
