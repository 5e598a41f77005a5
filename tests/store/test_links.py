from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal

import pytest

from ray_app.model.collected import Lease
from ray_app.model.errors import Fenced
from ray_app.model.texts import Article, Post
from ray_app.model.timerange import TimeRange
from ray_app.store.linked import Kind, Link, Said, StoredText
from ray_app.store.reading import Point
from ray_app.store.store import Store
from ray_app.store.texts import Due
from tests.store.conftest import Open
from tests.store.made import DAY, HOUR, MINUTE, T0
from tests.store.texting import DESK, NEWS, POSTS, SUB, WIRE, article, brought, link, place, post, says

RULES, NEWER = "rules/1", "rules/2"
STREAMS: dict[Kind, Sequence[str]] = {Article: [NEWS], Post: [POSTS]}
AROUND = TimeRange(T0 - 2 * DAY, T0 + 2 * DAY)
ONE, TWO = "1" * 64, "2" * 64


async def unlinked(node: Open, kind: Kind = Article, by: str = RULES) -> dict[str, StoredText]:
    names = list(STREAMS[kind])
    return {text.id.item: text for text in await node.store.links.unlinked(kind, names, by, 100)}


async def write(node: Open, *links: Link, by: str = RULES, at: datetime = T0 + MINUTE) -> bool:
    seen = await node.store.links.recent(STREAMS, AROUND)
    return await node.store.links.link(links, by, lambda: at, seen, node.lease)


async def spoken(node: Open, item: str, at: Point | None = None, by: str = RULES) -> tuple[Said, ...] | None:
    found = await node.store.links.mentions_of([place(item)], by, at or Point())
    return found[place(item)].said if found else None


async def test_a_text_waits_in_its_newest_revision_until_it_is_linked(node: Open):
    first = article("a", "Bitcoin up", summary="Below.", body="More.", topics="BTC; Markets")
    await node.commit(brought([first]))
    await node.commit(brought([article("a", "Bitcoin down"), article("b", None, WIRE)], T0 + HOUR))
    found = await unlinked(node)
    a, b = found["a"], found["b"]
    assert (a.id, a.revision, a.title, a.text, a.topics) == (place("a"), 1, "Bitcoin down", "", ())
    assert (a.at, a.known_at, a.deleted, a.story) == (T0, T0 + HOUR, False, None)
    assert (b.id, b.revision, b.title, b.text) == (place("b", WIRE), 0, "", "")
    assert await write(node, link(a, "bitcoin", story=ONE), link(b, story=TWO))
    assert await unlinked(node) == {}
    await node.commit(brought([first], T0 + 2 * HOUR))
    again = (await unlinked(node))["a"]
    assert (again.revision, again.text, again.topics) == (2, "Below.\nMore.", ("BTC", "Markets"))
    assert again.story == ONE


async def test_only_the_streams_asked_for_newest_first_and_since(node: Open):
    days = [article(f"day{n}", "Bitcoin", at=T0 + n * DAY) for n in range(4)]
    await node.commit(brought(days, T0 + 4 * DAY))
    await node.commit(brought([post("p", "Bitcoin")]))
    links = node.store.links
    assert [t.id.item for t in await links.unlinked(Article, [NEWS], RULES, 2)] == ["day3", "day2"]
    since = await links.unlinked(Article, [NEWS], RULES, 100, T0 + 2 * DAY)
    assert [t.id.item for t in since] == ["day3", "day2"]
    assert await links.unlinked(Article, ["guardian.stories"], RULES, 100) == []
    assert [t.id for t in await links.unlinked(Post, [POSTS], RULES, 100)] == [place("p", SUB, POSTS)]


async def test_a_change_adds_a_link_and_the_past_keeps_its_answer(node: Open):
    await node.commit(brought([article("a", "Bitcoin up")]))
    await write(node, link((await unlinked(node))["a"], "bitcoin", "COIN"), at=T0 + MINUTE)
    assert await spoken(node, "a", Point(as_of=T0)) is None
    assert await spoken(node, "a", Point(as_of=T0 + MINUTE)) == says("COIN", "bitcoin")
    await node.commit(brought([article("a", "Solana up")], T0 + HOUR))
    await write(node, link((await unlinked(node))["a"], "solana"), at=T0 + HOUR + MINUTE)
    assert await spoken(node, "a") == says("solana")
    assert await spoken(node, "a", Point(as_of=T0 + HOUR)) == says("COIN", "bitcoin")
    assert await spoken(node, "a", Point(known_by=T0 + HOUR - MINUTE)) == says("COIN", "bitcoin")
    assert await spoken(node, "a", Point(known_by=T0 + HOUR)) == says("solana")
    about = node.store.links.texts_about
    assert await about("bitcoin", AROUND, RULES, 10) == []
    assert await about("solana", AROUND, RULES, 10) == [place("a")]
    assert await about("bitcoin", AROUND, RULES, 10, Point(as_of=T0 + HOUR)) == [place("a")]
    assert await about("solana", AROUND, RULES, 10, Point(as_of=T0 + HOUR)) == []


