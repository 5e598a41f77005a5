"""Backfill as work of its own: a lease, turns, progress rows in the store, a receipt.

A job is named; started again under the same name it goes on with what is missing, or shows the receipt of
what is done. It runs in a Ray job or in the command line's own process.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from ray_app.collect.backfill import Backfill, Progress, Receipt, Request
from ray_app.collect.planner import askable
from ray_app.model.clock import SystemClock
from ray_app.model.collected import Lease
from ray_app.model.errors import Fenced, StoreUnavailable
from ray_app.model.quota import Turns
from ray_app.model.symbols import UnknownSymbol
from ray_app.model.timerange import ALWAYS, TimeRange, floor
from ray_app.runtime.keeper import FarTurns, keeper_for
from ray_app.runtime.opening import Assigned, LeasedBooks, Node
from ray_app.store.engine import dumps
from ray_app.store.leases import TTL
from ray_app.store.store import Store

EVERY = 1.0  # seconds between progress rows


def request_of(
    node: Node,
    stream: str,
    partitions: str | None,
    start: datetime | None,
    end: datetime | None,
    days: timedelta | None,
) -> Request:
    """What a person asked for, in our words. Raises ValueError that says what to ask instead."""
    _, wanted = node.find(stream)
    settled = node.clock.now() - wanted.settle  # what is younger may still change
    until = floor(min(end or settled, settled), wanted.grain)
    if (start is None) == (days is None):
        raise ValueError("say where to begin: either --start, or --days before the end")
    since = floor(start if start is not None else until - (days or timedelta()), wanted.grain)
    if since >= until:
        raise ValueError(f"the range is empty: {since.isoformat()} .. {until.isoformat()}")
    over = TimeRange(since, until)
    lives = askable(wanted, node.lives(wanted), node.clock.now())
    alive = {p: any(lives.get(p, ALWAYS).touched(over, wanted.grain)) for p in node.partitions(wanted)}
    asked = [text.strip() for text in partitions.split(",") if text.strip()] if partitions else []
    named = [name for text in asked for name in _named(node, alive, text, over, wanted.grain)]
    chosen = tuple(dict.fromkeys(named if partitions else (p for p in alive if alive[p])))
    return Request(stream, chosen, over)


def _named(
    node: Node, alive: Mapping[str, bool], text: str, over: TimeRange, grain: timedelta
) -> Sequence[str]:
    """The partition that is called so (GDP, crypto/decrypt), or those that were this coin then (BTC, MATIC).

    `alive`: each partition, with whether something of it can be had in the range. Raises ValueError.
    """
    alike = [text] if text in alive else [name for name in alive if name.lower() == text.lower()][:1]
    found = [name for name in alike if alive[name]]
    with contextlib.suppress(UnknownSymbol):
        if not alike:
            own = node.registry.resolve(text).every_life()
            alike = [name for name in alive if name in own]
            found = [name for name in alike if alive[name] and any(own[name].touched(over, grain))]
    if not alike:
        more = " …" if len(alive) > 10 else ""
        raise ValueError(f"{text} is not collected by this stream; it has {', '.join([*alive][:10])}{more}")
    if not found:
        raise ValueError(
            f"{text}: nothing of {', '.join(alike)} can be had in this range, outside of its life"
        )
    return found


def turns_for(node: Node, assigned: Assigned, *, near: bool) -> Turns:
    """Turns from the cluster's keeper, or straight from SQL."""
    return keeper_for(node, assigned) if near else FarTurns(node, assigned, SystemClock())


class Holding:
    """A lease held while a job runs; renewed in the background. Raises Fenced when somebody else has the job."""

    def __init__(self, store: Store, shard: str, owner: str) -> None:
        self._store, self._shard, self._owner = store, shard, owner
        self._renewing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Lease:
        lease = await self._store.leases.acquire(self._shard, self._owner)
        if lease is None:
            raise Fenced(
                f"{self._shard} is running elsewhere; wait for it, or for {TTL.total_seconds():.0f} s if it died"
            )
        self._lease = lease
        self._renewing = asyncio.create_task(self._renew(lease))
        return lease

    async def _renew(self, lease: Lease) -> None:
        wall = SystemClock()
        while True:
            await wall.sleep(TTL.total_seconds() / 3)
            with contextlib.suppress(StoreUnavailable):  # nothing can be committed meanwhile, by anyone
                await self._store.leases.renew(lease)

    async def __aexit__(self, *_: object) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
        await self._store.leases.release(self._lease)


def job_name(request: Request) -> str:
    """A name that the same request always has."""
    return f"backfill-{request.stream}-{sha256(dumps(request.as_json()).encode()).hexdigest()[:12]}"


async def backfill_job(
    node: Node, request: Request, name: str | None, *, near: bool, show: bool
) -> dict[str, Any]:
    """Cover the request under `name`; the receipt as JSON. A job that is done is not done again.

    `show` draws a progress bar. Raises ValueError when the name belongs to another request.
    """
    job = name or job_name(request)
    earlier = await node.store.catalog.backfill(job)
    if earlier is not None and earlier["request"] != request.as_json():
        raise ValueError(
            f"job {job!r} exists with another request ({dumps(earlier['request'])}); choose another id"
        )
    if earlier is not None and earlier["state"] == "done":
        receipt_then: dict[str, Any] = earlier["receipt"]
        return receipt_then | {"note": f"done already at {earlier['updated_at'].isoformat()}"}
    assigned, stream = node.find(request.stream)
    if assigned.missing:
        raise ValueError(f"{assigned.source.name} is not configured: set {assigned.missing}")
    await node.declare(node.clock.now())
    owner = f"{job}-{id(node):x}-{node.clock.now().timestamp():.6f}"
    started = node.clock.now()
    turns = turns_for(node, assigned, near=near)
    progress, finish = _progress(node, job, request, started, show)
    async with Holding(node.store, job, owner) as lease:
        await progress(0, 0, Receipt())
        work = Backfill(
            source=assigned.source,
            stream=stream,
            request=request,
            books=LeasedBooks(node, lease),
            api=lambda s, priority, before: node.api(assigned, s, priority, turns, before),
            clock=node.clock,
            progress=progress,
            lives=node.lives(stream),
        )
        try:
            receipt = await work.run()
        except BaseException:
            await _write(node, job, request, started, "stopped", work.receipt)
            raise
        finally:
            finish()
        await _write(node, job, request, started, "done", receipt)
    return receipt.as_json()


def _progress(node: Node, job: str, request: Request, started: datetime, show: bool) -> tuple[Progress, Any]:
    from rich.progress import Progress as Bar

    bar = Bar(disable=not show)
    task = bar.add_task(job, total=None)
    bar.start()
    last = 0.0

    async def progress(done: int, total: int, receipt: Receipt) -> None:
        nonlocal last
        bar.update(task, completed=done, total=total or None)
        now = asyncio.get_running_loop().time()
        if now - last >= EVERY or done == 0:
            last = now
            await _write(node, job, request, started, "running", receipt)

    return progress, bar.stop


async def _write(
    node: Node, job: str, request: Request, started: datetime, state: str, receipt: Receipt
) -> None:
    await node.store.catalog.write_backfill(
        job,
        request=request.as_json(),
        state=state,
        slices=receipt.slices,
        done=receipt.fetched + receipt.failed,
        receipt=receipt.as_json(),
        started_at=started,
        updated_at=node.clock.now(),
    )
