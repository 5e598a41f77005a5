"""Collect one slice: fetch, validate, and say how it ended. Pages are kept by the Api before we see them.

A row that cannot be read does not hold up the slice. When no row can be read the source has changed:
Malformed, and the slice stays open.
"""

from datetime import datetime

from ray_app.collect.validate import read
from ray_app.model.collected import Collected, SetAside
from ray_app.model.errors import Malformed, NotOffered, UpstreamError
from ray_app.model.records import Record
from ray_app.model.source import Api, Page, Slice, Source, Stream


async def collect(source: Source, stream: Stream, wanted: Slice, api: Api) -> Collected:
    """The slice with its records and set-aside rows. Raises UpstreamError; then nothing is covered."""
    pages = [page async for page in stream.fetch(api, wanted)]
    return parsed(source, stream, wanted, pages)


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
    )


def unanswered(collected: Collected) -> tuple[str, ...]:
    """The partitions that were asked for and came back with nothing."""
    answered = {record.partition for record, _ in collected.records}
    return tuple(p for p in collected.slice.partitions if p not in answered)
