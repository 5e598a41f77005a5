"""What is scored, once, and what the past keeps of it; on both databases."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import pytest
from sqlalchemy import select

from ray_app.model.collected import Lease
from ray_app.model.errors import Fenced
from ray_app.model.texts import Article, Post
from ray_app.model.timerange import TimeRange
from ray_app.store.linked import Kind, Link
from ray_app.store.reading import NOW, Point
from ray_app.store.scored import Mention, Scorer, Tally, Unscored, Verdict, content_of, exact, magnitude
from ray_app.store.store import Store
from ray_app.store.tables import text_scores
from ray_app.store.texts import Due
from tests.store.conftest import Open
from tests.store.made import DAY, HOUR, MINUTE, T0
from tests.store.texting import NEWS, POSTS, SUB, WIRE, article, brought, place, post, says

OLD, NEW = Scorer("words", "a" * 64, "{}"), Scorer("words", "b" * 64, "{}")
STREAMS: dict[Kind, Sequence[str]] = {Article: [NEWS], Post: [POSTS]}
AROUND = TimeRange(T0 - 2 * DAY, T0 + 2 * DAY)
NOTHING = Verdict(None, None, None, None, None, None, "no_words")


def verdict(bearish: str, bullish: str) -> Verdict:
    low, high = Decimal(bearish), Decimal(bullish)
    middle = 1 - low - high
    label = max(("bearish", low), ("neutral", middle), ("bullish", high), key=lambda one: one[1])[0]
    return Verdict(high - low, label, max(low, middle, high), low, middle, high, None)


UP, DOWN = verdict("0.1", "0.7"), verdict("0.615384615", "0.2")


async def unscored(node: Open, kind: Kind = Article, by: Scorer = OLD) -> dict[str, Unscored]:
    found = await node.store.scores.unscored(kind, STREAMS[kind], by.digest, 100)
    return {text.id.item: text for text in found}


async def write(
    node: Open, *made: tuple[Unscored, Verdict], kind: Kind = Article, by: Scorer = OLD, at: datetime = T0
) -> int:
    await node.store.scores.configure(kind, by, lambda: at, node.lease)
    return await node.store.scores.write(kind, made, by, lambda: at, node.lease)


async def said(node: Open, item: str, at: Point = NOW, kind: Kind = Article) -> list[tuple[int, Verdict]]:
    one = place(item) if kind is Article else place(item, SUB, POSTS)
    found = await node.store.scores.scores_of([one], kind, at)
    return [(scored.revision, scored.verdict) for scored in found.get(one, [])]


async def rows(node: Open) -> list[tuple[str, int, int, int]]:
    query = select(
        text_scores.c.item, text_scores.c.revision, text_scores.c.through, text_scores.c.engagement
    )
    async with node.store.database.read() as connection:
        return [tuple(row) for row in await connection.execute(query.order_by(*text_scores.primary_key))]


async def test_a_text_waits_in_its_newest_revision_until_it_is_scored(node: Open):
    await node.commit(brought([article("a", "Up", summary="Below.", body="More."), article("b", None, WIRE)]))
    await node.commit(brought([article("a", "Down")], T0 + HOUR))
    found = await unscored(node)
    assert [(t.id, t.revision, t.known_at, t.said, t.engagement) for t in found.values()] == [
        (place("a"), 1, T0 + HOUR, "Down", 0), (place("b", WIRE), 0, T0, "", 0),
    ]  # fmt: skip
    assert await write(node, (found["a"], DOWN), (found["b"], NOTHING), at=T0 + HOUR) == 2
    assert await unscored(node) == {}
    assert await said(node, "a") == [(1, DOWN)]
    assert await write(node, (found["a"], UP), at=T0 + HOUR) == 0
    assert await said(node, "a") == [(1, DOWN)]
    await node.commit(brought([article("a", "Up", summary="Below.", body="More.")], T0 + 2 * HOUR))
    assert (await unscored(node))["a"].said == "Up\nBelow.\nMore."


async def test_newest_first_of_the_streams_and_since(node: Open):
    days = [article(f"day{n}", "Bitcoin", at=T0 + n * DAY) for n in range(4)]
    await node.commit(brought(days, T0 + 4 * DAY))
    ask = node.store.scores.unscored
    assert [t.id.item for t in await ask(Article, [NEWS], "a" * 64, 2)] == ["day3", "day2"]
    assert [t.id.item for t in await ask(Article, [NEWS], "a" * 64, 9, T0 + 2 * DAY)] == ["day3", "day2"]
    assert await ask(Article, ["guardian.stories"], "a" * 64, 9) == []
    assert await ask(Post, [POSTS], "a" * 64, 9) == []


async def test_the_past_keeps_what_was_said_then(node: Open):
    await node.commit(brought([article("a", "Up")]))
    await write(node, ((await unscored(node))["a"], UP), at=T0 + MINUTE)
    await node.commit(brought([article("a", "Down")], T0 + HOUR))
    await write(node, ((await unscored(node))["a"], DOWN), at=T0 + HOUR + MINUTE)
    assert await said(node, "a") == [(1, DOWN), (0, UP)]
    assert await said(node, "a", Point(as_of=T0 + HOUR)) == [(0, UP)]
    assert await said(node, "a", Point(as_of=T0)) == []
    assert await said(node, "a", Point(known_by=T0)) == [(0, UP)]
    assert await said(node, "a", Point(known_by=T0 + HOUR)) == [(1, DOWN), (0, UP)]


async def test_what_nobody_could_know_yet_shows_later(node: Open):
    await node.commit(brought([article("a", "Up", published=T0 + 3 * MINUTE)]))
    await write(node, ((await unscored(node))["a"], UP), at=T0)
    assert await said(node, "a", Point(as_of=T0 + 2 * MINUTE)) == []
    assert await said(node, "a", Point(as_of=T0 + 3 * MINUTE)) == [(0, UP)]


async def test_a_new_model_scores_beside_the_old_one_and_is_served_from_then_on(node: Open):
    await node.commit(brought([article("a", "Up")]))
    text = (await unscored(node))["a"]
    await write(node, (text, UP), at=T0 + MINUTE)
    await node.store.scores.configure(Article, NEW, lambda: T0 + HOUR, node.lease)
    assert list(await unscored(node, by=NEW)) == ["a"]
    assert await said(node, "a") == []
    await write(node, (text, DOWN), by=NEW, at=T0 + HOUR + MINUTE)
    assert await said(node, "a") == [(0, DOWN)]
    assert await said(node, "a", Point(as_of=T0 + HOUR - MINUTE)) == [(0, UP)]
    assert await said(node, "a", Point(as_of=T0 + HOUR)) == []
    served = node.store.scores.served
    assert (await served(Article), await served(Article, Point(as_of=T0 + MINUTE))) == (NEW, OLD)
    assert (await served(Article, Point(as_of=T0)), await served(Post)) == (None, None)
    before = await node.counts()
    await node.store.scores.configure(Article, NEW, lambda: T0 + DAY, node.lease)
    assert await node.counts() == before


async def test_equal_words_are_known_and_only_by_the_same_model(node: Open):
    await node.commit(brought([article("a", "Up"), article("b", "Up", WIRE)]))
    found = await unscored(node)
    assert found["a"].content == found["b"].content == content_of("Up")
    await write(node, (found["a"], UP))
    known = node.store.scores.known
    assert await known([content_of("Up"), content_of("Down")], OLD.digest) == {content_of("Up"): UP}
    assert await known([content_of("Up")], NEW.digest) == {}


async def test_a_post_gets_a_row_when_its_likes_have_doubled(node: Open):
    for hour, (likes, replies) in enumerate([(0, 0), (1, 0), (1, 1), (2, 1), (3, 3), (9, None)]):
        at = T0 + hour * HOUR
        await node.commit(brought([post("p", "Up", likes=likes, replies=replies)], at))
        await write(node, ((await unscored(node, Post))["p"], UP), kind=Post, at=at)
    assert await unscored(node, Post) == {}
    assert await rows(node) == [("p", 0, 0, 0), ("p", 1, 2, 1), ("p", 3, 4, 3), ("p", 5, 5, 7)]


async def test_the_deleted_are_not_scored_and_the_wiped_keep_numbers_alone(node: Open):
    await node.commit(brought([post("gone", None, deleted=True), post("seen", "Up"), post("late", "Up")]))
    found = await unscored(node, Post)
    assert set(found) == {"seen", "late"}
    await write(node, (found["seen"], UP), kind=Post, at=T0 + MINUTE)
    await node.commit(brought([post("late", None, deleted=True)], T0 + HOUR))
    due = [Due(found["seen"].series, SUB, "seen", T0)]
    await node.store.texts.wipe(POSTS, "news", due, "gone upstream", T0 + HOUR, node.lease)
    assert await unscored(node, Post) == {}
    assert await write(node, (found["late"], UP), kind=Post, at=T0 + HOUR) == 0  # read before it went
    one = place("seen", SUB, POSTS)
    [kept] = (await node.store.scores.scores_of([one], Post))[one]
    assert (kept.verdict, kept.content) == (UP, None)
    assert await node.store.scores.known([content_of("Up")], OLD.digest) == {}


async def test_who_lost_the_lease_writes_nothing(node: Open):
    await node.commit(brought([article("a", "Up")]))
    text = (await unscored(node))["a"]
    stale = Lease(node.lease.shard, node.lease.owner, node.lease.fence - 1)
    with pytest.raises(Fenced):
        await node.store.scores.configure(Article, OLD, lambda: T0, stale)
    with pytest.raises(Fenced):
        await node.store.scores.write(Article, [(text, UP)], OLD, lambda: T0, stale)
    assert list(await unscored(node)) == ["a"]


async def test_two_writers_of_one_text_leave_one_score(node: Open, opened: Callable[..., Store]):
    """A collector and a job, each under its own lease, have read the same text."""
    await node.commit(brought([article(str(n), "Up") for n in range(20)]))
    found = list((await unscored(node)).values())
    stores = [opened() for _ in range(3)]
    leases = [await store.leases.acquire(f"shard-{n}", "me") for n, store in enumerate(stores)]

    async def all_of_them(store: Store, lease: Lease | None) -> int:
        assert lease is not None
        made = [(text, UP) for text in found]
        return await store.scores.write(Article, made, OLD, lambda: T0, lease)

    counts = await asyncio.gather(*map(all_of_them, stores, leases))
    assert sorted(counts) == [0, 0, 20]
    assert (await node.counts())["text_scores"] == 20


async def test_a_tally_adds_up_and_counts_the_newest_revisions_of_what_is_there(node: Open):
    tally = node.store.scores.tally
    hours = [article(str(n), f"Up {n}", at=T0 + n * HOUR) for n in range(4)]
    await node.commit(brought([*hours, article("x", "1", at=T0)], T0 + 4 * HOUR))
    await node.commit(brought([post("gone", None, deleted=True), post("p", "Up")]))
    found = await unscored(node)
    await write(node, (found["0"], UP), (found["1"], DOWN), (found["x"], NOTHING), at=T0 + 4 * HOUR)
    await write(node, (found["2"], UP), by=NEW, at=T0 + 4 * HOUR)
    whole = await tally(Article, [NEWS], OLD.digest)
    assert (whole.texts, whole.scored, whole.without, whole.left) == (5, 2, {"no_words": 1}, 2)
    some = await tally(Article, [NEWS], OLD.digest, T0 + HOUR, T0 + 3 * HOUR)
    assert (some.texts, some.scored, some.without, some.left) == (2, 1, {}, 1)
    waiting = await node.store.scores.unscored(Article, [NEWS], OLD.digest, 9, T0 + HOUR, T0 + 3 * HOUR)
    assert [text.id.item for text in waiting] == ["2"]
    await node.commit(brought([article("1", "Changed", at=T0 + HOUR)], T0 + 5 * HOUR))
    assert (await tally(Article, [NEWS], OLD.digest)).left == 3
    posts = await tally(Post, [POSTS], OLD.digest)
    assert (posts.texts, posts.left) == (1, 1)
    assert await tally(Article, ["guardian.stories"], OLD.digest) == Tally(0, {}, {})


async def linked(node: Open, at: datetime, **assets: tuple[str, ...]) -> None:
    """Link these items, each to its assets; the story is the item's first letter."""
    for kind, streams in STREAMS.items():
        texts = await node.store.links.unlinked(kind, streams, "rules", 100)
        seen = await node.store.links.recent(STREAMS, AROUND)
        made = [Link(t, t.id.item[0] * 64, says(*assets[t.id.item])) for t in texts if t.id.item in assets]
        assert await node.store.links.link(made, "rules", lambda: at, seen, node.lease)


