"""A node for the page: gateway and streams in one ASGI application on a port, over a store that is filled here.

What is in the store is made: random walks of a fixed seed, told by upstreams of that name, marked as simulated.
"""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ray_app.model.clock import ManualClock, SystemClock
from ray_app.model.records import Bar
from ray_app.model.series import Metric, MoodIndex, Observation
from ray_app.model.source import Quota
from ray_app.model.symbols import Registry, load_registry
from ray_app.model.timerange import TimeRange
from ray_app.serve.gateway import Parts, build_app
from ray_app.serve.streams.app import Streams, build_events
from ray_app.sources import alternative, coinbase, coingecko, etherscan, fred, mempool, rss
from ray_app.store.keys import SCOPES
from ray_app.store.store import Store
from tests.serve.conftest import Running, at, client
from tests.serve.filling import DAY, HOUR, MINUTE, START, Filler
from tests.serve.sources import declared, had
from tests.serve.streams.conftest import relay, served
from tests.serve.test_sentiment import scored, told
from tests.serve.test_texts import article

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

FEEDS = ("crypto/coindesk", "crypto/decrypt", "crypto/theblock")
COINS = {  # id: ticker, price, market cap, 24 h in percent
    "bitcoin": ("BTC", 91_250.5, 1.81e12, 1.84),
    "ethereum": ("ETH", 3_412.25, 4.11e11, -0.62),
    "ripple": ("XRP", 2.1875, 1.25e11, 3.41),
    "solana": ("SOL", 188.34, 9.05e10, 4.27),
    "dogecoin": ("DOGE", 0.15734, 2.33e10, -2.05),
    "cardano": ("ADA", 0.6121, 2.17e10, 0.44),
    "chainlink": ("LINK", 17.42, 1.14e10, -1.12),
    "bitcoin-cash": ("BCH", 512.8, 1.02e10, 0.91),
    "stellar": ("XLM", 0.2871, 9.2e9, -0.35),
    "litecoin": ("LTC", 98.15, 7.4e9, 0.08),
    "polkadot": ("DOT", 4.873, 7.6e9, -3.27),
    "uniswap": ("UNI", 8.442, 5.3e9, 2.19),
}
MISSING = {  # hours before START
    "BTC-USD": range(190, 193), "ADA-USD": range(700, 745), "DOGE-USD": (*range(300, 330), 31),
    "XRP-USD": range(1500, 1560), "LINK-USD": range(80, 86),
}  # fmt: skip
HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script> Bitcoin"
HEADLINES = (
    ("Bitcoin ETFs take in money for the sixth day", 0.71), ("Miners of bitcoin sell reserves as fees fall", -0.44),
    ("Bitcoin holds above ninety thousand dollars", 0.38), ("Regulator fines exchange over bitcoin custody", -0.63),
    ("Bank opens bitcoin desk for pension funds", 0.66), ("Bitcoin options expiry passes quietly", 0.02),
    ("Analysts split on the next move of bitcoin", 0.0), ("Hash rate of bitcoin at a record", 0.52),
    ("Bitcoin slips as the dollar gains", -0.47), ("Treasury firm buys more bitcoin", 0.58),
)  # fmt: skip
MACRO: Mapping[str, tuple[str, float, float, int]] = {  # stream, first value, step in percent, days between
    "DGS10": ("macro_daily", 4.2, 1.1, 7), "T10YIE": ("macro_daily", 2.3, 1.0, 7),
    "DTWEXBGS": ("macro_daily", 121.0, 0.4, 7), "CPIAUCSL": ("macro", 289.0, 0.25, 30),
    "UNRATE": ("macro", 4.1, 1.6, 30), "M2SL": ("macro", 20_800.0, 0.3, 30), "FEDFUNDS": ("macro", 4.6, 1.9, 30),
    "GDP": ("macro", 26_900.0, 1.1, 91),
}  # fmt: skip
CHAIN: Mapping[str, tuple[str, float, float]] = {  # stream, value, step in percent
    "btc.hash_rate": ("mining", 8.1e20, 0.9), "btc.difficulty": ("mining", 1.21e14, 0.2),
    "btc.mempool_tx": ("waiting", 48_000.0, 4.0), "btc.mempool_vsize": ("waiting", 3.4e7, 3.0),
    "btc.fee_rate_fast": ("fees", 7.0, 6.0), "btc.block_height": ("height", 925_000.0, 0.0002),
}  # fmt: skip


