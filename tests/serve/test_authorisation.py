"""Every way in, with every key there can be: what the contract promises of it, and what the node does.

The table below is the contract, written by hand. The routes come from the documents that the node makes of itself: a
route that nobody wrote down here fails the first test.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from ray_app.model.clock import SystemClock
from ray_app.serve.graphql.schema import core
from ray_app.serve.rest.documents import document
from ray_app.serve.routes import ANY, NEEDS
from ray_app.serve.streams.declared import SSE, STREAMS, WS
from ray_app.sources.coingecko import SOURCE
from ray_app.store.export_files import ExportFiles
from ray_app.store.keys import SCOPES
from tests.client.filled import TRADED, everything
from tests.serve import filling
from tests.serve.conftest import Running, Start, client, routes
from tests.serve.exporting import Desk
from tests.serve.streams.conftest import Begin, Node, streams  # noqa: F401  # one is a fixture
from tests.serve.test_models import Here

CLOSED, PARTS = "403", "left out"  # what a key that is not internal gets of what may not be passed on
PRICE = "coingecko.prices:bitcoin:2026-11-23T00:00:00+00:00:0"
TEXTS = {"texts": ["Bitcoin surges to a new record"]}
EXPORT = {"what": "bars", "symbols": ["BTC"], "interval": "1h"}


@dataclass(frozen=True)
class Way:
    """One route: the scope it needs (None: open to all), an address that has an answer, and its licence."""

    route: str
    scope: str | None
    asks: str = ""
    closed: str = ""  # with CoinGecko's series for internal use only: CLOSED, PARTS, or as for everybody
    sends: Any = None
    status: int = 200

    @property
    def method(self) -> str:
        return "GET" if self.sends is None else "POST"

    @property
    def address(self) -> str:
        return self.asks or self.route


API = "/api/v1"
CONTRACT = (
    Way("/", None),
    Way("/assets/{version}/{file}", None, "/assets/any/page.js"),
    Way("/health", None),
    Way("/ready", None),
    Way("/docs", None),
    Way("/openapi.json", None),
    Way("/asyncapi.json", None),
    Way("/graphql/schema.graphql", None),
    Way("/graphql", ANY, sends={"query": "{ catalog { symbols { total } } }"}),
    Way("/metrics", "read:ops"),
    Way(f"{API}/health", "read:ops"),
    Way(f"{API}/catalog/symbols", ANY),
    Way(f"{API}/catalog/datasets", ANY),
    Way(f"{API}/catalog/series", ANY),
    Way(f"{API}/catalog/features", ANY),
    Way(f"{API}/catalog/sources", ANY),
    Way(f"{API}/prices/current/{{symbol}}", "read:prices", f"{API}/prices/current/BTC", CLOSED),
    Way(f"{API}/prices/current", "read:prices", f"{API}/prices/current?symbols=BTC,ETH", CLOSED),
    Way(f"{API}/prices/historical/{{symbol}}", "read:prices", f"{API}/prices/historical/BTC", CLOSED),
    Way(f"{API}/technical/{{symbol}}", "read:technical", f"{API}/technical/BTC", CLOSED),
    Way(f"{API}/ml-features/{{symbol}}", "read:features", f"{API}/ml-features/BTC", PARTS),
    Way(f"{API}/ml-features", "read:features", f"{API}/ml-features?symbols=BTC,ETH", PARTS),
    Way(f"{API}/derivatives/{{symbol}}", "read:prices", f"{API}/derivatives/BTC"),
    Way(f"{API}/macro/{{series}}", "read:macro", f"{API}/macro/UMCSENT", CLOSED),
    Way(f"{API}/onchain/{{symbol}}", "read:onchain", f"{API}/onchain/BTC"),
    Way(f"{API}/news/crypto/latest", "read:news", closed=CLOSED),
    Way(f"{API}/news/stock/latest", "read:news", closed=PARTS),
    Way(f"{API}/social/latest", "read:news", closed=CLOSED),
    Way(f"{API}/sentiment/crypto/{{symbol}}", "read:sentiment", f"{API}/sentiment/crypto/BTC"),
    Way(f"{API}/sentiment/stock/{{symbol}}", "read:sentiment", f"{API}/sentiment/stock/AAPL"),
    Way(f"{API}/sentiment/market", "read:sentiment"),
    Way(f"{API}/models/cryptobert", "read:sentiment", sends=TEXTS),
    Way(f"{API}/models/finbert", "read:sentiment", sends=TEXTS),
    Way(f"{API}/stats/collectors", "read:ops"),
    Way(f"{API}/coverage", "read:ops"),
    Way(f"{API}/gaps", "read:ops"),
    Way(f"{API}/quality", "read:ops", f"{API}/quality?dataset=coingecko.prices&day=2026-11-23"),
    Way(f"{API}/quotas", "read:ops"),
    Way(f"{API}/lineage/{{record_id}}", "read:ops", f"{API}/lineage/{PRICE}", CLOSED),
    Way(f"{API}/revisions", "read:ops", closed=PARTS),
    Way(f"{API}/backfills/{{job}}", "read:ops", f"{API}/backfills/heal-1"),
    Way(f"{API}/export", "export", closed=CLOSED, sends=EXPORT, status=202),
    Way(f"{API}/export", "export"),
    # Who asked for it has it; to every other client there is none.
    Way(f"{API}/export/{{export}}", "export", f"{API}/export/MINE", status=404),
    Way(
        f"{API}/export/{{export}}/files/{{name}}", "export", f"{API}/export/MINE/files/manifest.json", status=404
    ),
)  # fmt: skip
GUARDED = [way for way in CONTRACT if way.scope is not None]
FIELDS = {  # of GraphQL: how it is asked for, and the scope of its route
    "price": ('(symbol: "BTC") { id }', "read:prices"),
    "candles": ('(symbol: "BTC") { id }', "read:prices"),
    "asset": ('(symbol: "BTC") { id }', ANY),
    "assets": ('(symbols: ["BTC"]) { id }', ANY),
    "news": ("{ total }", "read:news"),
    "social": ("{ total }", "read:news"),
    "sentiment": ('(symbol: "BTC") { id }', "read:sentiment"),
    "marketSentiment": ("{ formula }", "read:sentiment"),
    "technical": ('(symbol: "BTC") { id }', "read:technical"),
    "features": ('(symbol: "BTC") { id }', "read:features"),
    "featureRows": ('(symbol: "BTC") { id }', "read:features"),
    "macro": ('(series: "UMCSENT") { series }', "read:macro"),
    "onchain": ('(symbol: "BTC") { id }', "read:onchain"),
    "coverage": ("{ total }", "read:ops"),
    "gaps": ("{ total }", "read:ops"),
    "catalog": ("{ symbols { total } }", ANY),
}
OF_STREAMS = {"prices": "read:prices", "news": "read:news", "sentiment": "read:sentiment"}


@pytest.fixture
async def full(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Running:
    """A node with something of everything, CoinGecko's series not to be passed on, and one finished export."""
    monkeypatch.setattr(filling, "SOURCE", replace(SOURCE, licence="non_commercial"))
    files = ExportFiles(str(tmp_path / "exports"))
    running = await everything(await start(registry=TRADED, models=Here(), exports=files))
    desk = Desk(running, tmp_path / "exports")
    running.mine = (await desk.made(**EXPORT))["id"]  # type: ignore[attr-defined]  # for `asked`
    await desk.close()
    return running


