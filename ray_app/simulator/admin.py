"""The simulator's own routes under /sim: time, ledger, faults, limits and the truth behind the answers."""

import json
import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ray_app.simulator.clock import instant, moment
from ray_app.simulator.noise import STEP_SECONDS
from ray_app.simulator.simulation import Simulation
from ray_app.simulator.truth import STEP_MS
from ray_app.simulator.upstream import Adjusts, Restores, Tells, Upstream
from ray_app.simulator.wire import SIMULATED

INTERVALS = {"5m": 1, "30m": 6, "hourly": 12, "4h": 48, "daily": 288}
MOST_TRUTH_STEPS = 2_000_000
Answering = Callable[[Request], Awaitable[Any]]


def routes(simulation: Simulation, upstreams: Sequence[Upstream] = ()) -> list[Route]:
    admin = Admin(simulation, upstreams)
    return [
        Route("/sim", _json(admin.about), methods=["GET"]),
        Route("/sim/clock", _json(admin.clock), methods=["GET", "POST"]),
        Route("/sim/ledger", _json(admin.ledger), methods=["GET"]),
        Route("/sim/ledger/reset", _json(admin.reset_ledger), methods=["POST"]),
        Route("/sim/faults", _json(admin.faults), methods=["GET", "POST", "DELETE"]),
        Route("/sim/limits", _json(admin.limits), methods=["GET", "POST"]),
        Route("/sim/truth", _json(admin.truth), methods=["GET"]),
        Route("/sim/truth/{name}", _json(admin.truth_of), methods=["GET"]),
        Route("/sim/upstream/{name}", _json(admin.adjust), methods=["POST"]),
    ]


def _json(answering: Answering) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            return JSONResponse(await answering(request), headers=dict([SIMULATED]))
        except (ValueError, KeyError, TypeError) as error:
            return JSONResponse({"error": str(error)}, status_code=400, headers=dict([SIMULATED]))

    return endpoint


