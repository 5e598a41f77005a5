"""`make load` against a gateway of its own: Locust asks every route of the mix, and nothing fails."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import under_load
from tests.serve.conftest import Running
from tests.serve.streams.conftest import served

ROUTE = "/api/v1/prices/current/{symbol}"


@pytest.mark.slow
async def test_an_engine_asks_for_some_seconds_and_no_answer_fails(full: Running, tmp_path: Path):
    assert not {"gevent", "locust"} & set(sys.modules), "Locust belongs into a process of its own"
    key = full.http.headers["Authorization"].split()[1]
    async with served(full.app) as port:
        url, out = f"http://127.0.0.1:{port}", tmp_path / "load.html"
        routes, left = await asyncio.to_thread(under_load.answered, url, key)
        assert sorted(routes) == sorted(under_load.MIX)
        assert all("SOL" in one for one in left), left  # of which this store has little
        counted = await asyncio.to_thread(
            lambda: under_load.run(url, key, routes, users=4, per_second=5.0, seconds=6, out=out)
        )
    found = {one.name: one for one in under_load.figures(counted, 6)}
    assert found["failures"].value == 0
    assert found["answers"].value >= 20
    assert "locust" in out.read_text().lower()
    assert key not in out.read_text() + out.with_suffix(".json").read_text()


@pytest.mark.slow
async def test_a_failure_is_counted_with_its_code(full: Running, tmp_path: Path):
    key = await full.new_key("read:prices", per_hour=5)
    async with served(full.app) as port:
        counted = await asyncio.to_thread(
            lambda: under_load.run(
                f"http://127.0.0.1:{port}", key, {ROUTE: (1, ["/api/v1/prices/current/BTC"])},
                users=1, per_second=5.0, seconds=4, out=tmp_path / "load.html",
            )
        )  # fmt: skip
    (one,) = counted
    assert one["num_requests"] - one["num_failures"] == 5
    assert found_failed(counted) > 0
    assert "429 RATE_LIMIT_EXCEEDED hour" in (tmp_path / "load.html").read_text()


def found_failed(counted: list[dict[str, Any]]) -> float:
    return next(one.value for one in under_load.figures(counted, 4) if one.name == "failures")
