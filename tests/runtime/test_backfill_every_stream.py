"""A backfill job of every stream that has a past: the receipt adds up, and the store holds what the upstream tells.

No Ray, no cluster: the job, its lease, its turns and SQLite. The simulator's time stands still, its limits are off.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ray_app.app import open_with
from ray_app.collect.collector import collect
from ray_app.collect.planner import plan
from ray_app.model.completeness import STATES
from ray_app.model.errors import NotOffered
from ray_app.model.quota import Priority
from ray_app.model.records import Record
from ray_app.model.source import Plan, Source, Stream
from ray_app.model.timerange import TimeRange
from ray_app.runtime.jobs import backfill_job, request_of, turns_for
from ray_app.runtime.opening import Node
from ray_app.settings import Settings
from ray_app.simulator.config import SimulatorConfig
from ray_app.simulator.server import running
from ray_app.sources import all_sources
from ray_app.store.reading import Point

START = datetime(2026, 6, 1, 10, 3, 21, tzinfo=UTC)
DAY = timedelta(days=1)
CHOSEN = ("GDP", "UNRATE", "DGS10", "SP500")  # else the first ones
SPANS = {
    "macro": 200 * DAY,
    "macro_daily": 12 * DAY,
    "articles": 2 * DAY,
    "funding": 5 * DAY,
}  # else 7 intervals
STREAMS = [
    (source, tier, stream)
    for source in all_sources().values()
    for tier in source.plans
    for stream in tier.streams
    if stream.offers is not None
]
each_stream = pytest.mark.parametrize(
    ("source", "tier", "stream"), STREAMS, ids=[f"{s.name}-{p.name}-{m.name}" for s, p, m in STREAMS]
)
COUNTS = {"likes", "replies", "shares", "views", "like_ratio"}  # of posts: they go on while one looks
Told = dict[tuple[str, Any], dict[int | None, Record]]


@pytest.fixture(scope="module")
def upstreams() -> Iterator[str]:
    keys = {"sim-key": "analyst", "demo-key": "demo"}
    with running(SimulatorConfig(start=START, frozen=True, limits=False, keys=keys)) as base:
        yield base


@pytest.fixture
async def opened(upstreams: str, tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    nodes: list[Node] = []

    async def open_one(source: Source, tier: Plan) -> Node:
        chosen = {f"{source.name}_plan": tier.name} if f"{source.name}_plan" in Settings.model_fields else {}
        values = {"data_dir": tmp_path, "upstreams": upstreams, "sources": source.name, "release": "test"}
        values |= {"coingecko_demo_key": "demo-key", "x_dollars_per_month": 100_000}
        nodes.append(await open_with(Settings.model_validate(values | chosen)))
        await nodes[0].store.database.prepare(simulated=True)
        return nodes[0]

    yield open_one
    for node in nodes:
        await node.close()


async def told_again(node: Node, name: str, partitions: tuple[str, ...], over: TimeRange) -> Told:
    """What a second reading of the range yields: by partition and key, each vintage."""
    assigned, stream = node.find(name)
    api = node.api(assigned, stream, Priority.BACKFILL, turns_for(node, assigned, near=True))
    out: Told = {}
    for wanted in plan(stream, partitions, over, {}):
        try:
            collected = await collect(assigned.source, stream, wanted, api)
        except NotOffered:
            continue
        for record, _ in collected.records:
            out.setdefault((record.partition, record.key), {})[record.number] = record
    return out


@pytest.mark.slow
@each_stream
async def test_a_job_covers_the_range_with_what_the_upstream_tells(
    source: Source, tier: Plan, stream: Stream, opened: Callable[..., Any]
) -> None:
    node = await opened(source, tier)
    name = f"{source.name}.{stream.name}"
    known = node.partitions(stream)
    chosen = [p for p in CHOSEN if p in known][:2] or list(known[:2])
    request = request_of(node, name, ", ".join(chosen), None, None, SPANS.get(stream.name, 7 * stream.grain))
    assert request.partitions == tuple(chosen)

    receipt = await backfill_job(node, request, None, near=True, show=False)

    intervals = len(chosen) * (request.range.length // stream.grain)
    assert receipt["requested"] == sum(receipt["verified"].values()) == intervals
    assert set(receipt["verified"]) <= set(STATES)
    assert receipt["verified"].get("collected", 0) > 0, receipt
    assert (receipt["failed"], receipt["set_aside"], receipt["revised"]) == (
        0,
        0,
        0,
    ) or stream.record.key_field
    assert receipt["fetched"] == receipt["slices"], "each call is made once"
    assert receipt["new"] + receipt["revised"] + receipt["unchanged"] == receipt["records"]

    told = await told_again(node, name, request.partitions, request.range)
    cursors = {
        p: {r.cursor for (q, _), all_ in told.items() if q == p for r in all_.values()} for p in chosen
    }
    grid = Counter(
        (p, request.range.start + ((at - request.range.start) // stream.grain) * stream.grain)
        for p in chosen
        for at in cursors[p]
    )
    assert receipt["verified"]["collected"] == len(grid)
    whole = TimeRange(datetime(1700, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
    facts = await node.store.reading.between(stream.record, name, chosen, whole)
    assert {(f.partition, f.key) for f in facts} == set(told)
    for fact in facts:
        vintages = told[fact.partition, fact.key]
        last = vintages[max(vintages, key=lambda number: number or 0)]
        assert fact.cursor == last.cursor
        still = fact.values.keys() - COUNTS
        assert {f: fact.values[f] for f in still} == {f: getattr(last, f) for f in still}
    first = min(min(all_.values(), key=lambda r: r.known_at).known_at for all_ in told.values())
    then = await node.store.reading.between(stream.record, name, chosen, whole, Point(known_by=first))
    assert {(f.partition, f.key) for f in then} == {
        place for place, all_ in told.items() if any(r.known_at <= first for r in all_.values())
    }
    done = await backfill_job(node, request, None, near=True, show=False)
    assert done["verified"] == receipt["verified"]
