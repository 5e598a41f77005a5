"""A store on either database: an empty SQLite file, or an empty database on a real MariaDB."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import func, select

from ray_app.model.collected import Collected, Lease
from ray_app.store.facts import Committed
from ray_app.store.store import Store
from ray_app.store.tables import metadata
from tests.servers import MariaDB


@dataclass
class Open:
    """A prepared store with a lease on one shard."""

    store: Store
    lease: Lease

    async def commit(self, *collected: Collected) -> Committed:
        return await self.store.commit(collected, self.lease)

    async def counts(self) -> dict[str, int]:
        """Rows per table, of the tables that have any."""
        out = {}
        async with self.store.database.read() as connection:
            for name, table in metadata.tables.items():
                out[name] = (await connection.execute(select(func.count()).select_from(table))).scalar_one()
        return {name: count for name, count in out.items() if count}


@pytest.fixture(params=["sqlite", pytest.param("mariadb", marks=pytest.mark.mariadb)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/node.db"
    url: str = request.getfixturevalue("fresh_mariadb_database")
    return url


@pytest.fixture(scope="session")
def prepared_mariadb(mariadb: MariaDB) -> Iterator[list[str]]:
    """The statements that make a prepared store without data in a new database of MariaDB."""
    mariadb.start()
    name = f"prepared_{os.getpid()}"
    url = mariadb.create_database(name)

    async def prepare() -> None:
        store = Store(url, "unused")
        await store.database.prepare(simulated=True)
        await store.close()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(prepare())).result()
    yield mariadb.statements(name)
    mariadb.start()
    mariadb.drop_database(name)


@pytest.fixture
async def opened(database_url: str, tmp_path: Path) -> AsyncIterator[Callable[..., Store]]:
    """Open the database any number of times, as several processes would."""
    async with AsyncExitStack() as stack:

        def another(folder: str = "raw") -> Store:
            store = Store(database_url, str(tmp_path / folder))
            stack.push_async_callback(store.close)
            return store

        yield another


@pytest.fixture
async def node(opened: Callable[..., Store], prepared_sqlite: Path, request: pytest.FixtureRequest) -> Open:
    store = opened()
    if store.database.is_sqlite:
        shutil.copy(prepared_sqlite, str(store.database.url.database))
    else:
        again: list[str] = request.getfixturevalue("prepared_mariadb")
        mariadb: MariaDB = request.getfixturevalue("mariadb")
        mariadb.execute(f"USE `{store.database.url.database}`", *again)
    lease = await store.leases.acquire("shard", "me")
    assert lease is not None
    return Open(store, lease)
