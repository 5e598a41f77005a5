"""News and posts: newest first, with what they speak of; what was deleted upstream is gone, at every moment."""

from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ray_app.model.texts import Article, Post
from ray_app.model.timerange import TimeRange
from ray_app.process.linking import LINKER, Linker
from ray_app.serve.texts import MOST_READ
from ray_app.sources import edgar, guardian, reddit, rss, x
from ray_app.store.linked import Link, Said, StoredText
from ray_app.store.store import Store
from tests.serve.conftest import Running, Start, at, stable
from tests.serve.filling import DAY, REGISTRY, START
from tests.serve.sources import declared, had

CRYPTO, STOCK, SOCIAL = "/api/v1/news/crypto/latest", "/api/v1/news/stock/latest", "/api/v1/social/latest"
STREAMS: dict[type[Article] | type[Post], tuple[str, ...]] = {
    Article: ("rss.articles", "guardian.articles", "edgar.filings"),
    Post: ("reddit.posts", "x.posts"),
}


def article(feed: str, item: str, published: datetime, title: str, **more: Any) -> Article:
    return Article(feed=feed, item=item, at=published, published=published, title=title, **more)


def post(item: str, written: datetime, body: str, feed: str = "Bitcoin", **more: Any) -> Post:
    return Post(feed=feed, item=item, at=written, title=f"Post {item}", body=body, **more)


async def everything_declared(running: Running) -> None:
    for source in (rss.SOURCE, guardian.SOURCE, edgar.SOURCE, reddit.SOURCE, x.SOURCE):
        await declared(running, source)
    key = await running.new_key("read:news", "read:ops", internal=True)
    running.http.headers["Authorization"] = f"Bearer {key}"


FIRST = article(
    "crypto/coindesk", "a", at(minutes=-50), "Bitcoin rises", summary="So does Ethereum", language="en",
    author="A. Writer", url="https://example.com/a", topics="Markets",
)  # fmt: skip


async def filled(running: Running) -> None:
    await everything_declared(running)
    feeds = rss.SOURCE, "articles"
    second = article("crypto/decrypt", "b", at(minutes=-30), "An ETF for solana")
    third = article("stock/cnbc-top", "c", at(minutes=-20), "Shares fall")
    await had(running, *feeds, [FIRST, second, third], at(minutes=1))
    ours = article("crypto", "g1", at(minutes=-40), "Bitcoin and the Guardian")
    theirs = article("business", "g2", at(minutes=-10), "Business as usual")
    await had(running, guardian.SOURCE, "articles", [ours, theirs], at(minutes=2))
    filing = article("COIN", "f1", at(minutes=-60), "Coinbase Global, Inc.: 8-K")
    await had(running, edgar.SOURCE, "filings", [filing], at(minutes=3))
    posts = [
        post("t3_a", at(minutes=-15), "to the moon with bitcoin", likes=7, like_ratio=Decimal("0.93")),
        post("t3_b", at(minutes=-25), "sold my ethereum", author="somebody"),
    ]
    await had(running, reddit.SOURCE, "posts", posts, at(minutes=4))
    await had(
        running, x.SOURCE, "posts", [post("99", at(minutes=-5), "$BTC", "crypto-cashtags")], at(minutes=4)
    )
    running.clock.set(at(minutes=5))


async def linked(running: Running, moment: datetime, story: str = "0d1f") -> None:
    """Link what is not linked, as the node does: by the real rules, into one story."""
    linker = Linker(REGISTRY)

    def link(text: StoredText) -> Link:
        said = linker.mentions(text.title, text.text, text.topics, text.at)
        return Link(text, story, tuple(Said(m.asset, m.kind, Decimal(str(m.confidence))) for m in said))

    for kind, names in STREAMS.items():
        texts = await running.store.links.unlinked(kind, names, LINKER, 10_000)
        seen = await running.store.links.recent({kind: names}, TimeRange(at(hours=-1), at(hours=-1) + DAY))
        done = await running.store.links.link(
            [link(t) for t in texts], LINKER, lambda: moment, seen, running.fill.lease
        )
        assert done


@pytest.fixture
async def node(start: Start) -> Running:
    running = await start()
    await filled(running)
    return running


