"""Half-open UTC time ranges, the grid they lie on, and the set of them that is accounted for."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EVER, NEVER = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)  # open ends


def floor(moment: datetime, step: timedelta) -> datetime:
    """The last multiple of `step` since 1970 that is not after `moment`."""
    return moment - (moment - EPOCH) % step


def ceil(moment: datetime, step: timedelta) -> datetime:
    """The first multiple of `step` since 1970 that is not before `moment`."""
    return moment + (EPOCH - moment) % step


@dataclass(frozen=True, order=True, slots=True)
class TimeRange:
    """[start, end): start belongs to the range, end does not."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start >= self.end:
            raise ValueError(f"empty range: {self.start} .. {self.end}")

    def __contains__(self, moment: datetime) -> bool:
        return self.start <= moment < self.end

    @property
    def length(self) -> timedelta:
        return self.end - self.start

    def split(self, step: timedelta) -> Iterator["TimeRange"]:
        """Consecutive parts of at most `step`, oldest first."""
        start = self.start
        while start < self.end:
            yield TimeRange(start, min(start + step, self.end))
            start += step

    def overlap(self, other: "TimeRange") -> "TimeRange | None":
        start, end = max(self.start, other.start), min(self.end, other.end)
        return TimeRange(start, end) if start < end else None


@dataclass(frozen=True, slots=True)
class Coverage:
    """The ranges accounted for so far: sorted, disjoint, never touching."""

    ranges: tuple[TimeRange, ...] = ()

    @classmethod
    def of(cls, ranges: Iterable[TimeRange]) -> "Coverage":
        """The union of any ranges, in any order; O(n log n)."""
        merged: list[TimeRange] = []
        for new in sorted(ranges):
            if merged and new.start <= merged[-1].end:
                if new.end > merged[-1].end:
                    merged[-1] = TimeRange(merged[-1].start, new.end)
            else:
                merged.append(new)
        return cls(tuple(merged))

    def add(self, new: TimeRange) -> "Coverage":
        return Coverage.of((*self.ranges, new))

    def touched(self, over: TimeRange, step: timedelta) -> Iterator[TimeRange]:
        """The intervals of `step` within `over` (which lies on their grid) that share a moment with it, run by run."""
        parts = [part for one in self.ranges if (part := one.overlap(over)) is not None]
        whole = [TimeRange(floor(part.start, step), ceil(part.end, step)) for part in parts]
        for run in Coverage.of(whole).ranges:
            if (inside := run.overlap(over)) is not None:
                yield inside

    def over_by(self, moment: datetime) -> bool:
        """Whether all of it lies before `moment`."""
        return not self.ranges or self.ranges[-1].end <= moment

    def missing(self, wanted: TimeRange) -> Iterator[TimeRange]:
        """The parts of `wanted` that are not accounted for, oldest first."""
        start = wanted.start
        for done in self.ranges:
            if done.end <= start or wanted.end <= done.start:
                continue
            if start < done.start:
                yield TimeRange(start, done.start)
            start = done.end
        if start < wanted.end:
            yield TimeRange(start, wanted.end)


ALWAYS = Coverage((TimeRange(EVER, NEVER),))
