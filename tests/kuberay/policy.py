"""What a real API server or KubeRay's operator would refuse, or would let run wrongly, and schemas do not see.

Each rule takes the objects of one build and gives a sentence for each violation.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import yaml

from tests.kuberay.manifests import NAMESPACE, Object, all_pods, cluster_of, groups, pods

CLUSTER_WIDE = {"Namespace", "PriorityClass", "ClusterRole", "ClusterRoleBinding"}
QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?")
SCALE: dict[str, Decimal] = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    **{unit: Decimal(1000 ** (n + 1)) for n, unit in enumerate("kMGTP")},
    **{f"{unit}i": Decimal(1024 ** (n + 1)) for n, unit in enumerate("KMGTP")},
}
NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
TAINT = {"key": "dedicated", "value": "cryptoai-data-collection"}
TABOO = {"secrets", "pods/exec", "pods/attach", "serviceaccounts/token", "impersonate", "escalate", "bind"}
Rule = Callable[[list[Object]], Iterator[str]]


def name_of(one: Object) -> str:
    return f"{one['kind']} {one['metadata']['name']}"


def quantity(text: Any) -> Decimal:
    """A quantity as a number. Raises ValueError."""
    match = QUANTITY.fullmatch(str(text))
    if match is None:
        raise ValueError(f"{text!r} is no quantity")
    return Decimal(match[1]) * SCALE[match[2] or ""]


def of_kind(found: list[Object], *kinds: str) -> list[Object]:
    return [one for one in found if one["kind"] in kinds]


def containers(pod: Object) -> list[Object]:
    return [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]


def selects(selector: Object, labels: Object) -> bool:
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    for one in selector.get("matchExpressions", ()):
        inside = labels.get(one["key"]) in one.get("values", ())
        if not {"In": inside, "NotIn": not inside, "Exists": one["key"] in labels}[one["operator"]]:
            return False
    return True


def namespaces(found: list[Object]) -> Iterator[str]:
    """Each object is in the one namespace, or of a kind that has none."""
    for one in found:
        namespace = one["metadata"].get("namespace")
        if one["kind"] in CLUSTER_WIDE and namespace:
            yield f"{name_of(one)} has no namespace"
        elif one["kind"] not in CLUSTER_WIDE and namespace != NAMESPACE:
            yield f"{name_of(one)} is in namespace {namespace!r}"
        for subject in one.get("subjects", ()):
            if subject["kind"] == "ServiceAccount" and subject.get("namespace") != NAMESPACE:
                yield f"{name_of(one)} binds a service account without the namespace"


def names(found: list[Object]) -> Iterator[str]:
    """No object twice, and names that fit with what KubeRay adds to them."""
    seen = [(one["apiVersion"], name_of(one)) for one in found]
    for twice in sorted({one for one in seen if seen.count(one) > 1}):
        yield f"{twice[1]} twice"
    for one in found:
        if cluster_of(one) is not None:
            if not NAME.fullmatch(one["metadata"]["name"]) or len(one["metadata"]["name"]) > 47:
                yield f"{name_of(one)}: KubeRay makes longer names of it, at most 47 letters"
            for group in groups(one):
                if not NAME.fullmatch(group["groupName"]):
                    yield f"{name_of(one)}: group {group['groupName']!r} is no name"


def quantities(found: list[Object]) -> Iterator[str]:
    """Quantities can be read, requests are not over limits, and memory is bounded by what is asked for."""
    for pod in all_pods(found):
        for one in containers(pod):
            where = f"{name_of(pod)}, {one['name']}"
            resources = one.get("resources", {})
            amounts: dict[str, dict[str, Decimal]] = {"requests": {}, "limits": {}}
            for part, read in amounts.items():
                for key, text in resources.get(part, {}).items():
                    try:
                        read[key] = quantity(text)
                    except ValueError as error:
                        yield f"{where}: {part} {key}: {error}"
            requests, limits = amounts["requests"], amounts["limits"]
            for key in requests.keys() & limits.keys():
                if requests[key] > limits[key]:
                    yield f"{where}: asks for more {key} than its limit"
            if requests.get("memory") != limits.get("memory") or "memory" not in limits:
                yield f"{where}: memory asked for and its limit must be equal, or the node runs out of it"
            for key in limits:
                if "/" in key and requests.get(key) != limits[key]:
                    yield f"{where}: {key} cannot be asked for and limited differently"


def ports_and_env(found: list[Object]) -> Iterator[str]:
    """No port and no variable twice; names of ports fit."""
    for pod in all_pods(found):
        for one in containers(pod):
            where = f"{name_of(pod)}, {one['name']}"
            ports = one.get("ports", [])
            for key in ("name", "containerPort"):
                values = [port.get(key) for port in ports]
                if len(set(values)) < len(values):
                    yield f"{where}: a {key} of its ports twice"
            for port in ports:
                if not NAME.fullmatch(port["name"]) or len(port["name"]) > 15:
                    yield f"{where}: {port['name']!r} is no name of a port"
            variables = [variable["name"] for variable in one.get("env", [])]
            if len(set(variables)) < len(variables):
                yield f"{where}: a variable twice"
    for one in of_kind(found, "Service"):
        numbers = [(port.get("protocol", "TCP"), port["port"]) for port in one["spec"]["ports"]]
        if len(set(numbers)) < len(numbers):
            yield f"{name_of(one)}: a port twice"


def volumes(found: list[Object]) -> Iterator[str]:
    """Each mount has its volume, each claim exists here, no path twice."""
    claims = {one["metadata"]["name"] for one in of_kind(found, "PersistentVolumeClaim")}
    for pod in all_pods(found):
        known = [volume["name"] for volume in pod["spec"].get("volumes", ())]
        if len(set(known)) < len(known):
            yield f"{name_of(pod)}: a volume twice"
        for one in containers(pod):
            mounts = one.get("volumeMounts", ())
            for mount in mounts:
                if mount["name"] not in known:
                    yield f"{name_of(pod)}: mounts {mount['name']}, which it does not have"
            paths = [mount["mountPath"] for mount in mounts]
            if len(set(paths)) < len(paths):
                yield f"{name_of(pod)}: two mounts at one path"
        for volume in pod["spec"].get("volumes", ()):
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            if claim and claims and claim not in claims:
                yield f"{name_of(pod)}: no claim {claim}"


def references(found: list[Object]) -> Iterator[str]:
    """Maps, accounts and priorities that pods name are made here."""
    made = {kind: {one["metadata"]["name"] for one in of_kind(found, kind)} for kind in
            ("ConfigMap", "ServiceAccount", "PriorityClass", "Role", "ClusterRole")}  # fmt: skip
    for pod in all_pods(found):
        spec = pod["spec"]
        for one in containers(pod):
            for source in one.get("envFrom", ()):
                if (name := source.get("configMapRef", {}).get("name")) and name not in made["ConfigMap"]:
                    yield f"{name_of(pod)}: no ConfigMap {name}"
        if made["ServiceAccount"]:
            if spec.get("serviceAccountName") not in made["ServiceAccount"]:
                yield f"{name_of(pod)}: no ServiceAccount {spec.get('serviceAccountName')}"
            if spec.get("priorityClassName") not in made["PriorityClass"]:
                yield f"{name_of(pod)}: no PriorityClass {spec.get('priorityClassName')}"
    for one in of_kind(found, "RoleBinding", "ClusterRoleBinding"):
        if one["roleRef"]["name"] not in made[one["roleRef"]["kind"]]:
            yield f"{name_of(one)}: no {one['roleRef']['kind']} {one['roleRef']['name']}"
        for subject in one["subjects"]:
            if subject["kind"] == "ServiceAccount" and subject["name"] not in made["ServiceAccount"]:
                yield f"{name_of(one)}: no ServiceAccount {subject['name']}"


def selectors(found: list[Object]) -> Iterator[str]:
    """Policies, budgets and monitors select pods that there are."""
    everyone = all_pods(found)
    for one in of_kind(found, "NetworkPolicy", "PodDisruptionBudget", "PodMonitor"):
        selector = one["spec"].get("podSelector", one["spec"].get("selector", {}))
        if not any(selects(selector, pod["metadata"].get("labels", {})) for pod in everyone):
            yield f"{name_of(one)} selects no pod"
        for wanted in selector.get("matchExpressions", ()):
            values = {pod["metadata"]["labels"].get(wanted["key"]) for pod in everyone} | {"batch"}
            if strange := set(wanted.get("values", ())) - values:
                yield f"{name_of(one)} selects {wanted['key']} {', '.join(sorted(strange))}, which no pod has"
    for one in of_kind(found, "ServiceMonitor"):
        offered = [s["spec"]["serveService"] for s in of_kind(found, "RayService")]
        for service in offered:
            if not selects(one["spec"]["selector"], service["metadata"].get("labels", {})):
                yield f"{name_of(one)} does not select {service['metadata']['name']}"
            known = {port["name"] for port in service["spec"]["ports"]}
            if strange := {end["port"] for end in one["spec"]["endpoints"]} - known:
                yield f"{name_of(one)} asks at a port that is not there: {', '.join(sorted(strange))}"
    for one in of_kind(found, "PodMonitor"):
        known = {port["name"] for pod in everyone for c in containers(pod) for port in c.get("ports", ())}
        if strange := {end["port"] for end in one["spec"]["podMetricsEndpoints"]} - known:
            yield f"{name_of(one)} asks at a port that is not there: {', '.join(sorted(strange))}"
    services = {one["metadata"]["name"]: one for one in of_kind(found, "Service")}
    for one in of_kind(found, "EndpointSlice"):
        service = services.get(one["metadata"]["labels"]["kubernetes.io/service-name"])
        if service is None:
            yield f"{name_of(one)} belongs to no Service"
        elif [(p["name"], p["port"]) for p in one["ports"]] != [
            (p["name"], p.get("targetPort", p["port"])) for p in service["spec"]["ports"]
        ]:
            yield f"{name_of(one)} has other ports than its Service"


def policies(found: list[Object]) -> Iterator[str]:
    """A policy's types are those it has rules for; ranges are ranges, and exceptions lie within them."""
    for one in of_kind(found, "NetworkPolicy"):
        spec = one["spec"]
        types, empty = set(spec["policyTypes"]), not ({"ingress", "egress"} & set(spec))
        if not empty and types != {part.capitalize() for part in ("ingress", "egress") if part in spec}:
            yield f"{name_of(one)}: policyTypes and rules differ"
        for rule in [*spec.get("ingress", ()), *spec.get("egress", ())]:
            peers = [*rule.get("from", ()), *rule.get("to", ())]
            if not peers:
                yield f"{name_of(one)}: a rule without a peer is open to everyone"
            for peer in peers:
                if (block := peer.get("ipBlock")) is None:
                    continue
                if len(peer) > 1:
                    yield f"{name_of(one)}: an ipBlock stands alone"
                net = ipaddress.ip_network(block["cidr"])
                for text in block.get("except", ()):
                    inner: Any = ipaddress.ip_network(text)
                    if inner.version != net.version or not inner.subnet_of(net) or inner == net:
                        yield f"{name_of(one)}: {text} is no part of {block['cidr']}"


