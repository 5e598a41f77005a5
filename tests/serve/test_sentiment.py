"""Sentiment of assets and of the market, and beside each text; hand-reckoned numbers, stable answers, licences."""

import math
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ray_app.model.series import MoodIndex
from ray_app.model.texts import Article, Post
from ray_app.model.timerange import TimeRange
from ray_app.process.linking import LINKER, Linker
from ray_app.sources import alternative, reddit, rss
from ray_app.store.linked import Kind, Link, Said
from ray_app.store.scored import Scorer, Verdict
from ray_app.store.store import Store
from tests.serve.conftest import Running, Start, at, stable
from tests.serve.filling import DAY, REGISTRY, START
from tests.serve.sources import declared, had
from tests.serve.test_texts import (
    CRYPTO,
    FIRST,
    SOCIAL,
    STOCK,
    STREAMS,
    article,
    filled,
)

BTC, MARKET = "/api/v1/sentiment/crypto/BTC", "/api/v1/sentiment/market"
NEWS, POSTS = Scorer("news-model", "a" * 64), Scorer("posts-model", "b" * 64)
MODELS: Mapping[Kind, Scorer] = {Article: NEWS, Post: POSTS}
SAID = {  # item: bearish, bullish
    "a": ("0.1", "0.7"), "g1": ("0.6", "0.2"), "b": ("0.2", "0.3"), "c": ("0.8", "0.1"),
    "g2": ("0.1", "0.1"), "f1": ("0.1", "0.1"), "t3_a": ("0.05", "0.9"), "t3_b": ("0.7", "0.1"),
    "99": ("0.3", "0.4"),
}  # fmt: skip


def verdict(bearish: str, bullish: str) -> Verdict:
    low, high = Decimal(bearish), Decimal(bullish)
    middle = 1 - low - high
    label = max((low, "bearish"), (middle, "neutral"), (high, "bullish"))[1]
    return Verdict(high - low, label, max(low, middle, high), low, middle, high, None)


async def scored(
    node: Running,
    moment: datetime,
    said: Mapping[str, tuple[str, str]] = SAID,
    by: Mapping[Kind, Scorer] = MODELS,
) -> None:
    """Write down what is said of these items; of others nothing."""
    scores, lease = node.store.scores, node.fill.lease
    for kind, scorer in by.items():
        await scores.configure(kind, scorer, lambda: moment, lease)
        found = await scores.unscored(kind, STREAMS[kind], scorer.digest, 1000)
        made = [(text, verdict(*said[text.id.item])) for text in found if text.id.item in said]
        await scores.write(kind, made, scorer, lambda: moment, lease)


async def told(running: Running, moment: datetime) -> None:
    """Link by the real rules. "a" and "g1" (RSS and the Guardian) tell one story, each other text one of its own."""
    linker = Linker(REGISTRY)
    for kind, names in STREAMS.items():
        made = []
        for text in await running.store.links.unlinked(kind, names, LINKER, 1000):
            said = linker.mentions(text.title, text.text, text.topics, text.at)
            story = "same" if text.id.item in ("a", "g1") else f"story of {text.id.item}"
            mentions = tuple(Said(m.asset, m.kind, Decimal(str(m.confidence))) for m in said)
            made.append(Link(text, story, mentions))
        seen = await running.store.links.recent({kind: names}, TimeRange(START - DAY, START + DAY))
        assert await running.store.links.link(made, LINKER, lambda: moment, seen, running.fill.lease)


async def ready(running: Running) -> None:
    await filled(running)
    key = await running.new_key("read:news", "read:sentiment", internal=True)
    running.http.headers["Authorization"] = f"Bearer {key}"
    await told(running, at(minutes=4, seconds=10))
    await scored(running, at(minutes=4, seconds=20))
    running.clock.set(at(minutes=6, seconds=30))


@pytest.fixture
async def node(start: Start) -> Running:
    """Nine texts, linked and scored a few minutes after midnight; it is half past six minutes."""
    running = await start()
    await ready(running)
    return running


def weight(minutes: float, confidence: float, link: float, liked: float = 1.0) -> float:
    """Of a text so many minutes before the end, in a window of 24 h: half-life 6 h."""
    return 0.5 ** (minutes / 360) * confidence * link * liked


