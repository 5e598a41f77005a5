"""The hot routes of a trading engine beside a constant FastAPI route, behind the same HAProxy, in one run.

Each with authentication, limits and metrics while prices are committed twice a second; rounds of route and constant
route alternate. Then all features of a coin at fifty requests a second.
"""

import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.api import CONSTANT, PRICE, load, node
from benchmarks.figures import Figure, at_least, at_most, exactly

ROUNDS, SECONDS = 3, 4.0
MODES = ("haproxy", "uvicorn")
RATE, RATE_SECONDS = 50.0, 10.0
FEATURES = "/api/v1/ml-features/BTC"
HOT = {
    "current price": PRICE,
    "technical": "/api/v1/technical/BTC",
    "ml-features": FEATURES,
    "latest news": "/api/v1/news/crypto/latest?symbol=BTC&limit=20",
}
SHARE, TIMES, MOST_MS = 0.60, 3.0, 10.0


def measure() -> dict[str, Any]:
    """Each mode with its own node and store; rounds in turn."""
    return {mode: one(mode) for mode in MODES}


def one(mode: str, rounds: int = ROUNDS, seconds: float = SECONDS) -> dict[str, Any]:
    from ray_app.store.embedded import EmbeddedValkey

    with tempfile.TemporaryDirectory() as name:
        valkey = EmbeddedValkey(Path(name) / "valkey")
        try:
            with node(Path(name), mode, valkey.start(), full=True) as (port, key, committed):
                constant = (port + 1, "/constant") if mode == "uvicorn" else (port, CONSTANT)
                out: dict[str, Any] = {}
                for what, path in HOT.items():
                    mine = (port, path, key, committed if path == PRICE else "meta")
                    base = (*constant, key, "")
                    load(*mine, seconds)
                    load(*base, seconds)
                    out[what] = _beside([(load(*mine, seconds), load(*base, seconds)) for _ in range(rounds)])
                out["paced"] = load(port, FEATURES, key, "meta", RATE_SECONDS, RATE)
                out["paced constant"] = load(*constant, key, "", RATE_SECONDS, RATE)
                return out
        finally:
            valkey.stop()


def _beside(rounds: list[tuple[dict[str, Any], dict[str, Any]]]) -> dict[str, Any]:
    names = ("per_second", "p50_ms", "p99_ms", "client_cpu")
    return {
        "route": {name: median(mine[name] for mine, _ in rounds) for name in names},
        "constant": {name: median(base[name] for _, base in rounds) for name in names},
        "ratio": median(mine["per_second"] / base["per_second"] for mine, base in rounds),
        "p99_times": median(mine["p99_ms"] / base["p99_ms"] for mine, base in rounds),
        "wrong": sum(mine["wrong"] + base["wrong"] for mine, base in rounds),
        "first_wrong": [
            text for mine, base in rounds for text in (*mine["first_wrong"], *base["first_wrong"])
        ][:3],
    }


def figures(measured: dict[str, Any]) -> list[Figure]:
    """The targets hold behind HAProxy, where both routes pay for Serve; on bare uvicorn the shares are told."""
    out, wrong = list[Figure](), 0
    for mode, found in measured.items():
        for what in HOT:
            one = found[what]
            share, p99 = f"{mode}: {what} / constant route", f"{mode}: {what}: p99 over the constant route's"
            if mode == "haproxy":
                out.append(at_least(share, one["ratio"], SHARE))
                out.append(at_most(p99, one["p99_times"], TIMES, "times"))
            else:
                out += [Figure(share, one["ratio"]), Figure(p99, one["p99_times"], "times")]
            out += [
                Figure(f"{mode}: {what}", one["route"]["per_second"], "requests/s"),
                Figure(f"{mode}: the constant route then", one["constant"]["per_second"], "requests/s"),
                Figure(f"{mode}: share of a core, the client's", one["route"]["client_cpu"]),
            ]
            wrong += one["wrong"]
        paced, base = found["paced"], found["paced constant"]
        wrong += paced["wrong"] + base["wrong"]
        features = f"{mode}: all features at {RATE:g} requests/s, p99"
        out += [
            at_most(features, paced["p99_ms"], MOST_MS, "ms")
            if mode == "haproxy"
            else Figure(features, paced["p99_ms"], "ms"),
            Figure(f"{mode}: the constant route at {RATE:g} requests/s, p99", base["p99_ms"], "ms"),
            Figure(f"{mode}: all features then, p50", paced["p50_ms"], "ms"),
        ]
    return [*out, exactly("answers that were not 200 with what belongs there", wrong, 0)]
