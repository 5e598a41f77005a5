"""Which slices to collect next. Live polling and backfill differ only in the range asked for."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from ray_app.model.source import Slice, Stream
from ray_app.model.symbols import Registry
from ray_app.model.timerange import ALWAYS, Coverage, TimeRange, ceil, floor

NOTHING = Coverage()
Lives = Mapping[str, Coverage]
ALL_LIVE: Lives = {}


def plan(
    stream: Stream,
    partitions: Iterable[str],
    over: TimeRange,
    done: Mapping[str, Coverage],
    longest: timedelta | None = None,
    lives: Lives = ALL_LIVE,
) -> Iterator[Slice]:
    """The gaps within `over`, oldest first, cut to what one slice may hold (or to `longest`).

    What lies outside of the life of a partition is no gap; one that is not among `lives` lives for ever.

    Partitions that miss the same range share slices of up to `stream.batch`. Gaps that fit into one
    call are asked for in one: what lies between them is fetched again, which adds nothing if equal.
    """
    lacking: dict[TimeRange, list[str]] = defaultdict(list)
    for partition in partitions:
        for life in lives.get(partition, ALWAYS).touched(over, stream.grain):
            gaps = done.get(partition, NOTHING).missing(life)
            for part in _bridged(gaps, longest or stream.longest_slice):
                lacking[part].append(partition)
    for part in sorted(lacking):
        for at in range(0, len(lacking[part]), stream.batch):
            yield Slice(tuple(lacking[part][at : at + stream.batch]), part)


def _bridged(gaps: Iterable[TimeRange], longest: timedelta) -> Iterator[TimeRange]:
    current: TimeRange | None = None
    for gap in gaps:
        for part in gap.split(longest):
            if current is not None and part.end - current.start <= longest:
                current = TimeRange(current.start, part.end)
            else:
                if current is not None:
                    yield current
                current = part
    if current is not None:
        yield current


def living(stream: Stream, registry: Registry, now: datetime) -> tuple[str, ...]:
    """The partitions that have something to tell now or later."""
    lives = stream.lives(registry)
    return tuple(p for p in stream.partitions(registry) if not lives.get(p, ALWAYS).over_by(now))


def askable(stream: Stream, lives: Lives, now: datetime) -> Lives:
    """The lives as far as the upstream still tells of them: of one that is over it may tell nothing."""
    if not stream.forgets:
        return lives
    return {p: NOTHING if life.over_by(now) else life for p, life in lives.items()}


def on_offer(stream: Stream, now: datetime, reach: timedelta) -> TimeRange | None:
    """The whole intervals that are settled and that the source offers, at most `reach` back; None if none is.

    A stream that only tells the present offers the interval that `now` lies in; one whose intervals have
    values while they last offers that one too.
    """
    oldest = stream.oldest(now)
    if oldest is None:
        start = floor(now, stream.grain)
        return TimeRange(start, start + stream.grain)
    if stream.patience:
        reach = max(reach, stream.patience + 2 * stream.grain)  # so that no awaited interval is forgotten
    start = ceil(max(oldest, now - reach), stream.grain)
    end = floor(now - stream.settle, stream.grain) + (stream.grain if stream.unfinished else timedelta(0))
    return TimeRange(start, end) if start < end else None


def no_longer_offered(stream: Stream, since: datetime, now: datetime) -> TimeRange | None:
    """The whole intervals from `since` on that the upstream offered once and does not any more; None if none."""
    oldest = stream.oldest(now)
    start = ceil(since, stream.grain)
    end = floor(now, stream.grain) if oldest is None else ceil(oldest, stream.grain)
    return TimeRange(start, end) if start < end else None


def forgotten(stream: Stream, since: datetime, now: datetime) -> TimeRange | None:
    """Where an upstream that forgets has left gaps in lives that are over: from `since` on; None if nowhere."""
    start, end = ceil(since, stream.grain), floor(now, stream.grain)
    return TimeRange(start, end) if stream.forgets and start < end else None


def fresh_from(stream: Stream, now: datetime) -> datetime:
    """What ends after this is live work; what ends before is an old gap."""
    return now - stream.settle - 2 * stream.every


def in_order(stream: Stream, gaps: Iterable[Slice], now: datetime) -> list[Slice]:
    """What is due now first; then old gaps by their deadline, or the newest first where there is none."""
    fresh = fresh_from(stream, now)
    rolls = isinstance(stream.offers, timedelta)

    def place(gap: Slice) -> tuple[bool, float]:
        old = gap.range.end <= fresh
        return old, gap.range.start.timestamp() if old and rolls else -gap.range.end.timestamp()

    return sorted(gaps, key=place)


def next_due(stream: Stream, now: datetime) -> datetime:
    """When to look for new records again: the next multiple of `every`, plus the time to settle."""
    return ceil(now - stream.settle + timedelta(microseconds=1), stream.every) + stream.settle
