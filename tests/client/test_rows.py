"""Pages as iterators and frames, with the right types; the same for the client that blocks."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import assert_type

import polars as pl
import pytest

from ray_app.client import AsyncClient, Client, InvalidSymbol, Patience
from ray_app.client.answers.market import Candle, Candles, Current, CurrentPrices, CurrentRow
from ray_app.client.answers.texts import Text, Texts
from ray_app.client.frames import frame_of
from tests.client.conftest import in_process
from tests.serve.conftest import Running, at
from tests.serve.filling import ohlc
from tests.serve.streams.conftest import Begin


async def test_pages_join_without_hole_or_double_while_rows_arrive(node: Running, client: AsyncClient):
    await node.fill.bars("bitcoin", at(-25), [ohlc(n) for n in range(25)], at(0, 17))
    node.clock.set(at(0, 30))
    seen: list[Candle] = []
    async for page in client.prices.historical.pages("BTC", days=1, limit=7):
        seen += page.data
        await node.fill.bars("bitcoin", at(-1), [("1", "1", "1", "1")], at(0, 31))  # a correction meanwhile
        node.clock.set(at(0, 40))
    assert [one.open for one in seen] == [Decimal(100 + n) for n in range(1, 25)]
    rows = [one async for one in client.prices.historical.rows("BTC", start=at(-24), end=at(), limit=5)]
    assert [one.timestamp for one in rows] == [one.timestamp for one in seen]
    assert rows[-1].open == 1
    frame = await client.prices.historical.frame("BTC", start=at(-24), end=at(), limit=5)
    assert frame["open"].to_list() == [float(one.open) for one in rows]
    assert (await client.catalog.symbols.frame(limit=2)).height == 5


async def test_the_columns_and_their_types(full: Running):
    async with in_process(full) as client:
        frame = (await client.prices.historical("BTC", days=1)).to_polars()
        times = dict.fromkeys(("timestamp", "end"), pl.Datetime("ms", "UTC"))
        numbers = dict.fromkeys(("open", "high", "low", "close", "volume"), pl.Float64())
        assert dict(frame.schema) == {**times, **numbers, "complete": pl.Boolean()}
        assert frame["timestamp"].max() == datetime(2026, 11, 23, 2, tzinfo=UTC)
        features = await client.features.between.frame("BTC", "2026-11-23")
        assert features.schema["features.price_usd"] == pl.Float64()
        assert features["features.price_usd"].to_list() == [100.0, 200.0, 300.0]
        texts = await client.news.crypto.frame()
        assert texts.schema["sentiment.score"] == pl.Float64()
        assert isinstance(texts.schema["mentions"], pl.List)
        assert texts["mentions"].to_list()[-1][0]["symbol"] in ("BTC", "ETH")
        changes = await client.operations.revisions.frame(dataset="coingecko.bars_1h")
        assert changes.schema["old"] == pl.String()
        gaps = await client.operations.gaps.frame(dataset="coingecko.bars_1h", symbol="SOL")
        assert {"from", "to", "state"} <= set(gaps.columns)
        series = await client.catalog.series.frame()
        moment = pl.Datetime("ms", "UTC")
        assert series["life"].dtype == pl.List(pl.Struct({"from": moment, "to": moment}))


def row(price: str | None) -> CurrentRow:
    return CurrentRow(
        symbol="BTC", id="bitcoin", name="Bitcoin", current_price={"usd": None if price is None else Decimal(price)},
        volume_24h={}, last_updated=None, data_source="x", record_id=None,
    )  # fmt: skip


def test_exact_numbers_keep_every_digit():
    told = ["100.123456789012345678", "0.1", None, "-5", "1E+3"]
    rows = [row(one) for one in told]
    exact = frame_of(CurrentRow, rows, exact=True)["current_price.usd"]
    assert exact.dtype == pl.Decimal(38, 18)
    assert exact.to_list() == [None if one is None else Decimal(one) for one in told]
    assert frame_of(CurrentRow, rows)["current_price.usd"].to_list()[1:] == [0.1, None, -5.0, 1000.0]
    with pytest.raises(OverflowError, match="more than 38 digits"):
        frame_of(CurrentRow, [row("1" * 30), row("0." + "1" * 20)], exact=True)


def test_without_rows_the_columns_are_there():
    frame = frame_of(Candle, [])
    assert frame.height == 0
    assert frame.schema["close"] == pl.Float64()
    empty = frame_of(Text, [])
    assert empty.schema["sentiment.model.id"] == pl.String()
    assert Texts.row() is Text


async def test_the_client_that_blocks(node: Running, address: str, streams: Begin):
    await node.fill.prices(at(minutes=5), {"bitcoin": "100.5", "ethereum": "2"})
    await node.fill.bars("bitcoin", at(-3), [ohlc(n) for n in range(3)], at(0, 17))
    node.clock.set(at(0, 30))

    def all_of_it() -> None:
        with Client(address, node.key, patience=Patience(first=0.01)) as client:
            current = assert_type(client.prices.current("BTC"), Current)
            assert current.current_price["usd"] == Decimal("100.5")
            assert_type(client.prices.many(["BTC"]), CurrentPrices)
            assert_type(client.prices.historical("BTC"), Candles)
            candles = assert_type(client.prices.historical.rows("BTC", days=1, limit=1), Iterator[Candle])
            assert len(list(candles)) == 3
            assert client.prices.historical.frame("BTC", days=1).height == 3
            assert [len(page.data) for page in client.prices.historical.pages("BTC", days=1, limit=2)] == [
                2,
                1,
            ]
            with pytest.raises(InvalidSymbol):
                client.prices.current("BTX")

    await asyncio.to_thread(all_of_it)


async def test_a_stream_that_blocks(streams: Begin):
    node = await streams()
    for number in range(3):
        await node.prices({"bitcoin": str(100 + number)})

    def read() -> list[int | None]:
        with Client(node.http, node.key) as client, client.prices.stream("BTC", after=0) as stream:
            return [next(stream).cursor for _ in range(6)]

    assert await asyncio.to_thread(read) == [1, 2, 3, 4, 5, 6]


async def types_of_the_other(client: AsyncClient) -> None:
    """For the type checker."""
    assert_type(await client.prices.current("BTC"), Current)
    assert_type(client.prices.historical.rows("BTC"), AsyncIterator[Candle])
    assert_type(await client.prices.historical.frame("BTC"), pl.DataFrame)
