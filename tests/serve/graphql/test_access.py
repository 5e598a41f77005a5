"""Keys, scopes, licences and points in time: as on the routes."""

from dataclasses import replace
from typing import Any

import pytest

from ray_app.model.errors import StoreUnavailable
from ray_app.sources.coingecko import SOURCE
from tests.serve import filling
from tests.serve.conftest import Running, at, client
from tests.serve.graphql.asked import ask, data

PRICE = '{ price(symbol: "BTC") { quotes { price } } }'


def as_key(node: Running, key: str) -> None:
    node.http.headers["Authorization"] = f"Bearer {key}"


async def test_without_a_key_nothing_is_answered(node: Running):
    bodies: tuple[Any, ...] = ({"query": PRICE}, {"query": "{ __typename }"}, [], None)
    async with client(node.app, None) as nobody:
        for body in bodies:
            answer = await nobody.post("/graphql", json=body)
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "INVALID_API_KEY")
    assert (await node.http.get("/graphql")).status_code == 405


async def test_each_part_of_an_asset_asks_for_the_scope_of_its_route(node: Running):
    await node.fill.prices(at(), {"bitcoin": "7"})
    node.clock.set(at(minutes=1))
    as_key(node, await node.new_key("admin"))
    for field in ("price { id }", "technical { id }", "sentiment { id }", "features { id }"):
        (error,) = (await ask(node, f'{{ asset(symbol: "BTC") {{ {field} }} }}'))["errors"]
        assert error["extensions"]["code"] == "INSUFFICIENT_SCOPE", field
    both = await ask(node, '{ asset(symbol: "BTC") { id price { id } } catalog { symbols { total } } }')
    assert both["data"]["asset"] == {"id": "bitcoin", "price": None}
    assert both["data"]["catalog"]["symbols"]["total"]
    as_key(node, await node.new_key("read:prices"))
    assert (await data(node, PRICE))["price"]["quotes"] == [{"price": 7}]


async def test_a_request_counts_once_against_the_limit(node: Running):
    as_key(node, await node.new_key("read:prices", per_hour=1000, burst=2))
    for _ in range(2):
        answer = await node.http.post("/graphql", json={"query": "{ __typename }"})
        assert answer.status_code == 200
        assert "x-ratelimit-remaining" in answer.headers
    answer = await node.http.post("/graphql", json={"query": "{ __typename }"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "RATE_LIMIT_EXCEEDED")


async def test_a_restricted_licence_needs_an_internal_key(node: Running, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(filling, "SOURCE", replace(SOURCE, licence="non_commercial"))
    await node.fill.declare(at(seconds=1))
    await node.fill.prices(at(), {"bitcoin": "1"})
    await node.fill.bars("bitcoin", at(hours=-1), [filling.flat("1")], at(minutes=17))
    node.clock.set(at(minutes=30))
    fields = ("price", "candles", "technical")
    query = "{ " + " ".join(f'{name}(symbol: "BTC") {{ id }}' for name in fields) + " }"
    body = await ask(node, query)
    assert body["data"] == dict.fromkeys(fields)
    assert {one["extensions"]["code"] for one in body["errors"]} == {"LICENCE_RESTRICTED"}
    as_key(node, await node.new_key("read:prices", "read:technical", internal=True))
    assert set(await data(node, query)) == set(fields)


async def test_both_points_in_time(node: Running):
    await node.fill.prices(at(), {"bitcoin": "1"})
    await node.fill.prices(at(minutes=5), {"bitcoin": "2"})
    node.clock.set(at(minutes=10))
    query = """query($then: Time) { now: price(symbol: "BTC") { quotes { price } meta { asOf } }
        then: price(symbol: "BTC", asOf: $then) { quotes { price } meta { asOf } }
        known: price(symbol: "BTC", knownBy: $then) { quotes { price } meta { knownBy } }
        asset(symbol: "BTC", asOf: $then) { price { quotes { price } } } }"""
    found = await data(node, query, then="2026-11-23T00:01:00Z")
    prices = {name: (one.get("price") or one)["quotes"][0]["price"] for name, one in found.items()}
    assert prices == {"now": 2, "then": 1, "known": 1, "asset": 1}
    assert found["then"]["meta"]["asOf"] == found["known"]["meta"]["knownBy"] == "2026-11-23T00:01:00.000Z"
    again = await data(node, query, then=found["now"]["meta"]["asOf"])
    assert again["then"] == found["now"]


async def test_what_fails_on_our_side_says_nothing_of_it(node: Running, monkeypatch: pytest.MonkeyPatch):
    for error, code in (
        (RuntimeError("secret"), "INTERNAL_ERROR"),
        (StoreUnavailable("x"), "SERVICE_UNAVAILABLE"),
    ):

        async def broken(*_: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(node.store.reading, "latest", broken)
        body = await ask(node, PRICE)
        assert body["errors"][0]["extensions"]["code"] == code
        assert "secret" not in str(body)
