"""GET /api/v1/technical/{symbol}: the same numbers as over the whole history, at the last complete candle."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from ray_app.model.symbols import load_registry
from ray_app.model.timerange import TimeRange
from ray_app.process.indicators.catalogue import CATALOGUE, OUTPUTS, compute
from ray_app.process.indicators.grid import NUMBERS
from ray_app.serve import computed, kept
from ray_app.sources import coinbase
from tests.serve.conftest import Running, Start, at, stable
from tests.serve.filling import DAY, HOUR, START, flat, ohlc
from tests.serve.hours import Rows, answered, frame, stored, walk
from tests.serve.sources import declared

PATH = "/api/v1/technical/BTC"


def expected(rows: Rows, step: timedelta = HOUR) -> dict[str, Any]:
    """The last row of every column over all that there is."""
    return compute(frame(rows, step)).row(-1, named=True)


def columns(body: dict[str, Any]) -> dict[str, Any]:
    """Every column that an answer tells, blocks included, by the catalogue's names."""
    macd, bands = body["macd"], body["bollinger_bands"]
    return {
        **body["moving_averages"], **body["indicators"], "rsi_14": body["rsi"]["value"],
        "macd_12_26": macd["line"], "macd_signal_12_26_9": macd["signal_line"],
        "macd_histogram_12_26_9": macd["histogram"],
        "bb_upper_20_2": bands["upper"], "bb_middle_20": bands["middle"], "bb_lower_20_2": bands["lower"],
        "bb_width_20_2": bands["bandwidth"], "bb_percent_20_2": bands["percent"],
        "bb_squeeze_20_2_120": None if bands["squeeze"] is None else float(bands["squeeze"]),
    }  # fmt: skip


@pytest.fixture
async def both(start: Start) -> Running:
    """CoinGecko and Coinbase are declared."""
    node = await start(registry=load_registry())
    await node.fill.declare(partitions=("bitcoin",))
    await declared(node, coinbase.SOURCE, ["bars_1h"], partitions=["BTC-USD"])
    return node


@pytest.fixture
async def exchange(start: Start) -> Running:
    """Only Coinbase is declared."""
    node = await start(registry=load_registry())
    await declared(node, coinbase.SOURCE, ["bars_1h"], partitions=["BTC-USD"])
    return node


@pytest.mark.parametrize(("timeframe", "hours"), [("1h", 3400), ("4h", 2000), ("1d", 1300)])
async def test_every_indicator_is_that_of_the_whole_history(exchange: Running, timeframe: str, hours: int):
    step = {"1h": HOUR, "4h": 4 * HOUR, "1d": DAY}[timeframe]
    rows = walk(hours)
    await stored(exchange, rows)
    exchange.clock.set(at(minutes=10))
    body = await exchange.get(PATH, timeframe=timeframe)
    assert (body["symbol"], body["timeframe"], body["vs_currency"]) == ("BTC", timeframe, "usd")
    candle = frame(rows, step).row(-1, named=True)
    assert [body["candle"][name] for name in NUMBERS] == pytest.approx([candle[name] for name in NUMBERS])
    assert body["candle"]["end"] == "2026-11-23T00:00:00.000Z"
    told, wanted = columns(body), expected(rows, step)
    assert set(told) == set(CATALOGUE)
    for name, value in told.items():
        assert value == (None if wanted[name] is None else pytest.approx(wanted[name], rel=1e-9)), name
    nulls = {name for named in body["meta"]["nulls"].values() for name in named}
    assert nulls == {name for name, value in told.items() if value is None}
    if timeframe == "1h":
        assert nulls == set()
    meta = body["meta"]
    assert (meta["condition"], meta["source"], meta["dataset"]) == (
        "available",
        "coinbase",
        "coinbase.bars_1h",
    )
    assert (meta["age_seconds"], meta["gaps"], meta["candles"]["missing"]) == (600, [], 0)


