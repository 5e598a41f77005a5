"""The node's clock in a simulated world, read over a link that is slow now and then."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import httpx

from ray_app.connect.simulated import simulator_clock

START = datetime(2026, 6, 1, tzinfo=UTC)


class Link:
    """Answers as a simulator's clock does; `slow`: which answers take a fifth of a second on their way back."""

    def __init__(self, speed: float, slow: set[int]) -> None:
        self.speed, self.slow, self.asked = speed, slow, 0
        self._begun = time.monotonic()

    def now(self) -> datetime:
        return START + timedelta(seconds=self.speed * (time.monotonic() - self._begun))

    async def answer(self, _: httpx.Request) -> httpx.Response:
        self.asked += 1
        told = {"now": self.now().isoformat(), "speed": self.speed, "frozen": self.speed == 0}
        if self.asked in self.slow:
            await asyncio.sleep(0.2)
        return httpx.Response(200, json=told)

    def http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(self.answer))


async def test_a_slow_answer_does_not_set_the_clock_back():
    """Twelve seconds at this speed: every turn of the keeper, whose clock is right, would come too late or too soon."""
    link = Link(speed=60.0, slow={1, 3})
    async with link.http() as http:
        clock = await simulator_clock("http://simulator", http)
    assert abs(clock.now() - link.now()) < timedelta(seconds=3)


async def test_half_of_the_way_is_added_where_every_answer_is_slow():
    link = Link(speed=60.0, slow=set(range(1, 99)))
    async with link.http() as http:
        clock = await simulator_clock("http://simulator", http)
    assert timedelta(seconds=3) < link.now() - clock.now() < timedelta(seconds=9)


async def test_a_clock_that_stands_still_is_read_once():
    link = Link(speed=0.0, slow={1})
    async with link.http() as http:
        clock = await simulator_clock("http://simulator", http)
    assert (clock.now(), link.asked) == (START, 1)
