"""Which texts are worth a language model's money, and what it said of them; the whole of it once on each database."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from ray_app.model.collected import Lease
from ray_app.model.errors import Fenced, Unpaid
from ray_app.model.texts import Article, Post
from ray_app.model.timerange import TimeRange
from ray_app.store.advanced import LATELY, Worth
from ray_app.store.linked import Kind, Link, Said
from ray_app.store.reading import NOW, Point
from ray_app.store.scored import Scorer, Verdict, content_of
from ray_app.store.store import Store
from ray_app.store.texts import Due
from tests.store.conftest import Open
from tests.store.made import DAY, HOUR, MINUTE, T0
from tests.store.texting import NEWS, POSTS, SUB, WIRE, article, brought, place, post

RULES = "rules/1"
SINCE = T0 - LATELY
FIRST, SECOND, OTHER = (
    Scorer(model, digit * 64, json.dumps({"family": family}))
    for model, digit, family in (("sim-1", "a", "f"), ("sim-2", "b", "f"), ("sim-3", "c", "g"))
)
COINS = Worth(Article, [NEWS], frozenset({"bitcoin", "ethereum"}), RULES)
UP = Verdict(Decimal("0.6"), "bullish", Decimal("0.7"), Decimal("0.1"), Decimal("0.2"), Decimal("0.7"), None)
REFUSED = Verdict(None, None, None, None, None, None, "refused")
SERVED = Scorer("words", "d" * 64, "{}")


BOTH = pytest.mark.parametrize(
    "database_url", ["sqlite", pytest.param("mariadb", marks=pytest.mark.mariadb)], indirect=True
)


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A file, unless a test asks for both: a fresh database of MariaDB takes seconds."""
    url = f"sqlite+aiosqlite:///{tmp_path}/node.db"
    mariadb = getattr(request, "param", "sqlite") == "mariadb"
    return str(request.getfixturevalue("fresh_mariadb_database")) if mariadb else url


async def linked(
    node: Open, said: Mapping[str, Sequence[Said]], kind: Kind = Article, by: str = RULES
) -> None:
    """Link the texts that are named, by their ids; the others speak of nothing."""
    streams: dict[Kind, Sequence[str]] = {Article: [NEWS], Post: [POSTS]}
    texts = await node.store.links.unlinked(kind, list(streams[kind]), by, 100)
    seen = await node.store.links.recent(streams, TimeRange(T0 - 30 * DAY, T0 + 2 * DAY))
    made = [Link(text, "a" * 64, tuple(said.get(text.id.item, ()))) for text in texts]
    assert await node.store.links.link(made, by, lambda: T0 + MINUTE, seen, node.lease)


def coin(asset: str = "bitcoin", sure: str = "0.97") -> tuple[Said, ...]:
    return (Said(asset, "stock" if asset.isupper() else "coin", Decimal(sure)),)


async def wanted(node: Open, worth: Worth = COINS, by: Sequence[Scorer] = (), most: int = 100) -> list[str]:
    found = await node.store.advanced.wanted(worth, [one.digest for one in by], SINCE, most)
    return [text.id.item for text in found]


async def say(
    node: Open, item: str, verdict: Verdict, by: Scorer, at: datetime = T0 + HOUR, worth: Worth = COINS
) -> None:
    found = await node.store.advanced.wanted(worth, [by.digest], SINCE, 100)
    made = [(text, verdict) for text in found if text.id.item == item]
    assert made
    await node.store.advanced.configure(by, lambda: at, node.lease)
    await node.store.scores.write(worth.kind, made, by, lambda: at, node.lease)


@BOTH
async def test_what_is_worth_the_money_and_what_was_said(node: Open, opened: Callable[..., Store]):
    """Everything that is asked of the database, on both of them."""
    texts = [
        article("sure", "Bitcoin up", at=T0 - HOUR, summary="It is."),
        article("newest", "Bitcoin!", WIRE, at=T0),
        article("unsure", "Near"),
        article("untracked", "Luna"),
        article("share", "COIN rises", at=T0 - 2 * HOUR),
        article("nothing", "Weather"),
        article("old", "Bitcoin then", at=SINCE - MINUTE),
    ]
    await node.commit(brought(texts))
    assert await wanted(node) == []  # nobody knows yet what they speak of
    said = {
        "sure": coin(), "newest": coin("ethereum", "0.5"), "unsure": coin("bitcoin", "0.499"),
        "untracked": coin("terra-luna"), "share": coin("COIN"), "old": coin(),
    }  # fmt: skip
    await linked(node, said)
    assert await wanted(node) == ["newest", "sure", "share"]
    assert await wanted(node, most=1) == ["newest"]
    count = node.store.advanced.count
    assert await count(COINS, [], SINCE, T0 + DAY) == 3
    assert await count(COINS, [], SINCE, T0) == 2
    assert await count(COINS, [], SINCE - DAY, SINCE) == 1
    await say(node, "sure", UP, FIRST)
    await say(node, "newest", REFUSED, SECOND, T0 + 2 * HOUR)
    assert await wanted(node, by=[FIRST]) == ["newest", "share"]
    assert await wanted(node, by=[SECOND, FIRST]) == ["share"]
    assert await count(COINS, [FIRST.digest, SECOND.digest], SINCE, T0 + DAY) == 1
    content = content_of("Bitcoin up\nIt is.")
    assert await node.store.advanced.known([content, "other"], [SECOND, FIRST]) == {content: (FIRST, UP)}
    found = await node.store.advanced.scores_of([place("sure"), place("newest", WIRE), place("share")])
    (one,), (none,) = found[place("sure")], found[place("newest", WIRE)]
    assert (one.scorer, one.verdict, one.content, one.made_at) == (FIRST, UP, content, T0 + HOUR)
    assert (none.scorer, none.verdict) == (SECOND, REFUSED)
    assert place("share") not in found
    assert await node.store.advanced.family("f") == [SECOND, FIRST]
    purses = [node.store.llm_spend, opened().llm_spend]
    await purses[0].declare("llm", 1_000, T0)
    tried = [purses[n % 2].reserve("llm", 300, T0) for n in range(8)]
    done = await asyncio.gather(*tried, return_exceptions=True)
    assert sum(isinstance(one, Unpaid) for one in done) == 5
    assert (await purses[1].state("llm", T0)).spent == 900
    await purses[0].close("llm", "empty", T0 + DAY, T0)
    assert (await purses[1].states(T0))[0].closed_until == T0 + DAY


