"""A real API server for the same tests, where KUBEBUILDER_ASSETS names a folder with `etcd` and `kube-apiserver`."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from tests.kuberay.crds import CRDS
from tests.server_process import free_port

ASSETS = os.environ.get("KUBEBUILDER_ASSETS", "")


@contextmanager
def started(folder: Path) -> Iterator[str]:
    """The address of a server that takes the token `good` as an administrator's; the custom resources are installed."""
    etcd, peers, port = free_port(), free_port(), free_port()
    (folder / "tokens.csv").write_text("good,tests,1,system:masters\n")
    subprocess.run(
        ["openssl", "genrsa", "-out", str(folder / "sa.key"), "2048"], check=True, capture_output=True
    )
    commands = [
        [f"{ASSETS}/etcd", f"--data-dir={folder / 'etcd'}", f"--listen-client-urls=http://127.0.0.1:{etcd}",
         f"--advertise-client-urls=http://127.0.0.1:{etcd}", f"--listen-peer-urls=http://127.0.0.1:{peers}"],
        [f"{ASSETS}/kube-apiserver", f"--etcd-servers=http://127.0.0.1:{etcd}", f"--secure-port={port}",
         "--bind-address=127.0.0.1", f"--cert-dir={folder / 'certs'}", f"--token-auth-file={folder / 'tokens.csv'}",
         "--authorization-mode=RBAC", "--disable-admission-plugins=ServiceAccount,PodSecurity",
         "--service-cluster-ip-range=10.0.0.0/24",
         "--service-account-issuer=https://tests", f"--service-account-key-file={folder / 'sa.key'}",
         f"--service-account-signing-key-file={folder / 'sa.key'}"],
    ]  # fmt: skip
    with ExitStack() as stack:
        log = stack.enter_context((folder / "server.log").open("ab"))
        for command in commands:
            process = subprocess.Popen(command, stdout=log, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.terminate)
        address = f"https://127.0.0.1:{port}"
        headers = {"Authorization": "Bearer good"}
        with httpx.Client(base_url=address, verify=False, headers=headers, timeout=30) as http:
            deadline = time.monotonic() + 60
            while not _ready(http):
                assert time.monotonic() < deadline, (folder / "server.log").read_text()[-3000:]
                time.sleep(0.2)
            _install(http)
        yield address


def _ready(http: httpx.Client) -> bool:
    try:
        return http.get("/readyz").status_code == 200
    except httpx.HTTPError:
        return False


def _install(http: httpx.Client) -> None:
    import yaml

    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    for file in sorted(CRDS.glob("ray.io_*.yaml")):
        definition = yaml.load(file.read_text(), Loader=yaml.CSafeLoader)
        http.post(
            path, content=json.dumps(definition), headers={"Content-Type": "application/json"}
        ).raise_for_status()
    deadline = time.monotonic() + 30
    while http.get("/apis/ray.io/v1").status_code != 200:
        assert time.monotonic() < deadline, "the custom resources are not served"
        time.sleep(0.1)
