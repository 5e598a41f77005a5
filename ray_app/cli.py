"""crypto-data: start the node, look at it, prove its plan, and repair or rebuild what it holds."""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ray_app.model.errors import NodeError
from ray_app.settings import Settings

DEMO_ARGUMENTS = ["--plan", "analyst"]
NAMESPACE = "crypto-data-collection"
INSIDE = f"http://data-api-gateway.{NAMESPACE}.svc.cluster.local:8000"


def moment(text: str) -> datetime:
    """An ISO 8601 time; without an offset it is UTC."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a time like 2026-11-23 or 2026-11-23T01:05:00Z"
        ) from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def days(text: str) -> timedelta:
    """A span in days, hours or minutes: 30d, 12h, 15m."""
    units = {"d": "days", "h": "hours", "m": "minutes"}
    if text[-1:] not in units or not text[:-1].isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a span like 30d, 12h or 15m")
    return timedelta(**{units[text[-1]]: int(text[:-1])})


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(prog="crypto-data", description=__doc__)
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")

    up = commands.add_parser("up", help="start the whole node on this machine")
    up.add_argument(
        "--demo",
        action="store_true",
        help="against the built-in simulator as a paid plan, with 30 days of hours",
    )
    up.add_argument(
        "--data", action="append", default=[], help="folder of real history for the demo's simulator"
    )

    commands.add_parser("plan", help="prove that the schedule fits what each upstream allows")
    commands.add_parser("status", help="how the collectors, data sets and quotas are doing")

    backfill = commands.add_parser("backfill", help="cover an old range of a stream; prints a receipt")
    backfill.add_argument("stream", help="source.stream, for example coingecko.bars_1h")
    backfill.add_argument(
        "--partitions", help="comma-separated tickers or ids; default: all that are tracked"
    )
    backfill.add_argument("--start", type=moment)
    backfill.add_argument("--end", type=moment)
    backfill.add_argument("--days", type=days, help="instead of a start: 30d before the end")
    backfill.add_argument("--id", help="name of the job: the same name goes on where it stopped")

    heal = commands.add_parser(
        "heal", help="one round of repairs of every gap that can still be filled; prints a receipt"
    )
    heal.add_argument(
        "--reach", type=days, default=timedelta(days=30), help="how far back to look for gaps (30d)"
    )

    explain = commands.add_parser("explain", help="lead a record back to the upstream's raw answer")
    explain.add_argument("record", help="a record id, as the API gives it")

    commands.add_parser("verify", help="check that every fact leads to an undamaged raw page that says it")

    replay = commands.add_parser(
        "replay", help="rebuild the facts from raw pages into an empty database and compare"
    )
    replay.add_argument(
        "--into", help="SQLAlchemy URL of an empty database; default: a temporary SQLite file"
    )

    backed_up = commands.add_parser(
        "backed-up", help="say that a backup is complete, so that its age is watched"
    )
    backed_up.add_argument("--at", type=moment, help="when it was begun; default: now")

    on_disks(commands)
    keys = commands.add_parser("keys", help="API keys").add_subparsers(
        dest="keys", required=True, metavar="ACTION"
    )
    create = keys.add_parser("create", help="make a key and print it, once")
    create.add_argument("client")
    create.add_argument("--scopes", default="read:prices", help="comma-separated, or `all`")
    create.add_argument("--tier", default="standard", choices=("standard", "premium"))
    create.add_argument("--per-hour", type=int)
    create.add_argument("--burst", type=int, help="requests a minute")
    create.add_argument("--internal", action="store_true", help="may read series with a restricted licence")
    create.add_argument("--expires", type=days, help="30d: ends by itself after that")
    keys.add_parser("list", help="every key, without its secret")
    revoke = keys.add_parser("revoke", help="end a key within seconds")
    revoke.add_argument("id", help="the public id: cdk_ID_...")
    on_clusters(commands)
    return root


def on_disks(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The arguments of backup, restore and compact."""
    backup = commands.add_parser(
        "backup", help="copy what is new of database and raw pages to a target; prints a receipt"
    )
    backup.add_argument("--to", help="folder or fsspec URL; default: CRYPTO_DATA_BACKUP_PATH")
    backup.add_argument(
        "--keep-days",
        type=int,
        choices=range(1, 30),
        metavar="1..29",
        default=28,
        help="backups that were begun earlier are forgotten, and texts deleted since with them (28)",
    )
    backup.add_argument("--list", action="store_true", help="which backups there are")
    backup.add_argument(
        "--verify", action="store_true", help="restore one into a temporary folder and compare; makes none"
    )
    backup.add_argument("--at", type=moment, help="verify the newest of this time or before")
    restore = commands.add_parser("restore", help="fill an empty node from a backup and compare")
    restore.add_argument("--from", dest="source", help="its target; default: CRYPTO_DATA_BACKUP_PATH")
    restore.add_argument("--at", type=moment, help="the newest of this time or before; default: the newest")
    restore.add_argument(
        "--to", type=Path, help="a data folder elsewhere; default: database and raw pages of the settings"
    )
    compact = commands.add_parser(
        "compact", help="pack old raw pages into larger files, forget old events; prints a receipt"
    )
    compact.add_argument(
        "--pages-older", type=days, default=timedelta(days=7), help="pack pages of days before (7d)"
    )
    compact.add_argument(
        "--events-older", type=days, default=timedelta(days=30), help="forget announced events (30d)"
    )


