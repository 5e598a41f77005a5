"""The manifests as a cluster would take them, as far as that can be told without one."""

import json
import re
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import kubernetes_validate
import pytest
import ray
import yaml
from ray.serve.schema import ServeDeploySchema

from ray_app import cli
from ray_app.commands.config import unknown_keys
from ray_app.commands.up import RAY_ENVIRONMENT
from ray_app.settings import PREFIX, Settings
from tests.kuberay import crds
from tests.kuberay.manifests import (
    BUILDS,
    KUBERAY,
    REPO,
    Object,
    all_pods,
    built,
    cluster_of,
    groups,
    objects,
    pods,
    rayservice,
)
from tests.kuberay.policy import containers, quantity, violations
from tests.kuberay.test_room import cpus_of

KUBERNETES = "1.36"
DEFINED_ELSEWHERE = {"ray.io", "monitoring.coreos.com"}
NO_SCHEMA_HERE = {"gateway.networking.k8s.io", "external-secrets.io"}


def group(one: Object) -> str:
    version: str = one["apiVersion"]
    return version.partition("/")[0] if "/" in version else ""


def env_file(name: str) -> dict[str, str]:
    lines = (KUBERAY / "settings" / name).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def map_of(found: list[Object], start: str) -> Object:
    (one,) = (o for o in found if o["kind"] == "ConfigMap" and o["metadata"]["name"].startswith(start))
    return one


@pytest.mark.parametrize("build", BUILDS)
def test_objects_of_kubernetes_are_valid(build: str):
    for one in objects(build):
        if group(one) not in DEFINED_ELSEWHERE | NO_SCHEMA_HERE:
            kubernetes_validate.validate(one, KUBERNETES, strict=True)


@pytest.mark.parametrize("build", BUILDS)
def test_pods_inside_custom_resources_are_valid(build: str):
    lifted = all_pods(objects(build))
    assert len(lifted) >= 3
    for pod in lifted:
        kubernetes_validate.validate(pod, KUBERNETES, strict=True)


@pytest.mark.parametrize("build", [build for build in BUILDS if build != "jobs/backup"])
def test_custom_resources_are_what_their_definitions_say(build: str):
    found = [one for one in objects(build) if group(one) in DEFINED_ELSEWHERE]
    assert found
    assert [(one["kind"], crds.problems(one)) for one in found] == [(one["kind"], []) for one in found]


@pytest.mark.parametrize("build", BUILDS)
def test_nothing_would_be_refused_or_run_wrongly(build: str):
    assert violations(objects(build)) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda s: s.update(serveConfigv2=s.pop("serveConfigV2")), "serveConfigv2"),
        (lambda s: s["rayClusterConfig"].update(rayversion="2"), "rayversion"),
        (lambda s: s["rayClusterConfig"]["authOptions"].update(mode="tokens"), "tokens"),
        (lambda s: s["rayClusterConfig"].pop("headGroupSpec"), "headGroupSpec"),
        (lambda s: s["rayClusterConfig"]["workerGroupSpecs"][0].update(maxReplicas="3"), "'3'"),
        (lambda s: s.update(managedBy="somebody"), "kuberay-operator"),
    ],
)
def test_a_typo_in_a_custom_resource_is_seen(change: Callable[[Any], Any], expected: str):
    one = rayservice()
    change(one["spec"])
    (problem,) = crds.problems(one)
    assert expected in problem[1]


def test_a_rule_that_compares_with_before_is_evaluated():
    old = rayservice()
    new = deepcopy(old)
    old["spec"]["managedBy"], new["spec"]["managedBy"] = (
        "kueue.x-k8s.io/multikueue",
        "ray.io/kuberay-operator",
    )
    assert crds.problems(new) == []
    assert crds.problems(new, old) == [("spec.managedBy", "the managedBy field is immutable")]