def titles(body: Any) -> list[str]:
    return [row["title"] for row in body["data"]]


async def test_crypto_news_newest_first(node: Running):
    await linked(node, at(minutes=4, seconds=30))
    body = await node.get(CRYPTO)
    assert titles(body) == ["An ETF for solana", "Bitcoin and the Guardian", "Bitcoin rises"]
    last = body["data"][2]
    mentioned = {one["symbol"]: one for one in last.pop("mentions")}
    assert last == {
        "source": "rss",
        "feed": "crypto/coindesk",
        "outlet": "CoinDesk",
        "url": "https://example.com/a",
        "title": "Bitcoin rises",
        "summary": "So does Ethereum",
        "published_at": "2026-11-22T23:10:00.000Z",
        "updated_at": None,
        "first_seen_at": "2026-11-23T00:01:00.000Z",
        "language": "en",
        "author": "A. Writer",
        "topics": "Markets",
        "story": "0d1f",
        "sentiment": None,
        "sentiment_reason": "not_scored",
        "advanced_sentiment": None,
        "advanced_sentiment_reason": "not_asked",
        "licence": "no_redistribution",
        "llm_allowed": True,
        "known_at": "2026-11-22T23:10:00.000Z",
        "received_at": "2026-11-23T00:01:00.000Z",
        "record_id": "rss.articles:crypto/coindesk:a:0",
    }
    assert set(mentioned) == {"BTC", "ETH"}
    rules = {m.asset: m.confidence for m in Linker(REGISTRY).mentions("Bitcoin rises", "So does Ethereum")}
    assert mentioned["BTC"] == {
        "symbol": "BTC", "asset": "bitcoin", "kind": "coin", "confidence": rules["bitcoin"],
    }  # fmt: skip
    assert body["meta"]["as_of"] == "2026-11-23T00:04:30.000Z"
    assert body["meta"]["source"] == "guardian, rss"


async def test_stock_news_are_business_sections_and_filings(node: Running):
    assert titles(await node.get(STOCK)) == ["Business as usual", "Shares fall", "Coinbase Global, Inc.: 8-K"]
    assert titles(await node.get(STOCK, source="edgar")) == ["Coinbase Global, Inc.: 8-K"]
    assert titles(await node.get(STOCK, source="cnbc-top")) == ["Shares fall"]
    error = (await node.get(STOCK, 422, source="coindesk"))["error"]
    assert (error["details"]["parameter"], "edgar" in error["details"]["available"]) == ("source", True)


async def test_posts_have_the_same_shape_and_their_numbers(node: Running):
    body = await node.get(SOCIAL)
    assert [(row["source"], row["feed"], row["summary"]) for row in body["data"]] == [
        ("x", "crypto-cashtags", "$BTC"),
        ("reddit", "Bitcoin", "to the moon with bitcoin"),
        ("reddit", "Bitcoin", "sold my ethereum"),
    ]
    first = body["data"][1]
    assert (first["likes"], first["like_ratio"], first["views"]) == (7, 0.93, None)
    assert (first["published_at"], first["first_seen_at"]) == (
        "2026-11-22T23:45:00.000Z",
        "2026-11-23T00:04:00.000Z",
    )
    assert (first["story"], first["mentions"]) == (None, [])  # nobody looked into it yet
    news = await node.get(CRYPTO)
    assert set(news["data"][0]) <= set(first)


async def test_by_symbol(node: Running):
    await linked(node, at(minutes=4, seconds=30))
    assert titles(await node.get(CRYPTO, symbol="btc")) == ["Bitcoin and the Guardian", "Bitcoin rises"]
    assert titles(await node.get(CRYPTO, symbol="ethereum")) == ["Bitcoin rises"]
    assert titles(await node.get(STOCK, symbol="COIN")) == ["Coinbase Global, Inc.: 8-K"]
    assert titles(await node.get(SOCIAL, symbol="ETH")) == ["Post t3_b"]
    assert titles(await node.get(CRYPTO, symbol="BTC", limit=1)) == ["Bitcoin and the Guardian"]
    one = await node.get(CRYPTO, symbol="BTC", limit=1)
    two = await node.get(CRYPTO, symbol="BTC", limit=1, cursor=one["meta"]["cursor"])
    assert (titles(two), two["meta"]["cursor"]) == (["Bitcoin rises"], None)
    assert titles(await node.get(CRYPTO, symbol="BTC", as_of="2026-11-23T00:04:29.999Z")) == []
    assert (await node.get(CRYPTO, 404, symbol="NOTHING"))["error"]["code"] == "INVALID_SYMBOL"
    assert (await node.get(CRYPTO, 400, symbol="DUP"))["error"]["code"] == "AMBIGUOUS_SYMBOL"