def on_clusters(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The arguments of deploy, validate and rollback."""
    first = commands.add_parser(
        "deploy", help="bring manifests to a cluster, wait until they answer, else go back"
    )
    first.add_argument("manifests", type=Path, help="a kustomize folder, or a file of rendered manifests")
    first.add_argument("--image", help="registry/name:tag; the tag becomes the release")
    first.add_argument(
        "--dry-run", action="store_true", help="say what would change, and whether it would be taken"
    )
    first.add_argument("--force", action="store_true", help="take over fields that others have set")
    second = commands.add_parser("rollback", help="go back to a release that ran before")
    second.add_argument("--to", help="which one; default: the one before the present one")
    second.add_argument("--namespace", default=NAMESPACE)
    for one in (first, second):
        one.add_argument("--context", help="of the kubeconfig")
        one.add_argument(
            "--url", default=INSIDE, help="where to look at it from outside, with CRYPTO_DATA_API_KEY"
        )
        one.add_argument("--timeout", type=float, default=1200.0, help="seconds until it must run (1200)")
    third = commands.add_parser(
        "validate", help="look at a running node as a user does, with CRYPTO_DATA_API_KEY"
    )
    third.add_argument("url", nargs="?", default=INSIDE)
    third.add_argument("--release", help="which release must answer")


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when all is well, 1 when a check failed, 2 when something outside is in the way (said in one line)."""
    args = parser().parse_args(arguments)
    try:
        settings = Settings.read()
        if args.command == "up":
            return up(settings, args)
        if args.command in ("deploy", "rollback", "validate"):
            return elsewhere(args)
        if args.command in ("backup", "restore", "compact"):
            from ray_app.commands import keeping

            return asyncio.run(keeping.run(settings, args))
        from ray_app.commands import operate

        return asyncio.run(operate.run(settings, args))
    except (ValueError, NodeError, OSError) as error:
        print(f"crypto-data: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def elsewhere(args: argparse.Namespace) -> int:
    """What is done to a node on a cluster, or asked of one at an address."""
    from ray_app.commands import deploy

    command = {"deploy": deploy.deploy, "rollback": deploy.back, "validate": deploy.validate}[args.command]
    return command(args, os.environ.get("CRYPTO_DATA_API_KEY") or None, print)


def up(settings: Settings, args: argparse.Namespace) -> int:
    """Start, say how to ask, wait for Ctrl-C, stop."""
    from ray_app.commands import up as laptop
    from ray_app.commands.companions import CannotStart
    from ray_app.commands.progress import Progress

    simulate = [*DEMO_ARGUMENTS, *(word for folder in args.data for word in ("--data", folder))]
    if args.demo:
        demo = {
            "coingecko_plan": "paid",
            "history": timedelta(days=30, hours=2),
            "data_dir": settings.data_dir / "demo",
        }
        settings = settings.model_copy(update=demo)
    progress = Progress()
    try:
        with laptop.node(settings, demo=args.demo, say=progress.say, simulate=simulate) as started:
            progress.done(started)
            laptop.until_interrupted()
    except CannotStart as error:
        progress.stop()
        print(f"crypto-data: {error}", file=sys.stderr)
        return 2
    finally:
        progress.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
