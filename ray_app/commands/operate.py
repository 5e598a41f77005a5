"""The commands that look at a node or repair it; each prints what it found and returns the exit status."""

import argparse
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ray_app.app import open_node
from ray_app.collect.replay import replay
from ray_app.model.clock import SystemClock
from ray_app.model.collected import Collected, Lease, as_json
from ray_app.model.declared import record_of
from ray_app.model.money import dollars
from ray_app.runtime.healing import heal_round
from ray_app.runtime.jobs import backfill_job, request_of
from ray_app.runtime.opening import Node
from ray_app.settings import Settings
from ray_app.sources import all_sources
from ray_app.store.compare import compare
from ray_app.store.facts import Committed
from ray_app.store.keys import SCOPES
from ray_app.store.reading import parse_id
from ray_app.store.store import Store

out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)


async def run(settings: Settings, args: argparse.Namespace) -> int:
    if args.command == "keys":
        return await keys(settings, args)
    if args.command == "backed-up":
        return await backed_up(settings, args)
    commands: dict[str, Callable[[Node, argparse.Namespace], Awaitable[int]]] = {
        "plan": plan,
        "status": status,
        "backfill": backfill,
        "heal": heal,
        "explain": explain,
        "verify": verify,
        "replay": rebuild,
    }
    node = await open_node()
    try:
        if args.command not in ("plan",):
            held = await node.store.database.is_simulated()
            if held != settings.simulated and args.command in ("backfill", "heal"):
                kinds = ("simulated", "real") if held else ("real", "simulated")
                raise ValueError(
                    f"the store holds {kinds[0]} data and the setting `upstreams` says {kinds[1]}: change one"
                )
        return await commands[args.command](node, args)
    finally:
        await node.close()


def table(*columns: str) -> Table:
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, justify="right" if column.startswith("#") else "left", overflow="fold")
    return made


async def plan(node: Node, _: argparse.Namespace) -> int:
    """Calls a day and a month per upstream against its allowance; 1 when a schedule does not fit."""
    refused = False
    for proof in node.proofs():
        lines = table(
            "stream", "# partitions", "every", "# calls a day", "# calls a month", "# attempts", "# at worst"
        )
        for line in proof.lines:
            numbers = (f"{line.base / 31:,.0f}", f"{line.base:,}", str(line.attempts), f"{line.worst:,}")
            lines.add_row(line.stream, str(line.partitions), str(line.every), *numbers)
        lines.add_row("kept for repairs", "", "", "", "", "", f"{proof.reserve:,}")
        lines.add_row("in 31 days", "", "", f"{proof.total / 31:,.0f}", "", "", f"{proof.total:,}")
        allowed = (
            f"{proof.per_month:,} calls a month" if proof.per_month is not None else "no monthly limit stated"
        )
        out.print(
            f"\n{proof.source}, plan {proof.plan}: {allowed}; its rate allows {proof.most_in_month:,} in 31 days"
        )
        out.print(lines)
        if proof.dollars_per_call:
            bought = f"${proof.dollars_per_call} a call"
            out.print(f"at worst ${proof.dollars:,.2f} in 31 days, {bought}; your limit buys {allowed}")
        for text in proof.refusals:
            refused = True
            out.print(f"REFUSED: {text}")
        if not proof.refusals:
            limit = min(proof.most_in_month, proof.per_month or proof.most_in_month)
            out.print(f"fits: {proof.total / limit:.0%} of what is allowed, at worst")
    return 1 if refused else 0


async def status(node: Node, _: argparse.Namespace) -> int:
    """Collectors, stored revisions and quotas, read from the store."""
    now = node.clock.now()
    lines = table("stream", "state", "last success", "next run", "# stored", "errors", "last error")
    running = await node.store.catalog.collectors()
    for name, declared in (await node.store.catalog.streams()).items():
        line: dict[str, Any] = running.get(name, {"state": "not running", "errors": {}})
        stored = await node.store.reading.count(record_of(declared), name)
        shown = [
            f"{line[k]:%Y-%m-%d %H:%M:%S}" if line.get(k) else "never" for k in ("last_success", "next_run")
        ]
        errors = ", ".join(f"{kind} {count}" for kind, count in line["errors"].items())
        state = (
            f"not configured ({declared['not_configured']})" if declared["not_configured"] else line["state"]
        )
        lines.add_row(name, state, *shown, f"{stored:,}", errors, line.get("last_error", ""))
    out.print(lines)
    quota = table("quota", "# limit", "per", "learned", "# spent this month", "# of")
    for q in await node.store.quotas.states(now):
        month = f"{q.quota.per_month:,}" if q.quota.per_month else "unlimited"
        quota.add_row(
            q.scope, str(q.quota.calls), str(q.quota.per), str(q.learned or ""), f"{q.spent:,}", month
        )
    out.print(quota)
    for one in await node.store.llm_spend.states(now):
        closed = f"; closed: {one.closed}" if one.is_closed(now) else ""
        out.print(
            f"{one.scope}: ${dollars(one.spent):f} of this month's ${dollars(one.budget):f} spent{closed}"
        )
    return 0


async def backfill(node: Node, args: argparse.Namespace) -> int:
    request = request_of(node, args.stream, args.partitions, args.start, args.end, args.days)
    receipt = await backfill_job(node, request, args.id, near=True, show=sys.stderr.isatty())
    out.print_json(as_json(receipt))
    return 0 if not set(receipt["verified"]) - {"collected", "empty_upstream"} else 1


