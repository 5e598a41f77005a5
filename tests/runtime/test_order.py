"""At a start the streams that the node's health depends on come first; the others do not wait for ever."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from ray_app.runtime import collector


async def test_the_others_begin_when_the_required_ones_have_had_a_cycle() -> None:
    first: Any = [SimpleNamespace(begun=asyncio.Event()), SimpleNamespace(begun=asyncio.Event())]
    began = asyncio.Event()

    async def job() -> None:
        began.set()

    waiting = asyncio.create_task(collector._after(first, job))
    first[0].begun.set()
    for _ in range(5):
        await asyncio.sleep(0)
    assert not began.is_set()
    first[1].begun.set()
    await waiting
    assert began.is_set()


async def test_they_begin_anyway_when_a_required_one_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector, "REQUIRED_FIRST", 0.01)
    stuck: Any = [SimpleNamespace(begun=asyncio.Event())]
    began = asyncio.Event()

    async def job() -> None:
        began.set()

    await asyncio.wait_for(collector._after(stuck, job), 5)
    assert began.is_set()
