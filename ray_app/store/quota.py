"""The quota rows: limit, next free instant and the month's spending, advanced by conditional update."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from ray_app.model.errors import StoreUnavailable
from ray_app.model.quota import QuotaState, Reserved
from ray_app.model.source import Quota
from ray_app.store.engine import Database
from ray_app.store.tables import quotas

LEARNED_FOR = timedelta(hours=24)  # then the declared limit is tried again
TRIES = 50


class Quotas:
    """The ledger behind every keeper. Raises KeyError for a scope that was never declared."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def declare(self, scope: str, quota: Quota, now: datetime) -> None:
        """Make the scope's row, or bring its declared limits up to date; what is spent and learned stays."""
        try:
            await self._declare(scope, quota, now)
        except IntegrityError:  # somebody else made the row just now
            await self._declare(scope, quota, now)

    async def _declare(self, scope: str, quota: Quota, now: datetime) -> None:
        declared = {
            "calls": quota.calls,
            "per_seconds": int(quota.per.total_seconds()),
            "per_month": quota.per_month,
        }
        async with self._database.write() as connection:
            row = (
                await connection.execute(select(quotas.c.version).where(quotas.c.scope == scope))
            ).one_or_none()
            if row is None:
                fresh = {"next_free": now, "month": f"{now:%Y-%m}", "spent": 0, "version": 1}
                await connection.execute(insert(quotas).values(scope=scope, **declared, **fresh))
            else:
                await connection.execute(
                    update(quotas)
                    .where(quotas.c.scope == scope)
                    .values(**declared, version=quotas.c.version + 1)
                )

    async def state(self, scope: str, now: datetime) -> QuotaState:
        async with self._database.read() as connection:
            return _state(await self._row(connection, scope), now)

    async def states(self, now: datetime) -> list[QuotaState]:
        async with self._database.read() as connection:
            return [
                _state(row, now) for row in await connection.execute(select(quotas).order_by(quotas.c.scope))
            ]

    async def reserve(self, scope: str, calls: int, now: datetime, slack: float) -> Reserved:
        """Take `calls` turns in a row, `slack` times the even distance apart; they are spent from now on."""
        for _ in range(TRIES):
            async with self._database.write() as connection:
                row = await self._row(connection, scope)
                state = _state(row, now)
                gap = state.quota.per / state.limit * slack
                first = max(state.next_free, now)
                values = {
                    "next_free": first + calls * gap,
                    "month": state.month,
                    "spent": state.spent + calls,
                    "learned": state.learned,
                }
                if await self._swap(connection, row, values):
                    return Reserved(first, gap, calls)
        raise StoreUnavailable(f"the quota row of {scope} was changed by others {TRIES} times in a row")

    async def refuse(self, scope: str, until: datetime, learned: int | None, now: datetime) -> None:
        """Hand out nothing before `until`; keep to `learned` calls per window for a day (None: as before)."""
        for _ in range(TRIES):
            async with self._database.write() as connection:
                row = await self._row(connection, scope)
                values: dict[str, Any] = {"next_free": max(row.next_free, until)}
                if learned is not None:
                    values |= {"learned": learned, "learned_at": now}
                if await self._swap(connection, row, values):
                    return
        raise StoreUnavailable(f"the quota row of {scope} was changed by others {TRIES} times in a row")

    async def _row(self, connection: Any, scope: str) -> Any:
        row = (await connection.execute(select(quotas).where(quotas.c.scope == scope))).one_or_none()
        if row is None:
            raise KeyError(f"no quota scope {scope!r} is declared in this store")
        return row

    async def _swap(self, connection: Any, row: Any, values: dict[str, Any]) -> bool:
        try:
            done = await connection.execute(
                update(quotas)
                .where(quotas.c.scope == row.scope, quotas.c.version == row.version)
                .values(**values, version=row.version + 1)
            )
        except IntegrityError:
            return False
        return bool(done.rowcount == 1)


def _state(row: Any, now: datetime) -> QuotaState:
    month = f"{now:%Y-%m}"
    learned = row.learned if row.learned_at is not None and now - row.learned_at < LEARNED_FOR else None
    return QuotaState(
        scope=row.scope,
        quota=Quota(row.calls, timedelta(seconds=row.per_seconds), row.per_month),
        learned=learned,
        next_free=row.next_free,
        month=max(month, row.month),
        spent=row.spent if month <= row.month else 0,
    )
