"""The newest features of each asset in Redis, for who cannot wait until they are settled and stored."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from ray_app.model.errors import StoreUnavailable

KEPT = timedelta(hours=3)  # what is older is no newest row


def features_key(asset: str) -> str:
    return f"crypto-data:features:{asset}"


class HotFeatures:
    """A JSON value per asset: `at`, `as_of`, `feature_set`, `stored`, `features`."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def publish(self, rows: Mapping[str, Mapping[str, Any]]) -> None:
        """Replace the rows of these assets. Raises StoreUnavailable."""
        if not rows:
            return
        try:
            pipe: Any = self._redis.pipeline(transaction=False)
            for asset, row in rows.items():
                pipe.set(features_key(asset), json.dumps(row, default=_text), ex=KEPT)
            await pipe.execute()
        except RedisError as error:
            raise StoreUnavailable(f"redis: {error}") from error

    async def read(self, assets: Sequence[str]) -> dict[str, dict[str, Any]]:
        """What is there of these assets. Raises StoreUnavailable."""
        try:
            found: Iterable[Any] = (
                await self._redis.mget([features_key(one) for one in assets]) if assets else []
            )
        except RedisError as error:
            raise StoreUnavailable(f"redis: {error}") from error
        return {
            asset: json.loads(text) for asset, text in zip(assets, found, strict=True) if text is not None
        }


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is no JSON")
