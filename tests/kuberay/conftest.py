import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from ray_app.kube.cluster import Cluster
from ray_app.kube.objects import KINDS, Object, read
from ray_app.kube.release import Deployment, Look, Patience
from tests.kuberay import operator, real_api
from tests.kuberay.fake_api import FakeApi, Served
from tests.kuberay.manifests import NAMESPACE, built

QUICK = Patience(whole=10.0, stuck=0.15, between=0.02, settle=0.1)
NODE: Object = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "cryptoai-data-collection", "labels": {"node-type": "cryptoai-data-collection"}},
}


@dataclass
class Api:
    """An API server, its operator, and what was deployed to it."""

    cluster: Cluster
    http: httpx.Client
    fake: FakeApi | None
    operator: operator.Operator
    said: list[str]

    def deployment(
        self, objects: list[Object] | None = None, look: Look = lambda _: (), **more: Any
    ) -> Deployment:
        found = objects if objects is not None else manifests()
        return Deployment(self.cluster, found, self.said.append, look, QUICK, **more)

    def service(self) -> Object:
        found: Object = self.http.get(f"{operator.SERVICES}/crypto-data").json()
        return found

    def everything(self) -> dict[tuple[str, str], Any]:
        """Specs and data of all there is, for comparing before and after."""
        out = {}
        if self.fake is not None:
            return {
                (one["kind"], one["metadata"]["name"]): {
                    k: v for k, v in one.items() if k in ("spec", "data", "rules")
                }
                for one in copy.deepcopy(self.fake.objects).values()
                if one["kind"] not in ("Pod", "Event")
            }
        for (version, kind), (plural, namespaced) in KINDS.items():
            group = version.rpartition("/")[0]
            base = f"/apis/{version}" if group else "/api/v1"
            answer = self.http.get(
                f"{base}/namespaces/{NAMESPACE}/{plural}" if namespaced else f"{base}/{plural}"
            )
            for one in answer.json().get("items", ()) if answer.status_code == 200 else ():
                if kind not in ("Pod", "Event"):
                    out[kind, one["metadata"]["name"]] = {
                        k: v for k, v in one.items() if k in ("spec", "data", "rules")
                    }
        return out


FEW = ("Namespace", "ResourceQuota", "ConfigMap", "PersistentVolumeClaim", "RayService")


def everything() -> list[Object]:
    return read(built("overlays/local"))  # anew each time: tests change them


def manifests() -> list[Object]:
    """Enough of them for most tests."""
    return [one for one in everything() if one["kind"] in FEW]


def kubeconfig(path: Path, address: str, token: str = "good") -> Path:
    cluster = {
        "server": address,
        **({"insecure-skip-tls-verify": True} if address.startswith("https") else {}),
    }
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "tests",
        "clusters": [{"name": "tests", "cluster": cluster}],
        "users": [{"name": "tests", "user": {"token": token}}],
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
    }
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture
def address(tmp_path: Path) -> Iterator[tuple[str, FakeApi | None]]:
    """A server of this test's own: the fake, or a real one."""
    if real_api.ASSETS:
        with real_api.started(tmp_path) as url:
            yield url, None
        return
    api = FakeApi()
    server = Served(api)
    yield server.address, api
    server.shutdown()
    server.server_close()


@pytest.fixture
def api(
    address: tuple[str, FakeApi | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Api]:
    """A cluster with KubeRay and the data node, in which nothing of ours is."""
    url, fake = address
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path / "config", url)))
    headers = {"Authorization": "Bearer good", "Content-Type": "application/json"}
    with httpx.Client(base_url=url, headers=headers, verify=False, timeout=30) as http:
        http.post("/api/v1/nodes", json=NODE).raise_for_status()
        working = operator.Operator(http, operator.well)
        made = Api(Cluster.connect(), http, fake, working, [])
        yield made
        working.close()
        made.cluster.close()


@pytest.fixture
def running(api: Api) -> Api:
    """The same with release 0.1.0 deployed."""
    assert api.deployment().run() == "0.1.0"
    api.said.clear()
    return api
