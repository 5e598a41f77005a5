"""Open the database, bring it to our shape, and say what its failures mean.

SQLite (one file, WAL, full sync) on a laptop; MariaDB or MySQL through asyncmy in production.
Writing transactions on SQLite take the write lock at once, so that two writers wait instead of failing.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event, inspect, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from ray_app.model.errors import StoreUnavailable, WrongStore
from ray_app.store.shape import differences
from ray_app.store.tables import metadata, node

MIGRATIONS = Path(__file__).parent / "migrations"
VERSION_TABLE = "crypto_data_version"
RESTORING = "crypto_data_restore_under_way"  # a table without rows, there until a restore is compared
BUSY_SECONDS = 15
START_SECONDS = 60  # that a start waits for another one's migrations


class Database:
    """One SQL database. `read()` and `write()` give a transaction; its failures are StoreUnavailable."""

    def __init__(self, url: str, pool: int = 5) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        options: dict[str, Any] = (
            {"connect_args": {"timeout": BUSY_SECONDS}}
            if self.is_sqlite
            else {
                "pool_pre_ping": True,
                "pool_recycle": 1800,
                "connect_args": {"connect_timeout": 5},
            }
        )
        self.engine: AsyncEngine = create_async_engine(
            self.url,
            pool_size=pool,
            max_overflow=0,
            pool_timeout=30,
            poolclass=AsyncAdaptedQueuePool,
            hide_parameters=True,  # an error that is logged must not quote a text
            **options,
        )
        if self.is_sqlite:
            event.listen(self.engine.sync_engine, "connect", _sqlite_connect)
            event.listen(self.engine.sync_engine, "begin", _sqlite_begin)
        else:
            event.listen(self.engine.sync_engine, "connect", _mysql_connect)
        self._writer = self.engine.execution_options(crypto_data_writes=True)
        # SQLite has one writer: queueing here is fair, its own busy handler sleeps and polls.
        self._turn: Any = asyncio.Lock() if self.is_sqlite else nullcontext()

    @property
    def shown(self) -> str:
        """The address without its password, for messages."""
        return self.url.render_as_string(hide_password=True)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        with self._failures():
            async with self.engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction: committed at the end, rolled back when anything is raised."""
        with self._failures():
            async with self._turn, self._writer.begin() as connection:
                yield connection

    async def close(self) -> None:
        await self.engine.dispose()

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except (OperationalError, InterfaceError) as error:
            raise StoreUnavailable(f"{self.shown}: {_first_line(error)}") from error
        except DBAPIError as error:
            if error.connection_invalidated:
                raise StoreUnavailable(f"{self.shown}: {_first_line(error)}") from error
            raise
        except (OSError, TimeoutError) as error:
            raise StoreUnavailable(f"{self.shown}: {error}") from error
        except SQLAlchemyError as error:
            if type(error).__name__ == "TimeoutError":  # the pool's own
                raise StoreUnavailable(f"{self.shown}: {error}") from error
            raise

    async def prepare(self, *, simulated: bool) -> None:
        """Migrate to our shape and stamp the store real or simulated.

        Raises WrongStore when a table of ours exists with another shape, or the stamp differs.
        """
        async with self._alone(), self.write() as connection:
            await connection.run_sync(self._migrate)
            await self._stamp(connection, "simulated" if simulated else "real")

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Nobody else prepares meanwhile. MariaDB commits each table by itself: a transaction is no lock."""
        if self.is_sqlite:
            yield
            return
        lock = {"name": f"crypto-data {self.url.database}"[:64], "seconds": START_SECONDS}
        async with self.read() as connection:  # one of its own: the lock must outlive the commit
            if (await connection.execute(text("SELECT GET_LOCK(:name, :seconds)"), lock)).scalar() != 1:
                raise StoreUnavailable(f"{self.shown}: another start has been at it for {START_SECONDS} s")
            try:
                yield
            finally:
                await connection.execute(text("SELECT RELEASE_LOCK(:name)"), lock)

    async def _stamp(self, connection: AsyncConnection, kind: str) -> None:
        found = (await connection.execute(select(node.c.value).where(node.c.name == "kind"))).scalar()
        if found is None:
            await connection.execute(node.insert().values(name="kind", value=kind))
        elif found != kind:
            raise WrongStore(
                f"{self.shown} holds {found} data and this start would add {kind} data: "
                "use another database, or change the setting `upstreams`"
            )

    def _migrate(self, connection: Connection) -> None:
        from alembic.util import CommandError  # here, since only a start needs it

        present = set(inspect(connection).get_table_names())
        self._refuse_half_restored(present)
        if VERSION_TABLE not in present and (ours := present & set(metadata.tables)):
            raise WrongStore(
                f"{self.shown} already has the tables {', '.join(sorted(ours))}, "
                "which this node did not make: give it an empty database, or rename them"
            )
        try:
            _upgrade(connection, "head")
        except CommandError as error:
            raise WrongStore(f"{self.shown} was made by a newer node: {error}") from error
        if found := differences(connection, VERSION_TABLE):
            raise WrongStore(
                f"{self.shown} has another shape: {'; '.join(found)}; "
                "it was changed by hand or by a newer node"
            )

    async def is_simulated(self) -> bool:
        """Which of the two kinds of data this store holds. Raises WrongStore when it was never prepared."""
        if self.is_sqlite and not Path(self.url.database or "").exists():  # noqa: ASYNC240  # once, at a start
            raise WrongStore(
                f"there is no store at {self.url.database}: start the node once (crypto-data up)"
            )
        async with self.read() as connection:
            present = await connection.run_sync(lambda c: set(inspect(c).get_table_names()))
            self._refuse_half_restored(present)
            prepared = node.name in present
            query = select(node.c.value).where(node.c.name == "kind")
            kind = (await connection.execute(query)).scalar() if prepared else None
        if kind is None:
            raise WrongStore(f"{self.shown} is empty: start the node once (crypto-data up)")
        return bool(kind == "simulated")

    def _refuse_half_restored(self, present: set[str]) -> None:
        if RESTORING in present:
            raise WrongStore(
                f"{self.shown} was being restored and that did not end: empty it and restore again"
            )

    @asynccontextmanager
    async def restoring(self, revision: str) -> AsyncIterator[None]:
        """Make the tables of a migration in an empty database; no node starts on it until the block has ended well."""
        async with self._alone(), self.write() as connection:
            await connection.exec_driver_sql(f"CREATE TABLE {RESTORING} (id INTEGER)")
            await connection.run_sync(_upgrade, revision)
        yield
        async with self.write() as connection:
            await connection.exec_driver_sql(f"DROP TABLE {RESTORING}")

    async def migration(self) -> tuple[str | None, str]:
        """The migration that the tables have, and the last one of this release. Raises StoreUnavailable."""
        from alembic.script import ScriptDirectory  # here, since few processes ask

        async with self.read() as connection:
            there = await connection.run_sync(_version)
        return there, ScriptDirectory(str(MIGRATIONS)).get_current_head() or ""

    async def newer(self) -> str:
        """What a newer node made of the tables; "" where they are what this release knows. Raises StoreUnavailable."""
        async with self.read() as connection:
            there = await connection.run_sync(_version)
        return "" if there is None or there in known_versions() else f"migrated to {there} by a newer release"


def _upgrade(connection: Connection, revision: str) -> None:
    from alembic import command  # here, since only a start needs it
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


@cache
def known_versions() -> frozenset[str]:
    """The migrations that this release has."""
    from alembic.script import ScriptDirectory  # here, since few processes ask

    return frozenset(one.revision for one in ScriptDirectory(str(MIGRATIONS)).walk_revisions())


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found: str | None = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608  # a constant
    return found


def _first_line(error: BaseException) -> str:
    return str(getattr(error, "orig", None) or error).splitlines()[0][:300]


def _sqlite_connect(dbapi: Any, _: Any) -> None:
    dbapi.isolation_level = None  # we say BEGIN ourselves
    cursor = dbapi.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "secure_delete=ON",  # a text that was deleted must not live on in a free page
        f"busy_timeout={BUSY_SECONDS * 1000}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _sqlite_begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("crypto_data_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _mysql_connect(dbapi: Any, _: Any) -> None:
    cursor = dbapi.cursor()
    cursor.execute(
        "SET SESSION time_zone='+00:00', "
        "sql_mode='STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'"
    )
    cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
    cursor.close()


def dumps(value: Any) -> str:
    """Compact JSON with sorted keys: the same value is the same text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
