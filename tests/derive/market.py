"""A store with a small market in it: candles, prices, macro, chains, contracts, texts, as collecting leaves them."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import numpy as np

from ray_app.model.collected import Collected, Lease
from ray_app.model.declared import declare
from ray_app.model.records import Bar, Price, Record
from ray_app.model.series import FundingRate, MarketTotals, Metric, MoodIndex, Observation, OpenInterest
from ray_app.model.source import Page, Slice
from ray_app.model.symbols import Asset, Listing, Registry
from ray_app.model.texts import Article
from ray_app.model.timerange import TimeRange
from ray_app.process.linking import LINKER
from ray_app.sources import all_sources
from ray_app.store.linked import Link, Said
from ray_app.store.scored import Scorer, Verdict
from ray_app.store.store import Store

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NOW = datetime(2026, 11, 23, tzinfo=UTC)
COINS = {"bitcoin": "BTC", "ethereum": "ETH", "solana": "SOL"}
SCORER = Scorer("words", "a" * 64)
_numbers = itertools.count()


def asset(name: str, symbol: str) -> Asset:
    listings = (
        Listing("coingecko", name), Listing("coinbase", f"{symbol}-USD"), Listing("binance", f"{symbol}USDT"),
    )  # fmt: skip
    return Asset(name, symbol, symbol, listings=listings, tracked_from=datetime(2020, 1, 1, tzinfo=UTC))


REGISTRY = Registry([asset(name, symbol) for name, symbol in COINS.items()])


@dataclass
class Market:
    store: Store
    lease: Lease

    async def declare(self, *names: str, at: datetime = NOW - 400 * DAY) -> None:
        lines = {}
        for name in names:
            source = all_sources()[name.partition(".")[0]]
            (stream,) = (s for s in source.plans[0].streams if s.name == name.partition(".")[2])
            lines[name] = declare(
                source,
                source.plans[0],
                stream,
                stream.partitions(REGISTRY),
                3 * DAY,
                lives=stream.lives(REGISTRY),
            )
        await self.store.catalog.declare(lines, at)

    async def commit(
        self, name: str, records: Sequence[Record], at: datetime, step: timedelta = HOUR
    ) -> None:
        """One answer with these records, received at `at`."""
        source, _, stream = name.partition(".")
        cursors = [record.cursor for record in records]
        page = Page(
            source=source, stream=stream, path="/x", params={}, status=200, headers={}, asked_at=at, received_at=at,
            body=f"{next(_numbers)}".encode(),
        )  # fmt: skip
        partitions = tuple(sorted({record.partition for record in records}))
        one = Collected(
            source=source, stream=stream, parser="1", outcome="covered", received_at=at, pages=(page,), topic=None,
            slice=Slice(partitions, TimeRange(min(cursors), max(cursors) + step)),
            records=tuple((record, 0) for record in records),
        )  # fmt: skip
        await self.store.raw.keep(page)
        await self.store.commit([one], self.lease)

    async def bars(self, symbol: str, bars: Sequence[Bar], at: datetime) -> None:
        await self.commit("coinbase.bars_1h", bars, at)

    async def text(
        self, item: str, published: datetime, known: datetime, said: dict[str, str], score: str | None
    ) -> None:
        """An article that was received at `known`, and linked and scored 10 s later."""
        article = Article(
            feed="cointelegraph",
            item=item,
            at=published,
            published=published,
            updated=known,
            title=f"{item} as of {known:%d %H:%M}",
        )
        await self.commit("rss.articles", [article], known, timedelta(minutes=15))
        later = known + timedelta(seconds=10)
        names = ["rss.articles"]
        seen = await self.store.links.recent({Article: names}, TimeRange(published - DAY, published + DAY))
        texts = await self.store.links.unlinked(Article, names, LINKER, 100)
        links = [
            Link(t, f"story {t.id.item}", tuple(Said(a, "coin", Decimal(c)) for a, c in said.items()))
            for t in texts
        ]
        assert await self.store.links.link(links, LINKER, lambda: later, seen, self.lease)
        await self.store.scores.configure(Article, SCORER, lambda: later, self.lease)
        found = await self.store.scores.unscored(Article, names, SCORER.digest, 100)
        await self.store.scores.write(
            Article, [(t, verdict(score)) for t in found], SCORER, lambda: later, self.lease
        )


def verdict(score: str | None) -> Verdict:
    if score is None:
        return Verdict(None, None, None, None, None, None, "no_words")
    up = (1 + Decimal(score)) / 2
    label = "bullish" if up > Decimal("0.5") else "bearish"
    return Verdict(Decimal(score), label, max(up, 1 - up), 1 - up, Decimal(0), up, None)


@cache
def walk(symbol: str, hours: int, until: datetime = NOW, seed: int = 1) -> Sequence[Bar]:
    """Hourly candles of a random walk that end at `until`."""
    random = np.random.default_rng([seed, *symbol.encode()])
    ends = np.round(100 * np.exp(np.cumsum(0.01 * random.standard_normal(hours + 1))), 2)
    out = []
    for n in range(hours):
        opened, close = Decimal(str(ends[n])), Decimal(str(ends[n + 1]))
        start = until - (hours - n) * HOUR
        out.append(candle(symbol, start, opened, close, Decimal(str(round(random.lognormal(3, 1), 3)))))
    return tuple(out)


def candle(
    symbol: str, start: datetime, opened: Decimal, close: Decimal, volume: Decimal = Decimal(7)
) -> Bar:
    half = Decimal("0.5")
    return Bar(
        symbol=f"{symbol}-USD", interval="1h", start=start, end=start + HOUR, open=opened, close=close,
        high=max(opened, close) + half, low=min(opened, close) - half, volume=volume,
    )  # fmt: skip


def price(coin: str, slot: datetime, cap: int) -> Price:
    return Price(
        coin=coin,
        slot=slot,
        updated_at=slot,
        price=Decimal(1),
        market_cap=Decimal(cap),
        volume_24h=Decimal(cap // 10),
    )


def observation(series: str, period: datetime, vintage: datetime, value: str) -> Observation:
    return Observation(series=series, period=period, vintage=vintage, value=Decimal(value))


def others(at: datetime) -> dict[str, list[Record]]:
    """A value of each of the other kinds, as of the hour `at`."""
    day = at.replace(hour=0)
    values: dict[str, Any] = {"published": day + 12 * HOUR, "value": Decimal(at.timetuple().tm_yday + 1000)}
    return {
        "alternative.fear_greed": [MoodIndex(index="fear_greed", day=day, value=Decimal(day.day + 20), label="Fear")],
        "coingecko.market": [MarketTotals(
            market="crypto", slot=at, updated_at=at, market_cap=Decimal(10**12 + at.hour), volume_24h=Decimal(10**11),
            btc_dominance=Decimal(50) + at.day, eth_dominance=Decimal(12))],
        "binance_futures.funding": [FundingRate(symbol=f"{s}USDT", at=at, rate=Decimal("0.0001") * at.day)
                                    for s in COINS.values()],
        "binance_futures.open_interest": [OpenInterest(symbol=f"{s}USDT", at=at, amount=Decimal(5), worth=Decimal(
            10**9 + at.hour)) for s in COINS.values()],
        "coinmetrics.metrics": [Metric(metric=f"{c}.AdrActCnt", at=day - DAY, **values) for c in ("btc", "eth")],
    }  # fmt: skip
