"""Deploying to an API server: the fake, held to a real one's answers, or a real one (KUBEBUILDER_ASSETS)."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ray_app.kube.cluster import Cluster
from ray_app.kube.errors import KubeError, NotRunning, Rejected, Unreachable
from ray_app.kube.objects import Object, read, stamp
from ray_app.kube.release import records, rollback
from tests.kuberay import operator
from tests.kuberay.conftest import QUICK, Api, everything, kubeconfig, manifests
from tests.kuberay.fake_api import FakeApi
from tests.kuberay.manifests import NAMESPACE, built

NEWER = "registry.test/crypto-data:0.2.0"


def newer() -> list[Object]:
    return stamp(manifests(), NEWER)


def service_of(objects: list[Object]) -> Any:
    return next(one for one in objects if one["kind"] == "RayService")


def fake_of(api: Api) -> FakeApi:
    if api.fake is None:
        pytest.skip("a real API server cannot be told to do this")
    return api.fake


def test_a_first_deployment_makes_everything_and_a_second_changes_nothing(api: Api):
    assert api.deployment(everything()).run() == "0.1.0"
    made = api.everything()
    for one in everything():
        assert (one["kind"], one["metadata"]["name"]) in made
    assert [one.release for one in records(api.cluster, NAMESPACE)] == ["0.1.0"]
    api.said.clear()
    assert api.deployment(everything()).changes() == []
    api.deployment(everything()).run()
    assert api.said == ["nothing to change"]
    assert api.everything() == made
    assert len(records(api.cluster, NAMESPACE)) == 1


def test_a_new_image_is_the_release_everywhere(running: Api):
    assert running.deployment(newer()).run() == "0.2.0"
    spec = running.service()["spec"]
    groups = [spec["rayClusterConfig"]["headGroupSpec"], *spec["rayClusterConfig"]["workerGroupSpecs"]]
    assert {c["image"] for g in groups for c in g["template"]["spec"]["containers"]} == {NEWER}
    assert operator.release(running.service()) == "0.2.0"
    assert spec["serveConfigV2"].count("0.2.0") == 5
    settings = [
        d["data"]["CRYPTO_DATA_RELEASE"]
        for d in running.everything().values()
        if "CRYPTO_DATA_RELEASE" in d.get("data", {})
    ]
    assert settings == ["0.2.0"]
    assert "RayService crypto-data: " in running.said[-1] or any(
        "crypto-data:0.1.0" in line for line in running.said
    )


def test_rollback_goes_to_the_release_before(running: Api):
    running.deployment(newer()).run()
    args = (running.said.append, lambda _: (), QUICK)
    assert rollback(running.cluster, NAMESPACE, None, *args) == "0.1.0"
    assert operator.release(running.service()) == "0.1.0"
    assert [one.release for one in records(running.cluster, NAMESPACE)] == ["0.1.0", "0.2.0", "0.1.0"]
    assert rollback(running.cluster, NAMESPACE, "0.2.0", *args) == "0.2.0"
    with pytest.raises(
        Rejected, match=r"there is no release 0\.7\.0 to go back to; kept are: 0\.2\.0, 0\.1\.0"
    ):
        rollback(running.cluster, NAMESPACE, "0.7.0", *args)


def test_only_the_last_releases_are_kept(running: Api):
    for number in range(2, 9):
        running.deployment(stamp(manifests(), f"crypto-data:0.{number}.0")).run()
    assert [one.release for one in records(running.cluster, NAMESPACE)] == [
        f"0.{n}.0" for n in range(8, 3, -1)
    ]


Change = Callable[[Any], Any]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda s: s.update(serveConfigV3="x"), 'unknown field "spec.serveConfigV3"'),
        (
            lambda s: s["rayClusterConfig"].update(rayVersoin="x"),
            'unknown field "spec.rayClusterConfig.rayVersoin"',
        ),
        (lambda s: s.update(managedBy="nobody"), "the managedBy field value must be either"),
        (lambda s: s["rayClusterConfig"]["workerGroupSpecs"][0].pop("template"), "Required value"),
    ],
)
def test_a_typo_is_told_before_anything_is_changed(running: Api, change: Change, expected: str):
    before, objects = running.everything(), newer()
    change(service_of(objects)["spec"])
    with pytest.raises(Rejected) as caught:
        running.deployment(objects).run()
    assert expected in str(caught.value)
    assert running.everything() == before


def test_no_node_with_the_label_is_told_before_anything_is_changed(running: Api):
    before = running.everything()
    running.http.delete("/api/v1/nodes/cryptoai-data-collection").raise_for_status()
    with pytest.raises(
        Rejected, match=r"no node has the label node-type=cryptoai-data-collection: kubectl label node"
    ):
        running.deployment(newer()).run()
    del before["Node", "cryptoai-data-collection"]
    assert running.everything() == before


def test_addresses_of_the_documents_are_refused(running: Api):
    before = running.everything()
    objects = [
        one
        for one in read(built("overlays/production"))
        if "ray.io" in one["apiVersion"] or one["kind"] in ("EndpointSlice", "NetworkPolicy")
    ]
    with pytest.raises(Rejected) as caught:
        running.deployment(objects).run()
    assert "EndpointSlice mysql-outside still has 192.0.2.10: put yours into the overlay" in str(caught.value)
    assert running.everything() == before


NEWER_STORE = "Traceback\n  File\nray_app.model.errors.WrongStore: x was made by a newer node: 0009"
FAILURES: dict[str, tuple[operator.Outcome, str]] = {
    "a missing secret": (
        {"pods": [operator.waiting("CreateContainerConfigError", 'secret "crypto-data-database" not found')]},
        "there is no Secret crypto-data-database -> make it as in kuberay/secrets.example.yaml",
    ),
    "a wrong image tag": (
        {"pods": [operator.waiting("ImagePullBackOff", 'Back-off pulling image "crypto-data:0.2.0"')]},
        "cannot be had (Back-off pulling image",
    ),
    "no room": (
        {"pods": [operator.unplaced("0/1 nodes are available: 1 Insufficient memory.")]},
        "the data node is too small: an upgrade runs two clusters at once",
    ),
    "another node's label": (
        {"pods": [operator.unplaced("0/3 nodes: 3 node(s) didn't match Pod's node affinity/selector.")]},
        "no node has the label: kubectl label node",
    ),
    "a database migrated further": (
        {"applications": {"collection": {"status": "DEPLOY_FAILED", "message": NEWER_STORE}}},
        "the database was migrated by a newer release: deploy that one, or restore a backup from before",
    ),
    "an application that ends": (
        {"applications": {"gateway": {"status": "UNHEALTHY", "message": "ValueError: X is not a setting"}}},
        "application gateway is UNHEALTHY: ValueError: X is not a setting -> a setting is wrong",
    ),
    "a full quota": (
        {
            "events": [
                operator.warning(
                    "FailedToCreateWorkerPod", 'pods "x" is forbidden: exceeded quota: crypto-data'
                )
            ]
        },
        "the quota in kuberay/base/quota.yaml is used up",
    ),
    "a full volume": (
        {"events": [operator.warning("Evicted", "The node was low on resource: ephemeral-storage.")]},
        "a volume is full: enlarge the claim `raw` or `exports`, or free the data node's disk",
    ),
    "too little memory": (
        {"pods": [operator.crashing("OOMKilled")]},
        "ends again and again: OOMKilled -> it needs more memory",
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_what_does_not_run_is_told_and_what_ran_before_runs_again(running: Api, name: str):
    outcome, expected = FAILURES[name]

    def script(service: Object) -> operator.Outcome:
        return (
            operator.well(service)
            if operator.release(service) == "0.1.0"
            else operator.pending(service, **outcome)
        )

    before, running.operator.script = running.service()["spec"], script
    with pytest.raises(NotRunning) as caught:
        running.deployment(newer()).run()
    assert expected in str(caught.value)
    assert "it does not run after" not in str(caught.value)  # not waited for to the end
    assert str(caught.value).endswith("went back to 0.1.0, which runs")
    assert running.service()["spec"] == before
    assert [one.release for one in records(running.cluster, NAMESPACE)] == ["0.1.0"]


def test_what_runs_and_is_missed_from_outside_goes_back(running: Api):
    def look(release: str) -> list[str]:
        return ["there is no price of BTC"] if release == "0.2.0" else []

    with pytest.raises(NotRunning) as caught:
        running.deployment(newer(), look).run()
    assert caught.value.problems == ("there is no price of BTC", "went back to 0.1.0, which runs")
    assert operator.release(running.service()) == "0.1.0"


def test_an_upgrade_is_over_when_the_new_cluster_has_the_requests(running: Api):
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        if line == "the new cluster has no requests yet":  # now it gets them
            then(running, operator.well)

    running.operator.script = lambda service: operator.pending(service, {"gateway": {"status": "DEPLOYING"}})
    one = running.deployment(newer())
    one.say = say
    assert one.run() == "0.2.0"
    assert "application gateway is DEPLOYING" in said
    assert "application models is NOT_STARTED" in said


def test_applications_that_run_without_the_requests_are_not_enough(running: Api):
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        if line == "the new cluster has no requests yet":
            then(running, operator.well)

    everywhere = {name: {"status": "RUNNING"} for name in operator.names(running.service())}
    running.operator.script = lambda service: operator.pending(service, everywhere)
    one = running.deployment(newer())
    one.say = say
    assert one.run() == "0.2.0"
    assert said[-1] == "the new cluster has no requests yet"


@pytest.mark.parametrize("reason", ["ValidationFailed", "InitializingTimeout"])
def test_what_the_operator_refuses_is_told(running: Api, reason: str):
    def script(service: Object) -> operator.Outcome:
        outcome = operator.well(service)
        if operator.release(service) != "0.1.0":
            outcome["status"]["conditions"][0] |= {
                "status": "False",
                "reason": reason,
                "message": "no such thing",
            }
        return outcome

    running.operator.script = script
    with pytest.raises(NotRunning, match=f"KubeRay: {reason}: no such thing"):
        running.deployment(newer()).run()
    assert operator.release(running.service()) == "0.1.0"


def then(api: Api, script: operator.Script) -> None:
    api.operator.script = script
    api.operator.again()


def test_an_operator_that_sees_it_late_is_waited_for(running: Api):
    looks: list[str] = []

    def look(release: str) -> list[str]:
        looks.append(release)
        if len(looks) == 1:  # only now it begins
            then(running, operator.pending)
        return ["release 0.1.0 answers"] if len(looks) < 3 else []

    def say(line: str) -> None:
        if line == "the new cluster has no requests yet":
            then(running, operator.well)

    one = running.deployment(newer(), look)
    one.say, one.patience = say, QUICK.__class__(whole=10.0, stuck=0.15, between=0.05, settle=5.0)
    assert one.run() == "0.2.0"
    assert len(looks) == 3


def test_a_first_release_that_fails_is_left_to_be_looked_at(api: Api):
    api.operator.script = lambda service: operator.pending(
        service, {"gateway": {"status": "DEPLOY_FAILED", "message": "x"}}
    )
    with pytest.raises(NotRunning, match="there is no release to go back to"):
        api.deployment().run()
    assert api.service()["kind"] == "RayService"
    assert records(api.cluster, NAMESPACE) == []


def test_an_operator_that_does_not_look_is_told(api: Api):
    api.operator.close()
    one = api.deployment()
    one.patience = QUICK.__class__(whole=0.2, stuck=0.1, between=0.02, settle=0.1)
    with pytest.raises(NotRunning, match="KubeRay has not looked at it yet: does the operator run"):
        one.run()


def test_fields_of_somebody_else_are_named_and_taken_by_force(running: Api):
    other = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "crypto-data", "namespace": NAMESPACE},
             "spec": {"hard": {"pods": "7"}}}  # fmt: skip
    path = f"/api/v1/namespaces/{NAMESPACE}/resourcequotas/crypto-data"
    answer = running.http.patch(path, content=json.dumps(other), params={"fieldManager": "other", "force": "true"},
                                headers={"Content-Type": "application/apply-patch+yaml"})  # fmt: skip
    answer.raise_for_status()
    with pytest.raises(
        Rejected, match=r"ResourceQuota crypto-data: \.spec\.hard\.pods belong to somebody else"
    ):
        running.deployment().run()
    running.deployment(force=True).run()
    assert running.http.get(path).json()["spec"]["hard"]["pods"] == "40"


def test_an_expired_token_is_told(running: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    url = str(running.http.base_url)
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path / "old", url, token="old")))
    running.cluster.close()
    running.cluster = Cluster.connect()
    with pytest.raises(Unreachable, match="it has expired, or is another cluster's; log in again"):
        running.deployment(newer()).run()
    assert operator.release(running.service()) == "0.1.0"


def test_a_right_that_is_missing_is_named(running: Api):
    fake = fake_of(running)
    fake.forbidden = lambda user, what: what == "patch rayservices"
    with pytest.raises(Unreachable, match=r'cannot patch resource "rayservices".*apply as an administrator'):
        running.deployment(newer()).run()
    assert operator.release(running.service()) == "0.1.0"


def test_a_cluster_without_the_operator_is_told(api: Api):
    fake = fake_of(api)
    fake.absent_groups = {"ray.io"}
    with pytest.raises(
        KubeError, match=r"the cluster has no RayService \(ray.io/v1\): install KubeRay's operator 1.7"
    ):
        api.deployment().run()
    assert not [one for one in fake.objects.values() if one["kind"] != "Node"]


def test_no_server_and_no_kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path / "config", "http://127.0.0.1:9")))
    with pytest.raises(Unreachable, match="the API server does not answer"):
        Cluster.connect().list("v1", "Node")
    with pytest.raises(Unreachable, match="no cluster in"):
        Cluster.connect("another")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(Unreachable, match="set KUBECONFIG or --context"):
        Cluster.connect()
