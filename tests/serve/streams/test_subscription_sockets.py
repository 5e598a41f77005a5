"""The protocol of /ws/graphql: who may come in, what is refused and with what, and how it ends."""

import asyncio
import json
import socket
from typing import Any

import pytest

from ray_app.model.clock import SystemClock
from ray_app.serve.streams import accepted, hub, subscriptions, topic, wordings
from ray_app.serve.streams.outlet import Bounds
from ray_app.serve.streams.sockets import Sockets
from ray_app.serve.streams.subscriptions import GraphQLSocket
from ray_app.sources import rss
from tests.serve.filling import COINS
from tests.serve.graphql.test_refusals import nested
from tests.serve.sources import declared
from tests.serve.streams import conftest
from tests.serve.streams.conftest import Begin, Node
from tests.serve.streams.subscribing import PRICES, UPDATES, opened, raw

LARGE = dict.fromkeys(COINS, "1")
BEATS = "subscription { prices { ... on Heartbeat { cursor } } }"


async def test_the_key_comes_in_the_header_or_with_connection_init(node: Node):
    for one in (
        await opened(node),
        await opened(node, init={"Authorization": f"Bearer {node.key}"}),
        await opened(node, init={"authorization": f"bearer {node.key}", "other": 1}),
    ):
        await one.subscribe("1", PRICES)
        assert (await one.next())["__typename"] == "Subscribed"
        await one.say(type="ping", payload={"n": 1})
        while (told := await one.hear())["type"] == "next":
            pass
        assert told == {"type": "pong", "payload": {"n": 1}}


async def test_without_a_good_key_it_is_closed(node: Node, monkeypatch: pytest.MonkeyPatch):
    revoked = await node.running.new_key("read:prices")
    await node.running.store.keys.revoke(revoked.split("_")[1], SystemClock().now())
    for key in (revoked, node.key[:-1] + "x", "x" * 300):
        assert await (await raw(node, key)).closed() == (4401, "INVALID_API_KEY")
        by_init = await raw(node, None)
        await by_init.say(type="connection_init", payload={"Authorization": f"Bearer {key}"})
        assert await by_init.closed() == (4401, "INVALID_API_KEY")
    for payload in ({}, {"Authorization": 5}, {"Authorization": node.key}, {"api_key": node.key}):
        by_init = await raw(node, None)
        await by_init.say(type="connection_init", payload=payload)
        assert await by_init.closed() == (4401, "INVALID_API_KEY"), payload
    early = await raw(node, None)
    await early.subscribe("1", PRICES)
    assert await early.closed() == (4401, "Unauthorized")
    assert (await (await raw(node, None, f"?api_key={node.key}")).closed())[0] == 4422
    monkeypatch.setattr(accepted, "AUTH_SECONDS", 0.3)
    for nobody in (None, node.key):
        silent = await raw(node, nobody)
        await silent.say(type="ping")
        assert await silent.hear() == {"type": "pong"}
        assert await silent.closed() == (4408, "Connection initialisation timeout")


async def test_what_the_protocol_forbids_closes_the_socket(node: Node):
    assert await (await raw(node, subprotocols=None)).closed() == (4406, "Subprotocol not acceptable")
    assert await (await raw(node, subprotocols=["graphql-ws"])).closed() == (
        4406,
        "Subprotocol not acceptable",
    )
    twice = await opened(node)
    await twice.say(type="connection_init")
    assert await twice.closed() == (4429, "Too many initialisation requests")
    same = await opened(node)
    for _ in range(2):
        await same.subscribe("a\u00e4" * 30, BEATS)
    code, reason = await same.closed()
    assert (code, reason.startswith("Subscriber for a")) == (4409, True)
    wrong: list[str | bytes] = [
        "", "{", "[]", "null", "[" * 10_000, '{"type": "shout"}', '{"type": "subscribe", "id": "1"}', b"\x00\x01",
        '{"type": "subscribe", "id": "", "payload": {"query": "{ a }"}}', '{"type": "next", "id": "1", "payload": {}}',
        json.dumps({"type": "subscribe", "id": "1", "payload": {"query": "{ a }", "variables": {"a": "\ud800"}}}),
        json.dumps({"type": "subscribe", "id": "x" * 101, "payload": {"query": "{ a }"}}),
    ]  # fmt: skip
    for said in wrong:
        one = await opened(node)
        await one.socket.send(said)
        assert await one.closed() == (4400, "Invalid message"), said
    large = await opened(node)
    await large.socket.send("x" * 10 * 2**20)
    assert (await large.closed())[0] == 1009
    often = await opened(node)
    for _ in range(80):
        await often.say(type="ping")
    assert await often.closed() == (4429, "RATE_LIMIT_EXCEEDED")


