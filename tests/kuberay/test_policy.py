"""Each rule of policy.py sees what it is for; and who may talk to whom, worked out from the network policies."""

import ipaddress
from collections.abc import Callable
from typing import Any

import pytest

from tests.kuberay.manifests import Object, objects
from tests.kuberay.policy import QUANTITY, of_kind, quantity, selects, violations

API, COLLECT, HEAD, BATCH = (
    {"app.kubernetes.io/name": "crypto-data", "crypto-data/pool": pool}
    for pool in ("api", "collect", "head", "batch")
)
SPACE = "kubernetes.io/metadata.name"
INSIDE = ("10.1.2.3", "172.20.0.1", "192.168.1.1", "100.64.0.1", "127.0.0.1")
Change = Callable[[dict[str, Object]], Any]


def named(found: list[Object]) -> dict[str, Object]:
    return {f"{one['kind']}/{one['metadata']['name']}": one for one in found}


def head(o: dict[str, Object]) -> Any:
    return o["RayService/crypto-data"]["spec"]["rayClusterConfig"]["headGroupSpec"]["template"]


def worker(o: dict[str, Object]) -> Any:
    return o["RayService/crypto-data"]["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]


def serve(o: dict[str, Object], old: str, new: str) -> None:
    spec = o["RayService/crypto-data"]["spec"]
    spec["serveConfigV2"] = spec["serveConfigV2"].replace(old, new)


def pod(o: dict[str, Object]) -> Any:
    return worker(o)["template"]["spec"]


def box(o: dict[str, Object]) -> Any:
    return pod(o)["containers"][0]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda o: o["Service/mysql"]["metadata"].pop("namespace"), "Service mysql is in namespace None"),
        (lambda o: o["Namespace/crypto-data-collection"]["metadata"].update(namespace="x"), "has no namespace"),
        (lambda o: o["RoleBinding/releaser"]["subjects"][0].pop("namespace"), "binds a service account without"),
        (lambda o: o["RayService/crypto-data"]["metadata"].update(name="c" * 48), "at most 47 letters"),
        (lambda o: worker(o).update(groupName="API"), "'API' is no name"),
        (lambda o: box(o)["resources"]["requests"].update(cpu="2cores"), "'2cores' is no quantity"),
        (lambda o: box(o)["resources"]["requests"].update(memory="5Gi"), "asks for more memory than its limit"),
        (lambda o: box(o)["resources"].pop("limits"), "memory asked for and its limit must be equal"),
        (lambda o: box(o)["ports"].append({"name": "again", "containerPort": 8000}), "a containerPort of its ports"),
        (lambda o: box(o)["ports"].append({"name": "a-name-too-long-for-it", "containerPort": 1}), "no name of a port"),
        (lambda o: box(o).update(env=[{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]), "a variable twice"),
        (lambda o: o["Service/redis"]["spec"]["ports"].append({"name": "b", "port": 6379}), "redis: a port twice"),
        (lambda o: pod(o)["volumes"].pop(0), "mounts tmp, which it does not have"),
        (lambda o: pod(o)["volumes"][-1]["persistentVolumeClaim"].update(claimName="row"), "no claim row"),
        (lambda o: box(o)["envFrom"][0]["configMapRef"].update(name="settings"), "no ConfigMap settings"),
        (lambda o: pod(o).update(serviceAccountName="default"), "no ServiceAccount default"),
        (lambda o: pod(o).update(priorityClassName="high"), "no PriorityClass high"),
        (lambda o: o["RoleBinding/releaser"]["roleRef"].update(name="releasers"), "no Role releasers"),
        (lambda o: o["PodDisruptionBudget/api"]["spec"]["selector"]["matchLabels"].update({"crypto-data/pool": "apis"}),
         "PodDisruptionBudget api selects no pod"),
        (lambda o: o["NetworkPolicy/upstreams"]["spec"]["podSelector"]["matchExpressions"][0]["values"].append("all"),
         "selects crypto-data/pool all, which no pod has"),
        (lambda o: o["PodMonitor/ray"]["spec"]["podMetricsEndpoints"][0].update(port="metric"), "not there: metric"),
        (lambda o: o["ServiceMonitor/node"]["spec"]["endpoints"][0].update(port="http"), "not there: http"),
        (lambda o: o["ServiceMonitor/node"]["spec"]["selector"]["matchLabels"].update(a="b"), "does not select"),
        (lambda o: o["EndpointSlice/mysql-outside"]["ports"][0].update(name="sql"), "other ports than its Service"),
        (lambda o: o["NetworkPolicy/head"]["spec"].update(policyTypes=["Ingress"]), "policyTypes and rules differ"),
        (lambda o: o["NetworkPolicy/head"]["spec"]["egress"][0].pop("to"), "open to everyone"),
        (lambda o: o["NetworkPolicy/upstreams"]["spec"]["egress"][0]["to"][0]["ipBlock"]["except"].append("fe80::/10"),
         "fe80::/10 is no part of 0.0.0.0/0"),
        (lambda o: worker(o).update(minReplicas=4), "4 to 3 is no range"),
        (lambda o: serve(o, "max_replicas: 6", "max_replicas: 1"), "Gateway: min over max replicas"),
        (lambda o: serve(o, "max_replicas_per_node: 2", "num_replicas: 2"), "num_replicas beside autoscaling_config"),
        (lambda o: o["PodDisruptionBudget/api"]["spec"].update(minAvailable=3), "wants 3 pods of 2"),
        (lambda o: o["PodDisruptionBudget/api"]["spec"].update(minAvailable="50%"), "need a whole number"),
        (lambda o: o["Role/releaser"]["rules"][0].update(verbs=[]), "a rule without verbs"),
        (lambda o: o["Role/releaser"]["rules"][0].update(verbs=["*"]), "a rule for everything"),
        (lambda o: o["Role/releaser"]["rules"][3]["resources"].append("secrets"), "may use secrets"),
        (lambda o: head(o)["spec"]["securityContext"].pop("runAsNonRoot"), "runs as root"),
        (lambda o: head(o)["spec"].update(hostNetwork=True), "uses the node's own"),
        (lambda o: head(o)["spec"]["containers"][0]["securityContext"].update(capabilities={"add": ["SYS_PTRACE"]}),
         "is not confined"),
        (lambda o: head(o)["spec"]["containers"][0].update(image="crypto-data:latest"), "names no version"),
        (lambda o: box(o).update(readinessProbe={"httpGet": {"path": "/ready", "port": 8000}}), "reads the database"),
        (lambda o: pod(o).pop("nodeSelector"), "not bound to the data node"),
        (lambda o: pod(o)["tolerations"].append({"operator": "Exists"}), "tolerates another taint"),
        (lambda o: pod(o).pop("terminationGracePeriodSeconds"), "ends before it is drained"),
        (lambda o: o["HTTPRoute/data-api"]["spec"]["parentRefs"][0].update(name="api"), "no Gateway api"),
        (lambda o: o["HTTPRoute/data-api"]["spec"]["rules"][0]["backendRefs"][0].update(port=80), "nothing serves at"),
        (lambda o: o["Gateway/data-api"]["spec"]["listeners"][0].update(protocol="HTTP"), "not TLS with a certificate"),
    ],
)  # fmt: skip
def test_a_rule_sees(change: Change, expected: str):
    found = objects("overlays/production")
    change(named(found))
    assert any(expected in text for text in violations(found)), violations(found)