@dataclass
class World:
    """The node as a browser sees it: `url`, and `key` to everything."""

    running: Running
    url: str
    key: str
    app: "Together"
    slot: int = field(default=2)

    async def prices(self, prices: Mapping[str, str]) -> None:
        """One more poll, committed and told to the streams."""
        self.slot += 1
        self.running.clock.set(at(minutes=5 * self.slot, seconds=5))
        await self.running.fill.prices(at(minutes=5 * self.slot), prices, asked=tuple(COINS))
        await relay(self.running, None)

    async def key_of(self, *scopes: str, **more: Any) -> str:
        return await self.running.new_key(*(scopes or SCOPES), **more)


class Together:
    """Requests of event streams go to their application, all others to the gateway; Serve does so by the path."""

    def __init__(self, gateway: "ASGIApp", events: Streams) -> None:
        self._gateway, self._events = gateway, events
        self.streaming = True  # False: nothing serves streams

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] == "lifespan":
            await self._events(scope, receive, send)  # the gateway's life is the world's
        elif self.streaming and scope["path"].startswith("/api/v1/stream/"):
            await self._events(scope, receive, send)
        else:
            await self._gateway(scope, receive, send)


@asynccontextmanager
async def world(folder: Path, days: int = 40, *, pictures: bool = False) -> AsyncIterator[World]:
    """Fill a store in the folder and serve it: so many days of candles, of two coins or of every one;
    without the hostile text for `pictures`."""
    store = Store(f"sqlite+aiosqlite:///{folder / 'node.db'}", str(folder / "raw"))
    await store.database.prepare(simulated=True)
    clock, registry = ManualClock(START), _registry()
    parts = Parts(store=store, redis=None, registry=registry, clock=clock, simulated=True, release="test")
    app = build_app(parts)
    lease = await store.leases.acquire("tests", "tests")
    assert lease is not None
    async with AsyncExitStack() as stack:
        stack.push_async_callback(store.close)
        await stack.enter_async_context(app.router.lifespan_context(app))
        more = {"per_hour": 1_000_000, "burst": 1_000_000, "internal": True}
        key = await store.keys.create("page", frozenset(SCOPES), SystemClock().now(), **more)  # type: ignore[arg-type]  # as they are named
        http = await stack.enter_async_context(client(app, key))
        running = Running(store, Filler(store, lease), clock, app, key, http)
        await _fill(running, days, pictures=pictures)
        together = Together(app, build_events(parts))
        port = await stack.enter_async_context(served(together))
        yield World(running, f"http://127.0.0.1:{port}", key, together)


def _pairs(registry: Registry) -> dict[str, str]:
    """Coinbase's names of the coins that it lists."""
    return {one.id: each.id for one in registry.assets for each in one.listings if each.venue == "coinbase"}


def _registry() -> Registry:
    return Registry([one for one in load_registry().assets if one.id in COINS])


async def _fill(running: Running, days: int, *, pictures: bool) -> None:
    before = START - days * DAY + 4 * DAY
    await running.fill.declare(before, names=("prices",), partitions=tuple(COINS))
    for stream in ("macro", "macro_daily"):
        mine = [name for name, about in MACRO.items() if about[0] == stream]
        await declared(running, fred.SOURCE, [stream], partitions=mine, at=before)
    for source in (mempool.SOURCE, alternative.SOURCE):
        await declared(running, source, at=before)
    pairs = _pairs(running.node.registry)
    await declared(running, coinbase.SOURCE, ["bars_1h"], partitions=list(pairs.values()), at=before)
    await declared(running, rss.SOURCE, partitions=FEEDS, at=before)
    await declared(running, etherscan.SOURCE, at=before, missing="CRYPTO_DATA_ETHERSCAN_KEY")
    await _markets(running, days, pictures=pictures)
    await _texts(running, hostile=not pictures)
    await _series(running)
    await _operations(running)
    running.clock.set(at(minutes=10, seconds=5))
    await relay(running, None)


