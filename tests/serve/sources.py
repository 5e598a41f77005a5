"""Fill a store with other upstreams' data: their own declarations, their own parse code where a page is short."""

import itertools
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ray_app.collect.collector import parsed
from ray_app.model.collected import Collected
from ray_app.model.declared import declare
from ray_app.model.records import Record
from ray_app.model.source import Page, Slice, Source, Stream
from ray_app.model.timerange import TimeRange
from tests.serve.conftest import Running
from tests.serve.filling import REACH, START

numbers = itertools.count()


def stream(source: Source, name: str) -> Stream:
    return next(one for one in source.plans[0].streams if one.name == name)


async def declared(
    node: Running,
    source: Source,
    names: Sequence[str] = (),
    *,
    partitions: Sequence[str] | None = None,
    at: datetime = START,
    missing: str = "",
) -> None:
    """Declare the source's streams, all or those named, as a node does at its start."""
    plan = source.plans[0]
    lines = {}
    for one in plan.streams:
        if not names or one.name in names:
            mine = one.partitions(node.node.registry) if partitions is None else tuple(partitions)
            lives = one.lives(node.node.registry)
            lines[f"{source.name}.{one.name}"] = declare(
                source, plan, one, mine, REACH, missing=missing, lives=lives
            )
    await node.store.catalog.declare(lines, at)


def page(source: Source, name: str, body: Any, at: datetime, path: str = "/x", **params: str) -> Page:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Page(
        source=source.name, stream=name, path=path, params=params, status=200, headers={}, body=text,
        asked_at=at, received_at=at,
    )  # fmt: skip


async def answered(
    node: Running,
    source: Source,
    name: str,
    partitions: Sequence[str],
    over: TimeRange,
    body: Any,
    at: datetime,
    path: str = "/x",
) -> Collected:
    """One answer of the upstream, read by the stream's own code and committed."""
    collected = parsed(
        source, stream(source, name), Slice(tuple(partitions), over), [page(source, name, body, at, path)]
    )
    await node.fill.commit(collected)
    return collected


async def had(node: Running, source: Source, name: str, records: Sequence[Record], at: datetime) -> Collected:
    """One answer with these records, committed."""
    one = stream(source, name)
    cursors = [record.cursor for record in records]
    over = TimeRange(min(*cursors, at - one.grain), max(*cursors, at) + one.grain)
    collected = Collected(
        source=source.name,
        stream=name,
        parser=one.parser,
        slice=Slice(tuple(sorted({record.partition for record in records})), over),
        outcome="covered",
        received_at=at,
        pages=(page(source, name, f"{next(numbers)}".encode(), at),),
        records=tuple((record, 0) for record in records),
        topic=one.topic,
    )
    await node.fill.commit(collected)
    return collected
