"""The exchange's prices of the moment: told on at most every 100 ms, the newest of each pair, to whoever is not behind.

They are not stored and have no cursor: who was away, or reads slowly, gets the next ones.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from ray_app.model.clock import Clock
from ray_app.model.dataset import Dataset
from ray_app.model.errors import StoreUnavailable
from ray_app.model.symbols import Registry
from ray_app.observe.log import logger
from ray_app.serve.datasets import Datasets
from ray_app.serve.streams.items import Frames, Item, View, sse_frames, text_frames
from ray_app.serve.streams.making import exact, moment
from ray_app.serve.streams.outlet import Outlet
from ray_app.store.allowance import Redis
from ray_app.store.hot import Passing

log = logger("streams")
TOPIC = "ticks"
COALESCE = 0.1  # seconds
RETRY = 1.0  # seconds after Redis went away
BEHIND = 3  # lots of ticks that may wait for a client; he gets the next ones then


class Ticks:
    def __init__(self, redis: Redis | None, registry: Registry, datasets: Datasets, wall: Clock) -> None:
        self._redis, self._registry, self._datasets, self._wall = redis, registry, datasets, wall
        self._views: dict[View, set[Outlet]] = {}
        self._task: asyncio.Task[None] | None = None

    @property
    def offered(self) -> bool:
        """Without Redis there are none."""
        return self._redis is not None

    def join(self, outlet: Outlet, view: View) -> None:
        self._views.setdefault(view, set()).add(outlet)
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    def leave(self, outlet: Outlet, view: View) -> None:
        listeners = self._views.get(view)
        if listeners is not None:
            listeners.discard(outlet)
            if not listeners:
                del self._views[view]

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                async for batch in Passing(self._redis).follow(TOPIC):
                    if batch and self._views:
                        known = await self._datasets.all()
                        self._tell({tick["symbol"]: tick for tick in batch}, known)
                    await self._wall.sleep(COALESCE)
            except StoreUnavailable as error:
                log.warning("ticks cannot be read: %s", error)
            except Exception:
                log.exception("ticks could not be told")
            await self._wall.sleep(RETRY)

    def _tell(self, newest: Mapping[str, Mapping[str, Any]], known: Mapping[str, Dataset]) -> None:
        items = [self._item(tick, known) for tick in newest.values()]
        for view, listeners in self._views.items():
            entries = [
                entry
                for item in items
                if view.wants(item.assets) and (entry := item.entry(None, view.internal)) is not None
            ]
            if entries:
                frames = _frames(view, f'{{"type":"ticks","data":[{",".join(entries)}]}}')
                for outlet in listeners:
                    outlet.offer(frames, BEHIND)

    def _item(self, tick: Mapping[str, Any], known: Mapping[str, Dataset]) -> Item:
        source, pair = str(tick["series"][0]).partition(".")[0], str(tick["symbol"])
        asset = self._registry.by_venue(source, pair)
        body = {
            "symbol": asset.symbol if asset is not None else None,
            "pair": pair,
            "source": source,
            "price": exact(tick["price"]),
            "volume_24h": exact(tick.get("volume_24h")),
            "timestamp": moment(tick["at"]),
        }
        mine = [one for one in known.values() if one.source == source and pair in one.partitions]
        closed = not mine or any(one.restricts(pair) for one in mine)
        about = frozenset() if asset is None else frozenset([asset.id])
        return Item(0, "tick", body, None if closed else body, about)


def _frames(view: View, text: str) -> Frames:
    return sse_frames([("ticks", None, text)]) if view.form == "sse" else text_frames([text], view.form)