async def test_the_words_are_those_of_the_signals(exchange: Running):
    rows = walk(3400)
    await stored(exchange, rows)
    exchange.clock.set(at(minutes=10))
    body, x = await exchange.get(PATH), expected(rows)
    before = compute(frame(rows)[:-1], ["macd_histogram_12_26_9"]).row(-1, named=True)
    close = float(rows[-1][1][3])
    assert body["rsi"] == {
        "value": pytest.approx(x["rsi_14"]), "period": 14, "thresholds": {"oversold": 30, "overbought": 70},
        "signal": "overbought" if x["rsi_14"] >= 70 else "oversold" if x["rsi_14"] <= 30 else "neutral",
    }  # fmt: skip
    now, then = x["macd_histogram_12_26_9"], before["macd_histogram_12_26_9"]
    crossed = "bullish" if now > 0 >= then else "bearish" if now < 0 <= then else "none"
    assert body["macd"]["crossover"] == crossed
    p = x["bb_percent_20_2"]
    place = (
        "above_upper" if p > 1 else "upper_half" if p >= 0.5 else "lower_half" if p >= 0 else "below_lower"
    )
    assert body["bollinger_bands"]["position"] == place
    votes = [
        int(x["rsi_14"] <= 30) - int(x["rsi_14"] >= 70), np.sign(now), int(p < 0) - int(p > 1),
        np.sign(close - x["sma_20"]), np.sign(x["sma_20"] - x["sma_50"]),
    ]  # fmt: skip
    way = np.sign(sum(votes))
    assert body["overall_signal"] == {
        "direction": {1: "bullish", -1: "bearish", 0: "neutral"}[int(way)],
        "strength": pytest.approx(abs(sum(votes)) / 5),
        "confidence": pytest.approx(sum(vote == way for vote in votes) / 5),
    }


async def test_without_volume_its_indicators_are_null_and_the_answer_says_where_there_is_some(both: Running):
    await stored(both, walk(3400))
    await both.fill.bars("bitcoin", at(hours=-500), [ohlc(n % 7) for n in range(500)], at(minutes=1))
    both.clock.set(at(minutes=10))
    body = await both.get(PATH)
    assert body["meta"]["source"] == "coingecko"
    volumes = {one.name for one in OUTPUTS if "volume" in one.inputs}
    assert body["meta"]["nulls"]["no_volume"] == dict.fromkeys(volumes)
    assert {body["indicators"][name] for name in volumes} == {None}
    assert body["meta"]["reasons"] == ["candles of coingecko have no volume; there is with venue=coinbase"]
    asked = await both.get(PATH, indicators="obv_200,rsi")
    assert (asked["meta"]["source"], asked["meta"]["nulls"], asked["meta"]["reasons"]) == ("coinbase", {}, [])
    assert asked["indicators"]["obv_200"] == pytest.approx(expected(walk(3400))["obv_200"])
    venue = await both.get(PATH, venue="coinbase", indicators="rsi")
    assert venue["rsi"] == asked["rsi"] != body["rsi"]
    forced = await both.get(PATH, venue="coingecko", indicators="obv_200")
    assert (forced["indicators"], forced["meta"]["source"]) == ({"obv_200": None}, "coingecko")


async def test_only_what_is_asked_for(exchange: Running):
    await stored(exchange, walk(600))
    exchange.clock.set(at(minutes=10))
    shape = {"symbol", "id", "name", "timeframe", "vs_currency", "candle", "meta"}
    body = await exchange.get(PATH, indicators="MACD, atr_14,sma_20")
    assert set(body) == shape | {"macd", "moving_averages", "indicators"}
    assert (set(body["moving_averages"]), set(body["indicators"])) == ({"sma_20"}, {"atr_14"})
    body = await exchange.get(PATH, indicators="overall_signal")
    assert set(body) == shape | {"overall_signal"}
    body = await exchange.get(PATH, indicators="momentum,rsi_14")
    assert set(body["indicators"]) == {one.name for one in OUTPUTS if one.family == "momentum"}
    body = await exchange.get(PATH, indicators="rsi,moving_averages", periods="9,21")
    assert set(body["moving_averages"]) == {f"{kind}_{n}" for kind in ("sma", "ema", "wma") for n in (9, 21)}
    assert body["rsi"]["period"] == 9
    closes = [float(row[1][3]) for row in walk(600)]
    assert body["moving_averages"]["sma_9"] == pytest.approx(np.mean(closes[-9:]))
    assert body["moving_averages"]["wma_21"] == pytest.approx(np.average(closes[-21:], weights=range(1, 22)))


