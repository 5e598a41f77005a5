"""The first command of the README, as a person runs it: it serves, a job runs, it stops whole."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.monitoring.names import declared, exported

REPO = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
WITHIN = 180  # seconds; a start takes some 20 on an idle machine with two cores


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def processes(mark: str) -> list[str]:
    """The command lines of the living processes that carry this mark in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"CRYPTO_DATA_TEST_MARK={mark}".encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip())
        except OSError:
            continue
    return [line for line in found if line]


class Up:
    """One `crypto-data up --demo` as a process."""

    def __init__(self, folder: Path, *arguments: str, ray_folder: str = "/tmp", **settings: str) -> None:
        self.port, self.dashboard = free_port(), free_port()
        self.mark = f"{os.getpid()}-{folder.name}-{self.port}"
        self.environment = {
            k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "CRYPTO_DATA_"))
        } | {
            "CRYPTO_DATA_DATA_DIR": str(folder / "node"),
            "CRYPTO_DATA_PORT": str(self.port),
            "CRYPTO_DATA_DASHBOARD_PORT": str(self.dashboard),
            "CRYPTO_DATA_TEST_MARK": self.mark,
            "RAY_TMPDIR": ray_folder,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": "0123456789abcdef0123456789abcdef",
        }
        self.environment |= {f"CRYPTO_DATA_{name.upper()}": value for name, value in settings.items()}
        self.log = folder / "up.log"
        with self.log.open("w") as log:
            command = [str(BIN / "crypto-data"), "up", *arguments]
            self.process = subprocess.Popen(command, cwd=REPO, env=self.environment, stdout=log, stderr=log)

    def started(self) -> str:
        """What it printed once it serves."""
        deadline = time.monotonic() + WITHIN
        while time.monotonic() < deadline:
            text = self.log.read_text()
            if "Ctrl-C stops everything." in text:
                return text
            assert self.process.poll() is None, text
            time.sleep(0.2)
        raise AssertionError(f"did not serve within {WITHIN} s:\n{self.log.read_text()}")

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with tempfile.TemporaryDirectory() as short:  # the path of a socket has 107 letters at most
        node = Up(tmp_path_factory.mktemp("up"), "--demo", ray_folder=short)
        try:
            yield node
        finally:
            if node.process.poll() is None:
                node.stop()


def run(up: Up, *command: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=REPO, env=up.environment, capture_output=True, text=True, timeout=timeout, check=False
    )


def curl(up: Up, line: str) -> Any:
    done = run(up, *shlex.split(line))
    assert done.returncode == 0, done
    return json.loads(done.stdout)


@pytest.mark.slow
def test_the_three_printed_requests_work(up: Up) -> None:
    price, history, health = [
        curl(up, line.strip()) for line in up.started().splitlines() if line.strip().startswith("curl")
    ]
    assert price["symbol"] == "BTC"
    assert price["current_price"]["usd"] > 0
    assert history["data"], "the last 30 days are being filled while it serves"
    assert all(
        bar["low"] <= min(bar["open"], bar["close"]) <= max(bar["open"], bar["close"]) <= bar["high"]
        for bar in history["data"]
    )
    assert health["status"] in ("available", "pending", "degraded")
    assert {answer["meta"]["simulated"] for answer in (price, history, health)} == {True}


@pytest.mark.slow
def test_the_embedded_model_runs_once_it_is_asked_and_says_its_own_name(up: Up) -> None:
    key = re.search(r"cdk_\w+", up.started())
    assert key is not None
    ask = f"curl -s -H 'Authorization: Bearer {key[0]}' http://127.0.0.1:{up.port}/api/v1"

    def part() -> Any:
        [found] = [one for one in curl(up, f"{ask}/health")["parts"] if one["part"] == "models.finbert"]
        return found

    deadline = time.monotonic() + WITHIN
    while (before := part())["state"] == "pending" and time.monotonic() < deadline:
        time.sleep(0.2)
    assert (before["state"], before["reason"]) == (
        "available",
        "no replica runs; the first request starts one",
    )
    body = json.dumps({"texts": ["Bitcoin soars to a new record", "12345"]})
    answer = curl(up, f"{ask}/models/finbert -d {shlex.quote(body)}")
    assert [(one["label"], one["reason"]) for one in answer["data"]] == [
        ("bullish", None),
        (None, "no_words"),
    ]
    assert {one["model"]["id"] for one in answer["data"]} == {"minilm-market-words"}
    assert part()["reason"] is None
    submit = [
        str(BIN / "ray"), "job", "submit", "--address", f"http://127.0.0.1:{up.dashboard}",
        "--entrypoint-num-cpus", "0.1", "--", "python", "jobs/score_sentiment.py", "--streams", "rss.articles",
        "--end", "2020-01-01", "--cpus", "0.5",
    ]  # fmt: skip
    done = run(up, *submit, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"^\{\n.*?^\}", done.stdout, re.DOTALL | re.MULTILINE)
    assert found is not None, done.stdout
    receipt = json.loads(found[0])["articles"]
    assert receipt["model"] == answer["data"][0]["model"], "the job scores by the model that the node has"
    assert receipt["verified"] == {"texts": 0, "scored": 0, "without": {}, "left": 0}