def leveled(data: Any, *, cluster: bool) -> Any:
    """A Serve configuration without what may differ between a laptop and a cluster."""
    out = json.loads(json.dumps(data))  # what YAML shares by an anchor is no longer one
    out.pop("proxy_location")
    out["http_options"].pop("host")
    for application in out["applications"]:
        application["args"].pop("release")
        for one in application["deployments"]:
            scaling = one.get("autoscaling_config")
            if application["name"] != "models":  # how models sleep and wake is the same everywhere
                for key in ("num_replicas", "autoscaling_config", "max_replicas_per_node"):
                    one.pop(key, None)
                assert cluster or scaling is None
            options = one.setdefault("ray_actor_options", {})
            if (
                cluster and application["name"] != "models"
            ):  # a selector here replaces what the code says of CPUs
                assert options.pop("num_cpus") == cpus_of(one["name"]), one["name"]
            assert bool(options.pop("label_selector", None)) is cluster, one["name"]
    return out


def test_the_applications_are_those_of_serve_config():
    laptop = yaml.safe_load((REPO / "serve_config.yaml").read_text())
    here = yaml.safe_load(rayservice()["spec"]["serveConfigV2"])
    assert list(unknown_keys(ServeDeploySchema, here)) == []
    ServeDeploySchema.model_validate(here)
    assert leveled(here, cluster=True) == leveled(laptop, cluster=False)
    assert here["http_options"]["host"] == "0.0.0.0"
    assert here["http_options"]["request_timeout_s"] is None


def test_the_gateway_scales_and_streams_do_not():
    here = yaml.safe_load(rayservice()["spec"]["serveConfigV2"])
    deployments = {one["name"]: one for app in here["applications"] for one in app["deployments"]}
    scaling = deployments["Gateway"]["autoscaling_config"]
    assert (scaling["min_replicas"], scaling["max_replicas"]) == (2, 6)
    assert deployments["Gateway"]["max_ongoing_requests"] > scaling["target_ongoing_requests"]
    assert all(
        "autoscaling_config" not in deployments[name] for name in ("Sockets", "EventStreams", "Supervisor")
    )
    assert deployments["Supervisor"]["num_replicas"] == 1


@pytest.mark.parametrize("build", BUILDS)
def test_image_release_and_ray_are_one_version_everywhere(build: str):
    found = objects(build)
    images = {one["image"] for pod in all_pods(found) for one in containers(pod)}
    (image,) = images
    release = map_of(found, "crypto-data-settings")["data"][f"{PREFIX}RELEASE"]
    assert image == f"crypto-data:{release}"
    for one in found:
        if cluster := cluster_of(one):
            assert cluster["rayVersion"] == ray.__version__
        if one["kind"] == "RayService":
            applications = yaml.safe_load(one["spec"]["serveConfigV2"])["applications"]
            assert {app["args"]["release"] for app in applications} == {release}


def test_settings_are_known_and_none_is_a_secret():
    known = {PREFIX + name.upper(): field for name, field in Settings.model_fields.items()}
    for name in env_file("settings.env"):
        assert name in known
        assert "SecretStr" not in str(known[name].annotation)


@pytest.mark.parametrize("build", ["overlays/local", "overlays/production", "jobs/backfill"])
def test_what_one_worker_writes_every_other_can_read(build: str, monkeypatch: pytest.MonkeyPatch):
    """Pages and files of exports lie on claims that each worker mounts: an export is made by one and sent by others."""
    for name, value in env_file("settings.env").items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir("/")
    settings = Settings.read()
    for one in objects(build):
        for worker in (cluster_of(one) or {}).get("workerGroupSpecs", ()):
            spec = worker["template"]["spec"]
            claimed = {v["name"]: v["persistentVolumeClaim"]["claimName"] for v in spec["volumes"]
                       if "persistentVolumeClaim" in v}  # fmt: skip
            mounts = {m["mountPath"]: claimed.get(m["name"]) for m in spec["containers"][0]["volumeMounts"]}
            for folder, claim in ((settings.raw, "raw"), (settings.exports, "exports")):
                above = [path for path in mounts if folder == path or folder.startswith(f"{path}/")]
                assert [mounts[path] for path in above] == [claim], f"{worker['groupName']}: {folder}"