async def test_questions_that_are_none(exchange: Running):
    await stored(exchange, walk(50))
    exchange.clock.set(at(minutes=10))
    error = (await exchange.get(PATH, 422, indicators="rsi,smaa_20"))["error"]
    assert (error["code"], error["details"]["parameter"]) == ("VALIDATION_ERROR", "indicators")
    assert error["details"]["nearest"][0] == "sma_20"
    for query in (
        {"indicators": ""}, {"periods": "1"}, {"periods": "201"}, {"periods": "9,x"}, {"periods": ""},
        {"periods": "2.5"}, {"periods": ",".join(map(str, range(2, 13)))}, {"days": "3"}, {"venue": "nowhere"},
        {"periods": "20000"}, {"periods": "٣"},
    ):  # fmt: skip
        assert (await exchange.get(PATH, 422, **query))["error"]["code"] == "VALIDATION_ERROR", query
    for timeframe in ("5m", "1m", "1w", "1H", ""):
        error = (await exchange.get(PATH, 422, timeframe=timeframe))["error"]
        assert (error["code"], error["details"]["available"]) == ("INVALID_TIMEFRAME", ["1h", "4h", "1d"])
    assert (await exchange.get(f"{PATH}X", 404))["error"]["code"] == "INVALID_SYMBOL"
    assert (await exchange.get("/api/v1/technical/ETH", 404))["error"]["code"] == "DATA_NOT_AVAILABLE"
    error = (await exchange.get(PATH, 422, as_of="2026-11-22T12:00:00Z"))[
        "error"
    ]  # nothing was declared then
    assert error["code"] == "INVALID_TIMEFRAME"


async def test_no_bar_at_all(exchange: Running):
    exchange.clock.set(at(minutes=10))
    assert (await exchange.get(PATH, 404))["error"]["code"] == "DATA_NOT_AVAILABLE"
    await stored(exchange, walk(3))
    assert (await exchange.get(PATH, 404, timeframe="4h"))["error"]["code"] == "DATA_NOT_AVAILABLE"


async def test_a_young_history_is_warming_up_and_says_how_much_is_lacking(exchange: Running):
    rows = walk(100)
    await stored(exchange, rows)
    exchange.clock.set(at(minutes=10))
    body = await exchange.get(PATH)
    warming = body["meta"]["nulls"]["warming_up"]
    lacking = {one.name: one.rows_before(HOUR) + 1 - 100 for one in OUTPUTS}
    assert warming == {name: n for name, n in lacking.items() if n > 0}
    assert (body["rsi"]["value"], body["rsi"]["signal"], body["moving_averages"]["sma_100"]) == (
        None, None, pytest.approx(np.mean([float(row[1][3]) for row in rows])),
    )  # fmt: skip
    assert body["overall_signal"] == {"direction": None, "strength": None, "confidence": None}
    assert body["meta"]["candles"] == {
        "from": "2026-11-18T20:00:00.000Z", "to": "2026-11-23T00:00:00.000Z", "count": 100, "missing": 0,
        "whole_history": False,
    }  # fmt: skip


async def test_a_coin_younger_than_the_memory_begins_with_its_first_candle(exchange: Running):
    rows = walk(100)
    await stored(exchange, rows)
    first = START - 100 * HOUR
    await answered(exchange, TimeRange(first - 3000 * HOUR, first), [], at(minutes=1))
    exchange.clock.set(at(minutes=10))
    body = await exchange.get(PATH)
    assert body["meta"]["candles"]["whole_history"] is False  # 101 hours of the window were not asked for
    await answered(exchange, TimeRange(first - 3300 * HOUR, first - 2999 * HOUR), [], at(minutes=11))
    exchange.clock.set(at(minutes=20))
    body = await exchange.get(PATH)
    assert body["meta"]["candles"]["whole_history"] is True
    assert body["meta"]["reasons"] == [
        "bitcoin is younger than some indicators remember: they begin with its first candle"
    ]
    wanted = compute(frame(rows), whole=True).row(-1, named=True)
    for name, value in columns(body).items():
        assert value == (None if wanted[name] is None else pytest.approx(wanted[name], rel=1e-12)), name
    assert body["rsi"]["value"] is not None
    assert body["meta"]["nulls"]["warming_up"]["sma_200"] == 100
    then = await exchange.get(PATH, as_of=at(minutes=9).isoformat())
    assert (then["rsi"]["value"], then["meta"]["candles"]["whole_history"]) == (None, False)
    old = walk(1, until=first - 5000 * HOUR)
    await stored(exchange, old, at(minutes=21))  # there was something long before: the rest is not the start
    exchange.clock.set(at(minutes=30))
    assert (await exchange.get(PATH))["meta"]["candles"]["whole_history"] is False


async def test_a_halt_of_some_days_is_no_beginning(exchange: Running):
    await stored(exchange, walk(15))
    first = START - 15 * HOUR
    for days, whole in ((29, False), (30, True)):
        await answered(exchange, TimeRange(first - days * DAY, first), [], at(minutes=days))
        exchange.clock.set(at(minutes=days + 1))
        body = await exchange.get(PATH, indicators="rsi_7")  # which remembers 202 hours
        assert body["meta"]["candles"]["whole_history"] is whole
        assert (body["indicators"]["rsi_7"] is not None) is whole