def near(value: float) -> Any:
    return pytest.approx(value, abs=1e-6)


async def sure(node: Running, path: str, asset: str) -> dict[str, float]:
    """How sure each text of a route speaks of the asset, by its title."""
    rows = (await node.get(path))["data"]
    return {row["title"]: m["confidence"] for row in rows for m in row["mentions"] if m["asset"] == asset}


async def test_bitcoin_by_hand(node: Running):
    """It ends at 00:06. News: "a" 56 min ago, 0.7 - 0.1 = 0.6, sure 0.7; "g1" 46 min ago, 0.2 - 0.6 = -0.4,
    sure 0.6; one story. Reddit: "t3_a" 21 min ago, 0.85, sure 0.9, 7 likes. X: "99" 11 min ago, 0.1, sure 0.4.
    """
    body = await node.get(BTC)
    news = await sure(node, CRYPTO, "bitcoin")
    posts = await sure(node, SOCIAL, "bitcoin")
    a, g1 = weight(56, 0.7, news["Bitcoin rises"]), weight(46, 0.6, news["Bitcoin and the Guardian"])
    reddit = weight(21, 0.9, posts["Post t3_a"], 1 + math.log(8))
    x = weight(11, 0.4, posts["Post 99"])
    story, said = max(a, g1), (0.6 * a - 0.4 * g1) / (a + g1)
    whole = story + reddit + x
    assert (body["symbol"], body["id"], body["name"], body["timeframe"]) == (
        "BTC",
        "bitcoin",
        "Bitcoin",
        "24h",
    )
    assert (body["start"], body["end"]) == ("2026-11-22T00:06:00.000Z", "2026-11-23T00:06:00.000Z")
    overall = body["overall_sentiment"]
    assert overall["score"] == near((story * said + reddit * 0.85 + x * 0.1) / whole)
    certain = (story * (0.7 * a + 0.6 * g1) / (a + g1) + reddit * 0.9 + x * 0.4) / whole
    assert (overall["label"], overall["confidence"], overall["reason"]) == ("bullish", near(certain), None)
    assert (body["sample_size"], body["texts"], body["unscored"], body["truncated"]) == (3, 4, 0, False)
    assert body["effective_sample_size"] == near(whole**2 / (story**2 + reddit**2 + x**2))
    parts = body["breakdown"]
    assert list(parts) == ["news", "reddit", "twitter"]
    assert parts["news"] == {
        "score": near(said), "label": "neutral", "confidence": near((0.7 * a + 0.6 * g1) / (a + g1)),
        "reason": None, "count": 2, "stories": 1, "unscored": 0,
        "model": {"id": "news-model", "digest": "a" * 64},
    }  # fmt: skip
    assert (parts["reddit"]["score"], parts["reddit"]["count"]) == (near(0.85), 1)
    assert (parts["twitter"]["score"], parts["twitter"]["label"]) == (near(0.1), "neutral")
    assert parts["twitter"]["model"] == {"id": "posts-model", "digest": "b" * 64}
    assert len(body["history"]) == 12
    assert body["history"][-1] == {"end": body["end"], **overall, "sample_size": 3}
    earlier = {"score": None, "label": None, "confidence": None, "reason": "no_texts", "sample_size": 0}
    assert body["history"][0] == {"end": "2026-11-22T02:06:00.000Z", **earlier}
    assert "heaviest text" in body["formula"]
    meta = body["meta"]
    assert (meta["as_of"], meta["source"]) == ("2026-11-23T00:06:00.000Z", "guardian, reddit, rss, x")
    assert meta["age_seconds"] == 11 * 60 + 30  # of the post of X


