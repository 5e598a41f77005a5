"""Start: `crypto-data up --demo`, from nothing to the first price, beside a bare Ray with one hello route.

In turns, in the same run, with the same Ray settings. Seconds from starting the program to its first good
answer, as somebody outside sees it; memory as PSS of every process that came of it, the most in the seconds
after that answer; and whether all of them are gone after Ctrl-C.
"""

import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from benchmarks.figures import Figure, at_most, exactly
from benchmarks.processes import Tree
from ray_app.commands.up import RAY_ENVIRONMENT
from tests.server_process import free_port

ROUNDS = 3
WITHIN = 180.0  # seconds for a start
WATCHED = 10.0  # seconds after the first answer in which memory is looked at
TIMES, MORE_MIB = 2.5, 700
MIB = 2**20


def environment(**more: str) -> dict[str, str]:
    """Ours without anything that could configure a node or Ray, and what the node sets for Ray."""
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("CRYPTO_DATA_", "RAY_"))}
    ours = {k: v for k, v in RAY_ENVIRONMENT.items() if "CALLBACK" not in k}
    return plain | ours | more


def lines_of(process: subprocess.Popen[str]) -> "queue.Queue[str | None]":
    """What the program prints, line by line, then None."""
    lines: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        for line in process.stdout or ():
            lines.put(line.strip())
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    return lines


def first_hello(tree: Tree, url: str) -> None:
    """Return with the first good answer."""
    deadline = time.monotonic() + WITHIN
    with httpx.Client(timeout=5) as http:
        while time.monotonic() < deadline and tree.root.poll() is None:
            try:
                if http.get(url).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.05)
    raise RuntimeError(f"no answer from {url}")


def key_of(tree: Tree, within: float) -> str:
    """The key that a demo prints when it serves. `within`: seconds. Raises RuntimeError, queue.Empty."""
    lines, deadline = lines_of(tree.root), time.monotonic() + within
    while True:
        line = lines.get(timeout=max(0.1, deadline - time.monotonic()))
        if line is None:
            raise RuntimeError("the node ended before it served")
        if line.startswith("API key"):
            return line.split()[-1]


def first_price(tree: Tree, url: str) -> None:
    """Return with the first price, asked for with the key that the node prints when it serves."""
    key = key_of(tree, WITHIN)
    answer = httpx.get(url, headers={"Authorization": f"Bearer {key}"})
    answer.raise_for_status()
    assert "price" in answer.text, answer.text


def start(
    command: list[str], env: dict[str, str], folder: Path, first: Callable[[Tree, str], None], url: str
) -> dict[str, Any]:
    """One start: seconds, the most memory, and what was left behind."""
    began = time.monotonic()
    tree = Tree(command, env, folder)
    left: list[str] = []
    try:
        first(tree, url)
        seconds, most, members = time.monotonic() - began, 0, 0
        until = time.monotonic() + WATCHED
        while time.monotonic() < until:
            most, members = max(most, tree.pss()), max(members, len(tree.look()))
            time.sleep(1)
    except BaseException:
        sys.stderr.write((folder / "stderr.log").read_text()[-4000:])
        raise
    finally:
        left = tree.stop()
    return {"seconds": round(seconds, 2), "pss_mib": round(most / MIB), "processes": members, "left": left}


def bare() -> dict[str, Any]:
    port, dashboard = free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(Path(__file__).with_name("bare.py")), str(port), str(dashboard)]
        return start(command, environment(), Path(folder), first_hello, f"http://127.0.0.1:{port}/")


def ours() -> dict[str, Any]:
    port, dashboard = free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "CRYPTO_DATA_DATA_DIR": str(Path(folder) / "node"),
            "CRYPTO_DATA_PORT": str(port),
            "CRYPTO_DATA_DASHBOARD_PORT": str(dashboard),
        }
        command = [str(Path(sys.executable).with_name("crypto-data")), "up", "--demo"]
        url = f"http://127.0.0.1:{port}/api/v1/prices/current/BTC"
        return start(command, environment(**settings), Path(folder), first_price, url)


def measure() -> dict[str, Any]:
    """Both in turns."""
    rounds = [{"bare": bare(), "ours": ours()} for _ in range(ROUNDS)]
    return {"rounds": rounds}


def figures(measured: dict[str, Any]) -> list[Figure]:
    rounds = measured["rounds"]
    out = []
    for who in ("bare", "ours"):
        for unit, label in (("seconds", "s"), ("pss_mib", "MiB"), ("processes", "")):
            shown = ", ".join(str(r[who][unit]) for r in rounds)
            out.append(Figure(f"{who}: {unit} (each: {shown})", median(r[who][unit] for r in rounds), label))
    ratios = [r["ours"]["seconds"] / r["bare"]["seconds"] for r in rounds]
    more = [r["ours"]["pss_mib"] - r["bare"]["pss_mib"] for r in rounds]
    return [
        *out,
        at_most("seconds, ours beside bare, middle round", round(median(ratios), 2), TIMES, "times"),
        at_most("PSS, ours above bare, middle round", median(more), MORE_MIB, "MiB"),
        Figure(
            "PSS, ours beside bare",
            round(median(r["ours"]["pss_mib"] / r["bare"]["pss_mib"] for r in rounds), 2),
            "times",
        ),
        exactly("processes left behind, ours", sum(len(r["ours"]["left"]) for r in rounds), 0),
        exactly("processes left behind, bare", sum(len(r["bare"]["left"]) for r in rounds), 0),
    ]