async def about(node: Open, kind: Kind, *assets: str, at: Point = NOW, most: int = 9) -> list[Mention]:
    ask, scorer = node.store.opinions.mentioning, await node.store.scores.served(kind, at)
    return await ask(assets, AROUND, "rules", scorer, STREAMS[kind], most, at)


async def test_mentions_come_with_what_was_said_by_then(node: Open):
    await node.commit(
        brought([article("a1", "Up"), article("a2", "Up", WIRE, T0 + MINUTE), article("b", "x")], T0 + HOUR)
    )
    await node.commit(brought([post("p", "Up", T0 + 2 * MINUTE, likes=5)], T0 + HOUR))
    await linked(node, T0 + HOUR, a1=("bitcoin", "solana"), a2=("bitcoin",), b=("solana",), p=("bitcoin",))
    found = await unscored(node)
    await write(node, (found["a1"], UP), at=T0 + HOUR)
    await write(node, ((await unscored(node, Post))["p"], DOWN), kind=Post, at=T0 + 2 * HOUR)
    sure = Decimal("0.97")
    first = Mention(place("a1"), "bitcoin", "coin", T0, "a" * 64, sure, 0, UP.score, UP.confidence)
    second = Mention(place("a2", WIRE), "bitcoin", "coin", T0 + MINUTE, "a" * 64, sure, 0, None, None)
    of_post = Mention(
        place("p", SUB, POSTS),
        "bitcoin",
        "coin",
        T0 + 2 * MINUTE,
        "p" * 64,
        sure,
        3,
        DOWN.score,
        DOWN.confidence,
    )
    assert await about(node, Article, "bitcoin") == [second, first]
    assert await about(node, Article, "bitcoin", most=1) == [second]
    assert [one.id.item for one in await about(node, Article, "bitcoin", "solana")] == ["a2", "a1", "a1", "b"]
    assert await about(node, Post, "bitcoin") == [of_post]
    early = Point(as_of=T0 + HOUR)
    assert await about(node, Post, "bitcoin", at=early) == [
        replace(of_post, engagement=0, score=None, confidence=None)
    ]
    assert await about(node, Article, "bitcoin", at=Point(as_of=T0 + HOUR - MINUTE)) == []
    await node.commit(brought([article("a1", "Down")], T0 + 3 * HOUR))
    await linked(node, T0 + 3 * HOUR, a1=("ethereum",))
    await write(node, ((await unscored(node))["a1"], DOWN), at=T0 + 3 * HOUR)
    assert [one.score for one in await about(node, Article, "ethereum")] == [DOWN.score]
    assert await about(node, Article, "bitcoin") == [second]
    assert await about(node, Article, "bitcoin", at=early) == [second, first]


@pytest.mark.parametrize(
    ("count", "kept"), [(-3, 0), (0, 0), (1, 1), (2, 1), (3, 3), (6, 3), (7, 7), (1000, 511), (1023, 1023)]
)
def test_counts_are_kept_by_their_magnitude(count: int, kept: int):
    assert magnitude(count) == kept


@pytest.mark.parametrize(
    ("number", "kept"), [(0.1 + 0.2, "0.3"), (-1e-12, "0"), (1 / 3, "0.333333333"), (-0.5, "-0.5")]
)
def test_numbers_are_kept_with_nine_digits(number: float, kept: str):
    assert exact(number) == Decimal(kept)
    assert not exact(number).is_signed() or number < -1e-9