def _walk(first: float, steps: int, percent: float, seed: str) -> list[float]:
    random = np.random.default_rng(sum(seed.encode()))
    return [float(x) for x in first * np.exp(np.cumsum(percent / 100 * random.standard_normal(steps)))]


async def _markets(running: Running, days: int, *, pictures: bool) -> None:
    pairs = _pairs(running.node.registry)
    for name, (_, last, _, change) in COINS.items():
        if name in pairs:
            hours = days * 24 if pictures or name in ("bitcoin", "ethereum") else 30
            await _candles(running, pairs[name], last, change, hours)
    now = {name: f"{last:.8g}" for name, (_, last, _, _) in COINS.items()}
    for slot in range(3):
        await running.fill.prices(at(minutes=5 * slot), now, asked=tuple(COINS))
    await _facts(running)


async def _facts(running: Running) -> None:
    """The last poll with caps and changes of each coin."""
    from ray_app.model.records import Price

    slot = at(minutes=10)
    records = [
        Price(
            coin=name, slot=slot, updated_at=slot - timedelta(seconds=20), price=Decimal(f"{last:.8g}"),
            market_cap=Decimal(f"{cap:.0f}"), volume_24h=Decimal(f"{cap / 40:.0f}"),
            change_24h=Decimal(f"{last * change / 100:.6g}"), change_percent_24h=Decimal(str(change)),
        )
        for name, (_, last, cap, change) in COINS.items()
    ]  # fmt: skip
    await had(running, coingecko.SOURCE, "prices", records, slot + timedelta(seconds=2))


async def _candles(running: Running, pair: str, last: float, change: float, hours: int) -> None:
    """Hours that end at `last`, `change` percent above those of a day before; some were not told (MISSING)."""
    walk = _walk(1.0, hours + 1, 0.62, pair)
    moved = walk[-25] * (1 + change / 100) / walk[-1]
    closes = [last * one / walk[-1] / moved ** min(1, (hours - n) / 24) for n, one in enumerate(walk)]
    random = np.random.default_rng(len(pair) + hours)
    bars = []
    for n in range(hours):
        start = START - (hours - n) * HOUR
        high, low = max(closes[n : n + 2]), min(closes[n : n + 2])
        reach = np.abs(random.standard_normal(2)) * 0.0022
        numbers = (
            closes[n],
            high * (1 + reach[0]),
            low * (1 - reach[1]),
            closes[n + 1],
            random.lognormal(5, 0.6),
        )
        if hours - n in MISSING.get(pair, ()):
            continue
        opened, top, bottom, closed, volume = (Decimal(f"{one:.8g}") for one in numbers)
        bars.append(
            Bar(symbol=pair, interval="1h", start=start, end=start + HOUR, open=opened, high=top, low=bottom,
                close=closed, volume=volume)
        )  # fmt: skip
    for run in _runs(bars):
        await had(running, coinbase.SOURCE, "bars_1h", run, run[-1].end)


def _runs(bars: list[Bar]) -> list[list[Bar]]:
    """Consecutive ones together: what is between two was not accounted for."""
    out: list[list[Bar]] = []
    for one in bars:
        if out and out[-1][-1].end == one.start:
            out[-1].append(one)
        else:
            out.append([one])
    return out


