"""as_of and known_by: the audit question stands for ever, the research question grows with backfill."""

import re
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from ray_app.model.timerange import TimeRange
from ray_app.store.reading import SETTLED
from tests.serve.conftest import Running, at, stable
from tests.serve.filling import DAY, START, flat, ohlc

ROUTES: tuple[tuple[str, dict[str, str]], ...] = (
    ("/api/v1/prices/current/BTC", {"vs_currencies": "usd,eur"}),
    ("/api/v1/prices/current", {"symbols": "BTC,ETH"}),
    ("/api/v1/prices/historical/BTC", {"days": "2"}),
    ("/api/v1/prices/historical/BTC", {"days": "3", "interval": "4h", "vs_currency": "eur"}),
    ("/api/v1/prices/historical/BTC", {"days": "3", "interval": "1d"}),
    ("/api/v1/technical/BTC", {}),
    ("/api/v1/technical/BTC", {"timeframe": "4h", "indicators": "sma_10,rsi,pivots", "periods": "3"}),
    ("/api/v1/coverage", {}),
    ("/api/v1/coverage", {"dataset": "coingecko.bars_1h", "symbol": "BTC"}),
    ("/api/v1/gaps", {}),
    ("/api/v1/revisions", {}),
    ("/api/v1/catalog/symbols", {}),
    ("/api/v1/catalog/datasets", {}),
    ("/api/v1/catalog/sources", {}),
    ("/api/v1/catalog/features", {}),
)


async def ask(node: Running, **point: str) -> list[httpx.Response]:
    answers = [await node.http.get(path, params={**params, **point}) for path, params in ROUTES]
    for answer in answers:
        assert answer.status_code == 200, answer.text
    return answers


async def first_hours(node: Running) -> None:
    """What the node knew after 90 minutes: two polls' worth of everything, some of it missing."""
    await node.fill.bars(
        "bitcoin", START - DAY, [ohlc(n) if n != 5 else None for n in range(24)], at(minutes=17)
    )
    await node.fill.rates(at(), {"usd": "64000", "eur": "55000"})
    await node.fill.prices(at(), {"bitcoin": "64210.5", "ethereum": "3000"})
    await node.fill.prices(at(minutes=5), {"bitcoin": "64211.5", "ethereum": "3001"})
    await node.fill.bars("bitcoin", at(), [flat("64000")], at(hours=1, minutes=17))
    await node.fill.bars("bitcoin", at(hours=-2), [flat("63000")], at(hours=1, minutes=18))  # a revision
    lost = TimeRange(at(hours=1), at(hours=1, minutes=5))
    await node.fill.failed("prices", ("bitcoin",), lost, at(hours=1, minutes=2))
    node.clock.set(at(hours=1, minutes=30))


async def later_events(node: Running) -> None:
    """New polls, revisions of what was shown, an old range backfilled, a new declaration."""
    await node.fill.prices(at(hours=1, minutes=35), {"bitcoin": "70000", "ethereum": "4000"})
    await node.fill.prices(at(minutes=5), {"bitcoin": "1", "ethereum": "1"}, at=at(hours=1, minutes=36))
    await node.fill.rates(at(hours=1), {"usd": "70000", "eur": "50000"}, at=at(hours=1, minutes=37))
    await node.fill.rates(at(), {"usd": "1", "eur": "2"}, at=at(hours=1, minutes=37, seconds=30))
    await node.fill.bars("bitcoin", START - DAY, [ohlc(n + 50) for n in range(24)], at(hours=1, minutes=38))
    await node.fill.bars("bitcoin", START - 3 * DAY, [ohlc(n) for n in range(48)], at(hours=1, minutes=39))
    await node.fill.declare(at(hours=1, minutes=40), names=("chart",))
    node.clock.set(at(hours=30))


