"""A loop that is woken and cancelled at once ends; one that goes on would hold up its collector for ever."""

import asyncio
from pathlib import Path

from ray_app.app import open_with
from ray_app.model.clock import SystemClock
from ray_app.runtime.relay import Relay
from ray_app.settings import Settings


async def test_a_relay_that_is_woken_and_cancelled_at_once_ends(tmp_path: Path):
    node = await open_with(Settings(data_dir=tmp_path))
    await node.store.database.prepare(simulated=False)
    relay = Relay(node, "me", SystemClock())
    running = asyncio.create_task(relay.run())
    while relay._lease is None:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)  # it waits to be woken
    relay.wake()
    running.cancel()
    await asyncio.wait({running}, timeout=5)
    ended = running.cancelled()
    while not running.done():
        running.cancel()
        await asyncio.sleep(0.01)
    await node.close()
    assert ended
