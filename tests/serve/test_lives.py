"""One id that was two coins, one coin that had two ids: whoever asks for a coin gets that coin."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from ray_app.model.declared import declare
from ray_app.model.records import Bar
from ray_app.model.symbols import load_registry
from ray_app.sources import binance
from tests.serve.conftest import Start
from tests.serve.filling import REACH
from tests.serve.sources import declared, had, stream

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
OLD, NEW = datetime(2022, 5, 10, tzinfo=UTC), datetime(2022, 6, 2, tzinfo=UTC)
HISTORICAL = "/api/v1/prices/historical/"
BOTH = {"venue": "binance", "interval": "1d", "start": "2022-05-01", "end": "2022-06-10"}


def bar(symbol: str, start: datetime, price: str) -> Bar:
    at = Decimal(price)
    end, volume = start + DAY, Decimal(1)
    return Bar(
        symbol=symbol, interval="1d", start=start, end=end, open=at, high=at, low=at, close=at, volume=volume
    )


def told(body: dict[str, Any]) -> list[tuple[str, float]]:
    return [(row["timestamp"][:10], float(row["close"])) for row in body["data"]]


async def test_an_id_that_was_two_coins_is_served_to_each_over_its_own_time(start: Start):
    node = await start(registry=load_registry())
    await declared(node, binance.SOURCE, ["bars_1d"], partitions=["LUNAUSDT"], at=NEW)
    rows = [bar("LUNAUSDT", OLD, "31"), bar("LUNAUSDT", NEW, "6")]
    await had(node, binance.SOURCE, "bars_1d", rows, NEW + 2 * DAY)
    node.clock.set(datetime(2022, 6, 11, tzinfo=UTC))
    assert told(await node.get(HISTORICAL + "LUNC", **BOTH)) == [("2022-05-10", 31.0)]
    body = await node.get(HISTORICAL + "LUNA", **BOTH)
    assert told(body) == [("2022-06-02", 6.0)]
    before = [gap for gap in body["meta"]["gaps"] if gap["to"] <= "2022-05-31T00:00:00.000Z"]
    assert [(gap["from"][:10], gap["to"][:10], gap["state"], gap["reason"]) for gap in before] == [
        ("2022-05-01", "2022-05-31", "not_due", "outside of the life of this series")
    ]
    nothing = await node.get(HISTORICAL + "LUNA", **BOTH | {"end": "2022-05-20"})
    assert (nothing["data"], nothing["meta"]["condition"]) == ([], "missing")


async def test_coverage_of_an_id_that_was_two_coins(start: Start):
    node = await start(registry=load_registry())
    await declared(node, binance.SOURCE, ["bars_1d"], partitions=["LUNAUSDT"], at=OLD)
    await had(node, binance.SOURCE, "bars_1d", [bar("LUNAUSDT", OLD, "31")], OLD + 2 * DAY)
    node.clock.set(datetime(2022, 6, 4, tzinfo=UTC))
    asked = {"dataset": "binance.bars_1d", "start": "2022-05-10", "end": "2022-06-04"}
    (row,) = (await node.get("/api/v1/coverage", **asked))["data"]
    runs = [(run["from"][5:10], run["to"][5:10], run["state"]) for run in row["spans"]]
    assert runs == [
        ("05-10", "05-11", "collected"),
        ("05-11", "05-13", "empty_upstream"),
        ("05-13", "05-31", "not_due"),
        ("05-31", "06-02", "late"),
        ("06-02", "06-04", "not_due"),
    ]
    assert sum(row["percent"].values()) == 100
    assert sum(row["intervals"].values()) == 25


async def test_a_declaration_from_before_there_were_lives_answers_as_it_did(start: Start):
    node = await start(registry=load_registry())
    plan, one = binance.SOURCE.plans[0], stream(binance.SOURCE, "bars_1d")
    line = declare(binance.SOURCE, plan, one, ("POLUSDT",), REACH)
    del line["lives"]
    await node.store.catalog.declare({"binance.bars_1d": line}, OLD)
    await had(node, binance.SOURCE, "bars_1d", [bar("POLUSDT", NEW, "1")], NEW + DAY)
    node.clock.set(NEW + 2 * DAY)
    asked = {"venue": "binance", "interval": "1d", "start": "2022-06-02", "end": "2022-06-04"}
    body = await node.get(HISTORICAL + "POL", **asked)
    assert told(body) == [("2022-06-02", 1.0)]
    assert [one["instrument"] for one in body["meta"]["instruments"]] == ["POLUSDT"]
    (row,) = (
        await node.get("/api/v1/coverage", dataset="binance.bars_1d", start="2022-06-02", end="2022-06-03")
    )["data"]
    assert row["intervals"]["collected"] == 1


async def test_indicators_use_the_bars_of_the_coin_only(start: Start):
    node = await start(registry=load_registry())
    await declared(node, binance.SOURCE, ["bars_1d"], partitions=["LUNAUSDT"], at=NEW)
    old = [bar("LUNAUSDT", OLD - n * DAY, "31") for n in range(30)]
    new = [bar("LUNAUSDT", NEW + n * DAY, str(6 + n)) for n in range(12)]
    await had(node, binance.SOURCE, "bars_1d", [*old, *new], NEW + 12 * DAY)
    node.clock.set(NEW + 13 * DAY)
    asked = {"venue": "binance", "timeframe": "1d", "indicators": "sma_10,sma_20"}
    body = await node.get("/api/v1/technical/LUNA", **asked)
    assert (body["candle"]["close"], body["meta"]["candles"]["count"]) == (17, 12)
    assert body["moving_averages"] == {"sma_10": 12.5, "sma_20": None}
    body = await node.get("/api/v1/technical/LUNC", **asked)
    assert (body["candle"]["timestamp"][:10], body["moving_averages"]) == (
        "2022-05-10",
        {"sma_10": 31, "sma_20": 31},
    )


async def test_indicators_go_over_a_new_name_and_the_days_between(start: Start):
    node = await start(registry=load_registry())
    first = datetime(2024, 9, 1, tzinfo=UTC)
    await declared(node, binance.SOURCE, ["bars_1d"], partitions=["MATICUSDT", "POLUSDT"], at=first)
    rows = [bar("MATICUSDT", first + n * DAY, str(1 + n)) for n in range(10)]  # to the 10th
    rows += [bar("POLUSDT", first + n * DAY, "100") for n in range(12, 18)]  # from the 13th
    await had(node, binance.SOURCE, "bars_1d", rows, first + 18 * DAY)
    node.clock.set(first + 18 * DAY + HOUR)
    asked = {"venue": "binance", "timeframe": "1d", "indicators": "momentum_10,sma_10"}
    body = await node.get("/api/v1/technical/POL", **asked)
    assert body["indicators"] == {"momentum_10": 92}  # from MATIC's close of the 8th to POL's of the 18th
    assert body["moving_averages"] == {"sma_10": None}
    assert (body["meta"]["nulls"], body["meta"]["instrument"]) == ({"gap": {"sma_10": None}}, "POLUSDT")