async def test_as_of_gives_the_same_bytes_for_ever(node: Running):
    await first_hours(node)
    point = "2026-11-23T01:30:00.000Z"
    before = await ask(node, as_of=point)
    assert all(answer.json()["meta"]["as_of"] == point for answer in before)
    await later_events(node)
    after = await ask(node, as_of=point)
    for (path, params), one, two in zip(ROUTES, before, after, strict=True):
        assert stable(one) == stable(two), (path, params)
        assert one.headers["etag"] == two.headers["etag"]
    now = await ask(node)
    changed = [stable(one) != stable(two) for one, two in zip(now, after, strict=True)]
    assert changed[:11] == [True] * 11  # or this test compares nothing that could differ


async def test_what_was_answered_can_be_asked_again_by_its_own_as_of(node: Running):
    await first_hours(node)
    node.clock.set(at(hours=1, minutes=34, seconds=11))
    before = await ask(node)
    await later_events(node)
    for (path, params), answer in zip(ROUTES, before, strict=True):
        point = answer.json()["meta"]["as_of"]
        again = await node.http.get(path, params={**params, "as_of": point})
        assert stable(again) == stable(answer), (path, params)


async def test_answers_stay_the_same_until_something_changes(node: Running):
    await first_hours(node)
    tags = []
    for seconds in (1, 30, 200):  # within the five minutes in which nothing is due
        node.clock.set(at(hours=1, minutes=46, seconds=seconds))
        tags.append([answer.headers["etag"] for answer in await ask(node)])
    assert tags[0] == tags[1] == tags[2]


async def test_as_of_shows_nothing_that_arrived_later(node: Running):
    await first_hours(node)
    body = await node.get("/api/v1/prices/current/BTC", as_of="2026-11-23T00:05:01.416Z")
    assert (body["current_price"]["usd"], body["meta"]["as_of"]) == (64210.5, "2026-11-23T00:05:01.416Z")
    body = await node.get("/api/v1/prices/current/BTC", as_of="2026-11-23T00:05:01.417Z")
    assert body["current_price"]["usd"] == 64211.5
    error = await node.get("/api/v1/prices/current/BTC", 404, as_of="2026-11-23T00:00:01Z")
    assert error["error"]["code"] == "DATA_NOT_AVAILABLE"
    history = "/api/v1/prices/historical/BTC"
    body = await node.get(history, start="2026-11-22T22:00:00Z", end="2026-11-23T02:00:00Z")
    assert [bar["close"] for bar in body["data"]] == [63000, 123.25, 64000]
    body = await node.get(history, start="2026-11-22T22:00:00Z", as_of="2026-11-23T01:17:30Z")
    assert [bar["close"] for bar in body["data"]] == [122.25, 123.25, 64000]
    body = await node.get(history, start="2026-11-22T22:00:00Z", as_of="2026-11-23T00:30:00Z")
    assert [bar["close"] for bar in body["data"]] == [122.25, 123.25]


async def test_the_ledger_of_as_of_knows_only_its_past(node: Running):
    path, query = (
        "/api/v1/prices/historical/BTC",
        {"start": "2026-11-22T22:00:00Z", "end": "2026-11-23T00:00:00Z"},
    )
    await node.fill.failed("bars_1h", ("bitcoin",), TimeRange(at(hours=-2), at()), at(minutes=20))
    await node.fill.bars("bitcoin", at(hours=-2), [flat("5"), None], at(hours=3))
    node.clock.set(at(hours=4))

    def told(body: Any) -> list[tuple[str, str, str]]:
        return [(gap["from"][11:16], gap["state"], gap["reason"]) for gap in body["meta"]["gaps"]]

    nothing = await node.get(path, **query, as_of="2026-11-23T00:10:00Z")
    assert told(nothing) == [("22:00", "not_due", "not due yet")]
    failed = await node.get(path, **query, as_of="2026-11-23T00:30:00Z")
    assert told(failed) == [("22:00", "failed", "Transient: HTTP 503")]
    assert failed["meta"]["condition"] == "missing"
    filled = await node.get(path, **query, as_of="2026-11-23T03:30:00Z")
    assert told(filled) == [("23:00", "empty_upstream", "asked for, and the upstream had nothing")]
    assert [bar["close"] for bar in filled["data"]] == [5]


