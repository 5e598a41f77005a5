"""The one place where time comes from: everything else is handed a Clock.

Leases, sockets and HTTP time-outs stay on wall time (the database's clock and `time.monotonic`);
what is collected, due, known or received is told by a Clock, so that a node can live in the
simulator's time.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

SHORTEST = 0.001  # seconds: an event loop may take less for nothing


class Clock(Protocol):
    def now(self) -> datetime:
        """The present, aware and in UTC."""

    async def sleep(self, seconds: float) -> None:
        """Wait that many seconds of this clock."""

    async def sleep_until(self, moment: datetime) -> None:
        """Wait until this clock shows `moment` or later; at once if it is past."""


async def _wait_until(clock: Clock, moment: datetime) -> None:
    """An event loop may wake us early: uvloop rounds to milliseconds, and the machine's time may be set back."""
    await clock.sleep((moment - clock.now()).total_seconds())
    while (left := (moment - clock.now()).total_seconds()) > 0:
        await clock.sleep(max(left, SHORTEST))


class SystemClock:
    """The machine's own time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))

    async def sleep_until(self, moment: datetime) -> None:
        await _wait_until(self, moment)


class SimulatedClock:
    """Follows a simulator's time from one reading of it.

    `speed` is simulated seconds per real second. With `advance` the clock jumps: instead of
    waiting it asks the simulator to move on to the due time.
    """

    def __init__(
        self,
        reading: datetime,
        speed: float = 1.0,
        advance: Callable[[datetime], Awaitable[datetime]] | None = None,
    ) -> None:
        self._speed, self._advance = speed, advance
        self._set(reading)

    @property
    def runs(self) -> bool:
        """Whether it moves by itself."""
        return self._advance is None and self._speed > 0

    def _set(self, reading: datetime) -> None:
        self._reading, self._anchor = reading, time.monotonic()

    def now(self) -> datetime:
        return self._reading + timedelta(seconds=(time.monotonic() - self._anchor) * self._speed)

    async def sleep(self, seconds: float) -> None:
        if self._advance is not None:
            self._set(await self._advance(self.now() + timedelta(seconds=max(0.0, seconds))))
        elif self._speed > 0:
            await asyncio.sleep(max(0.0, seconds) / self._speed)
        else:
            raise RuntimeError("this clock stands still: give it a speed or let it jump")

    async def sleep_until(self, moment: datetime) -> None:
        await _wait_until(self, moment)


class ManualClock:
    """A clock that only moves when told: for tests and for replay, where time is read from pages."""

    def __init__(self, moment: datetime) -> None:
        self._moment = moment

    def now(self) -> datetime:
        return self._moment

    def set(self, moment: datetime) -> None:
        self._moment = moment

    async def sleep(self, seconds: float) -> None:
        self._moment += timedelta(seconds=max(0.0, seconds))
        await asyncio.sleep(0)

    async def sleep_until(self, moment: datetime) -> None:
        self._moment = max(self._moment, moment)
        await asyncio.sleep(0)
