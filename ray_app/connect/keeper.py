"""One authority per quota: hands out turns at an even pace, by priority, inside the month's allowance.

The truth lies in a SQL row (`QuotaLedger`): the next free instant and what the month has spent.
The keeper takes turns from it in chunks and gives each out when it is due, so a keeper that dies
loses at most its chunk, and its successor starts after it: an old chunk cannot burst.
Even pace, no bucket: after an idle minute a bucket overruns an upstream that counts a rolling window.
"""

import asyncio
import heapq
from collections import deque
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import count
from math import ceil, inf

from ray_app.model.clock import Clock
from ray_app.model.errors import RateLimited
from ray_app.model.quota import Allowance, Priority, QuotaLedger, Refusal, Turn, next_month
from ray_app.model.source import Quota

SLACK = (
    0.012  # a window's calls are spread over this part more than the window, so that jitter cannot crowd it
)
LEAST_SLACK = timedelta(seconds=0.1)  # what jitter needs however short the window is
PATIENCE = 0.6  # of the slack; a call later than that may crowd the window after it, so its turn has expired
REMEMBERED = 5  # windows; a refusal that came longer ago says nothing about this one
LONGEST_DELAY = timedelta(seconds=2)  # a simulator's clock may jump by hours meanwhile
CHUNK = timedelta(seconds=1)  # at most this much pace is taken from the ledger at once


def slack(per: timedelta) -> timedelta:
    """How much longer than the window `per` its calls take at the keeper's pace."""
    return max(SLACK * per, LEAST_SLACK)


