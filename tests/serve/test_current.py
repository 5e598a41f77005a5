import json
from decimal import Decimal
from fractions import Fraction

import pytest

from ray_app.serve import kept
from tests.serve.conftest import Running, at

CURRENT = "/api/v1/prices/current"


def exact(text: bytes) -> dict:
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


async def test_every_name_of_a_coin_leads_to_it_and_to_no_other(node: Running):
    await node.fill.prices(at(), {"bitcoin": "64210.5", "ethereum": "3000.25", "solana": "150"})
    node.clock.set(at(minutes=1))
    for names, coin, price in (
        (("bitcoin", "BTC", "btc", "BTC-USD", "btc/usd".replace("/", "-")), "bitcoin", 64210.5),
        (("ethereum", "ETH", "eth-usd", "ETH_USD"), "ethereum", 3000.25),
        (("solana", "Sol"), "solana", 150),
    ):
        for name in names:
            body = await node.get(f"{CURRENT}/{name}")
            assert (body["id"], body["current_price"]) == (coin, {"usd": price}), name


async def test_the_whole_answer(node: Running):
    await node.fill.prices(at(), {"bitcoin": "64210.5"}, updated_at=at(seconds=-44))
    node.clock.set(at(seconds=31))
    assert await node.get(f"{CURRENT}/BTC") == {
        "symbol": "BTC",
        "id": "bitcoin",
        "name": "Bitcoin",
        "current_price": {"usd": 64210.5},
        "market_cap": {"usd": 1000000},
        "volume_24h": {"usd": None},
        "price_change_24h": {"usd": -1.5},
        "price_change_percentage_24h": {"usd": -0.25},
        "last_updated": "2026-11-22T23:59:16.000Z",
        "data_source": "coingecko",
        "record_id": "coingecko.prices:bitcoin:2026-11-23T00:00:00+00:00:0",
        "meta": {
            "as_of": "2026-11-23T00:00:01.417Z",
            "known_by": None,
            "condition": "available",
            "reasons": [],
            "source": "coingecko",
            "attribution": "Data provided by CoinGecko",
            "simulated": True,
            "generated_at": "2026-11-23T00:00:31.000Z",
            "age_seconds": 75.0,
        },
    }


@pytest.mark.parametrize(
    "price", ["64210.123456789012345678", "0.000000000001", "1e-12", "123456789012345678901", "7"]
)
async def test_every_digit_of_a_price_is_told(node: Running, price: str):
    await node.fill.prices(at(), {"bitcoin": price})
    answer = await node.http.get(f"{CURRENT}/BTC")
    assert exact(answer.content)["current_price"]["usd"] == Decimal(price)
    assert b"e-" not in answer.content.lower().split(b'"market_cap"')[0]


async def test_what_is_not_known_is_null_and_never_zero(node: Running):
    await node.fill.prices(at(), {"bitcoin": "5"}, change=None, cap=None)
    body = await node.get(f"{CURRENT}/BTC", vs_currencies="usd")
    for name in ("market_cap", "volume_24h", "price_change_24h", "price_change_percentage_24h"):
        assert body[name] == {"usd": None}, name


async def test_a_coin_without_a_price_is_no_answer(node: Running):
    await node.fill.prices(at(), {"bitcoin": "5", "ethereum": None})
    error = (await node.get(f"{CURRENT}/ETH", 404))["error"]
    assert (error["code"], error["details"]["symbol"]) == ("DATA_NOT_AVAILABLE", "ETH")
    both = await node.get(CURRENT, symbols="BTC,ETH")
    assert [(row["symbol"], row["current_price"]["usd"]) for row in both["data"]] == [
        ("BTC", 5),
        ("ETH", None),
    ]
    assert (both["meta"]["condition"], both["meta"]["reasons"]) == ("degraded", ["ethereum: no price yet"])


async def test_fields_can_be_left_out(node: Running):
    await node.fill.prices(at(), {"bitcoin": "5"})
    body = await node.get(f"{CURRENT}/BTC", include_24hr_change="false", include_market_cap="false")
    assert not set(body) & {"market_cap", "price_change_24h", "price_change_percentage_24h"}