REFUSED: list[tuple[str, dict[str, Any], str, str]] = [  # query, variables, code, words of the message
    ("subscription { prices(", {}, "VALIDATION_ERROR", "Syntax Error"),
    ("{ __typename }", {}, "VALIDATION_ERROR", "POST /graphql"),
    ("mutation { a }", {}, "VALIDATION_ERROR", "mutation"),
    ("subscription { trades { __typename } }", {}, "VALIDATION_ERROR", "trades"),
    ("subscription { __typename }", {}, "VALIDATION_ERROR", "introspection"),
    (
        "subscription { prices { __typename } news { __typename } }",
        {},
        "VALIDATION_ERROR",
        "one top level field",
    ),
    ("subscription { prices { symbol } }", {}, "VALIDATION_ERROR", "symbol"),
    (UPDATES, {"after": -1}, "VALIDATION_ERROR", "whole number"),
    (UPDATES, {"after": "5"}, "VALIDATION_ERROR", "whole number"),
    (UPDATES, {"after": 2**63}, "VALIDATION_ERROR", "whole number"),
    (UPDATES, {"after": 99}, "CURSOR_INVALID", "cursor"),
    (UPDATES, {"symbols": ["BTX"]}, "INVALID_SYMBOL", "BTX"),
    (UPDATES, {"symbols": ["\u0412TC"]}, "INVALID_SYMBOL", "unknown"),
    (UPDATES, {"symbols": ["B\u0000TC"]}, "INVALID_SYMBOL", "unknown"),
    (UPDATES, {"symbols": ["DUP"]}, "AMBIGUOUS_SYMBOL", "DUP"),
    (UPDATES, {"symbols": ["BTC"] * 251}, "VALIDATION_ERROR", "250"),
    ("subscription " + nested(11), {}, "QUERY_TOO_COSTLY", "depth"),
    (
        "subscription { prices { " + " ".join(f"a{n}: __typename" for n in range(31)) + " } }",
        {},
        "QUERY_TOO_COSTLY",
        "aliases",
    ),
    ("subscription { prices {" + "__typename " * 400 + "} }", {}, "QUERY_TOO_COSTLY", "selections"),
    (
        "subscription { prices { ... on PriceSnapshot { prices { " + "symbol id " * 140 + "} } } }",
        {},
        "QUERY_TOO_COSTLY",
        "cost",
    ),
    (
        "subscription { ...a } fragment a on Subscription { ...b } fragment b on Subscription { ...a }",
        {},
        "VALIDATION_ERROR",
        "holds itself",
    ),
]


async def test_what_is_wrong_with_a_subscription_ends_nothing_else(node: Node):
    """Each in a new socket of two: a socket takes so many messages, and one must go on."""
    for number in range(0, len(REFUSED), 8):
        one = await opened(node)
        for query, variables, code, words in REFUSED[number : number + 8]:
            await one.subscribe("1", query, **variables)
            error = await one.error()
            assert (error["extensions"]["code"], words in error["message"]) == (code, True), (query, error)
        await one.subscribe("1", PRICES, symbols=["BTC"])
        assert (await one.next())["symbols"] == ["BTC"]


async def test_scopes_and_licences_are_those_of_the_streams(node: Node):
    await declared(node.running, rss.SOURCE)
    mine = await opened(node, await node.running.new_key("read:prices", "read:news"))
    await mine.subscribe("1", "subscription { sentiment { __typename } }")
    error = await mine.error()
    assert (error["extensions"]["code"], error["extensions"]["details"]["scope"]) == (
        "INSUFFICIENT_SCOPE", "read:sentiment",
    )  # fmt: skip
    await mine.subscribe("1", "subscription { news { __typename } }")
    assert (await mine.error())["extensions"]["code"] == "LICENCE_RESTRICTED"
    await mine.subscribe("1", PRICES)
    assert (await mine.next())["__typename"] == "Subscribed"


async def test_each_subscription_counts_as_a_request_and_there_may_be_so_many(
    node: Node, monkeypatch: pytest.MonkeyPatch
):
    few = await opened(node, await node.running.new_key("read:prices", per_hour=2))
    await few.subscribe("1", PRICES)
    await few.next()
    await few.subscribe("2", PRICES)
    while (told := await few.hear())["type"] == "next":
        pass
    assert told["payload"][0]["extensions"]["details"]["limit"] == "hour"
    monkeypatch.setattr(subscriptions, "MOST_OPERATIONS", 2)
    mine = await opened(node)
    for id_ in ("a", "b", "c"):
        await mine.subscribe(id_, BEATS)
    assert (await mine.error("c"))["extensions"]["details"]["limit"] == "subscriptions"
    await mine.say(type="complete", id="a")
    await mine.say(type="complete", id="nobody")
    await mine.subscribe("c", PRICES)
    assert (await mine.next("c"))["__typename"] == "Subscribed"