class Keeper:
    """Turns for one quota scope. One per scope; `live_per_day` calls a day are kept for live work."""

    def __init__(
        self, scope: str, quota: Quota, ledger: QuotaLedger, clock: Clock, live_per_day: float = 0.0
    ) -> None:
        self.scope, self._quota, self._ledger, self._clock = scope, quota, ledger, clock
        self._live_per_day = live_per_day
        self._waiting: list[tuple[Priority, float, int, asyncio.Future[Turn]]] = []
        self._order = count()
        self._turns: deque[Turn] = deque()
        self._sent: deque[datetime] = deque()
        self._refused: deque[datetime] = deque()
        self._shown: tuple[datetime, int] | None = None  # when a refusal came, and what had passed before it
        self._closed = clock.now()  # until when a refusal forbids everything
        self._delay = timedelta(0)  # how long the ledger took to answer of late
        self._someone = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None

    async def turn(self, priority: Priority, before: datetime | None = None) -> Turn:
        """Wait for a turn; among equals the earliest deadline goes first.

        Raises RateLimited when the month has none left for this priority.
        """
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._hand_out())
        future: asyncio.Future[Turn] = asyncio.get_running_loop().create_future()
        deadline = before.timestamp() if before is not None else inf
        heapq.heappush(self._waiting, (priority, deadline, next(self._order), future))
        self._someone.set()
        return await future

    async def close(self) -> None:
        """Hand out nothing any more. Turns that were taken stay spent."""
        if self._pump is not None:
            self._pump.cancel()
            with suppress(asyncio.CancelledError):
                await self._pump

    async def refused(self, refusal: Refusal) -> None:
        """Stop for at least one window and learn the limit that the refusal shows."""
        spare = slack(self._quota.per)
        wait = max(self._quota.per, timedelta(seconds=refusal.retry_after or 0)) + spare
        self._closed = max(self._closed, refusal.at + wait)
        self._turns.clear()  # what was taken and not used stays spent
        limit = (await self._ledger.state(self.scope, refusal.at)).limit
        await self._ledger.refuse(self.scope, refusal.at + wait, self._learned(refusal, limit), refusal.at)

    async def told(self, allowance: Allowance) -> None:
        """Keep to a limit that an answer states, and pause for a window when it says that none is left."""
        limit = (await self._ledger.state(self.scope, allowance.at)).limit
        until = allowance.at
        if allowance.remaining == 0:
            until += self._quota.per + slack(self._quota.per)
            self._closed = max(self._closed, until)
            self._turns.clear()
        learned = allowance.limit if allowance.limit is not None and allowance.limit < limit else None
        if learned is not None or allowance.remaining == 0:
            await self._ledger.refuse(self.scope, until, learned, allowance.at)

    def _learned(self, refusal: Refusal, limit: int) -> int | None:
        """A lone refusal may have nothing to do with our rate: believe what two in a row both show."""
        window = self._quota.per + slack(self._quota.per)
        self._refused.append(refusal.at)
        while self._refused[0] <= refusal.at - window:
            self._refused.popleft()
        sent = sum(refusal.at - window < sent <= refusal.at for sent in self._sent)
        passed, earlier = sent - len(self._refused), self._shown
        self._shown = refusal.at, passed
        if refusal.stated:
            return min(refusal.stated, limit)
        if earlier is None or refusal.at - earlier[0] > REMEMBERED * window:
            return None
        return max(1, min(limit - 1, max(passed, earlier[1])))

    async def _hand_out(self) -> None:
        while True:
            self._drop_cancelled()
            if not self._waiting:
                self._someone.clear()
                await self._someone.wait()
                continue
            priority, _, _, asking = self._waiting[0]
            try:
                await self._one_turn(priority)
            except Exception as error:  # noqa: BLE001  # to the one who asked, not into a dead loop
                if not asking.done():
                    asking.set_exception(error)

    async def _one_turn(self, priority: Priority) -> None:
        await self._clock.sleep_until(self._closed)
        left = await self._month_allows(priority, self._clock.now())
        if not self._turns:
            await self._take_chunk(left)
        turn = self._turns[0]
        if turn.not_before >= self._closed:
            await self._clock.sleep_until(turn.not_before)
        if not self._turns or self._turns[0] is not turn:
            return  # a refusal swept the chunk away meanwhile
        self._turns.popleft()
        if turn.not_before < self._closed:
            return  # this chunk was on its way when the refusal came
        now = self._clock.now()
        self._drop_cancelled()
        if now > turn.expires or not self._waiting:
            return
        future = heapq.heappop(self._waiting)[3]
        self._sent.append(now)
        while self._sent and self._sent[0] < now - 2 * self._quota.per:
            self._sent.popleft()
        future.set_result(turn)

    async def _take_chunk(self, left: int | None) -> None:
        now = self._clock.now()
        state = await self._ledger.state(self.scope, now)
        most = max(1, int(state.limit * (CHUNK / state.quota.per)))
        spare = slack(state.quota.per)
        calls = min(most, sum(not future.done() for _, _, _, future in self._waiting) or 1)
        calls = calls if left is None else min(calls, left)
        # A turn must not be over before the ledger's answer with it is here.
        taken = await self._ledger.reserve(self.scope, calls, now + self._delay, 1 + spare / state.quota.per)
        self._delay = min(max(self._clock.now() - now, self._delay / 2), LONGEST_DELAY)
        for i in range(taken.calls):
            due = taken.first + i * taken.gap
            self._turns.append(Turn(due, due + PATIENCE * spare))

    async def _month_allows(self, priority: Priority, now: datetime) -> int | None:
        """How many calls this priority may still make; None without bound. Raises RateLimited for none."""
        if self._quota.per_month is None:
            return None
        state = await self._ledger.state(self.scope, now)
        left = self._quota.per_month - state.spent + len(self._turns)
        if priority > Priority.LIVE:
            left -= ceil(self._live_per_day * ((next_month(now) - now) / timedelta(days=1)))
        if left <= 0:
            kept = "" if priority <= Priority.LIVE else " beyond what live collection needs"
            raise RateLimited(
                self.scope,
                f"{state.spent} of {self._quota.per_month} calls of this month are spent; none left{kept}",
                (next_month(now) - now).total_seconds(),
            )
        return left

    def _drop_cancelled(self) -> None:
        while self._waiting and self._waiting[0][3].done():
            heapq.heappop(self._waiting)
