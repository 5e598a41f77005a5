"""Where the parts meet: typed arguments in, Serve applications out.

Each process opens its own parts from the settings (`open_node`, `open_gateway`), so no secret is ever an
argument that crosses Ray.
"""

from dataclasses import replace
from datetime import timedelta

from pydantic import BaseModel, ConfigDict
from ray import serve

from ray_app.connect.api import client
from ray_app.connect.simulated import simulator_clock
from ray_app.model.clock import Clock, SystemClock
from ray_app.model.source import Plan
from ray_app.model.symbols import load_registry
from ray_app.observe.log import set_level
from ray_app.runtime.opening import Assigned, Node
from ray_app.serve.parts import Parts
from ray_app.settings import Settings
from ray_app.sources import all_sources
from ray_app.store.hot import redis_client
from ray_app.store.store import Store


class CollectionArgs(BaseModel):
    """Arguments of the application `collection` in serve_config.yaml."""

    model_config = ConfigDict(extra="forbid")

    release: str = "dev"  # changes with every image: Serve redeploys nothing whose arguments stay the same
    shards: int = 1  # collector actors; a laptop packs everything into one


class GatewayArgs(BaseModel):
    """Arguments of the application `gateway` in serve_config.yaml."""

    model_config = ConfigDict(extra="forbid")

    release: str = "dev"


def assignments(settings: Settings) -> tuple[Assigned, ...]:
    """Every source with the plan that the settings name, its address and its key."""
    out = []
    for source in all_sources().values():
        plan = _plan(settings, source.plan(getattr(settings, f"{source.name}_plan", source.plans[0].name)))
        key = settings.secret(plan.auth.setting) if plan.auth else None
        if settings.simulated:
            base_url, key = (
                settings.upstreams.rstrip("/") + plan.simulated_at,
                key or ("sim-key" if plan.auth else None),
            )
        else:
            base_url = plan.base_url
        missing = plan.auth.setting if plan.auth and not key else ""
        out.append(Assigned(source=source, plan=plan, base_url=base_url, key=key, missing=missing))
    return tuple(out)


def _plan(settings: Settings, plan: Plan) -> Plan:
    """The plan with the poll interval that the settings ask for."""
    if plan.name != settings.coingecko_plan or settings.coingecko_minutes is None:
        return plan
    every = timedelta(minutes=settings.coingecko_minutes)
    streams = tuple(
        replace(s, every=every, grain=every, longest_slice=every) if s.name == "prices" else s
        for s in plan.streams
    )
    return replace(plan, streams=streams)


async def open_clock(settings: Settings) -> Clock:
    """The machine's time, or the simulator's."""
    if not settings.simulated:
        return SystemClock()
    async with client() as http:
        return await simulator_clock(settings.upstreams.rstrip("/"), http)


async def open_node() -> Node:
    """The parts of a collecting process, from the settings of this process' environment."""
    return await open_with(Settings.read())


async def open_with(settings: Settings) -> Node:
    """The parts of a collecting process."""
    set_level(settings.log_level)
    return Node(
        store=Store(settings.database, settings.raw),
        registry=load_registry(settings.instruments),
        clock=await open_clock(settings),
        assigned=assignments(settings),
        simulated=settings.simulated,
        reach=settings.history,
        redis_url=settings.redis_url,
        release=settings.release,
        http=client(),
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
    )


def build_collection(args: CollectionArgs) -> serve.Application:
    """The application `collection`: no route; the Supervisor and its actors."""
    from ray_app.runtime.supervisor import Supervisor

    assigned = [a for a in assignments(Settings.read()) if not a.missing]
    names = [f"{a.source.name}.{s.name}" for a in assigned for s in a.plan.streams]
    shards = {f"collect-{n}": names[n :: args.shards] for n in range(min(args.shards, len(names)))}
    bound: serve.Application = Supervisor.bind(  # type: ignore[attr-defined]  # a Deployment, untyped in Ray
        open_node, args.release, [a.scope for a in assigned], shards
    )
    return bound


def build_gateway(args: GatewayArgs) -> serve.Application:
    """The application `gateway` at /: REST, its documents, and later the page and GraphQL queries."""
    from ray_app.serve.ingress import Gateway

    bound: serve.Application = Gateway.bind(open_gateway, args.release)  # type: ignore[attr-defined]  # as above
    return bound
