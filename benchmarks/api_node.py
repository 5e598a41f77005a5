"""What the API benchmark asks: a Serve with the gateway and a constant route, or the same on bare uvicorn.

`python -m benchmarks.api_node FOLDER haproxy|default|uvicorn PORT [full]`: prints one line of JSON when it serves,
goes on committing a new price twice a second until its standard input closes. `full`: with candles, features and news.
"""

import asyncio
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from ray_app.commands.up import RAY_ENVIRONMENT

MODE = sys.argv[2] if len(sys.argv) > 2 else "uvicorn"
if MODE == "haproxy":  # read when Ray is imported
    os.environ |= {
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_HAPROXY_NBTHREAD": "1",
    }
os.environ |= RAY_ENVIRONMENT | {"RAY_AUTH_MODE": "disabled"}

from fastapi import FastAPI  # noqa: E402  # after the environment

from benchmarks import api_data  # noqa: E402
from ray_app.app import open_gateway, open_node  # noqa: E402
from ray_app.collect.collector import parsed  # noqa: E402
from ray_app.model.source import Page, Slice  # noqa: E402
from ray_app.model.timerange import TimeRange, floor  # noqa: E402
from ray_app.runtime.relay import Relay  # noqa: E402
from ray_app.sources.coingecko import PRICES, SOURCE  # noqa: E402

SLOT = PRICES.grain
EVERY = 0.5  # seconds between two prices


def constant() -> FastAPI:
    """The smallest useful FastAPI application."""
    app = FastAPI()

    @app.get("/constant")
    async def answer() -> dict[str, int]:
        return {"price": 1}

    return app


async def write_prices(committed: Path, ready: threading.Event, stop: threading.Event, *, full: bool) -> None:
    """Prices 1001, 1002, ... for one slot after the other, through the real commit and relay."""
    node = await open_node()
    await node.declare(node.clock.now())
    lease = await node.store.leases.acquire("bench", "bench")
    assert lease is not None
    if full:
        await api_data.fill(node.store, node.registry, node.clock.now(), lease)
    relay = Relay(node, "bench", node.clock)
    begin = floor(node.clock.now(), SLOT) - 500 * SLOT
    for number in range(1, 500):
        slot = TimeRange(begin + number * SLOT, begin + (number + 1) * SLOT)
        row = {"id": "bitcoin", "current_price": 1000 + number, "last_updated": slot.start.isoformat()}
        now = node.clock.now()
        page = Page(
            source="coingecko", stream="prices", path="/coins/markets", params={"vs_currency": "usd"}, status=200,
            headers={}, body=json.dumps([row]).encode(), asked_at=now, received_at=now,
        )  # fmt: skip
        with committed.open("a") as file:
            file.write(f"inf {1000 + number}\n")  # from here on it may be seen
        await node.store.raw.keep(page)
        await node.store.commit([parsed(SOURCE, PRICES, Slice(("bitcoin",), slot), [page])], lease)
        await relay.round()
        with committed.open("a") as file:
            file.write(f"{time.perf_counter()} {1000 + number}\n")
        ready.set()
        if await asyncio.to_thread(stop.wait, EVERY):
            break
    await node.close()


def serve_on_ray(port: int) -> Any:
    import ray
    from ray import serve

    from ray_app.serve.ingress import Gateway

    ray.init(
        address="local",
        num_cpus=4,
        include_dashboard=False,
        object_store_memory=100 * 2**20,
        log_to_driver=False,
    )
    host = "0.0.0.0" if MODE == "haproxy" else "127.0.0.1"  # HAProxy mode takes no other
    serve.start(
        http_options={"host": host, "port": port},
        logging_config={"enable_access_log": False, "log_level": "ERROR"},
    )

    @serve.deployment(max_ongoing_requests=200, ray_actor_options={"num_cpus": 0.1})
    @serve.ingress(constant)
    class Constant:
        pass

    gateway: Any = Gateway
    hello: Any = Constant
    serve.run(
        gateway.options(max_ongoing_requests=200).bind(open_gateway, "bench"),
        name="gateway",
        route_prefix="/",
    )
    serve.run(hello.bind(), name="constant", route_prefix="/bench")
    return lambda: (serve.shutdown(), ray.shutdown())


def serve_on_uvicorn(port: int, app: Any) -> Any:
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", access_log=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()

    def stop() -> None:
        server.should_exit = True
        thread.join(10)

    return stop


def main() -> None:
    folder, _, port, *more = sys.argv[1:]
    ready, stop = threading.Event(), threading.Event()
    committed = Path(folder) / f"committed-{MODE}"
    writer = threading.Thread(
        target=lambda: asyncio.run(write_prices(committed, ready, stop, full=bool(more)))
    )
    if MODE == "uvicorn":
        from ray_app.serve.gateway import build_app

        gateway = build_app(asyncio.run(open_gateway()))
        stops = [serve_on_uvicorn(int(port), gateway), serve_on_uvicorn(int(port) + 1, constant())]
    else:
        stops = [serve_on_ray(int(port))]
    writer.start()
    ready.wait(240)
    sys.stdout.write(json.dumps({"committed": str(committed), "pid": os.getpid()}) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    stop.set()
    writer.join(30)
    for one in stops:
        one()


if __name__ == "__main__":
    main()
