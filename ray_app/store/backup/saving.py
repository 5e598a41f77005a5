"""Make a backup: one snapshot of all tables, then every raw file, so that each page that a row names is in it too.

A page is kept before its row is committed and never goes away, but it may move: into a pack, or to what a deletion left
of it. So files are listed again until one listing was copied whole.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from ray_app.model.errors import StoreUnavailable, WrongStore
from ray_app.store.backup.rows import reading_of
from ray_app.store.backup.target import Backup, BackupError, Target
from ray_app.store.engine import Database
from ray_app.store.files import Files
from ray_app.store.folder import MARK
from ray_app.store.store import Store
from ray_app.store.tables import metadata

ROUNDS = 10  # listings of raw files before a backup gives up: what moves as often is no node of ours
UNCHANGING = ("bodies/", "pages/", "packs/")  # whose names are made of their contents


@dataclass(frozen=True, slots=True)
class Made:
    """The receipt of a backup. Bytes: of files written at the target; `new`: contents that were not there before."""

    name: str
    as_of: datetime
    release: str
    migration: str
    rows: int
    files: int
    new: int
    bytes_written: int
    backups_left: int
    backups_forgotten: int
    bytes_freed: int
    damaged: list[str]  # what cannot be read at the target; nothing is taken away from it then


async def save(store: Store, target: Target, release: str, now: datetime, keep: timedelta) -> Made:
    """One backup; then those go that were begun longer ago than `keep`, the newest never.

    Raises StoreUnavailable, WrongStore for tables of another release, BackupError for a target that is not ours.
    """
    simulated = await store.database.is_simulated()
    migration = await _migration(store.database)
    await asyncio.to_thread(target.open, make=True)
    earlier = await asyncio.to_thread(_listed, target)
    async with snapshot(store.database) as connection:
        tables = dict[str, Any]()
        for table in metadata.sorted_tables:
            reading = reading_of(table)
            contents = [
                await asyncio.to_thread(target.add, piece) async for piece in reading.pieces(connection)
            ]
            tables[table.name] = {
                "columns": reading.columns, "key": reading.key, "rows": reading.summed.rows,
                "checksum": reading.summed.hex, "contents": contents,
            }  # fmt: skip
    folders, files = await asyncio.to_thread(_copy, store.raw.files, target, earlier)
    manifest = {
        "as_of": now.isoformat(), "release": release, "migration": migration, "simulated": simulated,
        "tables": tables, "folders": folders, "files": files,
    }  # fmt: skip
    made = await asyncio.to_thread(target.commit, now, manifest)
    gone, freed = await asyncio.to_thread(_retain, target, made, now - keep)
    return Made(
        name=made.name, as_of=now, release=release, migration=migration,
        rows=sum(one["rows"] for one in tables.values()), files=files, new=target.added,
        bytes_written=target.written, backups_left=len(target.backups()), backups_forgotten=gone, bytes_freed=freed,
        damaged=target.damaged,
    )  # fmt: skip


@asynccontextmanager
async def snapshot(database: Database) -> AsyncIterator[AsyncConnection]:
    """A connection that sees all tables as they are now, however long it reads; nobody is kept from writing."""
    async with database.read() as connection:
        if database.is_sqlite:
            await connection.execute(text("SELECT 1 FROM node"))  # a transaction begins with its first look
        else:
            await connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            await connection.exec_driver_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        yield connection


async def _migration(database: Database) -> str:
    found, ours = await database.migration()
    if found != ours:
        raise WrongStore(
            f"{database.shown} has tables of migration {found}, and this release those of {ours}: "
            "back up with the release that runs there"
        )
    return ours


def _listed(target: Target) -> dict[str, tuple[int, str, str]]:
    """The raw files of the newest backup: size, stamp and content by name."""
    backups = target.backups()
    if not backups:
        return {}
    try:
        folders = target.manifest(backups[-1])["folders"]
        listings = list(target.contents(set(folders.values())))
    except BackupError:
        return {}  # every file is read again, and what is missing at the target is written anew
    return {name: (size, stamp, of) for _, held in listings for name, size, stamp, of in orjson.loads(held)}


def _copy(
    files: Files, target: Target, earlier: Mapping[str, tuple[int, str, str]]
) -> tuple[dict[str, str], int]:
    """Add every raw file; the contents of the listings by folder, and how many files."""
    known = dict(earlier)
    for _ in range(ROUNDS):
        folders: dict[str, list[tuple[str, int, str, str]]] = defaultdict(list)
        moved = False
        for entry in files.entries(""):
            if entry.name == MARK:
                continue
            size, stamp, of = known.get(entry.name, (-1, "", ""))
            same = size == entry.size and (stamp == entry.stamp or entry.name.startswith(UNCHANGING))
            if not same or not target.has(of):
                try:
                    of = target.add(files.get(entry.name))
                except FileNotFoundError:
                    moved = True
                    continue
                known[entry.name] = entry.size, entry.stamp, of
            folders[entry.name.rpartition("/")[0]].append((*entry, of))
        if not moved:
            count = sum(map(len, folders.values()))
            return {folder: target.add(orjson.dumps(held)) for folder, held in folders.items()}, count
    raise StoreUnavailable(
        f"raw pages at {files.path} moved while they were copied, {ROUNDS} times: try again"
    )


def _retain(target: Target, newest: Backup, before: datetime) -> tuple[int, int]:
    """Forget old backups; how many went, and how many bytes. `damaged` of the target says what is in the way."""
    backups = target.backups()
    old = [one for one in backups if one.at < before and one != newest]
    target.forget(old)
    try:
        return len(old), target.sweep(needed(target, (one for one in backups if one not in old)))
    except BackupError as error:  # an older one is not whole: what it needs must not go for that
        target.damaged.append(str(error))
        return len(old), 0


def needed(target: Target, backups: Iterable[Backup]) -> set[str]:
    """Every content that these backups are made of."""
    contents, listings = set[str](), set[str]()
    for one in backups:
        manifest = target.manifest(one)
        listings |= set(manifest["folders"].values())
        for table in manifest["tables"].values():
            contents |= set(table["contents"])
    for _, held in target.contents(listings):
        contents |= {of for *_, of in orjson.loads(held)}
    return contents | listings