class Admin:
    """What the /sim routes do. ValueError, KeyError and TypeError become HTTP 400."""

    def __init__(self, simulation: Simulation, upstreams: Sequence[Upstream] = ()) -> None:
        self._simulation = simulation
        self._upstreams = {upstream.name: upstream for upstream in upstreams}

    async def about(self, _: Request) -> dict[str, Any]:
        config = self._simulation.config
        return {
            "simulator": SIMULATED[1],
            "plan": config.plan,
            "seed": config.seed,
            "coins": len(self._simulation.world.truth.coins),
            "upstreams": {name: upstream.prefix for name, upstream in self._upstreams.items()},
            "faults": self._simulation.faults.catalogue,
        }

    async def clock(self, request: Request) -> dict[str, Any]:
        clock = self._simulation.clock
        if request.method == "POST":
            asked = _known(await _object(request), {"advance", "advance_to", "speed", "frozen"})
            if "advance" in asked:
                clock.advance(float(asked["advance"]))
            if "advance_to" in asked:
                clock.advance_to(moment(asked["advance_to"]))
            if "speed" in asked:
                clock.set_speed(float(asked["speed"]))
            if "frozen" in asked:
                clock.freeze(bool(asked["frozen"]))
        now = clock.now().isoformat(timespec="milliseconds")
        return {"now": now, "speed": clock.speed, "frozen": clock.frozen}

    async def ledger(self, request: Request) -> dict[str, Any]:
        """Arrivals in order. `since` is virtual time, `path` a glob, `after` the last number already seen."""
        query = request.query_params
        since_ms = round(moment(query["since"]).timestamp() * 1000) if "since" in query else 0
        arrivals = self._simulation.ledger.arrivals(since_ms, query.get("path"), int(query.get("after", 0)))
        return {"total": self._simulation.ledger.total, "arrivals": [arrival.told() for arrival in arrivals]}

    async def reset_ledger(self, _: Request) -> dict[str, Any]:
        self._simulation.ledger.reset()
        return {"total": 0}

    async def faults(self, request: Request) -> list[dict[str, Any]]:
        """Rules in force. POST adds one rule or a list of them, DELETE takes all away."""
        if request.method == "POST":
            asked = json.loads(await request.body())
            added = [
                self._simulation.faults.add(rule) for rule in (asked if isinstance(asked, list) else [asked])
            ]
            return [rule.told() for rule in added]
        if request.method == "DELETE":
            self._simulation.faults.clear()
        return [rule.told() for rule in self._simulation.faults.rules]

    async def limits(self, request: Request) -> dict[str, Any]:
        """What each plan really gives. POST {plan, per_minute, credits, history_days}, {spend, key},
        {enforced} or {restore: true}."""
        limits = self._simulation.limits
        if request.method == "POST":
            names = {"plan", "per_minute", "credits", "history_days", "spend", "key", "enforced", "restore"}
            asked = _known(await _object(request), names)
            if asked.get("restore"):
                limits.restore()
                for upstream in self._upstreams.values():
                    if isinstance(upstream, Restores):
                        upstream.restore()
            if "plan" in asked:
                limits.change(
                    asked["plan"], asked.get("per_minute"), asked.get("credits"), asked.get("history_days")
                )
            if "spend" in asked:
                limits.spend(asked.get("key", "key-1"), int(asked["spend"]), self._simulation.clock.now_ms())
            limits.enforced = bool(asked.get("enforced", limits.enforced))
        return {"enforced": limits.enforced, "plans": limits.told_all()}

    async def truth_of(self, request: Request) -> Any:
        """What one upstream tells tests about itself."""
        upstream = self._upstreams[request.path_params["name"]]
        if not isinstance(upstream, Tells):
            raise ValueError(f"{upstream.name} tells no truth")
        return upstream.truth(dict(request.query_params))

    async def adjust(self, request: Request) -> Any:
        """Change the settings of one upstream; the answer is what is in force now."""
        upstream = self._upstreams[request.path_params["name"]]
        if not isinstance(upstream, Adjusts):
            raise ValueError(f"{upstream.name} has no settings")
        return upstream.adjust(await _object(request))

    async def truth(self, request: Request) -> dict[str, Any]:
        """Bars that start in [from, to), as texts with every digit. Later ones are told too, not `final`."""
        query, truth = request.query_params, self._simulation.world.truth
        coin, length = truth.index[query["coin"]], INTERVALS[query.get("interval", "hourly")]
        quote = self._simulation.world.quotes[query.get("vs_currency", "usd")]
        seconds = length * STEP_SECONDS
        first = -(-round(moment(query["from"]).timestamp()) // seconds) * length
        last = -(-round(moment(query["to"]).timestamp()) // seconds) * length
        if not 0 <= last - first <= MOST_TRUTH_STEPS:
            raise ValueError(f"{last - first} steps of five minutes are too many or fewer than none")
        bars = truth.bars(coin, first, (last - first) // length, length, last - 1, quote)
        ends = bars.starts + length
        volumes = truth.told_in(quote, truth.volumes(np.array([coin]), ends - 1)[0], ends - 1)
        caps = bars.rows[:, 3] * truth.circulating[coin]
        now_step = self._simulation.clock.now_ms() // STEP_MS
        columns = zip(
            bars.starts.tolist(),
            ends.tolist(),
            bars.rows.tolist(),
            volumes.tolist(),
            caps.tolist(),
            strict=True,
        )
        return {
            "coin": query["coin"],
            "interval": query.get("interval", "hourly"),
            "vs_currency": quote.code,
            "bars": [
                {
                    "start": instant(start * STEP_MS).isoformat(),
                    "end": instant(end * STEP_MS).isoformat(),
                    **dict(zip(("open", "high", "low", "close"), map(repr, row), strict=True)),
                    "volume_24h": repr(volume),  # that rolls, up to the end
                    "market_cap": None if math.isnan(cap) else repr(cap),  # at the close
                    "from_file": truth.from_file(coin, start),
                    "final": end <= now_step,
                }
                for start, end, row, volume, cap in columns
            ],
        }


async def _object(request: Request) -> dict[str, Any]:
    read = json.loads(await request.body())
    if not isinstance(read, dict):
        raise TypeError("expected a JSON object")
    return read


def _known(asked: dict[str, Any], names: set[str]) -> dict[str, Any]:
    if unknown := set(asked) - names:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}; there is {', '.join(sorted(names))}")
    return asked
