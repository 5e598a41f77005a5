"""One round of healing by hand: every gap that the upstreams still offer, with a receipt.

The collectors heal by themselves; this is for the impatient, and for a node whose collectors are stopped.
"""

from datetime import timedelta
from functools import partial
from typing import Any

from ray_app.collect.filling import Filled, Filling
from ray_app.collect.heal import Repair, repair, repairable, repairs
from ray_app.collect.together import together
from ray_app.runtime.jobs import Holding, turns_for
from ray_app.runtime.opening import Assigned, LeasedBooks, Node


async def heal_round(node: Node, reach: timedelta) -> dict[str, Any]:
    """Fill every gap that the upstreams still offer, earliest deadline first, once; the receipt as JSON."""
    now = node.clock.now()
    await node.declare(now)
    receipt: dict[str, Any] = {"gaps": 0, "filled": 0, "records": 0, "failed": [], "not_repairable": []}
    async with Holding(node.store, "heal", f"heal-{now.timestamp():.6f}") as lease:
        books = LeasedBooks(node, lease)
        for assigned in node.assigned:
            if assigned.missing:
                gap = f"{assigned.source.name}: not configured, set {assigned.missing}"
                receipt["not_repairable"].append(gap)
        work = [
            partial(_heal, node, assigned, books, reach, receipt)
            for assigned in node.assigned
            if not assigned.missing
        ]
        await together(work, len(work))  # each upstream has a pace of its own
    return receipt


async def _heal(
    node: Node, assigned: Assigned, books: LeasedBooks, reach: timedelta, receipt: dict[str, Any]
) -> None:
    source, now = assigned.source, node.clock.now()
    streams = [(s, node.partitions(s), node.lives(s)) for s in assigned.plan.streams]
    turns = turns_for(node, assigned, near=True)
    done, fillings = {}, {}
    for stream, *_ in streams:
        over = repairable(stream, now, reach)
        if over is None:
            receipt["not_repairable"].append(f"{source.name}.{stream.name}: upstream tells only the present")
            continue
        done[stream.name] = await books.coverage(f"{source.name}.{stream.name}", over)
        fillings[stream.name] = Filling(
            source=source,
            stream=stream,
            books=books,
            api=lambda s, priority, before: node.api(assigned, s, priority, turns, before),
            clock=node.clock,
        )
    await repair(repairs(streams, done, now, reach), fillings, done, node.clock, partial(_count, receipt))


def _count(receipt: dict[str, Any], one: Repair, filled: Filled) -> None:
    receipt["gaps"] += 1
    if filled.collected is None:
        gap = f"{one.stream.name} {one.slice.partitions} {one.slice.range}"
        receipt["failed"].append(f"{gap}: {filled.error}")
    else:
        receipt["filled"] += 1
        receipt["records"] += len(filled.collected.records)