@pytest.mark.parametrize(("text", "number"), [("2", 2), ("100m", 0.1), ("1.5Gi", 1.5 * 2**30), ("3k", 3000)])
def test_quantities_are_read(text: str, number: float):
    assert QUANTITY.fullmatch(text)
    assert float(quantity(text)) == pytest.approx(number)


def peer_matches(peer: Object, *, labels: Object | None, namespace: str | None, address: str | None) -> bool:
    if "ipBlock" in peer:
        if address is None:
            return False
        ip, block = ipaddress.ip_address(address), peer["ipBlock"]
        nets = [ipaddress.ip_network(text) for text in (block["cidr"], *block.get("except", ()))]
        inside = [ip.version == net.version and ip in net for net in nets]
        return inside[0] and not any(inside[1:])
    if labels is None:
        return False
    inside_of = peer.get("namespaceSelector", {"matchLabels": {SPACE: "crypto-data-collection"}})
    return selects(inside_of, {SPACE: namespace}) and selects(peer.get("podSelector", {}), labels)


def allowed(direction: str, of: Object, port: int, *, labels: Object | None = None, namespace: str | None = None,
            address: str | None = None, build: str = "overlays/local") -> bool:  # fmt: skip
    """Whether the policies of a build let a connection in or out of a pod with the labels `of`."""
    side = {"ingress": "from", "egress": "to"}[direction]
    for one in of_kind(objects(build), "NetworkPolicy"):
        if direction.capitalize() in one["spec"]["policyTypes"] and selects(one["spec"]["podSelector"], of):
            for rule in one["spec"].get(direction, ()):
                if "ports" in rule and port not in [p["port"] for p in rule["ports"]]:
                    continue
                if any(
                    peer_matches(p, labels=labels, namespace=namespace, address=address) for p in rule[side]
                ):
                    return True
    return False


