"""Malformed and hostile everything: an error in the envelope or a close code, nothing leaked, memory bounded.

What may come in, and where it is tried:

| What | Where |
|---|---|
| a query string of 1 MB | `test_a_megabyte_of_query_is_refused_at_every_route`; streams/test_sockets.py |
| deep and aliased GraphQL, fragments in a circle | graphql/test_refusals.py: `COSTLY`, `INVALID` |
| NUL bytes, SQL, paths, URLs, line ends | `test_every_parameter_takes_the_worst`, `test_bodies_take_the_worst` |
| look-alike symbols | `test_a_symbol_that_looks_like_another_is_none`; streams/test_sockets.py |
| negative limits, the year 9999 | `test_numbers_and_times_out_of_range`; graphql/test_refusals.py: `FIELD` |
| tampered cursors | `test_a_cursor_that_was_tampered_with`; streams/test_resuming.py |
| frames of 10 MB | streams/test_sockets.py: `test_a_frame_of_ten_megabytes_is_closed_with_1009` |
| half-open sockets, up to the limit and past it | `test_half_open_connections_up_to_the_limit_and_past_it` |
| header injection | `test_no_header_comes_from_what_was_sent` |
| path traversal in exports | test_export_files.py: `test_nothing_but_what_the_manifest_names` |
| SSRF through any URL field | `test_nothing_that_is_sent_is_asked_for`; of upstreams: connect/test_addresses.py |
"""

import asyncio
import json
import os
import re
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from sqlalchemy import func, select

from ray_app.serve.queries import MOST_QUERY
from ray_app.serve.rest.documents import document
from ray_app.serve.streams import hub, sockets
from ray_app.store.export_files import ExportFiles
from ray_app.store.tables import metadata
from tests.client.filled import TRADED, everything
from tests.serve.conftest import Running, Start, client
from tests.serve.streams import conftest
from tests.serve.streams.conftest import Begin, Client, served, streams  # noqa: F401  # one is a fixture
from tests.serve.test_models import Here

LEAKS = re.compile(
    rb'Traceback|sqlalchemy|sqlite|aiosqlite|SELECT .* WHERE|site-packages|File \\"', re.IGNORECASE
)
KNOWN = {"symbol": "BTC", "series": "GDP", "record_id": "x:y:2026-11-23T00:00:00+00:00:0", "job": "heal-1",
         "export": "5f0c1d2e3a4b5c6d7e8f9a0b", "name": "manifest.json"}  # fmt: skip
REQUIRED = {"symbols": "BTC", "dataset": "coingecko.prices"}
SQL = ("' OR 1=1 --", "1; DROP TABLE prices; --", "BTC') UNION SELECT secret FROM api_keys --")
WORST = (
    *SQL, "BTC\0", "../../../../etc/passwd", "BTC\r\nSet-Cookie: a=b", "🚀" * 50, "x" * 3_000, "", "-1", "NaN",
    "9999-12-31T23:59:59.999Z", "\u202eCTB",
)  # fmt: skip
pytestmark = pytest.mark.slow


@pytest.fixture
async def full(start: Start, tmp_path: Path) -> Running:
    files = ExportFiles(str(tmp_path / "exports"))
    return await everything(await start(registry=TRADED, models=Here(), exports=files))


