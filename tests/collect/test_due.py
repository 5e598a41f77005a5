"""When a stream is looked at again."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ray_app.model.collected import Collected
from tests.collect.small import HOUR, MINUTE, RATES, T0, Small, collecting, hours

PRESENT = replace(RATES, offers=None)


async def run(it: Small, reports: int) -> None:
    task = asyncio.create_task(it.running.run())
    async with asyncio.timeout(30):
        while len(it.books.reports) < reports and not task.done():
            await asyncio.wait([task], timeout=0.005)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_an_interval_that_begins_while_the_one_before_is_asked_for_is_not_passed_over(
    tmp_path: Path, prepared_sqlite: Path
):
    """A turn came late, so the cycle of the first hour ends within the second: the present cannot be had afterwards."""
    start = T0 + HOUR - MINUTE
    async with collecting(tmp_path, prepared_sqlite, PRESENT, now=start) as it:
        it.upstream.put("a", hours(0, 9))

        async def slow(_: Sequence[Collected]) -> None:
            it.clock.set(it.clock.now() + 2 * MINUTE)

        it.books.before = slow
        await run(it, 3)
        asked = [over for _, over in it.asked()][:3]
        assert asked == [hours(0, 1), hours(1, 2), hours(2, 3)]
        assert it.books.reports[0].next_run == T0 + HOUR


async def test_a_cycle_of_many_intervals_is_followed_by_one_more_and_not_by_all_that_it_missed(
    tmp_path: Path, prepared_sqlite: Path
):
    async with collecting(tmp_path, prepared_sqlite, PRESENT, now=T0) as it:
        it.upstream.put("a", hours(0, 99))

        async def slow(_: Sequence[Collected]) -> None:
            it.books.before = None
            it.clock.set(T0 + 5 * HOUR + MINUTE)

        it.books.before = slow
        await run(it, 3)
        asked = [over for _, over in it.asked()][:3]
        assert asked == [hours(0, 1), hours(5, 6), hours(6, 7)]
        assert [one.next_run for one in it.books.reports[:2]] == [T0 + HOUR, T0 + 6 * HOUR]
        assert it.books.reports[1].last_run == T0 + 5 * HOUR + MINUTE