async def test_nothing_is_answered_that_nobody_could_know_yet(node: Open):
    """Published three minutes from now by the feed's clock, linked at once."""
    await node.commit(brought([article("a", "Bitcoin", published=T0 + 3 * MINUTE)]))
    await write(node, link((await unlinked(node))["a"], "bitcoin"), at=T0)
    assert await spoken(node, "a", Point(as_of=T0 + 2 * MINUTE)) is None
    assert await spoken(node, "a", Point(as_of=T0 + 3 * MINUTE)) == says("bitcoin")


async def test_a_revision_that_says_the_same_moves_the_link_on(node: Open):
    await node.commit(brought([post("p", "Bitcoin", likes=1)]))
    await write(node, link((await unlinked(node, Post))["p"], "bitcoin"))
    before = await node.counts()
    for hour in (1, 2, 3):
        at = T0 + hour * HOUR
        await node.commit(brought([post("p", "Bitcoin", likes=hour + 1)], at))
        text = (await unlinked(node, Post))["p"]
        assert text.revision == hour
        await write(node, link(text, "bitcoin"), at=at)
    assert await unlinked(node, Post) == {}
    after = await node.counts()
    assert (after["text_links"], after["mentions"]) == (before["text_links"], before["mentions"]) == (1, 1)
    linked = (await node.store.links.mentions_of([place("p", SUB, POSTS)], RULES))[place("p", SUB, POSTS)]
    assert (linked.revision, linked.made_at, linked.said) == (0, T0 + MINUTE, says("bitcoin"))


async def test_a_new_linker_links_beside_the_old_one(node: Open):
    await node.commit(brought([article("a", "Bitcoin up")]))
    await write(node, link((await unlinked(node))["a"], "bitcoin", story=ONE))
    text = (await unlinked(node, by=NEWER))["a"]
    assert text.story == ONE
    await write(node, link(text, "ethereum", story=ONE), by=NEWER)
    assert await spoken(node, "a") == says("bitcoin")
    assert await spoken(node, "a", by=NEWER) == says("ethereum")
    assert await node.store.links.texts_about("ethereum", AROUND, RULES, 10) == []
    assert await node.store.links.texts_about("ethereum", AROUND, NEWER, 10) == [place("a")]


async def test_texts_about_an_asset_newest_first_by_kind_time_and_confidence(node: Open):
    await node.commit(brought([article(n, "Bitcoin", at=T0 + int(n) * HOUR) for n in "123"], T0 + 4 * HOUR))
    await node.commit(brought([post("p", "Bitcoin", T0 + 90 * MINUTE)], T0 + 4 * HOUR))
    texts = await unlinked(node)
    doubtful = Link(texts["3"], ONE, says("bitcoin", sure="0.8"))
    await write(node, link(texts["1"], "bitcoin"), link(texts["2"], "bitcoin", "solana"), doubtful)
    await write(node, link((await unlinked(node, Post))["p"], "bitcoin"))
    about, of_post = node.store.links.texts_about, place("p", SUB, POSTS)
    every = [place("3"), place("2"), of_post, place("1")]
    assert await about("bitcoin", AROUND, RULES, 10) == every
    assert await about("bitcoin", AROUND, RULES, 3) == every[:3]
    assert await about("bitcoin", AROUND, RULES, 10, kinds=[Article]) == [place("3"), place("2"), place("1")]
    assert await about("bitcoin", AROUND, RULES, 10, kinds=[Post]) == [of_post]
    assert await about("bitcoin", AROUND, RULES, 10, least=Decimal("0.9")) == every[1:]
    assert await about("bitcoin", TimeRange(T0 + HOUR, T0 + 2 * HOUR), RULES, 10) == [of_post, place("1")]
    assert await about("ethereum", AROUND, RULES, 10) == []


