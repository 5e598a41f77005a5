"""API keys: made once, shown once, kept only as a SHA-256.

A key is cdk_ + public id + _ + 160 random bits + a checksum, so a leak scanner can find it and a typing
error is told from a wrong key without asking the database.
"""

import base64
import hmac
import secrets
import zlib
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import insert, or_, select, update

from ray_app.store.engine import Database
from ray_app.store.tables import api_keys

SCOPES = (
    "read:prices", "read:news", "read:sentiment", "read:technical", "read:features",
    "read:macro", "read:onchain", "read:ops", "export", "admin",
)  # fmt: skip
TIERS = {"standard": 1_000, "premium": 10_000}  # requests an hour
BURST = 100  # requests a minute
LIVE_KEYS = 2  # per client: the one in use and its successor


@dataclass(frozen=True, slots=True)
class Key:
    """One API key without its secret."""

    id: str
    client: str
    scopes: frozenset[str]
    tier: str
    per_hour: int
    burst: int
    internal: bool
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    uses: int

    def live(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def _checksum(text: str) -> str:
    return base64.b32encode(zlib.crc32(text.encode()).to_bytes(4, "big")).decode().rstrip("=").lower()


def public_id(key: str) -> str | None:
    """The id in a well-formed key; None when the text cannot be a key of ours."""
    head, _, rest = key.partition("_")
    identity, _, secret = rest.partition("_")
    if head != "cdk" or not identity or len(secret) < 30:
        return None
    return identity if _checksum(key[:-7]) == key[-7:] else None


class Keys:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self,
        client: str,
        scopes: frozenset[str],
        now: datetime,
        *,
        tier: str = "standard",
        per_hour: int | None = None,
        burst: int | None = None,
        internal: bool = False,
        expires_at: datetime | None = None,
    ) -> str:
        """Make a key and return it: the only time that it is seen. Raises ValueError that says what to do."""
        if unknown := scopes - set(SCOPES):
            raise ValueError(f"unknown scopes {', '.join(sorted(unknown))}; there are {', '.join(SCOPES)}")
        if tier not in TIERS:
            raise ValueError(f"unknown tier {tier!r}; there are {', '.join(TIERS)}")
        live = [key for key in await self.list(client) if key.live(now)]
        if len(live) >= LIVE_KEYS:
            raise ValueError(
                f"{client} has {len(live)} live keys already ({', '.join(k.id for k in live)}); "
                "revoke one first"
            )
        identity = base64.b32encode(secrets.token_bytes(5)).decode().lower()
        body = f"cdk_{identity}_{base64.b32encode(secrets.token_bytes(20)).decode().lower()}"
        key = body + _checksum(body)
        values: dict[str, Any] = {
            "id": identity, "client": client, "hash": sha256(key.encode()).hexdigest(),
            "scopes": " ".join(sorted(scopes)), "tier": tier, "per_hour": per_hour, "burst": burst,
            "internal": internal, "created_at": now, "expires_at": expires_at, "uses": 0,
        }  # fmt: skip
        async with self._database.write() as connection:
            await connection.execute(insert(api_keys).values(**values))
        return key

    async def list(self, client: str | None = None) -> list[Key]:
        query = select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id)
        if client is not None:
            query = query.where(api_keys.c.client == client)
        async with self._database.read() as connection:
            return [_key(row) for row in await connection.execute(query)]

    async def revoke(self, identity: str, now: datetime) -> bool:
        """End a key; False when there is no such live key."""
        async with self._database.write() as connection:
            done = await connection.execute(
                update(api_keys)
                .where(api_keys.c.id == identity, api_keys.c.revoked_at.is_(None))
                .values(revoked_at=now)
            )
        return bool(done.rowcount)

    async def find(self, key: str) -> Key | None:
        """The key's row when the secret is right, live or not; compared in constant time."""
        identity = public_id(key)
        if identity is None:
            return None
        async with self._database.read() as connection:
            row = (await connection.execute(select(api_keys).where(api_keys.c.id == identity))).one_or_none()
        digest = sha256(key.encode()).hexdigest()
        return _key(row) if row is not None and hmac.compare_digest(row.hash, digest) else None

    async def used(self, counts: dict[str, int], now: datetime) -> None:
        """Add uses that were counted elsewhere and move the last use on."""
        async with self._database.write() as connection:
            for identity, count in counts.items():
                later = or_(api_keys.c.last_used_at.is_(None), api_keys.c.last_used_at < now)
                mine = update(api_keys).where(api_keys.c.id == identity)
                await connection.execute(mine.values(uses=api_keys.c.uses + count))
                await connection.execute(mine.where(later).values(last_used_at=now))


def _key(row: Any) -> Key:
    return Key(
        id=row.id,
        client=row.client,
        scopes=frozenset(row.scopes.split()),
        tier=row.tier,
        per_hour=row.per_hour or TIERS[row.tier],
        burst=row.burst or BURST,
        internal=row.internal,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
        uses=row.uses,
    )
