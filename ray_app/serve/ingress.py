"""The gateway as a Ray Serve deployment; its application is built inside the replica.

Nothing that crosses Ray holds a secret: the argument is a function that opens the parts from the replica's
own settings.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from ray import serve

from ray_app.serve.gateway import build_app
from ray_app.serve.parts import Parts

if TYPE_CHECKING:
    from fastapi import FastAPI


OPEN_REQUESTS = 200  # at once per replica; they wait for SQL at worst, never for an upstream


@serve.deployment(name="Gateway", max_ongoing_requests=OPEN_REQUESTS, ray_actor_options={"num_cpus": 0.1})
@serve.ingress()
class Gateway:
    """One replica. `release` changes with every image: Serve redeploys only what has other arguments."""

    async def __init__(  # type: ignore[misc]  # Serve awaits a constructor that is a coroutine
        self, open_parts: Callable[[], Awaitable[Parts]], release: str = "dev"
    ) -> None:
        self._release = release
        self._parts = await open_parts()

    def __serve_build_asgi_app__(self) -> "FastAPI":
        return build_app(self._parts, owned=True)
