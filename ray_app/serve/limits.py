"""Request limits: so many an hour and so many a minute per key, for all replicas together.

A replica takes requests from the window's count in Redis several at a time and spends them by itself; what it
does not spend it gives back. Near the limit it takes fewer, so that none is refused while others hold some.
With Redis gone each replica has its share of the limit to itself, and what it spent is counted afterwards.
"""

import asyncio
import math
import time
from dataclasses import dataclass, field

from ray_app.model.errors import StoreUnavailable
from ray_app.serve.auth import WallTime
from ray_app.serve.problems import Problem
from ray_app.store.allowance import RequestCounts
from ray_app.store.keys import Key

CHUNK = 200  # requests taken at once, at most; never more than a tenth of the limit
PATIENCE = 0.3  # seconds for Redis to answer
ASK_AGAIN = 1.0  # seconds before a count that reached its limit is looked at again
PAUSE = 2.0  # seconds before Redis is tried again after it failed
SPANS = {"hour": 3600, "burst": 60}
MOST_BUCKETS = 20_000


@dataclass(slots=True)
class Bucket:
    """One key's requests in one window, as this replica knows them."""

    kind: str
    key: str
    limit: int
    number: int  # which window since 1970
    in_hand: int = 0  # taken from the common count, not yet spent
    total: int = 0  # the common count when it was last seen
    spent: int = 0  # by this replica
    owed: int = 0  # taken without Redis: not in the common count yet
    ask_after: float = 0.0  # the limit is reached: not before this, in case others gave back
    touched: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def window(self) -> str:
        return f"{self.kind}:{self.number}"

    @property
    def remaining(self) -> int:
        return max(0, self.limit - max(self.total + self.owed, self.spent) + self.in_hand)

    @property
    def ends(self) -> int:
        """Seconds since 1970."""
        return (self.number + 1) * SPANS[self.kind]


@dataclass(slots=True)
class Allowed:
    """What the answer's headers say of the hour's limit."""

    limit: int
    remaining: int
    reset: int  # seconds since 1970

    def headers(self) -> list[tuple[bytes, bytes]]:
        return [
            (b"x-ratelimit-limit", b"%d" % self.limit),
            (b"x-ratelimit-remaining", b"%d" % self.remaining),
            (b"x-ratelimit-reset", b"%d" % self.reset),
        ]


class OverLimit(Problem):
    """429, with what the headers say."""

    def __init__(self, bucket: Bucket, allowed: Allowed, wait: int) -> None:
        each = {"hour": "an hour", "burst": "a minute"}[bucket.kind]
        super().__init__(
            "RATE_LIMIT_EXCEEDED",
            f"the limit `{bucket.kind}` of {bucket.limit} requests {each} is reached; try again in {wait} s",
            {
                "limit": bucket.kind,
                "requests": bucket.limit,
                "seconds": SPANS[bucket.kind],
                "retry_after": wait,
            },
            {"Retry-After": str(wait)},
        )
        self.allowed = allowed


class Limits:
    def __init__(self, counts: RequestCounts | None, wall: WallTime, replicas: int = 1) -> None:
        self._counts, self._wall, self._replicas = counts, wall, max(1, replicas)
        self._buckets: dict[tuple[str, str], Bucket] = {}
        self._try_again = float("-inf")

    async def take(self, key: Key) -> Allowed:
        """Spend one request of the key's. Raises OverLimit; never fails because of Redis."""
        now = self._wall.seconds()
        burst = self._bucket("burst", key.id, key.burst, now)
        hour = self._bucket("hour", key.id, key.per_hour, now)
        for bucket in (burst, hour):
            if bucket.in_hand > 0:
                bucket.in_hand -= 1
                bucket.spent += 1
                bucket.touched = now
            elif not await self._spend(bucket, now):
                if bucket is hour:  # what is refused is not counted
                    burst.in_hand, burst.spent = burst.in_hand + 1, burst.spent - 1
                wait = max(1, math.ceil(bucket.ends - self._wall.seconds()))
                raise OverLimit(bucket, Allowed(hour.limit, hour.remaining, hour.ends), wait)
        return Allowed(hour.limit, hour.remaining, hour.ends)

    async def give_back(self, idle_seconds: float = 5.0) -> None:
        """Return what quiet keys hold, count what was spent without Redis, forget windows that are over."""
        now = self._wall.seconds()
        for place, bucket in list(self._buckets.items()):
            if bucket.ends <= now:
                del self._buckets[place]
            elif now - bucket.touched >= idle_seconds and (bucket.in_hand or bucket.owed):
                async with bucket.lock:
                    await self._settle(bucket, 0)

    def _bucket(self, kind: str, key: str, limit: int, now: float) -> Bucket:
        number = int(now // SPANS[kind])
        bucket = self._buckets.get((kind, key))
        if bucket is None or bucket.number != number:
            while len(self._buckets) >= MOST_BUCKETS:
                del self._buckets[next(iter(self._buckets))]
            bucket = self._buckets[kind, key] = Bucket(kind, key, limit, number)
        bucket.limit = limit
        return bucket

    async def _spend(self, bucket: Bucket, now: float) -> bool:
        async with bucket.lock:
            bucket.touched = now
            if bucket.in_hand == 0 and now >= bucket.ask_after:
                left = bucket.limit - bucket.total - bucket.owed
                chunk = max(1, min(CHUNK, bucket.limit // 10, left // (2 * self._replicas + 2)))
                if not await self._settle(bucket, chunk):
                    self._take_share(bucket, chunk)
            if bucket.in_hand == 0:
                return False
            bucket.in_hand -= 1
            bucket.spent += 1
            return True

    async def _settle(self, bucket: Bucket, chunk: int) -> bool:
        """Bring the common count up to date and take `chunk` more; False when Redis is away."""
        if self._counts is None or time.monotonic() < self._try_again:
            return False
        returned, bucket.in_hand = bucket.in_hand, 0  # nobody spends these while we wait
        change = bucket.owed + chunk - returned
        try:
            async with asyncio.timeout(PATIENCE):
                total = await self._counts.add(bucket.key, bucket.window, change, 2 * SPANS[bucket.kind])
                if lost := max(0, bucket.spent + chunk - total):  # Redis came back empty
                    total = await self._counts.add(bucket.key, bucket.window, lost, 2 * SPANS[bucket.kind])
                if (over := min(chunk, total - bucket.limit)) > 0:
                    total = await self._counts.add(bucket.key, bucket.window, -over, 2 * SPANS[bucket.kind])
                    chunk -= over
        except (StoreUnavailable, TimeoutError):
            self._try_again = time.monotonic() + PAUSE
            bucket.in_hand += returned
            return False
        bucket.total, bucket.owed, bucket.in_hand = total, 0, chunk
        if chunk == 0 and total >= bucket.limit:
            bucket.ask_after = self._wall.seconds() + ASK_AGAIN
        return True

    def _take_share(self, bucket: Bucket, chunk: int) -> None:
        """Without Redis: from this replica's own part of the limit, to be counted later."""
        share = math.ceil(bucket.limit / self._replicas) - bucket.spent
        left = bucket.limit - bucket.total - bucket.owed
        taken = max(0, min(chunk, share, left))
        bucket.in_hand += taken
        bucket.owed += taken
