"""`crypto-data validate` against a gateway and its streams on a port: what it finds well, and what it finds missed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from ray_app.commands.validate import Missed, Validation
from ray_app.model.clock import SystemClock
from ray_app.serve.streams.app import build_events, build_sockets
from ray_app.store.engine import VERSION_TABLE
from tests.serve.conftest import Running, Start, at
from tests.serve.filling import COINS, flat
from tests.serve.streams.conftest import served


async def report(node: Running, name: str, **status: Any) -> None:
    line: dict[str, Any] = {"state": "waiting", "last_run": None, "last_success": None, "next_run": None,
                            "last_error": "", "last_error_at": None, "errors": {}}  # fmt: skip
    await node.store.catalog.report(f"coingecko.{name}", "owner-1", line | status)


@dataclass
class Whole:
    """The three ways in behind one address, as Serve's proxy joins them."""

    running: Running
    address: str
    parts: dict[str, Any]
    said: list[str] = field(default_factory=list)

    async def look(self, key: str | None = "", release: str | None = None) -> None:
        """Raises Missed. In a thread: it is a command, and the node runs in this loop."""
        asked = self.running.key if key == "" else key
        await asyncio.to_thread(Validation(self.address, asked, release, self.said.append).run)


@pytest.fixture
async def whole(start: Start) -> AsyncIterator[Whole]:
    running = await start()
    await running.fill.declare()
    await running.fill.prices(at(minutes=25), {"bitcoin": "1", "ethereum": "2", "solana": "3"})
    await running.fill.rates(at(), {"usd": "1", "eur": "2", "btc": "1", "jpy": "3"})
    for coin in COINS:
        await running.fill.bars(coin, at(hours=-1), [flat("1")], at(minutes=17))
    for name in ("prices", "exchange_rates", "bars_1h"):
        moments = {"last_run": at(minutes=25), "last_success": at(minutes=25), "next_run": at(minutes=31)}
        await report(running, name, **moments)
    running.clock.set(at(minutes=28))
    parts = running.node.parts
    ways: dict[str, Any] = {
        "/ws": build_sockets(parts),
        "/api/v1/stream": build_events(parts),
        "/": running.app,
    }

    async def proxy(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
        else:
            await next(app for prefix, app in ways.items() if scope["path"].startswith(prefix))(
                scope, receive, send
            )

    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(served(proxy))
        for hub in (ways["/ws"].hub, ways["/api/v1/stream"].hub):
            await hub.start()
            stack.push_async_callback(hub.stop)
        yield Whole(running, f"http://127.0.0.1:{port}", ways)


async def missed(whole: Whole, **how: Any) -> str:
    with pytest.raises(Missed) as caught:
        await whole.look(**how)
    return str(caught.value)


async def test_a_node_that_is_well(whole: Whole):
    await whole.look(release="test")
    checks = [line.partition(":")[0] for line in whole.said]
    assert checks == [
        "alive",
        "ready",
        "documented",
        "authorised",
        "collected",
        "priced",
        "history",
        "streamed",
        "socketed",
    ]
    assert "priced: BTC $1" in whole.said


async def test_without_a_key_only_what_is_open_is_looked_at(whole: Whole):
    await whole.look(key=None)
    assert [line.partition(":")[0] for line in whole.said] == ["alive", "ready", "documented"]


async def test_keys_that_do_not_do(whole: Whole):
    past = SystemClock().now() - timedelta(seconds=1)
    expired = await whole.running.new_key("read:prices", expires_at=past)
    for key in (expired, "cdk_nobody_nothing"):
        assert (await missed(whole, key=key)).startswith("the key is wrong, expired or revoked: make one")
    poor = await whole.running.new_key("read:prices")
    assert "INSUFFICIENT_SCOPE" in await missed(whole, key=poor)


async def test_another_release(whole: Whole):
    assert await missed(whole, release="0.2.0") == (
        "release test answers instead of 0.2.0: the new one has no requests yet"
    )


async def test_nobody_there():
    with pytest.raises(Missed, match=r"nothing answers: .*port-forward svc/data-api-gateway 8000"):
        Validation("http://127.0.0.1:9", "x", None, print).run()


async def test_a_data_set_that_does_not_come(whole: Whole):
    await report(
        whole.running, "prices", state="refused", last_error="HTTP 401: key expired", last_run=at(minutes=25)
    )
    whole.running.clock.set(at(minutes=28) + timedelta(days=3))
    assert await missed(whole) == (
        "coingecko.prices is dead (collector refused): HTTP 401: key expired; and 2 more"
    )


async def test_a_full_volume_of_raw_pages(whole: Whole):
    why = "raw pages at /data/raw cannot be written: [Errno 28] No space left on device"
    moments = {"last_run": at(minutes=25), "last_success": at(minutes=25), "next_run": at(minutes=31)}
    await report(whole.running, "prices", **moments, last_error=why, last_error_at=at(minutes=26))
    assert await missed(whole) == f"{why}: free the volume of raw pages; collecting goes on by itself"


async def test_no_history(whole: Whole):
    whole.running.clock.set(at(minutes=28))
    async with whole.running.store.database.write() as connection:
        await connection.execute(text("DELETE FROM bars"))
    assert await missed(whole) == (
        "there are no hourly candles of BTC of the last day: see /api/v1/gaps?symbol=BTC"
    )


@pytest.mark.parametrize(
    ("way", "expected"), [("/ws", "/ws/prices refuses a socket"), ("/api/v1/stream", "/api/v1/stream")]
)
async def test_a_way_in_that_is_not_there(whole: Whole, way: str, expected: str):
    async def nothing(scope: Any, receive: Any, send: Any) -> None:
        body = b'{"error": {"code": "NOT_FOUND", "message": "none"}}'
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            await send({"type": "http.response.start", "status": 404, "headers": []})
            await send({"type": "http.response.body", "body": body})

    whole.parts[way] = nothing
    assert expected in await missed(whole)


async def test_a_database_without_tables(whole: Whole):
    async with whole.running.store.database.write() as connection:
        await connection.execute(text("DROP TABLE node"))
    assert (await missed(whole)).startswith(
        "the store has no tables yet: a collector makes them at its start; is"
    )


async def test_a_database_of_a_newer_release(whole: Whole):
    async with whole.running.store.database.write() as connection:
        await connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    assert await missed(whole) == (
        "the database was migrated to 9999 by a newer release: its collectors cannot start; "
        "deploy that release, or restore a backup from before"
    )
    ready = await whole.running.get("/ready")
    assert (ready["status"], ready["degraded"]) == ("degraded", ["migrations"])
