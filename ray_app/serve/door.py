"""The door in front of every route: request id, key, limits, and one form for whatever goes wrong.

Pure ASGI. It is outside of all routes, so 404 and 405 need a key as well and tell nobody what exists.
"""

import os
import time
from typing import TYPE_CHECKING, Any

from ray_app.model.clock import Clock
from ray_app.observe.log import logger
from ray_app.serve.auth import KeyRing
from ray_app.serve.limits import Allowed, Limits, OverLimit
from ray_app.serve.parts import Counted
from ray_app.serve.problems import Problem, envelope, problem_of
from ray_app.store.keys import Key

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logger("gateway")
OPEN = frozenset(
    {"/", "/health", "/ready", "/docs", "/openapi.json", "/graphql/schema.graphql", "/asyncapi.json"}
)
OPEN_BELOW = "/assets/"
REQUEST_ID = "crypto_data.request_id"
KEY = "crypto_data.key"


class Door:
    def __init__(self, app: "ASGIApp", ring: KeyRing, limits: Limits, clock: Clock, counted: Counted) -> None:
        self._app, self._ring, self._limits, self._clock, self._counted = app, ring, limits, clock, counted

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] == "websocket":  # sockets have an application of their own
            await receive()
            await send(
                {"type": "websocket.close", "code": 1008, "reason": "no sockets here; they are under /ws"}
            )
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        await self._http(scope, receive, send)

    async def _http(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        started = time.monotonic()
        request_id = scope[REQUEST_ID] = os.urandom(12).hex()
        authorization = client_id = None
        for name, value in scope["headers"]:
            if name == b"authorization":
                authorization = value
            elif name == b"x-client-request-id":
                client_id = value
        path = scope["path"]
        allowed: Allowed | None = None
        status = 500

        async def answer(message: "Message") -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                extra = [(b"x-request-id", request_id.encode())]
                if allowed is not None:
                    extra += allowed.headers()
                message["headers"] = [*message.get("headers", ()), *extra]
            await send(message)

        try:
            if path not in OPEN and not path.startswith(OPEN_BELOW):
                key = scope[KEY] = await self._ring.find(authorization)
                allowed = await self._limits.take(key)
            await self._app(scope, receive, answer)
        except Exception as error:
            if isinstance(error, OverLimit):
                allowed = error.allowed
            if status != 500:  # the answer is on its way already: all that is left is to break it off
                log.exception("request %s broke off", request_id)
                raise
            await answer_error(error, scope, receive, answer, self._clock)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            self._counted(route, status, time.monotonic() - started)
            if client_id is not None or status >= 500:
                said = (client_id or b"").decode("latin-1")[:128]
                log.info(
                    "request %s client_id=%r %s %s -> %s", request_id, said, scope["method"], path, status
                )


async def answer_error(
    error: Exception, scope: "Scope", receive: "Receive", send: "Send", clock: Clock
) -> None:
    """Send the envelope; what nobody expected goes into the log with its request id."""
    problem = problem_of(error)
    request_id = scope[REQUEST_ID]
    if problem.code == "INTERNAL_ERROR":
        log.error("request %s failed", request_id, exc_info=error)
    elif problem.code == "SERVICE_UNAVAILABLE":
        log.warning("request %s: %s", request_id, error)
    await envelope(problem, request_id, clock.now())(scope, receive, send)


def key_of(scope: Any) -> Key:
    """The key of a request that came in through the door."""
    key: Key = scope[KEY]
    return key


def check_scope(scope: Any, needed: str) -> None:
    """Raise Problem when the key lacks the scope; `admin` may read what an operator reads."""
    check_key(key_of(scope), needed)


def check_key(key: Key, needed: str) -> None:
    """The same for a key."""
    if needed not in key.scopes:
        raise Problem(
            "INSUFFICIENT_SCOPE",
            f"this key lacks the scope {needed}",
            {"scope": needed, "has": sorted(key.scopes)},
        )
