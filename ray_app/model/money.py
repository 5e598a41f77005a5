"""Money for an upstream that charges by what a request holds: prices, what a request costs, the purse that pays.

Money is counted in whole nanodollars: a token costs a hundred of them or so, and whole numbers add up alike
everywhere. Nothing here knows a price: the operator declares them.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, Decimal
from typing import Protocol

from ray_app.model.errors import Unpaid

NANO = 1_000_000_000  # nanodollars of a dollar


def nanodollars(dollars: Decimal) -> int:
    """Whole ones; what is less than one is left out."""
    return int(dollars * NANO)


def dollars(nano: int) -> Decimal:
    """Exact, in the usual form: 1.5, not 1.500000000."""
    return Decimal(nano) / NANO


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request, as the upstream counts them."""

    prompt: int
    completion: int  # those that a model thinks with included


@dataclass(frozen=True, slots=True)
class Prices:
    """US dollars for a million tokens."""

    prompt: Decimal
    completion: Decimal

    def cost(self, usage: Usage) -> int:
        """Nanodollars, rounded up."""
        exact = (self.prompt * usage.prompt + self.completion * usage.completion) * (NANO // 1_000_000)
        return int(exact.to_integral_value(ROUND_CEILING))


@dataclass(frozen=True, slots=True)
class Reservation:
    """Money set aside for one request, in nanodollars, of a month."""

    month: str  # YYYY-MM, UTC
    amount: int


@dataclass(frozen=True, slots=True)
class Spending:
    """How a month's money stands, in nanodollars. What is set aside counts as spent until it is settled."""

    scope: str
    month: str
    budget: int
    spent: int
    requests: int  # that money was set aside for
    unsettled: int  # of them, those under way, or cut off by a crash: their whole reservation stays spent
    closed: str | None  # why nothing is asked, though there is money
    closed_at: datetime | None
    closed_until: datetime | None
    on: bool  # whether the present settings ask this upstream at all

    @property
    def left(self) -> int:
        return max(0, self.budget - self.spent)

    def is_closed(self, now: datetime) -> bool:
        return self.closed_until is not None and now < self.closed_until


def short_of(state: Spending, amount: int) -> Unpaid:
    """The error for a month that has not so much left."""
    return Unpaid(
        state.scope,
        f"${dollars(state.left):f} of this month's ${dollars(state.budget):f} are left, "
        f"and a request may cost ${dollars(amount):f}",
    )


class Purse(Protocol):
    """Where the truth about the money lies; survives whoever spends it."""

    async def state(self, scope: str, now: datetime) -> Spending: ...

    async def reserve(self, scope: str, amount: int, now: datetime) -> Reservation:
        """Set money aside before a request. Raises Unpaid when the month has not so much left."""
        ...

    async def settle(self, scope: str, reserved: Reservation, cost: int) -> None:
        """Tell what the request cost in the end."""
        ...
