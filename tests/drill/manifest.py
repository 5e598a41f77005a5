"""What the manifests say of a cluster: its pools, its applications, which pool each deployment asks for."""

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


def written(folder: Path) -> Path:
    """The applications as a file for one machine: one replica of what has two."""
    config = applications()
    for one in (one for application in config["applications"] for one in application["deployments"]):
        if one.get("num_replicas", 1) > 1:
            one["num_replicas"] = 1
        if one["name"] == "Gateway":
            one["autoscaling_config"] |= {"min_replicas": 1, "max_replicas": 1}
    return _file(folder, config)


def growing(folder: Path, scaling: dict[str, Any]) -> Path:
    """Collection and a gateway behind one HAProxy, that grows from 2 to 6 at less than in the manifests."""
    config = applications()
    config["proxy_location"] = "HeadOnly"
    kept = ("collection", "gateway")
    config["applications"] = [one for one in config["applications"] if one["name"] in kept]
    (gateway,) = config["applications"][1]["deployments"]
    gateway["autoscaling_config"] |= scaling
    gateway.pop("max_replicas_per_node")  # there is one node of the pool
    return _file(folder, config)


def _file(folder: Path, config: dict[str, Any]) -> Path:
    path = folder / "applications.yaml"
    path.write_text(yaml.safe_dump(config))
    return path
