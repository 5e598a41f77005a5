"""Kubernetes objects as plain dictionaries: read strictly, put in order, stamped with a release, compared."""

import difflib
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import yaml

from ray_app.kube.errors import Rejected

Object = dict[str, Any]
# What there is, and in which order it is applied: what others need comes first, the RayService last.
KINDS: dict[tuple[str, str], tuple[str, bool]] = {
    ("v1", "Namespace"): ("namespaces", False),
    ("scheduling.k8s.io/v1", "PriorityClass"): ("priorityclasses", False),
    ("v1", "ResourceQuota"): ("resourcequotas", True),
    ("v1", "LimitRange"): ("limitranges", True),
    ("v1", "ServiceAccount"): ("serviceaccounts", True),
    ("rbac.authorization.k8s.io/v1", "Role"): ("roles", True),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): ("rolebindings", True),
    ("rbac.authorization.k8s.io/v1", "ClusterRole"): ("clusterroles", False),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"): ("clusterrolebindings", False),
    ("networking.k8s.io/v1", "NetworkPolicy"): ("networkpolicies", True),
    ("external-secrets.io/v1", "ExternalSecret"): ("externalsecrets", True),
    ("v1", "ConfigMap"): ("configmaps", True),
    ("v1", "PersistentVolumeClaim"): ("persistentvolumeclaims", True),
    ("v1", "Service"): ("services", True),
    ("discovery.k8s.io/v1", "EndpointSlice"): ("endpointslices", True),
    ("policy/v1", "PodDisruptionBudget"): ("poddisruptionbudgets", True),
    ("gateway.networking.k8s.io/v1", "Gateway"): ("gateways", True),
    ("gateway.networking.k8s.io/v1", "HTTPRoute"): ("httproutes", True),
    ("monitoring.coreos.com/v1", "PodMonitor"): ("podmonitors", True),
    ("monitoring.coreos.com/v1", "ServiceMonitor"): ("servicemonitors", True),
    ("monitoring.coreos.com/v1", "PrometheusRule"): ("prometheusrules", True),
    ("ray.io/v1", "RayService"): ("rayservices", True),
    # Only looked at:
    ("v1", "Pod"): ("pods", True),
    ("v1", "Event"): ("events", True),
    ("v1", "Node"): ("nodes", False),
}
OPERATORS = {
    "ray.io": "KubeRay's operator 1.7",
    "monitoring.coreos.com": "the Prometheus operator (or leave out the component `scraping`)",
    "external-secrets.io": "the External Secrets operator (or leave out the component `external-secrets`)",
    "gateway.networking.k8s.io": "Gateway API (or leave out gateway.yaml)",
}
DOCUMENTS_OWN = re.compile(r"192\.0\.2\.\d+|\bexample\.(?:com|org|net)\b|<[a-z][^<>\n]*>")
IMAGE = re.compile(r"[\w./:-]+?:(?P<tag>[\w][\w.-]{0,127})(?:@sha256:[0-9a-f]{64})?")


class Key(NamedTuple):
    api_version: str
    kind: str
    namespace: str  # "" for what has none
    name: str

    @property
    def namespaced(self) -> bool:
        return KINDS[self.api_version, self.kind][1]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def key_of(one: Object) -> Key:
    metadata = one["metadata"]
    return Key(one["apiVersion"], one["kind"], metadata.get("namespace", ""), metadata["name"])


LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same, twenty times as fast


def read(text: str) -> list[Object]:
    """The objects of a multi-document YAML, in the order in which they are applied. Raises Rejected."""
    try:
        return checked([one for one in yaml.load_all(text, Loader=LOADER) if one])  # it is a safe one
    except yaml.YAMLError as error:
        raise Rejected(f"the manifests are no YAML: {error}") from None


def checked(found: Sequence[Any]) -> list[Object]:
    """Objects in the order in which they are applied. Raises Rejected where they are none, or not ours to apply."""
    problems = list(_problems(found))
    if problems:
        raise Rejected(*problems)
    order = list(KINDS)
    return sorted(found, key=lambda one: order.index((one["apiVersion"], one["kind"])))