def replicas(found: list[Object]) -> Iterator[str]:
    """Groups and deployments: least, present and most in this order; a budget leaves what it says."""
    for one in found:
        for group in groups(one):
            least, most = group["minReplicas"], group["maxReplicas"]
            if not least <= group.get("replicas", least) <= most:
                yield f"{name_of(one)}, group {group['groupName']}: {least} to {most} is no range for its replicas"
    for one in of_kind(found, "RayService"):
        for application in yaml.safe_load(one["spec"]["serveConfigV2"])["applications"]:
            for deployment in application["deployments"]:
                if scaling := deployment.get("autoscaling_config"):
                    if "num_replicas" in deployment:
                        yield f"{deployment['name']}: num_replicas beside autoscaling_config"
                    first = scaling.get("initial_replicas", scaling["min_replicas"])
                    if not scaling["min_replicas"] <= first <= scaling["max_replicas"]:
                        yield f"{deployment['name']}: min over max replicas"
    labels = [
        (pod["metadata"]["labels"], group["minReplicas"])
        for one in found
        for group, pod in zip(groups(one), pods(one), strict=False)
    ]
    for one in of_kind(found, "PodDisruptionBudget"):
        least = sum(n for has, n in labels if selects(one["spec"]["selector"], has))
        wanted = one["spec"].get("minAvailable")
        if not isinstance(wanted, int) or "maxUnavailable" in one["spec"]:
            yield f"{name_of(one)}: pods of a custom resource need a whole number in minAvailable"
        elif wanted > least:
            yield f"{name_of(one)}: wants {wanted} pods of {least}"


