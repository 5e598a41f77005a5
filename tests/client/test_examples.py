"""The examples of docs/client.md run against a node, and say the same in every language."""

import asyncio
import contextlib
import io
import json
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ray_app.serve.streams.app import build_events
from tests.client.conftest import working
from tests.serve.conftest import Running
from tests.serve.streams.conftest import relay, served

DOCUMENT = Path(__file__).parents[2] / "docs/client.md"
EXAMPLE = re.compile(r"<!-- example: (\w+) -->\n((?:```\w+\n.*?^```\n+)+)", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLES = {name: BLOCK.findall(blocks) for name, blocks in EXAMPLE.findall(DOCUMENT.read_text())}
SHOWN = {
    "price": "BTC 139.25 degraded",  # since it is not what the exchange of the test says
    "rows": "24 147.25",
    "moment": "109.25 2026-11-23T00:44:40+00:00",
    "errors": "INVALID_SYMBOL BTC",
    "stream": "snapshot 2",
}


class Whole:
    """The gateway and the event streams under one address, as Serve routes them."""

    def __init__(self, gateway: Any, events: Any) -> None:
        self._gateway, self._events = gateway, events

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        streams = scope["type"] == "lifespan" or scope["path"].startswith("/api/v1/stream/")
        await (self._events if streams else self._gateway)(scope, receive, send)


@pytest.fixture
async def environment(full: Running) -> AsyncIterator[dict[str, str]]:
    """Of a process that asks a node which serves everything and makes exports."""
    await relay(full, None)
    whole: Any = Whole(full.app, build_events(full.node.parts))
    async with served(whole) as port, working(full):
        yield {**os.environ, "NODE": f"http://127.0.0.1:{port}", "KEY": full.key}


def in_python(code: str) -> str:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(code, str(DOCUMENT), "exec"), {"__name__": "example"})
    return said.getvalue()


def outside(command: list[str], code: str, environment: dict[str, str]) -> str:
    if shutil.which(command[0]) is None:
        reason = f"{command[0]} is missing: tests/install_servers.sh installs it"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    run = subprocess.run(
        [*command, code], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


async def test_each_example_runs_and_all_languages_agree(environment, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "environ", environment)
    assert set(SHOWN) | {"frame", "training"} == set(EXAMPLES)
    for name, blocks in EXAMPLES.items():
        said: dict[str, set[str]] = {}
        for language, code in blocks:
            match language:
                case "python":
                    told = await asyncio.to_thread(in_python, code)
                case "js":
                    told = await asyncio.to_thread(
                        outside, ["node", "--input-type=module", "-e"], code, environment
                    )
                case _:
                    told = await asyncio.to_thread(outside, ["bash", "-c"], code, environment)
            said.setdefault(language, set()).add(told.strip())
        languages = [language for language, _ in blocks]
        if name != "frame":
            assert languages[:2] == ["python", "python"], name
            assert ("async" in blocks[1][1], languages[-1]) == (True, "sh"), name
        plain = said.pop("sh", {"{}"})
        assert len(set().union(*said.values())) == 1, (name, said)
        if name in SHOWN:
            assert set().union(*said.values()) == {SHOWN[name]}, name
        if name != "stream":
            json.loads(*plain)
        else:
            assert {one[:8] for one in plain} == {"retry: 3"}
