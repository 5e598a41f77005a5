"""One Ray cluster as a process: it does what KubeRay and the kubelet would do, on orders from its standard input.

An order is a line of JSON, `{"do": name, ...}`; the answer is a line that begins with ANSWER. Each node of the cluster
stands for a pod. When the input ends, everything that was started here is stopped.
"""

import contextlib
import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from tests.server_process import free_port

ANSWER = "answer "
NODE: dict[str, Any] = {
    "object_store_memory": 80 * 2**20,
    "node_ip_address": "127.0.0.1",
    "include_dashboard": False,
}
RUNS_WITHIN = 600.0  # seconds
AGENTS = {  # arguments of a node, and what the files are called
    "metrics_agent_port": "metrics_agent_port",
    "metrics_export_port": "metrics_export_port",
    "runtime_env_agent_port": "runtime_env_agent_port",
    "dashboard_agent_listen_port": "dashboard_agent_listen_port",
}


class Played:
    """The cluster. `pools`, `cpus`: labels and CPUs of each kind of node; `ports`: where some of them take requests."""

    def __init__(
        self,
        temporary: str,
        gcs_port: int,
        redis_address: str,
        redis_password: str,
        pools: dict[str, dict[str, str]],
        cpus: dict[str, float],
        ports: dict[str, int],
    ):
        from ray.cluster_utils import Cluster

        self._pools, self._cpus, self._proxies = pools, cpus, ports
        self._nodes = dict[str, Any]()
        self._temporary, self._session = Path(temporary), f"session_{Path(temporary).name}_{os.getpid()}"
        # Where a session is named, a node looks into no variable for the store of the state.
        self._own = NODE | {"temp_dir": temporary, "redis_address": redis_address}
        if redis_password:
            self._own |= {"redis_password": redis_password}
        self._head: dict[str, Any] = {
            "num_cpus": cpus["head"],
            "labels": pools["head"],
            "dashboard_port": 0,
        }
        self._head |= {
            "no_monitor": True,
            "include_log_monitor": False,
        }  # nothing scales nodes or reads logs here
        self._head |= {"gcs_server_port": gcs_port, "session_name": self._session}
        self.cluster: Any = Cluster()
        self.new_head()
        for pool in pools:
            if pool != "head":
                self.add(pool)

    def new_head(self) -> None:
        """The head, or after its death another one over the same state."""
        self.cluster.add_node(**self._own, **self._head, **self._ports())

    def _ports(self) -> dict[str, Any]:
        """A node's id and the ports of its agents.

        A raylet waits 15 s for the files in which its agents tell their ports, and ends when they are late. On a busy
        machine they are, so the files are written before.
        """
        from ray import NodeID
        from ray._raylet import persist_port  # type: ignore[attr-defined]  # in the part of Ray that has no types

        node = NodeID.from_random().hex()
        session = self._temporary / self._session
        session.mkdir(exist_ok=True)
        ports = {name: free_port() for name in AGENTS}
        for name, written in AGENTS.items():
            persist_port(str(session), node, written, ports[name])
        return {**ports, "env_vars": {"RAY_OVERRIDE_NODE_ID_FOR_TESTING": node}}

    def add(self, pool: str) -> None:
        """A node of a pool, as the operator makes a pod for one that is gone."""
        own = self._own | self._ports()
        if pool in self._proxies:
            own["env_vars"]["RAY_SERVE_WORKER_PROXY_HTTP_PORT"] = str(self._proxies[pool])
        self._nodes[pool] = self.cluster.add_node(**own, num_cpus=self._cpus[pool], labels=self._pools[pool])

    def kill(self, pool: str) -> int:
        """SIGKILL every process of a node at once, as its machine's end would; how many there were."""
        node = self.cluster.head_node if pool == "head" else self._nodes.pop(pool)
        own = [info.process.pid for infos in node.all_processes.values() for info in infos]
        all_of_it = [*own, *_descendants(own)]
        for pid in all_of_it:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.cluster.remove_node(node, allow_graceful=False)
        return len(all_of_it)

    def delete(self) -> None:
        """SIGTERM to every node at once and time to end, as the kubelet does when the cluster is deleted."""
        nodes = self.cluster.list_all_nodes()
        for node in nodes:
            for infos in node.all_processes.values():
                for info in infos:
                    with contextlib.suppress(ProcessLookupError):
                        info.process.terminate()
        for node in sorted(nodes, key=lambda one: one is self.cluster.head_node):
            self.cluster.remove_node(node)

    def deploy(self, config: str, port: int, release: str) -> dict[str, str]:
        """Deploy the applications and wait until all of them run, as KubeRay does before it sends requests."""
        from ray.serve._private.api import serve_start

        from ray_app.commands.config import read_config

        read = read_config(Path(config), host="127.0.0.1", port=port, release=release)
        with self._driver():
            client = serve_start(
                http_options=read.http_options.model_dump(),
                proxy_location=read.proxy_location,
                global_logging_config=read.logging_config,
            )
            client.deploy_apps(read)
            return self._running()

    def running(self) -> dict[str, str]:
        """Wait until all applications run again."""
        with self._driver():
            return self._running()

    def _running(self) -> dict[str, str]:
        from ray import serve

        deadline = time.monotonic() + RUNS_WITHIN
        while True:
            found = {name: str(one.status.value) for name, one in serve.status().applications.items()}
            if (found and set(found.values()) == {"RUNNING"}) or time.monotonic() > deadline:
                return found
            time.sleep(0.2)

    def wake(self, application: str, deployments: list[str]) -> None:
        """Ask those that no replica of runs until somebody asks; from a task, since a handle outlives its driver."""
        import ray

        with self._driver():
            ray.get(ray.remote(num_cpus=0)(_asked).remote(application, deployments))

    def replicas(self, deployment: str) -> int:
        """How many replicas of a deployment take requests."""
        return sum(one.startswith(f"{deployment}@") for one, _ in self.where())

    def where(self) -> list[tuple[str, str]]:
        """Each living actor of ours and the pool of the node that it runs on."""
        state = self.cluster.global_state
        labels = {one["NodeID"]: one["Labels"] for one in state.node_table() if one["Alive"]}
        found = []
        for actor in state.actor_table(None).values():
            if actor["State"] == "ALIVE":
                pool = labels.get(actor["Address"]["NodeID"], {}).get("pool", "none")
                found.append((f"{_short(actor)}@{actor['ActorID'][:6]}", pool))
        return sorted(found)

    @contextlib.contextmanager
    def _driver(self) -> Any:
        """A connection for as long as it is needed: a driver would end with the head."""
        import ray

        ray.init(address=self.cluster.address, namespace="crypto-data", log_to_driver=False)
        try:
            yield
        finally:
            ray.shutdown()


