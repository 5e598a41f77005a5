"""The protocol of the sockets: who may come in, what may be said, and how it ends."""

import asyncio
import json
import socket
import time
from contextlib import suppress
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from ray_app.model.clock import SystemClock
from ray_app.serve.streams import hub, sockets
from tests.serve.conftest import at
from tests.serve.streams import conftest
from tests.serve.streams.conftest import Begin, Client, Node


def codes(client: Client) -> list[str]:
    return [one["error"]["code"] for one in client.seen if one["type"] == "error"]


async def test_the_key_comes_in_the_header_or_in_the_first_message(node: Node):
    by_header = await node.socket()
    await by_header.subscribed("BTC")
    by_message = await node.socket(key=None)
    await by_message.say(action="auth", api_key=node.key, id=7)
    ack = await by_message.next("ack")
    assert (ack["action"], ack["id"]) == ("auth", 7)
    await by_message.subscribed("BTC")
    await by_message.say(action="auth", api_key=node.key)
    assert (await by_message.next("error"))["error"]["code"] == "VALIDATION_ERROR"


async def test_without_a_good_key_it_is_closed_with_4401(node: Node, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sockets, "AUTH_SECONDS", 0.3)
    revoked = await node.running.new_key("read:prices")
    await node.running.store.keys.revoke(revoked.split("_")[1], SystemClock().now())
    for key in (revoked, node.key[:-1] + "x", "cdk_x", "x" * 300):
        client = await node.socket(key=key)
        assert await client.closed() == (4401, "INVALID_API_KEY"), key
        by_message = await node.socket(key=None)
        await by_message.say(action="auth", api_key=key[:200])
        assert await by_message.closed() == (4401, "INVALID_API_KEY"), key
        assert codes(by_message) == ["INVALID_API_KEY"]
    silent = await node.socket(key=None)
    began = time.monotonic()
    assert await silent.closed() == (4401, "INVALID_API_KEY")
    assert time.monotonic() - began >= 0.2
    other = await node.socket(key=None)
    await other.say(action="subscribe")
    assert await other.closed() == (4401, "INVALID_API_KEY")
    in_the_address = await node.socket(query=f"?api_key={node.key}", key=None)
    assert await in_the_address.closed() == (4422, "VALIDATION_ERROR")
    assert node.key not in json.dumps(in_the_address.seen)


async def test_a_scope_for_each_stream(node: Node):
    scopes = {"prices": "read:prices", "news": "read:news", "sentiment": "read:sentiment"}
    for stream, scope in scopes.items():
        mine = await node.running.new_key(scope)
        others = await node.running.new_key(*(set(scopes.values()) - {scope}))
        good = await node.socket(stream, key=mine)
        await good.say(action="ping")
        await good.next("ack")
        bad = await node.socket(stream, key=others)
        assert await bad.closed() == (4403, "INSUFFICIENT_SCOPE")
        assert bad.seen[-1]["error"]["details"]["scope"] == scope
        async with httpx.AsyncClient(base_url=node.http) as http:
            answer = await http.get(f"/api/v1/stream/{stream}", headers={"Authorization": f"Bearer {others}"})
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "INSUFFICIENT_SCOPE")


async def test_a_key_that_ends_ends_its_connections_within_five_seconds(node: Node):
    keys = node.running.store.keys
    soon = WALL.now() + SECOND
    mine = await node.running.new_key("read:prices")
    short = await keys.create("short", frozenset({"read:prices"}), WALL.now(), expires_at=soon)
    client, by_message, events = (
        await node.socket(key=mine), await node.socket(key=None), await node.sse(key=mine)
    )  # fmt: skip
    ending = await node.socket(key=short)
    other = await node.socket()
    await by_message.say(action="auth", api_key=mine)
    await by_message.next("ack")
    for one in (client, ending, other):
        await one.subscribed()
    began = time.monotonic()
    await keys.revoke(mine.split("_")[1], WALL.now())
    for one in (client, by_message, ending):
        assert await one.closed() == (4401, "the key has ended")
        assert codes(one) == ["INVALID_API_KEY"]
    while (told := await events.next())["type"] != "error":
        pass
    assert told["error"]["code"] == "INVALID_API_KEY"
    with pytest.raises(EOFError):
        await events.next()
    assert time.monotonic() - began < 5.5
    await other.say(action="ping")
    await other.next("ack")


