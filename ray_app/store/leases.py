"""Leases with fencing: one owner per shard, by the database's clock; an old fence commits nothing."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import or_, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from ray_app.model.collected import Lease
from ray_app.model.errors import Fenced
from ray_app.store.engine import Database
from ray_app.store.tables import leases
from ray_app.store.types import from_micros

TTL = timedelta(seconds=15)


class Leases:
    def __init__(self, database: Database, ttl: timedelta = TTL) -> None:
        self._database, self._ttl = database, ttl

    async def acquire(self, shard: str, owner: str) -> Lease | None:
        """Take the lease; None while another owner holds it. Each taking raises the fence.

        An owner that takes its own lease again was restarted: what its former self still sends is fenced off.
        """
        try:
            return await self._acquire(shard, owner)
        except IntegrityError:  # somebody else made the row just now
            return await self._acquire(shard, owner)

    async def _acquire(self, shard: str, owner: str) -> Lease | None:
        async with self._database.write() as connection:
            now = await self._now(connection)
            row = (
                await connection.execute(select(leases).where(leases.c.shard == shard).with_for_update())
            ).one_or_none()
            expires = now + self._ttl
            if row is None:
                await connection.execute(
                    leases.insert().values(shard=shard, owner=owner, fence=1, expires_at=expires)
                )
                return Lease(shard, owner, 1)
            if row.owner != owner and row.expires_at > now:
                return None
            fence = row.fence + 1
            await connection.execute(
                update(leases)
                .where(leases.c.shard == shard)
                .values(owner=owner, fence=fence, expires_at=expires)
            )
            return Lease(shard, owner, fence)

    async def renew(self, lease: Lease) -> None:
        """Hold it for another while. Raises Fenced when somebody else took it."""
        async with self._database.write() as connection:
            await check(connection, lease)
            expires = await self._now(connection) + self._ttl
            await connection.execute(
                update(leases).where(leases.c.shard == lease.shard).values(expires_at=expires)
            )

    async def release(self, lease: Lease) -> None:
        """Let others take over at once. The fence stays, so that nothing late can be committed under it."""
        async with self._database.write() as connection:
            now = await self._now(connection)
            await connection.execute(
                update(leases)
                .where(
                    leases.c.shard == lease.shard,
                    leases.c.fence == lease.fence,
                    leases.c.owner == lease.owner,
                )
                .values(expires_at=now, owner="")
            )

    async def idle(self, shard: str, prefix: str, but: str) -> bool:
        """Whether nobody has held a shard's lease for as long as a lease lasts, nor one of the kind of `prefix`.

        Of that kind the leases of owners whose names begin with `but` do not count.
        """
        async with self._database.read() as connection:
            now = await self._now(connection)
            query = select(leases.c.shard).where(
                or_(
                    leases.c.shard == shard,
                    leases.c.shard.startswith(prefix, autoescape=True)
                    & ~leases.c.owner.startswith(but, autoescape=True),
                ),
                leases.c.expires_at > now - self._ttl,
            )
            return (await connection.execute(query.limit(1))).first() is None

    async def held(self) -> dict[str, str]:
        """Who owns each shard now."""
        async with self._database.read() as connection:
            now = await self._now(connection)
            query = select(leases.c.shard, leases.c.owner).where(leases.c.expires_at > now)
            return {row.shard: row.owner for row in await connection.execute(query)}

    async def all(self) -> list[tuple[Lease, bool]]:
        """The last lease of each shard, and whether it is still held; `owner` is empty where it was let go."""
        async with self._database.read() as connection:
            now = await self._now(connection)
            rows = await connection.execute(select(leases).order_by(leases.c.shard))
            return [(Lease(r.shard, r.owner, r.fence), r.expires_at > now) for r in rows]

    async def _now(self, connection: AsyncConnection) -> datetime:
        if self._database.is_sqlite:
            julian = text("SELECT CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)")
            return from_micros((await connection.execute(julian)).scalar_one())
        naive: datetime = (await connection.execute(text("SELECT UTC_TIMESTAMP(6)"))).scalar_one()
        return naive.replace(tzinfo=UTC)


async def check(connection: AsyncConnection, lease: Lease) -> None:
    """Raise Fenced unless the lease's fence is the highest; holds the row until the transaction ends."""
    row = (
        await connection.execute(
            select(leases.c.fence, leases.c.owner).where(leases.c.shard == lease.shard).with_for_update()
        )
    ).one_or_none()
    if row is None or row.fence != lease.fence or row.owner != lease.owner:
        raise Fenced(
            f"{lease.owner} held fence {lease.fence} of {lease.shard}; "
            + (f"{row.owner or 'nobody'} now holds {row.fence}" if row else "the lease is gone")
        )
