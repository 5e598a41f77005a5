"""Streams: a thousand sockets on one replica, fifty symbols, beside a bare Starlette fan-out of the same events.

At a rate: fifty prices a second, the time of each commit against the last of its messages at each client. As fast as
they can: the next fifty are committed when every client has the last ones. The clients' own share of the processor is
told.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.api import free_port
from benchmarks.figures import Figure, at_least, exactly

SOCKETS, SYMBOLS = 1_000, 50
SECONDS, LAPS, ROUNDS = 15, 8, 3
MODES = ("bare", "uvicorn", "haproxy")  # Starlette on uvicorn; ours on uvicorn; ours on Serve behind HAProxy
FORMS = ("frames", "batches")  # a frame for each message; a frame for all that are due


class Child:
    """A process that answers a line of JSON with one."""

    def __init__(self, module: str, *arguments: str, **environment: str) -> None:
        command = [sys.executable, "-m", module, *arguments]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | environment,
            text=True,
        )

    def read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                told: dict[str, Any] = json.loads(line)
                return told
        raise RuntimeError(f"{self._process.args!r} ended with {self._process.wait()}")

    def ask(self, **command: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return self.read()

    def stop(self) -> None:
        self._process.communicate(timeout=60)


@contextmanager
def processes(folder: Path, mode: str) -> Iterator[tuple[Child, Child, int, str]]:
    """Source and server over one store and one Valkey, the server's port, and a key."""
    from ray_app.store.embedded import EmbeddedValkey

    folder.mkdir()
    valkey = EmbeddedValkey(folder / "valkey")
    children: list[Child] = []
    try:
        settings = {"CRYPTO_DATA_DATA_DIR": str(folder), "CRYPTO_DATA_REDIS_URL": valkey.start()}
        source = Child("benchmarks.streams_source", str(SYMBOLS), **settings)
        children.append(source)
        key = source.read()["key"]
        port = free_port()
        server = Child("benchmarks.streams_server", mode, str(port), **settings)
        children.append(server)
        server.read()
        yield source, server, port, key
    finally:
        for child in reversed(children):
            child.stop()
        valkey.stop()


def at_a_rate(source: Child, server: Child, clients: Child) -> dict[str, Any]:
    """Fifty prices a second: milliseconds from the commit to the last of them at a client, over all clients."""
    before = clients.ask(do="mark"), server.ask(do="cpu")
    commits = source.ask(do="rate", batches=SECONDS, every=1.0)["committed"]
    after = clients.ask(do="wait", batches=len(commits)), server.ask(do="cpu")
    waits = sorted(
        1000 * (got - committed)
        for committed, times in zip(commits, after[0]["received"], strict=True)
        for got in times
    )
    took = after[0]["at"] - before[0]["at"]
    return {
        "p50_ms": waits[len(waits) // 2],
        "p99_ms": waits[int(len(waits) * 0.99)],
        "messages": len(waits) * SYMBOLS,
        "lost": SOCKETS * SECONDS - len(waits),
        "client_cpu": (after[0]["cpu"] - before[0]["cpu"]) / took,
        "server_cpu": (after[1]["cpu"] - before[1]["cpu"]) / took,
    }


def as_fast_as_they_can(source: Child, server: Child, clients: Child) -> dict[str, Any]:
    """Lap after lap; messages a second over all clients."""
    before = clients.ask(do="mark"), server.ask(do="cpu")
    for _ in range(LAPS):
        source.ask(do="rate", batches=1, every=0.0)
        clients.ask(do="wait", batches=1)
    after = clients.ask(do="mark")
    took = after["at"] - before[0]["at"]
    spent = server.ask(do="cpu")["cpu"] - before[1]["cpu"]
    messages = LAPS * SYMBOLS * SOCKETS
    return {
        "per_second": messages / took,
        "server_us_a_message": 1e6 * spent / messages,
        "client_cpu": (after["cpu"] - before[0]["cpu"]) / took,
        "server_cpu": spent / took,
    }


def one(mode: str, form: str) -> dict[str, Any]:
    with (
        tempfile.TemporaryDirectory() as name,
        processes(Path(name) / "node", mode) as (source, server, port, key),
    ):
        clients = Child("benchmarks.streams_load", str(port), key, form, str(SOCKETS), str(SYMBOLS))
        try:
            clients.read()
            source.ask(do="rate", batches=1, every=0.0)
            clients.ask(do="wait", batches=1)
            fast = as_fast_as_they_can(source, server, clients)
            return {
                "fast": fast,
                "rate": at_a_rate(source, server, clients),
                "closed": clients.ask(do="mark")["closed"],
            }
        finally:
            clients.stop()


def measure() -> dict[str, Any]:
    """The modes in turn, several times."""
    rounds = [{f"{mode} {form}": one(mode, form) for form in FORMS for mode in MODES} for _ in range(ROUNDS)]
    out: dict[str, Any] = {name: _middle([each[name] for each in rounds]) for name in rounds[0]}
    for form in FORMS:
        for mode in MODES[1:]:
            ratios = [
                each[f"{mode} {form}"]["fast"]["per_second"] / each[f"bare {form}"]["fast"]["per_second"]
                for each in rounds
            ]
            out[f"{mode} {form}"]["ratio"] = median(ratios)
    return out


def _middle(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    parts = {
        part: {k: median(one[part][k] for one in rounds) for k in rounds[0][part]}
        for part in ("fast", "rate")
    }
    return parts | {"closed": sum(one["closed"] for one in rounds)}


def figures(measured: dict[str, Any]) -> list[Figure]:
    out = []
    for form in FORMS:
        out.append(
            at_least(
                f"{form}: messages, ours on uvicorn / bare fan-out",
                measured[f"uvicorn {form}"]["ratio"],
                0.60,
            )
        )
        out.append(
            Figure(
                f"{form}: messages, ours behind HAProxy / bare fan-out", measured[f"haproxy {form}"]["ratio"]
            )
        )
    lost = sum(one["closed"] + one["rate"]["lost"] for one in measured.values())
    out.append(exactly("sockets closed and batches lost", lost, 0))
    for name, found in measured.items():
        fast, rate = found["fast"], found["rate"]
        out += [
            Figure(f"{name}: as fast as it can", fast["per_second"], "messages/s"),
            Figure(f"{name}: processor time of the server", fast["server_us_a_message"], "us a message"),
            Figure(f"{name}: share of a core, the clients'", fast["client_cpu"]),
            Figure(f"{name}: 50 prices a second, p50 from commit to receipt", rate["p50_ms"], "ms"),
            Figure(f"{name}: 50 prices a second, p99 from commit to receipt", rate["p99_ms"], "ms"),
            Figure(f"{name}: share of a core then, the server's", rate["server_cpu"]),
            Figure(f"{name}: share of a core then, the clients'", rate["client_cpu"]),
        ]
    return out
