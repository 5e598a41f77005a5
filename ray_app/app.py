"""Where the parts meet: typed arguments in, Serve applications out.

Each process opens its own parts from the settings (`open_node`, `open_gateway`), so no secret is ever an
argument that crosses Ray.
"""

from datetime import timedelta
from functools import partial
from typing import Any

from pydantic import BaseModel, ConfigDict
from ray import serve

from ray_app.configured import advanced, assignments, load_served, models, served_models
from ray_app.connect.api import HttpClient, client
from ray_app.connect.simulated import simulator_clock
from ray_app.model.clock import Clock, SystemClock
from ray_app.model.symbols import load_registry
from ray_app.observe.log import set_level
from ray_app.process.sentiment.weights import CRYPTOBERT, FINBERT
from ray_app.runtime.opening import Node
from ray_app.serve.parts import Parts
from ray_app.serve.served_models import Model
from ray_app.settings import Settings
from ray_app.store.export_files import ExportFiles
from ray_app.store.hot import redis_client
from ray_app.store.store import Store


class CollectionArgs(BaseModel):
    """Arguments of the application `collection` in serve_config.yaml."""

    model_config = ConfigDict(extra="forbid")

    release: str = "dev"  # changes with every image: Serve redeploys nothing whose arguments stay the same
    shards: int = 1  # collector actors; a laptop packs everything into one


class GatewayArgs(BaseModel):
    """Arguments of the applications `gateway`, `streams-ws` and `streams-sse` in serve_config.yaml."""

    model_config = ConfigDict(extra="forbid")

    release: str = "dev"


class ModelsArgs(BaseModel):
    """Arguments of the application `models` in serve_config.yaml."""

    model_config = ConfigDict(extra="forbid")

    release: str = "dev"


async def open_clock(settings: Settings, http: HttpClient | None = None) -> Clock:
    """The machine's time, or the simulator's. Only with `http` can it jump: that client asks the simulator to."""
    if not settings.simulated:
        return SystemClock()
    address = settings.upstreams.rstrip("/")
    if http is not None:
        return await simulator_clock(address, http)
    async with client() as for_once:
        return await simulator_clock(address, for_once)


async def open_node() -> Node:
    """The parts of a collecting process, from the settings of this process' environment."""
    return await open_with(Settings.read())


async def open_with(settings: Settings) -> Node:
    """The parts of a collecting process."""
    set_level(settings.log_level)
    scoring, second = models(settings), advanced(settings)
    http = client()
    try:
        clock = await open_clock(settings, http)
    except BaseException:
        await http.aclose()
        raise
    return Node(
        store=Store(settings.database, settings.raw),
        registry=load_registry(settings.instruments),
        clock=clock,
        assigned=assignments(settings),
        simulated=settings.simulated,
        reach=settings.history,
        redis_url=settings.redis_url,
        release=settings.release,
        http=http,
        models=scoring,
        features=settings.features,
        advanced=second,
        exports=ExportFiles(settings.exports),
        exports_kept=timedelta(days=settings.export_days),
    )


async def open_gateway() -> Parts:
    """The parts of a gateway replica, from the settings of its process' environment."""
    return await open_gateway_with(Settings.read())


async def open_gateway_with(settings: Settings) -> Parts:
    """The parts of a gateway replica."""
    set_level(settings.log_level)
    return Parts(
        store=Store(settings.database, settings.raw),
        redis=redis_client(settings.redis_url) if settings.redis_url else None,
        registry=load_registry(settings.instruments),
        clock=await open_clock(settings),
        simulated=settings.simulated,
        release=settings.release,
        models=served_models(settings),
        exports=ExportFiles(settings.exports),
    )


def build_collection(args: CollectionArgs) -> serve.Application:
    """The application `collection`: no route; the Supervisor and its actors."""
    from ray_app.runtime.succession import SHARD
    from ray_app.runtime.supervisor import Supervisor

    assigned = [a for a in assignments(Settings.read()) if not a.missing]
    names = [f"{a.source.name}.{s.name}" for a in assigned for s in a.plan.streams]
    shards = {f"{SHARD}{n}": names[n :: args.shards] for n in range(min(args.shards, len(names)))}
    bound: serve.Application = Supervisor.bind(  # type: ignore[attr-defined]  # a Deployment, untyped in Ray
        open_node, args.release, shards
    )
    return bound


def build_gateway(args: GatewayArgs) -> serve.Application:
    """The application `gateway` at /: REST, its documents, and later the page and GraphQL queries."""
    from ray_app.serve.ingress import Gateway

    bound: serve.Application = Gateway.bind(open_gateway, args.release)  # type: ignore[attr-defined]  # as above
    return bound


def build_models(args: ModelsArgs) -> serve.Application:  # noqa: ARG001  # Serve itself compares them
    """The application `models`: no route; the gateway asks its deployments."""
    deployment: Any = Model
    finbert, cryptobert = (deployment.options(name=one.id) for one in (FINBERT, CRYPTOBERT))
    bound: serve.Application = cryptobert.bind(
        CRYPTOBERT.id,
        partial(load_served, CRYPTOBERT),
        # An application has one root; what else it shall run hangs below it.
        finbert.bind(FINBERT.id, partial(load_served, FINBERT)),
    )
    return bound


def build_streams_ws(args: GatewayArgs) -> serve.Application:
    """The application `streams-ws` at /ws."""
    from ray_app.serve.ingress import Sockets

    bound: serve.Application = Sockets.bind(open_gateway, args.release)  # type: ignore[attr-defined]  # as above
    return bound


def build_streams_sse(args: GatewayArgs) -> serve.Application:
    """The application `streams-sse` at /api/v1/stream."""
    from ray_app.serve.ingress import EventStreams

    bound: serve.Application = EventStreams.bind(open_gateway, args.release)  # type: ignore[attr-defined]  # as above
    return bound
