"""`crypto-data up`: the whole node on one machine, from nothing to the first price served.

Starts the simulator if asked, the embedded Valkey, the database, Ray with its dashboard, and the
applications of serve_config.yaml; stops all of them, in reverse, at Ctrl-C.
"""

import contextlib
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ray_app.commands.companions import CannotStart, Say, need_port, simulator, valkey
from ray_app.commands.progress import HISTORY, PRICE, Started
from ray_app.commands.signals import signals_wait, stop_at_sigterm
from ray_app.settings import PREFIX, Settings

CONFIG = Path(__file__).parents[2] / "serve_config.yaml"
SERVING_WITHIN = 300.0  # seconds
RAY_ENVIRONMENT = {
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # else `uv run` ships the folder to every worker
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_prestart_worker_first_driver": "0",
    "RAY_enable_worker_prestart": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "ray_app.serve.edge:middlewares",
    "WEBSOCKETS_MAX_LINE_LENGTH": "2097152",  # else uvicorn never answers a socket with a long address
    "WEBSOCKETS_MAX_NUM_HEADERS": "1024",  # or with many headers
}


def export(settings: Settings, **changes: Any) -> Settings:
    """Put every setting into the environment, where this node's other processes read it; the result."""
    for name in Settings.model_fields:
        value = changes.get(name, getattr(settings, name))
        if value is None or value == "":
            os.environ.pop(PREFIX + name.upper(), None)
        elif hasattr(value, "get_secret_value"):
            os.environ[PREFIX + name.upper()] = value.get_secret_value()
        elif isinstance(value, Path):
            os.environ[PREFIX + name.upper()] = str(value.absolute())
        else:
            os.environ[PREFIX + name.upper()] = (
                f"PT{value.total_seconds():.0f}S" if hasattr(value, "total_seconds") else str(value)
            )
    os.environ |= {name: value for name, value in RAY_ENVIRONMENT.items() if name not in os.environ}
    os.environ["PATH"] = (
        f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"  # jobs say `python`
    )
    return Settings.read()


async def prepare(settings: Settings, demo: bool, say: Say) -> str | None:
    """Bring the database to its shape and write the catalogue; a new API key when there is none yet.

    A demo makes one at each start. Raises ValueError for a schedule that no upstream plan fits, CannotStart
    when no source is configured at all.
    """
    from ray_app.app import open_with
    from ray_app.model.clock import SystemClock
    from ray_app.store.keys import SCOPES

    node = await open_with(settings)
    try:
        await node.store.database.prepare(simulated=settings.simulated)
        await node.declare(node.clock.now())
        missing = [a for a in node.assigned if a.missing]
        for assigned in missing:
            say(f"{assigned.source.name} is not configured: set {PREFIX}{assigned.missing.upper()}")
        if len(missing) == len(node.assigned):
            needed = ", ".join(f"{PREFIX}{a.missing.upper()}" for a in missing)
            raise CannotStart(
                f"no source is configured: set {needed} in .env, or choose a plan that needs no key"
            )
        now, keys = SystemClock().now(), node.store.keys
        if demo:
            for key in await keys.list("demo"):
                await keys.revoke(key.id, now)
            return await keys.create("demo", frozenset(SCOPES), now, per_hour=100_000, burst=6_000)
        if not await keys.list():
            return await keys.create("first", frozenset(SCOPES), now)
        return None
    finally:
        await node.close()


@contextlib.contextmanager
def ray_and_serve(settings: Settings, say: Say) -> Iterator[str]:
    """Ray with its dashboard and the applications of serve_config.yaml; the dashboard's address."""
    say("starting Ray")
    import ray

    allow_open_files()
    leave_agent_port()
    folder = own_folder(settings.port)
    address_file = folder / "ray_current_cluster"
    try:
        with signals_wait():  # Ray leaves processes behind when it is stopped half-way
            context = ray.init(
                address="local",
                num_cpus=max(2, os.cpu_count() or 2),
                include_dashboard=True,
                dashboard_host="127.0.0.1",
                dashboard_port=settings.dashboard_port,
                object_store_memory=100 * 2**20,
                log_to_driver=False,
                logging_level=logging.ERROR,
                namespace="crypto-data",
                _temp_dir=str(folder),
            )
        address_file.write_text(ray.get_runtime_context().gcs_address)
        say("starting the applications")
        deploy(settings)
        yield f"http://{context.dashboard_url}"
    finally:
        if ray.is_initialized():
            from ray import serve

            with contextlib.suppress(Exception), quiet():  # whatever fails, Ray itself must still be stopped
                serve.shutdown()  # type: ignore[no-untyped-call]  # untyped in Ray
        address_file.unlink(missing_ok=True)
        ray.shutdown()