async def test_what_cannot_be_understood_is_an_error_and_the_socket_goes_on(node: Node):
    client = await node.socket()
    error: dict[str, Any] = {}
    cases: list[tuple[str | bytes, str]] = [
        ("", "VALIDATION_ERROR"),
        ("{", "VALIDATION_ERROR"),
        ("[]", "VALIDATION_ERROR"),
        ("null", "VALIDATION_ERROR"),
        ("[" * 10_000, "VALIDATION_ERROR"),
        ('{"action": "shout"}', "VALIDATION_ERROR"),
        ('{"action": "ping", "api_key": "cdk_secret"}', "VALIDATION_ERROR"),
        ('{"action": "subscribe", "symbols": "BTC"}', "VALIDATION_ERROR"),
        ('{"action": "subscribe", "symbols": [1]}', "VALIDATION_ERROR"),
        (json.dumps({"action": "subscribe", "symbols": ["BTC"] * 251}), "VALIDATION_ERROR"),
        (json.dumps({"action": "subscribe", "symbols": ["B" * 101]}), "VALIDATION_ERROR"),
        ('{"action": "subscribe", "symbols": ["BTX"]}', "INVALID_SYMBOL"),
        ('{"action": "subscribe", "symbols": ["\\u0412TC"]}', "INVALID_SYMBOL"),
        ('{"action": "subscribe", "symbols": ["B\\u0000TC"]}', "INVALID_SYMBOL"),
        ('{"action": "subscribe", "symbols": ["x\' OR 1=1 --"]}', "INVALID_SYMBOL"),
        ('{"action": "subscribe", "symbols": ["DUP"]}', "AMBIGUOUS_SYMBOL"),
        ('{"action": "subscribe", "channels": ["trades"]}', "VALIDATION_ERROR"),
        ('{"action": "subscribe", "fields": ["prize"]}', "VALIDATION_ERROR"),
        ('{"action": "subscribe", "after": -1}', "VALIDATION_ERROR"),
        ('{"action": "subscribe", "after": 99999999999999999999}', "VALIDATION_ERROR"),
        ('{"action": "subscribe", "after": "5"}', "VALIDATION_ERROR"),
        (b"\x00\x01", "VALIDATION_ERROR"),
    ]
    for said, code in cases:
        await client.socket.send(said)
        error = (await client.next("error"))["error"]
        assert error["code"] == code, said
        assert "cdk_secret" not in json.dumps(error)
    assert error["timestamp"] == "2026-11-23T00:00:00.000Z"
    assert len(error["request_id"]) == 24
    assert (await client.subscribed("BTC"))["data"] == []
    unknown = next(
        one["error"] for one in client.seen if one.get("error", {}).get("code") == "INVALID_SYMBOL"
    )
    assert unknown["details"]["nearest"][0] == "BTC"


async def test_an_address_that_is_wrong_is_told_and_closed(node: Node):
    for stream, query, code in [
        ("trades", "", 4404),
        ("prices/x", "", 4404),
        ("graphql/x", "", 4404),
        ("prices", "?symbol=BTC", 4422),
        ("prices", "?symbols=BTC&symbols=ETH", 4422),
        ("prices", "?symbols=BTX", 4404),
        ("prices", "?symbols=BTC&channels=trades", 4422),
        ("prices", "?symbols=BTC&fields=prize", 4422),
        ("prices", f"?symbols={'BTC,' * 250_000}", 4422),
        ("prices", "?symbols=BTC&batch=perhaps", 4422),
    ]:
        client = await node.socket(stream, query)
        assert (await client.closed())[0] == code, (stream, query)
        assert len(codes(client)) == 1
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {node.key}"}) as http:
        for path, status in [
            ("/api/v1/stream/trades", 404),
            ("/api/v1/stream/prices?symbol=BTC", 422),
            ("/api/v1/stream/prices?symbols=BTX", 404),
            ("/api/v1/stream/prices?symbols=DUP", 400),
            ("/api/v1/stream/prices?fields=prize", 422),
            ("/api/v1/stream/prices?channels=trades", 422),
            (f"/api/v1/stream/prices?symbols={'a' * 9000}", 422),
        ]:
            answer = await http.get(node.http + path)
            assert (answer.status_code, set(answer.json())) == (status, {"error"}), path
        assert (await http.post(node.http + "/api/v1/stream/prices")).status_code == 405
        answer = await http.get(node.ws.replace("ws:", "http:") + "/ws/prices")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")
        no_key = await http.get(node.http + "/api/v1/stream/prices", headers={"Authorization": ""})
        assert (no_key.status_code, no_key.json()["error"]["code"]) == (401, "INVALID_API_KEY")