def operations(node: Running) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document(node.app)["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def checked(answer: httpx.Response, where: Any) -> None:
    """Whatever was sent: no failure of ours, an envelope if it is an error, and nothing of our inside."""
    assert answer.status_code < 500, (where, answer.text)
    assert "set-cookie" not in answer.headers, where
    if answer.status_code >= 400 and "errors" not in answer.json():
        error = answer.json()["error"]
        assert list(error) == ["code", "message", "details", "timestamp", "request_id"], where
        assert not LEAKS.search(answer.content), (where, answer.text)
        assert len(answer.content) < 20_000, where


async def rows(node: Running) -> dict[str, int]:
    async with node.store.database.engine.connect() as open_:
        return {
            name: (await open_.execute(select(func.count()).select_from(table))).scalar_one()
            for name, table in metadata.tables.items()
        }


async def test_every_parameter_takes_the_worst(full: Running):
    await full.get("/api/v1/coverage?limit=1")  # the secret of cursors is made with the first of them
    before, asked = await rows(full), 0
    for method, path, operation in operations(full):
        if method != "GET":
            continue
        mine = {one["name"]: one["in"] for one in operation.get("parameters", ())}
        needed = {name: value for name, value in REQUIRED.items() if name in mine}
        for name, where in mine.items():
            for value in WORST:
                places = {n: quote(v, safe="") for n, v in KNOWN.items()}
                if where == "path":
                    places[name] = quote(value, safe="")
                query = needed | ({name: value} if where == "query" else {})
                answer = await full.http.get(path.format(**places), params=query)
                checked(answer, (path, name, value))
                asked += 1
                if value in SQL and answer.status_code == 200:
                    assert answer.json()["data"] == [], (path, name, value)
    assert asked > 1_500
    after = await rows(full)
    assert after == before


BODIES: dict[str, Any] = {
    "/api/v1/export": {"what": "bars"},
    "/api/v1/models/cryptobert": {"texts": ["x"]},
    "/api/v1/models/finbert": {"texts": ["x"]},
    "/graphql": {"query": "{ __typename }"},
}
RAW = (
    b"",
    b"\0",
    b"{",
    b"[]",
    b"null",
    b"\xff\xfe",
    b"[" * 50_000,
    b'{"a":' * 5_000,
    b'{"what": NaN}',
    b"1e999",
)


async def test_bodies_take_the_worst(full: Running):
    taking = {path: one for method, path, one in operations(full) if method == "POST"}
    assert set(taking) == set(BODIES)
    before = await rows(full)
    for path, operation in taking.items():
        for raw in RAW:
            answer = await full.http.post(path, content=raw)
            assert answer.status_code == 422, (path, raw[:20])
            checked(answer, (path, raw[:20]))
        fields = operation["requestBody"]["content"]["application/json"]["schema"]["properties"]
        for name in fields:
            for value in (
                *WORST,
                -1,
                10**400,
                True,
                None,
                [],
                {},
                ["\0"],
                [["x"]],
                {"\0": 1},
                ["x" * 200] * 2_000,
            ):
                sent = json.dumps(BODIES[path] | {name: value})
                answer = await full.http.post(path, content=sent)
                checked(answer, (path, name, str(value)[:50]))
                if path == "/api/v1/export" and name != "features" and isinstance(value, str):
                    assert answer.status_code in (400, 404, 422, 429), (name, value)
    after = await rows(full)
    assert {name: after[name] for name in after if name != "exports"} == {
        name: before[name] for name in before if name != "exports"
    }


async def test_a_megabyte_of_query_is_refused_at_every_route(full: Running):
    """By the server, before it reaches a route; and by a route that gets it, or what the server lets through."""
    async with served(full.app) as port:
        began = memory()
        for method, path, operation in operations(full):
            place = path.format(**KNOWN)
            status, head, body = await raw(port, _line(method, place, 2**20), full.key)
            assert status in (400, 414, 431), (path, head)
            assert len(head + body) < 1_000
            assert not LEAKS.search(body)
            passed = await raw(port, _line(method, place, 50_000), full.key)
            for status, body in ((passed[0], passed[2]), await within(full, method, place, 2**20)):
                if "security" in operation:
                    error = json.loads(body)["error"]
                    assert (status, error["code"]) == (422, "VALIDATION_ERROR"), path
                    assert f"{MOST_QUERY} characters" in error["message"]
                    assert len(body) < 1_000
                else:
                    assert status == 200, path
        assert memory() - began < 100 * 2**20


def _line(method: str, place: str, length: int) -> bytes:
    return f"{method} {place}?a=".encode() + b"x" * length + b" HTTP/1.1\r\nHost: n\r\n"


async def within(node: Running, method: str, place: str, length: int) -> tuple[int, bytes]:
    """Status and body of a request with so long a query that a server handed on."""
    sent = list[Any]()
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": place, "raw_path": place.encode(), "query_string": b"a=" + b"x" * length, "root_path": "",
        "headers": [(b"authorization", f"Bearer {node.key}".encode())], "server": ("node", 80), "client": None,
    }  # fmt: skip

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await node.app(scope, receive, send)
    return sent[0]["status"], b"".join(one.get("body", b"") for one in sent[1:])


async def raw(port: int, head: bytes, key: str) -> tuple[int, bytes, bytes]:
    """Status, head and body of a request that no client of good manners would send."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head + b"Connection: close\r\nAuthorization: Bearer " + key.encode() + b"\r\n\r\n")
    answer = await reader.read()
    writer.close()
    told, _, body = answer.partition(b"\r\n\r\n")
    assert told.startswith(b"HTTP/1.1 "), answer
    return int(told[9:12]), told, body


def memory() -> int:
    """Bytes that this process has in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


LOOK_ALIKES = (
    "ВТС", "ВTC", "ＢＴＣ", "BTC\u200b", "\u200dBTC", "BТC", "𝐁𝐓𝐂", "ⒷⓉⒸ", "ʙᴛᴄ", "Ꮾtc", "btc\u0301", "ſol", "SOⅬ",
    "bıtcoin", "bitcoın", "ｂitcoin", "\u202ebtc", "BTC\u00ad", "eth\u200f", "Ξ", "₿",
)  # fmt: skip


