"""What an upstream pushes: Feed, the sibling of Stream. A stream is asked, a feed is listened to.

What a feed hears and what is stored is not the same: prices of the moment are told on and forgotten, facts
that are complete (a candle that has closed) are stored as records of a stream that can also be asked for them.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from ray_app.model.records import Instant, Name, NotNegative, Positive, Record
from ray_app.model.source import Stream
from ray_app.model.symbols import Registry


class Tick(Record):
    """What one pair cost at `at`. Told on to whoever listens, never stored: prices and bars are."""

    partition_field, cursor_field = "symbol", "at"

    symbol: Name
    at: Instant  # the upstream's own time
    price: Positive
    open_24h: Positive | None = None
    high_24h: Positive | None = None
    low_24h: Positive | None = None
    volume_24h: NotNegative | None = None  # rolling over 24 hours: never add these up
    quote_volume_24h: NotNegative | None = None

    @property
    def known_at(self) -> datetime:
        return self.at


@dataclass(frozen=True, slots=True)
class Subscription:
    """How a connection is told what to send: by its address (after the feed's url), by messages, or both."""

    query: str = ""
    messages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """One connection's worth of pushed data.

    `parse` makes records of one frame (none of one that means nothing to us): those of `stores.record` are
    kept with their frame, a Tick is told on. ValueError and its like set the frame aside; Transient says that
    the upstream is about to end the connection. `stores` reads the kept frames again, a line each, under the
    name of the stream that `refill` asks for what was missed.
    """

    name: str
    describes: str
    url: str  # wss://...
    simulated_at: str  # where the built-in simulator answers
    partitions: Callable[[Registry], tuple[str, ...]]
    subscribe: Callable[[Sequence[str]], Subscription]
    parse: Callable[[bytes, datetime], Sequence[Record]]
    stores: Stream
    refill: str  # the stream of the same plan that is asked for what was missed
    topic: str  # under which ticks are told on
    silence: timedelta  # without a frame for so long, a connection is dead (wall time)
    longest: timedelta  # a fresh connection takes over when one is so old
    late: timedelta  # how long after its end an interval is waited for; `refill` has settled by then
    coalesce: timedelta = timedelta(milliseconds=100)  # at most one tick per pair in so long


class Socket(Protocol):
    """One open connection. Both raise Transient when it has ended."""

    async def receive(self) -> bytes: ...
    async def send(self, message: str) -> None: ...


Connect = Callable[[str], AbstractAsyncContextManager[Socket]]
