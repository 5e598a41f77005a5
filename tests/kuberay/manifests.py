"""The manifests as kustomize builds them, and the pods that are hidden in custom resources."""

import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

REPO = Path(__file__).parents[2]
KUBERAY = REPO / "kuberay"
KUBECTL = Path(sys.executable).parent / "kubectl"
BUILDS = ("overlays/local", "overlays/production", "jobs/backfill", "jobs/backup")
NAMESPACE = "crypto-data-collection"
Object = dict[str, Any]


@cache
def built(folder: str) -> str:
    run = subprocess.run(
        [KUBECTL, "kustomize", KUBERAY / folder], capture_output=True, text=True, check=False, timeout=60
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def objects(folder: str) -> list[Object]:
    """Read anew each time, so that a test may change them."""
    return [one for one in yaml.load_all(built(folder), Loader=yaml.CSafeLoader) if one]


def rayservice(folder: str = "overlays/local") -> Object:
    (one,) = (one for one in objects(folder) if one["kind"] == "RayService")
    return one


def cluster_of(one: Object) -> Any:
    """The Ray cluster of a RayService or a RayJob; None of anything else."""
    place = {"RayService": "rayClusterConfig", "RayJob": "rayClusterSpec"}.get(one["kind"])
    return one["spec"][place] if place else None


def groups(one: Object) -> Iterator[Object]:
    """Head group and worker groups."""
    if cluster := cluster_of(one):
        yield {"groupName": "head", "minReplicas": 1, "maxReplicas": 1, **cluster["headGroupSpec"]}
        yield from cluster.get("workerGroupSpecs", ())


def pods(one: Object) -> Iterator[Object]:
    """The pod templates of an object, lifted out as Pods."""
    templates = [(group["groupName"], group["template"]) for group in groups(one)]
    if template := one.get("spec", {}).get("submitterPodTemplate"):
        templates.append(("submitter", template))
    if one["kind"] == "CronJob":
        templates.append(("job", one["spec"]["jobTemplate"]["spec"]["template"]))
    for name, template in templates:
        metadata = {"name": f"{one['metadata']['name']}-{name}", "namespace": one["metadata"]["namespace"]}
        yield {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": metadata | template.get("metadata", {}),
            "spec": template["spec"],
        }


def all_pods(found: list[Object]) -> list[Object]:
    return [pod for one in found for pod in pods(one)]