async def test_a_symbol_that_looks_like_another_is_none(full: Running):
    taking = [
        path
        for _, path, one in operations(full)
        if ("symbol", "path") in [(p["name"], p["in"]) for p in one.get("parameters", ())]
    ]
    assert len(taking) >= 7
    for name in LOOK_ALIKES:
        for path in taking:
            answer = await full.http.get(path.format(symbol=quote(name, safe="")))
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "INVALID_SYMBOL"), (
                path,
                name,
            )
        many = await full.http.get("/api/v1/prices/current", params={"symbols": f"BTC,{name}"})
        assert (many.status_code, many.json()["error"]["code"]) == (404, "INVALID_SYMBOL"), name
        sent = {"query": "query($s: String!) { price(symbol: $s) { id } }", "variables": {"s": name}}
        (error,) = (await full.http.post("/graphql", json=sent)).json()["errors"]
        assert error["extensions"]["code"] == "INVALID_SYMBOL", name


async def test_numbers_and_times_out_of_range(full: Running):
    for method, path, operation in operations(full):
        for one in operation.get("parameters", ()) if method == "GET" else ():
            name, schema = one["name"], one["schema"]
            needed = {
                n: v for n, v in REQUIRED.items() if any(p["name"] == n for p in operation["parameters"])
            }
            if schema.get("type") == "integer":
                values = ["-1", "0", "-9999999999999999999999", str(10**30), "1.5", "0x10", "1e3", "١"]
                refused = set(values)
            elif "format" in str(schema):
                values = ["9999-12-31", "9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59-14:00",
                          "0001-01-01T00:00:00+14:00",
                          "2026-02-30", "2026-11-23T25:00:00Z", "-2026-11-23", "1e9", "1700000000"]  # fmt: skip
                refused = set(values)
            else:
                continue
            for value in values:
                answer = await full.http.get(path.format(**KNOWN), params=needed | {name: value})
                checked(answer, (path, name, value))
                if value in refused and "{" not in path.replace("{symbol}", "").replace("{series}", ""):
                    assert answer.status_code == 422, (path, name, value, answer.text)


async def test_a_cursor_that_was_tampered_with(full: Running):
    """Of every paged route: a character changed, cut off, of another route, with other parameters."""
    cursors: dict[str, str] = {}
    for method, path, operation in operations(full):
        if method != "GET" or all(one["name"] != "cursor" for one in operation.get("parameters", ())):
            continue
        address = path.format(**KNOWN)
        answer = await full.http.get(address, params={"limit": 1})
        if answer.status_code == 200 and (cursor := answer.json()["meta"].get("cursor")):
            cursors[address] = cursor
    assert len(cursors) >= 8
    for address, cursor in cursors.items():
        good = await full.http.get(address, params={"limit": 1, "cursor": cursor})
        assert good.status_code == 200, good.text
        other = next(one for path, one in cursors.items() if path != address)
        half = len(cursor) // 2
        for bad in (
            "A" + cursor[1:] if cursor[0] != "A" else "B" + cursor[1:], cursor[:-1], cursor + "A", cursor + "=", other,
            cursor[:half] + ("A" if cursor[half] != "A" else "B") + cursor[half + 1 :], cursor.swapcase(), "\0", "=",
            "é", cursor[22:], "W10", "x" * 2_000,
        ):  # fmt: skip
            answer = await full.http.get(address, params={"limit": 1, "cursor": bad})
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "CURSOR_INVALID"), (
                address,
                bad,
            )
        moved: dict[str, str | int] = {"limit": 1, "cursor": cursor, "as_of": "2026-11-23T03:00:00Z"}
        if address != "/api/v1/export":
            answer = await full.http.get(address, params=moved)
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, "CURSOR_INVALID"), address


async def test_no_header_comes_from_what_was_sent(full: Running):
    """Line ends, hosts and forwarded names: over a socket, since a client of good manners would not send them."""
    asked = (
        b"GET /api/v1/prices/current/BTC%0d%0aSet-Cookie:%20a=b HTTP/1.1\r\nHost: n\r\n",
        b"GET /api/v1/prices/current/BTC?vs_currencies=usd%0d%0aX-Evil:%201 HTTP/1.1\r\nHost: n\r\n",
        (
            b"GET /api/v1/quotas HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: evil.example\r\n"
            b"Forwarded: host=evil.example\r\n"
        ),
        (
            b"GET /api/v1/quotas HTTP/1.1\r\nHost: n\r\nX-Request-Id: evil.example\r\n"
            b"X-Client-Request-Id: \xff\x0bevil.example\r\n"
        ),
        b"GET /nothing HTTP/1.1\r\nHost: evil.example\r\nReferer: evil.example\r\nOrigin: http://evil.example\r\n",
        b"GET http://evil.example/api/v1/quotas HTTP/1.1\r\nHost: evil.example\r\n",
        b"GET //evil.example/..%2f HTTP/1.1\r\nHost: n\r\n",
    )
    async with served(full.app) as port:
        for one in asked:
            status, head, body = await raw(port, one, full.key)
            names = {line.partition(b":")[0].lower() for line in head.split(b"\r\n")[1:]}
            assert status in (200, 400, 404, 422), (one, head)
            assert not names & {b"set-cookie", b"x-evil", b"location"}, (one, head)
            assert b"evil.example" not in head, (one, head)
            assert b"evil.example" not in body, (one, body)
    made = await full.http.post("/api/v1/export", json={"what": "bars"}, headers={"Host": "evil.example"})
    assert made.headers["location"] == f"/api/v1/export/{made.json()['id']}"