async def test_another_currency_is_converted_exactly_with_rates_of_one_slot(node: Running):
    await node.fill.prices(at(), {"bitcoin": "64210.123456789"})
    await node.fill.rates(at(hours=-1), {"usd": "60000", "eur": "50000"})
    await node.fill.rates(at(), {"usd": "64000.7", "eur": "55123.45", "btc": "1.0"})
    node.clock.set(at(minutes=2))
    answer = exact((await node.http.get(f"{CURRENT}/BTC", params={"vs_currencies": "eur,usd,BTC"})).content)
    euros = Fraction("64210.123456789") * Fraction("55123.45") / Fraction("64000.7")
    told = answer["current_price"]
    assert list(told) == ["eur", "usd", "btc"]
    assert abs(Fraction(told["eur"]) / euros - 1) < Fraction(1, 10**27)
    assert told["usd"] == Decimal("64210.123456789")
    assert abs(Fraction(told["btc"]) - Fraction("64210.123456789") / Fraction("64000.7")) < Fraction(
        1, 10**26
    )
    assert answer["market_cap"]["eur"] == (Decimal(1000000) * Decimal("55123.45") / Decimal("64000.7"))
    assert answer["price_change_24h"] == {"eur": None, "usd": Decimal("-1.5"), "btc": None}
    assert answer["meta"]["exchange_rates"] == {
        "btc": {"time": "2026-11-23T00:00:00.000Z", "base": "usd"},
        "eur": {"time": "2026-11-23T00:00:00.000Z", "base": "usd"},
    }
    assert answer["meta"]["notes"] == ["the 24 h change is known in usd only; in other currencies it is null"]
    assert answer["meta"]["as_of"] == "2026-11-23T00:01:00.000Z"  # the rates came last


async def test_a_rate_that_the_newest_poll_lacks_comes_with_the_dollar_of_its_own_slot(node: Running):
    await node.fill.prices(at(), {"bitcoin": "100"})
    await node.fill.rates(at(hours=-1), {"usd": "50000", "eur": "40000"})
    await node.fill.rates(at(), {"usd": "99999"})
    node.clock.set(at(minutes=2))
    body = await node.get(f"{CURRENT}/BTC", vs_currencies="eur")
    assert body["current_price"] == {"eur": 80}
    assert body["meta"]["exchange_rates"]["eur"]["time"] == "2026-11-22T23:00:00.000Z"


async def test_a_currency_without_a_rate_names_what_there_is(node: Running):
    await node.fill.prices(at(), {"bitcoin": "100"})
    error = (await node.get(f"{CURRENT}/BTC", 422, vs_currencies="eur"))["error"]
    assert (error["code"], error["details"]["available"]) == ("VALIDATION_ERROR", ["usd"])
    await node.fill.rates(at(), {"usd": "50000", "jpy": "8000000"})
    error = (await node.get(f"{CURRENT}/BTC", 422, vs_currencies="eur"))["error"]
    assert error["details"] == {"currencies": ["eur"], "available": ["jpy", "usd"]}
    error = (await node.get(f"{CURRENT}/BTC", 422, vs_currencies="usd,dogs"))["error"]
    assert error["details"]["currencies"] == ["dogs"]


async def test_old_rates_are_named(node: Running):
    await node.fill.rates(at(hours=-5), {"usd": "50000", "eur": "40000"})
    await node.fill.prices(at(), {"bitcoin": "100"})
    node.clock.set(at(minutes=2))
    meta = (await node.get(f"{CURRENT}/BTC", vs_currencies="eur"))["meta"]
    assert (meta["condition"], meta["reasons"]) == (
        "degraded",
        ["the exchange rate of eur is from 2026-11-22T19:00Z"],
    )
    assert (await node.get(f"{CURRENT}/BTC"))["meta"]["condition"] == "available"


