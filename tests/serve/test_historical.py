import json
from decimal import Decimal
from fractions import Fraction

from ray_app.model.timerange import TimeRange
from ray_app.sources.coingecko import SOURCE
from ray_app.store.store import Store
from tests.serve.conftest import Running, at
from tests.serve.filling import DAY, HOUR, START, flat, ohlc

PATH = "/api/v1/prices/historical"


async def test_an_hour_as_it_was_collected(node: Running):
    bar = ("64000.123456789", "64100.5", "63900", "64050.25")
    await node.fill.bars("bitcoin", at(hours=-1), [bar], at(minutes=17))
    node.clock.set(at(minutes=30))
    text = (await node.http.get(f"{PATH}/btc", params={"start": "2026-11-22T23:00:00Z"})).content
    body = json.loads(text, parse_float=Decimal)
    assert body["data"] == [
        {
            "timestamp": "2026-11-22T23:00:00.000Z",
            "end": "2026-11-23T00:00:00.000Z",
            "open": Decimal("64000.123456789"),
            "high": Decimal("64100.5"),
            "low": 63900,
            "close": Decimal("64050.25"),
            "volume": None,
            "complete": True,
        }
    ]
    assert (body["symbol"], body["interval"], body["vs_currency"], body["total_points"]) == (
        "BTC",
        "1h",
        "usd",
        1,
    )
    assert (body["meta"]["gaps"], body["meta"]["condition"]) == ([], "available")


async def test_no_bar_that_is_not_over(node: Running):
    await node.fill.bars("bitcoin", START - DAY, [ohlc(n) for n in range(24)], at(minutes=17))
    for clock, last in ((at(minutes=59), "1h"), (at(hours=2), "1h")):
        node.clock.set(clock)
        body = await node.get(f"{PATH}/BTC", interval=last, days=2)
        assert body["data"][-1]["end"] == "2026-11-23T00:00:00.000Z"
    node.clock.set(at(hours=-1))
    body = await node.get(f"{PATH}/BTC", days=1, end="2026-11-23T00:00:00Z")
    assert body["data"][-1]["end"] == "2026-11-22T23:00:00.000Z"
    four = await node.get(f"{PATH}/BTC", days=1, interval="4h")
    assert four["data"][-1]["end"] == "2026-11-22T20:00:00.000Z"
    day = await node.get(f"{PATH}/BTC", days=1, interval="1d")
    assert day["data"] == []


async def test_four_hours_and_a_day_with_a_missing_hour(node: Running):
    hours = [ohlc(n) if n != 6 else None for n in range(24)]
    await node.fill.bars("bitcoin", START - DAY, hours, at(minutes=17))
    node.clock.set(at(hours=1))
    four = (await node.get(f"{PATH}/BTC", interval="4h", days=1))["data"]
    assert [bar["complete"] for bar in four] == [True, False, True, True, True, True]
    assert four[1] == {
        "timestamp": "2026-11-22T04:00:00.000Z", "end": "2026-11-22T08:00:00.000Z",
        "open": 104, "high": 107.75, "low": 103.5, "close": 107.25, "volume": None, "complete": False,
    }  # fmt: skip
    assert (four[0]["open"], four[0]["high"], four[0]["low"], four[0]["close"]) == (100, 103.75, 99.5, 103.25)
    day = await node.get(f"{PATH}/BTC", interval="1d", days=1)
    assert [(bar["timestamp"], bar["complete"]) for bar in day["data"]] == [
        ("2026-11-22T00:00:00.000Z", False)
    ]
    (gap,) = day["meta"]["gaps"]
    assert (gap["from"], gap["to"], gap["state"]) == (
        "2026-11-22T06:00:00.000Z", "2026-11-22T07:00:00.000Z", "empty_upstream",
    )  # fmt: skip
    await node.fill.bars("bitcoin", at(hours=-18), [ohlc(6)], at(hours=2))
    node.clock.set(at(hours=3))
    day = await node.get(f"{PATH}/BTC", interval="1d", days=1)
    assert [bar["complete"] for bar in day["data"]] == [True]
    assert day["meta"]["gaps"] == []


async def test_each_bar_is_converted_by_the_rate_known_at_its_end(node: Running):
    await node.fill.bars("bitcoin", at(hours=-6), [flat(str(100 + n)) for n in range(6)], at(minutes=17))
    await node.fill.rates(at(hours=-4), {"usd": "3", "eur": "2"})
    await node.fill.rates(at(hours=-3), {"usd": "7", "eur": "5"})
    node.clock.set(at(minutes=30))
    text = (
        await node.http.get(f"{PATH}/BTC", params={"start": "2026-11-22T18:00:00Z", "vs_currency": "EUR"})
    ).content
    body = json.loads(text, parse_float=Decimal, parse_int=Decimal)
    # The hour that ends at 20:00 has the rate of 20:00, the next the one of 21:00, one more is bridged.
    expected = {
        "20:00": Fraction(101) * 2 / 3,
        "21:00": Fraction(102) * 5 / 7,
        "22:00": Fraction(103) * 5 / 7,
    }
    told = {bar["end"][11:16]: Fraction(bar["close"]) for bar in body["data"]}
    assert told.keys() == expected.keys()
    assert all(abs(told[end] / expected[end] - 1) < Fraction(1, 10**27) for end in expected)
    gaps = [
        (gap["series"], gap["from"][11:16], gap["to"][11:16], gap["intervals"])
        for gap in body["meta"]["gaps"]
    ]
    assert gaps == [("eur", "18:00", "19:00", 1), ("eur", "22:00", "00:00", 2)]
    assert body["meta"]["condition"] == "degraded"
    assert body["total_points"] == 3