async def test_a_gap_is_null_with_its_reason(exchange: Running):
    rows = walk(600)
    hole = [row for row in rows if row[0] != START - 10 * HOUR]
    await stored(exchange, hole)
    exchange.clock.set(at(minutes=10))
    body = await exchange.get(PATH, indicators="sma_10,sma_20,rsi,momentum_10,momentum")
    assert body["moving_averages"] == {"sma_10": None, "sma_20": None}
    assert set(body["meta"]["nulls"]["gap"]) >= {"sma_10", "sma_20", "rsi_14"}
    assert body["meta"]["candles"]["missing"] == 1
    still = await exchange.get(
        PATH, indicators="sma_10", as_of=at().isoformat(), known_by=at(hours=-11).isoformat()
    )
    assert still["moving_averages"]["sma_10"] == pytest.approx(
        np.mean([float(row[1][3]) for row in rows[-21:-11]])
    )
    await stored(exchange, [row for row in rows if row[0] == START - 10 * HOUR], at(minutes=11))
    exchange.clock.set(at(minutes=20))
    healed = await exchange.get(PATH, indicators="sma_10")
    assert healed["moving_averages"]["sma_10"] == pytest.approx(
        np.mean([float(row[1][3]) for row in rows[-10:]])
    )


async def test_the_last_whole_candle_decides(exchange: Running):
    rows = walk(600)
    await stored(exchange, rows)
    exchange.clock.set(at(hours=3, minutes=59))
    body = await exchange.get(PATH, timeframe="4h", indicators="sma_10")
    assert body["candle"]["end"] == "2026-11-23T00:00:00.000Z"
    assert (body["meta"]["age_seconds"], body["meta"]["condition"]) == ((4 * HOUR).seconds - 60, "degraded")
    gap = body["meta"]["gaps"][0]
    assert (gap["from"][11:16], gap["to"][11:16], gap["state"]) == ("00:00", "02:00", "late")
    more = walk(3, seed=2, until=at(hours=3))
    await stored(exchange, more, at(hours=3, minutes=1))
    assert (await exchange.get(PATH, timeframe="4h", indicators="sma_10"))["candle"] == body["candle"]
    await stored(exchange, walk(1, seed=3, until=at(hours=4)), at(hours=4, minutes=1))
    exchange.clock.set(at(hours=4, minutes=2))
    body = await exchange.get(PATH, timeframe="4h", indicators="sma_10")
    assert (body["candle"]["end"], body["meta"]["condition"]) == ("2026-11-23T04:00:00.000Z", "available")
    await stored(exchange, walk(3, seed=4, until=at(hours=8)), at(hours=8, minutes=1))  # 04:00 is lacking
    exchange.clock.set(at(hours=8, minutes=2))
    assert (await exchange.get(PATH, timeframe="4h", indicators="sma_10"))["candle"] == body["candle"]


async def test_a_revised_bar_changes_the_answer_from_then_on(exchange: Running):
    rows = walk(600)
    await stored(exchange, rows, at(minutes=1))
    exchange.clock.set(at(minutes=10))
    query = {"indicators": "sma_10,rsi"}
    before = await exchange.http.get(PATH, params=query)
    start, numbers = rows[-3]
    await stored(
        exchange,
        [(start, [numbers[0], numbers[1] + 1, numbers[2], numbers[3] + 1, numbers[4]])],
        at(minutes=11),
    )
    exchange.clock.set(at(minutes=20))
    now = (await exchange.get(PATH, **query))["moving_averages"]["sma_10"]
    assert now == pytest.approx(before.json()["moving_averages"]["sma_10"] + 0.1)
    for point in (
        {"as_of": before.json()["meta"]["as_of"]},
        {"as_of": at(minutes=10, seconds=59).isoformat()},
    ):
        again = await exchange.http.get(PATH, params={**query, **point})
        assert again.json()["moving_averages"] == before.json()["moving_averages"]
        assert again.json()["rsi"] == before.json()["rsi"]
    assert stable(
        await exchange.http.get(PATH, params={**query, "as_of": before.json()["meta"]["as_of"]})
    ) == (stable(before))


async def test_known_by_over_a_history_that_was_filled_in_later(exchange: Running):
    rows = walk(900)
    exchange.clock.set(at(hours=1))
    await stored(exchange, rows, at(minutes=50))
    for back in (0, 1, 24, 400):
        moment = START - back * HOUR
        body = await exchange.get(PATH, known_by=(moment + timedelta(minutes=1)).isoformat())
        assert body["candle"]["end"] == moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")
        wanted = expected(rows[: len(rows) - back])
        for name, value in columns(body).items():
            assert value == (None if wanted[name] is None else pytest.approx(wanted[name], rel=1e-9)), (
                back,
                name,
            )
    both = {"known_by": START.isoformat(), "as_of": at(minutes=40).isoformat()}
    assert (await exchange.get(PATH, 404, **both))["error"]["code"] == "DATA_NOT_AVAILABLE"


