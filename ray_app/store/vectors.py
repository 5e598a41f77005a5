"""Rows of features: per asset and hour the numbers of a set, a revision whenever they changed.

Insert-only. A row has what the store had by its `as_of`. It was written later, at `made_at`, and answers as of a moment
take the last revision that was written by then.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ray_app.model.collected import Lease
from ray_app.model.timerange import TimeRange
from ray_app.store import changes, leases
from ray_app.store.engine import Database, dumps
from ray_app.store.reading import NOW, Point
from ray_app.store.tables import feature_sets, ml_features

AT_ONCE = 500  # rows of one INSERT: each has some 1.5 kB of numbers


@dataclass(frozen=True, slots=True)
class Vector:
    """`numbers`: float64, little-endian, in the order of the set's names; NaN is null."""

    asset: str
    at: datetime
    numbers: bytes
    bars: str
    as_of: datetime
    made_at: datetime | None = None  # None: it is not written yet
    revision: int = 0


@dataclass(frozen=True, slots=True)
class FeatureSet:
    hash: str
    names: tuple[str, ...]
    looked: int


class Vectors:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def declare(
        self, name: str, names: Sequence[str], now: Callable[[], datetime], looked: int, lease: Lease
    ) -> FeatureSet:
        """The set under this hash, written down if it is new; `looked` as it stands. Raises Fenced."""
        async with self._database.write() as connection:
            await leases.check(connection, lease)
            query = select(feature_sets).where(feature_sets.c.hash == name)
            found = (await connection.execute(query)).one_or_none()
            if found is None:
                row = {"hash": name, "names": dumps(list(names)), "made_at": now(), "looked": looked}
                await connection.execute(insert(feature_sets).values(**row))
                await changes.note(connection, lease.shard, {changes.FEATURES: None})
                return FeatureSet(name, tuple(names), looked)
        return FeatureSet(found.hash, tuple(json.loads(found.names)), found.looked)

    async def newest_set(self, as_of: datetime | None = None) -> FeatureSet | None:
        """The set that was declared last (by then); None when there is none."""
        query = select(feature_sets).order_by(feature_sets.c.made_at.desc()).limit(1)
        if as_of is not None:
            query = query.where(feature_sets.c.made_at <= as_of)
        async with self._database.read() as connection:
            found = (await connection.execute(query)).one_or_none()
        return None if found is None else FeatureSet(found.hash, tuple(json.loads(found.names)), found.looked)

    async def write(
        self,
        name: str,
        rows: Sequence[Vector],
        now: Callable[[], datetime],
        lease: Lease,
        looked: int | None = None,
    ) -> list[Vector]:
        """Those of the rows that say something new, each as the next revision. Raises Fenced.

        `now` is asked inside of the transaction: a wait cannot put a row under a moment that was answered.
        `looked`: up to which slice corrections were looked at, moved in the same transaction.
        """
        fresh: list[Vector] = []
        async with self._database.write() as connection:
            await leases.check(connection, lease)
            before = await _last(connection, name, rows) if rows else {}
            moment = now()
            for one in rows:
                revision, numbers = before.get((one.asset, one.at), (-1, b""))
                if numbers != one.numbers:
                    fresh.append(replace(one, made_at=moment, revision=revision + 1))
            for first in range(0, len(fresh), AT_ONCE):
                some = [asdict(one) | {"feature_set": name} for one in fresh[first : first + AT_ONCE]]
                await connection.execute(insert(ml_features), some)
            if fresh:
                await changes.note(connection, lease.shard, {changes.FEATURES: None})
            if looked is not None:
                moved = update(feature_sets).where(feature_sets.c.hash == name).values(looked=looked)
                await connection.execute(moved)
        return fresh

    async def between(
        self, name: str, assets: Sequence[str], over: TimeRange, at: Point = NOW
    ) -> list[Vector]:
        """The rows that end in [start, end), by asset and hour, each in its last revision made by then."""
        query = (
            select(ml_features)
            .where(ml_features.c.asset.in_(assets), ml_features.c.feature_set == name)
            .where(ml_features.c.at >= over.start, ml_features.c.at < over.end)
            .order_by(ml_features.c.asset, ml_features.c.at, ml_features.c.revision)
        )
        if at.as_of is not None:
            query = query.where(ml_features.c.made_at <= at.as_of)
        last: dict[tuple[str, datetime], Vector] = {}
        async with self._database.read() as connection:
            for row in await connection.execute(query):
                last[row.asset, row.at] = _vector(row)
        return list(last.values())

    async def count(self, name: str, assets: Sequence[str], over: TimeRange, at: Point = NOW) -> int:
        """How many rows `between` gives; reads none of them."""
        mine = (
            select(ml_features.c.asset, ml_features.c.at)
            .where(ml_features.c.asset.in_(assets), ml_features.c.feature_set == name)
            .where(ml_features.c.at >= over.start, ml_features.c.at < over.end)
            .distinct()
        )
        if at.as_of is not None:
            mine = mine.where(ml_features.c.made_at <= at.as_of)
        async with self._database.read() as connection:
            found = await connection.execute(select(func.count()).select_from(mine.subquery()))
            return int(found.scalar_one())

    async def names(self, name: str) -> tuple[str, ...]:
        """The features of a set, in the order in which its rows have them; none for a set that nobody declared."""
        query = select(feature_sets.c.names).where(feature_sets.c.hash == name)
        async with self._database.read() as connection:
            found: str | None = (await connection.execute(query)).scalar()
        return () if found is None else tuple(json.loads(found))

    async def revisions(self, name: str, over: TimeRange) -> list[Vector]:
        """Every revision of the rows that end in [start, end)."""
        query = (
            select(ml_features)
            .where(ml_features.c.feature_set == name)
            .where(ml_features.c.at >= over.start, ml_features.c.at < over.end)
            .order_by(ml_features.c.at, ml_features.c.asset, ml_features.c.revision)
        )
        async with self._database.read() as connection:
            return [_vector(row) for row in await connection.execute(query)]

    async def publish_skew(self, name: str, told: Mapping[str, Any]) -> None:
        """Replace how the rows of the set came out when they were worked out again."""
        changed = update(feature_sets).where(feature_sets.c.hash == name).values(skew=dumps(told))
        async with self._database.write() as connection:
            await connection.execute(changed)

    async def skew(self) -> dict[str, Any] | None:
        """What was published of the newest set; None when nothing was."""
        query = select(feature_sets.c.skew).order_by(feature_sets.c.made_at.desc()).limit(1)
        async with self._database.read() as connection:
            found: str | None = (await connection.execute(query)).scalar()
        return None if found is None else json.loads(found)

    async def latest(self, name: str, assets: Sequence[str], at: Point = NOW) -> dict[str, Vector]:
        """The newest hour of each asset; those without a row are absent."""
        own = ml_features.alias("own")
        bound = [own.c.made_at <= at.as_of] if at.as_of is not None else []
        hour = (
            select(func.max(own.c.at))
            .where(own.c.asset == ml_features.c.asset, own.c.feature_set == name, *bound)
            .correlate(ml_features)
            .scalar_subquery()
        )
        query = (
            select(ml_features)
            .where(
                ml_features.c.asset.in_(assets), ml_features.c.feature_set == name, ml_features.c.at == hour
            )
            .order_by(ml_features.c.revision)
        )
        if at.as_of is not None:
            query = query.where(ml_features.c.made_at <= at.as_of)
        async with self._database.read() as connection:
            return {row.asset: _vector(row) for row in await connection.execute(query)}

    async def hours(self, name: str, over: TimeRange) -> dict[str, set[datetime]]:
        """Per asset the hours that have a row in [start, end)."""
        query = (
            select(ml_features.c.asset, ml_features.c.at)
            .where(
                ml_features.c.feature_set == name, ml_features.c.at >= over.start, ml_features.c.at < over.end
            )
            .distinct()
        )
        out: dict[str, set[datetime]] = {}
        async with self._database.read() as connection:
            for asset, moment in await connection.execute(query):
                out.setdefault(asset, set()).add(moment)
        return out

    async def extent(self, name: str) -> tuple[datetime, datetime] | None:
        """The first and the last hour that has a row; None without rows."""
        query = select(func.min(ml_features.c.at), func.max(ml_features.c.at))
        async with self._database.read() as connection:
            first, last = (await connection.execute(query.where(ml_features.c.feature_set == name))).one()
        return None if first is None else (first, last)


async def _last(
    connection: AsyncConnection, name: str, rows: Sequence[Vector]
) -> dict[tuple[str, datetime], tuple[int, bytes]]:
    """Number and content of the last revision of each row."""
    query = (
        select(ml_features.c.asset, ml_features.c.at, ml_features.c.revision, ml_features.c.numbers)
        .where(ml_features.c.asset.in_({one.asset for one in rows}), ml_features.c.feature_set == name)
        .where(
            ml_features.c.at >= min(one.at for one in rows), ml_features.c.at <= max(one.at for one in rows)
        )
        .order_by(ml_features.c.revision)
    )
    return {(asset, at): (number, bytes(held)) for asset, at, number, held in await connection.execute(query)}


def _vector(row: Row[Any]) -> Vector:
    return Vector(row.asset, row.at, bytes(row.numbers), row.bars, row.as_of, row.made_at, row.revision)
