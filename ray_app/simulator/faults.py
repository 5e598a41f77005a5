"""Which arrivals are answered wrongly on purpose, and how: rules given by a test or the weather.

A rule names a path (a glob over the whole path or over what follows `/api/v3`), a fault of the
catalogue, and when it strikes: by `probability`, or at the k-th matching `calls` counted from the
rule's making, else always; at most `count` times. The same rules, seed and order of arrivals give the
same faults.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from ray_app.simulator.noise import fraction

# id -> what happens, and the parameters that change it. Upstreams add faults and words of their own.
CATALOGUE: Mapping[str, str] = {
    "F01": "429 JSON with Retry-After (retry_after=7)",
    "F02": "429 JSON without Retry-After",
    "F03": "429 as HTML",
    "F04": "200 with a 429 body",
    "F05": "200 with an error body",
    "F07": "blocked: status=403 (Cloudflare HTML) or 451 (JSON)",
    "F08": "401 or 400 about the key or the plan: code=10005, 10002, 10010, 10011 or 10012",
    "F09": "429: the month's credits are used up",
    "F10": "server error: status=500, 502, 503, 504, 520 or 524; html=false",
    "F11": "transport: kind=hang, slow, reset, truncated, empty or gzip; seconds=30 (of real time)",
    "F12": "absent values: kind=null, missing or empty; share=0.2",
    "F13": "times in series: kind=duplicated, backwards or shuffled; share=0.05",
    "F14": "points or rows left out: share=0.2",
    "F15": "the candle that forms, or the point of this moment, told from its first tick only",
    "F16": "revised history: values times factor=1.001 in share=0.1 of points older than age=3600 s",
    "F17": "an id is unknown, or renamed: id=..., renamed_to=...",
    "F19": "the answer is cut to rows=100",
    "F20": "stale: kind=old (the market of hours=6 ago) or repeat (always the first answer told)",
    "F21": "the Date header is off by seconds=3600",
    "F22": "a false 401 that a second try does not get",
    "F23": "the plan's limit drops to per_minute=10 in silence, and stays so",
    "F24": "schema drift: kind=extra, strings, missing or integers; field=...",
    "F25": "units drift: kind=seconds, microseconds or cents",
    "F26": "seconds of a stream: kind=stall (seconds=...), cut, shutdown (seconds=600), json, gap, duplicate, slow",
}
DEFAULT_KINDS = {
    "F11": "hang",
    "F12": "null",
    "F13": "duplicated",
    "F20": "old",
    "F24": "extra",
    "F25": "seconds",
    "F26": "stall",
}
STREAMING = "F26"  # the one fault that strikes the seconds of a stream, not arrivals

# A little of everything that passes by itself; nothing that needs a human (F07-F09, F17) or stays (F23).
WEATHER: Sequence[Mapping[str, Any]] = (
    {"fault": "F01", "probability": 0.003},
    {"fault": "F02", "probability": 0.003},
    {"fault": "F03", "probability": 0.002},
    {"fault": "F04", "probability": 0.002},
    {"fault": "F05", "probability": 0.001},
    {"fault": "F10", "probability": 0.002, "parameters": {"status": 500}},
    {"fault": "F10", "probability": 0.002, "parameters": {"status": 502, "html": True}},
    {"fault": "F10", "probability": 0.002, "parameters": {"status": 503}},
    {"fault": "F10", "probability": 0.001, "parameters": {"status": 520, "html": True}},
    {"fault": "F11", "probability": 0.002, "parameters": {"kind": "slow", "seconds": 2}},
    {"fault": "F11", "probability": 0.0005, "parameters": {"kind": "hang", "seconds": 20}},
    {"fault": "F11", "probability": 0.002, "parameters": {"kind": "reset"}},
    {"fault": "F11", "probability": 0.001, "parameters": {"kind": "truncated"}},
    {"fault": "F11", "probability": 0.001, "parameters": {"kind": "empty"}},
    {"fault": "F12", "probability": 0.002, "parameters": {"share": 0.02}},
    {"fault": "F13", "probability": 0.004},
    {"fault": "F14", "probability": 0.002, "parameters": {"share": 0.02}},
    {"fault": "F15", "probability": 0.002},
    {"fault": "F16", "probability": 0.001},
    {"fault": "F19", "probability": 0.001},
    {"fault": "F20", "probability": 0.001},
    {"fault": "F21", "probability": 0.002},
    {"fault": "F22", "probability": 0.001},
    {"fault": "F24", "probability": 0.002},
    {"fault": "F25", "probability": 0.0005},
    {"fault": "F26", "probability": 0.0005, "parameters": {"kind": "gap"}},  # of the seconds of a stream
    {"fault": "F26", "probability": 0.0002, "parameters": {"kind": "json"}},
    {"fault": "F26", "probability": 0.0002, "parameters": {"kind": "duplicate"}},
    {"fault": "F26", "probability": 0.00005, "parameters": {"kind": "stall"}},
    {"fault": "F26", "probability": 0.00005, "parameters": {"kind": "cut"}},
    {"fault": "F26", "probability": 0.00001, "parameters": {"kind": "shutdown"}},
)


@dataclass(slots=True)
class Rule:
    """One rule and its counters."""

    number: int
    fault: str
    path: str = "*"
    probability: float | None = None
    calls: tuple[int, ...] = ()
    count: int | None = None
    seed: int = 0
    parameters: dict[str, Any] = field(default_factory=dict)
    matched: int = 0
    injected: int = 0
    memory: dict[str, Any] = field(default_factory=dict)  # what a fault has to remember

    def kind(self) -> str:
        return str(self.parameters.get("kind", DEFAULT_KINDS.get(self.fault, "")))

    def value(self, name: str, default: Any) -> Any:
        return self.parameters.get(name, default)

    def strikes(self, path: str) -> bool:
        """Count a matching arrival and decide about it."""
        if not (fnmatchcase(path, self.path) or fnmatchcase(path.partition("/api/v3")[2], self.path)):
            return False
        self.matched += 1
        if self.count is not None and self.injected >= self.count:
            return False
        if self.calls:
            return self.matched in self.calls
        return (
            self.probability is None
            or fraction(self.seed, self.fault, self.number, self.matched) < self.probability
        )

    def told(self) -> dict[str, Any]:
        shown = (
            "number",
            "fault",
            "path",
            "probability",
            "count",
            "seed",
            "parameters",
            "matched",
            "injected",
        )
        return {name: getattr(self, name) for name in shown} | {"calls": list(self.calls)}


class Faults:
    """The rules in force. The first rule that strikes wins; the others still count the arrival."""

    def __init__(self, seed: int = 0) -> None:
        self._numbers = itertools.count(1)
        self._seed = seed
        self.catalogue = dict(CATALOGUE)
        self.rules: list[Rule] = []

    def learn(self, more: Mapping[str, str]) -> None:
        """Faults of one upstream: id -> what happens. A known id keeps its text and gets this one added."""
        for fault, text in more.items():
            known = self.catalogue.get(fault)
            self.catalogue[fault] = text if known is None or text in known else f"{known}; {text}"

    def add(self, rule: Mapping[str, Any]) -> Rule:
        """Put a rule in force. ValueError: an unknown fault, name or value."""
        known = {"fault", "path", "probability", "calls", "count", "seed", "parameters"}
        if unknown := set(rule) - known:
            raise ValueError(f"a rule has no {', '.join(sorted(unknown))}; it has {', '.join(sorted(known))}")
        fault = str(rule.get("fault", ""))
        if fault not in self.catalogue:
            raise ValueError(f"no fault {fault!r}: choose from {', '.join(self.catalogue)}")
        probability, calls = rule.get("probability"), rule.get("calls", ())
        if probability is not None and not 0 <= float(probability) <= 1:
            raise ValueError(f"probability {probability} is not between 0 and 1")
        made = Rule(
            number=next(self._numbers),
            fault=fault,
            path=str(rule.get("path", "*")),
            probability=None if probability is None else float(probability),
            calls=(calls,) if isinstance(calls, int) else tuple(int(call) for call in calls),
            count=None if rule.get("count") is None else int(rule["count"]),
            seed=int(rule.get("seed", self._seed)),
            parameters=dict(rule.get("parameters", {})),
        )
        self.rules.append(made)
        return made

    def clear(self) -> None:
        self.rules.clear()

    def strike(self, path: str, stream: bool = False) -> Rule | None:
        """The rule that spoils this arrival, or this second of a `stream`, if any."""
        meant = [rule for rule in self.rules if (rule.fault == STREAMING) == stream]
        struck = [rule for rule in meant if rule.strikes(path)]
        return struck[0] if struck else None
