"""How loops wait. One that goes on when it is woken and cancelled at once holds up its collector for ever."""

import asyncio

from ray_app.runtime.waking import Waking


async def test_a_cancellation_in_the_turn_of_a_wake_ends_the_loop():
    waking = Waking()

    async def for_ever() -> None:
        while True:
            await waking.wait(60)

    running = asyncio.create_task(for_ever())
    await asyncio.sleep(0)  # it waits
    waking.wake()
    running.cancel()
    await asyncio.wait({running}, timeout=2)
    ended = running.cancelled()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert ended


async def test_what_wakes_it_while_it_works_ends_its_next_wait_and_no_other():
    waking = Waking()
    waking.wake()
    async with asyncio.timeout(2):
        await waking.wait(60)
    began = asyncio.get_running_loop().time()
    await waking.wait(0.05)
    assert asyncio.get_running_loop().time() - began >= 0.04