@pytest.mark.slow
def test_thirty_days_of_hours_arrive_for_every_coin(up: Up) -> None:
    text = up.started()
    key = re.search(r"cdk_\w+", text)
    assert key is not None
    ask = f"curl -s -H 'Authorization: Bearer {key[0]}' http://127.0.0.1:{up.port}"
    coins = curl(up, f"{ask}/api/v1/catalog/symbols?limit=1000")["data"]
    tracked = [coin["symbol"] for coin in coins]
    deadline = time.monotonic() + 120
    points: dict[str, int] = {}
    while time.monotonic() < deadline and (lacking := [s for s in tracked if points.get(s, 0) < 719]):
        for symbol in lacking:
            points[symbol] = curl(up, f"{ask}/api/v1/prices/historical/{symbol}?days=30")["total_points"]
    assert {symbol: n for symbol, n in points.items() if n < 719} == {}, (
        "30 days are 720 hours; the newest may not have settled"
    )
    assert len(tracked) >= 50


@pytest.mark.slow
def test_a_backfill_job_is_submitted_once_and_leaves_a_receipt(up: Up) -> None:
    up.started()
    arguments = [
        "coingecko.bars_1h",
        "--partitions",
        "BTC,ETH",
        "--start",
        "2026-01-01",
        "--end",
        "2026-03-01",
    ]
    submit = [
        str(BIN / "ray"), "job", "submit", "--address", f"http://127.0.0.1:{up.dashboard}",
        "--submission-id", "two-months", "--entrypoint-num-cpus", "0.1",
        "--", "python", "jobs/backfill.py", *arguments,
    ]  # fmt: skip
    done = run(up, *submit, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"^\{\n.*?^\}", done.stdout, re.DOTALL | re.MULTILINE)
    assert found is not None, done.stdout
    receipt = json.loads(found[0])
    assert receipt["verified"] == {"collected": 2 * 59 * 24}
    assert receipt["new"] == 2 * 59 * 24
    assert (receipt["failed"], receipt["lost"]) == (0, [])
    again = run(up, *submit)
    assert again.returncode != 0
    assert "two-months" in again.stdout + again.stderr, "a submission id is taken once"
    key = re.search(r"cdk_\w+", up.log.read_text())
    assert key is not None
    shown = curl(
        up,
        f"curl -s -H 'Authorization: Bearer {key[0]}' http://127.0.0.1:{up.port}/api/v1/backfills/two-months",
    )
    assert shown["state"] == "done", shown


NEIGHBOUR = """
import sys, ray
started = ray.init(address="local", num_cpus=1, include_dashboard=False, object_store_memory=80 * 2**20,
                   log_to_driver=False, _temp_dir=sys.argv[1])
print(started.address_info["gcs_address"], flush=True)
sys.stdin.read()
"""
NAMED = """
import ray
ray.init("auto")
print("named:", sorted(actor["namespace"] for actor in ray.util.list_named_actors(all_namespaces=True)))
"""


