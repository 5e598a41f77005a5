"""The simulator's time, followed: where simulated data is collected, its clock is the node's."""

import time
from datetime import datetime, timedelta
from typing import Any

import httpx

from ray_app.model.clock import SimulatedClock
from ray_app.model.errors import Transient

READINGS = 5  # of a clock that runs: the quickest tells the most


async def simulator_clock(address: str, http: httpx.AsyncClient) -> SimulatedClock:
    """A clock that follows the simulator at `address`, and jumps it forward where it stands still.

    At 60 times the speed an answer that takes a tenth of a second is six seconds late: clocks of two processes would
    differ by more than a turn of a quota is good for.
    Raises Transient when no simulator answers there.
    """

    async def advance(moment: datetime) -> datetime:
        moved = await _clock(http, "POST", address, {"advance_to": moment.isoformat()})
        return datetime.fromisoformat(moved["now"])

    async def read() -> tuple[float, SimulatedClock]:
        """How long an answer took, and the clock by it: it was written halfway, as far as anybody knows."""
        asked = time.monotonic()
        reading = await _clock(http, "GET", address, None)
        took, speed = time.monotonic() - asked, reading["speed"]
        now = datetime.fromisoformat(reading["now"]) + timedelta(seconds=took / 2 * speed)
        return took, SimulatedClock(now, speed, advance if reading["frozen"] else None)

    readings = [await read()]
    if readings[0][1].runs:
        readings += [await read() for _ in range(READINGS - 1)]
    return min(readings, key=lambda one: one[0])[1]


async def _clock(http: httpx.AsyncClient, method: str, address: str, body: Any) -> dict[str, Any]:
    try:
        answer = await http.request(method, f"{address}/sim/clock", json=body)
        answer.raise_for_status()
        read: dict[str, Any] = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise Transient(
            "simulator", f"no simulator answers at {address}: {error}; start one or set upstreams=real"
        ) from error
    return read
