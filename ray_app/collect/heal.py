"""One round of healing by hand: every gap that the upstream still offers, earliest deadline first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ray_app.collect.backfill import FOREVER
from ray_app.collect.filling import deadline
from ray_app.collect.planner import Lives, askable, on_offer, plan
from ray_app.model.source import Slice, Stream
from ray_app.model.timerange import Coverage, TimeRange


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