async def asked(node: Running, way: Way, key: str | None, raw: bytes | None = None) -> httpx.Response:
    authorization = raw if raw is not None else f"Bearer {key}".encode() if key else None
    async with client(node.app, None) as http:
        return await http.request(
            way.method,
            way.address.replace("MINE", getattr(node, "mine", "")),
            json=way.sends,
            headers=[(b"authorization", authorization)] if authorization is not None else None,
        )


async def wrong(node: Running) -> dict[str, str]:
    """A key for each way in which a key can be wrong; all of them have, or had, every scope."""
    now = SystemClock().now()
    expired = await node.new_key(*SCOPES, internal=True, expires_at=now - timedelta(seconds=1))
    revoked = await node.new_key(*SCOPES, internal=True)
    await node.store.keys.revoke(revoked.split("_")[1], now)
    other = await node.new_key(*SCOPES, internal=True)
    forged = other[:-12] + ("a" * 5 if other[-12:-7] != "aaaaa" else "b" * 5) + other[-7:]
    return {
        "expired": expired, "revoked": revoked, "another secret": forged, "cut off": other[:-1], "no key": "cdk_x",
        "long": "x" * 5_000, "not ASCII": "ä", "more behind it": f"{other}x", "upper case": other.upper(),
    }  # fmt: skip


