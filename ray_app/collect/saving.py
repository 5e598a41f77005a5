"""Commit what was collected; a store that is down is waited for, with the answer in hand."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Protocol, TypeVar

from ray_app.model.clock import Clock
from ray_app.model.collected import Collected
from ray_app.model.errors import StoreUnavailable

LATE = timedelta(seconds=2)  # a commit later than this after its page was had at the commit's time
FIRST_WAIT, LONGEST_WAIT = 0.2, 5.0  # seconds between tries at a store that is down
Done_co = TypeVar("Done_co", covariant=True)


class Commits(Protocol[Done_co]):
    async def commit(self, collected: Sequence[Collected]) -> Done_co:
        """Facts and coverage together. Raises StoreUnavailable (try again) or Fenced (stop)."""


async def save(
    books: Commits[Done_co],
    collected: Sequence[Collected],
    clock: Clock,
    note: Callable[[StoreUnavailable], None] = lambda _: None,
) -> Done_co:
    """All of it in one transaction, however long the store is away; each failed try is noted. Raises Fenced."""
    wait = FIRST_WAIT
    while True:
        now = clock.now()
        ready = [c.received(now) if now - c.received_at > LATE else c for c in collected]
        try:
            return await books.commit(ready)
        except StoreUnavailable as error:
            note(error)
            await clock.sleep(wait)
            wait = min(LONGEST_WAIT, wait * 2)