async def test_deleted_unlinked_has_no_mentions_and_deleted_later_keeps_them(node: Open):
    gone = post("gone", None, deleted=True)
    await node.commit(brought([gone, post("seen", "Bitcoin"), post("wiped", "Solana")]))
    texts = await unlinked(node, Post)
    assert (texts["gone"].deleted, texts["seen"].deleted) == (True, False)
    await write(node, link(texts["gone"]), link(texts["seen"], "bitcoin"), link(texts["wiped"], "solana"))
    await node.commit(brought([post("seen", None, deleted=True)], T0 + HOUR))
    due = [Due(texts["wiped"].series, SUB, "wiped", T0)]
    await node.store.texts.wipe(POSTS, "news", due, "gone upstream", T0 + HOUR, node.lease)
    assert await unlinked(node, Post) == {}
    ids = [place(item, SUB, POSTS) for item in ("gone", "seen", "wiped")]
    found = await node.store.links.mentions_of(ids, RULES)
    assert [found[one].said for one in ids] == [(), says("bitcoin"), says("solana")]
    assert {one.id.item for one in (await node.store.links.recent(STREAMS, AROUND)).texts} == set()
    wiped = (await unlinked(node, Post, NEWER))["wiped"]
    assert (wiped.deleted, wiped.title, wiped.text, wiped.topics) == (True, "", "", ())


async def test_recent_texts_have_their_story_and_the_words_of_now(node: Open):
    await node.commit(brought([article("a", "Bitcoin up", summary="Below."), article("b", "Waits")]))
    await node.commit(brought([article("old", "Old", at=T0 - 2 * DAY - MINUTE)]))
    texts = await unlinked(node)
    await write(node, link(texts["a"], story=ONE), link(texts["old"], story=TWO))
    await node.commit(brought([article("a", "Bitcoin down", summary="Below.")], T0 + HOUR))
    await node.commit(brought([post("p", None, body="A post.")], T0 + HOUR))
    await write(node, link((await unlinked(node, Post))["p"], story=ONE))
    recent = await node.store.links.recent(STREAMS, AROUND)
    assert recent.links == 2
    assert {(t.id, t.at, t.story, t.title, t.text) for t in recent.texts} == {
        (place("a"), T0, ONE, "Bitcoin down", "Below."),
        (place("p", SUB, POSTS), T0, ONE, "", "A post."),
    }


async def test_a_link_that_others_added_meanwhile_is_seen_before_anything_is_written(
    node: Open, opened: Callable[..., Store]
):
    await node.commit(brought([article("a", "Bitcoin up"), article("b", "Bitcoin up", WIRE)]))
    texts = await unlinked(node)
    here, there = node.store.links, opened().links
    seen_here, seen_there = await here.recent(STREAMS, AROUND), await there.recent(STREAMS, AROUND)
    other = await node.store.leases.acquire("other shard", "other")
    assert other is not None
    assert await there.link([link(texts["b"], story=TWO)], RULES, lambda: T0, seen_there, other)
    assert not await here.link([link(texts["a"], story=ONE)], RULES, lambda: T0, seen_here, node.lease)
    assert set(await unlinked(node)) == {"a"}
    assert [one.story for one in (await here.recent(STREAMS, AROUND)).texts] == [TWO]


async def test_a_lost_lease_links_nothing_and_a_link_twice_is_one(node: Open):
    await node.commit(brought([article("a", "Bitcoin up")]))
    text = (await unlinked(node))["a"]
    seen = await node.store.links.recent(STREAMS, AROUND)
    stale = Lease(node.lease.shard, node.lease.owner, node.lease.fence - 1)
    with pytest.raises(Fenced):
        await node.store.links.link([link(text, "bitcoin")], RULES, lambda: T0, seen, stale)
    assert await spoken(node, "a") is None
    assert await write(node, link(text, "bitcoin"))
    assert await write(node, link(text, "solana"))  # what a former self sends late
    assert await spoken(node, "a") == says("bitcoin")


async def test_the_same_item_of_two_feeds_is_two_texts(node: Open):
    await node.commit(brought([article("a", "Bitcoin up"), article("a", "Solana up", WIRE)]))
    texts = await node.store.links.unlinked(Article, [NEWS], RULES, 10)
    by_feed = {text.id.partition: text for text in texts}
    await write(node, link(by_feed[DESK], "bitcoin"), link(by_feed[WIRE], "solana"))
    found = await node.store.links.mentions_of([place("a"), place("a", WIRE), place("b")], RULES)
    assert {one.partition: linked.said for one, linked in found.items()} == {
        DESK: says("bitcoin"),
        WIRE: says("solana"),
    }
