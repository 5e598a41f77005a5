"""A WebSocket to an upstream: opened with bounded times, its errors named by their reaction.

The library answers the upstream's pings by itself; that counts as nothing heard. What the handshake says is
judged as an answer is: 429 and 418 wait, 403 and 451 stop.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from ray_app.model.errors import Malformed, RateLimited, Refused, Transient, WrongStore
from ray_app.model.feed import Socket

SIMULATED = "x-simulated"
LARGEST_FRAME = 2**20
WAITING_FRAMES = 1024  # read ahead; a reader that is slower than that is cut off by the upstream
OPEN_SECONDS, CLOSE_SECONDS = 10.0, 2.0
AGENT = "crypto-data-node/0.1 (+market data research)"
WAIT, STOP = {418, 429}, {401, 402, 403, 451}


@dataclass(slots=True)
class OpenSocket:
    """An open connection of `source`. Raises Transient when it has ended, and says why."""

    source: str
    connection: ClientConnection

    async def receive(self) -> bytes:
        try:
            return await self.connection.recv(decode=False)
        except ConnectionClosed as error:
            raise Transient(self.source, f"connection ended: {error}") from error

    async def send(self, message: str) -> None:
        try:
            await self.connection.send(message)
        except ConnectionClosed as error:
            raise Transient(self.source, f"connection ended: {error}") from error


def opener(source: str, *, simulated: bool) -> Callable[[str], AbstractAsyncContextManager[Socket]]:
    """What opens connections of a source. They raise UpstreamError, and WrongStore for data of another kind."""

    @asynccontextmanager
    async def opened(url: str) -> AsyncIterator[Socket]:
        connection = await _connect(source, url)
        try:
            found = connection.response is not None and SIMULATED in connection.response.headers
            if found is not simulated:
                kinds = ("the simulator", "a real upstream")
                is_, holds = kinds if found else kinds[::-1]
                raise WrongStore(f"{source} at {url} is {is_}, but this store holds data of {holds}")
            yield OpenSocket(source, connection)
        finally:
            await asyncio.shield(connection.close())

    return opened


async def _connect(source: str, url: str) -> ClientConnection:
    try:
        return await connect(
            url,
            ping_interval=None,  # the upstream pings; silence is noticed by whoever listens
            open_timeout=OPEN_SECONDS,
            close_timeout=CLOSE_SECONDS,
            max_size=LARGEST_FRAME,
            max_queue=WAITING_FRAMES,
            user_agent_header=AGENT,
        )
    except InvalidStatus as error:
        status, told = error.response.status_code, error.response.headers.get("retry-after", "")
        detail = f"handshake: HTTP {status}"
        if status in WAIT:
            raise RateLimited(source, detail, float(told) if told.isdigit() else None) from error
        raise (Refused if status in STOP else Transient)(source, detail) from error
    except InvalidURI as error:
        raise Malformed(source, str(error)) from error
    except (InvalidHandshake, OSError, TimeoutError, EOFError) as error:
        raise Transient(source, f"handshake: {type(error).__name__} {error}".strip()) from error
