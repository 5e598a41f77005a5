"""A shard listens to the feed of its streams: closed minutes are stored, missed ones asked for, ticks told on."""

import asyncio
import json
from datetime import timedelta
from typing import Any

from ray_app.app import open_with
from ray_app.model.clock import SystemClock
from ray_app.model.records import Bar
from ray_app.model.timerange import TimeRange
from ray_app.runtime.collector import Shard
from ray_app.runtime.keeper import keeper_for
from ray_app.store.hot import passing_key, redis_client
from ray_app.store.reading import Fact

NAME = "binance.bars_1m"


async def test_minutes_come_over_the_socket_and_ticks_go_on(
    simulate: Any, settings_for: Any, redis_server: Any
) -> None:
    address = simulate("--coins", "90", "--speed", "30")
    settings = settings_for(
        address, sources="binance", history=timedelta(minutes=10), redis_url=redis_server.url()
    )
    node = await open_with(settings)
    await node.store.database.prepare(simulated=True)
    await node.declare(node.clock.now())
    started = node.clock.now()
    shard = Shard(node, "feeds", [NAME], SystemClock(), "me", lambda a: keeper_for(node, a))
    running = asyncio.create_task(shard.run())
    redis = redis_client(settings.redis_url)
    try:
        heard: list[Fact] = []
        deadline = asyncio.get_running_loop().time() + 60
        while not heard and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.5)
            over = TimeRange(started, node.clock.now())
            facts = await node.store.reading.between(Bar, NAME, ["BTCUSDT", "ETHUSDT"], over)
            found = [(f, await node.store.reading.lineage(Bar, NAME, f.partition, f.key, 0)) for f in facts]
            heard = [f for f, page in found if page is not None and page["parser"] == "frames/1"]
        assert heard, "no minute came over the socket"
        assert heard[0].values["end"] - heard[0].cursor == timedelta(minutes=1)
        ticks: Any = await redis.xrevrange(passing_key("ticks"), count=100)
        symbols = {json.loads(fields["e"])["symbol"] for _, fields in ticks}
        assert "BTCUSDT" in symbols
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await redis.aclose()
        await node.close()
