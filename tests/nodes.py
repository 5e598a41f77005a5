"""Fixtures: a simulator and the settings of a node with a store of its own."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ray_app.settings import Settings

Simulate = Callable[..., str]


@pytest.fixture
def simulate(tmp_path: Path) -> Iterator[Simulate]:
    """Start simulators as processes of their own: simulate("--speed", "30") gives the address."""
    running: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> str:
        command = [sys.executable, "-m", "ray_app.simulator", "--port", "0", *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        running.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("simulator http://"), f"the simulator did not start: {line}"
        return line.split()[1]

    yield start
    for process in running:
        process.terminate()
        process.communicate(timeout=10)


@pytest.fixture
def settings_for(tmp_path: Path) -> Callable[..., Settings]:
    """Settings of a node with a store in tmp_path, against a simulator."""

    def make(address: str, **changes: object) -> Settings:
        values = {
            "data_dir": tmp_path,
            "upstreams": address,
            "coingecko_plan": "paid",
            "sources": "coingecko",
            "release": tmp_path.name,
        }
        return Settings.model_validate(values | changes)

    return make