def _problems(found: Sequence[Any]) -> Iterator[str]:
    seen = set()
    for number, one in enumerate(found):
        if not isinstance(one, dict) or not {"apiVersion", "kind", "metadata"} <= set(one):
            yield f"document {number + 1} is no Kubernetes object: apiVersion, kind and metadata are needed"
            continue
        if one["kind"] == "Secret":
            yield f"Secret {one['metadata'].get('name')}: secrets are no manifests; see kuberay/secrets.example.yaml"
        elif (one["apiVersion"], one["kind"]) not in KINDS:
            yield f"{one['apiVersion']} {one['kind']} is nothing that `deploy` applies"
        elif not one["metadata"].get("name"):
            yield f"a {one['kind']} has no name"
        elif KINDS[one["apiVersion"], one["kind"]][1] and not one["metadata"].get("namespace"):
            yield f"{one['kind']} {one['metadata']['name']} has no namespace"
        elif (key := key_of(one)) in seen:
            yield f"{key} is there twice"
        else:
            seen.add(key)


def unfinished(found: Sequence[Object]) -> list[str]:
    """What still stands there as it came with the repository and is nobody's: one line each."""
    return [
        f"{key_of(one)} still has {word}: put yours into the overlay (docs/deploy.md)"
        for one in found
        for word in sorted(set(DOCUMENTS_OWN.findall(json.dumps(one))))
    ]


def service_of(found: Sequence[Object]) -> Object:
    """The RayService. Raises Rejected unless there is exactly one."""
    services = [one for one in found if one["kind"] == "RayService"]
    if len(services) != 1:
        raise Rejected(f"the manifests have {len(services)} RayServices instead of one")
    return services[0]


def release_of(service: Object) -> str:
    """What the applications of a RayService say as their release."""
    said = {app.get("args", {}).get("release") for app in _config(service)["applications"]}
    return said.pop() if len(said) == 1 else ", ".join(sorted(map(str, said)))


def applications(service: Object) -> list[str]:
    return [app["name"] for app in _config(service)["applications"]]


def _config(service: Object) -> Any:
    """Raises Rejected where what KubeRay is to hand to Serve cannot be read."""
    try:
        found = yaml.load(service["spec"]["serveConfigV2"], Loader=LOADER)  # noqa: S506  # it is a safe one
        return {"applications": [dict(one, name=one["name"]) for one in found["applications"]]}
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise Rejected(f"{key_of(service)}: serveConfigV2 has no applications: {error}") from None


def stamp(found: Sequence[Object], image: str) -> list[Object]:
    """The same objects for another image: its tag is the release, in the settings and in each application.

    Raises Rejected for an image without a tag, or with one that says nothing.
    """
    match = IMAGE.fullmatch(image)
    if match is None or match["tag"] == "latest":
        raise Rejected(
            f"--image {image}: name it with a tag that says which one it is, like registry/crypto-data:0.2.0"
        )
    before, release = release_of(service_of(found)), match["tag"]
    out: list[Object] = json.loads(json.dumps(found))
    for one in out:
        if one["kind"] == "ConfigMap" and "CRYPTO_DATA_RELEASE" in one.get("data", {}):
            one["data"]["CRYPTO_DATA_RELEASE"] = release
    service = service_of(out)
    service["spec"]["serveConfigV2"] = re.sub(
        rf"(?m)^(\s*release: ){re.escape(before)}$",
        rf"\g<1>{json.dumps(release)}",
        service["spec"]["serveConfigV2"],
    )
    cluster = service["spec"]["rayClusterConfig"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        for container in group["template"]["spec"]["containers"]:
            container["image"] = image
    return out


def differences(wanted: Any, there: Any, path: str = "") -> list[str]:
    """What would change in an object that is there, one line each. Fields that we do not speak of do not count."""
    if isinstance(wanted, dict) and isinstance(there, dict):
        return [
            line
            for name, value in wanted.items()
            for line in differences(value, there.get(name), f"{path}.{name}" if path else name)
        ]
    if isinstance(wanted, list) and isinstance(there, list) and len(wanted) == len(there):
        pairs = enumerate(zip(wanted, there, strict=True))
        return [line for n, (ours, theirs) in pairs for line in differences(ours, theirs, f"{path}[{n}]")]
    if wanted == there or (wanted in (None, {}, []) and there in (None, {}, [])):
        return []
    if isinstance(wanted, str) and isinstance(there, str) and "\n" in wanted:
        lines = difflib.unified_diff(there.splitlines(), wanted.splitlines(), n=0, lineterm="")
        return [f"{path}: {line}" for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    return [f"{path}: {_short(there)} -> {_short(wanted)}"]


def _short(value: Any) -> str:
    return "nothing" if value is None else json.dumps(value)[:120]