async def test_some_sources_windows_and_no_breakdown(node: Running):
    body = await node.get(BTC, sources="twitter,reddit", include_breakdown="false")
    assert ("breakdown" in body, body["texts"], body["meta"]["source"]) == (False, 2, "reddit, x")
    hour = await node.get(BTC, timeframe="1h", sources="news")
    assert (hour["texts"], list(hour["breakdown"])) == (2, ["news"])
    assert hour["start"] == "2026-11-22T23:06:00.000Z"
    assert hour["history"][0]["end"] == "2026-11-22T23:11:00.000Z"
    assert [point["sample_size"] for point in hour["history"]] == [1] * 12
    error = (await node.get(BTC, 422, timeframe="2h"))["error"]
    assert (error["code"], error["details"]["available"]) == ("INVALID_TIMEFRAME", ["1h", "4h", "24h", "7d"])
    error = (await node.get(BTC, 422, sources="news,blogs"))["error"]
    assert (error["code"], error["details"]["parameter"]) == ("VALIDATION_ERROR", "sources")
    assert (await node.get("/api/v1/sentiment/crypto/NOTHING", 404))["error"]["code"] == "INVALID_SYMBOL"
    assert (await node.get("/api/v1/sentiment/crypto/DUP", 400))["error"]["code"] == "AMBIGUOUS_SYMBOL"
    error = (await node.get("/api/v1/sentiment/stock/COINN", 404))["error"]
    assert (error["code"], error["details"]["nearest"][0]) == ("INVALID_SYMBOL", "COIN")


async def test_filings_take_no_side(node: Running):
    """The 8-K of Coinbase speaks of COIN and was scored; it is no opinion."""
    assert await sure(node, STOCK, "COIN") != {}
    body = await node.get("/api/v1/sentiment/stock/coin")
    assert (body["symbol"], body["texts"], body["overall_sentiment"]["reason"]) == ("COIN", 0, "no_texts")
    assert "edgar" not in body["meta"]["source"]


async def test_unknown_is_not_neutral(start: Start):
    running = await start()
    await filled(running)
    key = await running.new_key("read:sentiment", internal=True)
    running.http.headers["Authorization"] = f"Bearer {key}"
    running.clock.set(at(minutes=6, seconds=30))
    nothing = {"score": None, "label": None, "confidence": None}
    assert (await running.get(BTC))["overall_sentiment"] == nothing | {"reason": "no_texts"}
    await told(running, at(minutes=5))
    body = await running.get(BTC)
    assert body["overall_sentiment"] == nothing | {"reason": "not_scored"}
    assert (body["sample_size"], body["texts"], body["unscored"]) == (0, 0, 4)
    assert body["breakdown"]["news"]["model"] is None
    assert (await running.get(MARKET))["risk_appetite"]["score"] is None
    for path in (BTC, MARKET):
        error = (await running.get(path, 404, as_of="2026-11-22T23:59:59Z"))["error"]
        assert error["code"] == "DATA_NOT_AVAILABLE", "nothing was declared then"


async def test_as_of_keeps_its_bytes_whatever_comes_or_goes(node: Running):
    first = [await node.http.get(path) for path in (BTC, MARKET, CRYPTO)]
    moments = [answer.json()["meta"]["as_of"] for answer in first]
    liked = Post(
        feed="Bitcoin", item="t3_a", at=at(minutes=-15), title="Post t3_a", body="to the moon with bitcoin",
        likes=5000, like_ratio=Decimal("0.93"),
    )  # fmt: skip
    await had(node, reddit.SOURCE, "posts", [liked], at(minutes=7))
    late = article("crypto/decrypt", "late", at(minutes=-40), "Bitcoin is lost")
    changed = FIRST.model_copy(update={"title": "Bitcoin falls", "updated": at(minutes=7)})
    await had(node, rss.SOURCE, "articles", [late, changed], at(minutes=7))
    await told(node, at(minutes=8))
    more = SAID | {"late": ("1", "0"), "a": ("0.9", "0.05")}
    await scored(node, at(minutes=8), more)
    node.clock.set(at(minutes=10))
    now = await node.get(BTC)
    assert (now["texts"], now["breakdown"]["reddit"]["score"]) == (5, near(0.85))
    assert now["overall_sentiment"]["score"] != first[0].json()["overall_sentiment"]["score"]
    due = await node.store.texts.outdated("reddit.posts", at(minutes=-10), 10)
    await node.store.texts.wipe("reddit.posts", None, due, "gone", at(minutes=9), node.fill.lease)
    assert (await node.get(SOCIAL, source="reddit"))["data"] == []
    assert (await node.get(BTC))["breakdown"]["reddit"]["count"] == 1  # the number stays
    for path, before, moment in zip((BTC, MARKET, CRYPTO), first, moments, strict=True):
        assert stable(await node.http.get(path, params={"as_of": moment})) == stable(before)