def test_serve_behaves_as_on_a_laptop_where_that_matters():
    here = env_file("ray.env")
    same = {"RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH", "RAY_USAGE_STATS_ENABLED", "RAY_ENABLE_UV_RUN_RUNTIME_ENV",
            "WEBSOCKETS_MAX_LINE_LENGTH", "WEBSOCKETS_MAX_NUM_HEADERS"}  # fmt: skip
    assert {name: here[name] for name in same} == {name: RAY_ENVIRONMENT[name] for name in same}


def test_what_is_drained_outlives_its_draining():
    one, here = rayservice(), env_file("ray.env")
    assert int(here["RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S"]) == 900
    assert one["spec"]["rayClusterDeletionDelaySeconds"] > 900
    slowest = max(d["graceful_shutdown_timeout_s"] for a in yaml.safe_load(one["spec"]["serveConfigV2"])["applications"]
                  for d in a["deployments"])  # fmt: skip
    drain = int(here["RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"])
    assert all(pod["spec"]["terminationGracePeriodSeconds"] > drain + slowest for pod in pods(one))


@pytest.mark.parametrize("build", ["overlays/local", "overlays/production"])
def test_the_quota_holds_two_clusters_a_backfill_and_backups(build: str):
    found = objects(build)
    (quota,) = (one["spec"]["hard"] for one in found if one["kind"] == "ResourceQuota")
    need = {
        "requests.cpu": quantity(0),
        "requests.memory": quantity(0),
        "requests.nvidia.com/gpu": quantity(0),
    }
    (job,) = (one for one in objects("jobs/backfill") if one["kind"] == "RayJob")
    for one, times in ((rayservice(build), 2), (job, 1)):
        for part in groups(one):
            asked = part["template"]["spec"]["containers"][0]["resources"]["requests"]
            for key in need:
                need[key] += (
                    quantity(asked.get(key.removeprefix("requests."), 0)) * part["maxReplicas"] * times
                )
    for pod in all_pods(objects("jobs/backup")):  # they may meet in a night
        for key in ("cpu", "memory"):
            need[f"requests.{key}"] += quantity(pod["spec"]["containers"][0]["resources"]["requests"][key])
    scaler = cluster_of(rayservice(build))["autoscalerOptions"]["resources"]["requests"]
    need["requests.memory"] += 2 * quantity(scaler["memory"])
    assert all(amount <= quantity(quota[key]) for key, amount in need.items()), need
    claims = [one["spec"]["resources"]["requests"] for one in found if one["kind"] == "PersistentVolumeClaim"]
    assert len(claims) <= int(quota["persistentvolumeclaims"])
    assert sum(quantity(one["storage"]) for one in claims) <= quantity(quota["requests.storage"])


def test_what_runs_by_itself_is_what_the_command_line_takes():
    """With settings that are settings, on claims that there are, and one after the other."""
    known = {PREFIX + name.upper() for name in Settings.model_fields} | {"HOME", "TMPDIR"}
    claims = {
        o["metadata"]["name"] for o in objects("overlays/local") if o["kind"] == "PersistentVolumeClaim"
    }
    jobs = [one for one in objects("jobs/backup") if one["kind"] == "CronJob"]
    assert [one["metadata"]["name"] for one in jobs] == ["backup", "compact", "verify"]
    for one in jobs:
        (pod,) = pods(one)
        (box,) = containers(pod)
        assert box["command"][0] == "crypto-data"
        cli.parser().parse_args(box["command"][1:])
        assert {variable["name"] for variable in box["env"]} <= known
        asked = {
            v["persistentVolumeClaim"]["claimName"]
            for v in pod["spec"]["volumes"]
            if "persistentVolumeClaim" in v
        }
        assert asked
        assert asked <= claims
        assert one["spec"]["concurrencyPolicy"] == "Forbid"


