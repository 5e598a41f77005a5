"""Many assets in one query are read together: as many statements for fifty as for three."""

import asyncio

import pytest

from ray_app.model.symbols import Registry
from tests.serve.conftest import Running, Start, at
from tests.serve.filling import coin, ohlc
from tests.serve.graphql.asked import data
from tests.serve.statements import statements
from tests.serve.test_texts import everything_declared

COINS = [coin(f"coin-{n}", f"C{n}", f"Coin {n}") for n in range(50)]
FIELDS = """{ symbol price { quotes { currency price } }
    technical(indicators: ["sma_10"]) { candle { close } indicators { name value } movingAverages { name value } }
    sentiment { overallSentiment { score reason } sampleSize } %s } """
QUERY = "query($symbols: [String!]!, $asOf: Time) { assets(symbols: $symbols, asOf: $asOf) " + FIELDS + "}"
PLAIN, WITH_META = QUERY % "", QUERY % "a: price { meta { condition } } b: sentiment { meta { condition } }"


@pytest.fixture
async def fifty(start: Start) -> Running:
    running = await start(registry=Registry(COINS))
    ids = [one.id for one in COINS]
    await running.fill.declare(partitions=ids)
    await everything_declared(running)
    await running.fill.prices(at(), {name: str(n + 1) for n, name in enumerate(ids)}, asked=ids)
    for n, name in enumerate(ids):
        await running.fill.bars(name, at(-20), [ohlc(n + hour) for hour in range(20)], at(minutes=1))
    key = await running.new_key("read:prices", "read:technical", "read:sentiment", internal=True)
    running.http.headers["Authorization"] = f"Bearer {key}"
    running.clock.set(at(minutes=5))
    return running


async def test_fifty_assets_take_six_statements_and_three_as_many(fifty: Running):
    names = [one.symbol for one in COINS]
    first = await data(fifty, PLAIN, symbols=names)  # the catalogue is read, indicators are worked out
    for some in (names, names[:3]):
        with statements(fifty.store) as sent:
            found = await data(fifty, PLAIN, symbols=some)
        assert found["assets"] == first["assets"][: len(some)]
        assert len(sent) <= 6, "\n".join(sent)
    assert [one["price"]["quotes"][0]["price"] for one in first["assets"]] == [n + 1 for n in range(50)]
    assert [one["technical"]["candle"]["close"] for one in first["assets"]] == [
        100 + n + 19 + 0.25 for n in range(50)
    ]
    assert {one["sentiment"]["overallSentiment"]["reason"] for one in first["assets"]} == {"no_texts"}


async def test_meta_and_the_past_take_no_more_for_fifty_than_for_three(fifty: Running):
    names = [one.symbol for one in COINS]
    for query, as_of in ((WITH_META, None), (PLAIN, "2026-11-23T00:04:00Z")):
        counts = []
        for some in (names, names[:3]):
            await data(fifty, query, symbols=some, asOf=as_of)
            with statements(fifty.store) as sent:
                await data(fifty, query, symbols=some, asOf=as_of)
            counts.append(len(sent))
        assert counts[0] == counts[1]


async def test_aliases_of_one_field_are_read_together(fifty: Running):
    await data(fifty, '{ technical(symbol: "C0", indicators: ["sma_10"]) { candle { close } } }')
    asked = " ".join(f'c{n}: price(symbol: "C{n}") {{ quotes {{ price }} }}' for n in range(30))
    with statements(fifty.store) as sent:
        found = await data(fifty, f"{{ {asked} }}")
    assert len(found) == 30
    assert len(sent) == 1


async def test_new_bars_show_at_once_in_one_of_many(fifty: Running):
    names = [one.symbol for one in COINS[:3]]
    before = await data(fifty, PLAIN, symbols=names)
    fifty.clock.set(at(1, minutes=5))
    await fifty.fill.bars("coin-1", at(0), [ohlc(500)], at(1, minutes=1))
    await asyncio.sleep(0)
    after = await data(fifty, PLAIN, symbols=names)
    closes = [[one["technical"]["candle"]["close"] for one in found["assets"]] for found in (before, after)]
    assert closes[1] == [closes[0][0], 600.25, closes[0][2]]
