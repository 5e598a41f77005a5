"""What the API benchmarks ask about: a year of hours, indicators' history, rows of all features, linked news.

Made here, and committed by the store's own code; ends now, so that the routes answer with the newest of it.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from ray_app.collect.collector import parsed
from ray_app.model.collected import Collected, Lease
from ray_app.model.source import Page, Slice
from ray_app.model.texts import Article
from ray_app.model.timerange import TimeRange, floor
from ray_app.process.linking import LINKER, Linker
from ray_app.sources import coingecko
from ray_app.store.linked import Link, Said
from ray_app.store.vectors import Vector

HOUR = timedelta(hours=1)
HOURS = 366 * 24
COINS = ("bitcoin", "ethereum")
TEXTS = 200
PAID = next(one for one in coingecko.SOURCE.plans if one.name == "paid")
AT_ONCE = 1_500  # candles of one answer


async def fill(store: Any, registry: Any, now: datetime, lease: Lease) -> None:
    """`store` is declared already: CoinGecko's bars of an hour and RSS are among its data sets."""
    end = floor(now, HOUR)
    for coin in COINS:
        for first in range(0, HOURS, AT_ONCE):
            count = min(AT_ONCE, HOURS - first)
            await _bars(store, coin, end - (HOURS - first) * HOUR, count, now, lease)
    await _features(store, end, now, lease)
    await _news(store, registry, now, lease)


def _page(source: str, stream: str, body: bytes, now: datetime, **params: str) -> Page:
    return Page(
        source=source, stream=stream, path="/bench", params=params, status=200, headers={}, body=body,
        asked_at=now, received_at=now,
    )  # fmt: skip


async def _bars(store: Any, coin: str, first: datetime, count: int, now: datetime, lease: Lease) -> None:
    draw = np.random.default_rng(7)
    closes = 60_000 * np.exp(np.cumsum(draw.normal(0, 0.004, count)))
    rows = []
    for n, close in enumerate(closes):
        ends = int((first + (n + 1) * HOUR).timestamp() * 1000)
        rows.append(f"[{ends},{close:.4f},{close * 1.003:.4f},{close * 0.997:.4f},{close * 1.0005:.4f}]")
    stream = next(one for one in PAID.streams if one.name == "bars_1h")
    wanted = Slice((coin,), TimeRange(first, first + count * HOUR))
    page = _page("coingecko", "bars_1h", f"[{','.join(rows)}]".encode(), now, vs_currency="usd")
    await store.raw.keep(page)
    await store.commit([parsed(coingecko.SOURCE, stream, wanted, [page])], lease)


async def _features(store: Any, end: datetime, now: datetime, lease: Lease) -> None:
    from ray_app.process.features.catalogue import FEATURES, feature_set_hash

    name, names = feature_set_hash(), tuple(one.name for one in FEATURES)
    await store.vectors.declare(name, names, lambda: now, 0, lease)
    draw = np.random.default_rng(11)
    rows = [
        Vector(coin, end, draw.normal(0, 1, len(names)).astype("<f8").tobytes(), "coingecko.bars_1h", now)
        for coin in COINS
    ]
    await store.vectors.write(name, rows, lambda: now, lease)


async def _news(store: Any, registry: Any, now: datetime, lease: Lease) -> None:
    page = _page("rss", "articles", b"<rss/>", now)
    await store.raw.keep(page)
    words = ("Bitcoin rises", "Ether and bitcoin fall", "A quiet day", "Miners of bitcoin sell")
    records = [
        Article(
            feed="crypto/coindesk", item=f"n{n}", at=now - n * timedelta(minutes=7),
            published=now - n * timedelta(minutes=7), title=f"{words[n % 4]}, part {n}",
            summary="What happened, in a few sentences that are as long as those of feeds usually are. " * 3,
            url=f"https://example.com/{n}", language="en",
        )
        for n in range(TEXTS)
    ]  # fmt: skip
    over = TimeRange(now - timedelta(days=2), now)
    brought = Collected(
        source="rss", stream="articles", parser="1", outcome="covered", received_at=now, pages=(page,),
        slice=Slice(("crypto/coindesk",), over), records=tuple((one, 0) for one in records),
    )  # fmt: skip
    await store.commit([brought], lease)
    linker, kinds = Linker(registry), {Article: ("rss.articles",)}
    texts = await store.links.unlinked(Article, kinds[Article], LINKER, 10_000)
    links: list[Link] = []
    for text in texts:
        said = linker.mentions(text.title, text.text, text.topics, text.at)
        links.append(
            Link(
                text, f"s{len(links)}", tuple(Said(m.asset, m.kind, Decimal(str(m.confidence))) for m in said)
            )
        )
    seen = await store.links.recent(kinds, over)
    await store.links.link(links, LINKER, lambda: now, seen, lease)
