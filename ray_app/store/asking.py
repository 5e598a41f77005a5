"""One statement that is asked over and over: by the driver itself, on a connection of its own.

SQLAlchemy's way to a row of SQLite is some eight hand-overs to another thread, and many times as long as the one that
it takes.
"""

import asyncio
from contextlib import suppress
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from ray_app.store.engine import Database

PATIENCE = 5.0  # seconds for an answer


class Asking:
    """`statement` gives one number. Each asking sees what was committed before it; one at a time."""

    def __init__(self, database: Database, statement: str) -> None:
        self._database, self._statement = database, statement
        # ValueError is what aiosqlite says of a connection that is closed.
        self._errors = (SQLAlchemyError, database.engine.dialect.loaded_dbapi.Error, OSError, ValueError)
        self._connection: AsyncConnection | None = None
        self._driver: Any = None

    async def ask(self) -> int | None:
        """Raises StoreUnavailable."""
        try:
            async with asyncio.timeout(PATIENCE):
                found = await self._ask()
        except self._errors:  # the usual way opens anew, or says what is wrong
            await self.close()
            async with self._database.read() as connection:
                found = (await connection.execute(text(self._statement))).scalar()
        except BaseException:  # broken off in the middle: what would be answered next is anybody's guess
            await self.close()
            raise
        return None if found is None else int(found)

    async def close(self) -> None:
        """Hang up; asking again opens another connection."""
        driver, self._driver, self._connection = self._driver, None, None
        if driver is not None:
            with suppress(*self._errors):
                async with asyncio.timeout(PATIENCE):
                    await (driver.close() if self._database.is_sqlite else driver.ensure_closed())

    async def _ask(self) -> Any:
        if self._driver is None:
            await self._open()
        if self._database.is_sqlite:
            [row] = await self._driver.execute_fetchall(self._statement)
        else:
            cursor = self._driver.cursor()
            await cursor.execute(self._statement)
            row = await cursor.fetchone()
            await cursor.close()
        return row[0]

    async def _open(self) -> None:
        connection = await self._database.engine.connect()
        try:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            if not self._database.is_sqlite:
                await driver.autocommit(True)
            await connection.run_sync(lambda one: one.detach())  # the pool's are for transactions
        except BaseException:
            await connection.close()
            raise
        self._connection, self._driver = connection, driver
