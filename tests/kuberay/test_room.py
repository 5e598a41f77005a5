"""Whether the pods have room for what Ray is to put into them: a replica without room waits for ever."""

from collections import Counter
from typing import Any

import pytest
import yaml

from ray_app.runtime.supervisor import Supervisor
from ray_app.serve.ingress import EventStreams, Gateway, Sockets
from tests.kuberay.manifests import cluster_of, groups, rayservice
from tests.kuberay.policy import quantity

COLLECTOR = 0.05  # CPUs of each collector, which follows the Supervisor; its keeper has none


def cpus_of(deployment: str) -> float:
    """What the code says that a replica takes."""
    deployments: tuple[Any, ...] = (Supervisor, Gateway, Sockets, EventStreams)
    (cpus,) = (one.ray_actor_options["num_cpus"] for one in deployments if one.name == deployment)
    return float(cpus)


@pytest.mark.parametrize("build", ["overlays/local", "overlays/production"])
@pytest.mark.parametrize(
    ("pods", "replicas"), [("minReplicas", "min_replicas"), ("maxReplicas", "max_replicas")]
)
def test_each_pool_has_the_cpus_for_what_asks_for_it(build: str, pods: str, replicas: str):
    """The fewest pods hold what always runs, the most of them all that may run."""
    one = rayservice(build)
    cpus = {
        group["labels"]["pool"]: quantity(requests["cpu"]) * group[pods]
        for group in groups(one)
        for requests in [group["template"]["spec"]["containers"][0]["resources"]["requests"]]
    }
    wanted = Counter[str]()
    for application in yaml.safe_load(one["spec"]["serveConfigV2"])["applications"]:
        for deployment in application["deployments"]:
            options, scaling = deployment["ray_actor_options"], deployment.get("autoscaling_config")
            count = scaling[replicas] if scaling else deployment["num_replicas"]
            each = options.get("num_cpus", 1) + COLLECTOR * (deployment["name"] == "Supervisor")
            wanted[options["label_selector"]["pool"]] += count * each
    assert set(wanted) == {"api", "collect"}
    assert {pool: count for pool, count in wanted.items() if round(count, 6) > cpus[pool]} == {}
    assert pods == "maxReplicas" or cpus["gpu"] == 0
    assert cluster_of(one)["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
