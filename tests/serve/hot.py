"""A node with something behind each hot route, and the commits that change their answers."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

from ray_app.model.texts import Article, Post
from ray_app.model.timerange import TimeRange
from ray_app.process.features.catalogue import FEATURES, feature_set_hash
from ray_app.sources import coinbase, reddit, rss
from tests.serve.conftest import Running, at
from tests.serve.filling import MINUTE, START, flat
from tests.serve.sources import declared, had
from tests.serve.test_advanced import MODEL as OPINION
from tests.serve.test_advanced import UP, said
from tests.serve.test_crosscheck import bar
from tests.serve.test_features import row
from tests.serve.test_sentiment import NEWS as MODEL
from tests.serve.test_sentiment import POSTS as OTHER
from tests.serve.test_texts import STREAMS, article, linked, post

PRICE, PRICES = "/api/v1/prices/current/BTC?vs_currencies=usd,eur", "/api/v1/prices/current?symbols=BTC,ETH"
TECHNICAL, VECTOR = "/api/v1/technical/BTC", "/api/v1/ml-features/BTC"
NEWS, SOCIAL = "/api/v1/news/crypto/latest?symbol=BTC&limit=20", "/api/v1/social/latest"
HOT = (PRICE, PRICES, TECHNICAL, VECTOR, NEWS, SOCIAL)
SET, NAMES = feature_set_hash(), tuple(one.name for one in FEATURES)
NOW = at(3, minutes=2)  # when the questions begin
HOURS = 40


async def filled(node: Running) -> None:
    """Prices, rates, an exchange's close, candles, a row of features, articles and posts; the clock at NOW."""
    await node.fill.declare()
    await declared(node, coinbase.SOURCE, ["bars_5m"], partitions=["BTC-USD"])
    await declared(node, rss.SOURCE)
    await declared(node, reddit.SOURCE)
    await node.fill.prices(at(3), {"bitcoin": "64000", "ethereum": "3000"})
    await node.fill.rates(at(3), {"usd": "64000", "eur": "60000"})
    await node.fill.bars("bitcoin", at(3 - HOURS), [flat(str(100 + n % 7)) for n in range(HOURS)], at(3))
    await close(node, at(2, minutes=55), "64010")
    await node.store.vectors.declare(SET, NAMES, at, 0, node.fill.lease)
    await vector(node, 300, at(3, seconds=10))
    texts = [article("crypto/coindesk", f"n{n}", at(2, minutes=n), f"Bitcoin rises {n}") for n in range(3)]
    await had(node, rss.SOURCE, "articles", texts, at(3))
    posts = [post("t3_a", at(2), "to the moon with bitcoin"), post("t3_b", at(1), "sold my ethereum")]
    await had(node, reddit.SOURCE, "posts", posts, at(3))
    await linked(node, at(3, minutes=1))
    await told(node, "later", at(2, minutes=50), "Bitcoin and more", at(3, minutes=1))  # not linked yet
    await node.store.scores.configure(Article, MODEL, lambda: START, node.fill.lease)
    await node.store.advanced.configure(OPINION, lambda: START, node.fill.lease)
    await scored(node, ["n0"], at(3, minutes=1))
    node.clock.set(NOW)


async def close(node: Running, start: datetime, price: str) -> None:
    """Five minutes of an exchange, which prices are held against."""
    await had(node, coinbase.SOURCE, "bars_5m", [bar("BTC-USD", start, price)], start + 6 * MINUTE)


async def vector(node: Running, value: float, moment: datetime, hour: float = 3) -> None:
    made = [row("bitcoin", at(hour), value, moment)]
    await node.store.vectors.write(SET, made, lambda: moment, node.fill.lease)


async def told(node: Running, item: str, published: datetime, title: str, received: datetime) -> None:
    await had(node, rss.SOURCE, "articles", [article("crypto/coindesk", item, published, title)], received)


async def told_and_linked(node: Running, published: datetime, received: datetime) -> None:
    await told(node, "new", published, "A bitcoin ETF", received)
    await linked(node, received)


async def scored(node: Running, items: Sequence[str], moment: datetime) -> None:
    found = await node.store.scores.unscored(Article, STREAMS[Article], MODEL.digest, 10)
    made = [(text, UP) for text in found if text.id.item in items]
    assert await node.store.scores.write(Article, made, MODEL, lambda: moment, node.fill.lease) == len(items)


async def taken_back(node: Running) -> None:
    gone = Post(feed="Bitcoin", item="t3_b", at=at(1), deleted=True)
    await had(node, reddit.SOURCE, "posts", [gone], NOW)


async def wiped(node: Running) -> None:
    due = [one for one in await node.store.texts.outdated("reddit.posts", at(9000), 10) if one.item == "t3_b"]
    await node.store.texts.wipe("reddit.posts", None, due, "deleted", NOW, node.fill.lease)


async def declared_otherwise(node: Running) -> None:
    """Every data set has another attribution."""
    lines = await node.store.catalog.streams()
    for line in lines.values():
        del line["declared_at"]
        line["attribution"] = "as told since"
    await node.store.catalog.declare(lines, NOW)


Commit = Callable[[Running], Awaitable[Any]]
HOUR_OF_NOW = TimeRange(at(2), at(3))
CHANGES: dict[str, tuple[Commit, set[str]]] = {  # with the routes whose answers it must change
    "a price": (lambda n: n.fill.prices(at(3, 5), {"bitcoin": "64001"}), {PRICE, PRICES}),
    "a price corrected": (lambda n: n.fill.prices(at(3), {"bitcoin": "1"}, at(3, 1)), {PRICE, PRICES}),
    "an exchange rate": (lambda n: n.fill.rates(at(3), {"usd": "64000", "eur": "50000"}, NOW), {PRICE}),
    "a close that differs": (lambda n: close(n, at(2, 55), "50000"), {PRICE, PRICES}),
    "a candle corrected": (lambda n: n.fill.bars("bitcoin", at(2), [flat("150")], NOW), {TECHNICAL}),
    "an old candle corrected": (
        lambda n: n.fill.bars("bitcoin", at(-30), [flat("150")], NOW),
        {TECHNICAL},
    ),
    "a row of features corrected": (lambda n: vector(n, 301, NOW), {VECTOR}),
    "the next row of features": (lambda n: vector(n, 301, NOW, 4), {VECTOR}),
    "an article": (lambda n: told_and_linked(n, at(3), NOW), {NEWS}),
    "a headline changed": (lambda n: told(n, "n1", at(2, minutes=1), "Bitcoin falls", NOW), {NEWS}),
    "a poll that had nothing new": (
        lambda n: told(n, "n2", at(2, minutes=2), "Bitcoin rises 2", NOW),
        {NEWS},
    ),
    "a link": (lambda n: linked(n, NOW), {NEWS}),
    "scores": (lambda n: scored(n, ["n1", "n2"], NOW), {NEWS}),
    "another model": (
        lambda n: n.store.scores.configure(Article, OTHER, lambda: NOW, n.fill.lease),
        {NEWS},
    ),
    "a second opinion": (lambda n: said(n, NOW, n1=UP), {NEWS}),
    "a post taken back": (taken_back, {SOCIAL}),
    "a post wiped": (wiped, {SOCIAL}),
    "what is declared": (declared_otherwise, {PRICE, PRICES, TECHNICAL, NEWS, SOCIAL}),
}
