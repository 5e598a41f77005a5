"""The WebSockets: /ws/prices, /ws/news, /ws/sentiment, and the way to /ws/graphql.

A problem of a message is an `error`, and the socket goes on. One that ends it is an `error` too, then a close with
4000 + the HTTP status of its code. Other close codes: 4408 too slow, 1009 a message too large, 1012 a restart.
"""

import asyncio
from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationError
from starlette.requests import HTTPConnection

from ray_app.model.errors import StoreUnavailable
from ray_app.model.symbols import AmbiguousSymbol, UnknownSymbol
from ray_app.serve.auth import refused
from ray_app.serve.problems import Problem, invalid, plain_errors, problem_of
from ray_app.serve.queries import Nothing, read_query
from ray_app.serve.streams.accepted import AUTH_SECONDS, CLOSE_SECONDS, Accepted, Gone, ending_of
from ray_app.serve.streams.asked import CLIENT, Auth, ClientMessage, Ping, Subscribe, Unsubscribe
from ray_app.serve.streams.declared import GRAPHQL, STREAMS, WS, Stream
from ray_app.serve.streams.hub import Hub, told
from ray_app.serve.streams.protocol import PROTOCOL
from ray_app.serve.streams.session import Session, cursor_of, listed
from ray_app.serve.streams.subscriptions import GraphQLSocket
from ray_app.serve.streams.wordings import Wordings
from ray_app.serve.wire import dumps
from ray_app.store.keys import Key

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


class SocketQuery(Nothing):
    """What a socket may be opened with. With `symbols` it is subscribed at once."""

    symbols: str | None = Field(None, description="subscribe to these, separated by commas; * for all")
    channels: str | None = Field(None, description="`ticks`: the exchange's prices too", max_length=100)
    fields: str | None = Field(None, description="of `data`, only these", max_length=500)
    after: str | None = Field(
        None, description="with the first subscription: first what came after this cursor"
    )
    batch: bool = Field(False, description="several messages in a frame, as a JSON list")


class Sockets:
    """The ASGI application of the application `streams-ws`."""

    def __init__(self, hub: Hub) -> None:
        self._hub, self._wordings = hub, Wordings()

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        await receive()  # the wish to connect
        path: str = scope["path"]
        root: str = scope.get("root_path", "")
        full = path if path.startswith(WS) else root + path  # servers differ in whether they cut the root off
        if full == GRAPHQL:
            spoken = PROTOCOL if PROTOCOL in scope.get("subprotocols", ()) else None
            await send({"type": "websocket.accept", "subprotocol": spoken})
            await GraphQLSocket(self._hub, self._wordings, scope, receive, send).run()
            return
        stream = STREAMS.get(full.removeprefix(WS)) if full.startswith(WS) else None
        await send({"type": "websocket.accept"})
        await Socket(self._hub, stream, scope, receive, send).run()


