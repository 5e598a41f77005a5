"""The servers of the streams benchmark: ours on uvicorn or on Serve behind HAProxy, and a bare Starlette fan-out.

`python -m benchmarks.streams_server bare|uvicorn|haproxy PORT`: prints a line when it serves, then answers each line of
its standard input with the processor time that serving took so far.
"""

import asyncio
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

from ray_app.commands.up import RAY_ENVIRONMENT

MODE = sys.argv[1] if len(sys.argv) > 1 else "bare"
if MODE == "haproxy":  # read when Ray is imported
    os.environ |= {
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_HAPROXY_NBTHREAD": "1",
    }
os.environ |= RAY_ENVIRONMENT | {"RAY_AUTH_MODE": "disabled"}

import uvicorn  # noqa: E402  # after the environment
from starlette.applications import Starlette  # noqa: E402
from starlette.routing import WebSocketRoute  # noqa: E402
from starlette.websockets import WebSocket, WebSocketDisconnect  # noqa: E402

from ray_app.app import open_gateway  # noqa: E402
from ray_app.settings import Settings  # noqa: E402
from ray_app.store.hot import EventStream, redis_client  # noqa: E402

COALESCE = 0.1  # seconds; as ours
TICKS = os.sysconf("SC_CLK_TCK")


def bare() -> Starlette:
    """The smallest fan-out: one reader of the same Redis stream, every message made once, and sent to all."""
    sockets: dict[WebSocket, bool] = {}

    async def prices(socket: WebSocket) -> None:
        await socket.accept()
        sockets[socket] = "batch=true" in str(socket.url)
        try:
            while True:
                await socket.receive_text()
        except WebSocketDisconnect:
            sockets.pop(socket, None)

    async def tell() -> None:
        stream = EventStream(redis_client(Settings.read().redis_url), "prices")
        last = await stream.newest()
        while True:
            events = await stream.read(last, block_ms=1000)
            last = events[-1].number if events else last
            texts = [
                json.dumps(
                    {"type": "price_update", "cursor": one.number, **one.record}, separators=(",", ":")
                )
                for one in events
                if "coin" in one.record
            ]
            if not texts:
                continue
            whole = f"[{','.join(texts)}]"
            for socket, batch in list(sockets.items()):
                for text in (whole,) if batch else texts:
                    await socket.send_text(text)
            await asyncio.sleep(COALESCE)

    app = Starlette(routes=[WebSocketRoute("/ws/prices", prices)])
    app.state.tell = tell
    return app


async def on_uvicorn(app: Any, port: int, beside: Any = None) -> None:
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", access_log=False))
    tasks = [asyncio.create_task(beside())] if beside is not None else []
    threading.Thread(target=_answer, args=(server, lambda: [os.getpid()]), daemon=True).start()
    await server.serve()
    for task in tasks:
        task.cancel()


def on_ray(port: int) -> None:
    import ray
    from ray import serve

    from ray_app.serve.ingress import Sockets

    ray.init(
        address="local",
        num_cpus=4,
        include_dashboard=False,
        object_store_memory=100 * 2**20,
        log_to_driver=False,
    )
    serve.start(
        http_options={"host": "0.0.0.0", "port": port},
        logging_config={"enable_access_log": False, "log_level": "ERROR"},
    )
    sockets: Any = Sockets
    serve.run(sockets.bind(open_gateway, "bench"), name="streams-ws", route_prefix="/ws")
    _answer(None, _serving)
    serve.shutdown()
    ray.shutdown()


def _serving() -> list[int]:
    """The replica, and the HAProxy before it."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if line.startswith(b"ray::ServeReplica:streams-ws") or b"haproxy" in line.split(b"\0")[0]:
            found.append(int(folder.name))
    return found


def _spent(pid: int) -> float:
    """Seconds of processor time."""
    try:
        rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(rest[11]) + int(rest[12])) / TICKS


def _answer(server: Any, pids: Any) -> None:
    sys.stdout.write('{"serves": true}\n')
    sys.stdout.flush()
    for _ in sys.stdin:
        sys.stdout.write(json.dumps({"cpu": sum(map(_spent, pids()))}) + "\n")
        sys.stdout.flush()
    if server is not None:
        server.should_exit = True


async def main(port: int) -> None:
    if MODE == "bare":
        app = bare()
        await on_uvicorn(app, port, app.state.tell)
        return
    from ray_app.serve.streams.app import build_sockets

    await on_uvicorn(build_sockets(await open_gateway(), owned=True), port)


if __name__ == "__main__":
    if MODE == "haproxy":
        on_ray(int(sys.argv[2]))
    else:
        import uvloop

        uvloop.run(main(int(sys.argv[2])))
