"""Whether stored rows of features can be worked out again: what was served against what the facts of then give."""

import math
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from ray_app.derive.reading import Loader
from ray_app.derive.rows import SET, rows
from ray_app.model.timerange import TimeRange
from ray_app.process.features.inputs import HOUR
from ray_app.process.features.packed import unpack
from ray_app.runtime.opening import Node
from ray_app.store.reading import Point
from ray_app.store.vectors import Vector

WORST = 5  # features that are named


@dataclass(frozen=True, slots=True)
class Skew:
    """`largest`: the largest difference of a number; infinite where one side has none. All is well at 0."""

    checked_at: datetime
    start: datetime
    end: datetime
    rows: int
    differing: int
    largest: float
    worst: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        told = asdict(self) | {
            name: getattr(self, name).isoformat() for name in ("checked_at", "start", "end")
        }
        return told | {"largest": self.largest if math.isfinite(self.largest) else "inf"}


async def check_skew(node: Node, over: TimeRange, most: int | None = None) -> Skew:
    """Work out every revision of the rows that end in [start, end) as of its time, and publish what differs.

    `most`: no more than so many moments, evenly spread.
    """
    vectors = node.store.vectors
    by_moment: dict[tuple[datetime, datetime], list[Vector]] = {}
    names: tuple[str, ...] = ()
    known = await vectors.newest_set()
    if known is not None and known.hash == SET:
        names = known.names
        for one in await vectors.revisions(SET, over):
            by_moment.setdefault((one.at, one.as_of), []).append(one)
    moments = sorted(by_moment)
    if most is not None and len(moments) > most:
        moments = [moments[n * len(moments) // most] for n in range(most)]
    loader, count, apart = Loader(node.store, node.registry), 0, dict[str, float]()
    differing = 0
    for at, as_of in moments:
        stored = by_moment[at, as_of]
        assets = {one.asset for one in stored}
        again = await rows(loader, TimeRange(at - HOUR, at), Point(as_of=as_of), as_of, assets)
        numbers = {one.asset: one.numbers for one in again}
        for one in stored:
            count += 1
            if numbers.get(one.asset) != one.numbers:
                differing += 1
                for name, size in _apart(one.numbers, numbers.get(one.asset), names).items():
                    apart[name] = max(apart.get(name, 0.0), size)
    worst = sorted(apart, key=lambda name: (-apart[name], name))
    found = Skew(
        checked_at=node.clock.now(),
        start=over.start,
        end=over.end,
        rows=count,
        differing=differing,
        largest=max(apart.values(), default=0.0),
        worst=tuple(worst[:WORST]),
    )
    await vectors.publish_skew(SET, found.as_json())
    return found


def _apart(served: bytes, again: bytes | None, names: tuple[str, ...]) -> dict[str, float]:
    """How far the features that differ are apart."""
    if again is None:
        return dict.fromkeys(names, math.inf)
    one, other = unpack(served, names), unpack(again, names)
    out = {}
    for name in names:
        a, b = one[name], other[name]
        if a != b:
            out[name] = math.inf if a is None or b is None else abs(a - b)
    return out
