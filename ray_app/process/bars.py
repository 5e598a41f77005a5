"""Longer candles from shorter ones. Nothing is filled in: what lacks a part says so."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal, localcontext
from itertools import pairwise
from typing import NamedTuple

from ray_app.model.timerange import floor


class Candle(NamedTuple):
    """Trading over [start, end). `complete`: it is built from the whole of that range. A tuple: a year has thousands.

    Otherwise open, high, low and close are those of the parts that are there, and the volume is unknown.
    """

    start: datetime
    end: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal | None
    complete: bool = True


def coarser(parts: Iterable[Candle], step: timedelta) -> list[Candle]:
    """Candles of `step` on the UTC grid, oldest first; `parts` lie on a finer grid and do not overlap."""
    groups: dict[datetime, list[Candle]] = {}
    for part in sorted(parts, key=lambda one: one.start):
        start = floor(part.start, step)
        if part.end > start + step:
            raise ValueError(f"a candle over {part.start} .. {part.end} does not fit into {step}")
        groups.setdefault(start, []).append(part)
    return [_whole(start, start + step, group) for start, group in groups.items()]


def _whole(start: datetime, end: datetime, parts: Sequence[Candle]) -> Candle:
    joined = all(before.end == after.start for before, after in pairwise(parts))
    ends_meet = parts[0].start == start and parts[-1].end == end
    complete = joined and ends_meet and all(part.complete for part in parts)
    volumes = [part.volume for part in parts]
    known = [volume for volume in volumes if volume is not None]
    return Candle(
        start=start,
        end=end,
        open=parts[0].open,
        high=max(part.high for part in parts),
        low=min(part.low for part in parts),
        close=parts[-1].close,
        volume=_sum(known) if complete and len(known) == len(volumes) else None,
        complete=complete,
    )


def _sum(values: Iterable[Decimal]) -> Decimal:
    with localcontext(prec=100):  # a sum keeps every digit
        return sum(values, Decimal(0))
