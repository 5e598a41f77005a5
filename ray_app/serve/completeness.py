"""The ledger as the routes tell it: the state of every interval of some series, as of a point in time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from ray_app.model.completeness import Schedule, Span, spans
from ray_app.model.dataset import Dataset
from ray_app.model.declared import schedule
from ray_app.model.timerange import Coverage, TimeRange, floor
from ray_app.serve.points import Standing
from ray_app.serve.problems import Problem
from ray_app.store.ledger import Tried
from ray_app.store.store import Store

MOST_INTERVALS = 1_000_000  # of all series of an answer together: about a second of work
AT_ONCE = 5_000  # intervals that are worked out without leaving the event loop


@dataclass(frozen=True, slots=True)
class States:
    """Per series its runs of intervals in one state; `arrived` and `turns` are moments at which they became so.

    `until`: when the passing of time moves one next.
    """

    spans: Mapping[str, Sequence[Span]]
    arrived: Mapping[str, Sequence[datetime]]
    turns: Sequence[datetime]
    until: datetime

    @property
    def changes(self) -> list[datetime]:
        return [*self.turns, *(moment for moments in self.arrived.values() for moment in moments)]

    def changes_of(self, partition: str) -> list[datetime]:
        return [*self.turns, *self.arrived.get(partition, ())]


async def states(
    store: Store,
    dataset: Dataset,
    partitions: Sequence[str],
    over: TimeRange,
    at: Standing,
    lives: Mapping[str, Coverage] | None = None,
    read: Callable[[], Awaitable[Mapping[str, Sequence[datetime]]]] | None = None,
) -> States:
    """`lives` instead of the series' own; `read` gives the times of facts within them, for a caller who needs
    the facts too.

    What was tried is read before the facts: a commit in between must not look as if nothing had been there. Raises
    Problem when that is too much to work out for one answer.
    """
    expected = schedule(dataset.declared)
    check_cost(len(partitions) * -(-over.length // expected.grain))
    tried = await store.ledger.tried(dataset.name, over, partitions, at.point.as_of)
    grid = TimeRange(floor(over.start, expected.grain), over.end)
    if read is not None:
        cursors = await read()
    else:
        cursors = await store.reading.cursors(dataset.record, dataset.name, partitions, grid, at.point)
    if lives is not None and read is None:  # what lies outside is another's
        runs = {p: list(life.touched(grid, expected.grain)) for p, life in lives.items()}
        cursors = {p: [c for c in found if any(c in run for run in runs[p])] for p, found in cursors.items()}
    arrived = {p: [one.received_at for one in found] for p, found in tried.items()}
    schedules = {
        p: replace(expected, life=dataset.life(p) if lives is None else lives[p]) for p in partitions
    }

    def work() -> dict[str, Sequence[Span]]:
        return {
            p: _spans(schedules[p], over, at.now, tried.get(p, []), cursors.get(p, ())) for p in partitions
        }

    few = len(partitions) * (over.length // expected.grain) <= AT_ONCE
    told = work() if few else await asyncio.to_thread(work)
    turns = turning_points(expected, at.now)
    until = min(turn + expected.grain if turn < at.now else at.now for turn in turns)
    return States(told, arrived, turns, until)


def _spans(
    expected: Schedule, over: TimeRange, now: datetime, tried: Sequence[Tried], cursors: Iterable[datetime]
) -> list[Span]:
    """Piece by piece, each with its part of the ledger: a year against a year's slices would take minutes."""
    out: list[Span] = []
    step = 48 * expected.grain
    start = floor(over.start, expected.grain)
    have = sorted(cursors)
    by_start = sorted(range(len(tried)), key=lambda i: tried[i].range.start)
    place = first = 0
    open_slices: list[int] = []
    for piece in TimeRange(start, max(over.end, start + expected.grain)).split(step):
        open_slices = [i for i in open_slices if tried[i].range.end > piece.start]
        while place < len(by_start) and tried[by_start[place]].range.start < piece.end:
            open_slices.append(by_start[place])
            place += 1
        last = first
        while last < len(have) and have[last] < piece.end:
            last += 1
        mine = [tried[i] for i in sorted(open_slices)]
        for span in spans(expected, piece, now, mine, have[first:last]):
            before = out[-1] if out else None
            if before is not None and (before.state, before.reason) == (span.state, span.reason):
                whole = TimeRange(before.range.start, span.range.end)
                out[-1] = Span(whole, span.state, span.reason, before.intervals + span.intervals)
            else:
                out.append(span)
        first = last
    return out


def check_cost(intervals: int) -> None:
    if intervals > MOST_INTERVALS:
        raise Problem(
            "QUERY_TOO_COSTLY",
            f"this asks about {intervals} intervals, at most {MOST_INTERVALS} are told at once: "
            "ask for less time or fewer series",
            {"limit": MOST_INTERVALS, "cost": intervals},
        )


def turning_points(expected: Schedule, now: datetime) -> list[datetime]:
    """When the passing of time last moved an interval from one state to another."""
    late = timedelta(0) if expected.offers is None else expected.settle + expected.every
    out = [floor(now, expected.grain), floor(now - late, expected.grain) + late]
    if isinstance(expected.offers, timedelta):
        out.append(floor(now - expected.offers, expected.grain) + expected.offers)
    return out


_REASONS = {
    "empty_upstream": "asked for, and the upstream had nothing",
    "late": "due, and not asked for yet",
    "not_due": "not due yet",
}


def told(dataset: Dataset, partition: str, span: Span) -> dict[str, Any]:
    """One run of intervals as JSON types."""
    return {
        "dataset": dataset.name,
        "series": partition,
        "from": span.range.start,
        "to": span.range.end,
        "state": span.state,
        "reason": span.reason or _REASONS.get(span.state),
        "intervals": span.intervals,
    }