MYSQL, REDIS, APISERVER = ("192.168.65.254", 3306), ("192.168.65.254", 6379), ("192.168.65.3", 6443)
METADATA = ("169.254.169.254", 443)


@pytest.mark.parametrize(
    ("of", "address", "port", "may"),
    [
        (COLLECT, "104.18.1.1", 443, True),
        (COLLECT, "2606:4700::1111", 443, True),
        (BATCH, "104.18.1.1", 443, True),
        (COLLECT, "104.18.1.1", 80, False),
        (COLLECT, *METADATA, False),
        (COLLECT, "fd00:ec2::254", 443, False),
        (COLLECT, "::ffff:169.254.169.254", 443, False),
        *[(COLLECT, address, 443, False) for address in INSIDE],
        *[(pool, *MYSQL, True) for pool in (API, COLLECT, BATCH)],
        *[(pool, *REDIS, True) for pool in (API, COLLECT, HEAD, BATCH)],
        (HEAD, *MYSQL, False),
        (HEAD, *APISERVER, True),
        (API, *APISERVER, False),
        (API, "104.18.1.1", 443, False),
        (HEAD, "104.18.1.1", 443, False),
        (COLLECT, "192.168.65.254", 22, False),
        ({"app": "else"}, *MYSQL, False),
    ],
)  # fmt: skip
def test_where_a_pod_may_go(of: Object, address: str, port: int, may: bool):
    assert allowed("egress", of, port, address=address) is may


OPERATOR, PROMETHEUS = (
    {"app.kubernetes.io/name": "kuberay-operator"},
    {"app.kubernetes.io/name": "prometheus"},
)


@pytest.mark.parametrize(
    ("of", "port", "namespace", "labels", "may"),
    [
        (API, 8000, "trading", {}, True),
        (API, 8000, "analytics", {"any": "label"}, True),
        (API, 8000, "default", {}, False),
        (API, 6379, "trading", {}, False),
        (HEAD, 8000, "trading", {}, False),
        (HEAD, 8265, "trading", {}, False),
        (HEAD, 8265, "kuberay", OPERATOR, True),
        (API, 8000, "kuberay", OPERATOR, True),
        (HEAD, 6379, "kuberay", OPERATOR, False),
        (HEAD, 8080, "monitoring", PROMETHEUS, True),
        (API, 8265, "monitoring", PROMETHEUS, False),
        (HEAD, 6379, "crypto-data-collection", API, True),
        (API, 8000, "crypto-data-collection", {"app": "else"}, False),
    ],
)
def test_who_may_come_in(of: Object, port: int, namespace: str, labels: Object, may: bool):
    assert allowed("ingress", of, port, labels=labels, namespace=namespace) is may


def test_production_lets_its_gateway_in_and_keeps_its_own_clients():
    build = "overlays/production"
    assert allowed("ingress", API, 8000, labels={}, namespace="envoy-gateway-system", build=build)
    assert allowed("ingress", API, 8000, address="10.3.4.5", build=build)
    assert not allowed("ingress", API, 8000, address="203.0.113.5", build=build)
    assert allowed("ingress", API, 8000, labels={}, namespace="trading", build=build)


def test_everyone_asks_for_names():
    dns = {"k8s-app": "kube-dns"}
    assert allowed("egress", {"app": "else"}, 53, labels=dns, namespace="kube-system")
    assert not allowed("egress", {"app": "else"}, 53, labels={}, namespace="kube-system")