async def test_known_by_grows_with_backfill_and_never_sees_the_future(node: Running):
    path, query = "/api/v1/prices/historical/BTC", {"days": "1", "known_by": "2026-11-22T06:30:00Z"}
    node.clock.set(at(hours=1))
    assert (await node.get(path, **query))["data"] == []
    await node.fill.bars("bitcoin", START - DAY, [ohlc(n) for n in range(24)], at(hours=2))
    node.clock.set(at(hours=3))
    body = await node.get(path, **query)
    assert [bar["end"][11:16] for bar in body["data"]] == [
        "01:00",
        "02:00",
        "03:00",
        "04:00",
        "05:00",
        "06:00",
    ]
    assert body["meta"]["known_by"] == "2026-11-22T06:30:00.000Z"
    both = await node.get(path, **query, as_of="2026-11-23T01:30:00Z")
    assert both["data"] == []
    exactly = await node.get(path, days=1, known_by="2026-11-22T07:00:00Z")
    assert exactly["data"][-1]["end"] == "2026-11-22T07:00:00.000Z"


async def test_a_revision_was_not_known_before_it_was_received(node: Running):
    await node.fill.prices(at(), {"bitcoin": "100"})
    await node.fill.prices(at(), {"bitcoin": "90"}, at=at(hours=2))
    node.clock.set(at(hours=3))
    path = "/api/v1/prices/current/BTC"
    assert (await node.get(path, known_by="2026-11-23T01:00:00Z"))["current_price"]["usd"] == 100
    assert (await node.get(path, known_by="2026-11-23T02:00:00Z"))["current_price"]["usd"] == 90
    assert (await node.get(path))["current_price"]["usd"] == 90


async def test_the_future_cannot_be_asked(node: Running):
    await first_hours(node)
    for name in ("as_of", "known_by"):
        for path, params in ROUTES:
            answer = await node.http.get(path, params={**params, name: "2026-11-23T01:30:00.001Z"})
            assert answer.status_code == 422, path
            assert answer.json()["error"]["details"] == {"parameter": name}


async def test_as_of_now_waits_until_everything_of_then_is_committed(node: Running):
    await first_hours(node)
    await node.get("/api/v1/prices/current/BTC", as_of="2026-11-23T01:30:00Z")
    assert node.clock.now() > at(hours=1, minutes=30) + timedelta(seconds=SETTLED)
    there = node.clock.now()
    await node.get("/api/v1/prices/current/BTC", as_of="2026-11-23T01:30:00Z")
    assert node.clock.now() == there


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23T00:06:00Z",
        "2026-11-23T00:06:00.000Z",
        "2026-11-23T02:06:00+02:00",
        "2026-11-23T02:06:00 02:00",
        "2026-11-22T19:06:00-05:00",
        "2026-11-23T00:06:00",
        "2026-11-23t00:06:00z",
        "2026-11-23 00:06:00",
    ],
)
async def test_times_are_read_in_every_form_of_rfc_3339(node: Running, text: str):
    await first_hours(node)
    body = await node.get("/api/v1/prices/current/BTC", as_of=text)
    assert (body["meta"]["as_of"], body["current_price"]["usd"]) == ("2026-11-23T00:06:00.000Z", 64211.5)


@pytest.mark.parametrize(
    "text", ["", "now", "yesterday", "1795392000", "2026-13-01", "2026-11-23T25:00:00Z", "0001-01-01"]
)
async def test_other_texts_are_no_times(node: Running, text: str):
    error = (await node.get("/api/v1/prices/current/BTC", 422, as_of=text))["error"]
    assert (error["code"], error["details"]) == ("VALIDATION_ERROR", {"parameter": "as_of"})


async def test_every_time_is_told_in_utc_milliseconds(node: Running):
    await first_hours(node)
    for answer in await ask(node):
        times = re.findall(r'"(\d{4}-\d\d-\d\dT[^"]*)"', answer.text)
        assert times
        for time in times:
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", time), time
            assert datetime.fromisoformat(time).utcoffset() == timedelta(0)