async def test_by_words_and_since(node: Running):
    assert titles(await node.get(CRYPTO, q="BITCOIN")) == ["Bitcoin and the Guardian", "Bitcoin rises"]
    assert titles(await node.get(CRYPTO, q="ethereum bitcoin")) == ["Bitcoin rises"]
    assert titles(await node.get(CRYPTO, q="bitcoin etf")) == []
    since = "2026-11-22T23:20:00Z"
    assert titles(await node.get(CRYPTO, since=since)) == ["An ETF for solana", "Bitcoin and the Guardian"]
    assert titles(await node.get(CRYPTO, since="2026-11-22T23:20:00.001Z")) == ["An ETF for solana"]
    assert titles(await node.get(SOCIAL, q="moon")) == ["Post t3_a"]


async def test_a_changed_headline_at_both_moments(node: Running):
    first = await node.http.get(CRYPTO)
    changed = FIRST.model_copy(update={"title": "Bitcoin falls", "updated": at(minutes=9)})
    await had(node, rss.SOURCE, "articles", [changed], at(minutes=10))
    node.clock.set(at(minutes=15))
    now = (await node.get(CRYPTO))["data"][2]
    assert (now["title"], now["first_seen_at"], now["received_at"]) == (
        "Bitcoin falls", "2026-11-23T00:01:00.000Z", "2026-11-23T00:10:00.000Z",
    )  # fmt: skip
    then = await node.http.get(CRYPTO, params={"as_of": first.json()["meta"]["as_of"]})
    assert stable(then) == stable(first)
    by_then = await node.get(CRYPTO, known_by="2026-11-23T00:09:59Z")
    assert titles(by_then)[2] == "Bitcoin rises"
    earlier = await node.get(CRYPTO, known_by="2026-11-22T23:25:00Z")
    assert titles(earlier) == ["Bitcoin and the Guardian", "Bitcoin rises"]


async def test_what_is_deleted_is_gone_at_every_moment(node: Running):
    moment = "2026-11-23T00:04:30Z"
    assert len((await node.get(SOCIAL, as_of=moment))["data"]) == 3
    gone = Post(feed="Bitcoin", item="t3_b", at=at(minutes=-25), deleted=True)
    await had(node, reddit.SOURCE, "posts", [gone], at(minutes=6))
    node.clock.set(at(minutes=7))
    for point in ({}, {"as_of": moment}, {"known_by": moment}):
        answer = await node.http.get(SOCIAL, params=point)
        assert titles(answer.json()) == ["Post 99", "Post t3_a"], point
        assert "sold my ethereum" not in answer.text
    due = await node.store.texts.seen_deleted("reddit.posts", 10)
    await node.store.texts.wipe("reddit.posts", None, due, "deleted", at(minutes=8), node.fill.lease)
    for point in ({}, {"as_of": moment}):
        assert titles(await node.get(SOCIAL, **point)) == ["Post 99", "Post t3_a"]


