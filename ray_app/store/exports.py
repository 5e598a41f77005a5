"""Exports as rows: asked for by the gateway, worked off by the runtime under a lease of each.

Every change that a worker makes is checked against its lease, so one that was thought dead changes nothing any more.
"""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, insert, literal, or_, select, update

from ray_app.model.collected import Lease
from ray_app.model.export import UNDER_WAY, ExportRequest, State
from ray_app.store import leases
from ray_app.store.engine import Database, dumps
from ray_app.store.tables import api_keys, exports
from ray_app.store.types import Instant

LONGEST_REASON = 500


class TooMany(Exception):
    """A client has as many exports under way as it may."""

    def __init__(self, under_way: int, most: int) -> None:
        super().__init__(under_way, most)
        self.under_way, self.most = under_way, most


@dataclass(frozen=True, slots=True)
class Export:
    """One export. `manifest` is there once it is done, until it expires."""

    id: str
    client: str
    state: State
    reason: str
    request: ExportRequest
    restricted: bool
    counted: int | None
    pieces: int | None
    pieces_done: int
    attempts: int
    manifest: dict[str, Any] | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    expires_at: datetime | None

    def state_at(self, now: datetime) -> State:
        """An export whose time is over is expired, also before its files were taken away."""
        over = self.expires_at is not None and self.expires_at <= now
        return "expired" if over else self.state


class Exports:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def ask(
        self, client: str, request: ExportRequest, now: datetime, most: int, *, restricted: bool
    ) -> Export:
        """Queue an export. Raises TooMany when the client has `most` under way."""
        made = secrets.token_hex(12)
        values = {
            "id": made, "client": client, "state": "queued", "reason": "", "request": request.model_dump_json(),
            "restricted": restricted, "pieces_done": 0, "attempts": 0, "created_at": now,
        }  # fmt: skip
        mine = exports.c.client == client
        async with self._database.write() as connection:
            # Two requests at once: the second waits here for the first, and counts it.
            await connection.execute(
                select(api_keys.c.id).where(api_keys.c.client == client).with_for_update()
            )
            query = select(func.count()).select_from(exports).where(mine, exports.c.state.in_(UNDER_WAY))
            under_way: int = (await connection.execute(query)).scalar_one()
            if under_way >= most:
                raise TooMany(under_way, most)
            await connection.execute(insert(exports).values(**values))
            row = (await connection.execute(select(exports).where(exports.c.id == made))).one()
        return _export(row)

    async def find(self, export: str) -> Export | None:
        async with self._database.read() as connection:
            row = (await connection.execute(select(exports).where(exports.c.id == export))).one_or_none()
        return None if row is None else _export(row)

    async def of(self, client: str, limit: int, before: tuple[datetime, str] | None = None) -> list[Export]:
        """The client's exports, newest first; `before`: those that come after this one in that order."""
        query = select(exports).where(exports.c.client == client)
        if before is not None:
            at, name = before
            same = and_(exports.c.created_at == at, exports.c.id < name)
            query = query.where(or_(exports.c.created_at < at, same))
        query = query.order_by(exports.c.created_at.desc(), exports.c.id.desc()).limit(limit)
        async with self._database.read() as connection:
            return [_export(row) for row in await connection.execute(query)]

    async def under_way(self) -> list[str]:
        """The ids of all that are queued or running, oldest first."""
        query = select(exports.c.id).where(exports.c.state.in_(UNDER_WAY)).order_by(exports.c.created_at)
        async with self._database.read() as connection:
            return list((await connection.execute(query)).scalars())

    async def begin(self, export: str, now: datetime, lease: Lease) -> Export | None:
        """One more attempt; None when it is not under way any more. Raises Fenced."""
        mine = and_(exports.c.id == export, exports.c.state.in_(UNDER_WAY))
        values = {"state": "running", "attempts": exports.c.attempts + 1, "pieces_done": 0}
        first = func.coalesce(exports.c.started_at, literal(now, Instant()))
        async with self._database.write() as connection:
            await leases.check(connection, lease)
            done = await connection.execute(update(exports).where(mine).values(started_at=first, **values))
            if done.rowcount == 0:
                return None
            row = (await connection.execute(select(exports).where(exports.c.id == export))).one()
        return _export(row)

    async def planned(self, export: str, counted: int, pieces: int, lease: Lease) -> None:
        """How much it is going to be. Raises Fenced."""
        await self._change(export, lease, counted=counted, pieces=pieces)

    async def progress(self, export: str, pieces_done: int, lease: Lease) -> None:
        """Raises Fenced."""
        await self._change(export, lease, pieces_done=pieces_done)

    async def done(
        self, export: str, manifest: dict[str, Any], now: datetime, expires_at: datetime, lease: Lease
    ) -> None:
        """Its files are all there. Raises Fenced."""
        ends = {"finished_at": now, "expires_at": expires_at}
        done = len(manifest["files"])
        await self._change(export, lease, state="done", manifest=dumps(manifest), pieces_done=done, **ends)

    async def failed(
        self, export: str, reason: str, now: datetime, expires_at: datetime, lease: Lease
    ) -> None:
        """It will not be tried again. Raises Fenced."""
        ends = {"finished_at": now, "expires_at": expires_at}
        await self._change(export, lease, state="failed", reason=reason[:LONGEST_REASON], **ends)

    async def outlived(self, now: datetime) -> list[str]:
        """Those whose time is over and whose files may still be there."""
        query = select(exports.c.id).where(exports.c.expires_at <= now, exports.c.state != "expired")
        async with self._database.read() as connection:
            return list((await connection.execute(query)).scalars())

    async def expire(self, gone: Sequence[str]) -> None:
        """Their files are gone."""
        async with self._database.write() as connection:
            mine = update(exports).where(exports.c.id.in_(gone))
            await connection.execute(mine.values(state="expired", manifest=None))

    async def _change(self, export: str, lease: Lease, **values: Any) -> None:
        async with self._database.write() as connection:
            await leases.check(connection, lease)
            await connection.execute(update(exports).where(exports.c.id == export).values(**values))


def _export(row: Any) -> Export:
    values = {name: getattr(row, name) for name in Export.__dataclass_fields__}
    values["request"] = ExportRequest.model_validate_json(row.request)
    values["manifest"] = None if row.manifest is None else json.loads(row.manifest)
    return Export(**values)
