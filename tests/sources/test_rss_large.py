"""A large feed is read beside the event loop: what is read is the same, and everything else goes on meanwhile."""

import asyncio
import gzip
import time
import tracemalloc
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from ray_app.collect.collector import collect, parsed
from ray_app.model.clock import SystemClock
from ray_app.model.errors import Malformed
from ray_app.model.threads import LARGE
from ray_app.sources.rss import ARTICLES, LARGEST, MOST_TAGS, SOURCE, stories
from tests.sources.replies import Replies, over, page

FEED = "crypto/decrypt"
MIB = 2**20
WALL = SystemClock()


def feed(stories: int) -> bytes:
    items = "".join(
        f"<item><title>Title {n}</title><guid>g{n}</guid><link>https://e.example/{n}</link>"
        f"<description>{'&lt;p&gt;What happened &amp;amp; why&lt;/p&gt; ' * 5}</description></item>"
        for n in range(stories)
    )
    return (
        f"<?xml version='1.0'?><rss version='2.0'><channel><title>t</title>{items}</channel></rss>".encode()
    )


class Ticking:
    """How long the loop was held up at most."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def __aenter__(self) -> "Ticking":
        self._task = asyncio.create_task(self._tick())
        await asyncio.wait([self._task], timeout=0.05)
        self.longest = 0.0
        return self

    async def _tick(self) -> None:
        before = time.perf_counter()
        while True:
            await WALL.sleep(0.002)
            now = time.perf_counter()
            self.longest, before = max(self.longest, now - before), now

    async def __aexit__(self, *_: object) -> None:
        await asyncio.wait([self._task], timeout=0.05)  # what held it up until now counts
        self._task.cancel()


async def test_the_loop_goes_on_while_a_large_feed_is_read():
    body = feed(2000)
    assert LARGE < len(body) < LARGEST
    wanted = over(ARTICLES, FEED)
    list(stories(page(feed(1))))  # what is imported at the first feed
    began = time.perf_counter()
    async with Ticking() as ticking:
        collected = await collect(SOURCE, ARTICLES, wanted, Replies([page(body)]))
    took = time.perf_counter() - began
    assert took > 0.2, "a test needs work that would be noticed"
    assert ticking.longest < took / 3
    assert collected == parsed(SOURCE, ARTICLES, wanted, [page(body)])
    assert [record.key for record, _ in collected.records] == [f"g{n}" for n in range(2000)]


class Noting(ThreadPoolExecutor):
    """The loop's threads, which write down each job."""

    def __init__(self) -> None:
        super().__init__(1)
        self.jobs = 0

    def submit(self, *given: Any, **more: Any) -> Future[Any]:
        self.jobs += 1
        return super().submit(*given, **more)


async def test_a_small_feed_is_read_where_it_is():
    threads = Noting()
    asyncio.get_running_loop().set_default_executor(threads)
    for body, handed_over in ((feed(10), 0), (feed(2000), 1)):
        await collect(SOURCE, ARTICLES, over(ARTICLES, FEED), Replies([page(body)]))
        assert threads.jobs == handed_over


LEVELS = "".join(f"<!ENTITY e{n + 1} '{f'&e{n};' * 10}'>" for n in range(9))
DECLARED = f"<?xml version='1.0'?><!DOCTYPE rss [<!ENTITY e0 'ha'>{LEVELS}]>"
BOMB = f"{DECLARED}<rss><channel><title>&e9;</title></channel></rss>"
NESTED = LARGEST // 8


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (BOMB.encode(), "declares entities"),
        (gzip.compress(feed(1) + bytes(50 * MIB), mtime=0), "a feed has at most"),
        (b"<rss>" + b"<a>" * NESTED + b"</a>" * NESTED + b"</rss>", "tags"),
        (b"<rss>" + b"<a/>" * (MOST_TAGS - 1) + b"<b/></rss>", "tags"),
        (b"<rss " + b"a='' " * NESTED + b"></rss>", "letters"),
        (b"<rss><channel>" + b"&lt;" * NESTED + b"</channel></rss>", ""),
        (
            b"<rss><item><guid>a</guid><title>"
            + b"<![CDATA[<]]>" * (LARGEST // 14)
            + b"</title></item></rss>",
            "",
        ),
    ],
    ids=["entities", "packed", "nested", "tags", "attributes", "escapes", "sections"],
)
async def test_a_hostile_feed_is_refused_or_read_within_bounds(body: bytes, reason: str):
    tracemalloc.start()
    try:
        asked = collect(SOURCE, ARTICLES, over(ARTICLES, FEED), Replies([page(body)]))
        if reason:
            with pytest.raises(Malformed, match=reason):
                await asked
        else:
            assert len((await asked).records) <= 1
        assert tracemalloc.get_traced_memory()[1] < 64 * MIB
    finally:
        tracemalloc.stop()
