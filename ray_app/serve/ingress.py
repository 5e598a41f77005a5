"""The gateway and the streams as Ray Serve deployments; their applications are built inside the replicas.

Nothing that crosses Ray holds a secret: the argument is a function that opens the parts from the replica's
own settings.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from ray import serve

from ray_app.serve.gateway import build_app
from ray_app.serve.measured import RayRequests
from ray_app.serve.parts import Parts
from ray_app.serve.streams.app import Streams, build_events, build_sockets

if TYPE_CHECKING:
    from fastapi import FastAPI


OPEN_REQUESTS = 200  # at once per replica; they wait for SQL at worst, never for an upstream
OPEN_STREAMS = (
    5_000  # more than a replica lets in: the refusal is ours, with a reason, and not a wait in the handshake
)


@serve.deployment(name="Gateway", max_ongoing_requests=OPEN_REQUESTS, ray_actor_options={"num_cpus": 0.1})
@serve.ingress()
class Gateway:
    """One replica. `release` changes with every image: Serve redeploys only what has other arguments."""

    async def __init__(  # type: ignore[misc]  # Serve awaits a constructor that is a coroutine
        self, open_parts: Callable[[], Awaitable[Parts]], release: str = "dev"
    ) -> None:
        self._release = release
        self._parts = replace(await open_parts(), counted=RayRequests().add)

    def __serve_build_asgi_app__(self) -> "FastAPI":
        return build_app(self._parts, owned=True)


class _Streaming:
    """What both deployments of the streams do."""

    async def __init__(self, open_parts: Callable[[], Awaitable[Parts]], release: str = "dev") -> None:  # type: ignore[misc]  # as above
        self._release = release
        self._parts = await open_parts()


@serve.deployment(
    name="Sockets",
    max_ongoing_requests=OPEN_STREAMS,
    max_surge_percent=100,  # the new one first: sockets of the old one are sent there
    ray_actor_options={"num_cpus": 0.1},
)
@serve.ingress()
class Sockets(_Streaming):
    """The WebSockets. An open one takes a slot, so that they never stand in the way of plain requests."""

    def __serve_build_asgi_app__(self) -> Streams:
        return build_sockets(self._parts, owned=True, draining=draining)


@serve.deployment(
    name="EventStreams",
    max_ongoing_requests=OPEN_STREAMS,
    max_surge_percent=100,
    ray_actor_options={"num_cpus": 0.1},
)
@serve.ingress()
class EventStreams(_Streaming):
    """The server-sent events."""

    def __serve_build_asgi_app__(self) -> Streams:
        return build_events(self._parts, owned=True, draining=draining)


def draining() -> bool:
    """Whether this process' replica is to go. Serve waits for open sockets to end and tells no application."""
    from ray._private.worker import global_worker

    for actor in global_worker.actors.values():
        if getattr(getattr(actor, "_replica_impl", None), "_shutting_down", False):
            return True
    return False