async def test_known_by_sees_what_anyone_could_have_known(node: Running):
    """Scored minutes after midnight, of texts of half an hour before: no score is from the future of its text."""
    body = await node.get(BTC, known_by="2026-11-22T23:46:00Z")
    assert (body["end"], body["texts"]) == ("2026-11-22T23:46:00.000Z", 3)
    assert body["breakdown"]["twitter"]["reason"] == "no_texts"  # it was written at 23:55
    news = await sure(node, CRYPTO, "bitcoin")
    a, g1 = weight(36, 0.7, news["Bitcoin rises"]), weight(26, 0.6, news["Bitcoin and the Guardian"])
    assert body["breakdown"]["news"]["score"] == near((0.6 * a - 0.4 * g1) / (a + g1))
    late = article("crypto/decrypt", "late", at(minutes=-45), "Bitcoin is lost")
    await had(node, rss.SOURCE, "articles", [late], at(minutes=7))
    await told(node, at(minutes=8))
    await scored(node, at(minutes=8), SAID | {"late": ("1", "0")})
    node.clock.set(at(minutes=10))
    assert (await node.get(BTC, known_by="2026-11-22T23:46:00Z"))["texts"] == 4
    both = {"known_by": "2026-11-22T23:46:00Z", "as_of": "2026-11-23T00:06:00Z"}
    assert (await node.get(BTC, **both))["texts"] == 3


async def test_the_model_configured_last_is_served(node: Running):
    before = await node.http.get(BTC)
    newer = Scorer("newer-model", "c" * 64)
    await scored(node, at(minutes=7), {"a": ("0.9", "0.05")}, {Article: newer})
    node.clock.set(at(minutes=9))
    part = (await node.get(BTC))["breakdown"]["news"]
    assert part["model"] == {"id": "newer-model", "digest": "c" * 64}
    assert (part["score"], part["count"], part["unscored"]) == (near(-0.85), 1, 1)
    row = (await node.get(CRYPTO))["data"][2]
    assert row["sentiment"]["model"] == {"id": "newer-model", "digest": "c" * 64}
    again = await node.http.get(BTC, params={"as_of": "2026-11-23T00:06:00Z"})
    assert stable(again) == stable(before)


async def test_each_text_has_its_sentiment_or_the_reason_for_none(node: Running):
    rows = {row["title"]: row for row in (await node.get(CRYPTO))["data"]}
    first = rows["Bitcoin rises"]
    model = {"id": "news-model", "digest": "a" * 64}
    assert first["sentiment"] == {"score": 0.6, "label": "bullish", "confidence": 0.7, "model": model}
    assert first["sentiment_reason"] is None
    post = next(row for row in (await node.get(SOCIAL))["data"] if row["title"] == "Post t3_a")
    assert (post["sentiment"]["score"], post["sentiment"]["model"]["id"]) == (0.85, "posts-model")
    changed = FIRST.model_copy(update={"title": "12345", "summary": None, "updated": at(minutes=7)})
    await had(node, rss.SOURCE, "articles", [changed], at(minutes=7))
    node.clock.set(at(minutes=8))
    row = (await node.get(CRYPTO))["data"][2]
    assert (row["title"], row["sentiment"], row["sentiment_reason"]) == ("12345", None, "not_scored")
    [text] = await node.store.scores.unscored(Article, STREAMS[Article], NEWS.digest, 10)
    reason = Verdict(None, None, None, None, None, None, "no_words")
    await node.store.scores.write(Article, [(text, reason)], NEWS, lambda: at(minutes=8), node.fill.lease)
    node.clock.set(at(minutes=9))
    row = (await node.get(CRYPTO))["data"][2]
    assert (row["sentiment"], row["sentiment_reason"]) == (None, "no_words")
    body = await node.get(BTC, sources="news")
    assert (body["texts"], body["unscored"]) == (1, 1)
    await told(node, at(minutes=9))
    node.clock.set(at(minutes=11))
    body = await node.get(BTC, sources="news")
    assert (body["texts"], body["unscored"]) == (1, 0)  # the new title speaks of no coin


