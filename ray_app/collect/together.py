"""Run many jobs at once, and raise what stops them as itself: a group would pass every `except Fenced` by."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import NoReturn

from ray_app.model.errors import Fenced, WrongStore

Job = Callable[[], Awaitable[object]]
GRAVEST = (WrongStore, Fenced)


async def together(jobs: Iterable[Job], at_once: int) -> None:
    """All of them, in order, at most `at_once` under way. An error cancels the rest and is raised."""
    room = asyncio.Semaphore(at_once)

    async def one(job: Job) -> None:
        async with room:
            await job()

    try:
        async with asyncio.TaskGroup() as group:
            for job in jobs:
                group.create_task(one(job))
    except BaseExceptionGroup as errors:
        _raise_gravest(errors)


def _raise_gravest(errors: BaseExceptionGroup[BaseException]) -> NoReturn:
    for kind in (*GRAVEST, BaseException):
        if found := errors.subgroup(kind):
            error: BaseException = found
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            raise error from error.__cause__
    raise errors
