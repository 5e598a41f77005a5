"""Collect one slice: fetch, validate, and say how it ended. Pages are kept by the Api before we see them.

A row that cannot be read does not hold up the slice. When no row can be read the source has changed:
Malformed, and the slice stays open.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from functools import partial

from ray_app.collect.kept import kept
from ray_app.collect.validate import read
from ray_app.model.collected import Collected, Outcome, SetAside
from ray_app.model.errors import Malformed, NotOffered, Transient, UpstreamError
from ray_app.model.records import Record
from ray_app.model.source import Api, Keeping, Page, Slice, Source, Stream
from ray_app.model.threads import off_the_loop
from ray_app.model.timerange import TimeRange, floor

ENDED = "the upstream's listing ended at {}"


async def collect(source: Source, stream: Stream, wanted: Slice, api: Api) -> Collected:
    """The slice with its records and set-aside rows. Raises UpstreamError; then nothing is covered."""
    asked = api
    if stream.recheck is not None and isinstance(api, Keeping):
        asked = api.keeping(partial(kept, stream, wanted))
    pages = [page async for page in stream.fetch(asked, wanted)]
    since = stream.reached(pages, wanted) if stream.reached else wanted.range.start
    if since < wanted.range.end:
        told = Slice(wanted.partitions, TimeRange(max(since, wanted.range.start), wanted.range.end))
        size = sum(len(page.body) for page in pages)
        found = await off_the_loop(parsed, source, stream, told, pages, size=size)
        if stream.offers is None and stream.quiet is None and not (found.records or found.set_aside):
            # What it tells now cannot be had later, and it always has something to tell.
            raise Transient(source.name, f"told nothing of any of the {len(wanted.partitions)} asked for")
        return found
    return Collected(  # only this range is gone: the listing goes on being told
        source=source.name,
        stream=stream.name,
        parser=stream.parser,
        slice=wanted,
        outcome="lost",
        received_at=pages[-1].received_at,
        reason=ENDED.format(since.isoformat()),
        topic=stream.topic,
    )


def beside(stream: Stream, wanted: Slice, collected: Collected, now: datetime) -> list[Collected]:
    """What else the ledger must hold about a slice that was answered: what is lost, what is still awaited.

    Lost is what lies before the end of the listing. Awaited is an interval that lasts still, and one that
    came back empty and is younger than the stream's patience: it is asked for again. So is the last candle, or
    point of an hour, of an answer that ends too early: an old market tells what still lasted as if it were over.
    """
    out: list[Collected] = []
    if collected.outcome == "lost":
        return out
    start = collected.slice.range.start
    if start > wanted.range.start:
        reason = ENDED.format(start.isoformat())
        out.append(_entry(collected, wanted.partitions, TimeRange(wanted.range.start, start), "lost", reason))
    if stream.offers is None or not (stream.patience or stream.unfinished):
        return out
    young = max(start, floor(now - stream.settle - stream.patience, stream.grain))
    over = TimeRange(young, wanted.range.end) if young < wanted.range.end else None
    have = {(record.partition, floor(record.cursor, stream.grain)) for record, _ in collected.records}
    told = TimeRange(start, wanted.range.end)
    waiting: dict[TimeRange, list[str]] = {}
    for partition in wanted.partitions:
        for interval in _with_the_last_told(
            stream, partition, _empty(stream, partition, over, have, now), have, told
        ):
            waiting.setdefault(interval, []).append(partition)
    reason = f"asked at {now.isoformat(timespec='seconds')}, not told yet"
    out += [_entry(collected, tuple(p), r, "awaited", reason) for r, p in sorted(waiting.items())]
    return out


def holes(stream: Stream, wanted: Slice, collected: Collected, now: datetime) -> Slice | None:
    """What came back empty although each interval has a value, and is too old to be awaited; None: nothing did."""
    if (
        stream.offers is None
        or stream.quiet is not None
        or stream.conditional
        or collected.outcome != "covered"
    ):
        return None
    told = collected.slice.range
    start = max(wanted.range.start, told.start)
    end = min(wanted.range.end, told.end, floor(now - stream.settle - stream.patience, stream.grain))
    over = TimeRange(start, end) if start < end else None
    have = {(record.partition, floor(record.cursor, stream.grain)) for record, _ in collected.records}
    found = {p: list(_empty(stream, p, over, have, now)) for p in wanted.partitions}
    runs = [run for mine in found.values() for run in mine]
    if not runs:
        return None
    both_ends = TimeRange(min(run.start for run in runs), max(run.end for run in runs))
    return Slice(tuple(p for p, mine in found.items() if mine), both_ends)


def _empty(
    stream: Stream, partition: str, over: TimeRange | None, have: set[tuple[str, datetime]], now: datetime
) -> Iterator[TimeRange]:
    """Runs of intervals that are not over yet or have no record."""
    run: TimeRange | None = None
    for interval in over.split(stream.grain) if over else ():
        if interval.end > now - stream.settle or (partition, interval.start) not in have:
            run = TimeRange(run.start if run else interval.start, interval.end)
        elif run:
            yield run
            run = None
    if run:
        yield run


def _with_the_last_told(
    stream: Stream,
    partition: str,
    runs: Iterable[TimeRange],
    have: set[tuple[str, datetime]],
    told: TimeRange,
) -> Iterator[TimeRange]:
    """The runs; one that reaches to the end of what was asked for begins with the interval before it, where records
    form while their interval lasts: the answer may be older than its end."""
    for run in runs:
        before = run.start - stream.grain
        follows = stream.record.forms and run.end == told.end and before >= told.start
        yield TimeRange(before, run.end) if follows and (partition, before) in have else run


def _entry(
    collected: Collected, partitions: tuple[str, ...], over: TimeRange, outcome: Outcome, reason: str
) -> Collected:
    """A line of the ledger that has no pages of its own."""
    return Collected(
        source=collected.source,
        stream=collected.stream,
        parser=collected.parser,
        slice=Slice(partitions, over),
        outcome=outcome,
        received_at=collected.received_at + timedelta(microseconds=1),  # the ledger's last word
        reason=reason,
        topic=collected.topic,
    )


def parsed(source: Source, stream: Stream, wanted: Slice, pages: list[Page]) -> Collected:
    """What the pages of a slice say; replay and live collection both end here."""
    records: list[tuple[Record, int]] = []
    aside: list[tuple[SetAside, int]] = []
    readable = 0
    for number, page in enumerate(pages):
        found = read(stream, page, wanted)
        readable += found.readable
        records += [(record, number) for record in found.records]
        aside += [(row, number) for row in found.set_aside]
    if aside and not readable:
        raise Malformed(source.name, f"no row of {stream.name} could be read: {aside[0][0].reason}")
    return Collected(
        source=source.name,
        stream=stream.name,
        parser=stream.parser,
        slice=wanted,
        outcome="covered",
        received_at=pages[-1].received_at,
        pages=tuple(pages),
        records=tuple(records),
        set_aside=tuple(aside),
        topic=stream.topic,
    )


def failure(source: Source, stream: Stream, wanted: Slice, error: UpstreamError, at: datetime) -> Collected:
    """The ledger's entry for a slice that was tried and not filled."""
    return Collected(
        source=source.name,
        stream=stream.name,
        parser=stream.parser,
        slice=wanted,
        outcome="not_offered" if isinstance(error, NotOffered) else "failed",
        received_at=at,
        reason=f"{type(error).__name__}: {error.detail}"[:500],
        topic=stream.topic,
    )


def lost(source: Source, stream: Stream, gap: Slice, now: datetime, *, forgotten: bool = False) -> Collected:
    """The ledger's entry for a gap that the upstream does not offer any more, or of a life that it forgot."""
    if forgotten:
        reason = "of what has ended the upstream tells nothing any more"
    elif stream.offers is None:
        reason = "not asked in time, and the upstream tells only the present"
    else:
        reason = "older than what the upstream still offers"
    return Collected(
        source=source.name,
        stream=stream.name,
        parser=stream.parser,
        slice=gap,
        outcome="lost",
        received_at=now,
        reason=reason,
        topic=stream.topic,
    )


def unanswered(collected: Collected) -> tuple[str, ...]:
    """The partitions that were asked for and came back with nothing."""
    answered = {record.partition for record, _ in collected.records}
    return tuple(p for p in collected.slice.partitions if p not in answered)
