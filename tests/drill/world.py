"""What outlives every cluster of a drill: the stores, the simulated upstream, the address that clients know."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ray_app.app import open_with
from ray_app.commands.up import RAY_ENVIRONMENT
from ray_app.model.clock import SystemClock
from ray_app.runtime.opening import Node
from ray_app.settings import PREFIX, Settings
from ray_app.store.keys import SCOPES
from tests.drill import manifest
from tests.drill.manifest import Shape
from tests.drill.played import ANSWER
from tests.drill.service import Service, healthy
from tests.server_process import free_port
from tests.servers import MariaDB, Redis

PLAN = "keyless"  # a quota of 5 calls a minute
STOP_WITHIN = 120.0  # seconds
READY_WITHIN = 300.0


class Cluster:
    """One played cluster, from outside: orders to its process. `ports` is where its pods take requests."""

    def __init__(self, world: "World", release: str, shape: Shape) -> None:
        self.release, self.shape = release, shape
        self.head_port = free_port()
        workers = {pool: free_port() for pool in shape.pools if pool != "head"} if shape.everywhere else {}
        self._workers, self.ports = workers, list(workers.values()) or [self.head_port]
        self.folder = world.folder / f"ray-{release}"
        self.folder.mkdir()
        (world.folder / "ray").mkdir(exist_ok=True)
        self._redis = urlsplit(world.redis.url())
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", PREFIX))}
        environment |= RAY_ENVIRONMENT | manifest.environment(haproxy=shape.haproxy) | world.environment
        environment |= {
            f"{PREFIX}RELEASE": release,
            "RAY_AUTH_MODE": "disabled",
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # Ray's own word for: stay on 127.0.0.1
            "RAY_TMPDIR": str(
                world.folder
            ),  # where it leaves its address: not for others on this machine to find
            # A busy machine starts processes slowly, and those of a low priority hardly at all.
            "RAY_worker_niceness": "0",
            "RAY_agent_register_timeout_ms": "180000",
            "RAY_worker_register_timeout_seconds": "180",
            "RAY_REDIS_ADDRESS": f"127.0.0.1:{self._redis.port}",
            "RAY_external_storage_namespace": release,  # KubeRay takes the cluster's own id
        }
        if shape.haproxy:
            environment |= _haproxy(self.folder)
        self._log = (world.folder / f"{release}.log").open("w")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.drill.played"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True, env=environment,
            cwd=manifest.REPO, start_new_session=True,
        )  # fmt: skip

    async def start(self) -> None:
        """The head and a node of each pool."""
        await self.order(
            "start",
            temporary=str(self.folder),
            gcs_port=free_port(),
            redis_address=f"127.0.0.1:{self._redis.port}",
            redis_password=self._redis.password or "",
            pools=self.shape.pools,
            cpus=self.shape.cpus,
            ports=self._workers,
        )

    async def deploy(self) -> None:
        """The applications; raises unless all of them run."""
        config = self.shape.write(self.folder)
        found = await self.order("deploy", config=str(config), port=self.head_port, release=self.release)
        assert set(found.values()) == {"RUNNING"}, found
        await self._ready()

    async def _ready(self) -> None:
        """Wait until the Service may send something to every pod."""
        async with asyncio.timeout(READY_WITHIN):
            for port in self.ports:
                while not await healthy(port):  # noqa: ASYNC110  # it is in another process
                    await asyncio.sleep(0.2)

    async def order(self, do: str, **arguments: Any) -> Any:
        """Have something done; what came of it. Raises RuntimeError with the cluster's own words."""
        return await asyncio.to_thread(self._order, do, arguments)

    def _order(self, do: str, arguments: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith(ANSWER):
                answer = json.loads(line.removeprefix(ANSWER))
                if "error" in answer:
                    raise RuntimeError(f"{do}: {answer['error']}")
                return answer["told"]
        raise RuntimeError(f"{do}: the cluster's process ended; see {self._log.name}")

    async def stop(self) -> None:
        """Everything that it started has ended afterwards."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            await asyncio.to_thread(self._process.wait, STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._log.close()


def _haproxy(folder: Path) -> dict[str, str]:
    """Files and ports of its own; how busy replicas are is told each second, so that the drill is short."""
    own = {
        name: str(folder / name.lower()) for name in ("CONFIG_FILE_LOC", "SOCKET_PATH", "SERVER_STATE_FILE")
    }
    own |= {"SERVER_STATE_BASE": str(folder), "METRICS_SOCKET_PATH": str(folder / "metrics.sock")}
    own |= {"METRICS_PORT": str(free_port()), "STATS_PORT": str(free_port())}
    return {f"RAY_SERVE_HAPROXY_{name}": value for name, value in own.items()} | {
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(free_port()),
        "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": "18000",
        "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": "18500",
        "RAY_SERVE_REPLICA_AUTOSCALING_METRIC_PUSH_INTERVAL_S": "1",
        "RAY_SERVE_LOG_TO_STDERR": "0",
    }


@dataclass
class World:
    """`node` is a look at the same stores from outside of every cluster."""

    folder: Path
    redis: Redis
    upstream: str  # the simulator's address
    environment: dict[str, str]
    node: Node
    key: str
    service: Service

    @asynccontextmanager
    async def cluster(self, release: str, shape: Shape) -> AsyncIterator[Cluster]:
        """Not started yet; stopped whole at the end."""
        made = Cluster(self, release, shape)
        try:
            yield made
        finally:
            await made.stop()


@asynccontextmanager
async def world(folder: Path, speed: float) -> AsyncIterator[World]:
    """Everything but clusters; all of it ends with the context."""
    async with contextlib.AsyncExitStack() as stack:
        for name in ("mariadb", "redis"):
            (folder / name).mkdir()
        mariadb = await asyncio.to_thread(MariaDB, folder / "mariadb")
        stack.callback(mariadb.close)
        redis = await asyncio.to_thread(lambda: Redis(folder / "redis", maxmemory="256mb"))
        stack.callback(redis.close)
        command = [sys.executable, "-m", "ray_app.simulator", "--port", "0", "--speed", str(speed)]
        simulator = subprocess.Popen(  # noqa: ASYNC220  # nobody else runs yet
            [*command, "--start", "2026-05-01T08:00:30+00:00"], stdout=subprocess.PIPE, text=True
        )
        stack.enter_context(simulator)
        stack.callback(simulator.terminate)
        assert simulator.stdout is not None
        upstream = simulator.stdout.readline().split()[1]
        environment = {
            f"{PREFIX}DATA_DIR": str(folder / "node"),
            f"{PREFIX}DATABASE_URL": await asyncio.to_thread(mariadb.create_database, "crypto_prices"),
            f"{PREFIX}REDIS_URL": redis.url(),
            f"{PREFIX}UPSTREAMS": upstream,
            f"{PREFIX}SOURCES": "coingecko",
            f"{PREFIX}COINGECKO_PLAN": PLAN,
            f"{PREFIX}HISTORY": "PT6H",
            f"{PREFIX}SENTIMENT": "off",
        }
        values = {name.removeprefix(PREFIX).lower(): value for name, value in environment.items()}
        node = await open_with(Settings.model_validate(values | {"history": timedelta(hours=6)}))
        stack.push_async_callback(node.close)
        await node.store.database.prepare(simulated=True)
        key = await node.store.keys.create(
            "drill", frozenset(SCOPES), SystemClock().now(), tier="premium", per_hour=10**7, burst=10**7
        )
        service = Service()
        stack.push_async_callback(service.close)
        await service.open()
        yield World(folder, redis, upstream, environment, node, key, service)