async def test_the_condition_turns_when_polls_stop_coming(node: Running):
    await node.fill.prices(at(), {"bitcoin": "100"})
    node.clock.set(at(minutes=7, seconds=29))
    first = await node.get(f"{CURRENT}/BTC")
    assert first["meta"]["condition"] == "available"
    node.clock.set(at(minutes=7, seconds=30))  # every + every/2; the answer is kept until then and no longer
    later = await node.get(f"{CURRENT}/BTC")
    assert (later["meta"]["condition"], later["meta"]["reasons"]) == (
        "degraded",
        ["bitcoin: not collected since 2026-11-23T00:00Z"],
    )
    assert later["meta"]["as_of"] == "2026-11-23T00:07:30.000Z"
    assert later["meta"]["age_seconds"] == 470


async def test_a_price_that_the_upstream_does_not_update_is_named(node: Running):
    await node.fill.prices(at(), {"bitcoin": "100"}, updated_at=at(hours=-3))
    meta = (await node.get(f"{CURRENT}/BTC"))["meta"]
    assert meta["condition"] == "degraded"
    assert "since 2026-11-22T21:00Z" in meta["reasons"][0]
    assert meta["age_seconds"] == 3 * 3600


async def test_many_at_once_each_once_in_the_order_asked(node: Running):
    await node.fill.prices(at(), {"bitcoin": "1", "ethereum": "2", "solana": "3"})
    body = await node.get(CURRENT, symbols="SOL,btc,bitcoin,ETH-USD")
    assert [(row["id"], row["current_price"]["usd"]) for row in body["data"]] == [
        ("solana", 3),
        ("bitcoin", 1),
        ("ethereum", 2),
    ]
    assert body["data"][1] == {k: v for k, v in (await node.get(f"{CURRENT}/BTC")).items() if k != "meta"}
    too_many = ",".join(["BTC"] * 251)
    assert (await node.get(CURRENT, 422, symbols=too_many))["error"]["code"] == "VALIDATION_ERROR"
    assert (await node.get(CURRENT, 404, symbols="BTC,NOPE"))["error"]["details"]["symbol"] == "NOPE"
    assert (await node.get(CURRENT, 422))["error"]["code"] == "VALIDATION_ERROR"


async def test_who_has_the_answer_gets_304(node: Running):
    await node.fill.prices(at(), {"bitcoin": "100"})
    first = await node.http.get(f"{CURRENT}/BTC")
    tag = first.headers["etag"]
    assert tag.startswith('W/"')
    assert first.headers["cache-control"] == "private, no-cache"
    node.clock.set(at(minutes=3))
    for sent in (tag, f'"other", {tag}', tag.removeprefix("W/"), "*"):
        answer = await node.http.get(f"{CURRENT}/BTC", headers={"If-None-Match": sent})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag), sent
        assert "x-ratelimit-remaining" in answer.headers
    other = await node.http.get(f"{CURRENT}/ETH".replace("ETH", "BTC"), headers={"If-None-Match": '"x"'})
    assert other.status_code == 200
    await node.fill.prices(at(minutes=5), {"bitcoin": "101"})
    node.clock.set(at(minutes=6))
    changed = await node.http.get(f"{CURRENT}/BTC", headers={"If-None-Match": tag})
    assert (changed.status_code, changed.json()["current_price"]["usd"]) == (200, 101)


async def test_the_same_answer_read_again_has_the_same_tag(node: Running, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(kept, "KEPT_SECONDS", 0.0)
    await node.fill.prices(at(), {"bitcoin": "100"})
    tags = set()
    for minute in (1, 2, 4):
        node.clock.set(at(minutes=minute))
        tags.add((await node.http.get(f"{CURRENT}/BTC")).headers["etag"])
    assert len(tags) == 1


async def test_parameters_nobody_knows_are_refused(node: Running):
    await node.fill.prices(at(), {"bitcoin": "100"})
    for sent in (
        {"vs_currency": "usd"},
        {"limit": "5"},
        {"include_market_cap": "perhaps"},
        {"vs_currencies": ""},
    ):
        error = (await node.get(f"{CURRENT}/BTC", 422, **sent))["error"]
        assert error["code"] == "VALIDATION_ERROR", sent
    twice = await node.http.get(f"{CURRENT}/BTC?vs_currencies=usd&vs_currencies=eur")
    assert twice.json()["error"]["details"]["parameters"] == ["vs_currencies"]
