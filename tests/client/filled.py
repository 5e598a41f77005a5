"""A store with something of everything, so that every route has an answer."""

from datetime import timedelta
from decimal import Decimal
from functools import partial

from ray_app.model.series import MoodIndex
from ray_app.model.source import Quota
from ray_app.model.symbols import Registry
from ray_app.model.timerange import TimeRange
from ray_app.sources import alternative, binance_futures, coinbase, mempool
from ray_app.store.keys import SCOPES
from tests.serve import test_macro, test_sentiment
from tests.serve.conftest import Running, at
from tests.serve.filling import COINS, DAY, HOUR, REGISTRY, START, ohlc
from tests.serve.hours import stored, walk
from tests.serve.sources import answered, declared, had
from tests.serve.test_features import NAMES, SET, row
from tests.serve.test_onchain import listed

MINUTE = timedelta(minutes=1)
BTC = {"binance": "BTCUSDT", "coinbase": "BTC-USD"}
TRADED = Registry([listed(one, **BTC) if one.id == "bitcoin" else one for one in REGISTRY.assets])


async def everything(node: Running) -> Running:
    """It is half past three in the morning of the first day; the key may have everything."""
    await node.fill.declare()
    for n in range(0, 42, 3):
        numbers = {coin: f"{100 * (place + 1) + n}.25" for place, coin in enumerate(COINS)}
        await node.fill.prices(at(minutes=5 * n), numbers)
    for n in range(4):
        await node.fill.rates(at(n), {"usd": "1", "eur": "2", "btc": "1", "jpy": "3"})
    for coin in COINS:
        await node.fill.bars(coin, at(-48), [ohlc(n) for n in range(51)], at(3, 17))
    await node.fill.bars("bitcoin", at(-2), [ohlc(1000)], at(3, 18))  # corrected
    await node.fill.failed("bars_1h", ["solana"], TimeRange(at(3), at(4)), at(3, 20))
    await declared(node, coinbase.SOURCE, ["bars_1h"], partitions=["BTC-USD"])
    await stored(node, walk(60))
    await node.store.vectors.declare(SET, NAMES, at, 0, node.fill.lease)
    for n in (1, 2, 3):
        made = [row(coin, at(n), 100 * n, at(n, seconds=10)) for coin in ("bitcoin", "ethereum")]
        await node.store.vectors.write(SET, made, partial(at, n, seconds=10), node.fill.lease)
    await test_sentiment.ready(node)
    await test_macro.filled(node)
    await declared(node, alternative.SOURCE)
    mood = MoodIndex(index="fear_greed", day=START, value=Decimal(40), label="Fear")
    await had(node, alternative.SOURCE, "fear_greed", [mood], at(minutes=1))
    await declared(node, mempool.SOURCE)
    waiting = {"count": 41234, "vsize": 23456789, "total_fee": 1234567}
    names = ["btc.mempool_tx", "btc.mempool_vsize", "btc.mempool_fees"]
    over = TimeRange(at(3), at(3, 10))
    await answered(node, mempool.SOURCE, "waiting", names, over, waiting, at(3, 2), mempool.WAITING)
    futures = binance_futures.SOURCE
    await declared(node, futures, partitions=("BTCUSDT",))
    rate = {"symbol": "BTCUSDT", "fundingRate": "0.0001", "markPrice": "64000.5"}
    rate["fundingTime"] = int((START - 8 * HOUR).timestamp() * 1000)  # type: ignore[assignment]  # as it is sent
    await answered(node, futures, "funding", ["BTCUSDT"], TimeRange(START - DAY, START), [rate], at(0, 1))
    await node.store.quotas.declare("coingecko-paid", Quota(500, MINUTE, 500_000), START)
    await node.store.quotas.reserve("coingecko-paid", 12, at(minutes=1), 1.0)
    await node.store.catalog.write_backfill(
        "heal-1", request={"stream": "coingecko.bars_1h"}, state="done", slices=2, done=2,
        receipt={"requested": 24}, started_at=at(), updated_at=at(minutes=1),
    )  # fmt: skip
    node.key = await node.new_key(*SCOPES, internal=True, per_hour=100_000, burst=100_000)
    node.http.headers["Authorization"] = f"Bearer {node.key}"
    node.clock.set(at(3, 30))
    return node