def code(answer: httpx.Response) -> str:
    """Of an error; the whole envelope is there."""
    error: dict[str, Any] = answer.json()["error"]
    assert list(error) == ["code", "message", "details", "timestamp", "request_id"]
    assert error["request_id"] == answer.headers["x-request-id"]
    return str(error["code"])


async def test_the_table_has_every_route_with_its_scope(node: Running):
    """Listed in the documents or not: nothing is served that the contract does not name."""
    documented = {
        (method.upper(), path): operation.get(NEEDS)
        for path, operations in document(node.app)["paths"].items()
        for method, operation in operations.items()
    }
    served = {
        (method, route.path.replace(":path}", "}")): (route.openapi_extra or {}).get(NEEDS)
        for route in routes(node)
        for method in route.methods or ()
    }
    table = {(way.method, way.route): way.scope for way in CONTRACT}
    assert len(table) == len(CONTRACT)
    assert table == served
    assert table.items() >= documented.items()
    of_the_page = {("GET", "/"), ("GET", "/assets/{version}/{file}")}
    assert table.keys() - documented.keys() == of_the_page
    assert {name: stream.scope for name, stream in STREAMS.items()} == OF_STREAMS
    security = {key: operation.get("security") for key, operation in _operations(node)}
    assert {key for key, told in security.items() if told} == {(way.method, way.route) for way in GUARDED}


def _operations(node: Running) -> Iterator[tuple[tuple[str, str], dict[str, Any]]]:
    for path, operations in document(node.app)["paths"].items():
        for method, operation in operations.items():
            yield (method.upper(), path), operation


async def test_without_a_good_key_only_what_is_open_answers(full: Running):
    keys = await wrong(full)
    good = full.key.encode()
    said: set[tuple[str, str]] = set()
    for way in CONTRACT:
        sent: dict[str, bytes | None] = {what: f"Bearer {key}".encode() for what, key in keys.items()}
        sent |= {"none": None, "empty": b"", "no scheme": good, "another scheme": b"Basic " + good}
        for what, raw in sent.items():
            answer = await asked(full, way, None, raw)
            if way.scope is None:
                assert answer.status_code == 200, (way.route, what)
                assert "x-ratelimit-limit" not in answer.headers
                continue
            assert (answer.status_code, code(answer)) == (401, "INVALID_API_KEY"), (way.route, what)
            assert answer.headers["www-authenticate"] == "Bearer"
            error = answer.json()["error"]
            said.add((error["message"], str(error["details"])))
    assert len(said) == 1  # whatever was wrong with the key
    async with client(full.app, None) as nobody:
        assert (await nobody.get("/nothing/here")).status_code == 401
        for name in ("api_key", "key", "token", "authorization"):
            answer = await nobody.get(f"/api/v1/catalog/sources?{name}={full.key}")
            assert answer.status_code == 401
        assert (
            await nobody.get("/api/v1/catalog/sources", headers={"X-Api-Key": full.key})
        ).status_code == 401


async def test_each_route_asks_for_its_scope_and_no_other_opens_it(full: Running):
    keys = {
        scope: await full.new_key(scope, internal=True, per_hour=10_000, burst=10_000) for scope in SCOPES
    }
    for way in CONTRACT:
        for scope, key in keys.items():
            answer = await asked(full, way, key)
            if way.scope in (None, ANY, scope):
                assert answer.status_code == way.status, (way.route, scope, answer.text)
                continue
            assert (answer.status_code, code(answer)) == (403, "INSUFFICIENT_SCOPE"), (way.route, scope)
            assert answer.json()["error"]["details"] == {"scope": way.scope, "has": [scope]}
            assert "x-ratelimit-remaining" in answer.headers
    for way in GUARDED:  # who has all of them, and asked for the export
        answer = await asked(full, way, full.key)
        assert answer.status_code == (200 if way.status == 404 else way.status), (way.route, answer.text)
        everything_but = await full.new_key(*(set(SCOPES) - {way.scope}), internal=True)
        assert (await asked(full, way, everything_but)).status_code == (
            way.status if way.scope == ANY else 403
        )