def secrets_used(node: Any) -> set[str]:
    """Names of the Secrets that something in there must have; optional ones left out."""
    if isinstance(node, list):
        return {name for one in node for name in secrets_used(one)}
    if not isinstance(node, dict):
        return set()
    found = {name for one in node.values() for name in secrets_used(one)}
    for key, field in (("secretRef", "name"), ("secretKeyRef", "name"), ("secret", "secretName")):
        if isinstance(named := node.get(key), dict) and not named.get("optional"):
            found.add(named[field])
    if mode := node.get("authOptions"):
        found.add(mode["secretName"])
    return found


def test_secrets_are_named_the_same_everywhere_and_none_is_in_the_manifests():
    example = {
        one["metadata"]["name"] for one in yaml.safe_load_all((KUBERAY / "secrets.example.yaml").read_text())
    }
    used = secrets_used([objects("overlays/local"), objects("jobs/backup")])
    assert used == example - {"crypto-data-upstreams"}  # optional
    production = objects("overlays/production")
    external = {one["spec"]["target"]["name"] for one in production if one["kind"] == "ExternalSecret"}
    assert external == example | {"crypto-data-metrics-key"}
    assert [one for build in BUILDS for one in objects(build) if one["kind"] == "Secret"] == []


def test_the_names_that_clients_rely_on():
    service = rayservice()["spec"]["serveService"]
    assert (service["metadata"]["name"], service["spec"]["type"]) == ("data-api-gateway", "ClusterIP")
    assert [port["port"] for port in service["spec"]["ports"]] == [8000]
    assert "crypto-collectors" not in "".join(built(build) for build in BUILDS)


def test_the_overlay_s_addresses_reach_services_and_policies():
    found = objects("overlays/local")
    assert not any(one["metadata"]["name"] == "addresses" for one in found)
    text = built("overlays/local")
    assert "192.0.2." not in text
    assert text.count("192.168.65.254") == 5  # two slices; MySQL and Redis for workers, Redis for the head
    assert "192.168.65.3/32" in text


def test_the_head_s_state_survives_and_only_tokens_open_it():
    cluster = cluster_of(rayservice())
    assert cluster["authOptions"] == {"mode": "token", "secretName": "crypto-data-ray-token"}
    assert "redisAddress" in cluster["gcsFaultToleranceOptions"]
    assert "externalStorageNamespace" not in cluster["gcsFaultToleranceOptions"]  # it would bring ghosts back
    assert cluster["autoscalerOptions"]["version"] == "v2"
    assert cluster["enableInTreeAutoscaling"] is True


POLICY = re.compile(
    r"^\|[^|]*\|[^|]*\| ([\d, ]+) \| (?:NetworkPolicy )?((?:`\w+`(?:, )?)+) \|$", re.MULTILINE
)


def test_who_calls_whom_is_told_as_the_policies_allow_it():
    found = {
        one["metadata"]["name"]: one["spec"]
        for one in objects("overlays/local")
        if one["kind"] == "NetworkPolicy"
    }

    def ports(name: str) -> set[int]:
        rules = [*found[name].get("ingress", []), *found[name].get("egress", [])]
        return {port["port"] for rule in rules for port in rule.get("ports", [])}

    text = (REPO / "docs" / "integration.md").read_text(encoding="utf-8")
    rows = [(told, re.findall(r"`(\w+)`", names)) for told, names in POLICY.findall(text)]
    told = {name: {int(port) for port in ports_.split(", ")} for ports_, names in rows for name in names}
    assert set(told) == set(found) - {"default-deny", "names", "inside"}
    assert {name: mine - ports(name) for name, mine in told.items() if mine - ports(name)} == {}
    inward = {name: ports(name) for name in ("clients", "scraping", "operator", "upstreams")}
    assert {name: told[name] for name in inward} == inward
    (rule,) = found["clients"]["ingress"]
    (callers,) = rule["from"][0]["namespaceSelector"]["matchExpressions"]
    assert callers["values"] == re.findall(r"namespace `(\w+)`", text)[:2] == ["trading", "analytics"]