async def test_pages_hold_together_while_more_arrive(node: Running):
    many = [
        article(f"crypto/{feed}", f"{feed}{n}", at(hours=-100 + n), f"{feed} {n}")
        for n in range(30) for feed in ("utoday", "decrypt")
    ]  # fmt: skip
    await had(node, rss.SOURCE, "articles", many, at(minutes=5))
    node.clock.set(at(minutes=6))
    whole = titles(await node.get(CRYPTO))
    expected = [f"{feed} {n}" for n in reversed(range(30)) for feed in ("decrypt", "utoday")]
    assert whole == ["An ETF for solana", "Bitcoin and the Guardian", "Bitcoin rises", *expected]
    seen, cursor, turn = [], None, 0
    while turn == 0 or cursor is not None:
        body = await node.get(CRYPTO, limit=7, **({"cursor": cursor} if cursor else {}))
        seen += titles(body)
        cursor = body["meta"]["cursor"]
        turn += 1
        late = [
            article("crypto/utoday", f"late{turn}", at(hours=-50), "late"),
            many[0].model_copy(update={"title": f"changed {turn}"}),
        ]
        await had(node, rss.SOURCE, "articles", late, at(minutes=6 + turn))
        node.clock.set(at(minutes=7 + turn))
    assert seen == whole
    assert turn == 9


async def test_rare_words_are_looked_for_page_by_page(node: Running):
    one = timedelta(seconds=1)
    many = [
        article("crypto/utoday", f"n{n:05}", START - DAY - n * one, f"story {n}")
        for n in range(MOST_READ + 600)
    ]
    await had(node, rss.SOURCE, "articles", many, at(minutes=5))
    node.clock.set(at(minutes=6))
    rare = f"story {MOST_READ + 500}"
    first = await node.get(CRYPTO, q=rare)
    assert (titles(first), first["meta"]["cursor"] is not None) == ([], True)
    second = await node.get(CRYPTO, q=rare, cursor=first["meta"]["cursor"])
    assert (titles(second), second["meta"]["cursor"]) == ([rare], None)


async def test_texts_of_others_are_for_internal_keys(node: Running):
    key = await node.new_key("read:news")
    for path in (CRYPTO, SOCIAL, f"{STOCK}?source=rss"):
        answer = await node.http.get(path, headers={"Authorization": f"Bearer {key}"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "LICENCE_RESTRICTED")
        assert "Bitcoin rises" not in answer.text
    answer = await node.http.get(STOCK, headers={"Authorization": f"Bearer {key}"})
    body = answer.json()
    assert titles(body) == ["Coinbase Global, Inc.: 8-K"]
    left = {(one["dataset"], one["licence"]) for one in body["meta"]["left_out"]}
    assert left == {("rss.articles", "no_redistribution"), ("guardian.articles", "non_commercial")}
    assert body["meta"]["source"] == "edgar"


async def test_a_source_without_its_key_is_not_configured(start: Start):
    running = await start()
    await running.fill.declare()
    await declared(running, guardian.SOURCE, missing="guardian_key")
    key = await running.new_key("read:news", "read:ops", internal=True)
    running.http.headers["Authorization"] = f"Bearer {key}"
    running.clock.set(at(minutes=1))
    body = await running.get(CRYPTO)
    assert (body["data"], body["meta"]["condition"]) == ([], "missing")
    assert body["meta"]["reasons"] == ["guardian.articles: not configured: set guardian_key"]
    health = {one["dataset"]: one for one in (await running.get("/api/v1/health"))["datasets"]}
    found = health["guardian.articles"]
    assert (found["state"], found["condition"], found["not_configured"]) == (
        "not_configured", "missing", "guardian_key",
    )  # fmt: skip


async def test_both_databases_answer_alike(start: Start, fresh_mariadb_database: str, tmp_path: Path):
    maria = Store(fresh_mariadb_database, str(tmp_path / "raw-of-maria"))
    await maria.database.prepare(simulated=True)
    try:
        answers = []
        for running in (await start(), await start(over=maria)):
            await filled(running)
            await linked(running, at(minutes=4, seconds=30))
            changed = FIRST.model_copy(update={"title": "Bitcoin falls"})
            await had(running, rss.SOURCE, "articles", [changed], at(minutes=10))
            running.clock.set(at(minutes=15))
            paths = (CRYPTO, STOCK, SOCIAL, f"{CRYPTO}?symbol=BTC", f"{CRYPTO}?as_of=2026-11-23T00:05:00Z")
            answers.append([await running.http.get(path) for path in paths])
        for left, right in zip(*answers, strict=True):
            assert (left.status_code, stable(left)) == (200, stable(right))
            assert left.json()["data"]
    finally:
        await maria.close()
