"""What every accepted socket has in common: its place on the replica, bounded messages, a close with a reason.

Pure ASGI, so that any server that speaks it will do.
"""

import asyncio
import os
import time
from typing import TYPE_CHECKING

from ray_app.observe.log import logger
from ray_app.serve.problems import STATUS, Problem, problem_of
from ray_app.serve.streams.hub import Hub, restarting
from ray_app.serve.streams.outlet import Ending

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

log = logger("streams")
AUTH_SECONDS = 5.0
LARGEST = 64 * 1024  # bytes of a client's message
BURST, PER_SECOND = 50, 5.0  # messages of a client
CLOSE_SECONDS = 10.0  # that a client may take to read its close frame


class Gone(Exception):
    """The client has closed the socket."""


class Accepted:
    """One socket. `_serve` does the work: it raises what ends the socket, or closes it itself."""

    def __init__(self, hub: Hub, scope: "Scope", receive: "Receive", send: "Send") -> None:
        self._hub, self._scope = hub, scope
        self._receive, self._send = receive, send
        self._request_id = os.urandom(12).hex()
        self._tokens, self._at = float(BURST), time.monotonic()

    async def run(self) -> None:
        """Until it is closed, by whomever."""
        entered = False
        try:
            self._hub.enter()
            entered = True
            await self._serve()
        except Gone:
            pass
        except Exception as error:  # noqa: BLE001  # whatever it is, the client is told in one form
            await self._refuse(error)
        finally:
            if entered:
                self._hub.left()

    async def _serve(self) -> None:
        raise NotImplementedError

    async def _refuse(self, error: Exception) -> None:
        """Close because of an error."""
        raise NotImplementedError

    def _header(self) -> bytes | None:
        """What the Authorization header says."""
        return next((value for name, value in self._scope["headers"] if name == b"authorization"), None)

    async def _text(self) -> str:
        """The client's next message. Raises Gone; Problem for one that is too large or no text, or too many."""
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            raise Gone
        text, data = message.get("text"), message.get("bytes")
        if len(text or data or "") > LARGEST:
            raise Problem("PAYLOAD_TOO_LARGE", f"a message may have {LARGEST} bytes")
        self._spend()
        return text or ""

    def _spend(self) -> None:
        now = time.monotonic()
        self._tokens = min(float(BURST), self._tokens + (now - self._at) * PER_SECOND) - 1
        self._at = now
        if self._tokens < 0:
            limit = {"limit": "messages", "messages": BURST, "per_second": PER_SECOND}
            raise Problem("RATE_LIMIT_EXCEEDED", "too many messages on one socket", limit)

    def _reason(self, error: Exception) -> tuple[Problem, Ending]:
        """What an error is to the client, and how it ends a socket."""
        problem = problem_of(error)
        if problem.code == "INTERNAL_ERROR":
            log.error("socket %s failed", self._request_id, exc_info=error)
        restarts = problem.message == restarting().message
        return problem, Ending(1012, "restart; try again") if restarts else ending_of(problem)

    async def _close(self, ending: Ending, message: str | None = None) -> None:
        """Say why and close; a client that does not read is not waited for."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                if message is not None:
                    await self._send({"type": "websocket.send", "text": message})
                closing = {"type": "websocket.close", "code": ending.code, "reason": ending.reason[:120]}
                await self._send(closing)
        except Exception as error:  # noqa: BLE001  # it is gone already, each server says so in its own way
            log.debug("socket %s was gone before its end: %r", self._request_id, error)


def ending_of(problem: Problem) -> Ending:
    """Where a problem ends a socket: 4000 and the HTTP status of its code."""
    if problem.code == "PAYLOAD_TOO_LARGE":
        return Ending(1009, problem.message)
    return Ending(4000 + STATUS[problem.code], problem.code)
