"""What KubeRay's operator and the kubelet would write, written by tests, over HTTP: statuses, pods, events."""

import json
import threading
from collections.abc import Callable
from typing import Any

import httpx
import yaml

from ray_app.kube.objects import Object
from tests.kuberay.manifests import NAMESPACE

SERVICES = f"/apis/ray.io/v1/namespaces/{NAMESPACE}/rayservices"
Outcome = dict[str, Any]  # status, and perhaps pods and events
Script = Callable[[Object], Outcome]


def names(service: Object) -> list[str]:
    return [
        app["name"]
        for app in yaml.load(service["spec"]["serveConfigV2"], Loader=yaml.CSafeLoader)["applications"]
    ]


def release(service: Object) -> str:
    said: str = yaml.load(service["spec"]["serveConfigV2"], Loader=yaml.CSafeLoader)["applications"][0][
        "args"
    ]["release"]
    return said


def _condition(kind: str, status: str, reason: str, message: str = "") -> Object:
    at = "2026-11-23T01:30:00Z"
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": at}


def well(service: Object) -> Outcome:
    """Every application runs and has the requests."""
    applications = {name: {"status": "RUNNING"} for name in names(service)}
    status = {
        "activeServiceStatus": {"rayClusterName": "crypto-data-old", "applicationStatuses": applications},
        "pendingServiceStatus": {},
        "conditions": [
            _condition("Ready", "True", "NonZeroServeEndpoints"),
            _condition("UpgradeInProgress", "False", "NoPendingCluster"),
        ],
    }
    return {"status": status}


def pending(service: Object, applications: Object | None = None, **more: Any) -> Outcome:
    """The old cluster serves, a new one is being made."""
    status = well(service)["status"]
    status["pendingServiceStatus"] = {
        "rayClusterName": "crypto-data-new",
        "applicationStatuses": applications or {},
    }
    status["conditions"][1] = _condition("UpgradeInProgress", "True", "BothActivePendingClustersExist")
    return {"status": status, **more}


def pod(name: str, **status: Any) -> Object:
    labels = {"app.kubernetes.io/name": "crypto-data", "ray.io/cluster": "crypto-data-new"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
        "spec": {"containers": [{"name": "ray-worker", "image": "crypto-data:9"}]},
        "status": status,
    }


def waiting(reason: str, message: str, image: str = "crypto-data:9") -> Object:
    """A pod whose container waits."""
    state = {"waiting": {"reason": reason, "message": message}}
    container = {
        "name": "ray-worker",
        "image": image,
        "imageID": "",
        "ready": False,
        "restartCount": 0,
        "state": state,
    }
    return pod("crypto-data-new-api-worker-1", containerStatuses=[container])


def unplaced(message: str) -> Object:
    """A pod that no node takes."""
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    return pod("crypto-data-new-head", conditions=[condition])


def crashing(reason: str) -> Object:
    """A pod whose container ends again and again."""
    container = {
        "name": "ray-worker", "image": "x", "imageID": "", "ready": False, "restartCount": 3,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
        "lastState": {"terminated": {"reason": reason, "exitCode": 137}},
    }  # fmt: skip
    return pod("crypto-data-new-api", containerStatuses=[container])


def warning(reason: str, message: str, at: str = "2099-01-01T00:00:00Z") -> Object:
    about = {"kind": "RayCluster", "name": "crypto-data-new", "namespace": NAMESPACE}
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"crypto-data-new.{reason.lower()}", "namespace": NAMESPACE},
        "involvedObject": about,
        "type": "Warning",
        "reason": reason,
        "message": message,
        "lastTimestamp": at,
    }


class Operator:
    """Looks every few milliseconds, and writes what the script says of each new generation."""

    def __init__(self, http: httpx.Client, script: Script) -> None:
        self.http, self.script = http, script
        self._stop, self._seen = threading.Event(), 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(0.01):
            for service in self.http.get(SERVICES).json().get("items", ()):
                generation = service["metadata"]["generation"]
                if self._seen != generation:
                    self._seen = generation
                    self._write(service, self.script(service))

    def again(self) -> None:
        """Look once more at what was looked at."""
        self._seen = 0

    def _write(self, service: Object, outcome: Outcome) -> None:
        for plural, found in (("pods", outcome.get("pods", ())), ("events", outcome.get("events", ()))):
            path = f"/api/v1/namespaces/{NAMESPACE}/{plural}"
            for old in self.http.get(path).json()["items"]:
                self.http.delete(f"{path}/{old['metadata']['name']}")
            for one in found:
                self._send("POST", path, one)
                if "status" in one:
                    self._send("PATCH", f"{path}/{one['metadata']['name']}/status", {"status": one["status"]})
        status = {**outcome["status"], "observedGeneration": service["metadata"]["generation"]}
        if not status["pendingServiceStatus"]:
            status["pendingServiceStatus"] = None
        self._send("PATCH", f"{SERVICES}/{service['metadata']['name']}/status", {"status": status})

    def _send(self, method: str, path: str, body: Object) -> None:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        answer = self.http.request(method, path, content=json.dumps(body), headers={"Content-Type": kind})
        assert answer.is_success, answer.text

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
