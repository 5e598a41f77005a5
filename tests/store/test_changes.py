"""The numbers of commits: raised with what is committed, at once and for everybody, by every writer."""

import ast
import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

import ray_app.store
from ray_app.model.collected import Collected, Lease
from ray_app.model.errors import Fenced, StoreUnavailable
from ray_app.store import leases
from ray_app.store.changes import CATALOG, FEATURES, Seen, note
from ray_app.store.store import Store
from tests.servers import MariaDB
from tests.store.conftest import Open
from tests.store.made import MINUTE, SLOT, T0, collected, price

STREAM = "coingecko.prices"


def polled(n: int) -> Collected:
    return collected([price("bitcoin", "1", T0 + n * SLOT)])


# Transactions that change nothing of what an answer about now is made of.
QUIET_FILES = {
    "clusters.py", "engine.py", "exports.py", "forgetting.py", "keys.py", "leases.py", "llm_spend.py", "outbox.py",
    "quota.py", "secret.py",
}  # fmt: skip
QUIET = {
    ("catalog.py", "_report"),  # how collectors do
    ("catalog.py", "write_backfill"),
    ("facts.py", "commit"),  # `_commit` counts
    ("texts.py", "checked"),  # when posts are to be looked for again
    ("texts.py", "forget_set_aside"),
    ("vectors.py", "publish_skew"),
}


async def test_a_commit_is_counted_with_what_it_brings(node: Open, opened: Callable[..., Store]):
    reader = opened()
    assert await reader.changes.look() == Seen(0, {}, {})
    await node.commit(polled(0))
    first = await reader.changes.look()
    assert first.numbers == {STREAM: 1}
    assert await reader.changes.look() is first
    await node.commit(polled(0))  # the same pages: nothing is added
    assert await reader.changes.look() is first
    await node.commit(polled(1))
    assert (await reader.changes.look()).numbers == {STREAM: 2}
    await node.store.catalog.declare({"a": {"b": 1}}, T0)
    await node.store.catalog.declare({"a": {"b": 1}}, T0 + MINUTE)
    assert (await reader.changes.look()).numbers == {STREAM: 2, CATALOG: 1}
    await node.store.vectors.declare("set", ["x"], lambda: T0, 0, node.lease)
    assert (await reader.changes.look()).numbers == {STREAM: 2, CATALOG: 1, FEATURES: 1}


async def test_what_is_not_committed_is_not_counted(node: Open, opened: Callable[..., Store]):
    reader = opened()
    before = await reader.changes.look()

    async def broken_off() -> None:
        async with node.store.database.write() as connection:
            await note(connection, "shard", {STREAM: None})
            assert await reader.changes.look() is before
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await broken_off()
    assert await reader.changes.look() is before
    old = Lease("shard", "me", node.lease.fence - 1)
    with pytest.raises(Fenced):
        await node.store.commit([polled(0)], old)
    assert await reader.changes.look() is before


async def test_shards_count_by_themselves_and_wait_for_nobody(node: Open, opened: Callable[..., Store]):
    stores = [opened() for _ in range(3)]
    held = [await store.leases.acquire(f"shard {n}", "me") for n, store in enumerate(stores)]

    async def write(store: Store, lease: Lease | None) -> None:
        assert lease is not None
        for _ in range(10):
            async with store.database.write() as connection:
                await leases.check(connection, lease)
                await note(connection, lease.shard, {STREAM: None, FEATURES: None})

    await asyncio.gather(*(write(store, lease) for store, lease in zip(stores, held, strict=True)))
    seen = await node.store.changes.look()
    assert (seen.total, seen.numbers) == (60, {STREAM: 30, FEATURES: 30})


@pytest.mark.mariadb  # SQLite has one writer
async def test_an_open_transaction_of_another_shard_holds_nobody_up(
    fresh_mariadb_database: str, tmp_path: Path
):
    store, other = (Store(fresh_mariadb_database, str(tmp_path / "raw")) for _ in range(2))
    await store.database.prepare(simulated=True)
    mine, its = await store.leases.acquire("mine", "me"), await other.leases.acquire("its", "it")
    assert mine is not None
    assert its is not None
    async with other.database.write() as connection:
        await leases.check(connection, its)
        await note(connection, its.shard, {STREAM: None})
        async with asyncio.timeout(5):
            await store.commit([polled(0)], mine)
        assert (await store.changes.look()).numbers == {STREAM: 1}
    assert (await store.changes.look()).numbers == {STREAM: 2}
    await store.close()
    await other.close()


async def test_the_latest_moment_of_a_kind_is_told(node: Open):
    for shard, moment in (("a", T0), ("b", T0 + MINUTE), ("a", None), ("a", T0 + 2 * MINUTE), ("a", T0)):
        async with node.store.database.write() as connection:
            await note(connection, shard, {STREAM: moment})
    assert (await node.store.changes.look()).ahead == {STREAM: T0 + 2 * MINUTE}


async def test_asking_opens_nothing_and_begins_nothing(node: Open, monkeypatch: pytest.MonkeyPatch):
    first = await node.store.changes.look()
    pool: Any = node.store.database.engine.pool
    assert pool.checkedout() == 0

    def refuse(*_: Any) -> None:
        raise AssertionError("opened")

    monkeypatch.setattr(node.store.database, "read", refuse)
    for _ in range(3):
        assert await node.store.changes.look() is first


async def test_a_connection_that_ended_is_opened_again(node: Open, monkeypatch: pytest.MonkeyPatch):
    first = await node.store.changes.look()
    driver = node.store.changes._total._driver
    await (driver.close() if node.store.database.is_sqlite else driver.ensure_closed())
    assert await node.store.changes.look() is first
    with monkeypatch.context() as patched:
        patched.setattr(node.store.database, "read", None)
        assert await node.store.changes.look() is first, "by the driver again"
    await node.commit(polled(0))
    assert (await node.store.changes.look()).numbers == {STREAM: 1}
    asked = asyncio.create_task(node.store.changes.look())
    await asyncio.sleep(0)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    await node.commit(polled(1))
    assert (await node.store.changes.look()).numbers == {STREAM: 2}


@pytest.mark.mariadb
async def test_a_database_that_is_away_is_a_store_that_is_unavailable(
    mariadb: MariaDB, fresh_mariadb_database: str
):
    store = Store(fresh_mariadb_database, "unused")
    await store.database.prepare(simulated=True)
    before = await store.changes.look()
    with mariadb.outage():
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                await store.changes.look()
    assert await store.changes.look() is before
    async with store.database.write() as connection:
        await connection.execute(text("INSERT INTO changes VALUES ('a', 'b', 1, NULL)"))
    assert (await store.changes.look()).numbers == {"b": 1}
    await store.close()


def test_every_writer_counts_what_it_changes():
    silent = set()
    for path in sorted(Path(ray_app.store.__path__[0]).glob("*.py")):
        for one in ast.walk(ast.parse(path.read_text())):
            if isinstance(one, ast.AsyncFunctionDef):
                calls = [call.func for call in ast.walk(one) if isinstance(call, ast.Call)]
                names = {call.attr for call in calls if isinstance(call, ast.Attribute)}
                if "write" in names and "note" not in names and path.name not in QUIET_FILES:
                    silent.add((path.name, one.name))
    assert silent == QUIET
