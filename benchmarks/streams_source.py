"""The source of the streams benchmark: commits prices of many coins through the real commit and relay, when told to.

`python -m benchmarks.streams_source SYMBOLS`: prints a key, then answers each line of its standard input.
"""

import asyncio
import json
import sys
import time
from typing import Any

from ray_app.app import open_node
from ray_app.collect.collector import parsed
from ray_app.model.clock import SystemClock
from ray_app.model.source import Page, Slice
from ray_app.model.timerange import TimeRange, floor
from ray_app.runtime.relay import Relay
from ray_app.sources.coingecko import PRICES, SOURCE

SLOT = PRICES.grain


class Source:
    """One more slot of prices with each batch."""

    def __init__(self, node: Any, lease: Any, symbols: int) -> None:
        self._node, self._lease = node, lease
        self._relay = Relay(node, "bench", SystemClock())
        self._coins = node.partitions(PRICES)[:symbols]
        self._slot = floor(node.clock.now(), SLOT) - 5_000 * SLOT

    async def commit(self) -> float:
        """One batch, told to Redis; when it was committed, by the clock that all processes here share."""
        self._slot += SLOT
        now = self._node.clock.now()
        when = self._slot.isoformat()
        rows = [
            {"id": coin, "current_price": 1000 + n, "last_updated": when}
            for n, coin in enumerate(self._coins)
        ]
        page = Page(
            source="coingecko", stream="prices", path="/coins/markets", params={}, status=200, headers={},
            body=json.dumps(rows).encode(), asked_at=now, received_at=now,
        )  # fmt: skip
        wanted = Slice(tuple(self._coins), TimeRange(self._slot, self._slot + SLOT))
        await self._node.store.raw.keep(page)
        await self._node.store.commit([parsed(SOURCE, PRICES, wanted, [page])], self._lease)
        committed = time.perf_counter()
        await self._relay.round()
        return committed

    async def rate(self, batches: int, every: float) -> list[float]:
        out, due = [], time.perf_counter()
        for _ in range(batches):
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            out.append(await self.commit())
            due += every
        return out


async def main(symbols: int) -> None:
    node = await open_node()
    await node.store.database.prepare(simulated=False)
    await node.declare(node.clock.now())
    scopes = frozenset({"read:prices"})
    key = await node.store.keys.create(
        "bench", scopes, SystemClock().now(), tier="premium", per_hour=10**9, burst=10**9
    )
    lease = await node.store.leases.acquire("bench", "bench")
    source = Source(node, lease, symbols)
    _say(key=key)
    while line := await asyncio.to_thread(sys.stdin.readline):
        asked = json.loads(line)
        _say(committed=await source.rate(asked["batches"], asked["every"]))
    await node.close()


def _say(**told: Any) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