async def test_what_may_not_be_passed_on_goes_to_internal_keys_only(full: Running):
    outside = await full.new_key(*(set(SCOPES) - {"admin"}), per_hour=10_000, burst=10_000)
    for way in GUARDED:
        for key, internal in ((full.key, True), (outside, False)) * 2:  # again, when an answer may be kept
            answer = await asked(full, way, key)
            if way.closed == CLOSED and not internal:
                assert (answer.status_code, code(answer)) == (403, "LICENCE_RESTRICTED"), way.route
                assert answer.json()["error"]["details"].get("series") or way.method == "POST", way.route
                continue
            expected = 200 if internal and way.status == 404 else way.status
            if way.route == f"{API}/export" and way.method == "POST" and answer.status_code == 429:
                continue  # two are under way
            assert answer.status_code == expected, (way.route, internal, answer.text)
            left = answer.json()["meta"].get("left_out") if b'"meta"' in answer.content else None
            assert bool(left) == (way.closed == PARTS and not internal), (way.route, internal, left)


async def test_what_is_free_is_free_for_every_key(full: Running):
    outside = await full.new_key(*SCOPES)
    (value, *_), _ = [(await full.get(f"{API}/macro/{name}"))["data"] for name in ("GDP", "UMCSENT")]
    for path, shown in (
        ("/prices/historical/BTC?venue=coinbase", "data"),
        ("/technical/BTC?venue=coinbase", "rsi"),
        ("/macro/GDP", "data"),
        ("/onchain/BTC?metrics=mempool_tx", "data"),
        ("/derivatives/BTC", "data"),
        (f"/lineage/{value['record_id']}", "record_id"),
    ):
        told = [(await asked(full, Way(API + path, ANY), key)).json() for key in (full.key, outside)]
        assert told[0][shown] == told[1][shown], path
        assert told[0][shown], path
        assert "left_out" not in told[1]["meta"] or told[1]["meta"]["left_out"] == [], path


async def test_each_field_of_graphql_asks_for_the_scope_of_its_route(full: Running):
    query = core().query_type
    assert query is not None
    assert set(FIELDS) == set(query.fields)
    keys = {scope: await full.new_key(scope, internal=True) for scope in SCOPES}
    for name, (call, needed) in FIELDS.items():
        for scope, key in keys.items():
            way = Way("/graphql", ANY, sends={"query": f"{{ {name}{call} }}"})
            answer = await asked(full, way, key)
            assert answer.status_code == 200, (name, answer.text)
            if needed in (ANY, scope):
                assert "errors" not in answer.json(), (name, scope, answer.text)
                assert answer.json()["data"][name], name
                continue
            (error,) = answer.json()["errors"]
            assert error["extensions"]["code"] == "INSUFFICIENT_SCOPE", (name, scope)
            assert error["extensions"]["details"] == {"scope": needed, "has": [scope]}
            assert answer.json()["data"] in (None, {name: None})


async def test_each_stream_asks_for_its_scope_over_both_ways(streams: Begin):  # noqa: F811  # the fixture
    node = await streams()
    keys = {scope: await node.running.new_key(scope) for scope in SCOPES}
    bad = await wrong(node.running)
    ascii_only = {what: key for what, key in bad.items() if key.isascii()}
    for name, needed in OF_STREAMS.items():
        for scope, key in keys.items():
            opened, ended = (200, None) if scope == needed else (403, (4403, "INSUFFICIENT_SCOPE"))
            assert await _event_stream(node, name, key) == opened, (name, scope)
            assert await _socket(node, name, key) == ended, (name, scope)
        for what, wrong_key in {**ascii_only, "none": ""}.items():
            assert await _event_stream(node, name, wrong_key) == 401, (name, what)
            if wrong_key and len(wrong_key) <= 200:
                assert await _socket(node, name, wrong_key) == (4401, "INVALID_API_KEY"), (name, what)


async def _event_stream(node: Node, name: str, key: str) -> int:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with (
        httpx.AsyncClient(base_url=node.http) as http,
        http.stream("GET", SSE + name, headers=headers) as answer,
    ):
        return answer.status_code


async def _socket(node: Node, name: str, key: str) -> tuple[int, str] | None:
    """How it was closed; None when it is open and answers."""
    headers = {"Authorization": f"Bearer {key}"}
    async with connect(node.ws + WS + name, additional_headers=headers) as socket:
        with suppress(ConnectionClosed):
            await socket.send(json.dumps({"action": "ping"}))
            while (message := json.loads(await socket.recv()))["type"] != "ack":
                assert message["type"] == "error"
            return None
        return socket.close_code or 0, socket.close_reason or ""
