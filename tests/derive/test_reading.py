"""Features out of the store: the same as of then, whenever it is asked; the same for an hour and for a day."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest

from ray_app.derive.kept import KeptFrames
from ray_app.derive.reading import Loader, of_symbols
from ray_app.derive.rows import NAMES, rows
from ray_app.derive.training import training
from ray_app.model.dataset import read_datasets
from ray_app.model.records import Bar, Record
from ray_app.model.timerange import TimeRange
from ray_app.process.features.catalogue import CATALOGUE, compute
from ray_app.process.features.inputs import Inputs, Shared
from ray_app.process.features.packed import unpack
from ray_app.store.reading import NOW as UNBOUND
from ray_app.store.reading import Point
from ray_app.store.vectors import Vector
from tests.derive.market import (
    COINS,
    DAY,
    HOUR,
    MINUTE,
    NOW,
    REGISTRY,
    Market,
    candle,
    observation,
    others,
    price,
    walk,
)

BARS = 2_700  # hours: as many as the catalogue asks for, and some
FEW = 400  # where it does not matter that some are null
STREAMS = (
    "coinbase.bars_1h", "coingecko.prices", "coingecko.market", "alternative.fear_greed", "binance_futures.funding",
    "binance_futures.open_interest", "coinmetrics.metrics", "fred.macro", "fred.macro_daily", "rss.articles",
)  # fmt: skip
Made = dict[tuple[str, datetime], dict[str, float | None]]


def told(made: list[Vector]) -> Made:
    return {(one.asset, one.at): unpack(one.numbers, NAMES) for one in made}


async def made_at(
    market: Market, hour: datetime, as_of: datetime, loader: Loader | None = None, hours: int = 1
) -> Made:
    loader = loader or Loader(market.store, REGISTRY)
    over = TimeRange(hour - hours * HOUR, hour)
    return told(await rows(loader, over, Point(as_of=as_of), as_of))


def unlike(one: Made, other: Made) -> dict[tuple[str, datetime], list[str]]:
    """The features that differ, by row."""
    rows = {
        key: [n for n in NAMES if one.get(key, {}).get(n) != other.get(key, {}).get(n)] for key in one | other
    }
    return {key: names for key, names in rows.items() if names}


def frame(bars: Sequence[Bar]) -> pl.DataFrame:
    numbers = {
        n: [float(getattr(bar, n)) for bar in bars] for n in ("open", "high", "low", "close", "volume")
    }
    return pl.DataFrame({"start": [bar.start for bar in bars], **numbers})


async def test_features_of_stored_bars_are_those_of_the_bars(market: Market):
    await market.declare("coinbase.bars_1h")
    walks = {symbol: walk(symbol, BARS) for symbol in COINS.values()}
    for symbol, bars in walks.items():
        await market.bars(symbol, bars, NOW)
    found = await made_at(market, NOW, NOW, hours=3)
    frames = {symbol: frame(bars) for symbol, bars in walks.items()}
    shared = Shared(NOW - BARS * HOUR, NOW, frames)
    for name, symbol in COINS.items():
        wanted = compute(Inputs(symbol, shared, bars=frames[symbol]), NAMES)
        for hour in (NOW - 2 * HOUR, NOW - HOUR, NOW):
            row = wanted.filter(at=hour).select(NAMES).row(0, named=True)
            assert found[name, hour] == row
            assert row["rsi_14"] is not None
            assert row["breadth_rising_24h"] is not None
    assert len(found) == 9


async def played(market: Market) -> list[datetime]:
    """A day as they come: bars each hour, late, missing, corrected; all else; the moments of each change."""
    await market.declare(*STREAMS)
    await market.text(
        "zero", NOW - 9 * DAY, NOW - 9 * DAY, {"solana": "0.9"}, "0.1"
    )  # texts are collected since
    moments = []
    for symbol in COINS.values():
        await market.bars(symbol, walk(symbol, FEW)[:-24], NOW - 24 * HOUR)
    for n in range(24, 0, -1):
        hour = NOW - (n - 1) * HOUR
        at = hour + timedelta(seconds=20)  # what comes later is received later: so a store is filled
        if n % 4 == 0:
            await market.commit("coingecko.prices", [price(c, hour, 10**9 + n + len(c)) for c in COINS], at)
            for name, records in others(hour).items():
                await market.commit(name, records, at)
        for place, symbol in enumerate(COINS.values()):
            newest = walk(symbol, FEW)[-n]
            if (n, symbol) not in ((20, "ETH"), (10, "SOL")):
                await market.bars(symbol, [newest], at + place * timedelta(seconds=1))
        moments.append(at + timedelta(seconds=30))
        if n == 16:
            await market.bars("ETH", [walk("ETH", FEW)[-20]], at + timedelta(minutes=9))  # it was late
            wrong = candle("BTC", NOW - 22 * HOUR, Decimal(90), Decimal(91))
            await market.bars("BTC", [wrong], at + timedelta(minutes=10))  # corrected
            vintage = (hour - 2 * DAY).replace(hour=0)
            await market.commit(
                "fred.macro_daily",
                [observation("DGS10", vintage - DAY, vintage, "4.5")],
                at + 10 * MINUTE,
                DAY,
            )
            moments.append(at + timedelta(minutes=11))
        if n == 12:
            await market.text(
                "one", hour - 10 * HOUR, at + MINUTE, {"bitcoin": "0.9", "ethereum": "0.4"}, "0.5"
            )
        if n == 6:
            await market.text("two", hour - HOUR, at + MINUTE, {"bitcoin": "0.8"}, None)
            await market.text("one", hour - 10 * HOUR, at + 2 * MINUTE, {"ethereum": "0.9"}, "-0.5")
    return moments


@pytest.mark.slow
async def test_rows_as_of_a_moment_are_for_ever_what_they_were_then(market: Market):
    """Also from kept frames, also an hour of a longer range; and the future of then is in none of them."""
    moments, seen = [], list[tuple[datetime, datetime, Made]]()
    kept = Loader(market.store, REGISTRY, KeptFrames(market.store))
    commit = market.commit

    async def watched(name: str, records: Sequence[Record], at: datetime, step: timedelta = HOUR) -> None:
        await commit(name, records, at, step)
        if records[0].partition == "SOL-USD" and len(records) == 1 and at.hour % 8 == 3:
            hour = at.replace(minute=0, second=0)
            for ago in (0, 5):
                seen.append((hour - ago * HOUR, at, await made_at(market, hour - ago * HOUR, at)))
                assert unlike(await made_at(market, hour - ago * HOUR, at, kept), seen[-1][2]) == {}

    market.commit = watched  # type: ignore[method-assign]  # looked at now and then
    moments = await played(market)
    assert len(moments) == 25
    assert len(seen) == 6
    for hour, at, before in seen:
        assert unlike(await made_at(market, hour, at), before) == {}
        longer = await made_at(market, hour + 2 * HOUR, at, hours=5)
        assert unlike({key: row for key, row in longer.items() if key[1] == hour}, before) == {}
    end = await made_at(market, NOW, NOW + HOUR)
    named = [n for n, value in end["bitcoin", NOW].items() if value is None]
    assert {CATALOGUE[n].group for n in named} <= {"macro", "onchain", "sentiment", "market", "price"}
    assert end["bitcoin", NOW]["news_volume_24h"] == 1  # "one" speaks of it no more
    assert end["ethereum", NOW]["news_sentiment_24h"] == -0.5
    assert end["bitcoin", NOW]["yield_10y"] == 4.5


async def test_a_correction_shows_in_rows_of_later_answers_only(market: Market):
    await market.declare("coinbase.bars_1h")
    for symbol in COINS.values():
        await market.bars(symbol, walk(symbol, 300), NOW)
    right = candle("ETH", NOW - 5 * HOUR, Decimal(50), Decimal(55))
    await market.bars("ETH", [right], NOW + HOUR)
    old, new = [await made_at(market, NOW, at, hours=8) for at in (NOW + HOUR / 2, NOW + 2 * HOUR)]
    assert set(unlike(old, new)) == {
        (coin, NOW - n * HOUR) for coin in COINS for n in range(5)
    }  # ETH is in the market of all
    assert new["ethereum", NOW - 4 * HOUR]["price_usd"] == 55
    known = told(
        await rows(Loader(market.store, REGISTRY), TimeRange(NOW - HOUR, NOW), Point(known_by=NOW), NOW)
    )
    assert known == {key: row for key, row in old.items() if key[1] == NOW}


async def test_candles_of_an_exchange_come_before_those_without_volume(market: Market):
    await market.declare("coingecko.bars_1h", "coinbase.bars_1h", "binance.bars_1h")
    datasets = read_datasets(await market.store.catalog.streams())
    assert {s: of.bars.name for s, of in of_symbols(REGISTRY, datasets.values()).items()} == dict.fromkeys(
        COINS.values(), "coinbase.bars_1h"
    )
    del datasets["coinbase.bars_1h"]
    found = of_symbols(REGISTRY, datasets.values())
    assert {of.bars.name for of in found.values()} == {"coingecko.bars_1h"}


async def test_kept_frames_know_nothing_of_known_by(market: Market):
    with pytest.raises(ValueError, match="known by"):
        await KeptFrames(market.store).revisions(
            Bar, "coinbase.bars_1h", ["BTC-USD"], TimeRange(NOW - HOUR, NOW), ("close",), Point(known_by=NOW)
        )
    assert Point() == UNBOUND


async def test_a_training_set_knows_of_each_hour_what_was_known_then(market: Market):
    """A bar is wrong for three hours: rows of these hours have it wrong, later ones right; labels are the truth."""
    await market.declare("coinbase.bars_1h", "fred.macro_daily")
    for symbol in COINS.values():
        await market.bars(symbol, walk(symbol, 300), NOW)  # all of it long after it was known
    right = candle("ETH", NOW - 9 * HOUR, Decimal(50), Decimal(55))
    await market.bars("ETH", [right], NOW - 5 * HOUR + MINUTE)
    vintage = (NOW - 5 * DAY).replace(hour=0)
    for number, value in enumerate(("4.5", "4.7")):
        told = observation("DGS10", vintage - DAY, vintage + number * 3 * DAY, value)
        await market.commit("fred.macro_daily", [told], NOW, DAY)
    names = ["price_usd", "price_change_4h", "yield_10y"]
    over = TimeRange(NOW - 100 * HOUR, NOW)
    loader = Loader(market.store, REGISTRY)
    made = await training(loader, over, ["ETH", "BTC"], names, [2])
    assert made.columns == ["symbol", "known_by", "at", *names, "quality", "future_return_2h"]
    assert made["symbol"].value_counts(sort=True).rows() == [("BTC", 100), ("ETH", 100)]
    old = {bar.end: float(bar.close) for bar in walk("ETH", 300)}
    new = old | {NOW - 8 * HOUR: 55.0}
    for symbol, known_by, at, price_usd, change, rate, _, label in made.iter_rows():
        assert known_by == at
        if symbol == "ETH":
            then = old if at <= NOW - 5 * HOUR else new
            assert price_usd == then[at]
            assert change == pytest.approx(100 * (then[at] / then[at - 4 * HOUR] - 1))
            later = new.get(at + 2 * HOUR)
            assert label == (None if later is None else pytest.approx(later / new[at] - 1))
        first, second = (vintage + n * 3 * DAY + timedelta(hours=30) for n in (0, 1))
        assert rate == (None if at < first else 4.5 if at < second else 4.7)
    frozen = await training(loader, over, ["ETH"], names, as_of=NOW - 5 * HOUR)
    assert frozen["price_usd"].null_count() == 100  # this node had nothing yet
    with pytest.raises(ValueError, match="of DOGE"):
        await training(loader, over, ["DOGE"])
