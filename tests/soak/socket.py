"""A WebSocket to the simulator without a network: what one side says is there for the other at once.

On a real socket nobody can tell whether something is still under way, and so whether time may pass.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ray_app.connect.socket import SIMULATED
from ray_app.model.errors import Transient
from ray_app.model.feed import Connect, Socket

Application = Callable[[Any, Any, Any], Any]
Said = dict[str, Any]  # an ASGI message


@dataclass(slots=True)
class _Pipe:
    """The client's end. Raises Transient when the connection has ended."""

    source: str
    to_server: "asyncio.Queue[Said]"
    to_client: "asyncio.Queue[Said]"

    async def receive(self) -> bytes:
        said = await self.to_client.get()
        if said["type"] != "websocket.send":
            raise Transient(self.source, f"connection ended: {said.get('code')} {said.get('reason', '')}")
        return str(said["text"]).encode()

    async def send(self, message: str) -> None:
        await self.to_server.put({"type": "websocket.receive", "text": message})


def sockets_of(application: Application) -> Callable[..., Connect]:
    """What opens connections to an ASGI application, in the place of `connect.socket.opener`."""

    def opener(source: str, *, simulated: bool) -> Callable[[str], AbstractAsyncContextManager[Socket]]:
        assert simulated

        @asynccontextmanager
        async def opened(url: str) -> AsyncIterator[Socket]:
            parts = urlsplit(url)
            scope = {
                "type": "websocket",
                "path": parts.path,
                "root_path": "",
                "query_string": parts.query.encode(),
                "headers": [],
                "subprotocols": [],
                "client": ("127.0.0.1", 1),
            }
            pipe = _Pipe(source, asyncio.Queue(), asyncio.Queue())
            serving = asyncio.create_task(application(scope, pipe.to_server.get, pipe.to_client.put))
            try:
                await pipe.to_server.put({"type": "websocket.connect"})
                answer = await pipe.to_client.get()
                if answer["type"] != "websocket.accept":
                    raise Transient(source, f"handshake: {answer}")
                assert SIMULATED.encode() in dict(answer["headers"])
                yield pipe
            finally:
                serving.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await serving

        return opened

    return opener
