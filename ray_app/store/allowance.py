"""How many requests a key made in a window, counted in Redis for all replicas together.

A replica takes several at once. Losing Redis loses the counts of the present hour, nothing else.
"""

from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from ray_app.model.errors import StoreUnavailable

__all__ = ["Redis", "RequestCounts"]


class RequestCounts:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def add(self, key: str, window: str, amount: int, keep_seconds: int) -> int:
        """Count `amount` (negative: give back); the window's total afterwards. Raises StoreUnavailable."""
        name = f"crypto-data:requests:{key}:{window}"
        try:
            pipe: Any = self._redis.pipeline(transaction=False)
            pipe.incrby(name, amount)
            pipe.expire(name, keep_seconds)
            total, _ = await pipe.execute()
        except (RedisError, OSError) as error:
            raise StoreUnavailable(f"redis: {error}") from error
        return int(total)

    async def answers(self) -> bool:
        """Whether Redis is there."""
        try:
            await self._redis.ping()
        except (RedisError, OSError):
            return False
        return True

    async def close(self) -> None:
        await self._redis.aclose()
