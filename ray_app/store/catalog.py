"""What is declared and how the parts are doing: streams (insert-only history), collectors, backfills."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from ray_app.model.collected import Lease
from ray_app.store import changes, leases
from ray_app.store.engine import Database, dumps
from ray_app.store.tables import backfills, collectors, streams

SCORING = (
    "scoring/"  # a collector's line about its models is named so, then shard/texts; no stream has a slash
)
LONGEST_ERROR = 500


class Catalog:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def declare(
        self, declared: dict[str, dict[str, Any]], now: datetime, *, whole: bool = False
    ) -> None:
        """Write down what streams exist; a row is added only where something differs from the last one.

        `whole`: these are all. One that is not among them any more is retired: its facts stay, and nobody
        expects new ones.
        """
        try:
            await self._declare(declared, now, whole=whole)
        except IntegrityError:  # somebody else declared for the first time just now
            await self._declare(declared, now, whole=whole)

    async def _declare(self, declared: dict[str, dict[str, Any]], now: datetime, *, whole: bool) -> None:
        async with self._database.write() as connection:
            known = {
                row.stream: row.declared
                for row in await connection.execute(select(streams).order_by(streams.c.id))
            }
            gone = {
                s: json.loads(line) | {"retired": True}
                for s, line in known.items()
                if whole and s not in declared
            }
            lines = {stream: dumps(facts) for stream, facts in {**gone, **declared}.items()}
            new = {stream: text for stream, text in lines.items() if known.get(stream) != text}
            for stream, text in new.items():
                await connection.execute(
                    insert(streams).values(stream=stream, declared=text, declared_at=now)
                )
            if new:
                await changes.note(connection, changes.NOBODY, {changes.CATALOG: None})

    async def streams(self, as_of: datetime | None = None) -> dict[str, dict[str, Any]]:
        """The newest declaration of each stream, as it stood."""
        query = select(streams).order_by(streams.c.id)
        if as_of is not None:
            query = query.where(streams.c.declared_at <= as_of)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        first = {row.stream: row.declared_at for row in reversed(rows)}
        return {r.stream: json.loads(r.declared) | {"declared_at": first[r.stream]} for r in rows}

    async def report(
        self, stream: str, owner: str, status: dict[str, Any], lease: Lease | None = None
    ) -> None:
        """Replace the stream's line of how its collector is doing. Under a lease it raises Fenced."""
        values = {**status, "owner": owner, "errors": dumps(status["errors"])}
        try:
            await self._report(stream, values, lease)
        except IntegrityError:  # somebody else made the line just now
            await self._report(stream, values, lease)

    async def _report(self, stream: str, values: dict[str, Any], lease: Lease | None) -> None:
        async with self._database.write() as connection:
            if lease is not None:
                await leases.check(connection, lease)
            done = await connection.execute(
                update(collectors).where(collectors.c.stream == stream).values(**values)
            )
            if done.rowcount == 0:
                found = (
                    await connection.execute(select(collectors.c.stream).where(collectors.c.stream == stream))
                ).scalar()
                if found is None:
                    await connection.execute(insert(collectors).values(stream=stream, **values))

    async def collectors(self) -> dict[str, dict[str, Any]]:
        """The line of each stream."""
        query = select(collectors).where(~collectors.c.stream.startswith(SCORING))
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return {row["stream"]: dict(row) | {"errors": json.loads(row["errors"])} for row in rows}

    async def report_scoring(self, texts: str, lease: Lease, now: datetime, refusal: str = "") -> None:
        """Whether the model for these texts can be loaded where this shard runs; `refusal` says why not.

        Raises Fenced.
        """
        status: dict[str, Any] = {
            "state": "refused" if refusal else "waiting",
            "last_run": now,
            "last_success": None if refusal else now,
            "next_run": None,
            "last_error": refusal[:LONGEST_ERROR],
            "last_error_at": now if refusal else None,
            "errors": {},
        }
        await self.report(f"{SCORING}{lease.shard}/{texts}", lease.owner, status, lease)

    async def scoring(self, held: Mapping[str, str]) -> dict[str, dict[str, str]]:
        """Texts -> shard -> why it cannot score them, empty where it can. `held`: who owns each shard now."""
        query = select(collectors).where(collectors.c.stream.startswith(SCORING))
        out: dict[str, dict[str, str]] = {}
        async with self._database.read() as connection:
            for row in await connection.execute(query.order_by(collectors.c.stream)):
                shard, _, texts = row.stream.removeprefix(SCORING).rpartition("/")
                if held.get(shard) == row.owner:  # else it is what a former owner said
                    out.setdefault(texts, {})[shard] = row.last_error
        return out

    async def backfill(self, job: str) -> dict[str, Any] | None:
        async with self._database.read() as connection:
            row = (
                (await connection.execute(select(backfills).where(backfills.c.id == job)))
                .mappings()
                .one_or_none()
            )
        return None if row is None else _backfill(dict(row))

    async def backfills(self, limit: int = 50) -> list[dict[str, Any]]:
        query = select(backfills).order_by(backfills.c.updated_at.desc()).limit(limit)
        async with self._database.read() as connection:
            return [_backfill(dict(row)) for row in (await connection.execute(query)).mappings()]

    async def write_backfill(self, job: str, **values: Any) -> None:
        """Make or bring up to date the job's row; `request` and `receipt` are JSON."""
        ready = {k: dumps(v) if k in ("request", "receipt") else v for k, v in values.items()}
        async with self._database.write() as connection:
            found = (await connection.execute(select(backfills.c.id).where(backfills.c.id == job))).scalar()
            if found is None:
                await connection.execute(insert(backfills).values(id=job, **ready))
            else:
                await connection.execute(update(backfills).where(backfills.c.id == job).values(**ready))


def _backfill(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"request": json.loads(row["request"]), "receipt": json.loads(row["receipt"])}
