"""The applications of the streams: sockets and event streams over a hub each, with their life."""

from typing import TYPE_CHECKING, Any

from ray_app.serve.door import Door
from ray_app.serve.parts import Parts, uncounted
from ray_app.serve.problems import Problem
from ray_app.serve.streams.hub import Hub
from ray_app.serve.streams.sockets import Sockets
from ray_app.serve.streams.sse import EventStreams

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class Streams:
    """One ASGI application with its hub; it closes the parts at its end only if they are its own."""

    def __init__(self, hub: Hub, *, http: "ASGIApp", sockets: "ASGIApp", owned: bool) -> None:
        self.hub, self._http, self._sockets, self._owned = hub, http, sockets, owned

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        match scope["type"]:
            case "http":
                await self._http(scope, receive, send)
            case "websocket":
                await self._sockets(scope, receive, send)
            case "lifespan":
                await self._life(receive, send)

    async def _life(self, receive: "Receive", send: "Send") -> None:
        await receive()
        await self.hub.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.hub.stop()
        if self._owned:
            await self.hub.close()
        await send({"type": "lifespan.shutdown.complete"})


def build_sockets(parts: Parts, *, owned: bool = False, **options: Any) -> Streams:
    """The application `streams-ws`. Plain requests get the envelope: there is nothing for them under /ws."""
    hub = Hub(parts, **options)
    return Streams(hub, http=_door(hub, _nothing), sockets=Sockets(hub), owned=owned)


def build_events(parts: Parts, *, owned: bool = False, **options: Any) -> Streams:
    """The application `streams-sse`."""
    hub = Hub(parts, **options)
    door = _door(hub, EventStreams(hub))
    return Streams(hub, http=door, sockets=door, owned=owned)


def _door(hub: Hub, app: "ASGIApp") -> Door:
    return Door(app, hub.ring, hub.limits, hub.clock, uncounted)


async def _nothing(scope: "Scope", receive: "Receive", send: "Send") -> None:  # noqa: ARG001 - an application's form
    raise Problem("NOT_FOUND", "there are WebSockets here; server-sent events are under /api/v1/stream")
