"""`make load`: Locust asks a running node what a trading engine asks, and writes a report with plots.

The node is LOAD_URL with the key LOAD_KEY; without them a demo is started, and stopped at the end. Users, their
questions a second and the seconds are bounded. Ends with 1 when an answer failed, so that a pipeline can use it.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from benchmarks.figures import OUT, Figure, exactly, show
from benchmarks.processes import Tree
from benchmarks.start import environment, key_of
from tests.server_process import free_port

MIX = {  # route -> how often an engine asks it, among the others
    "/api/v1/prices/current/{symbol}": 40,
    "/api/v1/prices/current?symbols={symbols}": 10,
    "/api/v1/technical/{symbol}": 15,
    "/api/v1/ml-features/{symbol}": 15,
    "/api/v1/news/crypto/latest?symbol={symbol}": 8,
    "/api/v1/prices/historical/{symbol}?interval=1h&days=2": 5,
    "/api/v1/sentiment/crypto/{symbol}": 4,
    "/graphql": 3,
}
SYMBOLS = ("BTC", "ETH", "SOL")
Routes = dict[str, tuple[int, list[str]]]  # route -> its share, the paths to ask; of GraphQL the symbols
MOST_USERS, MOST_SECONDS, MOST_PER_SECOND = 500, 3_600, 50.0
DEMO_WITHIN = 300.0  # seconds


@contextlib.contextmanager
def node() -> Iterator[tuple[str, str]]:
    """Address and key of the node to ask: that of the environment, or a demo of our own."""
    url, key = os.environ.get("LOAD_URL"), os.environ.get("LOAD_KEY")
    if url and key:
        yield url.rstrip("/"), key
        return
    if url or key:
        raise SystemExit("load: say both LOAD_URL and LOAD_KEY, or neither for a demo")
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        settings = {
            "CRYPTO_DATA_DATA_DIR": str(folder / "node"),
            "CRYPTO_DATA_PORT": str(port),
            "CRYPTO_DATA_DASHBOARD_PORT": str(free_port()),
        }
        command = [str(Path(sys.executable).with_name("crypto-data")), "up", "--demo"]
        tree = Tree(command, environment(**settings), folder)
        try:
            yield f"http://127.0.0.1:{port}", key_of(tree, DEMO_WITHIN)
        finally:
            tree.stop()


def answered(url: str, key: str) -> tuple[Routes, list[str]]:
    """What this node has data for and this key may ask, of each route of the mix; why not what is left out."""
    routes: Routes = {}
    left: list[str] = []
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60) as http:
        known = [one for one in SYMBOLS if _answers(http, f"/api/v1/prices/current/{one}", left)]
        for route, share in MIX.items():
            asked = [route.format(symbol=one, symbols=",".join(known)) for one in known]
            paths = [one for one in dict.fromkeys(asked) if route == "/graphql" or _answers(http, one, left)]
            if paths:
                routes[route] = (share, known if route == "/graphql" else paths)
    return routes, list(dict.fromkeys(left))


def _answers(http: httpx.Client, path: str, left: list[str]) -> bool:
    """Whether there is an answer; else why not goes into `left`."""
    answer = http.get(path)
    if answer.status_code == 200:
        return True
    code = answer.json()["error"]["code"]
    if code not in ("DATA_NOT_AVAILABLE", "INSUFFICIENT_SCOPE", "LICENCE_RESTRICTED"):
        raise SystemExit(f"load: {path} answers {answer.status_code} {code}")
    left.append(f"{path}: {code}")
    return False


def run(
    url: str,
    key: str,
    routes: Routes,
    *,
    users: int,
    per_second: float,
    seconds: int,
    out: Path,
    most: int = 0,
) -> list[dict[str, Any]]:
    """Locust for so long, or until `most` questions were answered: what it counted of each route. `out`: its report."""
    out.parent.mkdir(parents=True, exist_ok=True)
    told = {
        "LOAD_URL": url, "LOAD_KEY": key, "LOAD_PER_SECOND": str(per_second),
        "LOAD_ROUTES": json.dumps(routes), "LOAD_MOST": str(most),
    }  # fmt: skip
    counted = out.with_suffix("")
    command = [
        sys.executable, "-m", "locust", "-f", str(Path(__file__).with_name("engine.py")), "--headless",
        "--users", str(users), "--spawn-rate", str(users), "--run-time", f"{seconds}s",
        "--stop-timeout", "10", "--html", str(out), "--json-file", str(counted), "--only-summary",
        "--exit-code-on-error", "0", "--skip-log-setup",
    ]  # fmt: skip
    ended = subprocess.run(
        command, env=os.environ | told, capture_output=True, text=True, timeout=seconds + 120, check=False
    )
    if ended.returncode:
        raise RuntimeError(f"locust ended with {ended.returncode}: {ended.stderr[-2000:]}")
    found: list[dict[str, Any]] = json.loads(counted.with_suffix(".json").read_text())
    return found


def figures(counted: list[dict[str, Any]], seconds: int) -> list[Figure]:
    out = [
        Figure("answers", sum(one["num_requests"] for one in counted)),
        exactly("failures", sum(one["num_failures"] for one in counted), 0),
    ]
    for one in counted:
        times = sorted((float(ms), count) for ms, count in one["response_times"].items())
        out.append(Figure(f"{one['name']}: a second", one["num_requests"] / seconds, "requests/s"))
        out += [Figure(f"{one['name']}: p{p}", _percentile(times, p / 100), "ms") for p in (50, 95, 99)]
    return out


def _percentile(times: list[tuple[float, int]], part: float) -> float:
    """Of milliseconds with how many answers took so long."""
    wanted, seen = part * sum(count for _, count in times), 0
    for ms, count in times:
        seen += count
        if seen >= wanted:
            return ms
    return 0.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.under_load", description=__doc__)
    parser.add_argument("--users", type=int, default=20, help=f"at most {MOST_USERS}")
    parser.add_argument(
        "--per-second", type=float, default=2.0, help=f"questions of each, at most {MOST_PER_SECOND:g}"
    )
    parser.add_argument("--seconds", type=int, default=60, help=f"at most {MOST_SECONDS}")
    asked = parser.parse_args()
    for name, most in (("users", MOST_USERS), ("per_second", MOST_PER_SECOND), ("seconds", MOST_SECONDS)):
        if not 0 < getattr(asked, name) <= most:
            parser.error(f"{name} must be above 0, and at most {most:g}")
    console = Console()
    out = OUT / f"load-{time.strftime('%Y%m%dT%H%M%S')}.html"
    with node() as (url, key):
        routes, left = answered(url, key)
        for one in left:
            console.print(f"left out: {one}", highlight=False)
        counted = run(
            url, key, routes, users=asked.users, per_second=asked.per_second, seconds=asked.seconds, out=out
        )
    found = figures(counted, asked.seconds)
    show("load", found, console)
    console.print(f"report with plots: {out}", highlight=False)
    for route in counted:
        if route["num_failures"]:
            console.print(f"{route['name']}: {route['num_failures']} failed", highlight=False)
    return 0 if all(one.met is not False for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