async def test_nothing_that_is_sent_is_asked_for(full: Running):
    """No parameter takes an address; one that is sent anyway is never connected to."""
    heard: list[Any] = []
    server = await asyncio.start_server(lambda *one: heard.append(one), "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x"
    whole = json.dumps([*operations(full)])
    assert not re.search(r'"format": "ur[il]|webhook|callback', whole)
    for method, path, operation in operations(full):
        names = [(one["name"], one["in"]) for one in operation.get("parameters", ())]
        headers = {
            "Referer": address,
            "Origin": address,
            "X-Forwarded-For": address,
            "X-Original-URL": address,
        }
        for name, where in names:
            places = {
                n: quote(address if (n, "path") == (name, where) else v, safe="") for n, v in KNOWN.items()
            }
            query = {name: address} if where == "query" else {}
            checked(await full.http.get(path.format(**places), params=query, headers=headers), (path, name))
        if method == "POST":
            for name in operation["requestBody"]["content"]["application/json"]["schema"]["properties"]:
                for value in (address, [address]):
                    answer = await full.http.post(path, json=BODIES[path] | {name: value}, headers=headers)
                    checked(answer, (path, name))
    async with server:
        assert heard == []


RAW_SOCKET = (
    b"GET /ws/prices HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: MDEyMzQ1Njc4OUFCQ0RFRg==\r\nSec-WebSocket-Version: 13\r\n"
)


async def test_half_open_connections_up_to_the_limit_and_past_it(
    streams: Begin,  # noqa: F811  # the fixture
    monkeypatch: pytest.MonkeyPatch,
):
    """Clients that are away and say nothing fill a replica; it stays in bounds, and takes others once they are gone."""
    monkeypatch.setattr(conftest, "PINGS", {"ws_ping_interval": 0.5, "ws_ping_timeout": 0.5})
    monkeypatch.setattr(hub, "MOST_WAITING", 10)
    monkeypatch.setattr(sockets, "AUTH_SECONDS", 1.0)
    monkeypatch.setattr(hub, "OF_A_KEY", {"standard": 100, "premium": 100})
    most = 20
    node = await streams(most=most)
    mine, port = node.sockets.hub, int(node.ws.rpartition(":")[2])
    raw = [_half_open(port, b"Authorization: Bearer " + node.key.encode() + b"\r\n") for _ in range(most)]

    async def until(entered: int) -> None:
        async with asyncio.timeout(20):
            while mine._entered != entered:  # there is nobody to tell it
                assert mine._entered <= most
                await asyncio.sleep(0.02)

    await until(most)
    for _ in range(5):
        over = await node.socket()
        assert await over.closed() == (4503, "SERVICE_UNAVAILABLE")
    raw += [_half_open(port, b"") for _ in range(30)]  # without a key: they wait for a first message
    raw += [socket.create_connection(("127.0.0.1", port)) for _ in range(30)]  # and who says nothing at all
    await until(0)  # none answered a ping, or sent a key
    assert len(mine._connections) == 0
    client_: Client = await node.socket()
    await client_.subscribed("BTC")
    for one in raw:
        one.close()


def _half_open(port: int, more: bytes) -> socket.socket:
    opened = socket.create_connection(("127.0.0.1", port))
    opened.sendall(RAW_SOCKET + more + b"\r\n")
    return opened


@pytest.fixture
async def nobody(full: Running) -> AsyncIterator[httpx.AsyncClient]:
    async with client(full.app, None) as http:
        yield http


async def test_who_has_no_key_learns_nothing(nobody: httpx.AsyncClient, full: Running):
    """The same answer to what exists and to what does not, however odd it is."""
    bodies = set()
    for path in (
        "/api/v1/quotas",
        "/api/v1/nothing",
        "/api/v1/prices/current/%00",
        "/..%2f",
        "/graphql",
        "/api/v1/export/x",
    ):
        for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "TRACE", "XYZ"):
            answer = await nobody.request(method, path)
            assert answer.status_code == 401, (method, path)
            if method != "HEAD":
                error = answer.json()["error"]
                bodies.add((error["code"], error["message"], str(error["details"])))
    assert len(bodies) == 1