@pytest.mark.parametrize("key", [True, False], ids=["with a key", "before it"])
async def test_a_frame_of_ten_megabytes_is_closed_with_1009(node: Node, key: bool):
    client = await node.socket(key=node.key if key else None)
    await client.socket.send("x" * 10 * 2**20)
    code, _ = await client.closed()
    assert code == 1009
    assert codes(client) == ["PAYLOAD_TOO_LARGE"]
    other = await node.socket()
    with suppress(ConnectionClosed):
        await other.socket.send("x" * 17 * 2**20)  # more than the server takes in at all
    assert (await other.closed())[0] == 1009


async def test_too_many_messages_end_a_socket(node: Node):
    client = await node.socket()
    for _ in range(80):
        await client.say(action="ping")
    assert await client.closed() == (4429, "RATE_LIMIT_EXCEEDED")
    assert sum(one["type"] == "ack" for one in client.seen) >= 50
    assert client.seen[-1]["error"]["details"]["limit"] == "messages"


async def test_opening_counts_as_a_request(node: Node):
    mine = await node.running.new_key("read:prices", per_hour=2, burst=100)
    for _ in range(2):
        await (await node.socket(key=mine)).subscribed()
    third = await node.socket(key=mine)
    assert await third.closed() == (4429, "RATE_LIMIT_EXCEEDED")
    assert third.seen[-1]["error"]["details"]["limit"] == "hour"
    async with httpx.AsyncClient() as http:
        asked = {"Authorization": f"Bearer {await node.running.new_key('read:prices', per_hour=1)}"}
        async with http.stream("GET", node.http + "/api/v1/stream/prices", headers=asked) as answer:
            assert answer.headers["x-ratelimit-remaining"] == "0"
        answer = await http.get(node.http + "/api/v1/stream/prices", headers=asked)
        assert answer.status_code == 429


