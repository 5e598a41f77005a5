"""Every arrival at the simulator, written down where it arrives: what a limiter is judged by."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from ray_app.simulator.clock import VirtualClock, instant

KEPT = 200_000  # arrivals; older ones are counted only


@dataclass(slots=True)
class Arrival:
    """One request. `status` is None while it is unanswered, for ever if the answer was to hang."""

    number: int
    at_ms: int
    wall_ms: int
    path: str
    query: str  # without keys
    plan: str | None = None  # None: the key was refused
    key: str | None = None  # a label, not the key
    status: int | None = None
    fault: str | None = None
    cache: str | None = None

    def told(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "at": instant(self.at_ms).isoformat(timespec="milliseconds"),
            "at_ms": self.at_ms,
            "wall": instant(self.wall_ms).isoformat(timespec="milliseconds"),
            "path": self.path,
            "query": self.query,
            "plan": self.plan,
            "key": self.key,
            "status": self.status,
            "fault": self.fault,
            "cache": self.cache,
        }


class Ledger:
    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._arrivals: deque[Arrival] = deque(maxlen=KEPT)
        self.total = 0

    def open(self, at_ms: int, path: str, query: str) -> Arrival:
        """Write an arrival down; its answer is filled in later."""
        self.total += 1
        wall_ms = int(self._clock.wall().timestamp() * 1000)
        arrival = Arrival(self.total, at_ms, wall_ms, path, query)
        self._arrivals.append(arrival)
        return arrival

    def arrivals(self, since_ms: int = 0, path: str | None = None, after: int = 0) -> Iterator[Arrival]:
        """In order of arrival; `path` is a glob, `after` leaves out arrivals up to that number."""
        for arrival in self._arrivals:
            wanted = arrival.at_ms >= since_ms and arrival.number > after
            if wanted and (path is None or fnmatchcase(arrival.path, path)):
                yield arrival

    def reset(self) -> None:
        self._arrivals.clear()
        self.total = 0
