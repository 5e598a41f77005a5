"""The money row of an upstream that charges by the token: what the month has spent, set aside before each request.

Whoever reserves first has it: the condition is in the UPDATE itself, so that two shards never spend the same
dollar. A reservation that nobody settles, after a crash, stays spent.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from ray_app.model.money import Reservation, Spending, short_of
from ray_app.store.engine import Database
from ray_app.store.tables import llm_spend

row_of = llm_spend.c
OPEN: dict[str, Any] = {"closed": None, "closed_at": None, "closed_until": None}
LONGEST_REASON = 300


class LlmSpend:
    """The purse of every scope. Raises KeyError for a scope that was never declared."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def declare(self, scope: str, budget: int, now: datetime) -> None:
        """Make the scope's row or bring its budget up to date; what is spent stays. Another budget opens it."""
        try:
            await self._declare(scope, budget, now)
        except IntegrityError:  # somebody else made the row just now
            await self._declare(scope, budget, now)

    async def _declare(self, scope: str, budget: int, now: datetime) -> None:
        async with self._database.write() as connection:
            row = (await connection.execute(select(llm_spend).where(row_of.scope == scope))).one_or_none()
            if row is None:
                none = {"spent": 0, "requests": 0, "settled": 0}
                fresh = {
                    "scope": scope,
                    "month": f"{now:%Y-%m}",
                    "budget": budget,
                    "is_on": True,
                    **none,
                    **OPEN,
                }
                await connection.execute(insert(llm_spend).values(**fresh))
                return
            opened = OPEN if row.budget != budget else {}
            changed = update(llm_spend).where(row_of.scope == scope)
            await connection.execute(changed.values(budget=budget, is_on=True, **opened))

    async def retire(self) -> None:
        """The settings ask no such upstream any more."""
        async with self._database.write() as connection:
            await connection.execute(update(llm_spend).where(row_of.is_on).values(is_on=False))

    async def state(self, scope: str, now: datetime) -> Spending:
        async with self._database.read() as connection:
            row = (await connection.execute(select(llm_spend).where(row_of.scope == scope))).one_or_none()
        if row is None:
            raise KeyError(f"no money is declared for {scope!r} in this store")
        return _state(row, now)

    async def states(self, now: datetime) -> list[Spending]:
        """Of all scopes that the present settings ask."""
        async with self._database.read() as connection:
            rows = await connection.execute(select(llm_spend).where(row_of.is_on).order_by(row_of.scope))
            return [_state(row, now) for row in rows]

    async def reserve(self, scope: str, amount: int, now: datetime) -> Reservation:
        """Set money of this month aside. Raises Unpaid when there is not so much."""
        async with self._database.write() as connection:
            month = await self._month(connection, scope, now)
            paid = (
                update(llm_spend)
                .where(row_of.scope == scope, row_of.month == month, row_of.spent + amount <= row_of.budget)
                .values(spent=row_of.spent + amount, requests=row_of.requests + 1)
            )
            if (await connection.execute(paid)).rowcount == 1:
                return Reservation(month, amount)
        raise short_of(await self.state(scope, now), amount)

    async def settle(self, scope: str, reserved: Reservation, cost: int) -> None:
        """What the request cost takes the place of what was set aside. Of a month that is over nothing is left."""
        done = (
            update(llm_spend)
            .where(row_of.scope == scope, row_of.month == reserved.month)
            .values(spent=row_of.spent - reserved.amount + cost, settled=row_of.settled + 1)
        )
        async with self._database.write() as connection:
            await connection.execute(done)

    async def close(self, scope: str, reason: str, until: datetime, now: datetime) -> None:
        """Ask nothing before `until`, and tell why."""
        shut = {"closed": reason[:LONGEST_REASON], "closed_at": now, "closed_until": until}
        async with self._database.write() as connection:
            await connection.execute(update(llm_spend).where(row_of.scope == scope).values(**shut))

    async def open(self, scope: str) -> None:
        """It answers again."""
        async with self._database.write() as connection:
            await connection.execute(update(llm_spend).where(row_of.scope == scope).values(**OPEN))

    async def _month(self, connection: AsyncConnection, scope: str, now: datetime) -> str:
        """The month that is paid from; a new one begins with nothing spent. A clock never leads back."""
        row = (await connection.execute(select(row_of.month).where(row_of.scope == scope))).one_or_none()
        if row is None:
            raise KeyError(f"no money is declared for {scope!r} in this store")
        month, known = f"{now:%Y-%m}", str(row.month)
        if month <= known:
            return known
        begin = update(llm_spend).where(row_of.scope == scope, row_of.month == known)
        await connection.execute(begin.values(month=month, spent=0, requests=0, settled=0, **OPEN))
        return month


def _state(row: Any, now: datetime) -> Spending:
    month = f"{now:%Y-%m}"
    over = month > row.month
    return Spending(
        scope=row.scope,
        month=max(month, row.month),
        budget=row.budget,
        spent=0 if over else row.spent,
        requests=0 if over else row.requests,
        unsettled=0 if over else row.requests - row.settled,
        closed=None if over else row.closed,
        closed_at=None if over else row.closed_at,
        closed_until=None if over else row.closed_until,
        on=row.is_on,
    )
