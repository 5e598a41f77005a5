"""Streams as they are served: over uvicorn set up as Serve does, on a port, to real clients."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import jsonschema
import pytest
import uvicorn
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from ray_app.model.clock import SystemClock
from ray_app.runtime.relay import Relay
from ray_app.serve.streams.app import Streams, build_events, build_sockets
from ray_app.serve.streams.asyncapi import document
from ray_app.serve.streams.hub import Hub
from ray_app.serve.streams.messages import SERVER
from tests.serve.conftest import Running, at
from tests.serve.filling import REGISTRY

WITHIN = 30.0  # seconds that a message is waited for
SEND_BUFFER: int | None = None  # bytes that the kernel takes for a client that does not read; None: megabytes
PINGS: dict[str, Any] = {}  # uvicorn's own: every 20 s, answered within 20 s


@dataclass
class Node:
    """A store that is filled, a relay, and the two applications of the streams over it."""

    running: Running
    ws: str  # address
    http: str
    sockets: Streams
    events: Streams
    stack: AsyncExitStack
    redis: Any = None
    slot: int = 0

    @property
    def key(self) -> str:
        return self.running.key

    @property
    def hubs(self) -> list[Hub]:
        return [self.sockets.hub, self.events.hub]

    async def relay(self) -> None:
        """Number what was committed and bring it to Redis, as the relay does."""
        await relay(self.running, self.redis)

    async def prices(self, prices: Mapping[str, str | None], slot: int | None = None, **more: Any) -> None:
        """One poll, committed and relayed; the next slot of five minutes."""
        self.slot = self.slot + 1 if slot is None else slot
        moment = at(minutes=5 * self.slot)
        self.running.clock.set(moment + timedelta(seconds=5))
        await self.running.fill.prices(moment, prices, **more)
        await self.relay()

    async def socket(
        self, stream: str = "prices", query: str = "", key: str | None = "", **more: Any
    ) -> "Client":
        """An open socket; without a key it sends none."""
        token = self.key if key == "" else key
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = f"{self.ws}/ws/{stream}{query}"
        options = {
            "additional_headers": headers,
            "compression": None,
            "max_size": None,
            "max_queue": None,
        } | more
        opened = await self.stack.enter_async_context(connect(url, **options))
        return Client(opened)

    async def sse(
        self, stream: str = "prices", query: str = "", key: str | None = None, last: int | None = None
    ) -> "Events":
        headers = {"Authorization": f"Bearer {key or self.key}"}
        if last is not None:
            headers["Last-Event-ID"] = str(last)
        http = await self.stack.enter_async_context(httpx.AsyncClient(base_url=self.http, timeout=WITHIN))
        path = f"/api/v1/stream/{stream}{query}"
        answer = await self.stack.enter_async_context(http.stream("GET", path, headers=headers))
        return Events(answer)


async def relay(running: Running, redis: Any) -> None:
    if redis is None:
        outbox = running.store.outbox
        while await outbox.waiting():
            await outbox.number(running.fill.lease)
        return
    await redis.round()


def check(message: dict[str, Any]) -> None:
    """Hold a message against what is declared of its type, and against the document."""
    SERVER.validate_python(message)
    CHECKS[message["type"]].validate(message)


def _checks() -> dict[str, Any]:
    made = document("test")["components"]
    return {
        name: jsonschema.Draft202012Validator({"$ref": one["payload"]["$ref"], "components": made})
        for name, one in made["messages"].items()
    }


CHECKS = _checks()


@dataclass
class Client:
    """A client of a socket. Every message is held against the declared form of its type."""

    socket: ClientConnection
    seen: list[dict[str, Any]] = field(default_factory=list)

    async def say(self, **message: Any) -> None:
        await self.socket.send(json.dumps(message))

    async def next(self, *types: str, seconds: float = WITHIN) -> dict[str, Any]:
        """The next message, of one of these types if any are named; heartbeats are passed over."""
        async with asyncio.timeout(seconds):
            while True:
                message: dict[str, Any] = json.loads(await self.socket.recv())
                check(message)
                self.seen.append(message)
                if message["type"] != "heartbeat" or "heartbeat" in types:
                    assert not types or message["type"] in types, message
                    return message

    async def subscribed(self, *symbols: str, **more: Any) -> dict[str, Any]:
        """Subscribe, take the ack; the snapshot, or with `after` the ack."""
        await self.say(action="subscribe", **({"symbols": list(symbols)} if symbols else {}), **more)
        ack = await self.next("ack")
        return ack if "after" in more else await self.next("snapshot")

    async def updates(self, count: int, *types: str) -> list[dict[str, Any]]:
        return [await self.next(*types) for _ in range(count)]

    async def closed(self, seconds: float = WITHIN) -> tuple[int, str]:
        """The code and reason with which it was closed; messages before that are kept in `seen`."""
        async with asyncio.timeout(seconds):
            with suppress(ConnectionClosed):
                async for message in self.socket:
                    self.seen.append(json.loads(message))
            await self.socket.wait_closed()
        code, reason = self.socket.close_code, self.socket.close_reason
        assert code is not None
        return code, reason or ""

    async def silent(self, seconds: float = 0.3) -> None:
        """Fails when a message comes within that time."""
        try:
            message = await self.next(seconds=seconds)
        except TimeoutError:
            return
        raise AssertionError(f"not silent: {message}")


class Events:
    """A client of an event stream."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer, self.retries = answer, list[int]()
        self._lines = answer.aiter_lines()

    async def next(self, *types: str, seconds: float = WITHIN) -> dict[str, Any]:
        """The next event's data, with its id as `_id`."""
        async with asyncio.timeout(seconds):
            while True:
                event = await self._event()
                if "retry" in event:
                    self.retries.append(int(event["retry"]))
                if "data" not in event:
                    continue
                message: dict[str, Any] = json.loads(event["data"])
                check(message)
                assert event["event"] == message["type"]
                if message["type"] != "heartbeat" or "heartbeat" in types:
                    assert not types or message["type"] in types, message
                    return message | {"_id": event.get("id")}

    async def _event(self) -> dict[str, str]:
        fields: dict[str, str] = {}
        async for line in self._lines:
            if not line:
                return fields
            name, _, value = line.partition(": ")
            fields[name] = value
        if fields:
            return fields
        raise EOFError


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[int]:
    """On a port, by uvicorn with the settings that Serve gives it."""
    sock = socket.socket()
    if SEND_BUFFER is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    sock.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, lifespan="on", log_level="critical", access_log=False, **PINGS)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[sock]))
    while not server.started:  # noqa: ASYNC110  # it has nothing else to wait for
        await asyncio.sleep(0.005)
    try:
        yield sock.getsockname()[1]
    finally:
        server.should_exit = True
        await serving