async def test_a_text_that_changes_is_asked_about_again_and_one_that_is_liked_is_not(node: Open):
    worth = Worth(Post, [POSTS], COINS.assets, RULES)
    await node.commit(brought([post("p", "Bitcoin")]))
    await linked(node, {"p": coin()}, Post)
    await say(node, "p", UP, FIRST, worth=worth)
    await node.commit(brought([post("p", "Bitcoin", likes=1)], T0 + HOUR))
    assert await wanted(node, worth, [FIRST]) == ["p"]
    (text,) = await node.store.advanced.wanted(worth, [FIRST.digest], SINCE, 9)
    assert text.engagement == 1
    assert await node.store.advanced.known([text.content], [FIRST]) == {text.content: (FIRST, UP)}
    await say(node, "p", UP, FIRST, worth=worth)
    await node.commit(brought([post("p", "Ethereum")], T0 + 2 * HOUR))
    assert await wanted(node, worth, [FIRST]) == ["p"]
    (text,) = await node.store.advanced.wanted(worth, [FIRST.digest], SINCE, 9)
    assert await node.store.advanced.known([text.content], [FIRST]) == {}


async def test_what_a_text_spoke_of_before_it_changed_does_not_count(node: Open):
    await node.commit(brought([article("a", "Bitcoin")]))
    await linked(node, {"a": coin()})
    assert await wanted(node) == ["a"]
    await node.commit(brought([article("a", "Weather")], T0 + HOUR))
    await linked(node, {})
    assert await wanted(node) == []


async def test_a_deleted_post_is_not_asked_about_and_a_wiped_one_keeps_its_number(node: Open):
    worth = Worth(Post, [POSTS], COINS.assets, RULES)
    await node.commit(brought([post("kept", "Bitcoin"), post("gone", "Bitcoin too")]))
    await linked(node, {"kept": coin(), "gone": coin()}, Post)
    await say(node, "kept", UP, FIRST, worth=worth)
    await node.commit(brought([post("gone", None, deleted=True)], T0 + HOUR))
    assert await wanted(node, worth, [FIRST]) == []
    found = await node.store.advanced.scores_of([place("kept", SUB, POSTS)])
    (before,) = found[place("kept", SUB, POSTS)]
    due = Due(1, SUB, "kept", T0)
    await node.store.texts.wipe(POSTS, None, [due], "gone", T0 + HOUR, node.lease)
    (after,) = (await node.store.advanced.scores_of([place("kept", SUB, POSTS)]))[place("kept", SUB, POSTS)]
    assert (after.content, after.verdict) == (None, before.verdict)


async def test_the_past_keeps_its_opinions_and_the_last_one_comes_first(node: Open):
    await node.commit(brought([article("a", "Bitcoin")]))
    await linked(node, {"a": coin()})
    await say(node, "a", REFUSED, OTHER, T0 + HOUR)
    await say(node, "a", UP, FIRST, T0 + 2 * HOUR)

    async def by(at: Point) -> list[str]:
        found = await node.store.advanced.scores_of([place("a")], at)
        return [one.scorer.model for one in found.get(place("a"), [])]

    assert await by(NOW) == ["sim-1", "sim-3"]
    assert await by(Point(as_of=T0 + HOUR)) == ["sim-3"]
    assert await by(Point(as_of=T0 + MINUTE)) == []
    assert await by(Point(known_by=T0 - MINUTE)) == []
    assert await node.store.advanced.family() == [FIRST]  # asked last
    assert await node.store.advanced.family("h") == []


async def test_an_opinion_is_never_the_served_score(node: Open):
    await node.commit(brought([article("a", "Bitcoin")]))
    await linked(node, {"a": coin()})
    await node.store.scores.configure(Article, SERVED, lambda: T0, node.lease)
    await say(node, "a", UP, FIRST)
    assert await node.store.scores.served(Article) == SERVED
    assert await node.store.scores.scores_of([place("a")], Article) == {}
    over = TimeRange(T0 - DAY, T0 + DAY)
    (one,) = await node.store.opinions.mentioning(["bitcoin"], over, RULES, SERVED, [NEWS], 9)
    assert one.score is None


async def test_only_who_holds_the_shard_writes_down_a_model_and_once(node: Open):
    await node.store.advanced.configure(FIRST, lambda: T0, node.lease)
    await node.store.advanced.configure(FIRST, lambda: T0 + HOUR, node.lease)
    assert await node.store.advanced.family("f") == [FIRST]
    stale = Lease(node.lease.shard, node.lease.owner, node.lease.fence - 1)
    with pytest.raises(Fenced):
        await node.store.advanced.configure(SECOND, lambda: T0, stale)
