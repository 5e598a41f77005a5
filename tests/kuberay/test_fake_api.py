"""The fake API server gives the answers that a real one gave (recorded from v1.36)."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.kuberay.crds import RECORDINGS
from tests.kuberay.fake_api import FakeApi, Served

# What our client never asks for: discovery, watches, tables, the version.
NOT_ASKED = {"20-table", "21-watch-events", "22-watch-too-old-410", "30-discovery-apis-ray", "31-version"}
VARIES = {"uid", "creationTimestamp", "deletionTimestamp", "managedFields"}
USERS = {"bad token": "bad", "system:serviceaccount:demo:deployer": "deployer"}


@pytest.fixture
def served() -> Iterator[Served]:
    if not RECORDINGS.is_dir():
        pytest.skip(
            f"no recorded answers: {RECORDINGS} does not exist (CRYPTO_DATA_SHARED names another folder)"
        )
    api = FakeApi()
    api.tokens["deployer"] = "system:serviceaccount:demo:deployer"
    api.forbidden = lambda user, what: user.endswith("deployer") and what.startswith("delete")
    api.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "demo"}})
    api.version = 244
    server = Served(api)
    yield server
    server.shutdown()
    server.server_close()


def level(value: Any) -> Any:
    """Without what is another one each time, and without the resource version of a page's mark."""
    if isinstance(value, dict):
        return {key: level(inner) for key, inner in value.items() if key not in VARIES}
    return [level(inner) for inner in value] if isinstance(value, list) else value


def ask(http: httpx.Client, request: dict[str, Any]) -> httpx.Response:
    headers = {"Authorization": f"Bearer {USERS.get(request.get('as', ''), 'good')}"}
    body = request.get("body")
    if body is not None:
        headers["Content-Type"] = request["content_type"]
    content = None if body is None else json.dumps(body)
    return http.request(
        request["method"], request["path"], params=request.get("params"), content=content, headers=headers
    )


def test_each_recorded_request_is_answered_as_it_was(served: Served):
    wrong = {}
    with httpx.Client(base_url=served.address) as http:
        for file in sorted(RECORDINGS.iterdir()):
            if file.stem == "20-table":  # between this and the next two things were done for the watch
                label = {"metadata": {"labels": {"y": "2"}}}
                path = "/apis/ray.io/v1/namespaces/demo/rayservices"
                merge = {"method": "PATCH", "content_type": "application/merge-patch+json"}
                ask(http, {**merge, "path": f"{path}/a", "body": label})
                ask(http, {"method": "DELETE", "path": f"{path}/u"})
            if file.stem in NOT_ASKED:
                continue
            recorded = json.loads(file.read_text())
            answer, expected = ask(http, recorded["request"]), recorded["response"]
            found = (answer.status_code, answer.headers.get("Warning"), level(answer.json()))
            wanted = (expected["status"], expected.get("warning"), level(expected["body"]))
            if found != wanted:
                wrong[file.stem] = [(f, w) for f, w in zip(found, wanted, strict=True) if f != w]
    assert wrong == {}


def test_every_other_recording_is_held_to(served: Served):
    assert {file.stem for file in RECORDINGS.iterdir()} >= NOT_ASKED