def _asked(application: str, deployments: list[str]) -> None:
    from ray import serve

    handles = [serve.get_deployment_handle(one, application) for one in deployments]
    for asked in [one.state.remote() for one in handles]:
        asked.result(timeout_s=RUNS_WITHIN)


def _short(actor: dict[str, Any]) -> str:
    """A replica by its deployment, another actor by its class."""
    name = str(actor["ActorClassName"])
    return name.split(":")[2] if name.startswith("ServeReplica:") else name


def _descendants(pids: list[int]) -> list[int]:
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    found, known = list[int](), set(pids)
    while more := [pid for pid, above in parents.items() if above in known and pid not in known]:
        known |= set(more)
        found += more
    return found


def main() -> int:
    played: Played | None = None
    try:
        for line in sys.stdin:
            order = json.loads(line)
            name = order.pop("do")
            try:
                if name == "start":
                    played = Played(**order)
                    told: Any = None
                else:
                    told = getattr(played, name)(**order)
                answer = {"told": told}
            except Exception:  # noqa: BLE001  # the one who ordered it decides
                answer = {"error": traceback.format_exc()[-3000:]}
            sys.stdout.write(f"{ANSWER}{json.dumps(answer)}\n")
            sys.stdout.flush()
    finally:
        if played is not None:
            for node in [*played.cluster.worker_nodes, played.cluster.head_node]:
                if node is not None:
                    played.cluster.remove_node(node)
    return 0


if __name__ == "__main__":
    sys.exit(main())
