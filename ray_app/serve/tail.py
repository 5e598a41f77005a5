"""Background tasks of a replica: follow the price events, write key uses, give requests back."""

import asyncio
from collections.abc import Awaitable, Callable

from ray_app.model.clock import Clock, SystemClock
from ray_app.model.errors import StoreUnavailable
from ray_app.observe.log import logger
from ray_app.serve.prices import CurrentPrices
from ray_app.store.allowance import Redis
from ray_app.store.hot import EventStream

log = logger("gateway")
RETRY_SECONDS = 1.0
FLUSH_SECONDS = 3.0
WALL: Clock = SystemClock()  # sockets and flushes stay on wall time


async def follow_prices(redis: Redis, prices: CurrentPrices) -> None:
    """For ever: drop kept answers when their coin was observed. Without Redis nothing is kept for long."""
    while True:
        try:
            async for batch in EventStream(redis, "prices").follow(block_ms=1000):
                if not prices.told:
                    prices.forget(None)  # what was kept before we listened may be old
                    prices.told = True
                if batch:
                    coins = {str(event.record["coin"]) for event in batch if "coin" in event.record}
                    prices.forget(sorted(coins))  # other events tell how intervals ended
        except StoreUnavailable as error:
            if prices.told:
                log.warning("the price events cannot be followed: %s", error)
        except Exception:
            log.exception("the price events could not be read")  # go on: prices are read from SQL meanwhile
        finally:
            prices.told = False
        await WALL.sleep(RETRY_SECONDS)


async def repeat(task: Callable[[], Awaitable[None]], seconds: float = FLUSH_SECONDS) -> None:
    """For ever, every so many seconds; a failure is logged and does not end it."""
    while True:
        await WALL.sleep(seconds)
        try:
            await task()
        except Exception:
            log.exception("a background task failed; it goes on")


async def stop(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
