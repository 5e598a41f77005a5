"""The words of rate limiting: who may send one request when, and what an upstream's limit is known to be."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Protocol

from ray_app.model.source import Quota


class Priority(IntEnum):
    """Who goes first when turns are short."""

    PRESENT = 0  # what an upstream tells only now: missed, it is lost for ever
    LIVE = 1
    HEAL = 2
    BACKFILL = 3


@dataclass(frozen=True, slots=True)
class Turn:
    """Leave to send one request, not before and not after."""

    not_before: datetime
    expires: datetime


@dataclass(frozen=True, slots=True)
class Refusal:
    """An upstream said no for rate's sake: when, for how long (seconds), and the limit it stated, if any."""

    at: datetime
    retry_after: float | None = None
    stated: int | None = None


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a good answer said of the rate: the limit per window, and how many calls are left in this one."""

    at: datetime
    limit: int | None
    remaining: int | None


@dataclass(frozen=True, slots=True)
class Reserved:
    """Consecutive turns taken from the ledger: the first instant and the distance between them."""

    first: datetime
    gap: timedelta
    calls: int


@dataclass(frozen=True, slots=True)
class QuotaState:
    """The ledger's row. `learned` is a limit below the declared one that refusals have shown."""

    scope: str
    quota: Quota
    learned: int | None
    next_free: datetime
    month: str  # YYYY-MM, UTC
    spent: int

    @property
    def limit(self) -> int:
        """Calls per window in force."""
        return min(self.learned or self.quota.calls, self.quota.calls)

    def forecast(self, since: datetime, now: datetime) -> int | None:
        """Calls at the month's end if spending goes on as so far this month, or since `since` if that was later.

        None in the first hour: there is nothing to go by.
        """
        month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        elapsed = now - max(month, min(since, now))
        if elapsed < timedelta(hours=1):
            return None
        return self.spent + round(self.spent * ((next_month(now) - now) / elapsed))


class QuotaLedger(Protocol):
    """Where the truth about a quota lies; survives every keeper."""

    async def state(self, scope: str, now: datetime) -> QuotaState: ...
    async def reserve(self, scope: str, calls: int, now: datetime, slack: float) -> Reserved: ...
    async def refuse(self, scope: str, until: datetime, learned: int | None, now: datetime) -> None: ...


class Turns(Protocol):
    """What a client sees of a keeper, near or far."""

    async def turn(self, priority: Priority, before: datetime | None = None) -> Turn:
        """Wait for a turn; among equals the one that is needed `before` the others goes first."""

    async def refused(self, refusal: Refusal) -> None: ...
    async def told(self, allowance: Allowance) -> None: ...


def next_month(now: datetime) -> datetime:
    """The first instant of the next calendar month, when a monthly allowance is whole again."""
    first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + timedelta(days=32)).replace(day=1)