@pytest.mark.slow
def test_a_job_finds_this_node_whatever_another_ray_left_behind(up: Up) -> None:
    """Another cluster runs here, and the file in the folder that all share names it, or one that is dead."""
    up.started()
    shared = Path(up.environment["RAY_TMPDIR"]) / "ray"
    file = shared / "ray_current_cluster"
    submit = [str(BIN / "ray"), "job", "submit", "--address", f"http://127.0.0.1:{up.dashboard}"]
    submit += ["--entrypoint-num-cpus", "0.1", "--", "python", "-c", NAMED]
    neighbour = subprocess.Popen(
        [sys.executable, "-c", NEIGHBOUR, str(shared)],
        env=up.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert neighbour.stdout is not None
        living = neighbour.stdout.readline().strip()
        assert re.fullmatch(r"[\d.]+:\d+", living)
        for address in (living, f"{living.partition(':')[0]}:{free_port()}"):
            file.write_text(address)
            done = run(up, *submit)
            assert done.returncode == 0, done.stdout + done.stderr
            found = re.search(r"^named: (.*)$", done.stdout, re.MULTILINE)
            assert found is not None, done.stdout
            assert "crypto-data" in found[1], "the job joined the neighbour"
            assert file.read_text() == address, "it is not ours"
    finally:
        neighbour.communicate()


@pytest.mark.slow
def test_the_command_line_reads_the_running_node(up: Up) -> None:
    up.started()
    folder = Path(up.environment["CRYPTO_DATA_DATA_DIR"]) / "demo"
    up.environment["CRYPTO_DATA_DATA_DIR"] = str(folder)
    try:
        listed = run(up, str(BIN / "crypto-data"), "keys", "list")
        assert listed.returncode == 0, listed
        assert "demo" in listed.stdout
    finally:
        up.environment["CRYPTO_DATA_DATA_DIR"] = str(folder.parent)


@pytest.mark.slow
def test_a_port_in_use_is_said_in_one_line(up: Up) -> None:
    up.started()
    second = run(up, str(BIN / "crypto-data"), "up", "--demo")
    assert second.returncode == 2
    (line,) = [line for line in second.stderr.splitlines() if line]
    assert line.startswith(f"crypto-data: 127.0.0.1:{up.port} cannot be used")
    assert "CRYPTO_DATA_PORT" in line


@pytest.mark.slow
def test_ray_exports_what_rules_and_dashboards_ask_for(up: Up) -> None:
    up.started()
    (listed,) = Path(up.environment["RAY_TMPDIR"]).glob(
        f"ray/node-{up.port}/prom_metrics_service_discovery.json"
    )
    wanted = {name for name in exported(declared()) if name.startswith("ray_")}
    deadline = time.monotonic() + 60
    while wanted and time.monotonic() < deadline:
        for target in json.loads(listed.read_text())[0]["targets"]:
            text = run(up, "curl", "-s", f"http://{target}/metrics").stdout
            wanted -= {line.partition("{")[0] for line in text.splitlines()}
        time.sleep(1)
    assert wanted == set()


@pytest.mark.slow
def test_ctrl_c_leaves_no_process_behind(up: Up) -> None:
    up.started()
    assert processes(up.mark), "the mark must find the running ones"
    assert up.stop() == 0
    deadline = time.monotonic() + 20
    while processes(up.mark) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert processes(up.mark) == []


@pytest.mark.slow
@pytest.mark.parametrize("begun", ["ray_app.simulator", "valkey", "raylet/raylet"])
def test_sigterm_during_the_start_leaves_no_process_behind(tmp_path: Path, begun: str) -> None:
    """As soon as a process of this name runs, the start is ended."""
    with tempfile.TemporaryDirectory() as short:
        node = Up(tmp_path, "--demo", ray_folder=short)
        try:
            deadline = time.monotonic() + WITHIN
            while not any(begun in line for line in processes(node.mark)):
                assert time.monotonic() < deadline, node.log.read_text()
                assert node.process.poll() is None, node.log.read_text()
                time.sleep(0.02)
            node.process.terminate()
            assert node.process.wait(60) == 128 + signal.SIGTERM
            deadline = time.monotonic() + 20
            while processes(node.mark) and time.monotonic() < deadline:
                time.sleep(0.2)
            assert processes(node.mark) == []
        finally:
            if node.process.poll() is None:
                node.stop()


@pytest.mark.slow
def test_without_demo_it_serves_the_plan_of_the_settings_and_makes_the_first_key(
    tmp_path: Path, simulate: Any
) -> None:
    upstreams = simulate("--plan", "keyless", "--coins", "90")
    node = Up(tmp_path, upstreams=upstreams, coingecko_plan="keyless", sources="coingecko,alternative")
    try:
        text = node.started()
        key = re.search(r"cdk_\w+", text)
        assert key is not None, text
        ask = f"curl -s -H 'Authorization: Bearer {key[0]}' http://127.0.0.1:{node.port}"
        deadline = time.monotonic() + 60
        while (price := curl(node, f"{ask}/api/v1/prices/current/bitcoin")).get("symbol") != "BTC":
            assert time.monotonic() < deadline, price
            time.sleep(0.5)
        assert price["meta"]["simulated"] is True
        quotas = curl(node, f"{ask}/api/v1/quotas")["data"]
        assert {quota["scope"] for quota in quotas} == {"alternative-public", "coingecko-keyless"}
        (stored,) = (tmp_path / "node").glob("node.db")
        assert stored.exists()
    finally:
        assert node.stop() == 0
