"""Rows of features of a long range, built by a Ray Data job; what is there already is left as it is.

The range is cut into spans. Each is worked out by one of a pool of actors, as of the job's start, and written under the
job's lease. A job that was stopped is started again with the same range: spans that have their rows are passed over.
"""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import ray

from ray_app.derive.reading import Loader
from ray_app.derive.rows import NAMES, SET, lived, rows
from ray_app.model.collected import Lease
from ray_app.model.timerange import TimeRange
from ray_app.process.features.inputs import HOUR
from ray_app.runtime.jobs import Holding
from ray_app.runtime.opening import Node, Opening
from ray_app.store.reading import SETTLED, Point

JOB = "build-features"
POOL_CPUS = 0.5  # of an actor: the node that collects keeps the rest
SPAN = timedelta(
    days=14
)  # rows that an actor works out at once; the hours before them are read for each span


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a job did. `wanted` = `there` + `written` + `unchanged`: every hour of every asset is accounted for."""

    wanted: int = 0  # hours of assets that were tracked in them
    there: int = 0  # that had a row before
    written: int = 0
    unchanged: int = 0  # worked out again, and the same
    spans: int = 0  # that were worked out

    def as_json(self) -> dict[str, int]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Span:
    """A part of the job: the hours that end in (start, end]."""

    start: datetime
    end: datetime
    wanted: int
    there: int


async def spans(node: Node, over: TimeRange, assets: Collection[str] | None, as_of: datetime) -> list[Span]:
    """The range cut up, with how many rows each part wants and has. Raises ValueError for an unknown asset."""
    every = await Loader(node.store, node.registry).symbols(Point(as_of=as_of))
    known = {of.asset.id: of for of in every.values()}
    if unknown := sorted(set(assets or ()) - set(known)):
        raise ValueError(f"there are no hourly candles in US dollars of {', '.join(unknown)}")
    mine = [of for name, of in known.items() if assets is None or name in assets]
    out = []
    for part in over.split(SPAN):
        held = await node.store.vectors.hours(SET, TimeRange(part.start + HOUR, part.end + HOUR))
        hours = [part.start + n * HOUR for n in range(1, part.length // HOUR + 1)]
        wanted = [(of.asset.id, hour) for of in mine for hour in hours if lived(of, hour)]
        there = sum(hour in held.get(name, ()) for name, hour in wanted)
        out.append(Span(part.start, part.end, len(wanted), there))
    return out


class SpanBuilder:
    """An actor of the pool: opens the node's parts once, then works out one span after another."""

    def __init__(
        self, opening: Opening, lease: Lease, as_of: datetime, assets: Collection[str] | None
    ) -> None:
        self._lease, self._as_of, self._assets = lease, as_of, assets
        self._loop = asyncio.new_event_loop()
        self._node: Node = self._loop.run_until_complete(opening())

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        return self._loop.run_until_complete(self._build(TimeRange(row["start"], row["end"])))

    def close(self) -> None:
        """Where the actor's process goes on without it."""
        self._loop.run_until_complete(self._node.close())
        self._loop.close()

    async def _build(self, over: TimeRange) -> dict[str, Any]:
        store, at = self._node.store, Point(as_of=self._as_of)
        made = await rows(Loader(store, self._node.registry), over, at, self._as_of, self._assets)
        written = await store.vectors.write(SET, made, self._node.clock.now, self._lease)
        return {"made": len(made), "written": len(written)}


async def build_job(
    node: Node,
    opening: Opening,
    over: TimeRange,
    assets: Collection[str] | None = None,
    *,
    again: bool = False,
    actors: int = 1,
    run: "Run | None" = None,
) -> Receipt:
    """Build the rows of the hours that end in (over.start, over.end]. `again`: those that are there too.

    `run` works the spans out; without it a pool of `actors` of Ray Data does.

    Raises ValueError for a range that is not over, or not of whole hours, Fenced when the job runs elsewhere.
    """
    as_of = node.clock.now() - timedelta(seconds=SETTLED)
    if over.end > as_of:
        raise ValueError(
            f"the range ends at {over.end}, and it is {as_of} now: rows are of hours that are over"
        )
    if any(t.minute or t.second or t.microsecond for t in (over.start, over.end)):
        raise ValueError(f"rows are of whole hours; {over.start} .. {over.end} is none")
    async with Holding(node.store, JOB, f"{JOB}-{id(node):x}-{as_of.timestamp():.6f}") as lease:
        await node.store.vectors.declare(SET, NAMES, node.clock.now, await node.store.ledger.newest(), lease)
        parts = await spans(node, over, assets, as_of)
        left = [one for one in parts if again or one.there < one.wanted]
        items = [{"start": one.start, "end": one.end} for one in left]
        builder = partial(SpanBuilder, opening, lease, as_of, assets)
        done = await asyncio.to_thread(run or partial(_pooled, actors), builder, items) if items else []
    made, written = sum(row["made"] for row in done), sum(row["written"] for row in done)
    return Receipt(
        wanted=sum(one.wanted for one in parts),
        there=sum(one.there for one in parts if one not in left),
        written=written,
        unchanged=made - written,
        spans=len(left),
    )


def _pooled(
    actors: int, builder: "partial[SpanBuilder]", items: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """By a pool of actors, each of which opens the node once."""
    made: Any = (
        builder.func
    )  # map takes a class and makes a pool of actors of it; its types know functions only
    pool = ray.data.ActorPoolStrategy(size=actors)
    done = ray.data.from_items(items, override_num_blocks=len(items)).map(
        made, fn_constructor_args=builder.args, compute=pool, num_cpus=POOL_CPUS
    )
    return list(done.iter_rows())


Run = Callable[["partial[SpanBuilder]", list[dict[str, Any]]], list[dict[str, Any]]]
