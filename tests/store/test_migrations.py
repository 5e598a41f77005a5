import ast
import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

from ray_app.model.errors import WrongStore
from ray_app.store.engine import MIGRATIONS, VERSION_TABLE
from ray_app.store.store import Store
from ray_app.store.tables import metadata
from tests.servers import MariaDB
from tests.store.conftest import Open


def differences(connection: Connection) -> list[Any]:
    """What alembic would change to make the database fit the tables, types included."""
    options = {"compare_type": True, "version_table": VERSION_TABLE}
    return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)


def shape(connection: Connection) -> dict[str, list[tuple[str, str, bool]]]:
    found = inspect(connection)
    return {
        table: [(c["name"], str(c["type"]), c["nullable"]) for c in found.get_columns(table)]
        for table in sorted(found.get_table_names())
    }


async def run(store: Store, statement: str) -> None:
    async with store.database.write() as connection:
        await connection.execute(text(statement))


async def test_the_migrated_tables_are_those_that_the_code_speaks_of(node: Open):
    async with node.store.database.write() as connection:
        assert await connection.run_sync(differences) == []


async def test_numbers_and_times_have_the_columns_that_keep_them_exactly(node: Open):
    async with node.store.database.read() as connection:
        found = await connection.run_sync(shape)
    prices = {name: kind for name, kind, _ in found["prices"]}
    if node.store.database.is_sqlite:
        assert (prices["price"], prices["slot"]) == ("VARCHAR(80)", "BIGINT")
        return
    assert (prices["price"], prices["slot"]) == ("DECIMAL(65, 30)", "DATETIME")
    async with node.store.database.read() as connection:
        query = text(
            "SELECT DISTINCT DATETIME_PRECISION FROM information_schema.COLUMNS "
            "WHERE TABLE_SCHEMA = DATABASE() AND DATA_TYPE = 'datetime'"
        )
        assert (await connection.execute(query)).scalars().all() == [6]
        query = text(
            "SELECT DISTINCT ENGINE, TABLE_COLLATION FROM information_schema.TABLES "
            "WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME != :version"
        )
        rows = (await connection.execute(query, {"version": VERSION_TABLE})).all()
        assert [tuple(row) for row in rows] == [("InnoDB", "utf8mb4_bin")]


async def test_preparing_again_changes_nothing(node: Open, opened: Callable[..., Store]):
    async with node.store.database.read() as connection:
        before = await connection.run_sync(shape)
    counts = await node.counts()
    await opened().database.prepare(simulated=True)
    async with node.store.database.read() as connection:
        assert await connection.run_sync(shape) == before
    assert await node.counts() == counts


async def test_two_nodes_that_start_together_both_start(opened: Callable[..., Store]):
    one, other = opened(), opened()
    await asyncio.gather(one.database.prepare(simulated=True), other.database.prepare(simulated=True))
    assert await one.database.is_simulated()
    async with one.database.write() as connection:
        assert await connection.run_sync(differences) == []


async def test_a_foreign_table_of_the_same_name_stops_the_start_and_is_left_alone(
    opened: Callable[..., Store],
):
    store = opened()
    await run(store, "CREATE TABLE prices (id INTEGER PRIMARY KEY, usd DOUBLE)")
    await run(store, "INSERT INTO prices VALUES (1, 2.5)")
    with pytest.raises(WrongStore, match=r"already has the tables prices, which this node did not make"):
        await store.database.prepare(simulated=True)
    async with store.database.read() as connection:
        assert list(await connection.run_sync(shape)) == ["prices"]
        assert (await connection.execute(text("SELECT id, usd FROM prices"))).all() == [(1, 2.5)]


async def test_other_tables_of_the_database_are_left_alone(opened: Callable[..., Store]):
    store = opened()
    await run(store, "CREATE TABLE sentiment_of_old (id INTEGER PRIMARY KEY)")
    await run(store, "INSERT INTO sentiment_of_old VALUES (7)")
    await store.database.prepare(simulated=True)
    await store.database.prepare(simulated=True)
    async with store.database.read() as connection:
        assert (await connection.execute(text("SELECT id FROM sentiment_of_old"))).scalars().all() == [7]


