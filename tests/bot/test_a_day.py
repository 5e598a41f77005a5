"""A trading bot's day: what it was told is what is in the store, each event once, and the same when it asks again."""

import asyncio
import re
from datetime import datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from ray_app.model.records import Bar, Price, Record
from ray_app.model.series import Metric, Observation
from ray_app.model.texts import Article
from ray_app.sources import rss
from ray_app.store.tables import FACTS, series
from tests.bot.bot import COINS, Bot
from tests.conform.world import World, world
from tests.serve.conftest import at
from tests.serve.sources import had
from tests.serve.test_features import SET, row
from tests.serve.test_texts import article

IDS = {"BTC": "bitcoin", "ETH": "ethereum", "SOL": "solana"}
FIRST, LAST = 4, 14  # hours of the day
POLLS = (0, 15, 30, 45)  # minutes
pytestmark = pytest.mark.slow


def price(place: int, hour: int, minute: int) -> str:
    return f"{100 * (place + 1) + hour}.{minute:02}5"


def candle(place: int, hour: int) -> tuple[str, str, str, str]:
    base = Decimal(100 * (place + 1) + hour)
    return str(base), str(base + 2), str(base - 1), str(base + Decimal("0.625"))


async def _an_hour(node: World, hour: int) -> None:
    """The market of one hour, collected and told: polls, the candle of the hour before, features, an article."""
    running = node.running
    for minute in POLLS:
        moment = at(hour, minute)
        running.clock.set(at(hour, minute, 2))
        await running.fill.prices(
            moment, {coin: price(n, hour, minute) for n, coin in enumerate(IDS.values())}
        )
        await node.relay()
    running.clock.set(at(hour, 50))
    for n, coin in enumerate(IDS.values()):
        await running.fill.bars(coin, at(hour - 1), [candle(n, hour - 1)], at(hour, 17))
    made = [row(coin, at(hour), 100 * hour, at(hour, seconds=10)) for coin in ("bitcoin", "ethereum")]
    await running.store.vectors.write(SET, made, partial(at, hour, seconds=10), running.fill.lease)
    text = article("crypto/coindesk", f"of {hour}", at(hour, 5), f"Bitcoin in hour {hour}")
    await had(running, rss.SOURCE, "articles", [text], at(hour, 6))
    await node.relay()


@pytest.fixture
async def told(tmp_path: Path) -> Any:
    """A node, and a bot that has been through the day: (node, bot, its export)."""
    async with world(tmp_path) as node:
        async with Bot(node.url, node.key) as bot:
            await _listening(bot)
            for hour in range(FIRST, LAST):
                await _an_hour(node, hour)
                await bot.hour()
            await _heard(bot)
            datasets = ["coingecko.bars_1h"]
            exported = await bot.export(what="bars", symbols=["BTC"], interval="1h", datasets=datasets)
            await bot.review()
        yield node, bot, exported


async def _listening(bot: Bot) -> None:
    """Until both streams have had their snapshots: what is told from then on is events."""
    async with asyncio.timeout(30):
        while min(bot.last.values()) < 0:  # noqa: ASYNC110  # nobody tells it
            await asyncio.sleep(0.02)


async def _heard(bot: Bot) -> None:
    """Until the streams have brought all: of each poll three updates and the end of the interval, and the texts."""
    events, texts = (LAST - FIRST) * len(POLLS) * (len(COINS) + 1), LAST - FIRST
    async with asyncio.timeout(120):
        while len(bot.book.heard) < events or len(bot.book.news) < texts:  # noqa: ASYNC110  # as above
            await asyncio.sleep(0.05)


async def _stored(node: World, record: type[Record], stream: str) -> dict[Any, Any]:
    """Every fact of a data set in its last revision, by partition and key; straight from the tables."""
    table = FACTS[record]
    asked = select(series.c.partition, table).join_from(table, series, series.c.id == table.c.series)
    async with node.running.store.database.engine.connect() as open_:
        rows = (
            await open_.execute(asked.where(series.c.stream == stream).order_by(table.c.revision))
        ).mappings()
        return {(row["partition"], row[record.keyed_by()]): row for row in rows}


async def test_what_the_bot_was_told_is_in_the_store(told: Any):
    node, bot, (manifest, frame) = told
    book = bot.book
    assert book.wrong == []
    assert book.resumed >= 5
    assert book.unchanged > 0

    stored = await _stored(node, Price, "coingecko.prices")
    today = {place: row["price"] for place, row in stored.items() if place[1] >= at(FIRST)}
    assert len(today) == (LAST - FIRST) * len(POLLS) * len(COINS)
    cursors = [one["cursor"] for one in book.heard]
    assert cursors == sorted(set(cursors))  # each once, in order, over all that broke off
    updates = [one for one in book.heard if one["type"] == "price_update"]
    heard = [(IDS[one["symbol"]], Decimal(str(one["data"]["price_usd"]))) for one in updates]
    assert sorted(heard) == sorted((coin, value) for (coin, _), value in today.items())
    assert sum(one["type"] == "interval_complete" for one in book.heard) == (LAST - FIRST) * len(POLLS)

    for hour, asked in enumerate(book.prices, FIRST):
        now = {one["symbol"]: Decimal(str(one["current_price"]["usd"])) for one in asked.told["data"]}
        assert now == {coin: today[IDS[coin], at(hour, POLLS[-1])] for coin in COINS}, hour

    kept = await _stored(node, Bar, "coingecko.bars_1h")
    closes = {start: row["close"] for (coin, start), row in kept.items() if coin == "bitcoin"}
    last = next(one for one in reversed(book.others["candles"]) if "/BTC" in one.path).told["data"]
    shown = {_moment(one["timestamp"]): Decimal(str(one["close"])) for one in last}
    assert shown == closes
    assert manifest["rows"] == frame.height == len(closes)
    assert dict(zip(frame["start"], map(Decimal, frame["close"]), strict=True)) == closes
    assert book.technical[-1].told["candle"]["end"] == f"2026-11-23T{LAST - 1:02}:00:00.000Z"

    written = await _stored(node, Article, "rss.articles")
    titles = sorted(row["title"] for (_, item), row in written.items() if item.startswith("of "))
    assert sorted(one["data"]["title"] for one in book.news) == titles
    assert len(titles) == LAST - FIRST
    assert {one["title"] for one in book.others["news"][-1].told["data"]} >= set(titles)

    features = [one.told["data"][0]["features"]["price_usd"] for one in book.others["features"]]
    assert features == [100.0 * hour for hour in range(FIRST, LAST)]
    gdp = {
        p: row["value"]
        for (name, p), row in (await _stored(node, Observation, "fred.macro")).items()
        if name == "GDP"
    }
    told_gdp = {_moment(one["period"]): one["value"] for one in book.others["macro"][-1].told["data"]}
    assert told_gdp == {period: None if value is None else float(value) for period, value in gdp.items()}
    chain = await _stored(node, Metric, "mempool.waiting")
    newest = max(moment for name, moment in chain if name == "btc.mempool_tx")
    (one,) = book.others["onchain"][-1].told["data"]
    assert (_moment(one["time"]), one["value"]) == (newest, float(chain["btc.mempool_tx", newest]["value"]))
    assert all(one.told["overall_sentiment"]["score"] is not None for one in book.others["sentiment"])


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_the_bot_knows_the_node_by_its_documents_alone():
    script = (Path(__file__).parent / "bot.py").read_text()
    assert not re.search(r"^\s*(from|import) (ray_app|tests)", script, re.MULTILINE)
