"""/ws/graphql: subscriptions of GraphQL over graphql-transport-ws, told by the sessions of the other streams.

A socket is one connection of its key. Each of its subscriptions is a session with a queue of its own; what waits in all
of them together has the bounds of one client.
"""

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from graphql import GraphQLError
from pydantic import ValidationError
from starlette.requests import HTTPConnection

from ray_app.serve.auth import refused
from ray_app.serve.door import check_key
from ray_app.serve.graphql.request import Refused, told
from ray_app.serve.problems import Problem
from ray_app.serve.queries import Nothing, read_query
from ray_app.serve.streams import accepted
from ray_app.serve.streams.accepted import CLOSE_SECONDS, Accepted, Gone
from ray_app.serve.streams.hub import HEARTBEAT, Hub
from ray_app.serve.streams.outlet import Ending, Held
from ray_app.serve.streams.protocol import (
    CLIENT,
    MOST_OPERATIONS,
    PROTOCOL,
    ClientMessage,
    Complete,
    ConnectionInit,
    Ping,
    Pong,
    Subscribe,
)
from ray_app.serve.streams.session import Session
from ray_app.serve.streams.wordings import Wanted, Wordings
from ray_app.serve.wire import dumps
from ray_app.store.keys import Key

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


class Closing(Exception):
    """The protocol wants the socket closed, with this code and reason."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending)
        self.ending = ending


class GraphQLSocket(Accepted):
    """One accepted socket."""

    def __init__(
        self, hub: Hub, wordings: Wordings, scope: "Scope", receive: "Receive", send: "Send"
    ) -> None:
        super().__init__(hub, scope, receive, send)
        self._wordings = wordings
        self._held = Held()
        self._sessions: dict[str, Session] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._sending = asyncio.Lock()  # a message at a time, whoever sends it
        self._ending: Ending | None = None
        self._dropped = False  # the client does not read: nothing more is sent
        self._ended = asyncio.Event()
        self.authorization, self.beat_at = b"", time.monotonic() + HEARTBEAT

    async def _serve(self) -> None:
        if PROTOCOL not in self._scope.get("subprotocols", ()):
            raise Closing(Ending(4406, "Subprotocol not acceptable"))
        read_query(Nothing, HTTPConnection(self._scope))
        key, self.authorization = await self._key()
        await self._hub.limits.take(key)
        self._hub.admit(key, self)
        try:
            await self._say({"type": "connection_ack"})
            await self._until_the_end(key)
        finally:
            self._hub.dismiss(key, self)
        if self._ending is not None:
            await self._close(self._ending)

    async def _refuse(self, error: Exception) -> None:
        await self._close(error.ending if isinstance(error, Closing) else self._reason(error)[1])

    def beat(self) -> None:
        for session in self._sessions.values():
            if session.live:
                session.beat()

    def refuse(self, problem: Problem, ending: Ending) -> None:  # noqa: ARG002 - the close says it
        """End. An `error` would say that the subscription is not to be asked for again."""
        self._end(ending)

    async def _key(self) -> tuple[Key, bytes]:
        """Who it is, by the header or the first message. Raises Problem, Closing."""
        sent = self._header()
        if sent is not None:
            found = await self._hub.ring.find(sent)
            await self._begun()
            return found, sent
        with self._hub.waiting():
            said = (await self._begun()).payload or {}
        named = {name.lower(): value for name, value in said.items()}.get("authorization")
        if not isinstance(named, str):
            raise refused()
        sent = named.encode()
        return await self._hub.ring.find(sent), sent

    async def _begun(self) -> ConnectionInit:
        """The first message. Raises Closing for another one, or for none in time."""
        try:
            async with asyncio.timeout(accepted.AUTH_SECONDS):
                while True:
                    match await self._next():
                        case ConnectionInit() as message:
                            return message
                        case Ping() as message:
                            await self._say({"type": "pong", "payload": message.payload})
                        case Pong():
                            pass
                        case _:
                            raise Closing(Ending(4401, "Unauthorized"))
        except TimeoutError:
            raise Closing(Ending(4408, "Connection initialisation timeout")) from None

    async def _until_the_end(self, key: Key) -> None:
        """Read what is asked until one side ends; what was said before an end is sent before it."""
        reading, ended = asyncio.create_task(self._reading(key)), asyncio.create_task(self._ended.wait())
        try:
            await asyncio.wait([reading, ended], return_when=asyncio.FIRST_COMPLETED)
            if self._ending is not None and self._sessions and not self._dropped:
                telling = [self._tasks[name] for name in self._sessions]
                for session in self._sessions.values():
                    session.outlet.end(self._ending)
                await asyncio.wait(telling, timeout=CLOSE_SECONDS)
        finally:
            tasks = [reading, ended, *self._tasks.values()]
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        if self._ending is None and isinstance(results[0], Exception):
            raise results[0]

    async def _reading(self, key: Key) -> None:
        while True:
            match await self._next():
                case Subscribe() as message:
                    self._open(message, key)
                case Complete() as message:
                    if task := self._tasks.get(message.id):
                        task.cancel()
                        await asyncio.gather(task, return_exceptions=True)
                case Ping() as message:
                    await self._say({"type": "pong", "payload": message.payload})
                case ConnectionInit():
                    raise Closing(Ending(4429, "Too many initialisation requests"))

    def _open(self, message: Subscribe, key: Key) -> None:
        if message.id in self._tasks:
            raise Closing(Ending(4409, f"Subscriber for {ascii(message.id)[1:41]} already exists"))
        full = len(self._tasks) >= MOST_OPERATIONS
        task = asyncio.create_task(self._subscribed(message, key, full=full))
        self._tasks[message.id] = task
        task.add_done_callback(lambda _: self._tasks.pop(message.id, None))

    async def _subscribed(self, message: Subscribe, key: Key, *, full: bool) -> None:
        """One subscription, from the question to its end; what is wrong with it ends nothing else."""
        try:
            if full:
                limit = {"limit": "subscriptions", "subscriptions": MOST_OPERATIONS}
                raise Problem("RATE_LIMIT_EXCEEDED", "too many subscriptions on one socket", limit)
            await self._follow(message, key)
        except Gone:
            pass
        except Exception as error:  # noqa: BLE001  # whatever it is, the client is told in one form
            await self._refuse_one(message.id, error)

    async def _follow(self, message: Subscribe, key: Key) -> None:
        await self._hub.limits.take(key)
        wanted = await asyncio.to_thread(Wanted, message.payload)
        check_key(key, wanted.stream.scope)
        with self._wordings.use(wanted.wording, key.id) as wording:
            session = Session(
                self._hub, wanted.stream, key, self.authorization, wording, self._request_id, self._held
            )
            self._sessions[message.id] = session
            try:
                await session.open()
                await self._tell(message.id, session, wanted.arguments)
            finally:
                session.leave()
                session.outlet.forget()
                del self._sessions[message.id]
        if session.outlet.ending is not None and self._ending is None:
            self._dropped = True
            self._end(session.outlet.ending)

    async def _tell(self, id_: str, session: Session, arguments: Any) -> None:
        """Send what the session has until it ends. Raises what is wrong with the question, Gone."""
        asked, after = arguments.get("symbols"), arguments.get("after")
        subscribing = asyncio.create_task(session.subscribe(asked, after=after))
        writing = asyncio.create_task(self._writing(id_, session))
        dropped = asyncio.create_task(session.outlet.dropped())
        tasks = [subscribing, writing, dropped]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if subscribing.done():
                subscribing.result()
                await asyncio.wait([writing, dropped], return_when=asyncio.FIRST_COMPLETED)
            if writing.done():
                writing.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _writing(self, id_: str, session: Session) -> None:
        head = f'{{"id":{dumps(id_).decode()},"type":"next","payload":'
        while (frames := await session.outlet.next()) is not None:
            for payload in frames.payloads:
                assert isinstance(payload, str)
                await self._send_text(f"{head}{payload}}}")
            session.outlet.sent()

    async def _refuse_one(self, id_: str, error: Exception) -> None:
        """The subscription is over, the socket is not."""
        wrong = error.errors if isinstance(error, Refused) else [GraphQLError("", original_error=error)]
        errors = told(wrong, self._request_id, self._hub.clock.now())
        with suppress(Gone):
            await self._say({"id": id_, "type": "error", "payload": errors})

    def _end(self, ending: Ending) -> None:
        if self._ending is None:
            self._ending = ending
            self._ended.set()

    async def _next(self) -> ClientMessage:
        """The client's next message. Raises Gone, Closing; Problem for too much of it."""
        text = await self._text()
        try:
            return CLIENT.validate_json(text)
        except ValidationError:
            raise Closing(Ending(4400, "Invalid message")) from None

    async def _say(self, message: dict[str, Any]) -> None:
        await self._send_text(dumps({k: v for k, v in message.items() if v is not None}).decode())

    async def _send_text(self, text: str) -> None:
        """Raises Gone."""
        async with self._sending:
            try:
                await self._send({"type": "websocket.send", "text": text})
            except Exception as error:  # each server says in its own way that the client has gone
                raise Gone from error