async def test_a_new_bar_shows_at_once_and_what_is_known_is_not_worked_out_again(exchange: Running):
    rows = walk(600)
    await stored(exchange, rows)
    exchange.clock.set(at(minutes=10))
    kept = exchange.node.computed
    first = await exchange.http.get(PATH)
    assert kept.computed == 1
    same = await exchange.http.get(PATH)
    assert (kept.computed, same.headers["etag"]) == (1, first.headers["etag"])
    not_again = await exchange.http.get(PATH, headers={"If-None-Match": first.headers["etag"]})
    assert (not_again.status_code, not_again.content) == (304, b"")
    await stored(exchange, walk(1, seed=2, until=at(hours=1)), at(hours=1, minutes=1))
    exchange.clock.set(at(hours=1, minutes=1))
    body = await exchange.get(PATH)
    assert (body["candle"]["end"], kept.computed) == ("2026-11-23T01:00:00.000Z", 2)
    assert body["moving_averages"]["sma_10"] != first.json()["moving_averages"]["sma_10"]


async def test_many_who_ask_at_once_share_one_computation(exchange: Running, monkeypatch: pytest.MonkeyPatch):
    await stored(exchange, walk(600))
    exchange.clock.set(at(minutes=10))
    bodies: Sequence[Any] = await asyncio.gather(*(exchange.get(PATH) for _ in range(20)))
    assert exchange.node.computed.computed == 1
    assert all(body["rsi"] == bodies[0]["rsi"] for body in bodies)
    monkeypatch.setattr(computed, "MOST_KEPT", 3)
    for n in range(2, 12):
        await exchange.get(PATH, indicators="rsi", periods=n)
        assert len(exchange.node.computed._kept) <= 3
    monkeypatch.setattr(computed, "KEPT_SECONDS", 0.0)
    monkeypatch.setattr(kept, "KEPT_SECONDS", 0.0)
    done = exchange.node.computed.computed
    for n in range(3):
        await exchange.get(PATH, indicators="sma_20")
        assert exchange.node.computed.computed == done + n + 1


async def test_a_bar_that_arrives_between_two_looks_is_in_the_answer(
    exchange: Running, monkeypatch: pytest.MonkeyPatch
):
    rows = walk(600)
    await stored(exchange, rows, at(minutes=1))
    exchange.clock.set(at(minutes=10))
    look, looks = exchange.store.bars.extents, 0

    async def looked(*args: Any) -> Any:
        nonlocal looks
        found = await look(*args)
        looks += 1
        if looks == 1:
            revised = [*rows[-1][1][:3], rows[-1][1][3] - Decimal("0.001"), rows[-1][1][4]]
            await stored(exchange, [(rows[-1][0], revised)], at(minutes=5))
        return found

    monkeypatch.setattr(exchange.store.bars, "extents", looked)
    body = await exchange.get(PATH, indicators="sma_10")
    assert body["candle"]["close"] == float(rows[-1][1][3] - Decimal("0.001"))
    assert (body["meta"]["as_of"], looks) == ("2026-11-23T00:05:00.000Z", 2)


async def test_the_candles_are_those_of_historical(both: Running):
    await both.fill.bars(
        "bitcoin", at(hours=-30), [ohlc(n) if n % 9 else None for n in range(30)], at(minutes=1)
    )
    await both.fill.bars("bitcoin", at(hours=-2), [flat("7")], at(minutes=2))  # a revision
    both.clock.set(at(minutes=10))
    for timeframe in ("1h", "4h", "1d"):
        for point in ({}, {"as_of": at(minutes=1, seconds=30).isoformat()}):
            bars = (await both.get("/api/v1/prices/historical/BTC", interval=timeframe, days=2, **point))[
                "data"
            ]
            whole = [bar for bar in bars if bar["complete"]]
            if not whole:
                await both.get(PATH, 404, timeframe=timeframe, **point)
                continue
            body = await both.get(PATH, timeframe=timeframe, **point)
            assert body["candle"] == whole[-1]
            assert body["indicators"]["true_range"] == (
                None
                if whole[-2]["end"] != whole[-1]["timestamp"]
                else pytest.approx(
                    max(whole[-1]["high"], whole[-2]["close"]) - min(whole[-1]["low"], whole[-2]["close"])
                )
            )
