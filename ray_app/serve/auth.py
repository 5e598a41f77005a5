"""Who asks: keys are looked up in the store, kept for seconds, and each use is counted.

Keys live on wall time, also against a simulator: a key that ends on Monday ends on our Monday.
"""

import asyncio
import time
from collections import Counter
from datetime import datetime, timedelta
from hashlib import sha256

from ray_app.model.clock import SystemClock
from ray_app.model.errors import StoreUnavailable
from ray_app.serve.problems import Problem
from ray_app.store.keys import Key, Keys, public_id

KEPT_SECONDS = 3.0  # a revocation must take effect within 5 s
MOST_KEPT = 5_000


class WallTime:
    """The machine's time, read once and carried on by the monotonic clock: no jump moves a limit's window."""

    def __init__(self) -> None:
        self._anchor, self._read_at = SystemClock().now(), time.monotonic()
        self._epoch = self._anchor.timestamp()

    def now(self) -> datetime:
        return self._anchor + timedelta(seconds=time.monotonic() - self._read_at)

    def seconds(self) -> float:
        """Since 1970."""
        return self._epoch + time.monotonic() - self._read_at


class KeyRing:
    """Keys by the hash of what was sent. `find` raises Problem INVALID_API_KEY without saying why."""

    def __init__(self, keys: Keys, wall: WallTime) -> None:
        self._keys, self._wall = keys, wall
        self._known: dict[bytes, tuple[float, Key | None]] = {}
        self._asking: dict[bytes, asyncio.Task[Key | None]] = {}
        self._uses: Counter[str] = Counter()

    async def find(self, authorization: bytes | None) -> Key:
        """The live key of an Authorization header, used once more. Raises StoreUnavailable when nobody can tell."""
        key = await self.check(authorization)
        self._uses[key.id] += 1
        return key

    async def check(self, authorization: bytes | None) -> Key:
        """The same without a use: whether the key of an open connection still holds."""
        scheme, _, sent = (authorization or b"").partition(b" ")
        token = sent.strip()
        if scheme.lower() != b"bearer" or not token or len(token) > 200:
            raise refused()
        digest = sha256(token).digest()
        kept = self._known.get(digest)
        if kept is None or kept[0] < time.monotonic():
            key = await self._ask(digest, token)
        else:
            key = kept[1]
        if key is None or (key.expires_at is not None and not key.live(self._wall.now())):
            raise refused()
        return key

    async def flush(self) -> None:
        """Write the uses counted since the last time; they are kept if the store is away."""
        if counts := dict(self._uses):
            self._uses.clear()
            try:
                await self._keys.used(counts, self._wall.now())
            except StoreUnavailable:
                self._uses.update(counts)

    async def _ask(self, digest: bytes, token: bytes) -> Key | None:
        try:
            text = token.decode("ascii")
        except UnicodeDecodeError:
            return None
        if public_id(text) is None:
            return None  # a typing error needs no question to the store
        task = self._asking.get(digest)
        if task is None:  # the first of those who wait for the same key asks
            task = self._asking[digest] = asyncio.ensure_future(self._look(digest, text))
            task.add_done_callback(lambda _: self._asking.pop(digest, None))
        return await asyncio.shield(task)

    async def _look(self, digest: bytes, text: str) -> Key | None:
        asked = time.monotonic()
        key = await self._keys.find(text)
        if key is not None and not key.live(self._wall.now()):
            key = None
        while len(self._known) >= MOST_KEPT:
            del self._known[next(iter(self._known))]
        self._known.pop(digest, None)
        self._known[digest] = (asked + KEPT_SECONDS, key)
        return key


def refused() -> Problem:
    return Problem("INVALID_API_KEY", "a valid API key is needed: Authorization: Bearer KEY")
