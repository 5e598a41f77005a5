"""What the tests of the keeper share: an upstream that counts strictly, clients, a ledger far away."""

import asyncio
from collections import deque
from datetime import UTC, datetime, timedelta

from ray_app.connect.keeper import Keeper
from ray_app.model.clock import ManualClock
from ray_app.model.quota import Priority, QuotaState, Refusal, Reserved
from ray_app.model.source import Quota
from ray_app.store.quota import Quotas

T0 = datetime(2026, 3, 1, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LIVE, HEAL, BACKFILL = Priority.LIVE, Priority.HEAL, Priority.BACKFILL
THIRTY = Quota(30, MINUTE)


class Upstream:
    """A strict rolling window over all arrivals, refused ones too, as CoinGecko counts."""

    def __init__(self, limit: int, per: timedelta = MINUTE) -> None:
        self.limit, self.per = limit, per
        self.arrived: list[datetime] = []
        self.refusals: list[datetime] = []
        self._recent: deque[datetime] = deque()

    def accepts(self, now: datetime) -> bool:
        while self._recent and self._recent[0] <= now - self.per:
            self._recent.popleft()
        self._recent.append(now)
        self.arrived.append(now)
        if len(self._recent) > self.limit:
            self.refusals.append(now)
            return False
        return True


def most_in_a_window(sent: list[datetime], per: timedelta = MINUTE) -> int:
    """The largest number of calls in any half-open window that begins with a call."""
    return max(sum(first <= at < first + per for at in sent[i:]) for i, first in enumerate(sent))


async def ask(keeper: Keeper, upstream: Upstream, until: datetime) -> None:
    """One client: it sends as soon as it may, and reports each refusal.

    The turn tells when: a manual clock may be at the next one's time already.
    """
    while True:
        turn = await keeper.turn(LIVE)
        if turn.not_before >= until:
            return
        if not upstream.accepts(turn.not_before):
            await keeper.refused(Refusal(turn.not_before))


async def eight_clients(keeper: Keeper, clock: ManualClock, upstream: Upstream, lasting: timedelta) -> None:
    until = clock.now() + lasting
    await asyncio.gather(*(ask(keeper, upstream, until) for _ in range(8)))


class Slow:
    """The ledger as it is over a network: each call takes its time, and may be stopped in the middle."""

    def __init__(self, ledger: Quotas) -> None:
        self._ledger = ledger
        self.open = asyncio.Event()
        self.open.set()
        self.reached = asyncio.Event()

    async def _pass(self) -> None:
        self.reached.set()
        await self.open.wait()

    async def state(self, scope: str, now: datetime) -> QuotaState:
        return await self._ledger.state(scope, now)

    async def reserve(self, scope: str, calls: int, now: datetime, slack: float) -> Reserved:
        taken = await self._ledger.reserve(scope, calls, now, slack)
        await self._pass()
        return taken

    async def refuse(self, scope: str, until: datetime, learned: int | None, now: datetime) -> None:
        await self._ledger.refuse(scope, until, learned, now)