async def test_sums_are_for_every_key_and_single_texts_for_internal_ones(node: Running):
    key = await node.new_key("read:sentiment", "read:news")
    headers = {"Authorization": f"Bearer {key}"}
    whole = await node.get(BTC)
    body = (await node.http.get(BTC, headers=headers)).json()
    assert body["overall_sentiment"] == whole["overall_sentiment"]  # of four texts
    for name, count in (("news", 2), ("reddit", 1), ("twitter", 1)):
        part = body["breakdown"][name]
        assert (part["score"], part["label"], part["confidence"]) == (None, None, None), name
        assert (part["reason"], part["count"]) == ("few_texts", count)
    assert body["history"][-1]["score"] == whole["history"][-1]["score"]
    few = (await node.http.get("/api/v1/sentiment/crypto/SOL", headers=headers)).json()
    assert (few["texts"], few["overall_sentiment"]["reason"]) == (1, "few_texts")
    assert {point["score"] for point in few["history"]} == {None}
    assert (await node.http.get(CRYPTO, headers=headers)).status_code == 403
    other = await node.new_key("read:news")
    answer = await node.http.get(BTC, headers={"Authorization": f"Bearer {other}"})
    assert answer.json()["error"]["code"] == "INSUFFICIENT_SCOPE"


async def test_the_market(node: Running):
    """Crypto: all texts about coins; stocks: none but a filing, so the appetite for risk is unknown."""
    await declared(node, alternative.SOURCE)
    mood = MoodIndex(index="fear_greed", day=START, value=Decimal(20), label="Extreme Fear")
    await had(node, alternative.SOURCE, "fear_greed", [mood], at(minutes=1))
    body = await node.get(MARKET)
    coins = body["crypto"]
    assert (coins["texts"], coins["sample_size"]) == (6, 5)
    assert (body["stock"]["overall_sentiment"]["reason"], body["crypto_minus_stock"]) == ("no_texts", None)
    index = body["fear_and_greed"]
    assert (index["value"], index["label"], index["day"]) == (20, "Extreme Fear", "2026-11-23T00:00:00.000Z")
    assert index["record_id"] == "alternative.fear_greed:fear_greed:2026-11-23T00:00:00+00:00:0"
    risk = body["risk_appetite"]
    assert (risk["score"], risk["label"], risk["reason"]) == (None, None, "missing: stock")
    shares = article("stock/cnbc-top", "n", at(minutes=-9), "Nvidia and Tesla shares fall")
    await had(node, rss.SOURCE, "articles", [shares], at(minutes=7))
    await told(node, at(minutes=7))
    await scored(node, at(minutes=7), SAID | {"n": ("0.8", "0.1")})
    node.clock.set(at(minutes=9))
    body = await node.get(MARKET)
    crypto, stock = (body[side]["overall_sentiment"]["score"] for side in ("crypto", "stock"))
    assert stock == near(-0.7)
    assert body["crypto_minus_stock"] == near(crypto + 0.7)
    score = (crypto - 0.7 + (20 - 50) / 50) / 3
    assert (body["risk_appetite"]["score"], body["risk_appetite"]["label"]) == (near(score), "risk_off")
    node.clock.set(at(hours=48))
    later = await node.get(MARKET, timeframe="7d")
    assert (later["fear_and_greed"]["value"], later["fear_and_greed"]["reason"]) == (20, None)
    node.clock.set(at(hours=48, minutes=2))
    later = await node.get(MARKET, timeframe="7d")
    assert (later["fear_and_greed"]["value"], later["fear_and_greed"]["reason"]) == (None, "outdated")
    assert later["risk_appetite"]["reason"] == "missing: fear_and_greed"


async def test_both_databases_answer_alike(start: Start, fresh_mariadb_database: str, tmp_path: Path):
    maria = Store(fresh_mariadb_database, str(tmp_path / "raw-of-maria"))
    await maria.database.prepare(simulated=True)
    try:
        answers = []
        for running in (await start(), await start(over=maria)):
            await ready(running)
            paths = (BTC, f"{BTC}?known_by=2026-11-22T23:46:00Z", MARKET, CRYPTO, SOCIAL)
            answers.append([await running.http.get(path) for path in paths])
        for left, right in zip(*answers, strict=True):
            assert (left.status_code, stable(left)) == (200, stable(right))
    finally:
        await maria.close()
