from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import uvloop

from ray_app.model.clock import Clock, SimulatedClock, SystemClock


def simulated() -> SimulatedClock:
    return SimulatedClock(datetime(2026, 5, 1, tzinfo=UTC), speed=6.0)


@pytest.mark.parametrize("made", [SystemClock, simulated])
def test_nobody_is_woken_before_the_moment(made: Callable[[], Clock]):
    """Ray's actors run on uvloop, whose timers are rounded: a third of them came up to half a millisecond early."""

    async def late() -> list[timedelta]:
        clock, found = made(), []
        for number in range(150):
            moment = clock.now() + timedelta(microseconds=2_000 + 37 * number)
            await clock.sleep_until(moment)
            found.append(clock.now() - moment)
        return found

    assert min(uvloop.run(late())) >= timedelta(0)


async def test_a_moment_that_is_past_is_no_reason_to_wait():
    clock = simulated()
    before = clock.now()
    await clock.sleep_until(before - timedelta(days=1))
    assert clock.now() - before < timedelta(minutes=1)