Begin = Callable[..., Awaitable[Node]]


@pytest.fixture
async def streams(start: Any) -> AsyncIterator[Begin]:
    """Start the streams over the test's store: streams(redis_url=..., **options of the hubs)."""
    async with AsyncExitStack() as stack:

        async def begin(
            redis_url: str | None = None, declare: bool = True, registry: Any = REGISTRY, **options: Any
        ) -> Node:
            running: Running = await start(redis_url, registry=registry)
            if declare:
                await running.fill.declare()
            parts = running.node.parts
            sockets, events = build_sockets(parts, **options), build_events(parts, **options)
            ports = [await stack.enter_async_context(served(app)) for app in (sockets, events)]
            clients = await stack.enter_async_context(AsyncExitStack())
            relaying = None
            if redis_url is not None:
                relaying = Relay(_Relayed(running, redis_url), "tests", SystemClock())  # type: ignore[arg-type]  # of a node it needs these
                stack.push_async_callback(relaying.close)
            return Node(
                running, f"ws://127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}",
                sockets, events, clients, relaying,
            )  # fmt: skip

        yield begin


class _Relayed:
    """What of a collecting node the relay uses."""

    def __init__(self, running: Running, redis_url: str) -> None:
        self.store, self.clock, self._url = running.store, running.clock, redis_url

    def redis(self) -> Any:
        from ray_app.store.hot import redis_client

        return redis_client(self._url)


@pytest.fixture
async def node(streams: Begin) -> Node:
    """Streams without Redis: the log is read from SQL."""
    return await streams()


@pytest.fixture
async def hot(streams: Begin, fresh_redis_url: str) -> Node:
    """Streams with Redis."""
    return await streams(fresh_redis_url)
