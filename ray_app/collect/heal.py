"""One round of healing by hand: every gap that the upstream still offers, earliest deadline first.

A gap whose neighbour is told differently gets a second look in the same round: what is told twice with the
same difference is a correction, and a round by hand has no next one that would remember the first.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ray_app.collect.backfill import FOREVER
from ray_app.collect.filling import Filled, Filling, deadline
from ray_app.collect.planner import Lives, askable, on_offer, plan
from ray_app.model.clock import Clock
from ray_app.model.quota import Priority
from ray_app.model.source import Slice, Stream
from ray_app.model.timerange import Coverage, TimeRange

SECOND_LOOK = timedelta(seconds=30)  # after the first, at the earliest


@dataclass(frozen=True, slots=True)
class Repair:
    """A gap that can still be filled, and when the upstream stops offering it (None: not foreseeable)."""

    stream: Stream
    slice: Slice
    deadline: datetime | None


def repairable(stream: Stream, now: datetime, reach: timedelta) -> TimeRange | None:
    """The range in which a gap of this stream can still be filled; None where only the present is told."""
    return None if stream.offers is None else on_offer(stream, now, min(reach, FOREVER))


def repairs(
    streams: Sequence[tuple[Stream, tuple[str, ...], Lives]],
    done: Mapping[str, Mapping[str, Coverage]],
    now: datetime,
    reach: timedelta,
) -> list[Repair]:
    """The gaps, earliest retention deadline first; those without a deadline last, newest first."""
    found = []
    for stream, partitions, lives in streams:
        over = repairable(stream, now, reach)
        if over is None:
            continue
        known = done.get(stream.name, {})
        gaps = plan(stream, partitions, over, known, lives=askable(stream, lives, now))
        found += [Repair(stream, gap, deadline(stream, gap)) for gap in gaps]
    far = datetime.max.replace(tzinfo=now.tzinfo)
    return sorted(found, key=lambda r: (r.deadline or far, -r.slice.range.end.timestamp()))


async def repair(
    found: Iterable[Repair],
    fillings: Mapping[str, Filling],
    done: Mapping[str, Mapping[str, Coverage]],
    clock: Clock,
    told: Callable[[Repair, Filled], None],
) -> None:
    """Fill the gaps of one upstream, in order; each is told once, by how it ended. Raises Fenced.

    fillings, done: by the stream's name; gaps of series that have something before them are proved.
    """
    again: list[tuple[datetime, Repair]] = []
    for one in found:
        filled = await _fill(one, fillings, done)
        if filled.ended == "disputed":
            again.append((clock.now() + SECOND_LOOK, one))
        else:
            told(one, filled)
    for due, one in again:
        await clock.sleep_until(due)
        told(one, await _fill(one, fillings, done))


async def _fill(
    one: Repair, fillings: Mapping[str, Filling], done: Mapping[str, Mapping[str, Coverage]]
) -> Filled:
    name = one.stream.name
    known = any(partition in done[name] for partition in one.slice.partitions)
    return await fillings[name].fill(one.slice, Priority.HEAL, prove=known)