async def test_a_rate_that_was_not_there_then_is_not_used_then(node: Running):
    await node.fill.bars("bitcoin", at(hours=-1), [flat("100")], at(minutes=17))
    await node.fill.rates(at(hours=-1), {"usd": "2", "eur": "1"})
    await node.fill.rates(at(), {"usd": "4", "eur": "1"}, at=at(minutes=20))
    node.clock.set(at(minutes=30))
    query = {"start": "2026-11-22T23:00:00Z", "vs_currency": "eur"}
    assert (await node.get(f"{PATH}/BTC", **query))["data"][0]["close"] == 25
    earlier = await node.get(f"{PATH}/BTC", **query, as_of="2026-11-23T00:18:00Z")
    assert earlier["data"][0]["close"] == 50


async def test_a_currency_that_was_never_quoted(node: Running):
    await node.fill.bars("bitcoin", at(hours=-1), [flat("100")], at(minutes=17))
    node.clock.set(at(minutes=30))
    error = (await node.get(f"{PATH}/BTC", 422, vs_currency="eur"))["error"]
    assert error["details"] == {"currencies": ["eur"], "available": ["usd"]}


async def test_intervals_that_no_source_offers(node: Running):
    for interval in ("5m", "30m", "2h", "1w", "1H", ""):
        error = (await node.get(f"{PATH}/BTC", 422, interval=interval))["error"]
        assert (error["code"], error["details"]["available"]) == ("INVALID_TIMEFRAME", ["1h", "4h", "1d"]), (
            interval
        )


async def test_without_candles_nothing_is_offered(store: Store, start):
    running = await start()
    await running.fill.declare(names=("prices",))
    error = (await running.get(f"{PATH}/BTC", 422, interval="4h"))["error"]
    assert (error["code"], error["details"]["available"]) == ("INVALID_TIMEFRAME", [])


async def test_ranges(node: Running):
    await node.fill.bars("bitcoin", START - 2 * DAY, [ohlc(n) for n in range(48)], at(minutes=17))
    node.clock.set(at(minutes=30))
    body = await node.get(f"{PATH}/BTC", start="2026-11-22T01:30:00Z", end="2026-11-22T03:59:59Z")
    assert [bar["timestamp"][11:16] for bar in body["data"]] == ["02:00"]
    body = await node.get(f"{PATH}/BTC", days=1, end="2026-11-22T00:00:00Z")
    assert (len(body["data"]), body["data"][0]["timestamp"]) == (24, "2026-11-21T00:00:00.000Z")
    wrong = (
        {"days": 0}, {"days": 366}, {"days": 1, "start": "2026-11-22"},
        {"start": "2026-11-22", "end": "2026-11-22"},
        {"start": "2020-01-01"}, {"vs_currency": "usd,eur"}, {"vs_currency": "dog"},
    )  # fmt: skip
    for query in wrong:
        assert (await node.get(f"{PATH}/BTC", 422, **query))["error"]["code"] == "VALIDATION_ERROR", query


async def test_a_coin_whose_candles_are_not_collected(start):
    running = await start()
    await running.fill.declare(partitions=("bitcoin",))
    assert (await running.get(f"{PATH}/ETH", 404))["error"]["code"] == "DATA_NOT_AVAILABLE"


async def test_gaps_of_every_kind(start):
    running = await start()
    keyless = SOURCE.plan("keyless")  # whose candles reach back 23 h
    await running.fill.declare(plan=keyless)
    fill = running.fill
    await fill.bars("bitcoin", at(), [flat("1"), None, flat("2")], at(hours=3, minutes=17))
    await fill.failed("bars_1h", ("bitcoin",), TimeRange(at(hours=4), at(hours=5)), at(hours=5, minutes=17))
    running.clock.set(at(hours=8, minutes=30))
    body = await running.get(f"{PATH}/BTC", start="2026-11-22T08:00:00Z")
    told = [(gap["from"][11:16], gap["to"][11:16], gap["state"]) for gap in body["meta"]["gaps"]]
    assert told == [
        ("08:00", "10:00", "lost"),  # an hour that began 23 h ago is past the upstream's reach
        ("10:00", "00:00", "late"),
        ("01:00", "02:00", "empty_upstream"),
        ("03:00", "04:00", "late"),
        ("04:00", "05:00", "failed"),
        ("05:00", "07:00", "late"),
        ("07:00", "08:00", "not_due"),
    ]
    assert sum(gap["intervals"] for gap in body["meta"]["gaps"]) + body["total_points"] == 24


async def test_pages_hold_together_while_candles_arrive(node: Running):
    await node.fill.bars(
        "bitcoin", START - DAY, [ohlc(n) if n % 5 else None for n in range(24)], at(minutes=17)
    )
    node.clock.set(at(minutes=30))
    query = {"days": 1, "limit": 7}
    whole = await node.get(f"{PATH}/BTC", days=1)
    body = await node.get(f"{PATH}/BTC", **query)
    seen = list(body["data"])
    pages = 1
    while cursor := body["meta"]["cursor"]:
        moment = at(hours=pages)
        await node.fill.bars("bitcoin", START - DAY, [flat(str(pages))] * 24, moment)  # revised, and filled
        node.clock.set(moment + HOUR / 2)
        body = await node.get(f"{PATH}/BTC", **query, cursor=cursor)
        assert body["meta"]["as_of"] == whole["meta"]["as_of"]
        assert body["total_points"] == whole["total_points"]
        seen += body["data"]
        pages += 1
    assert seen == whole["data"]
    assert pages == 3
