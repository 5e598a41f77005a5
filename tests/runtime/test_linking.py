"""Texts committed through the store are linked by a shard's loop; plain asyncio, SQLite, no Ray, no network."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from ray_app.model.clock import ManualClock, SystemClock
from ray_app.model.collected import Collected, Lease
from ray_app.model.errors import Fenced
from ray_app.model.source import Page, Slice, Source
from ray_app.model.symbols import load_registry
from ray_app.model.texts import Article, Post
from ray_app.model.timerange import TimeRange
from ray_app.process.linking import LINKER
from ray_app.process.stories import story_id
from ray_app.runtime.linking import LinkedTexts, Linking
from ray_app.runtime.opening import Assigned, Node
from ray_app.sources import guardian, reddit, rss
from ray_app.store.linked import Linked, TextId
from ray_app.store.reading import Point
from ray_app.store.store import Store

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
RSS, REDDIT, GUARDIAN = "rss.articles", "reddit.posts", "guardian.articles"
DESK, TELEGRAPH, SUB = "crypto/coindesk", "crypto/cointelegraph", "r/bitcoin"
HALT = "Acme Exchange halts Solana withdrawals after $40 million exploit"


def assigned(source: Source) -> Assigned:
    return Assigned(source=source, plan=source.plans[0], base_url="https://example.org")


class Desk:
    """A node with a store, a lease for a shard of RSS and Reddit, and texts to commit."""

    def __init__(self, path: Path) -> None:
        self.clock = ManualClock(T0 + MINUTE)
        self.node = Node(
            store=Store(f"sqlite+aiosqlite:///{path}/node.db", str(path / "raw")),
            registry=load_registry(),
            clock=self.clock,
            assigned=tuple(assigned(module.SOURCE) for module in (rss, reddit, guardian)),
            simulated=True,
            reach=HOUR,
            redis_url="",
            release="test",
            http=httpx.AsyncClient(),  # nothing is asked for here
        )
        self.lease = Lease("none", "none", 0)

    def linking(self, *members: str, lease: Lease | None = None, by: str = LINKER) -> Linking:
        mine = members or (RSS, REDDIT)
        return Linking(self.node, lease or self.lease, mine, SystemClock(), by)

    async def commit(self, name: str, *records: Article | Post, at: datetime = T0) -> None:
        source, _, stream = name.partition(".")
        page = Page(
            source=source, stream=stream, path="/", params={}, status=200, headers={},
            body=repr(records).encode(), asked_at=at, received_at=at,
        )  # fmt: skip
        feeds = tuple(sorted({record.partition for record in records}))
        brought = Collected(
            source=source, stream=stream, parser="1", slice=Slice(feeds, TimeRange(at, at + MINUTE)),
            outcome="covered", received_at=at, pages=(page,), records=tuple((r, 0) for r in records),
        )  # fmt: skip
        await self.node.store.commit([brought], self.lease)

    async def linked(self, place: TextId, by: str = LINKER, at: Point | None = None) -> Linked | None:
        return (await self.node.store.links.mentions_of([place], by, at or Point())).get(place)

    async def said(
        self, place: TextId, by: str = LINKER, at: Point | None = None
    ) -> dict[str, Decimal] | None:
        found = await self.linked(place, by, at)
        return None if found is None else {one.asset: one.confidence for one in found.said}

    async def story(self, place: TextId) -> str | None:
        found = await self.linked(place)
        return None if found is None else found.story


@pytest.fixture
async def desk(tmp_path: Path, prepared_sqlite: Path) -> AsyncIterator[Desk]:
    shutil.copy(prepared_sqlite, tmp_path / "node.db")
    desk = Desk(tmp_path)
    lease = await desk.node.store.leases.acquire("texts", "me")
    assert lease is not None
    desk.lease = lease
    yield desk
    await desk.node.close()


def article(item: str, title: str | None, feed: str = DESK, at: datetime = T0, **more: Any) -> Article:
    return Article(feed=feed, item=item, at=at, title=title, **more)


def post(item: str, title: str | None, at: datetime = T0, **more: Any) -> Post:
    return Post(feed=SUB, item=item, at=at, title=title, **more)


def at_desk(item: str, feed: str = DESK) -> TextId:
    return TextId(RSS, feed, item)


@asynccontextmanager
async def running(linking: Linking) -> AsyncIterator["asyncio.Task[None]"]:
    task = asyncio.create_task(linking.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], Any], seconds: float = 12) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := await condition():
            return found
        await asyncio.sleep(0.02)
    raise AssertionError(f"not within {seconds} s")


async def test_a_new_text_gets_its_mentions(desk: Desk):
    topics = "SOL; Exchanges"
    await desk.commit(RSS, article("1", HALT, summary="Coinbase and Ethereum go on.", topics=topics))
    await desk.commit(REDDIT, post("p", "Thoughts on $DOGE?", body="And on Bitcoin."))
    assert await desk.linking().round() == LinkedTexts(texts=2, mentions=5, grouped=0)
    found = await desk.linked(at_desk("1"))
    assert found is not None
    assert (found.revision, found.linker, found.made_at) == (0, LINKER, T0 + MINUTE)
    assert [(one.asset, one.kind) for one in found.said] == [
        ("solana", "coin"), ("COIN", "stock"), ("ethereum", "coin"),
    ]  # fmt: skip
    assert await desk.said(at_desk("1")) == {
        "solana": Decimal("0.97"), "ethereum": Decimal("0.8245"), "COIN": Decimal("0.8245"),
    }  # fmt: skip
    assert await desk.said(TextId(REDDIT, SUB, "p")) == {
        "dogecoin": Decimal("0.99"), "bitcoin": Decimal("0.8245"),
    }  # fmt: skip


async def test_a_changed_title_is_linked_again_and_keeps_its_story(desk: Desk):
    await desk.commit(RSS, article("1", HALT))
    await desk.linking().round()
    began = await desk.story(at_desk("1"))
    assert began == story_id(RSS, DESK, "1")
    desk.clock.set(T0 + 2 * HOUR)
    await desk.commit(RSS, article("1", "Acme Exchange resumes Ethereum withdrawals"), at=T0 + HOUR)
    assert (await desk.linking().round()).texts == 1
    assert await desk.said(at_desk("1")) == {"ethereum": Decimal("0.97")}
    assert await desk.said(at_desk("1"), at=Point(as_of=T0 + HOUR)) == {"solana": Decimal("0.97")}
    assert await desk.story(at_desk("1")) == began


async def test_a_text_stays_in_the_story_that_it_joined_whatever_its_title_becomes(desk: Desk):
    await desk.commit(RSS, article("1", HALT), article("2", HALT, TELEGRAPH, T0 + MINUTE))
    await desk.linking().round()
    await desk.commit(RSS, article("2", "Dogecoin Slips, Zenith Hires + More News", TELEGRAPH), at=T0 + HOUR)
    assert (await desk.linking().round()).texts == 1
    assert await desk.said(at_desk("2", TELEGRAPH)) == {"dogecoin": Decimal("0.97")}
    assert await desk.story(at_desk("2", TELEGRAPH)) == story_id(RSS, DESK, "1")


async def test_a_new_linker_links_beside_the_old_one(desk: Desk):
    await desk.commit(RSS, article("1", HALT))
    await desk.linking().round()
    assert (await desk.linking(by="rules/0").round()).texts == 1
    assert (await desk.linking(by="rules/0").round()).texts == 0
    for by in (LINKER, "rules/0"):
        found = await desk.linked(at_desk("1"), by)
        assert found is not None
        assert (found.linker, found.story) == (by, story_id(RSS, DESK, "1"))
        assert [one.asset for one in found.said] == ["solana"]


async def test_near_duplicates_of_two_feeds_share_a_story(desk: Desk):
    await desk.commit(RSS, article("1", HALT), article("2", "Zenith Bank opens a branch in Atlantis"))
    await desk.linking().round()
    again = "Acme halts withdrawals on Solana after USD 40M exploit"
    await desk.commit(RSS, article("9", again, TELEGRAPH, T0 + HOUR), at=T0 + HOUR)
    await desk.commit(REDDIT, post("p", HALT, T0 + 2 * HOUR), at=T0 + 2 * HOUR)
    await desk.commit(GUARDIAN, article("g", again, "technology", T0 + 3 * HOUR), at=T0 + 3 * HOUR)
    assert (await desk.linking().round()).grouped == 2
    other_shard = await desk.node.store.leases.acquire("guardian", "other")
    assert await desk.linking(GUARDIAN, lease=other_shard).round() == LinkedTexts(1, 1, 1)
    first = story_id(RSS, DESK, "1")
    places = [
        at_desk("1"),
        at_desk("9", TELEGRAPH),
        TextId(REDDIT, SUB, "p"),
        TextId(GUARDIAN, "technology", "g"),
    ]
    assert [await desk.story(place) for place in places] == [first] * 4
    assert await desk.story(at_desk("2")) == story_id(RSS, DESK, "2")


async def test_near_duplicates_of_one_commit_share_the_story_of_the_earlier(desk: Desk):
    later, earlier = article("1", HALT, at=T0), article("2", HALT, TELEGRAPH, T0 - HOUR)
    await desk.commit(RSS, later, earlier)
    assert await desk.linking().round() == LinkedTexts(texts=2, mentions=2, grouped=1)
    assert await desk.story(at_desk("1")) == story_id(RSS, TELEGRAPH, "2")


async def test_two_shards_that_begin_a_story_at_once_agree_on_it(desk: Desk):
    await desk.commit(RSS, article("1", HALT))
    await desk.commit(GUARDIAN, article("g", HALT, "technology"))
    other_shard = await desk.node.store.leases.acquire("guardian", "other")
    done = await asyncio.gather(desk.linking(RSS).round(), desk.linking(GUARDIAN, lease=other_shard).round())
    assert sum(one.texts for one in done) == 2
    assert sum(one.grouped for one in done) == 1
    assert await desk.story(at_desk("1")) == await desk.story(TextId(GUARDIAN, "technology", "g"))


async def test_only_the_streams_of_the_shard_are_linked(desk: Desk):
    await desk.commit(RSS, article("1", HALT))
    await desk.commit(GUARDIAN, article("g", HALT, "technology"))
    assert (await desk.linking(RSS).round()).texts == 1
    assert await desk.linked(TextId(GUARDIAN, "technology", "g")) is None


async def test_a_restart_does_nothing_twice(desk: Desk):
    await desk.commit(RSS, *(article(str(n), f"Bitcoin story number {n} of many") for n in range(5)))
    first = await desk.linking().round()
    assert first.texts == first.mentions == 5
    lease = await desk.node.store.leases.acquire("texts", "me")
    desk.clock.set(T0 + HOUR)
    assert await desk.linking(lease=lease).round() == LinkedTexts()
    found = await desk.linked(at_desk("3"))
    assert found is not None
    assert found.made_at == T0 + MINUTE


async def test_posts_that_only_gain_likes_and_deleted_ones(desk: Desk):
    await desk.commit(REDDIT, post("p", "Bitcoin", likes=1), post("gone", None, deleted=True))
    assert await desk.linking().round() == LinkedTexts(texts=2, mentions=1, grouped=0)
    await desk.commit(REDDIT, post("p", "Bitcoin", likes=7), at=T0 + HOUR)
    desk.clock.set(T0 + 2 * HOUR)
    await desk.linking().round()
    found = await desk.linked(TextId(REDDIT, SUB, "p"))
    assert found is not None
    assert (found.revision, found.made_at) == (0, T0 + MINUTE)
    assert await desk.said(TextId(REDDIT, SUB, "gone")) == {}
    assert (await desk.linking().round()).texts == 0


async def test_texts_of_years_ago_are_linked_with_the_names_of_their_day(desk: Desk):
    then = datetime(2021, 11, 5, tzinfo=UTC)
    old = [article(str(n), f"$LUNA rallies, round {n}", at=then + n * timedelta(days=40)) for n in range(3)]
    await desk.commit(RSS, *old, article("now", "$LUNA rallies"))
    assert (await desk.linking().round()).texts == 4
    assert await desk.said(at_desk("0")) == {"terra-luna": Decimal("0.99")}
    assert await desk.said(at_desk("now")) == {"terra-luna-2": Decimal("0.99")}


async def test_the_loop_links_when_woken(desk: Desk):
    linking = desk.linking()
    async with running(linking) as task:
        await desk.commit(RSS, article("1", HALT))
        linking.wake()
        await until(lambda: desk.linked(at_desk("1")))
        await desk.commit(RSS, article("2", "Bitcoin falls"), at=T0 + MINUTE)
        linking.wake()
        began = time.monotonic()
        await until(lambda: desk.linked(at_desk("2")))
        assert time.monotonic() - began < 9, "it waited for its own time instead of being woken"
        assert not task.done()


async def test_a_loop_without_texts_ends_and_one_that_lost_its_lease_says_so(desk: Desk):
    await desk.linking("coingecko.prices").run()
    await desk.commit(RSS, article("1", HALT))
    stale = Lease(desk.lease.shard, desk.lease.owner, desk.lease.fence - 1)
    with pytest.raises(Fenced):
        await desk.linking(lease=stale).run()
    assert await desk.linked(at_desk("1")) is None


async def test_2000_texts_take_a_few_seconds(desk: Desk):
    coins = ("Bitcoin", "Ethereum", "Solana", "Cardano", "Dogecoin")
    texts = [
        article(
            str(n),
            f"{coins[n % 5]} holders of town {n * 7919 % 9973} vote on plan {n}",
            at=T0 + n * MINUTE / 20,
        )
        for n in range(2000)
    ]
    await desk.commit(RSS, *texts, at=T0 + 2 * HOUR)
    desk.clock.set(T0 + 3 * HOUR)
    began = time.process_time()
    done = await desk.linking().round()
    assert time.process_time() - began < 10
    assert (done.texts, done.mentions) == (2000, 2000)
    about = await desk.node.store.links.texts_about("solana", TimeRange(T0, T0 + 2 * HOUR), LINKER, 3)
    assert [one.item for one in about] == ["1997", "1992", "1987"]
