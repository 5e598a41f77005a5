"""One authority per quota: hands out turns at an even pace, by priority, inside the month's allowance.

The truth lies in a SQL row (`QuotaLedger`): the next free instant and what the month has spent.
The keeper takes turns from it in chunks and gives each out when it is due, so a keeper that dies
loses at most its chunk, and its successor starts after it: an old chunk cannot burst.
Even pace, no bucket: after an idle minute a bucket overruns an upstream that counts a rolling window.
"""

import asyncio
import heapq
from collections import deque
from datetime import datetime, timedelta
from itertools import count

from ray_app.model.clock import Clock
from ray_app.model.errors import RateLimited
from ray_app.model.quota import Priority, QuotaLedger, Refusal, Turn, next_month
from ray_app.model.source import Quota

SLACK = 1.012  # calls are spaced by 1.2 % more than the limit asks, so that jitter cannot crowd a window
CHUNK = timedelta(seconds=1)  # at most this much pace is taken from the ledger at once
PATIENCE = 5  # a turn expires after so many gaps


class Keeper:
    """Turns for one quota scope. One per scope; `live_per_day` calls a day are kept for live work."""

    def __init__(
        self, scope: str, quota: Quota, ledger: QuotaLedger, clock: Clock, live_per_day: float = 0.0
    ) -> None:
        self.scope, self._quota, self._ledger, self._clock = scope, quota, ledger, clock
        self._live_per_day = live_per_day
        self._waiting: list[tuple[Priority, int, asyncio.Future[Turn]]] = []
        self._order = count()
        self._turns: deque[Turn] = deque()
        self._sent: deque[datetime] = deque()
        self._someone = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None

    async def turn(self, priority: Priority) -> Turn:
        """Wait for a turn. Raises RateLimited when the month has none left for this priority."""
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._hand_out())
        future: asyncio.Future[Turn] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (priority, next(self._order), future))
        self._someone.set()
        return await future

    async def refused(self, refusal: Refusal) -> None:
        """Stop for at least one window and learn the limit that the refusal shows."""
        window = self._quota.per
        state = await self._ledger.state(self.scope, refusal.at)
        accepted = sum(refusal.at - window * SLACK < sent < refusal.at for sent in self._sent) - 1
        learned = refusal.stated or max(1, min(state.limit - 1, accepted))
        wait = max(window, timedelta(seconds=refusal.retry_after or 0)) * SLACK
        self._turns.clear()  # what was taken and not used stays spent
        await self._ledger.refuse(self.scope, refusal.at + wait, min(learned, state.limit), refusal.at)

    async def _hand_out(self) -> None:
        while True:
            self._drop_cancelled()
            if not self._waiting:
                self._someone.clear()
                await self._someone.wait()
                continue
            try:
                await self._one_turn()
            except Exception as error:  # noqa: BLE001  # to the one who asked, not into a dead loop
                if self._waiting:
                    future = heapq.heappop(self._waiting)[2]
                    if not future.done():
                        future.set_exception(error)

    async def _one_turn(self) -> None:
        now = self._clock.now()
        await self._month_allows(self._waiting[0][0], now)
        if not self._turns:
            await self._take_chunk(now)
        turn = self._turns[0]
        await self._clock.sleep_until(turn.not_before)
        if not self._turns or self._turns[0] is not turn:
            return  # a refusal swept the chunk away meanwhile
        self._turns.popleft()
        now = self._clock.now()
        self._drop_cancelled()
        if now > turn.expires or not self._waiting:
            return
        future = heapq.heappop(self._waiting)[2]
        self._sent.append(now)
        while self._sent and self._sent[0] < now - 2 * self._quota.per:
            self._sent.popleft()
        future.set_result(turn)

    async def _take_chunk(self, now: datetime) -> None:
        state = await self._ledger.state(self.scope, now)
        most = max(1, int(state.limit * (CHUNK / state.quota.per)))
        taken = await self._ledger.reserve(self.scope, min(most, len(self._waiting)), now, SLACK)
        for i in range(taken.calls):
            due = taken.first + i * taken.gap
            self._turns.append(Turn(due, due + max(PATIENCE * taken.gap, timedelta(seconds=1))))

    async def _month_allows(self, priority: Priority, now: datetime) -> None:
        if self._quota.per_month is None:
            return
        state = await self._ledger.state(self.scope, now)
        left = self._quota.per_month - state.spent
        if priority is not Priority.LIVE:
            left -= int(self._live_per_day * ((next_month(now) - now) / timedelta(days=1)))
        if left <= 0:
            kept = "" if priority is Priority.LIVE else " beyond what live collection needs"
            raise RateLimited(
                self.scope,
                f"{state.spent} of {self._quota.per_month} calls of this month are spent; none left{kept}",
                (next_month(now) - now).total_seconds(),
            )

    def _drop_cancelled(self) -> None:
        while self._waiting and self._waiting[0][2].done():
            heapq.heappop(self._waiting)
