"""Every route without a key, with a wrong, expired or revoked one, and without its scope."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from ray_app.model.clock import SystemClock
from ray_app.serve.auth import KEPT_SECONDS
from ray_app.serve.routes import ANY, NEEDS
from ray_app.sources.coingecko import SOURCE
from ray_app.store.keys import SCOPES
from tests.serve import filling
from tests.serve.conftest import Running, at, client, routes

OPEN = {
    "/", "/assets/any/page.js", "/health", "/ready", "/docs", "/openapi.json", "/asyncapi.json",
    "/graphql/schema.graphql",
}  # fmt: skip
VALUES = {
    "symbol": "BTC",
    "series": "GDP",
    "record_id": "coingecko.prices:bitcoin:2026-11-23T00:00:00+00:00:0",
    "job": "heal-1",
    "export": "5f0c1d2e3a4b5c6d7e8f9a0b",
    "name": "manifest.json",
    "version": "any",
    "file": "page.js",
}


def paths(node: Running) -> dict[str, str | None]:
    """Every route of the application with the scope it needs."""
    out = {}
    for route in routes(node):
        path = route.path.replace(":path}", "}")
        out[path.format(**VALUES)] = (route.openapi_extra or {}).get(NEEDS)
    return out


async def test_the_routes_of_this_part_are_all_there(node: Running):
    assert set(paths(node)) == OPEN | {
        "/metrics",
        "/api/v1/health",
        "/api/v1/catalog/symbols",
        "/api/v1/catalog/datasets",
        "/api/v1/catalog/series",
        "/api/v1/catalog/features",
        "/api/v1/catalog/sources",
        "/api/v1/prices/current/BTC",
        "/api/v1/prices/current",
        "/api/v1/prices/historical/BTC",
        "/api/v1/technical/BTC",
        "/api/v1/ml-features/BTC",
        "/api/v1/ml-features",
        "/api/v1/derivatives/BTC",
        "/api/v1/macro/GDP",
        "/api/v1/onchain/BTC",
        "/api/v1/news/crypto/latest",
        "/api/v1/news/stock/latest",
        "/api/v1/social/latest",
        "/api/v1/sentiment/crypto/BTC",
        "/api/v1/sentiment/stock/BTC",
        "/api/v1/sentiment/market",
        "/api/v1/models/cryptobert",
        "/api/v1/models/finbert",
        "/api/v1/stats/collectors",
        "/api/v1/coverage",
        "/api/v1/gaps",
        "/api/v1/quality",
        "/api/v1/quotas",
        "/api/v1/lineage/" + VALUES["record_id"],
        "/api/v1/revisions",
        "/api/v1/backfills/heal-1",
        "/api/v1/export",
        "/api/v1/export/" + VALUES["export"],
        "/api/v1/export/" + VALUES["export"] + "/files/manifest.json",
        "/graphql",
    }


async def test_open_routes_need_no_key_and_all_others_do(node: Running):
    async with client(node.app, None) as nobody:
        for path, scope in paths(node).items():
            answer = await nobody.get(path)
            if path in OPEN:
                assert (answer.status_code, scope) == (200, None), path
                assert "x-ratelimit-limit" not in answer.headers
            else:
                assert answer.status_code == 401, path
                assert answer.json()["error"]["code"] == "INVALID_API_KEY"
                assert answer.headers["www-authenticate"] == "Bearer"
        assert (await nobody.get("/nothing/here")).status_code == 401


async def test_a_wrong_key_is_refused_the_same_way_whatever_is_wrong(node: Running):
    now = SystemClock().now()
    expired = await node.new_key("read:prices", expires_at=now - timedelta(seconds=1))
    revoked = await node.new_key(*SCOPES)
    await node.store.keys.revoke(revoked.split("_")[1], now)
    other = await node.new_key("read:prices")
    forged = other[:-12] + ("a" * 5 if other[-12:-7] != "aaaaa" else "b" * 5) + other[-7:]
    refusals = set()
    for key in (expired, revoked, forged, "cdk_x", "x" * 5000, "ä", f"{node.key}x", node.key.upper()):
        for path in paths(node):
            if path in OPEN:
                continue
            answer = await node.http.get(path, headers={b"Authorization": f"Bearer {key}".encode()})
            assert answer.status_code == 401, (key, path)
            refusals.add((answer.json()["error"]["message"], str(answer.json()["error"]["details"])))
    assert len(refusals) == 1


async def test_only_a_bearer_in_the_header_counts(node: Running):
    async with client(node.app, None) as nobody:
        for headers in (
            {"Authorization": node.key},
            {"Authorization": f"Basic {node.key}"},
            {"X-Api-Key": node.key},
        ):
            assert (await nobody.get("/api/v1/catalog/sources", headers=headers)).status_code == 401
        assert (await nobody.get(f"/api/v1/catalog/sources?api_key={node.key}")).status_code == 401
        answer = await nobody.get(
            "/api/v1/catalog/sources", headers={"Authorization": f"bearer  {node.key} "}
        )
        assert answer.status_code == 200


async def test_each_route_asks_for_its_scope_and_names_it(node: Running):
    await node.fill.prices(at(), {"bitcoin": "1"})
    node.clock.set(at(minutes=1))
    for scope in SCOPES:
        key = await node.new_key(scope)
        for path, needed in paths(node).items():
            answer = await node.http.get(path, headers={"Authorization": f"Bearer {key}"})
            if needed in (None, ANY, scope):
                assert answer.status_code != 403, (scope, path)
            else:
                assert answer.status_code == 403, (scope, path)
                error = answer.json()["error"]
                assert (error["code"], error["details"]["scope"]) == ("INSUFFICIENT_SCOPE", needed)
                assert "x-ratelimit-remaining" in answer.headers


async def test_a_revocation_takes_effect_within_five_seconds(node: Running):
    key = await node.new_key("read:ops")
    headers = {"Authorization": f"Bearer {key}"}
    assert (await node.http.get("/api/v1/quotas", headers=headers)).status_code == 200
    await node.store.keys.revoke(key.split("_")[1], SystemClock().now())
    assert KEPT_SECONDS < 5
    await asyncio.sleep(KEPT_SECONDS + 0.1)
    assert (await node.http.get("/api/v1/quotas", headers=headers)).status_code == 401


async def test_a_key_ends_at_its_minute_even_while_it_is_kept(node: Running):
    key = await node.new_key("read:ops", expires_at=SystemClock().now() + timedelta(seconds=0.6))
    headers = {"Authorization": f"Bearer {key}"}
    assert (await node.http.get("/api/v1/quotas", headers=headers)).status_code == 200
    await asyncio.sleep(0.7)
    assert (await node.http.get("/api/v1/quotas", headers=headers)).status_code == 401


async def test_a_new_key_works_at_once(node: Running):
    for _ in range(3):
        key = await node.new_key("read:ops")
        answer = await node.http.get("/api/v1/quotas", headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == 200


async def test_every_use_is_counted_and_the_last_is_kept(node: Running):
    key = await node.new_key("read:ops")
    identity = key.split("_")[1]
    before = SystemClock().now()
    for path in ("/api/v1/quotas", "/api/v1/prices/current/BTC", "/nowhere", "/api/v1/quotas?x=1"):
        await node.http.get(path, headers={"Authorization": f"Bearer {key}"})
    await node.node.ring.flush()
    (found,) = [one for one in await node.store.keys.list() if one.id == identity]
    assert found.uses == 4
    assert found.last_used_at is not None
    assert before - timedelta(seconds=1) <= found.last_used_at <= SystemClock().now() + timedelta(seconds=1)
    await node.node.ring.flush()
    (again,) = [one for one in await node.store.keys.list() if one.id == identity]
    assert again.uses == 4


async def test_a_restricted_licence_needs_an_internal_key(node: Running, monkeypatch: pytest.MonkeyPatch):
    licensed = replace(SOURCE, licence="non_commercial")
    monkeypatch.setattr(filling, "SOURCE", licensed)
    await node.fill.declare(at(seconds=1))
    await node.fill.prices(at(), {"bitcoin": "1"})
    await node.fill.bars("bitcoin", at(hours=-1), [filling.flat("1")], at(minutes=17))
    node.clock.set(at(minutes=30))
    internal = await node.new_key("read:prices", "read:technical", internal=True)
    for path in (
        "/api/v1/prices/current/BTC",
        "/api/v1/prices/current?symbols=BTC",
        "/api/v1/prices/historical/BTC",
        "/api/v1/technical/BTC",
    ):
        for _ in range(2):  # also when the answer is kept
            answer = await node.http.get(path, headers={"Authorization": f"Bearer {internal}"})
            assert answer.status_code == 200, answer.text
            answer = await node.http.get(path)
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "LICENCE_RESTRICTED")
