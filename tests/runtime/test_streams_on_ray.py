"""Streams on a real Ray: replicas, collector and gateway are killed and replaced while clients read."""

from typing import Any

import pytest

from tests.kills.world import A_POLL, run
from tests.server_process import free_port


@pytest.mark.slow
async def test_every_client_gets_every_event_once_in_order_whatever_is_killed(
    ray_session: Any, simulate: Any, settings_for: Any, fresh_redis_url: str
) -> None:
    """Ten kills, then a new release. `python -m tests.kills` does it at full size."""
    upstream = simulate("--speed", "60", "--coins", "90", "--no-limits")
    settings = settings_for(upstream, redis_url=fresh_redis_url)
    found = await run(settings, free_port(), kills=10, clients=20, seed=5, redeploy=True)
    assert found.wrong == []
    assert sum(found.kills.values()) == 10
    assert set(found.kills) == {"gateway", "streams-ws", "streams-sse", "collector"}
    assert found.closes[1012] == 10, "each socket was told that its replica goes"
    assert found.came_back > 20
    assert found.events > A_POLL
