"""The quality report of a day: intervals, rows, what was set aside, what the rules flag, as of a moment."""

from typing import Any

from ray_app.collect.collector import parsed
from ray_app.model.source import Slice
from ray_app.model.timerange import TimeRange
from ray_app.sources.coingecko import SOURCE
from tests.serve.conftest import Running, at, stable
from tests.serve.filling import COINS, HOUR, START, as_body, flat, market, page, stream

QUALITY = "/api/v1/quality"
BARS = {"dataset": "coingecko.bars_1h", "day": "2026-11-23"}


async def a_day(node: Running) -> None:
    """Hours of bitcoin that move by a percent, with a jump at noon; those of the others are missing."""
    candles = [flat(str(100 + n % 2)) for n in range(24)]
    candles[12] = flat("150")
    await node.fill.bars("bitcoin", START, candles, at(hours=25))
    node.clock.set(at(hours=30))


def rule(body: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [one for one in body["flagged"] if one["rule"] == name]
    told: dict[str, Any] = found
    return told


async def test_the_report_of_a_day(node: Running):
    await a_day(node)
    body = await node.get(QUALITY, **BARS)
    assert (body["dataset"], body["series"], body["facts"]) == ("coingecko.bars_1h", 3, 24)
    assert sum(body["intervals"].values()) == 3 * 24
    assert body["intervals"]["collected"] == 24
    assert body["intervals"]["late"] == 48
    assert (body["rows_received"], body["rows_revised"]) == (0, 0)  # they came on the next day
    jumps = rule(body, "jump")
    assert jumps["count"] == 2
    assert jumps["examples"][0] == {
        "series": "bitcoin",
        "time": "2026-11-23T12:00:00.000Z",
        "record_id": "coingecko.bars_1h:bitcoin:2026-11-23T12:00:00+00:00:0",
        "reason": "close moved by +48.5% at once, usually by 1.00%",
    }
    assert rule(body, "flat")["count"] == 0
    assert body["meta"]["day"] == "2026-11-23T00:00:00.000Z"


async def test_rows_count_on_the_day_on_which_they_came(node: Running):
    await a_day(node)
    body = await node.get(QUALITY, **BARS | {"day": "2026-11-24"})
    assert (body["rows_received"], body["rows_revised"], body["facts"]) == (24, 0, 0)
    await node.fill.bars("bitcoin", at(hours=12), [flat("101")], at(hours=26))
    body = await node.get(QUALITY, **BARS | {"day": "2026-11-24"})
    assert (body["rows_received"], body["rows_revised"]) == (25, 1)


async def test_as_of_and_a_correction(node: Running):
    await a_day(node)
    asked = BARS | {"as_of": "2026-11-24T02:00:00.000Z"}
    before = await node.http.get(QUALITY, params=asked)
    assert rule(before.json(), "jump")["count"] == 2
    await node.fill.bars("bitcoin", at(hours=12), [flat("101")], at(hours=27))
    assert stable(await node.http.get(QUALITY, params=asked)) == stable(before)
    assert rule(await node.get(QUALITY, **BARS), "jump")["count"] == 0
    then = (await node.get(QUALITY, **BARS))["meta"]["as_of"]
    again = await node.get(QUALITY, **BARS, as_of=then)
    assert rule(again, "jump")["count"] == 0


async def test_what_was_set_aside_is_counted_by_its_reason(node: Running):
    rows = [market("bitcoin", "100", at()), market("ethereum", "-5", at()), market("solana", "7", at())]
    wanted = Slice(COINS, TimeRange(START, at(minutes=5)))
    answer = page("prices", "/coins/markets", as_body(rows), at(seconds=2), vs_currency="usd")
    await node.fill.commit(parsed(SOURCE, stream("prices"), wanted, [answer]))
    node.clock.set(at(hours=1))
    body = await node.get(QUALITY, dataset="coingecko.prices", day="2026-11-23")
    assert (body["rows_received"], body["set_aside"]["count"], body["set_aside"]["more"]) == (2, 1, False)
    ((reason, count),) = body["set_aside"]["reasons"].items()
    assert "price" in reason
    assert count == 1


async def test_a_stale_price_is_told_with_its_age(node: Running):
    await node.fill.prices(START, {"bitcoin": "1"}, updated_at=START - 6 * HOUR)
    node.clock.set(at(hours=1))
    body = await node.get(QUALITY, dataset="coingecko.prices", day="2026-11-23", series="bitcoin")
    assert body["series"] == 1
    assert [one["reason"] for one in rule(body, "stale")["examples"]] == ["told 6:00:00 after it was updated"]


async def test_without_a_day_it_is_the_one_before(node: Running):
    await a_day(node)
    body = await node.get(QUALITY, dataset="coingecko.bars_1h")
    assert body["meta"]["day"] == "2026-11-23T00:00:00.000Z"


async def test_what_cannot_be_asked(node: Running):
    node.clock.set(at(hours=1))
    for asked, status, code in (
        ({"dataset": "coingecko.nothing"}, 404, "NOT_FOUND"),
        ({"dataset": "coingecko.prices", "series": "shiba"}, 404, "NOT_FOUND"),
        ({"dataset": "coingecko.prices", "day": "2026-11-23T05:00:00Z"}, 422, "VALIDATION_ERROR"),
        ({"dataset": "coingecko.prices", "day": "2026-11-24"}, 422, "VALIDATION_ERROR"),
        ({}, 422, "VALIDATION_ERROR"),
    ):
        body = await node.get(QUALITY, status, **asked)
        assert body["error"]["code"] == code, asked