def rights(found: list[Object]) -> Iterator[str]:
    """Rules name what they allow, and nobody may read Secrets or run as somebody else."""
    for one in of_kind(found, "Role", "ClusterRole"):
        for rule in one["rules"]:
            if not rule.get("verbs") or not rule.get("resources") or "apiGroups" not in rule:
                yield f"{name_of(one)}: a rule without verbs, resources or groups"
            words = {*rule.get("verbs", ()), *rule.get("resources", ()), *rule.get("apiGroups", ())}
            if "*" in words:
                yield f"{name_of(one)}: a rule for everything"
            if forbidden := words & TABOO:
                yield f"{name_of(one)}: may use {', '.join(sorted(forbidden))}"


def confinement(found: list[Object]) -> Iterator[str]:
    """Pods are confined, end later than they drain, and go to the data node only."""
    for pod in all_pods(found):
        spec, where = pod["spec"], name_of(pod)
        inner = spec.get("securityContext", {})
        seccomp = inner.get("seccompProfile") == {"type": "RuntimeDefault"}
        if not (inner.get("runAsNonRoot") and inner.get("runAsUser") and seccomp):
            yield f"{where}: runs as root or without seccomp"
        if any(spec.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")) or any(
            "hostPath" in volume for volume in spec.get("volumes", ())
        ):
            yield f"{where}: uses the node's own"
        for one in containers(pod):
            context = one.get("securityContext", {})
            if (
                context.get("allowPrivilegeEscalation") is not False
                or context.get("readOnlyRootFilesystem") is not True
                or context.get("capabilities") != {"drop": ["ALL"]}
            ):
                yield f"{where}, {one['name']}: is not confined"
            if not any(mount["mountPath"] == "/tmp" for mount in one.get("volumeMounts", ())):
                yield f"{where}, {one['name']}: has no /tmp to write to"
            tag = one["image"].rpartition("/")[2].partition(":")[2]
            if tag in ("", "latest"):
                yield f"{where}, {one['name']}: {one['image']} names no version"
            for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
                if any(route in str(one.get(probe, "")) for route in ("/ready", "/api/v1", "/metrics")):
                    yield f"{where}, {one['name']}: its {probe} reads the database"
        if spec.get("nodeSelector") != {"node-type": "cryptoai-data-collection"}:
            yield f"{where}: is not bound to the data node"
        if spec.get("tolerations") != [{**TAINT, "operator": "Equal", "effect": "NoSchedule"}]:
            yield f"{where}: tolerates another taint than the data node's"
        if "submitter" not in where and spec.get("terminationGracePeriodSeconds", 30) < 120:
            yield f"{where}: ends before it is drained"


