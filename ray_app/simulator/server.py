"""The simulator as a server: an ASGI application, a server in a thread for tests, one in a process."""

import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Iterator

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from ray_app.model.clock import SystemClock
from ray_app.simulator import admin
from ray_app.simulator.coingecko.gate import Host
from ray_app.simulator.config import SimulatorConfig
from ray_app.simulator.simulation import Simulation
from ray_app.simulator.upstream import UpstreamHost
from ray_app.simulator.upstreams import sockets, upstreams

HOME = "127.0.0.1"
PREFIXES = {"/cg-pro/api/v3": True, "/cg-public/api/v3": False}  # path: for paid keys?
PATIENCE = 1  # seconds that open answers get when the server stops


def build_app(config: SimulatorConfig) -> Starlette:
    """A simulator of its own: its clock starts now. ValueError: data folders that cannot be used."""
    return app_of(Simulation(config, SystemClock().now()))


def app_of(simulation: Simulation) -> Starlette:
    """The routes of one simulation."""
    hosts = [Mount(prefix, app=Host(simulation, prefix, paid)) for prefix, paid in PREFIXES.items()]
    others = upstreams(simulation)
    hosts += [Mount(other.prefix, app=UpstreamHost(simulation, other)) for other in others]
    hosts += [Mount(prefix, app=host) for prefix, host in sockets(simulation).items()]
    return Starlette(routes=[*hosts, *admin.routes(simulation, others)])


class Server(uvicorn.Server):
    """uvicorn without its signal handlers: it would end the process by the signal instead of with 0."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(port: int) -> socket.socket:
    """A listening socket on this machine only; port 0 takes a free one."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((HOME, port))
    bound.listen(1024)
    return bound


def address(bound: socket.socket) -> str:
    return f"http://{HOME}:{bound.getsockname()[1]}"


def _no_trade_talk(record: logging.LogRecord) -> bool:
    """Answers broken off on purpose are no reason to log."""
    return "without completing response" not in record.getMessage()


def make_server(config: SimulatorConfig) -> Server:
    logging.getLogger("uvicorn.error").addFilter(_no_trade_talk)
    return Server(
        uvicorn.Config(
            build_app(config),
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=PATIENCE,
            timeout_keep_alive=60,
            ws="websockets-sansio",
            ws_per_message_deflate=False,
            ws_ping_interval=config.ws_ping_seconds,
            ws_ping_timeout=config.ws_pong_seconds,
        )
    )


def serve(config: SimulatorConfig, port: int, ready: Callable[[str, Server], None]) -> None:
    """Answer until told to stop (`should_exit`); `ready` gets the address and the server."""
    server = make_server(config)
    with listen(port) as bound:
        ready(address(bound), server)
        server.run(sockets=[bound])


@contextlib.contextmanager
def running(config: SimulatorConfig) -> Iterator[str]:
    """A simulator in a thread, as its base URL. Requests may be sent at once: the socket listens already."""
    server = make_server(config)
    with listen(0) as bound:
        thread = threading.Thread(
            target=server.run, kwargs={"sockets": [bound]}, name="simulator", daemon=True
        )
        thread.start()
        try:
            yield address(bound)
        finally:
            server.should_exit = True
            thread.join()
