"""Answers about now, written once and sent again while nothing that they are made of has changed.

Each question first asks the store for the numbers of its commits, one statement for all who ask at the same time, so
an answer is as fresh as if it had been read. Between commits the passing of time changes an answer too; it says when.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from ray_app.model.clock import Clock
from ray_app.model.errors import StoreUnavailable
from ray_app.serve.datasets import Datasets
from ray_app.serve.door import key_of
from ray_app.serve.together import Together
from ray_app.serve.wire import Answer
from ray_app.store.changes import CATALOG, Changes, Seen

KEPT_SECONDS = 60.0
MOST_KEPT = 5_000
MOST_BYTES = 64 * 2**20  # of bodies
Place = tuple[str, bytes, bool]  # the path, the query string, whether the key is internal


def place_of(scope: Any) -> Place:
    """Where the answer to a request that came in through the door is kept."""
    return scope["path"], scope["query_string"], key_of(scope).internal


@dataclass(slots=True)
class Held:
    """An answer with the numbers that its kinds had before it was read, in the order of `answer.of`."""

    answer: Answer
    numbers: list[int]
    seen: Seen  # the last one that it was compared with
    expires: float  # by the monotonic clock


class Kept:
    def __init__(self, changes: Changes, datasets: Datasets, together: Together, clock: Clock) -> None:
        self._changes, self._datasets, self._together, self._clock = changes, datasets, together, clock
        self._held: dict[Place, Held] = {}  # those that were not asked for the longest come first
        self._bytes = 0
        self._seen = Seen()

    async def answer(self, place: Place, read: Callable[[], Awaitable[Answer]]) -> Answer:
        """The answer to a question, kept or read; those who ask the same meanwhile share one reading.

        `place` names all that the answer depends on but the store and the time. Raises what `read` raises, and
        StoreUnavailable.
        """
        seen = await self._together.read("changes", self._look)
        held = self._held.get(place)
        if held is not None:
            if self._holds(held, seen):
                self._held[place] = self._held.pop(place)
                return held.answer
            self._drop(place)

        async def read_and_keep() -> Answer:
            made = await read()
            self._keep(place, made, seen)
            return made

        return await self._together.read(place, read_and_keep)

    async def sweep(self) -> None:
        """Drop what does not hold any more: a text that was deleted must not stay because nobody asks."""
        if self._held:
            try:
                seen = await self._together.read("changes", self._look)
            except StoreUnavailable:  # then nobody can tell
                seen = Seen()
            for place in [place for place, held in self._held.items() if not self._holds(held, seen)]:
                self._drop(place)

    async def _look(self) -> Seen:
        seen = await self._changes.look()
        if seen.numbers.get(CATALOG) != self._seen.numbers.get(CATALOG):
            self._datasets.forget()
        self._seen = seen
        return seen

    def _holds(self, held: Held, seen: Seen) -> bool:
        answer = held.answer
        if answer.until is not None and self._clock.now() >= answer.until:
            return False
        if held.seen is not seen:
            if held.numbers != _numbers(answer, seen):
                return False
            held.seen = seen
        return time.monotonic() < held.expires

    def _keep(self, place: Place, answer: Answer, seen: Seen) -> None:
        """`seen` is from before the answer was read. What time will change in rows that are there is not kept."""
        now = self._clock.now()
        if not answer.of or (answer.until is not None and now >= answer.until):
            return
        if any(moment > now for kind in answer.of if (moment := seen.ahead.get(kind)) is not None):
            return
        answer.seal()
        self._drop(place)
        while self._held and (len(self._held) >= MOST_KEPT or self._bytes + len(answer.head) > MOST_BYTES):
            self._drop(next(iter(self._held)))
        self._bytes += len(answer.head)
        self._held[place] = Held(answer, _numbers(answer, seen), seen, time.monotonic() + KEPT_SECONDS)

    def _drop(self, place: Place) -> None:
        if (held := self._held.pop(place, None)) is not None:
            self._bytes -= len(held.answer.head)


def _numbers(answer: Answer, seen: Seen) -> list[int]:
    """CATALOG's too: which series there are, and on what terms, is part of every answer."""
    return [seen.numbers.get(kind, 0) for kind in (CATALOG, *answer.of)]
