"""Server-sent events: GET /api/v1/stream/prices, /news, /sentiment. The same messages and cursors as the sockets."""

import asyncio
import os
from typing import TYPE_CHECKING

from pydantic import Field
from starlette.requests import HTTPConnection

from ray_app.serve.door import REQUEST_ID, check_scope, key_of
from ray_app.serve.problems import Problem, problem_of
from ray_app.serve.queries import Nothing, read_query
from ray_app.serve.streams.declared import SSE, STREAMS, Stream
from ray_app.serve.streams.hub import Hub
from ray_app.serve.streams.outlet import Ending
from ray_app.serve.streams.session import Session, cursor_of, listed

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

RETRY_MS = 3_000  # after which a client comes back when nothing else was said
END_SECONDS = 10.0  # that a client may take to read the end
HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # a proxy must not collect events
]


class EventsQuery(Nothing):
    """What an event stream is asked for."""

    symbols: str | None = Field(
        None, description="separated by commas; all without it", examples=["BTC,ETH"], max_length=5_000
    )
    fields: str | None = Field(
        None, description="of `data`, only these", examples=["price,volume"], max_length=500
    )
    channels: str | None = Field(None, description="`ticks`: the exchange's prices too", max_length=100)
    after: str | None = Field(
        None,
        description="first what came after this cursor; the header Last-Event-ID goes before",
        max_length=30,
    )


class EventStreams:
    """The ASGI application of the application `streams-sse`, behind the door."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        path: str = scope["path"]
        full = path if path.startswith(SSE) else scope.get("root_path", "") + path
        stream = STREAMS.get(full.removeprefix(SSE)) if full.startswith(SSE) else None
        if stream is None:
            raise Problem(
                "NOT_FOUND", "no such stream; there are " + ", ".join(SSE + name for name in STREAMS)
            )
        if scope["method"] != "GET":
            raise Problem("METHOD_NOT_ALLOWED", "Method Not Allowed", headers={"Allow": "GET"})
        check_scope(scope, stream.scope)
        query = read_query(EventsQuery, HTTPConnection(scope))
        self._hub.enter()
        try:
            await self._stream(stream, query, scope, receive, send)
        finally:
            self._hub.left()

    async def _stream(
        self, stream: Stream, query: EventsQuery, scope: "Scope", receive: "Receive", send: "Send"
    ) -> None:
        headers = dict(scope["headers"])
        last = headers.get(b"last-event-id", b"").decode("latin-1").strip() or query.after
        after = cursor_of(last) if last is not None else None
        key = key_of(scope)
        request_id = scope.get(REQUEST_ID) or os.urandom(12).hex()
        session = Session(self._hub, stream, key, headers[b"authorization"], "sse", request_id)
        self._hub.admit(key, session)
        tasks: list[asyncio.Task[None]] = []
        try:
            await session.open()
            question = listed(query.symbols), listed(query.channels) or (), listed(query.fields), after
            subscribing = asyncio.create_task(session.subscribe(*question))
            tasks = [subscribing, asyncio.create_task(session.outlet.filled())]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if subscribing.done():
                subscribing.result()  # what is wrong with the question is told before the stream begins
            await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
            await send(_part(b"retry: %d\n\n" % RETRY_MS))
            tasks += [
                asyncio.create_task(_writing(session, send)),
                asyncio.create_task(_disconnected(receive)),
                asyncio.create_task(session.outlet.dropped()),
            ]
            await _over(session, subscribing, set(tasks[2:]))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            session.leave()
            self._hub.dismiss(key, session)
        await _end(session, send)


async def _over(session: Session, subscribing: asyncio.Task[None], others: set[asyncio.Task[None]]) -> None:
    """Wait until the client is gone or everything was sent."""
    await asyncio.wait({subscribing, *others}, return_when=asyncio.FIRST_COMPLETED)
    if subscribing.done() and isinstance(error := subscribing.exception(), Exception):
        problem = problem_of(error)  # a store that went away during a replay
        session.refuse(problem, Ending(4000 + problem.status, problem.code))
    await asyncio.wait(others, return_when=asyncio.FIRST_COMPLETED)


async def _writing(session: Session, send: "Send") -> None:
    while (frames := await session.outlet.next()) is not None:
        for payload in frames.payloads:
            assert isinstance(payload, bytes)
            await send(_part(payload))
        session.outlet.sent()


async def _disconnected(receive: "Receive") -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _end(session: Session, send: "Send") -> None:
    """End the body, with the time after which to come back; a client that does not read is not waited for."""
    ending = session.outlet.ending
    if ending is None:
        return
    try:
        async with asyncio.timeout(END_SECONDS):
            if ending.retry_ms is not None:
                await send(_part(b"retry: %d\n\n" % ending.retry_ms))
            await send({"type": "http.response.body", "body": b"", "more_body": False})
    except Exception:  # noqa: BLE001, S110  # it is gone already, each server says so in its own way
        pass


def _part(body: bytes) -> dict[str, object]:
    return {"type": "http.response.body", "body": body, "more_body": True}
