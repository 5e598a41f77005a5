"""Each due interval of a series is in exactly one state; the states of a range add up to the range.

Which intervals are expected comes from the schedule, never from the rows that arrived.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol

from ray_app.model.timerange import ALWAYS, Coverage, TimeRange, ceil, floor

State = Literal["collected", "empty_upstream", "late", "failed", "lost", "not_due"]
STATES: tuple[State, ...] = ("collected", "empty_upstream", "late", "failed", "lost", "not_due")


NOT_ALIVE = "outside of the life of this series"


class Tried(Protocol):
    """One line of the ledger: a range, how it ended, and why."""

    @property
    def range(self) -> TimeRange: ...
    @property
    def outcome(self) -> str: ...
    @property
    def reason(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Schedule:
    """What is expected of a series: an interval per `grain` from `wanted_from` on.

    `offers` is how far back the upstream reaches: a span, a first date, or None for only the present.
    Outside of its `life` nothing is expected; an interval that shares a moment with it lives.
    """

    grain: timedelta
    every: timedelta
    settle: timedelta
    offers: timedelta | datetime | None
    wanted_from: datetime
    life: Coverage = ALWAYS

    def lives(self, interval: TimeRange) -> bool:
        return any(one.start < interval.end and interval.start < one.end for one in self.life.ranges)

    def due(self, interval: TimeRange) -> datetime:
        """When the interval should be in the store at the latest."""
        return interval.end if self.offers is None else interval.end + self.settle + self.every


@dataclass(frozen=True, slots=True)
class Span:
    """Consecutive intervals in the same state for the same reason."""

    range: TimeRange
    state: State
    reason: str
    intervals: int


def spans(
    schedule: Schedule, over: TimeRange, now: datetime, tried: Sequence[Tried], cursors: Iterable[datetime]
) -> list[Span]:
    """The states of every interval that lies in `over`, run by run; `tried` oldest first."""
    have = {floor(cursor, schedule.grain) for cursor in cursors}
    out: list[Span] = []
    start = floor(over.start, schedule.grain)
    end = ceil(over.end, schedule.grain)
    while start < end:
        interval = TimeRange(start, start + schedule.grain)
        state, reason = _state(schedule, interval, now, tried, have)
        if out and (out[-1].state, out[-1].reason) == (state, reason):
            last = out[-1]
            out[-1] = Span(TimeRange(last.range.start, interval.end), state, reason, last.intervals + 1)
        else:
            out.append(Span(interval, state, reason, 1))
        start = interval.end
    return out


def totals(found: Iterable[Span]) -> dict[State, int]:
    """Intervals per state; every state is named."""
    counts: Counter[State] = Counter()
    for span in found:
        counts[span.state] += span.intervals
    return {state: counts[state] for state in STATES}


def _state(
    schedule: Schedule, interval: TimeRange, now: datetime, tried: Sequence[Tried], have: Collection[datetime]
) -> tuple[State, str]:
    if interval.start in have:
        return "collected", ""
    if not schedule.lives(interval):
        return "not_due", NOT_ALIVE
    failed = ""
    for one in reversed(tried):
        if one.range.start <= interval.start and interval.end <= one.range.end:
            if one.outcome == "awaited":
                return _open(schedule, interval, now, failed, one.reason)
            if one.outcome == "covered":
                return "empty_upstream", ""
            if one.outcome == "not_offered":
                return "empty_upstream", one.reason
            if one.outcome == "lost":
                return "lost", one.reason
            failed = failed or one.reason
    return _open(schedule, interval, now, failed)


def _open(
    schedule: Schedule, interval: TimeRange, now: datetime, failed: str, awaited: str = ""
) -> tuple[State, str]:
    """The state of an interval that nothing accounts for yet."""
    if interval.start < schedule.wanted_from:
        return "not_due", "before this series was wanted"
    if now < interval.end:
        return ("failed", failed) if failed else ("not_due", "")
    if schedule.offers is None:
        return "lost", failed or "not asked in time, and the upstream tells only the present"
    oldest = now - schedule.offers if isinstance(schedule.offers, timedelta) else schedule.offers
    if interval.start < oldest:
        return "lost", failed or "older than what the upstream still offers"
    if failed:
        return "failed", failed
    return ("late", awaited) if now >= schedule.due(interval) else ("not_due", awaited)
