"""The feeds of a shard: what its upstreams push, listened to by whoever owns the stream that they fill."""

from collections.abc import Collection, Iterator
from typing import Any

from ray_app.collect.filling import Apis
from ray_app.collect.listening import Listening
from ray_app.connect.api import SIMULATED
from ray_app.model.clock import Clock
from ray_app.model.feed import Feed
from ray_app.model.timerange import ALWAYS
from ray_app.runtime.opening import Assigned, LeasedBooks, Node
from ray_app.store.hot import Passing


def listenings(
    node: Node,
    assigned: Assigned,
    members: Collection[str],
    books: LeasedBooks,
    api: Apis,
    wall: Clock,
    redis: Any,
) -> Iterator[Listening]:
    """One per feed of the source whose stream is among `members` (source.stream)."""
    for feed in assigned.plan.feeds:
        if f"{assigned.source.name}.{feed.refill}" not in members:
            continue
        refill = next(s for s in assigned.plan.streams if s.name == feed.refill)
        now, lives = node.clock.now(), node.lives(refill)
        yield Listening(
            source=assigned.source,
            feed=feed,
            refill=refill,
            url=_address(node, assigned, feed),
            partitions=tuple(
                p for p in feed.partitions(node.registry) if not lives.get(p, ALWAYS).over_by(now)
            ),
            lives=lives,
            books=books,
            events=Passing(redis),
            keep=node.store.raw.keep,
            connect=node.sockets(assigned.source.name, simulated=node.simulated),
            api=api,
            clock=node.clock,
            wall=wall,
            headers={SIMULATED: "crypto-data"} if node.simulated else {},
        )


def _address(node: Node, assigned: Assigned, feed: Feed) -> str:
    """The feed's own address, or its place in the simulator."""
    if not node.simulated:
        return feed.url
    root = assigned.base_url.removesuffix(assigned.plan.simulated_at)
    return root.replace("http", "ws", 1) + feed.simulated_at
