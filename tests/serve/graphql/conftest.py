from functools import partial

import pytest

from tests.serve import test_macro, test_onchain, test_sentiment
from tests.serve.conftest import Running, Start, at
from tests.serve.filling import ohlc
from tests.serve.test_features import NAMES, SET, row

HOURS = 40


@pytest.fixture
async def full(start: Start) -> Running:
    """A node with something of everything, asked with a key to everything that is internal."""
    running = await start()
    await running.fill.declare()
    await test_macro.filled(running)
    await test_onchain.filled(running)
    await test_sentiment.ready(running)
    await running.fill.prices(at(), {"bitcoin": "68000.123456789012", "ethereum": "3500.5"})
    await running.fill.rates(at(), {"usd": "68000", "eur": "64000"}, at(seconds=30))
    for coin in ("bitcoin", "ethereum"):
        candles = [ohlc(n) if n != 7 else None for n in range(HOURS)]
        await running.fill.bars(coin, at(-HOURS), candles, at(minutes=1))
    await running.store.vectors.declare(SET, NAMES, at, 0, running.fill.lease)
    made = [row("bitcoin", at(-1), 1, at(seconds=10)), row("bitcoin", at(), 2, at(seconds=20))]
    await running.store.vectors.write(
        SET,
        [*made, row("ethereum", at(), 3, at(seconds=20))],
        partial(at, seconds=20),
        running.fill.lease,
    )
    running.clock.set(at(minutes=6, seconds=30))
    every = await running.store.keys.list()
    scopes = {scope for one in every for scope in one.scopes}
    key = await running.new_key(*scopes, internal=True, per_hour=100_000, burst=100_000)
    running.http.headers["Authorization"] = f"Bearer {key}"
    return running
