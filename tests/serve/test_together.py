"""Those who ask the same at once share one reading that began after they asked."""

import asyncio

import pytest

from ray_app.serve.together import Together


async def test_who_waits_shares_one_reading_that_begins_after_he_asked():
    together, stored, begun = Together(), [0], list[int]()
    go = asyncio.Event()

    async def work() -> int:
        begun.append(stored[0])
        seen = stored[0]
        await go.wait()
        return seen

    first = [asyncio.create_task(together.read("a", work)) for _ in range(3)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert begun == [0]
    stored[0] = 1  # something is committed while the first reading is under way
    later = [asyncio.create_task(together.read("a", work)) for _ in range(50)]
    other = asyncio.create_task(together.read("b", work))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert begun == [0, 1], "the other question waits for nobody, the same one for the first reading"
    go.set()
    assert await asyncio.gather(*first) == [0, 0, 0]
    assert set(await asyncio.gather(*later)) == {1}, "who asked after the commit is told of it"
    assert await other == 1
    assert begun == [0, 1, 1]
    assert (together._begun, together._next) == ({}, {})


async def test_a_failure_is_everybodys_and_who_leaves_takes_nothing_along():
    together, go = Together(), asyncio.Event()

    async def fails() -> int:
        await go.wait()
        raise ValueError("away")

    tasks = [asyncio.create_task(together.read("a", fails)) for _ in range(3)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    go.set()
    for task in tasks[1:]:
        with pytest.raises(ValueError, match="away"):
            await task
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    assert (together._begun, together._next) == ({}, {})