async def _texts(running: Running, *, hostile: bool) -> None:
    said: dict[str, tuple[str, str]] = {}
    found = []
    random = np.random.default_rng(7)
    hours = sorted(
        float(x) for x in np.concatenate([random.uniform(0.2, 24, 40), random.uniform(24, 500, 60)])
    )
    for n, back in enumerate(hours):
        title, lean = HEADLINES[n % len(HEADLINES)] if n != 1 or not hostile else (HOSTILE, -0.2)
        feed = FEEDS[n % 3]
        link = "javascript:alert(1)" if n == 1 and hostile else f"https://example.com/{n}"
        found.append(article(feed, f"n{n}", START - timedelta(hours=back), title, url=link, language="en"))
        score = float(np.clip(lean + 0.2 * np.sin(back / 4) + random.normal(0, 0.1), -0.9, 0.9))
        low, high = max(0.03, -score) + 0.02, max(0.03, score) + 0.02
        said[f"n{n}"] = (f"{low:.3f}", f"{high:.3f}")
    await had(running, rss.SOURCE, "articles", found, at(minutes=1))
    await told(running, at(minutes=2))
    await scored(running, at(minutes=3), said)


async def _series(running: Running) -> None:
    for name, (stream, first, step, apart) in MACRO.items():
        values = _walk(first, 5 * 365 // apart, step, name)
        days = [START - timedelta(days=apart * (len(values) - n) + 20) for n in range(len(values))]
        records = [
            Observation(series=name, period=day, vintage=day + 15 * DAY, value=Decimal(f"{value:.5g}"))
            for day, value in zip(days, values, strict=True)
        ]
        await had(running, fred.SOURCE, stream, records, at(minutes=4))
    for name, (stream, first, step) in CHAIN.items():
        values = _walk(first, 240, step, name)
        late = 3 * HOUR if stream == "fees" else timedelta(0)
        times = [START - 3 * HOUR * (len(values) - 1 - n) - late for n in range(len(values))]
        metrics = [
            Metric(metric=name, at=time, published=time + 10 * MINUTE, value=Decimal(f"{value:.6g}"))
            for time, value in zip(times, values, strict=True)
        ]
        await had(running, mempool.SOURCE, stream, metrics, at(minutes=4))
    mood = MoodIndex(index="fear_greed", day=START, value=Decimal(61), label="Greed")
    await had(running, alternative.SOURCE, "fear_greed", [mood], at(minutes=4))


async def _operations(running: Running) -> None:
    """Collectors as they report, quotas as they are spent, candles that failed."""
    quotas, catalog = running.store.quotas, running.store.catalog
    for scope, quota, spent in (
        ("coingecko-paid", Quota(500, MINUTE, 500_000), 331_200), ("fred-keyed", Quota(120, MINUTE, None), 4_210),
        ("guardian-developer", Quota(1, timedelta(seconds=1), 15_000), 13_900),
        ("coinbase-public", Quota(10, timedelta(seconds=1), None), 70_331),
    ):  # fmt: skip
        await quotas.declare(scope, quota, START)
        await quotas.reserve(scope, spent, START - DAY, 1e-9)
    for name, dataset in (await running.node.datasets.all()).items():
        every = timedelta(seconds=dataset.declared["every_seconds"])
        bad = name == "mempool.fees"
        line: dict[str, Any] = {
            "state": "waiting", "last_run": at(minutes=5), "last_success": at(minutes=-30 if bad else 5),
            "next_run": at(minutes=6) + every, "errors": Counter({"transient": 3} if bad else {}),
            "last_error": "Transient: HTTP 503 from the upstream, 3 attempts" if bad else "",
            "last_error_at": at(minutes=-2) if bad else None,
        }  # fmt: skip
        await catalog.report(name, "node-1", line)
    await _failures(running)


async def _failures(running: Running) -> None:
    from ray_app.collect.collector import failure
    from ray_app.model.errors import Transient
    from ray_app.model.source import Slice
    from tests.serve.sources import stream

    bars = stream(coinbase.SOURCE, "bars_1h")
    for pair in ("BTC-USD", "DOGE-USD"):
        hours = MISSING[pair]
        over = TimeRange(START - max(hours) * HOUR, START - (min(hours) - 1) * HOUR)
        error = Transient("coinbase", "HTTP 503")
        await running.fill.commit(failure(coinbase.SOURCE, bars, Slice((pair,), over), error, at(minutes=1)))