def gateways(found: list[Object]) -> Iterator[str]:
    """A route hangs on a gateway that is there and leads to the API; TLS has a certificate."""
    listeners = {one["metadata"]["name"]: one["spec"]["listeners"] for one in of_kind(found, "Gateway")}
    for name, listening in listeners.items():
        for one in listening:
            if one["protocol"] != "HTTPS" or not one.get("tls", {}).get("certificateRefs"):
                yield f"Gateway {name}: its listener {one['name']} is not TLS with a certificate"
    served = {
        (service["metadata"]["name"], port["port"])
        for one in of_kind(found, "RayService")
        for service in [one["spec"]["serveService"]]
        for port in service["spec"]["ports"]
    }
    for one in of_kind(found, "HTTPRoute"):
        for parent in one["spec"]["parentRefs"]:
            if parent["name"] not in listeners:
                yield f"{name_of(one)}: no Gateway {parent['name']}"
        for rule in one["spec"]["rules"]:
            for backend in rule["backendRefs"]:
                if (backend["name"], backend["port"]) not in served:
                    yield f"{name_of(one)}: nothing serves at {backend['name']}:{backend['port']}"


RULES: tuple[Rule, ...] = (
    namespaces, names, quantities, ports_and_env, volumes, references, selectors, policies, replicas, rights,
    confinement, gateways,
)  # fmt: skip


def violations(found: list[Object]) -> list[str]:
    return [text for rule in RULES for text in rule(found)]
