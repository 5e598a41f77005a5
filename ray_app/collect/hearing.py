"""The accounts of a feed: what was heard of each interval, what was not, and since when nothing came.

Pure: frames go in with their times, finished intervals come out. Each interval of each partition comes out
once, as heard (with its frames) or as missed (with the reason); only what is heard late or said again in other
words comes out once more. Whether an interval is over is read from what the upstream itself tells, so frames
that were held up on their way and come in a heap are not taken for missed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ray_app.collect.validate import AHEAD, UNREADABLE
from ray_app.model.feed import Feed, Tick
from ray_app.model.records import Record
from ray_app.model.timerange import TimeRange, floor

MOST_BAD = 1000  # unreadable frames that are kept until a page takes them along
MOST_GAPS = 1000  # that are remembered
UNSAID = "connected, but it was not told"


@dataclass(frozen=True, slots=True)
class Gap:
    """No connection from the last frame before to the first frame after."""

    last: datetime
    first: datetime
    reason: str

    def __str__(self) -> str:
        return f"nothing heard from {self.last.isoformat()} to {self.first.isoformat()}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Heard:
    """One interval's frames, in the order in which they came, and unreadable ones that came meanwhile."""

    range: TimeRange
    partitions: tuple[str, ...]
    frames: tuple[bytes, ...]
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Missed:
    """Intervals of these partitions that ended without being told."""

    range: TimeRange
    partitions: tuple[str, ...]
    reason: str


@dataclass(slots=True)
class Hearing:
    """The accounts of one feed for these partitions, over any number of connections."""

    feed: Feed
    partitions: tuple[str, ...]
    gaps: list[Gap] = field(default_factory=list)
    last: datetime | None = None  # when the newest frame came
    told: datetime | None = None  # the newest time that the upstream has told of
    cut_because: str | None = None  # why no connection is open; None: one is
    bad: int = 0  # frames that could not be read, since the start
    _ticks: dict[str, Tick] = field(default_factory=dict)
    _open: dict[datetime, dict[str, list[tuple[datetime, bytes]]]] = field(default_factory=dict)
    _newest: dict[str, Record] = field(default_factory=dict)
    _bad: list[tuple[datetime, bytes]] = field(default_factory=list)
    _next: datetime | None = None  # the first interval that has not come out yet

    def frame(self, frame: bytes, now: datetime) -> str:
        """Take one frame; the reason when it could not be read. Transient: the connection is about to end."""
        if self.last is not None and self.cut_because is not None:
            self.gaps = [*self.gaps, Gap(self.last, now, self.cut_because)][-MOST_GAPS:]
        self.last, self.cut_because = now, None
        try:
            for record in self.feed.parse(frame, now):
                self._take(record, frame, now)
        except UNREADABLE as error:
            self.bad += 1
            self._bad = [*self._bad, (now, frame)][-MOST_BAD:]
            return f"{type(error).__name__}: {error}"[:300]
        return ""

    def cut(self, reason: str) -> None:
        """The last connection has ended. The gap begins at the last frame and ends at the next."""
        self.cut_because = reason

    def ticks(self) -> list[Tick]:
        """The newest tick of each pair that has one since the last call."""
        ticks, self._ticks = list(self._ticks.values()), {}
        return ticks

    def finished(self) -> list[Heard | Missed]:
        """What has come out by now, oldest first. While nothing is connected, nothing is finished."""
        out: list[Heard | Missed] = []
        if self._next is None or self.told is None or self.cut_because is not None:
            return out
        out.extend(self._heard(start) for start in sorted(self._open) if start < self._next)
        while (start := self._next) + self._grain <= self.told:
            told = self._open.get(start, {})
            if len(told) < len(self.partitions) and start + self._grain + self.feed.late > self.told:
                break
            if told:
                out.append(self._heard(start))
            if missed := tuple(p for p in self.partitions if p not in told):
                self._add(out, Missed(TimeRange(start, start + self._grain), missed, self._why(start)))
            self._next = start + self._grain
        return out

    @property
    def _grain(self) -> timedelta:
        return self.feed.stores.grain

    def _take(self, record: Record, frame: bytes, now: datetime) -> None:
        partition = record.partition
        if record.known_at > now + AHEAD:
            raise ValueError(f"known at {record.known_at}, heard at {now}: the future")
        if partition not in self.partitions:
            return
        self.told = max(self.told or record.known_at, record.known_at)
        self._next = self._next or floor(record.cursor, self._grain)
        if isinstance(record, Tick):
            known = self._ticks.get(partition)
            if known is None or known.at <= record.at:
                self._ticks[partition] = record
        elif self._newest.get(partition) != record:  # two connections that overlap say it twice
            self._newest[partition] = record
            self._open.setdefault(record.cursor, {}).setdefault(partition, []).append((now, frame))

    def _heard(self, start: datetime) -> Heard:
        told = self._open.pop(start)
        frames = sorted([pair for pairs in told.values() for pair in pairs] + self._bad)
        self._bad = []
        over = TimeRange(start, start + self._grain)
        bodies = tuple(frame for _, frame in frames)
        return Heard(over, tuple(sorted(told)), bodies, frames[0][0], frames[-1][0])

    def _why(self, start: datetime) -> str:
        """An interval is told within seconds of its end: the gap in which that lay is the reason."""
        end = start + self._grain
        found = (gap for gap in reversed(self.gaps) if gap.last < end + self.feed.late and end <= gap.first)
        gap = next(found, None)
        return str(gap) if gap else UNSAID

    def _add(self, out: list[Heard | Missed], new: Missed) -> None:
        """Consecutive intervals that the same partitions missed for the same reason are one."""
        last = out[-1] if out else None
        same = isinstance(last, Missed) and (last.partitions, last.reason) == (new.partitions, new.reason)
        if isinstance(last, Missed) and same and last.range.end == new.range.start:
            out[-1] = Missed(TimeRange(last.range.start, new.range.end), new.partitions, new.reason)
        else:
            out.append(new)


def body_of(frames: Sequence[bytes]) -> bytes:
    """Frames as the body of one page, a line each: JSON never holds a raw line feed, other frames lose theirs."""
    return b"\n".join(frame.replace(b"\n", b" ") for frame in frames)
