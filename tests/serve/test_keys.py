"""How a key lives: new, used, counted, expired, revoked. What it opens is in test_authorisation.py."""

import asyncio
from datetime import timedelta

from ray_app.model.clock import SystemClock
from ray_app.serve.auth import KEPT_SECONDS
from tests.serve.conftest import Running, client


async def test_how_a_key_is_written_in_the_header(node: Running):
    async with client(node.app, None) as nobody:
        for written in (f"bearer  {node.key} ", f"BEARER {node.key}"):
            answer = await nobody.get("/api/v1/catalog/sources", headers={"Authorization": written})
            assert answer.status_code == 200


async def test_a_revocation_takes_effect_within_five_seconds(node: Running):
    key = await node.new_key("read:ops")
    headers = {"Authorization": f"Bearer {key}"}
    assert (await node.http.get("/api/v1/quotas", headers=headers)).status_code == 200
    await node.store.keys.revoke(key.split("_")[1], SystemClock().now())
    assert KEPT_SECONDS < 5
    await asyncio.sleep(KEPT_SECONDS + 0.1)
    assert (await node.http.get("/api/v1/quotas", headers=headers)).status_code == 401


async def test_a_key_ends_at_its_minute_even_while_it_is_kept(node: Running):
    key = await node.new_key("read:ops", expires_at=SystemClock().now() + timedelta(seconds=0.6))
    headers = {"Authorization": f"Bearer {key}"}
    assert (await node.http.get("/api/v1/quotas", headers=headers)).status_code == 200
    await asyncio.sleep(0.7)
    assert (await node.http.get("/api/v1/quotas", headers=headers)).status_code == 401


async def test_a_new_key_works_at_once(node: Running):
    for _ in range(3):
        key = await node.new_key("read:ops")
        answer = await node.http.get("/api/v1/quotas", headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == 200


async def test_every_use_is_counted_and_the_last_is_kept(node: Running):
    key = await node.new_key("read:ops")
    identity = key.split("_")[1]
    before = SystemClock().now()
    for path in ("/api/v1/quotas", "/api/v1/prices/current/BTC", "/nowhere", "/api/v1/quotas?x=1"):
        await node.http.get(path, headers={"Authorization": f"Bearer {key}"})
    await node.node.ring.flush()
    (found,) = [one for one in await node.store.keys.list() if one.id == identity]
    assert found.uses == 4
    assert found.last_used_at is not None
    assert before - timedelta(seconds=1) <= found.last_used_at <= SystemClock().now() + timedelta(seconds=1)
    await node.node.ring.flush()
    (again,) = [one for one in await node.store.keys.list() if one.id == identity]
    assert again.uses == 4
