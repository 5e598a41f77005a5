"""The cache in front of the API: the same bytes and ETag until an answer's time is over."""

import gzip
import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cached_property

from ray_app.simulator.coingecko.answers import Answer

MOST_BYTES = 64 * 1024 * 1024
WORTH_PACKING = 1_024


@dataclass
class Copy:
    """An answer as it is sent."""

    body: bytes
    made_ms: int
    until_ms: int
    etag: str = field(init=False)

    def __post_init__(self) -> None:
        self.etag = f'W/"{hashlib.md5(self.body, usedforsecurity=False).hexdigest()}"'

    @cached_property
    def packed(self) -> bytes | None:
        """The body under gzip, where that is worth it."""
        return gzip.compress(self.body, compresslevel=1, mtime=0) if len(self.body) >= WORTH_PACKING else None


class Cache:
    """Keeps copies by question; the oldest go first when there are too many bytes."""

    def __init__(self) -> None:
        self._copies: OrderedDict[str, Copy] = OrderedDict()
        self._bytes = 0

    def find(self, question: str, now_ms: int) -> Copy | None:
        copy = self._copies.get(question)
        return copy if copy is not None and now_ms < copy.until_ms else None

    def keep(self, question: str, answer: Answer, now_ms: int) -> Copy:
        copy = Copy(answer.body.encode(), now_ms, now_ms + answer.seconds * 1000)
        if answer.seconds:
            if question in self._copies:
                self._bytes -= len(self._copies.pop(question).body)
            self._copies[question] = copy
            self._bytes += len(copy.body)
            while self._bytes > MOST_BYTES:
                self._bytes -= len(self._copies.popitem(last=False)[1].body)
        return copy
