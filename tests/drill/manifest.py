"""What the manifests say of a cluster: its pools, its applications, which pool each deployment asks for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

REPO = Path(__file__).parents[2]
RAYSERVICE = yaml.safe_load((REPO / "kuberay/base/rayservice.yaml").read_text())
FOLLOW = {  # what the Supervisor starts goes where it is itself
    "CollectorActor": "Supervisor",
    "KeeperActor": "Supervisor",
}


def applications() -> dict[str, Any]:
    """The Serve configuration of the RayService."""
    text: str = RAYSERVICE["spec"]["serveConfigV2"]
    config: dict[str, Any] = yaml.safe_load(text)
    return config


def pools() -> dict[str, dict[str, str]]:
    """The labels of the head and of each group of workers that begins with some, as Ray has them."""
    cluster = RAYSERVICE["spec"]["rayClusterConfig"]
    groups = {one["groupName"]: one["labels"] for one in cluster["workerGroupSpecs"] if one["replicas"]}
    return {"head": cluster["headGroupSpec"]["labels"], **groups}


def cpus() -> dict[str, float]:
    """Of each such pod, as Ray counts them."""
    groups = RAYSERVICE["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    asked = {
        one["groupName"]: one["template"]["spec"]["containers"][0]["resources"]["requests"] for one in groups
    }
    return {"head": 0.0, **{name: float(requests["cpu"]) for name, requests in asked.items()}}


def asked_for() -> dict[str, str]:
    """The pool that each deployment asks for by its label selector, and so what it starts itself."""
    deployments = [one for app in applications()["applications"] for one in app["deployments"]]
    asked = {one["name"]: one["ray_actor_options"]["label_selector"]["pool"] for one in deployments}
    return asked | {name: asked[above] for name, above in FOLLOW.items()}


def environment(*, haproxy: bool) -> dict[str, str]:
    """What the pods have of Ray's settings. HAProxy only for one node: those of a machine would share its files."""
    lines = (REPO / "kuberay/settings/ray.env").read_text().splitlines()
    given = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    alone = {"HOME", "RAY_LOG_TO_STDERR"}
    alone |= set() if haproxy else {"RAY_SERVE_ENABLE_HA_PROXY", "RAY_SERVE_THROUGHPUT_OPTIMIZED"}
    return {name: value for name, value in given.items() if name not in alone}


@dataclass(frozen=True)
class Shape:
    """A cluster on one machine. `write` puts its applications into a file of a folder."""

    write: Callable[[Path], Path]
    pools: Mapping[str, Mapping[str, str]]
    cpus: Mapping[str, float]
    haproxy: bool = False
    everywhere: bool = True  # requests are taken on each worker; else on the head
    sockets: bool = True  # whether streams are also read over WebSockets


def whole() -> Shape:
    """All applications in all pools, one replica of each."""
    return Shape(_whole, pools(), cpus())


def growing(scaling: Mapping[str, Any]) -> Shape:
    """Collection and a gateway behind one HAProxy, that grows from 2 to 6 at less than in the manifests."""
    return Shape(partial(_growing, scaling), pools(), cpus(), haproxy=True, everywhere=False)


def small() -> Shape:
    """One node without labels, as a laptop: collection, the gateway and server-sent events."""
    return Shape(_small, {"head": {}}, {"head": 2.0}, everywhere=False, sockets=False)


def _whole(folder: Path) -> Path:
    return _file(folder, _single(applications()))


def _growing(scaling: Mapping[str, Any], folder: Path) -> Path:
    config = _only(applications(), "collection", "gateway")
    (gateway,) = config["applications"][1]["deployments"]
    gateway["autoscaling_config"] |= scaling
    gateway.pop("max_replicas_per_node")  # there is one node of the pool
    return _file(folder, config)


def _small(folder: Path) -> Path:
    config = _single(_only(applications(), "collection", "gateway", "streams-sse"))
    for one in (one for application in config["applications"] for one in application["deployments"]):
        one.pop("ray_actor_options")
    return _file(folder, config)


def _single(config: dict[str, Any]) -> dict[str, Any]:
    """One replica of what has two."""
    for one in (one for application in config["applications"] for one in application["deployments"]):
        if one.get("num_replicas", 1) > 1:
            one["num_replicas"] = 1
        if one["name"] == "Gateway":
            one["autoscaling_config"] |= {"min_replicas": 1, "max_replicas": 1}
    return config


def _only(config: dict[str, Any], *kept: str) -> dict[str, Any]:
    config["proxy_location"] = "HeadOnly"
    config["applications"] = [one for one in config["applications"] if one["name"] in kept]
    return config


def _file(folder: Path, config: dict[str, Any]) -> Path:
    path = folder / "applications.yaml"
    path.write_text(yaml.safe_dump(config))
    return path
