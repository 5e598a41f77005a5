"""deploy, rollback and validate as commands: what they print, and their exit status."""

from pathlib import Path

import pytest

from ray_app.cli import main
from ray_app.commands.deploy import rendered
from ray_app.kube.errors import Rejected
from ray_app.kube.objects import KINDS, differences, read, stamp, unfinished
from tests.kuberay import operator
from tests.kuberay.conftest import QUICK, Api, manifests
from tests.kuberay.manifests import KUBERAY, built

LOCAL, NOWHERE = str(KUBERAY / "overlays/local"), "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CRYPTO_DATA_API_KEY", raising=False)


def test_a_dry_run_says_what_would_change_and_changes_nothing(
    running: Api, capsys: pytest.CaptureFixture[str]
):
    before = running.everything()
    assert main(["deploy", LOCAL, "--image", "crypto-data:0.2.0", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert 'containers[0].image: "crypto-data:0.1.0" -> "crypto-data:0.2.0"' in said
    assert 'spec.serveConfigV2: +      release: "0.2.0"' in said
    assert "objects would change; the cluster would take them" in said
    assert running.everything() == before


def test_a_deployment_that_is_missed_from_outside_ends_with_2(
    running: Api, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("ray_app.commands.deploy._patience", lambda args: QUICK)
    assert main(["deploy", LOCAL, "--image", "crypto-data:0.2.0", "--url", NOWHERE]) == 2
    said = capsys.readouterr().err
    assert f"{NOWHERE}: nothing answers" in said
    assert "went back to 0.1.0, which runs" in said
    assert operator.release(running.service()) == "0.1.0"


def test_rollback_without_a_past_says_so(running: Api, capsys: pytest.CaptureFixture[str]):
    assert main(["rollback"]) == 2
    assert (
        "there is no release before the present one to go back to; kept are: 0.1.0" in capsys.readouterr().err
    )


def test_validate_names_what_is_missed_and_ends_with_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    assert main(["validate", NOWHERE]) == 2
    assert "set CRYPTO_DATA_API_KEY" in capsys.readouterr().err
    monkeypatch.setenv("CRYPTO_DATA_API_KEY", "cdk_x_y")
    assert main(["validate", NOWHERE]) == 1
    assert capsys.readouterr().out.startswith("MISSED: nothing answers")


def test_what_cannot_be_rendered_is_said(tmp_path: Path):
    with pytest.raises(
        Rejected, match=r"has no kustomization\.yaml: name a folder like kuberay/overlays/local"
    ):
        rendered(tmp_path)
    (tmp_path / "kustomization.yaml").write_text("resources: [none.yaml]\n")
    with pytest.raises(Rejected, match=r"kustomize cannot render .*none\.yaml"):
        rendered(tmp_path)
    file = tmp_path / "built.yaml"
    file.write_text(built("overlays/local"))
    assert len(rendered(file)) == len(rendered(KUBERAY / "overlays/local"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [", "the manifests are no YAML"),
        ("- a", "document 1 is no Kubernetes object"),
        ("{apiVersion: v1, kind: Secret, metadata: {name: s}}", "Secret s: secrets are no manifests"),
        (
            "{apiVersion: apps/v1, kind: Deployment, metadata: {name: d}}",
            "apps/v1 Deployment is nothing that",
        ),
        ("{apiVersion: v1, kind: Service, metadata: {name: s}}", "Service s has no namespace"),
        ("{apiVersion: v1, kind: Service, metadata: {namespace: s}}", "a Service has no name"),
        ("{apiVersion: v1, kind: Namespace, metadata: {name: n}}\n---\n" * 2, "Namespace n is there twice"),
    ],
)
def test_what_is_no_manifest_is_refused(text: str, expected: str):
    with pytest.raises(Rejected, match=expected):
        read(text)


@pytest.mark.parametrize("image", ["crypto-data", "crypto-data:latest", "crypto-data:", "not an image:1"])
def test_an_image_must_have_a_tag_that_says_something(image: str):
    with pytest.raises(Rejected, match="name it with a tag"):
        stamp(manifests(), image)


@pytest.mark.parametrize("image", ["a:5000/b/crypto-data:1.2.3", f"crypto-data:v2@sha256:{'0' * 64}"])
def test_images_with_a_port_or_a_digest(image: str):
    (service,) = (one for one in stamp(manifests(), image) if one["kind"] == "RayService")
    assert operator.release(service) in ("1.2.3", "v2")


def test_a_tag_that_looks_like_a_number_stays_a_word():
    (service,) = (one for one in stamp(manifests(), "crypto-data:1.10") if one["kind"] == "RayService")
    assert operator.release(service) == "1.10"


def test_what_came_with_the_repository_is_unfinished():
    assert unfinished(read(built("overlays/local"))) == []
    said = "\n".join(unfinished(read(built("overlays/production"))))
    for expected in (
        "EndpointSlice mysql-outside still has 192.0.2.10",
        "Gateway data-api still has example.com",
    ):
        assert expected in said


def test_only_our_fields_count_as_differences():
    there = {"spec": {"a": 1, "theirs": 2, "list": [{"x": 1, "defaulted": 2}]}, "status": {}}
    assert differences({"spec": {"a": 1, "list": [{"x": 1}], "empty": {}}}, there) == []
    assert differences({"spec": {"a": 3, "new": "b"}}, there) == [
        "spec.a: 1 -> 3",
        'spec.new: nothing -> "b"',
    ]
    assert differences({"spec": {"list": []}}, there) == ['spec.list: [{"x": 1, "defaulted": 2}] -> []']


def test_everything_that_the_manifests_hold_can_be_applied_in_order():
    for build in ("overlays/local", "overlays/production"):
        kinds = [one["kind"] for one in read(built(build))]
        assert kinds[0] == "Namespace"
        assert kinds[-1] == "RayService"
        assert set(kinds) <= {kind for _, kind in KINDS}