class Socket(Accepted):
    """One accepted socket of a stream."""

    def __init__(
        self, hub: Hub, stream: Stream | None, scope: "Scope", receive: "Receive", send: "Send"
    ) -> None:
        super().__init__(hub, scope, receive, send)
        self._stream = stream
        self._after: int | None = None  # from the query, for the first subscription

    async def _serve(self) -> None:
        if self._stream is None:
            raise Problem(
                "NOT_FOUND", "no such stream; there are " + ", ".join(WS + name for name in STREAMS)
            )
        query = read_query(SocketQuery, HTTPConnection(self._scope))
        self._after = cursor_of(query.after) if query.after is not None else None
        key, authorization, answers = await self._key()
        if self._stream.scope not in key.scopes:
            needed = {"scope": self._stream.scope, "has": sorted(key.scopes)}
            raise Problem("INSUFFICIENT_SCOPE", f"this key lacks the scope {self._stream.scope}", needed)
        await self._hub.limits.take(key)
        form: Any = "batches" if query.batch else "frames"
        session = Session(self._hub, self._stream, key, authorization, form, self._request_id)
        self._hub.admit(key, session)
        try:
            await session.open()
            if answers is not None:
                session.acknowledge("auth", answers.id)
            await self._both(session, query)
        finally:
            session.leave()
            self._hub.dismiss(key, session)
        assert session.outlet.ending is not None
        await self._close(session.outlet.ending)

    async def _key(self) -> tuple[Key, bytes, Auth | None]:
        """Who it is, by the header or the first message. Raises Problem."""
        sent = self._header()
        if sent is not None:
            return await self._hub.ring.find(sent), sent, None
        try:
            with self._hub.waiting():
                async with asyncio.timeout(AUTH_SECONDS):
                    message = await self._next()
        except TimeoutError:
            raise Problem("INVALID_API_KEY", f"no key within {AUTH_SECONDS:.0f} s") from None
        if not isinstance(message, Auth):
            raise refused()
        said = b"Bearer " + message.api_key.encode()
        return await self._hub.ring.find(said), said, message

    async def _both(self, session: Session, query: SocketQuery) -> None:
        """Read and write until one of them is over."""
        reading = asyncio.create_task(self._reading(session, query))
        writing = asyncio.create_task(self._writing(session))
        dropped = asyncio.create_task(session.outlet.dropped())
        tasks = [reading, writing, dropped]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if session.outlet.ending is not None and not dropped.done():  # what was said before it, first
                await asyncio.wait(
                    [writing, dropped], return_when=asyncio.FIRST_COMPLETED, timeout=CLOSE_SECONDS
                )
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        if session.outlet.ending is None:
            raise next((r for r in results if isinstance(r, Exception)), Gone())

    async def _writing(self, session: Session) -> None:
        send, outlet = self._send, session.outlet
        while (frames := await outlet.next()) is not None:
            try:
                for payload in frames.payloads:
                    await send({"type": "websocket.send", "text": payload})
            except Exception as error:  # each server says in its own way that the client has gone
                raise Gone from error
            outlet.sent()

    async def _reading(self, session: Session, query: SocketQuery) -> None:
        if query.symbols is not None:
            first = Subscribe(
                action="subscribe",
                symbols=None if query.symbols.strip() == "*" else listed(query.symbols),
                channels=listed(query.channels),
                fields=listed(query.fields),
            )
            await self._answered(session, first, ends=True)
        while session.outlet.ending is None:
            try:
                message = await self._next()
            except Problem as problem:
                if problem.code not in ("VALIDATION_ERROR", "CURSOR_INVALID"):
                    session.refuse(problem, ending_of(problem))
                else:
                    session.problem(problem)
                continue
            await self._answered(session, message)

    async def _answered(self, session: Session, message: ClientMessage, *, ends: bool = False) -> None:
        """Do what a message asks; `ends`: what is wrong with it ends the socket."""
        try:
            await self._do(session, message)
        except (Problem, UnknownSymbol, AmbiguousSymbol, StoreUnavailable) as error:
            problem = problem_of(error)
            if ends or problem.code == "SERVICE_UNAVAILABLE":
                session.refuse(problem, ending_of(problem))
            else:
                session.problem(problem, message.id)

    async def _do(self, session: Session, message: ClientMessage) -> None:
        match message:
            case Subscribe():
                after, self._after = message.after if message.after is not None else self._after, None
                await session.subscribe(
                    message.symbols, message.channels or (), message.fields, after,
                    batch=message.batch, answers=message.id,
                )  # fmt: skip
            case Unsubscribe():
                await session.unsubscribe(message.symbols, message.channels, message.id)
            case Ping():
                session.acknowledge("ping", message.id)
            case Auth():
                raise invalid("this socket has a key already; open another one for another key")

    async def _next(self) -> ClientMessage:
        """The client's next message. Raises Gone; Problem for one that cannot be read, or too many of them."""
        text = await self._text()
        try:
            return CLIENT.validate_json(text)
        except ValidationError as error:
            raise invalid(
                "the message is not valid; action is one of auth, subscribe, unsubscribe, ping",
                errors=plain_errors(error.errors(include_input=False, include_url=False))[:10],
            ) from None

    async def _refuse(self, error: Exception) -> None:
        problem, ending = self._reason(error)
        message = told(problem, self._request_id, self._hub.clock.now())
        await self._close(ending, dumps(message).decode())