def allow_open_files() -> None:
    """As many as this machine allows: each open stream is one, and many systems begin with 1,024."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def own_folder(port: int) -> Path:
    """This node's place in Ray's temporary folder: sessions, logs, and the address that its jobs are told.

    Where two clusters run on a machine, Ray sends a job to the one whose address stands in a file of the
    cluster's folder. In the folder that all share, that is the last `ray start`, dead or alive.
    """
    from ray._common.utils import get_default_ray_temp_dir

    return Path(get_default_ray_temp_dir()) / f"node-{port}"  # type: ignore[no-untyped-call]  # untyped in Ray


def leave_agent_port() -> None:
    """Take a free port for Ray's agent when another Ray on this machine has the usual one.

    Without its agent a cluster takes no jobs. `ray.init` has no argument for the port, `ray start` has.
    """
    import inspect

    from ray._private.parameter import RayParams

    name = "dashboard_agent_listen_port"
    initial = inspect.signature(RayParams.__init__).parameters
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.bind(("", initial[name].default))
        return
    with socket.socket() as probe:
        probe.bind(("", 0))
        free = probe.getsockname()[1]
    with_default = [p for p in initial.values() if p.default is not inspect.Parameter.empty]
    RayParams.__init__.__defaults__ = tuple(free if p.name == name else p.default for p in with_default)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep Ray's remarks on actors that we stop on purpose from the terminal."""
    with (
        open(os.devnull, "w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield


def deploy(settings: Settings) -> None:
    """Start Serve and the applications of serve_config.yaml, at the address and release of the settings."""
    from ray.serve._private.api import (
        serve_start,
    )  # what `serve run FILE` calls; there is no public name for it

    from ray_app.commands.config import read_config

    config = read_config(CONFIG, host=settings.host, port=settings.port, release=settings.release)
    client = serve_start(
        http_options=config.http_options.model_dump(),
        proxy_location=config.proxy_location,
        global_logging_config=config.logging_config,
    )
    client.deploy_apps(config)


def wait_until_serving(settings: Settings, key: str | None, failed: Callable[[], str | None]) -> str:
    """Wait until a demo's printed requests have something to show, else until the node is ready; the address.

    A real upstream may be out of reach for hours: a node that says so is a node that works.
    """
    import httpx

    address = f"http://{settings.host}:{settings.port}"
    waiting = {PRICE: '"current_price"', HISTORY: '"timestamp"'} if key else {"/ready": ""}
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    deadline = time.monotonic() + SERVING_WITHIN
    with httpx.Client(base_url=address, headers=headers, timeout=5) as http:
        while time.monotonic() < deadline:
            path, shows = next(iter(waiting.items()))
            with contextlib.suppress(httpx.HTTPError):
                answer = http.get(path)
                if answer.status_code == 200 and shows in answer.text:
                    del waiting[path]
                    if not waiting:
                        return address
                    continue
            if problem := failed():
                raise CannotStart(problem)
            time.sleep(0.1)
    asked = f"{address}{next(iter(waiting))}"
    raise CannotStart(
        f"no answer from {asked} within {SERVING_WITHIN:.0f} s; see the Ray dashboard and its logs"
    )


def deployment_problem() -> str | None:
    """What Serve says of an application that cannot start; None while all is well."""
    from ray import serve

    for name, application in serve.status().applications.items():
        if application.status in ("DEPLOY_FAILED", "UNHEALTHY"):
            return f"application {name} is {application.status}: {application.message[-2000:]}"
    return None


@contextlib.contextmanager
def node(settings: Settings, *, demo: bool, say: Say, simulate: list[str] | None = None) -> Iterator[Started]:
    """A running node; leaving the context stops every process it started."""
    import asyncio

    stop_at_sigterm()
    need_port("port", settings.host, settings.port)
    need_port("dashboard_port", "127.0.0.1", settings.dashboard_port)
    with contextlib.ExitStack() as stack:
        if demo:
            address = stack.enter_context(simulator(settings, simulate or [], say))
            settings = settings.model_copy(update={"upstreams": address})
        settings = export(settings, redis_url=stack.enter_context(valkey(settings, say)))
        say("preparing the database")
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        key = asyncio.run(prepare(settings, demo, say))
        dashboard = stack.enter_context(ray_and_serve(settings, say))
        say("waiting for the first price" if demo else "waiting until it is ready")
        address = wait_until_serving(settings, key if demo else None, deployment_problem)
        yield Started(address, dashboard, key, settings.simulated)
        say("stopping")


def until_interrupted() -> None:
    """Wait for Ctrl-C or SIGTERM."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()
