"""What has changed in the store since it was last asked: numbers that each commit raises in its own transaction.

So a number that is unchanged says that nothing of its kind was committed since. A writer counts under its shard, whose
lease it holds until the commit anyway: no writer waits for another one's number.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import case, insert, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ray_app.store.asking import Asking
from ray_app.store.engine import Database
from ray_app.store.tables import changes

# What is no stream: what was declared, and what is worked out.
CATALOG, FEATURES, LINKS, SCORES = "catalog", "features", "links", "scores"
NOBODY = ""  # the shard of writers without a lease


@dataclass(frozen=True, slots=True)
class Seen:
    """How often each kind was committed to; a kind that never was is absent.

    `ahead`: the latest moment at which something of a kind becomes known, where it was noted: a replica whose clock is
    before it has rows that it may not tell yet.
    """

    total: int = -1
    numbers: Mapping[str, int] = field(default_factory=dict)
    ahead: Mapping[str, datetime] = field(default_factory=dict)


class Changes:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._total = Asking(database, "SELECT SUM(number) FROM changes")
        self._last = Seen()

    async def look(self) -> Seen:
        """As the store stands now; the same object as before while nothing was committed. One at a time.

        One statement, and a second one after a commit. Raises StoreUnavailable.
        """
        if (await self._total.ask() or 0) == self._last.total:
            return self._last
        async with self._database.read() as connection:
            rows = (await connection.execute(select(changes.c.what, changes.c.number, changes.c.ahead))).all()
        numbers: dict[str, int] = {}
        ahead: dict[str, datetime] = {}
        for row in rows:
            numbers[row.what] = numbers.get(row.what, 0) + row.number
            if row.ahead is not None:
                ahead[row.what] = max(row.ahead, ahead.get(row.what, row.ahead))
        # Of the rows: if a commit came between the two statements, its number is among them.
        self._last = Seen(sum(numbers.values()), numbers, ahead)
        return self._last

    async def close(self) -> None:
        await self._total.close()


async def note(connection: AsyncConnection, shard: str, what: Mapping[str, datetime | None]) -> None:
    """Count these once more, in the transaction that changes them and under the lease of the shard.

    With each kind the latest moment at which something new of it is known; None where that is when it is committed.
    """
    for name, moment in what.items():
        values: dict[str, Any] = {"number": changes.c.number + 1}
        if moment is not None:
            later = or_(changes.c.ahead.is_(None), changes.c.ahead < moment)
            values["ahead"] = case((later, literal(moment, changes.c.ahead.type)), else_=changes.c.ahead)
        raised = update(changes).where(changes.c.shard == shard, changes.c.what == name).values(**values)
        if (await connection.execute(raised)).rowcount == 0:
            new = {"shard": shard, "what": name, "number": 1, "ahead": moment}
            await connection.execute(insert(changes).values(**new))
