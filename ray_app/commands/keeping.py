"""What is done to a node's stores as a whole: back up, restore, compact. Beside a running node, one at a time."""

import argparse
import asyncio
import os
import tempfile
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

from ray_app.app import open_clock
from ray_app.commands.operate import out, table
from ray_app.model.clock import SystemClock
from ray_app.model.collected import as_json
from ray_app.runtime.jobs import Holding
from ray_app.settings import Settings
from ray_app.store.backup.restoring import restore
from ray_app.store.backup.saving import save
from ray_app.store.backup.target import Target
from ray_app.store.compacting import Compacting
from ray_app.store.forgetting import SHORTEST, Forgetting
from ray_app.store.store import Store

UPKEEP = "upkeep"  # the lease of whoever copies or moves whole files
FINEST = timedelta(
    days=2
)  # pages that a start may look through and a slice may still be had of stay single files


async def run(settings: Settings, args: argparse.Namespace) -> int:
    """Raises ValueError and NodeError with what to do."""
    if args.command == "compact":
        return await compact(settings, args)
    path = (args.source if args.command == "restore" else args.to) or settings.backup_path
    if not path:
        option = "--from" if args.command == "restore" else "--to"
        raise ValueError(f"say where backups are: {option}, or CRYPTO_DATA_BACKUP_PATH")
    target = Target(path, settings.secret("backup_key"))
    if args.command == "restore":
        return await bring_back(settings, args, target)
    if args.list:
        return await show(target)
    if args.verify:
        return await check(args, target)
    return await back_up(settings, args, target)


async def back_up(settings: Settings, args: argparse.Namespace, target: Target) -> int:
    """Make one, tell its age from now on; 1 when something at the target cannot be read."""
    store = Store(settings.database, settings.raw)
    try:
        await store.database.is_simulated()  # says what to do when there is no store yet
        async with _alone(store):
            now = SystemClock().now()
            made = await save(store, target, settings.release, now, timedelta(days=args.keep_days))
            await store.folder.mark_backup(now)
    finally:
        await store.close()
    out.print_json(as_json(asdict(made)))
    return 1 if made.damaged else 0


async def show(target: Target) -> int:
    await asyncio.to_thread(target.open, make=False)
    lines = table("begun", "release", "migration", "# rows", "# raw files")
    for one in target.backups():
        told = await asyncio.to_thread(target.manifest, one)
        rows = sum(held["rows"] for held in told["tables"].values())
        lines.add_row(
            f"{one.at:%Y-%m-%dT%H:%M:%SZ}",
            told["release"],
            told["migration"],
            f"{rows:,}",
            f"{told['files']:,}",
        )
    out.print(lines)
    return 0


async def check(args: argparse.Namespace, target: Target) -> int:
    """Restore into a folder that is thrown away (TMPDIR says where); it has all of the backup for a while."""
    with tempfile.TemporaryDirectory(prefix="crypto-data-verify-") as folder:
        return await _restored(target, args, *_places(Path(folder)))


async def bring_back(settings: Settings, args: argparse.Namespace, target: Target) -> int:
    places = _places(args.to) if args.to is not None else (settings.database, settings.raw)
    if args.to is not None or not settings.database_url:
        (args.to or settings.data_dir).mkdir(parents=True, exist_ok=True)
    return await _restored(target, args, *places)


def _places(folder: Path) -> tuple[str, str]:
    """Database and raw pages below a data folder, where a node with that CRYPTO_DATA_DATA_DIR looks for them."""
    elsewhere = Settings.model_construct(data_dir=folder, database_url="", raw_path="")
    return elsewhere.database, elsewhere.raw


async def _restored(target: Target, args: argparse.Namespace, database: str, raw: str) -> int:
    await asyncio.to_thread(target.open, make=False)
    store = Store(database, raw)
    try:
        done = await restore(target, target.find(args.at), store)
    finally:
        await store.close()
    out.print_json(as_json(asdict(done) | {"database": store.database.shown, "raw": raw}))
    return 0


async def compact(settings: Settings, args: argparse.Namespace) -> int:
    """Pack and forget; the receipt says what was there before and is there after."""
    if args.pages_older < FINEST or args.events_older < SHORTEST:
        raise ValueError(
            "two days at least: --pages-older 2d, --events-older 2d; younger ones are still in use"
        )
    store = Store(settings.database, settings.raw)
    try:
        await store.database.is_simulated()  # says what to do when there is no store yet
        now = (await open_clock(settings)).now()
        async with _alone(store):
            pages = await asyncio.to_thread(Compacting(store.raw).run, now - args.pages_older)
            forgotten = await Forgetting(store.database).run(now - args.events_older)
    finally:
        await store.close()
    receipt: dict[str, Any] = {"pages": asdict(pages), "forgotten": asdict(forgotten)}
    out.print_json(as_json(receipt))
    return 0


def _alone(store: Store) -> Holding:
    return Holding(store, UPKEEP, f"{UPKEEP}-{os.getpid()}-{SystemClock().now().timestamp():.6f}")