async def heal(node: Node, args: argparse.Namespace) -> int:
    receipt = await heal_round(node, args.reach)
    out.print_json(as_json(receipt))
    return 0 if not receipt["failed"] else 1


async def explain(node: Node, args: argparse.Namespace) -> int:
    """From the record to the request, the time, the status and the body that said it."""
    stream, partition, cursor, revision = parse_id(args.record)
    declared = (await node.store.catalog.streams()).get(stream)
    found = None
    if declared is not None:
        found = await node.store.reading.lineage(record_of(declared), stream, partition, cursor, revision)
    if found is None:
        raise ValueError(
            f"no record {args.record}; ids look like {stream or 'source.stream'}:bitcoin:2026-01-01T00:00:00+00:00:0"
        )
    page = node.store.raw.load(found["hash"], found["received_at"])
    out.print(f"record     {args.record}")
    out.print(f"known at   {found['known_at'].isoformat()}\nhad at     {found['had_at'].isoformat()}")
    out.print(f"page       {found['hash']}\nrequest    GET {page.path} {dict(page.params)}")
    out.print(
        f"asked      {page.asked_at.isoformat()}\nreceived   {page.received_at.isoformat()}\nstatus     {page.status}"
    )
    out.print(
        f"parser     {found['parser']}\nbody       sha256 {page.body_hash}, {len(page.body):,} bytes, undamaged"
    )
    out.print(
        page.body[:400].decode("utf-8", "replace") + (" …" if len(page.body) > 400 else ""), markup=False
    )
    return 0


class Rebuilt:
    """A store that a replay writes to: manifests stay as they are, only the database is filled."""

    def __init__(self, store: Store, lease: Lease) -> None:
        self._store, self._lease = store, lease

    async def commit(self, collected: Sequence[Collected]) -> Committed:
        return await self._store.facts.commit(collected, self._lease)


async def rebuild(node: Node, args: argparse.Namespace) -> int:
    """Fill an empty database from the raw pages and compare it with this one; 1 when they differ."""
    with tempfile.TemporaryDirectory() as folder:
        url = args.into or f"sqlite+aiosqlite:///{Path(folder) / 'replayed.db'}"
        other = Store(url, node.store.raw.path)
        try:
            await other.database.prepare(simulated=await node.store.database.is_simulated())
            lease = await other.leases.acquire("replay", "replay")
            if lease is None:
                raise ValueError(f"{other.database.shown} is being filled by another replay")
            done = await replay(node.store.raw, Rebuilt(other, lease), all_sources().values())
            equal, different = await compare(node.store.database, other.database)
        finally:
            await other.close()
    out.print(
        f"replayed {done.manifests:,} slices: {done.records:,} records, {done.set_aside:,} rows set aside"
    )
    for problem in done.problems:
        out.print(f"  could not replay {problem}")
    for title, count in equal.items():
        out.print(f"  {title}: {count:,} rows equal")
    for difference in different:
        out.print(
            f"  DIFFERENT in {difference.table}:\n    here     {difference.left}\n    replayed {difference.right}",
            markup=False,
        )
    return 1 if different or done.problems else 0


async def verify(node: Node, args: argparse.Namespace) -> int:
    """Replay into a throw-away database and compare: every fact is there because a page says so."""
    args.into = None
    return await rebuild(node, args)


async def backed_up(settings: Settings, args: argparse.Namespace) -> int:
    """Write down a complete backup; /metrics tells its age from now on."""
    store, now = Store(settings.database, settings.raw), SystemClock().now()
    at = args.at or now
    try:
        await store.database.is_simulated()  # says what to do when there is no store yet
        if at > now:
            raise ValueError(f"--at {at.isoformat()} is in the future: say when the backup was begun")
        await store.folder.mark_backup(at)
    finally:
        await store.close()
    out.print(f"backed up at {at:%Y-%m-%dT%H:%M:%SZ}")
    return 0


async def keys(settings: Settings, args: argparse.Namespace) -> int:
    store, now = Store(settings.database, settings.raw), SystemClock().now()
    try:
        await store.database.is_simulated()  # says what to do when there is no store yet
        if args.keys == "create":
            scopes = frozenset(SCOPES) if args.scopes == "all" else frozenset(args.scopes.split(","))
            key = await store.keys.create(
                args.client,
                scopes,
                now,
                tier=args.tier,
                per_hour=args.per_hour,
                burst=args.burst,
                internal=args.internal,
                expires_at=now + args.expires if args.expires else None,
            )
            out.print(key)
        elif args.keys == "revoke":
            if not await store.keys.revoke(args.id.removeprefix("cdk_").split("_")[0], now):
                raise ValueError(f"no live key {args.id!r}; `crypto-data keys list` shows them")
            out.print("revoked: every replica refuses it within 5 seconds")
        else:
            lines = table(
                "id", "client", "state", "tier", "# an hour", "# a minute", "scopes", "# uses", "last used"
            )
            for one in await store.keys.list():
                state = "live" if one.live(now) else "revoked" if one.revoked_at else "expired"
                used = f"{one.last_used_at:%Y-%m-%d %H:%M:%S}" if one.last_used_at else "never"
                scopes_shown = " ".join(sorted(one.scopes)) + (" internal" if one.internal else "")
                lines.add_row(
                    one.id,
                    one.client,
                    state,
                    one.tier,
                    str(one.per_hour),
                    str(one.burst),
                    scopes_shown,
                    f"{one.uses:,}",
                    used,
                )
            out.print(lines)
    finally:
        await store.close()
    return 0
