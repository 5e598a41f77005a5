"""Say what many texts say of each asset, as events of the topic `sentiment`: when texts came or were scored, and
each quarter of an hour, since ages count.

Each event is reckoned as of a whole minute that is certainly in the store, so it is what /api/v1/sentiment answers
with that `as_of`. One process of the node does it, under a lease of its own; what it has said it remembers, and after a
start it says everything once.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ray_app.model.clock import Clock
from ray_app.model.declared import record_of
from ray_app.model.errors import Fenced, StoreUnavailable
from ray_app.model.timerange import TimeRange, floor
from ray_app.observe.log import logger
from ray_app.process.linking import LINKER
from ray_app.process.sentiment.aggregate import WINDOWS, Kind, Opinion, sentiment
from ray_app.process.sentiment.opinions import kind_of, opinions_of
from ray_app.runtime.alone import Alone
from ray_app.runtime.opening import Node
from ray_app.store.linked import KINDS
from ray_app.store.reading import SETTLED, Point
from ray_app.store.scored import Mention

log = logger("aggregating")
TOPIC, WINDOW = "sentiment", "24h"
MINUTE, QUARTER = timedelta(minutes=1), timedelta(minutes=15)
REST_OF_A_MILLISECOND = timedelta(microseconds=999)  # an as_of means its whole millisecond
ROUND = 5.0  # seconds of wall time between looks at the clock
MOST = 50_000  # mentions that are read of each kind of text


@dataclass(slots=True)
class Said:
    """What speaks of one asset."""

    kind: str  # coin | stock
    opinions: list[Opinion] = field(default_factory=list)
    counted: set[tuple[Any, ...]] = field(default_factory=set)  # what of the texts counts, but for their ages


class Aggregating:
    """`committed` is called when there are new events."""

    def __init__(self, node: Node, owner: str, wall: Clock, committed: Callable[[], None]) -> None:
        self._node, self._wall, self._committed = node, wall, committed
        self._alone = Alone(node.store, TOPIC, owner)
        self._fence: int | None = None  # of the lease under which it was told
        self._told: dict[str, Said] = {}
        self._minute: datetime | None = None

    async def run(self) -> None:
        """For ever; returns at once where nothing scores texts. A store that is away is waited for."""
        if not self._node.models:
            return
        while True:
            try:
                await self.round()
            except (StoreUnavailable, Fenced) as error:
                self._alone.lost()
                log.warning("aggregating waits", extra={"error": str(error)})
            await self._wall.sleep(ROUND)

    async def close(self) -> None:
        await self._alone.close()

    async def round(self) -> int:
        """Say what is new at the last whole minute, once for each minute; how many events that made."""
        minute = floor(self._node.clock.now() - timedelta(seconds=SETTLED), MINUTE)
        if (lease := await self._alone.lease()) is None:
            return 0
        if lease.fence != self._fence:  # taken anew: what was told meanwhile is not known here
            self._fence, self._told, self._minute = lease.fence, {}, None
        if minute == self._minute:
            return 0
        said = await self._said(minute)
        quarter = self._minute is None or floor(minute, QUARTER) != floor(self._minute, QUARTER)
        silent = {asset: Said(one.kind) for asset, one in self._told.items() if asset not in said}
        changed = {asset: one for asset, one in said.items() if quarter or self._differs(asset, one)} | silent
        made = await asyncio.to_thread(_events, changed, minute)
        if made:
            await self._node.store.outbox.add(TOPIC, made, self._node.clock.now(), lease)
            self._committed()
        self._told, self._minute = said, minute
        return len(made)

    def _differs(self, asset: str, said: Said) -> bool:
        before = self._told.get(asset)
        return before is None or before.counted != said.counted

    async def _said(self, minute: datetime) -> dict[str, Said]:
        """By asset, what its texts of the window say as of the minute."""
        point = Point(as_of=minute + REST_OF_A_MILLISECOND)
        end = minute + REST_OF_A_MILLISECOND
        over = TimeRange(end - WINDOWS[WINDOW], end + timedelta(microseconds=1))
        declared = await self._node.store.catalog.streams(point.as_of)
        out: dict[str, Said] = {}
        for record in KINDS:
            kinds: dict[str, Kind] = {}
            for name, line in declared.items():
                kind = kind_of(record, line["source"]) if record_of(line) is record else None
                if kind is not None:
                    kinds[name] = kind
            scorer = await self._node.store.scores.served(record, point)
            found = await self._node.store.opinions.mentioning(
                None, over, LINKER, scorer, list(kinds), MOST, point
            )
            model = scorer.model if scorer is not None else ""
            await asyncio.to_thread(_collect, out, found, kinds, model)
        return out


def _collect(out: dict[str, Said], found: list[Mention], kinds: Mapping[str, Kind], model: str) -> None:
    by_asset: dict[str, list[Mention]] = {}
    for one in found:
        by_asset.setdefault(one.asset, []).append(one)
    for asset, mentions in by_asset.items():
        said = out.setdefault(asset, Said(mentions[0].kind))
        said.opinions += opinions_of(mentions, kinds, model)
        said.counted |= {(one.id, one.story, one.link, one.engagement, one.score) for one in mentions}


def _events(said: Mapping[str, Said], minute: datetime) -> list[dict[str, Any]]:
    events = []
    for asset, one in sorted(said.items()):
        made = sentiment(one.opinions, WINDOW, minute + REST_OF_A_MILLISECOND)
        events.append(
            {
                "series": [TOPIC, asset],
                "asset": asset,
                "kind": one.kind,
                "at": minute.isoformat(),
                "timeframe": WINDOW,
                "overall": asdict(made.overall),
                "breakdown": {kind: asdict(part) for kind, part in made.breakdown.items()},
            }
        )
    return events
