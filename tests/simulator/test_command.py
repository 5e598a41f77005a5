"""The simulator as a process of its own."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from ray_app.simulator.coins import registry

REPO = Path(__file__).parents[2]


@pytest.fixture
def command():
    """Start the command, wait for its line; whatever still runs at the end is killed."""
    processes = []

    def run(*arguments):
        process = subprocess.Popen(
            [sys.executable, "-m", "ray_app.simulator", *arguments],
            cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        processes.append(process)
        assert process.stdout is not None
        return process, process.stdout.readline()

    yield run
    for process in processes:
        process.kill()
        process.communicate()


def test_it_says_where_it_is_and_stops_cleanly(command, tmp_path):
    begun = time.perf_counter()
    process, line = command(
        "--start", "2024-02-29T12:00:00+00:00", "--frozen", "--plan", "demo", "--key", "mine",
        "--port-file", str(tmp_path / "port"),
    )  # fmt: skip
    seconds = time.perf_counter() - begun
    match = re.fullmatch(r"simulator (http://127\.0\.0\.1:(\d+))\n", line)
    assert match
    assert (tmp_path / "port").read_text() == match[2]
    with httpx.Client(base_url=match[1], headers={"x-cg-demo-api-key": "mine"}) as client:
        assert client.get("/sim/clock").json()["now"] == "2024-02-29T12:00:00.000+00:00"
        listed = {coin["id"] for coin in client.get("/cg-public/api/v3/coins/list").json()}
        # The registry's coins that exist by then are all there.
        rows = client.get("/cg-public/api/v3/coins/markets?vs_currency=usd&per_page=250").json()
        assert {row["id"] for row in rows} == listed
        assert len(listed & {listing.id for listing in registry()}) > 20
        assert client.get("/sim/ledger").json()["arrivals"][0]["plan"] == "demo"
    assert seconds < 5  # measured: 0.5
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert process.stderr.read() == ""


def test_a_hanging_answer_does_not_keep_it_alive(command):
    process, line = command("--frozen")
    with httpx.Client(
        base_url=line.split()[1], headers={"x-cg-pro-api-key": "sim-key"}, timeout=0.3
    ) as client:
        client.post("/sim/faults", json={"fault": "F11", "parameters": {"seconds": 600}})
        with pytest.raises(httpx.ReadTimeout):
            client.get("/cg-pro/api/v3/ping")
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_time_runs_at_the_asked_speed(command):
    _, line = command("--start", "2024-01-01T00:00:00Z", "--speed", "100000")
    with httpx.Client(base_url=line.split()[1]) as client:
        one, begun = client.get("/sim/clock").json()["now"], time.perf_counter()
        while time.perf_counter() < begun + 0.05:
            pass
        two = client.get("/sim/clock").json()["now"]
    assert one[:10] == "2024-01-01"
    assert one < two


def test_what_cannot_be_used_is_said(command, tmp_path):
    process, line = command("--data", str(tmp_path / "absent"))
    assert line == ""
    assert process.wait(10) == 1
    assert "no folder" in process.stderr.read()
