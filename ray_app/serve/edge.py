"""What Serve's proxy runs before it reads a request: override headers are dropped, its own paths are hidden.

Named by RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH=ray_app.serve.edge:middlewares. It is imported by the
proxy, so it must stay light. `x-request-timeout-seconds: 0` would switch time-outs off for a request, and
`serve_multiplexed_model_id` would load models; clients are not to decide that.
"""

import ipaddress
from typing import TYPE_CHECKING

from starlette.middleware import Middleware

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

DROPPED = frozenset(
    {
        b"x-request-timeout-seconds",
        b"x-request-disconnect-disabled",
        b"serve_multiplexed_model_id",
        b"x-session-id",
        b"x-request-id",
    }
)
SERVES_OWN, OPEN = "/-/", "/-/healthz"
_NOT_FOUND = (
    b'{"error":{"code":"NOT_FOUND","message":"Not Found","details":{},"timestamp":null,"request_id":null}}'
)


def middlewares() -> list[Middleware]:
    """What Serve adds to its proxy."""
    return [Middleware(Edge)]


class Edge:
    def __init__(self, app: "ASGIApp") -> None:
        self._app = app

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        hidden = path.startswith(SERVES_OWN) and path != OPEN and not local(scope.get("client"))
        if hidden and scope["type"] == "http":
            headers = [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(_NOT_FOUND)).encode()),
            ]
            await send({"type": "http.response.start", "status": 404, "headers": headers})
            await send({"type": "http.response.body", "body": _NOT_FOUND})
            return
        kept = [(name, value) for name, value in scope["headers"] if name.lower() not in DROPPED]
        await self._app({**scope, "headers": kept}, receive, send)


def local(client: tuple[str, int] | None) -> bool:
    """Whether the request comes from this machine. A forwarded address is a claim and is not looked at."""
    if client is None:
        return False
    try:
        return ipaddress.ip_address(client[0]).is_loopback
    except ValueError:
        return False
