"""One replica of the streams: its topics, who is connected, and what all connections have in common.

Once a second it looks round: whose heartbeat is due, whose key has ended, whether the replica is to go.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from ray_app.model.dataset import Dataset
from ray_app.model.errors import StoreUnavailable
from ray_app.model.symbols import UnknownSymbol
from ray_app.observe.log import logger
from ray_app.process.linking_forms import forms
from ray_app.serve.auth import KeyRing, WallTime
from ray_app.serve.datasets import Datasets
from ray_app.serve.limits import Limits
from ray_app.serve.parts import Parts
from ray_app.serve.problems import Problem, unavailable
from ray_app.serve.streams.declared import NEWS, PRICES, SENTIMENT, Stream
from ray_app.serve.streams.making import Making, Prices
from ray_app.serve.streams.making_texts import News, Sentiment
from ray_app.serve.streams.outlet import Bounds, Ending
from ray_app.serve.streams.ticks import Ticks
from ray_app.serve.streams.topic import Topic
from ray_app.serve.tail import WALL, repeat, stop
from ray_app.store.allowance import RequestCounts
from ray_app.store.eventlog import EventLog
from ray_app.store.keys import Key

log = logger("streams")
LOOK = 1.0  # seconds between looks round
HEARTBEAT = 15.0  # seconds
MOST_CONNECTIONS = 2_500  # of a replica
MOST_WAITING = 200  # of them, those that have not said yet who they are
OF_A_KEY = {"standard": 250, "premium": 1_250}  # connections, on one replica
SPREAD = 5.0  # seconds over which the connections of a replica are ended, and come back
SPREAD_EACH = 0.01  # but no more than so long for each of them
BOUNDS = Bounds()
RESTART = "this replica restarts; resume with your cursor"


class Connection(Protocol):
    """One client, whatever it is connected by."""

    authorization: bytes
    beat_at: float  # monotonic time of its next heartbeat

    def beat(self) -> None:
        """Send a heartbeat."""

    def refuse(self, problem: Problem, ending: Ending) -> None:
        """Tell what is wrong, and end."""


class Hub:
    """`draining` tells whether the replica is to go; connections are then ended, spread over some seconds."""

    def __init__(
        self,
        parts: Parts,
        *,
        draining: Callable[[], bool] = lambda: False,
        bounds: Bounds = BOUNDS,
        most: int = MOST_CONNECTIONS,
    ) -> None:
        self.parts, self.bounds, self.most = parts, bounds, most
        self.store, self.registry, self.clock = parts.store, parts.registry, parts.clock
        self.redis = RequestCounts(parts.redis) if parts.redis is not None else None
        self.wall = WallTime()
        self.ring = KeyRing(parts.store.keys, self.wall)
        self.limits = Limits(self.redis, self.wall, parts.replicas)
        self.datasets = Datasets(parts.store.catalog)
        self.ticks = Ticks(parts.redis, parts.registry, self.datasets, WALL)
        makers: list[tuple[Stream, type[Making]]] = [(PRICES, Prices), (NEWS, News), (SENTIMENT, Sentiment)]
        self._topics = {stream.name: self._topic(stream, make) for stream, make in makers}
        self._connections: set[Connection] = set()
        self._entered = self._waiting = 0
        self._of_key: Counter[str] = Counter()
        self._draining, self.leaving = draining, False
        self._tasks: list[asyncio.Task[None]] = []
        self.tickers = {asset.id: asset.symbol for asset in parts.registry.assets}
        self._stocks: frozenset[str] | None = None

    def _topic(self, stream: Stream, make: type[Making]) -> Topic:
        events = EventLog(stream.name, self.store.outbox, self.parts.redis, WALL)
        return Topic(events, make(self.store, self.registry, self.datasets), WALL)

    async def start(self) -> None:
        """Begin the background tasks. Topics are read as soon as somebody listens."""
        self._tasks = [
            asyncio.create_task(repeat(self.ring.flush)),
            asyncio.create_task(repeat(self.limits.give_back)),
            asyncio.create_task(repeat(self._look, LOOK)),
        ]

    async def stop(self) -> None:
        """End every connection, then the tasks."""
        await self._leave(0.0)
        await stop(self._tasks)
        await self.ticks.stop()
        for topic in self._topics.values():
            await topic.stop()
        await self.limits.give_back(idle_seconds=0.0)
        await self.ring.flush()

    async def close(self) -> None:
        """Close the parts."""
        await self.store.close()
        if self.redis is not None:
            await self.redis.close()

    def topic(self, stream: Stream) -> Topic:
        return self._topics[stream.name]

    def enter(self) -> None:
        """Take a place. Raises Problem when there is none, or the replica is to go. Say `left` at the end."""
        if self.leaving:
            raise restarting()
        if self._entered >= self.most:
            raise unavailable(f"this replica has its {self.most} connections; try again", ["connections"])
        self._entered += 1

    def left(self) -> None:
        self._entered -= 1

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """For a connection whose key is still to come. Raises Problem when too many wait: they cost nothing to open."""
        if self._waiting >= MOST_WAITING:
            raise unavailable(
                "too many connections here have not said who they are; send the header", ["connections"]
            )
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    def admit(self, key: Key, connection: Connection) -> None:
        """Count a connection for its key. Raises Problem when the key has as many as it may. `dismiss` at the end."""
        if self.leaving:
            raise restarting()
        most = OF_A_KEY[key.tier]
        if self._of_key[key.id] >= most:
            raise Problem(
                "RATE_LIMIT_EXCEEDED",
                f"this key has {most} connections here already, as many as its tier allows; close one first",
                {"limit": "connections", "connections": most},
            )
        self._of_key[key.id] += 1
        connection.beat_at = time.monotonic() + HEARTBEAT
        self._connections.add(connection)

    def dismiss(self, key: Key, connection: Connection) -> None:
        if connection in self._connections:
            self._connections.discard(connection)
            self._of_key[key.id] -= 1
            if not self._of_key[key.id]:
                del self._of_key[key.id]

    def asset(self, symbol: str, stream: Stream) -> str:
        """The coin's id or the stock's ticker. Raises UnknownSymbol or AmbiguousSymbol."""
        try:
            return self.registry.resolve(symbol).id
        except UnknownSymbol:
            if stream.stocks and symbol.strip().upper() in self._known_stocks():
                return symbol.strip().upper()
            raise

    async def series(self, stream: Stream) -> list[tuple[Dataset, str]]:
        """Every series that the stream tells of. Raises StoreUnavailable."""
        known = (await self.datasets.all()).values()
        return [(one, p) for one in known if one.record in stream.records for p in one.partitions]

    def _known_stocks(self) -> frozenset[str]:
        if self._stocks is None:
            self._stocks = frozenset(form.means for form in forms(self.registry) if form.kind == "stock")
        return self._stocks

    async def _look(self) -> None:
        if self._draining() and not self.leaving:
            self._tasks.append(asyncio.create_task(self._leave(SPREAD)))
        now = time.monotonic()
        for connection in list(self._connections):
            if connection.beat_at <= now:
                connection.beat_at = now + HEARTBEAT
                connection.beat()
        for authorization in {one.authorization for one in self._connections}:
            try:
                await self.ring.check(authorization)
            except StoreUnavailable:
                return  # nobody can tell; it is asked again in a second
            except Problem as problem:
                for one in [one for one in self._connections if one.authorization == authorization]:
                    one.refuse(problem, Ending(4401, "the key has ended"))

    async def _leave(self, spread: float) -> None:
        """End all connections, one after the other, each with a delay of its own after which to come back."""
        self.leaving = True
        mine = list(self._connections)
        random.shuffle(mine)
        pause = min(spread / max(1, len(mine)), SPREAD_EACH)
        for connection in mine:
            wait = random.randint(0, round(1000 * min(SPREAD, len(mine) * SPREAD_EACH)))
            problem = restarting(wait)
            connection.refuse(problem, Ending(1012, f"restart; retry in {wait} ms", retry_ms=wait))
            if spread:
                await WALL.sleep(pause)


def restarting(wait_ms: int = 0) -> Problem:
    return Problem("SERVICE_UNAVAILABLE", RESTART, {"down": ["replica"], "retry_after_ms": wait_ms})


def told(problem: Problem, request_id: str, now: Any, answers: str | int | None = None) -> dict[str, Any]:
    """A problem as a message."""
    error = {
        "code": problem.code,
        "message": problem.message,
        "details": problem.details,
        "timestamp": now,
        "request_id": request_id,
    }
    return {"type": "error", **({} if answers is None else {"id": answers}), "error": error}
