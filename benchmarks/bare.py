"""A bare Ray with dashboard, Serve and one FastAPI route that says hello: what the node is held against."""

import os
import signal
import sys
import threading
from typing import Any, cast

import ray
from fastapi import FastAPI
from ray import serve

app = FastAPI()


@serve.deployment
@serve.ingress(app)
class Hello:
    """One replica, one route."""

    @app.get("/")
    def hello(self) -> dict[str, str]:
        return {"hello": "world"}


def main(port: int, dashboard_port: int) -> None:
    """Serve until Ctrl-C. Ray is started with what the node starts it with."""
    ray.init(
        address="local",
        num_cpus=max(2, os.cpu_count() or 2),
        include_dashboard=True,
        dashboard_host="127.0.0.1",
        dashboard_port=dashboard_port,
        object_store_memory=100 * 2**20,
        log_to_driver=False,
    )
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    serve.run(cast(Any, Hello).bind(), name="hello", route_prefix="/")
    stop = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    stop.wait()
    serve.shutdown()
    ray.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
