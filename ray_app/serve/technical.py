"""The newest indicators of coins: from which bars they are worked out, and that only once while none of these changes.

What is kept is named by the bars themselves: how many revisions there are of the range and when the last one
arrived. The store is asked that each time, so a new bar shows at once, with or without Redis. Many coins are asked
about at once: each question to the store is about all of them. Polars comes in with the first question: a replica
starts without it.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from ray_app.model.dataset import Dataset, alive
from ray_app.model.timerange import Coverage, TimeRange, floor
from ray_app.process.bars import Candle, coarser
from ray_app.serve.candles import Chosen
from ray_app.serve.completeness import check_cost
from ray_app.serve.node import Node
from ray_app.serve.points import EARLIEST, Standing
from ray_app.serve.problems import Problem, unavailable
from ray_app.store.bars import Bars, Extent
from ray_app.store.ledger import AWAITED

if TYPE_CHECKING:
    from ray_app.process.indicators.newest import Asked, Newest

LOOKS = 5
PROOF = timedelta(days=30)  # a halt of trading is shorter, a coin that is not there yet is not
SPARE = 6  # candles that may be incomplete at the end without the memory falling short
TOGETHER = 10  # series whose bars are read at once: years of hours of each
Run = tuple[str, TimeRange]


class Moved(Exception):
    """A bar arrived between two looks: look again."""


@dataclass(frozen=True, slots=True)
class Window:
    """Which bars are looked at: series by series, with what the store has of each; `older`: there are more before."""

    over: TimeRange
    pieces: tuple[Run, ...]
    extents: tuple[Extent, ...]
    older: bool

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


async def windows(node: Node, every: Sequence[Chosen], rows: int, at: Standing) -> list[Window | None]:
    """Of each the last `rows` candles, and some more, up to the newest bar that is over; None without a bar."""
    step = every[0].step
    ever = TimeRange(floor(EARLIEST, step), floor(at.horizon, step))
    names: dict[str, set[str]] = {}
    for one in every:
        names.setdefault(one.dataset.name, set()).update(one.names)
    ends = {
        (stream, name): found
        for stream, mine in names.items()
        for name, found in (await node.store.bars.ends(stream, sorted(mine), ever, at.point)).items()
    }
    overs: list[TimeRange | None] = []
    pieces: list[tuple[Run, ...]] = []
    for one in every:
        end = await _end(node, one, ends, ever, at)
        over = None if end is None else TimeRange(max(ever.start, end - (rows + SPARE) * step), end)
        if over is not None:
            check_cost(over.length // one.dataset.grain)
        overs.append(over)
        pieces.append(() if over is None else tuple(alive(one.names, over, one.dataset.grain)))
    together: dict[tuple[str, TimeRange], list[str]] = {}
    for one, mine in zip(every, pieces, strict=True):
        for name, run in mine:
            together.setdefault((one.dataset.name, run), []).append(name)
    extents = {
        (stream, name, run): extent
        for (stream, run), mine in together.items()
        for name, extent in (await node.store.bars.extents(stream, mine, run, at.point)).items()
    }
    out: list[Window | None] = []
    for one, over, mine in zip(every, overs, pieces, strict=True):
        if over is None:
            out.append(None)
            continue
        stream = one.dataset.name
        seen = tuple(extents[stream, name, run] for name, run in mine)
        first = min((extent.first for extent in seen if extent.first is not None), default=None)
        older = any(
            first is None or ends[stream, name][0] < first for name, _ in mine if (stream, name) in ends
        )
        out.append(Window(over, mine, seen, older))
    return out


async def _end(
    node: Node,
    one: Chosen,
    ends: dict[tuple[str, str], tuple[datetime, datetime]],
    ever: TimeRange,
    at: Standing,
) -> datetime | None:
    """Where the newest bar of a coin ends, on the grid of the candles; None without a whole one."""
    grain = one.dataset.grain
    for name, run in reversed(alive(one.names, ever, grain)):
        found = ends.get((one.dataset.name, name))
        if found is None or found[0] >= run.end or found[1] < run.start:
            continue
        last: datetime | None = found[1]
        if found[1] >= run.end:  # later the id was another coin
            bar = await node.store.bars.newest(one.dataset.name, name, run, at.point)
            last = None if bar is None else bar[0]
        if last is not None:
            end = floor(last + grain, one.step)
            return end if end > ever.start else None
    return None


async def begins(
    node: Node, every: Sequence[Chosen], seen: Sequence[Window | None], at: Standing
) -> list[tuple[bool, Sequence[datetime]]]:
    """Of each whether its first bar is the first that the source ever had, and when that became so.

    Only if everything before it in the window, a month at least, was asked for and was empty there, and nothing
    older is stored: then a coin is younger than what an indicator remembers, and its averages start where it did.
    """
    young: dict[int, Run] = {}
    for place, (one, window) in enumerate(zip(every, seen, strict=True)):
        if window is not None and (run := _before(one, window)) is not None:
            young[place] = run
    tried: dict[tuple[str, str], Any] = {}
    for dataset in {one.dataset.name: one.dataset for one in (every[place] for place in young)}.values():
        mine = [young[place] for place in young if every[place].dataset.name == dataset.name]
        hull = TimeRange(min(run.start for _, run in mine), max(run.end for _, run in mine))
        found = await node.store.ledger.tried(
            dataset.name, hull, sorted({name for name, _ in mine}), at.point.as_of
        )
        tried |= {(dataset.name, name): lines for name, lines in found.items()}
    out: list[tuple[bool, Sequence[datetime]]] = []
    for place, one in enumerate(every):
        if place not in young:
            out.append((False, ()))
            continue
        name, before = young[place]
        lines = [line for line in tried.get((one.dataset.name, name), ()) if line.range.overlap(before)]
        empty = Coverage.of(line.range for line in lines if line.outcome == "covered")
        holds = next(empty.missing(before), None) is None
        holds = holds and all(line.outcome != AWAITED for line in lines)
        out.append((True, [line.received_at for line in lines]) if holds else (False, ()))
    return out


def _before(one: Chosen, seen: Window) -> Run | None:
    """The series and the time before its first bar that must have been empty; None where that is no question."""
    first, names = seen.first, {name for name, _ in seen.pieces}
    if first is None or len(names) != 1 or first - one.dataset.grain < seen.over.start or seen.older:
        return None
    (name,) = names
    before = TimeRange(min(seen.over.start, first - PROOF), first)
    if next(one.names[name].missing(before), None) is not None:
        return None  # for a time it was another coin, or not wanted
    return name, before


async def latest(
    node: Node, every: Sequence[Chosen], what: "Asked", at: Standing
) -> list[Latest | Problem | None]:
    """What the newest complete candle of each says; None where there is none yet. All are of one step."""
    out: list[Latest | Problem | None] = [None] * len(every)
    waiting = list(range(len(every)))
    for _ in range(LOOKS):
        if not waiting:
            break
        mine = [every[place] for place in waiting]
        seen = await windows(node, mine, what.rows(mine[0].step), at)
        begun = await begins(node, mine, seen, at)
        asked = [
            (one.dataset.name, one.step, what, at.point, window, whole)
            for one, window, (whole, _) in zip(mine, seen, begun, strict=True)
        ]
        lacking = [
            (one.dataset, *piece)
            for one, window, place in zip(mine, seen, asked, strict=True)
            if window is not None and not node.computed.has(place)
            for piece in window.pieces
        ]
        bars = _Bars(node, lacking, at)
        done = await asyncio.gather(
            *(
                _worked(node, one, window, what, place, bars, whole=whole)
                for one, window, (whole, _), place in zip(mine, seen, begun, asked, strict=True)
            ),
            return_exceptions=True,
        )
        moved = []
        for place, window, (whole, changes), found in zip(waiting, seen, begun, done, strict=True):
            if isinstance(found, Moved):
                moved.append(place)
            elif isinstance(found, BaseException):
                raise found
            elif found is not None and window is not None:
                out[place] = Latest(found, whole, [*window.changes, *changes])
        waiting = moved
    for place in waiting:
        out[place] = unavailable("bars of this coin are being stored; try again", [])
    return out


class _Bars:
    """The bars of windows, read some series at once, when the first of them is needed."""

    def __init__(self, node: Node, wanted: Iterable[tuple[Dataset, str, TimeRange]], at: Standing) -> None:
        self._node, self._at = node, at
        self._reading: dict[tuple[str, TimeRange, tuple[str, ...]], asyncio.Task[dict[str, Bars]]] = {}
        self._with: dict[tuple[str, TimeRange, str], tuple[str, ...]] = {}
        together: dict[tuple[str, TimeRange], list[str]] = {}
        for dataset, name, run in wanted:
            together.setdefault((dataset.name, run), []).append(name)
        for (stream, run), names in together.items():
            for first in range(0, len(names), TOGETHER):
                some = tuple(names[first : first + TOGETHER])
                self._with |= {(stream, run, name): some for name in some}

    async def of(self, stream: str, name: str, run: TimeRange) -> Bars:
        some = self._with.get((stream, run, name), (name,))
        task = self._reading.get((stream, run, some))
        if task is None:
            reading = self._node.store.bars.rows(stream, some, run, self._at.point)
            task = self._reading[stream, run, some] = asyncio.ensure_future(reading)
        return (await asyncio.shield(task))[name]


async def _worked(
    node: Node, one: Chosen, seen: Window | None, what: "Asked", place: object, bars: _Bars, *, whole: bool
) -> "Newest | None":
    if seen is None:
        return None
    found: Newest | None = await node.computed.get(
        place, partial(compute, one, seen, what, bars, whole=whole)
    )
    return found


async def compute(
    chosen: Chosen, seen: Window, what: "Asked", bars: _Bars, *, whole: bool
) -> "Newest | None":
    """The indicators of the newest complete candle; None when no candle is complete.

    Raises Moved when the store has more bars of the window by now than when it was looked at.
    """
    dataset, rows = chosen.dataset, list[Sequence[Any]]()
    for (name, run), extent in zip(seen.pieces, seen.extents, strict=True):
        found = await bars.of(dataset.name, name, run)
        if found.revisions != extent.revisions:
            raise Moved
        rows += found.rows

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
