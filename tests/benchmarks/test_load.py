"""`make load` against a gateway of its own: Locust asks every route of the mix, and nothing fails."""

import asyncio
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from benchmarks import under_load
from tests.serve.conftest import Running
from tests.serve.streams.conftest import served

ROUTE = "/api/v1/prices/current/{symbol}"


@pytest.mark.slow
async def test_an_engine_asks_and_no_answer_fails(full: Running, tmp_path: Path):
    """It is enough when forty were answered, however long a busy machine takes for them."""
    assert not {"gevent", "locust"} & set(sys.modules), "Locust belongs into a process of its own"
    key = full.http.headers["Authorization"].split()[1]
    async with served(full.app) as port:
        url, out = f"http://127.0.0.1:{port}", tmp_path / "load.html"
        routes, left = await asyncio.to_thread(under_load.answered, url, key)
        assert sorted(routes) == sorted(under_load.MIX)
        assert all("SOL" in one for one in left), left  # of which this store has little
        counted = await asyncio.to_thread(asking(url, key, routes, out, users=4, most=40))
    found = {one.name: one for one in under_load.figures(counted, 1)}
    assert found["failures"].value == 0
    assert found["answers"].value >= 40
    assert "locust" in out.read_text().lower()
    assert key not in out.read_text() + out.with_suffix(".json").read_text()


@pytest.mark.slow
async def test_a_failure_is_counted_with_its_code(full: Running, tmp_path: Path):
    key, out = await full.new_key("read:prices", per_hour=5), tmp_path / "load.html"
    asked: under_load.Routes = {ROUTE: (1, ["/api/v1/prices/current/BTC"])}
    async with served(full.app) as port:
        (one,) = await asyncio.to_thread(asking(f"http://127.0.0.1:{port}", key, asked, out, users=1, most=8))
    assert one["num_requests"] - one["num_failures"] == 5
    assert one["num_failures"] >= 3
    assert "429 RATE_LIMIT_EXCEEDED hour" in out.read_text()


def asking(url: str, key: str, routes: under_load.Routes, out: Path, *, users: int, most: int) -> Any:
    return partial(
        under_load.run, url, key, routes, users=users, per_second=20.0, seconds=60, out=out, most=most
    )