async def test_a_key_and_a_replica_have_so_many_different_selections(
    node: Node, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(wordings, "OF_A_KEY", 2)
    monkeypatch.setattr(wordings, "MOST", 3)
    words = [f"subscription {{ prices {{ a{n}: __typename }} }}" for n in range(5)]
    mine, other = await opened(node), await opened(node, await node.running.new_key("read:prices"))
    for id_, query in (("1", words[0]), ("2", words[1]), ("3", words[1])):
        await mine.subscribe(id_, query)
        await mine.next(id_)
    await mine.subscribe("4", words[2])
    while (told := await mine.hear())["type"] == "next":
        pass
    assert told["payload"][0]["extensions"]["details"]["limit"] == "selections"
    await other.subscribe("1", words[3])
    await other.next("1")
    await other.subscribe("2", words[4])
    while (told := await other.hear())["type"] == "next":
        pass
    assert told["payload"][0]["extensions"]["code"] == "SERVICE_UNAVAILABLE"
    for id_ in ("2", "3"):
        await mine.say(type="complete", id=id_)
    await mine.subscribe("5", words[2])
    assert await mine.next("5") == {"a2": "Subscribed"}


async def test_a_socket_is_one_connection_of_its_key_and_leaves_nothing(
    streams: Begin, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(hub, "OF_A_KEY", {"standard": 2, "premium": 3})
    node = await streams()
    mine, plain = await opened(node), await node.socket()
    for id_ in ("1", "2", "3"):
        await mine.subscribe(id_, BEATS)
    await plain.subscribed()
    third = await raw(node)
    await third.say(type="connection_init")
    assert await third.closed() == (4429, "RATE_LIMIT_EXCEEDED")
    await mine.socket.close()
    await plain.socket.close()
    found = node.sockets.hub
    async with asyncio.timeout(5):
        while found._connections or found._entered or found._of_key or found._topics["prices"]._views:  # noqa: ASYNC110  # nobody tells it
            await asyncio.sleep(0.02)
    app = node.sockets._sockets
    assert isinstance(app, Sockets)
    assert app._wordings._known == {}


async def test_a_key_that_ends_ends_its_sockets(node: Node):
    mine = await node.running.new_key("read:prices")
    one, idle = await opened(node, mine), await opened(node, init={"Authorization": f"Bearer {mine}"})
    await one.subscribe("1", PRICES)
    await one.next()
    await node.running.store.keys.revoke(mine.split("_")[1], SystemClock().now())
    for each in (one, idle):
        assert await each.closed(6) == (4401, "the key has ended")


async def test_a_replica_that_goes_closes_with_1012_and_the_cursor_resumes(
    streams: Begin, fresh_redis_url: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(hub, "LOOK", 0.05)
    going = [False]
    node = await streams(fresh_redis_url, draining=lambda: going[0])
    sockets = [await opened(node) for _ in range(5)]
    for one in sockets:
        await one.subscribe("1", PRICES)
        await one.next()
        await one.next()
    await node.prices(LARGE)
    going[0] = True
    for one in sockets:
        code, reason = await one.closed()
        assert (code, reason.startswith("restart; retry in ")) == (1012, True)
    assert await (await raw(node)).closed() == (1012, "restart; try again")
    after = max([one.get("cursor", 0) for one in sockets[0].events["1"]], default=0)
    going[0] = node.sockets.hub.leaving = False
    again = await opened(node)
    await again.subscribe("1", PRICES, after=after)
    await again.next()
    await node.prices(LARGE)
    assert [(await again.next())["cursor"] for _ in range(8 - after)] == list(range(after + 1, 9))


async def test_who_does_not_read_is_closed_with_4408_whatever_he_subscribed_to_and_delays_nobody(
    streams: Begin, fresh_redis_url: str, monkeypatch: pytest.MonkeyPatch
):
    """Twenty subscriptions on one socket have the room of one client."""
    monkeypatch.setattr(topic, "COALESCE", 0.0)
    monkeypatch.setattr(conftest, "SEND_BUFFER", 4096)
    node = await streams(fresh_redis_url, bounds=Bounds(messages=100))
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", int(node.ws.rpartition(":")[2])))
    slow = await opened(node, sock=sock, max_queue=1)
    quick = await opened(node)
    for number in range(20):
        await slow.subscribe(str(number), PRICES)
    await quick.subscribe("1", UPDATES)
    found = node.sockets.hub
    async with asyncio.timeout(10):
        while sum(map(len, found._topics["prices"]._views.values())) < 21:  # noqa: ASYNC110  # nobody tells it
            await asyncio.sleep(0.01)
    (held,) = {
        one._held for one in found._connections if isinstance(one, GraphQLSocket) and len(one._sessions) == 20
    }
    total = most = 0
    while len(found._connections) == 2:
        assert total < 4_000, "the slow one is never closed"
        await node.prices(LARGE)
        assert [(await quick.next())["cursor"] for _ in range(3)] == [total + 1, total + 2, total + 3]
        total += 4
        most = max(most, held.messages)
    assert most <= 101  # and the warning
    assert (await slow.closed())[0] == 4408
    assert held.messages == 0
    for id_, told in slow.events.items():
        cursors = [one["cursor"] for one in told if one["__typename"] in ("PriceUpdate", "IntervalComplete")]
        assert cursors == list(range(1, len(cursors) + 1)), (id_, "what it got has no hole")