@pytest.mark.parametrize("simulated", [True, False])
async def test_a_store_of_one_kind_of_data_never_takes_the_other(
    opened: Callable[..., Store], simulated: bool
):
    store = opened()
    await store.database.prepare(simulated=simulated)
    kind, other = ("simulated", "real") if simulated else ("real", "simulated")
    with pytest.raises(WrongStore, match=f"holds {kind} data and this start would add {other} data"):
        await opened().database.prepare(simulated=not simulated)
    assert await store.database.is_simulated() is simulated


async def test_a_store_that_was_never_prepared_is_no_store(opened: Callable[..., Store]):
    store = opened()
    with pytest.raises(WrongStore, match="start the node once"):
        await store.database.is_simulated()
    await run(store, "CREATE TABLE something_else (id INTEGER PRIMARY KEY)")
    with pytest.raises(WrongStore, match="start the node once"):
        await store.database.is_simulated()


CHANGED_BY_HAND = {
    "a column more": "ALTER TABLE prices ADD COLUMN source_name VARCHAR(20)",
    "a column less": "ALTER TABLE outbox DROP COLUMN count",
    "a table less": "DROP TABLE leases",
    "an index less": "DROP INDEX slices_by_time{on}",
}


@pytest.mark.parametrize("change", CHANGED_BY_HAND)
async def test_a_table_changed_by_hand_stops_the_start(node: Open, change: str):
    on = "" if node.store.database.is_sqlite else " ON slices"
    await run(node.store, CHANGED_BY_HAND[change].format(on=on))
    with pytest.raises(WrongStore, match=r"(missing|unknown); it was changed by hand or by a newer node"):
        await node.store.database.prepare(simulated=True)


@pytest.mark.mariadb
@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE prices MODIFY price DOUBLE NOT NULL",
        "ALTER TABLE prices MODIFY price DECIMAL(20, 8) NOT NULL",
        "ALTER TABLE prices MODIFY slot DATETIME NOT NULL",
    ],
)
async def test_a_column_that_would_round_stops_the_start(
    fresh_mariadb_database: str, tmp_path: Any, change: str
):
    store = Store(fresh_mariadb_database, str(tmp_path))
    try:
        await store.database.prepare(simulated=True)
        await run(store, change)
        with pytest.raises(WrongStore, match=r"prices\.(price|slot)"):
            await store.database.prepare(simulated=True)
    finally:
        await store.close()


async def test_a_store_of_a_newer_node_stops_the_start(node: Open):
    await run(node.store, f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(WrongStore, match="newer node"):
        await node.store.database.prepare(simulated=True)


async def test_the_store_that_tests_copy_is_the_one_that_a_start_makes(
    mariadb: MariaDB, fresh_mariadb_database: str, prepared_mariadb: list[str]
):
    name = fresh_mariadb_database.rpartition("/")[2]
    mariadb.execute(f"USE `{name}`", *prepared_mariadb)
    store = Store(fresh_mariadb_database, "unused")
    try:
        with pytest.raises(WrongStore, match="holds simulated data"):
            await store.database.prepare(simulated=False)
        await store.database.prepare(simulated=True)
    finally:
        await store.close()
    tables = [one for one in prepared_mariadb if one.startswith("CREATE")]
    assert len(tables) > len(metadata.tables)
    assert [one for one in mariadb.statements(name) if one.startswith("CREATE")] == tables


@pytest.mark.parametrize(
    "path", sorted((MIGRATIONS / "versions").glob("[a-z]*.py")), ids=lambda one: one.stem
)
def test_a_migration_only_adds(path: Path):
    """An upgrade runs two releases on one database: the older one writes to tables that the newer one migrated."""
    for call in (one for one in ast.walk(ast.parse(path.read_text())) if isinstance(one, ast.Call)):
        done = ast.unparse(call.func)
        if not done.startswith(("op.", "batch")):
            continue
        assert done in ("op.create_table", "op.create_index", "op.add_column", "op.execute"), ast.unparse(
            call
        )
        if done == "op.add_column":
            column = ast.unparse(call)
            assert "nullable=True" in column or "server_default" in column, column
