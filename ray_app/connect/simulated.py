"""The simulator's time, followed: where simulated data is collected, its clock is the node's."""

from datetime import datetime
from typing import Any

import httpx

from ray_app.model.clock import SimulatedClock
from ray_app.model.errors import Transient


async def simulator_clock(address: str, http: httpx.AsyncClient) -> SimulatedClock:
    """A clock that follows the simulator at `address`, and jumps it forward where it stands still.

    Raises Transient when no simulator answers there.
    """
    reading = await _clock(http, "GET", address, None)

    async def advance(moment: datetime) -> datetime:
        moved = await _clock(http, "POST", address, {"advance_to": moment.isoformat()})
        return datetime.fromisoformat(moved["now"])

    now = datetime.fromisoformat(reading["now"])
    return SimulatedClock(now, reading["speed"], advance if reading["frozen"] else None)


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