async def test_as_many_connections_as_a_key_and_a_replica_may_have(
    streams: Begin, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(hub, "OF_A_KEY", {"standard": 2, "premium": 3})
    node = await streams(most=5)
    premium = await node.running.new_key("read:prices", tier="premium")
    opened = [await node.socket() for _ in range(2)] + [await node.socket(key=premium) for _ in range(3)]
    for one in opened:
        await one.subscribed()
    full = await node.socket(key=premium)
    assert await full.closed() == (4503, "SERVICE_UNAVAILABLE")
    await opened[4].socket.close()
    over = await node.socket()
    assert await over.closed() == (4429, "RATE_LIMIT_EXCEEDED")
    assert over.seen[-1]["error"]["details"] == {"limit": "connections", "connections": 2}
    await opened[0].socket.close()
    again = await node.socket()
    await again.subscribed()
    silent = [await node.socket(key=None) for _ in range(2)]  # one has a place, and takes it from others
    assert await silent[1].closed() == (4503, "SERVICE_UNAVAILABLE")
    events = [await node.sse() for _ in range(2)]
    assert [(await one.next())["type"] for one in events] == ["ack", "ack"]
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {node.key}"}) as http:
        answer = await http.get(node.http + "/api/v1/stream/prices")
        assert (answer.status_code, answer.json()["error"]["details"]["limit"]) == (429, "connections")


async def test_those_without_a_key_take_no_place_from_others(streams: Begin, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hub, "MOST_WAITING", 3)
    node = await streams()
    silent = [await node.socket(key=None) for _ in range(4)]
    assert await silent[3].closed() == (4503, "SERVICE_UNAVAILABLE")
    await (await node.socket()).subscribed()
    await silent[0].say(action="auth", api_key=node.key)
    await silent[0].next("ack")
    assert await _waits(await node.socket(key=None))


async def _waits(client: Client) -> bool:
    await client.silent()
    return True


async def test_a_heartbeat_tells_the_place(hot: Node, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hub, "HEARTBEAT", 0.2)
    monkeypatch.setattr(hub, "LOOK", 0.05)
    client, idle, events = await hot.socket(), await hot.socket(), await hot.sse(query="?symbols=SOL")
    await client.subscribed("SOL")
    assert (await client.next("heartbeat"))["cursor"] == 0
    assert (await idle.next("heartbeat"))["cursor"] is None
    await hot.prices({"bitcoin": "100"})  # of no interest to them, but for the interval
    await client.next("interval_complete", seconds=3)
    while (told := await client.next("heartbeat"))["cursor"] < 2:
        pass
    assert told == {"type": "heartbeat", "timestamp": "2026-11-23T00:05:05.000Z", "cursor": 2}
    while (told := await events.next("heartbeat", "ack", "snapshot", "interval_complete")).get("_id") != "2":
        pass


async def test_who_does_not_answer_pings_is_gone(streams: Begin, monkeypatch: pytest.MonkeyPatch):
    """A half-open connection: the machine is away, and nobody says so."""
    monkeypatch.setattr(conftest, "PINGS", {"ws_ping_interval": 0.2, "ws_ping_timeout": 0.3})
    node = await streams()
    raw = socket.create_connection(("127.0.0.1", int(node.ws.rpartition(":")[2])))
    raw.sendall(
        b"GET /ws/prices HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: MDEyMzQ1Njc4OUFCQ0RFRg==\r\nSec-WebSocket-Version: 13\r\n"
        b"Authorization: Bearer " + node.key.encode() + b"\r\n\r\n"
    )
    mine = node.sockets.hub

    async def until(connected: int) -> None:
        async with asyncio.timeout(5):
            while len(mine._connections) != connected:  # noqa: ASYNC110  # there is nobody to tell it
                await asyncio.sleep(0.02)

    await until(1)
    await until(0)
    assert mine._entered == 0
    raw.close()


async def test_a_store_that_is_away_is_said(streams: Begin, tmp_path: Any):
    node = await streams()
    (tmp_path / "node.db").rename(tmp_path / "away.db")
    (tmp_path / "node.db").mkdir()
    await node.running.store.database.engine.dispose()
    client = await node.socket()
    assert await client.closed() == (4503, "SERVICE_UNAVAILABLE")


async def test_what_nobody_expected_is_told_without_its_words(node: Node, monkeypatch: pytest.MonkeyPatch):
    def broken(*_: Any) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(node.sockets.hub, "asset", broken)
    client = await node.socket()
    await client.say(action="subscribe", symbols=["BTC"])
    assert await client.closed() == (4500, "INTERNAL_ERROR")
    assert "secret" not in json.dumps(client.seen)


async def test_who_leaves_is_forgotten(hot: Node):
    client = await hot.socket()
    await client.subscribed("BTC")
    events = await hot.sse(query="?symbols=BTC")
    await events.next("ack")
    assert [len(one._connections) for one in hot.hubs] == [1, 1]
    await client.socket.close()
    await events.answer.aclose()
    async with asyncio.timeout(5):
        while any(one._connections or one._entered or one._of_key for one in hot.hubs):  # noqa: ASYNC110  # as above
            await asyncio.sleep(0.02)
    assert [one._topics["prices"]._views for one in hot.hubs] == [{}, {}]


WALL = SystemClock()
SECOND = at(seconds=1) - at()
