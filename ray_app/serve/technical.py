"""The newest indicators of a coin: from which bars they are worked out, and that only once while none of these changes.

What is kept is named by the bars themselves: how many revisions there are of the range and when the last one
arrived. The store is asked that each time, so a new bar shows at once, with or without Redis. Polars comes
in with the first question: a replica starts without it.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from ray_app.model.dataset import alive
from ray_app.model.timerange import Coverage, TimeRange, floor
from ray_app.process.bars import Candle, coarser
from ray_app.serve.candles import Chosen
from ray_app.serve.completeness import check_cost
from ray_app.serve.node import Node
from ray_app.serve.points import EARLIEST, Standing
from ray_app.serve.problems import unavailable
from ray_app.store.bars import Extent
from ray_app.store.ledger import AWAITED

if TYPE_CHECKING:
    from ray_app.process.indicators.newest import Asked, Newest

LOOKS = 5
PROOF = timedelta(days=30)  # a halt of trading is shorter, a coin that is not there yet is not
SPARE = 6  # candles that may be incomplete at the end without the memory falling short


class Moved(Exception):
    """A bar arrived between two looks: look again."""


@dataclass(frozen=True, slots=True)
class Window:
    """Which bars are looked at: series by series, with what the store has of each."""

    over: TimeRange
    pieces: tuple[tuple[str, TimeRange], ...]
    extents: tuple[Extent, ...]

    @property
    def first(self) -> datetime | None:
        return min((one.first for one in self.extents if one.first is not None), default=None)

    @property
    def changes(self) -> list[datetime]:
        return [one.received_at for one in self.extents if one.received_at is not None]


@dataclass(frozen=True, slots=True)
class Latest:
    """`whole`: from the first bar that there ever was; `changes`: when something of it became so."""

    newest: "Newest"
    whole: bool
    changes: list[datetime]


async def window(node: Node, chosen: Chosen, rows: int, at: Standing) -> Window | None:
    """The last `rows` candles, and some more, up to the newest bar that is over; None without a bar."""
    bars, dataset = node.store.bars, chosen.dataset
    ever = TimeRange(floor(EARLIEST, chosen.step), floor(at.horizon, chosen.step))
    end = None
    for name, run in reversed(alive(chosen.names, ever, dataset.grain)):
        if (found := await bars.newest(dataset.name, name, run, at.point)) is not None:
            end = floor(found[1], chosen.step)
            break
    if end is None or end <= ever.start:
        return None
    over = TimeRange(max(ever.start, end - (rows + SPARE) * chosen.step), end)
    check_cost(over.length // dataset.grain)
    pieces = tuple(alive(chosen.names, over, dataset.grain))
    extents = [await bars.extent(dataset.name, name, run, at.point) for name, run in pieces]
    return Window(over, pieces, tuple(extents))


async def begins(node: Node, chosen: Chosen, seen: Window, at: Standing) -> tuple[bool, Sequence[datetime]]:
    """Whether its first bar is the first that the source ever had, and when that became so.

    Only if everything before it in the window, a month at least, was asked for and was empty there, and nothing
    older is stored: then a coin is younger than what an indicator remembers, and its averages start where it did.
    """
    first, names = seen.first, {name for name, _ in seen.pieces}
    if first is None or len(names) != 1:
        return False, ()
    (name,), dataset = names, chosen.dataset
    if first - dataset.grain < seen.over.start:
        return False, ()
    before = TimeRange(min(seen.over.start, first - PROOF), first)
    older = TimeRange(floor(EARLIEST, dataset.grain), first)
    if await node.store.bars.newest(dataset.name, name, older, at.point) is not None:
        return False, ()
    if next(chosen.names[name].missing(before), None) is not None:
        return False, ()  # for a time it was another coin, or not wanted
    tried = (await node.store.ledger.tried(dataset.name, before, [name], at.point.as_of)).get(name, [])
    empty = Coverage.of(one.range for one in tried if one.outcome == "covered")
    if next(empty.missing(before), None) is not None or any(one.outcome == AWAITED for one in tried):
        return False, ()
    return True, [one.received_at for one in tried]


async def latest(node: Node, chosen: Chosen, what: "Asked", at: Standing) -> Latest | None:
    """What the newest complete candle says; None when there is none yet."""
    for _ in range(LOOKS):
        seen = await window(node, chosen, what.rows(chosen.step), at)
        if seen is None:
            return None
        whole, changes = await begins(node, chosen, seen, at)
        place = (chosen.dataset.name, chosen.step, what, at.point, seen, whole)
        with suppress(Moved):
            found: Newest | None = await node.computed.get(
                place, partial(compute, node, chosen, seen, what, at, whole=whole)
            )
            return None if found is None else Latest(found, whole, [*seen.changes, *changes])
    raise unavailable("bars of this coin are being stored; try again", [])


async def compute(
    node: Node, chosen: Chosen, seen: Window, what: "Asked", at: Standing, *, whole: bool
) -> "Newest | None":
    """The indicators of the newest complete candle; None when no candle is complete.

    Raises Moved when the store has more bars of the window by now than when it was looked at.
    """
    dataset, rows = chosen.dataset, list[Sequence[Any]]()
    for (name, run), extent in zip(seen.pieces, seen.extents, strict=True):
        found, revisions = await node.store.bars.rows(dataset.name, name, run, at.point)
        if revisions != extent.revisions:
            raise Moved
        rows += found

    def work() -> "Newest | None":
        from ray_app.process.indicators.newest import newest

        candles = [Candle(*row) for row in rows]
        return newest(
            candles if dataset.grain == chosen.step else coarser(candles, chosen.step),
            chosen.step,
            what,
            whole=whole,
        )

    return await asyncio.to_thread(work)
