"""GET /prices/current/{symbol} with authentication, limits and metrics, the price changing, every answer checked.

Beside it a constant FastAPI route: behind the same HAProxy, behind Serve's default proxy, and on bare uvicorn.
"""

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.figures import Figure, at_least, exactly

ROUNDS, SECONDS = 5, 6.0
PRICE, CONSTANT = "/api/v1/prices/current/BTC", "/bench/constant"


def free_port() -> int:
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            with suppress(OSError):
                second.bind(("127.0.0.1", port + 1))  # bare uvicorn takes two
                return port


async def key_for(url: str, raw: str) -> str:
    from ray_app.model.clock import SystemClock
    from ray_app.store.keys import SCOPES
    from ray_app.store.store import Store

    store = Store(url, raw)
    await store.database.prepare(simulated=False)
    key = await store.keys.create(
        "bench", frozenset(SCOPES), SystemClock().now(), per_hour=10**9, burst=10**9, internal=True
    )
    await store.close()
    return key


@contextmanager
def node(folder: Path, mode: str, redis_url: str, *, full: bool = False) -> Iterator[tuple[int, str, str]]:
    """A serving node in one mode: its port, a key, and the file that tells what was committed.

    `full`: with candles, features and news.
    """
    data = folder / mode
    data.mkdir()
    key = asyncio.run(key_for(f"sqlite+aiosqlite:///{data / 'node.db'}", str(data / "raw")))
    port = free_port()
    environment = os.environ | {"CRYPTO_DATA_DATA_DIR": str(data), "CRYPTO_DATA_REDIS_URL": redis_url}
    command = [
        sys.executable,
        "-m",
        "benchmarks.api_node",
        str(data),
        mode,
        str(port),
        *(["full"] if full else []),
    ]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
    )
    assert process.stdout is not None
    try:
        line = next((line for line in process.stdout if line.startswith("{")), "")
        yield port, key, json.loads(line)["committed"]
    finally:
        process.communicate(timeout=60)


def load(
    port: int, path: str, key: str, committed: str, seconds: float = SECONDS, rate: float = 0.0
) -> dict[str, Any]:
    """`committed`: the file of prices, `meta` where an answer must have that, or nothing for the constant route."""
    command = [
        sys.executable, "-m", "benchmarks.load", str(port), path, key, str(seconds), committed, str(rate),
    ]  # fmt: skip
    result: dict[str, Any] = json.loads(
        subprocess.run(command, capture_output=True, text=True, check=True).stdout
    )
    return result


def measure() -> dict[str, Any]:
    """Rounds in turn within each mode; every mode with its own node and store."""
    from ray_app.store.embedded import EmbeddedValkey

    out: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        for mode in ("haproxy", "default", "uvicorn"):
            valkey = EmbeddedValkey(Path(name) / f"valkey-{mode}")
            try:
                with node(Path(name), mode, valkey.start()) as (port, key, committed):
                    constant = (port + 1, "/constant") if mode == "uvicorn" else (port, CONSTANT)
                    load(port, PRICE, key, committed)
                    load(*constant, key, "")
                    rounds = [
                        (load(port, PRICE, key, committed), load(*constant, key, "")) for _ in range(ROUNDS)
                    ]
            finally:
                valkey.stop()
            out[mode] = {
                "price": _median([mine for mine, _ in rounds]),
                "constant": _median([base for _, base in rounds]),
                "ratio": median(mine["per_second"] / base["per_second"] for mine, base in rounds),
                "wrong": sum(mine["wrong"] + base["wrong"] for mine, base in rounds),
                "first_wrong": [
                    text for mine, base in rounds for text in (*mine["first_wrong"], *base["first_wrong"])
                ][:5],
                "prices_seen": len(Path(committed).read_text().splitlines())
                if Path(committed).exists()
                else 0,
            }
    return out


def _median(rounds: list[dict[str, Any]]) -> dict[str, float]:
    return {name: median(one[name] for one in rounds) for name in ("per_second", "p50_ms", "p99_ms")}


def figures(measured: dict[str, Any]) -> list[Figure]:
    proxied, default, bare = (measured[mode] for mode in ("haproxy", "default", "uvicorn"))
    rate = {mode: measured[mode]["price"]["per_second"] for mode in measured}
    out = [
        at_least("price route / constant route, both behind HAProxy", proxied["ratio"], 0.60),
        at_least(
            "price route behind HAProxy / behind Serve's default proxy",
            rate["haproxy"] / rate["default"],
            4.0,
        ),
        Figure(
            "price route behind HAProxy / constant route on bare uvicorn",
            rate["haproxy"] / bare["constant"]["per_second"],
        ),
        Figure("price route / constant route, both on bare uvicorn", bare["ratio"]),
        Figure("price route / constant route, both behind the default proxy", default["ratio"]),
        exactly(
            "answers that were not 200 with the right value", sum(m["wrong"] for m in measured.values()), 0
        ),
    ]
    for mode, found in measured.items():
        for route in ("price", "constant"):
            one = found[route]
            out.append(Figure(f"{mode}: {route} route", one["per_second"], "requests/s"))
            out.append(Figure(f"{mode}: {route} route p50", one["p50_ms"], "ms"))
            out.append(Figure(f"{mode}: {route} route p99", one["p99_ms"], "ms"))
    return out
