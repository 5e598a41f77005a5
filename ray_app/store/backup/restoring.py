"""Restore a backup into an empty database and an empty folder, and hold what is there then against the manifest.

Until all is compared the database says that a restore is under way, and no node starts on it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import inspect, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ray_app.model.errors import WrongStore
from ray_app.store.backup.rows import Reading, read_rows, table_of
from ray_app.store.backup.saving import snapshot
from ray_app.store.backup.target import Backup, BackupError, Target
from ray_app.store.engine import Database, known_versions
from ray_app.store.redacting import page_id
from ray_app.store.store import Store
from ray_app.store.tables import pages

BATCH = 1000  # rows of an INSERT


@dataclass(frozen=True, slots=True)
class Restored:
    """The receipt: what was compared and found equal."""

    name: str
    as_of: datetime
    release: str
    migration: str
    tables: dict[str, int]  # rows, each table's checksum equal
    files: int  # each with the SHA-256 that it had
    pages: int  # that rows name, each of them there


async def restore(target: Target, backup: Backup, store: Store) -> Restored:
    """Fill `store`. Raises BackupError before anything is written where the backup cannot be used, and when what was
    written differs; WrongStore where something is there already; StoreUnavailable.
    """
    manifest = await asyncio.to_thread(target.manifest, backup)
    if manifest["migration"] not in known_versions():
        raise BackupError(
            f"{backup.name} has tables of migration {manifest['migration']}, which this release does not know: "
            f"restore it with release {manifest['release']} or a newer one"
        )
    await _refuse_unless_empty(store)
    async with store.database.restoring(manifest["migration"]):
        await _fill(target, manifest, store)
        restored = await _compared(backup, manifest, store)
    await store.folder.mark_backup(backup.at)
    return restored


async def _refuse_unless_empty(store: Store) -> None:
    """Raises WrongStore."""
    remedy = "restore elsewhere (--to FOLDER), or empty it first if it may go"
    if next(store.raw.files.entries(""), None) is not None:
        raise WrongStore(f"{store.raw.path} holds files: a restore goes into an empty place; {remedy}")
    async with store.database.read() as connection:
        there = await connection.run_sync(lambda c: set(inspect(c).get_table_names()))
    if there:
        raise WrongStore(
            f"{store.database.shown} has tables: a restore goes into an empty database; {remedy}"
        )


async def _fill(target: Target, manifest: dict[str, Any], store: Store) -> None:
    """Every content once, pack by pack, into whatever is made of it."""
    listings = await asyncio.to_thread(lambda: list(target.contents(set(manifest["folders"].values()))))
    files: dict[str, list[str]] = {}
    for _, listing in listings:
        for name, _, _, of in orjson.loads(listing):
            files.setdefault(of, []).append(name)
    rows = {
        of: (name, told["columns"]) for name, told in manifest["tables"].items() for of in told["contents"]
    }
    waiting = iter(target.contents({*files, *rows}))
    async with loading(store.database) as connection:
        while (found := await asyncio.to_thread(next, waiting, None)) is not None:
            of, content = found
            for name in files.get(of, ()):
                await asyncio.to_thread(store.raw.files.put, name, content)
            if of in rows:
                await _insert(connection, *rows[of], content)


async def _insert(connection: AsyncConnection, name: str, columns: list[list[str]], piece: bytes) -> None:
    statement = table_of(name, columns).insert()
    held = list(read_rows(piece, columns))
    for at in range(0, len(held), BATCH):
        await connection.execute(statement, held[at : at + BATCH])


@asynccontextmanager
async def loading(database: Database) -> AsyncIterator[AsyncConnection]:
    """A connection that takes rows in any order. SQLite looks at references when it commits; MariaDB not at all, and
    the rows are compared afterwards.
    """
    async with database.write() as connection:
        if database.is_sqlite:
            await connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
            yield connection
            return
        await connection.exec_driver_sql("SET SESSION foreign_key_checks = 0")
        try:
            yield connection
        finally:
            await connection.exec_driver_sql("SET SESSION foreign_key_checks = 1")


async def _compared(backup: Backup, manifest: dict[str, Any], store: Store) -> Restored:
    """Read everything back. Raises BackupError for the first difference."""
    remedy = "empty the place and restore again; if it repeats, look at its disk"
    rows: dict[str, int] = {}
    async with snapshot(store.database) as connection:
        for name, told in manifest["tables"].items():
            reading = Reading(name, told["columns"], told["key"])
            async for _ in reading.pieces(connection):
                pass
            if (reading.summed.rows, reading.summed.hex) != (told["rows"], told["checksum"]):
                raise BackupError(f"{name} was restored otherwise than it was backed up: {remedy}")
            rows[name] = reading.summed.rows
        named = set((await connection.execute(select(pages.c.hash))).scalars())
    kept = set(map(page_id, await asyncio.to_thread(lambda: list(store.raw.tiers.within("pages")))))
    if lost := named - kept:
        raise BackupError(
            f"{len(lost)} pages that rows name are in no file, {min(lost)} first: {backup.name} is not whole; "
            "restore an earlier one (--at)"
        )
    return Restored(
        name=backup.name, as_of=datetime.fromisoformat(manifest["as_of"]), release=manifest["release"],
        migration=manifest["migration"], tables=rows, files=manifest["files"], pages=len(named),
    )  # fmt: skip
