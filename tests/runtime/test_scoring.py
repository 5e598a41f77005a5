"""Texts committed through the store are scored by a shard's loop; plain asyncio, SQLite, no Ray, no network."""

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, cast

import pytest

from ray_app.configured import load_of, models
from ray_app.model.clock import SystemClock
from ray_app.model.collected import Lease
from ray_app.model.errors import Fenced
from ray_app.model.texts import Article, Post
from ray_app.process.sentiment import embedded, transformer
from ray_app.process.sentiment.errors import NoModel
from ray_app.process.sentiment.model import SentimentModel
from ray_app.process.sentiment.scores import Identity, Probabilities, Reason
from ray_app.process.sentiment.weights import CRYPTOBERT
from ray_app.runtime import scoring as module
from ray_app.runtime.scoring import ScoredTexts, Scoring
from ray_app.settings import Settings
from ray_app.store.linked import Kind, TextId
from ray_app.store.reading import NOW, Point
from ray_app.store.scored import Scored, content_of, exact
from tests.process.sentiment import tiny
from tests.runtime.test_linking import (
    DESK,
    HALT,
    HOUR,
    MINUTE,
    REDDIT,
    RSS,
    SUB,
    T0,
    TELEGRAPH,
    Desk,
    article,
    at_desk,
    desk,
    post,
    until,
)  # fmt: skip

__all__ = ["desk"]


class Counting:
    """A classifier: bullish as far as a text says "up", and a list of what it was asked, and where."""

    def __init__(self, name: str = "counting") -> None:
        self.identity = Identity(name, "w", "t", "l", "float32", "all of it")
        self.asked: list[list[str]] = []
        self.threads: set[int] = set()

    at_once = 2_048

    def tokens(self, texts: Sequence[str]) -> Sequence[int]:
        return [len(text.split()) for text in texts]

    def probabilities(self, texts: Sequence[str]) -> Sequence[Probabilities | Reason]:
        self.asked.append(list(texts))
        self.threads.add(threading.get_ident())
        return [(0.125, 0.25, 0.625) if "up" in text else (0.5, 0.25, 0.25) for text in texts]


def scoring(desk: Desk, *classifiers: Counting, lease: Lease | None = None) -> Scoring:
    """By one classifier, or by one for articles and one for posts."""
    loads = [partial(SentimentModel, one) for one in classifiers]
    desk.node.models = {Article: loads[0], Post: loads[-1]}
    return Scoring(desk.node, lease or desk.lease, (RSS, REDDIT), SystemClock())


async def shown(desk: Desk, place: TextId, kind: Kind = Article, at: Point = NOW) -> Scored | None:
    """What is said of the text in the newest words that this model knows."""
    found = await desk.node.store.scores.scores_of([place], kind, at)
    return found[place][0] if place in found else None


async def test_new_texts_get_the_score_of_the_embedded_model(desk: Desk):
    desk.node.models = models(Settings(_env_file=None))
    await desk.commit(RSS, article("1", HALT, summary="All funds are gone."), article("2", "12345"))
    await desk.commit(REDDIT, post("p", None, body="I am very bullish on bitcoin, it will moon"))
    loop = Scoring(desk.node, desk.lease, (RSS, REDDIT), SystemClock())
    assert await loop.round() == ScoredTexts(texts=3, asked=3, without=1)
    model = embedded.load()
    said = [f"{HALT}\nAll funds are gone.", "I am very bullish on bitcoin, it will moon"]
    expected = model.score(said)
    assert [one.label for one in expected] == ["bearish", "bullish"]
    found = [await shown(desk, at_desk("1")), await shown(desk, TextId(REDDIT, SUB, "p"), Post)]
    for score, stored, text in zip(expected, found, said, strict=True):
        assert stored is not None
        assert score.score is not None
        assert score.confidence is not None
        assert score.probabilities is not None
        verdict = stored.verdict
        assert (verdict.score, verdict.label) == (exact(score.score), score.label)
        assert verdict.confidence == exact(score.confidence)
        numbers = (verdict.bearish, verdict.neutral, verdict.bullish)
        assert numbers == tuple(map(exact, score.probabilities.values()))
        assert (stored.scorer.model, stored.scorer.digest) == (model.id, model.digest)
        assert (stored.content, stored.made_at, verdict.reason) == (content_of(text), T0 + MINUTE, None)
        assert model.identity.weights in stored.scorer.identity
    wordless = await shown(desk, at_desk("2"))
    assert wordless is not None
    assert (wordless.verdict.score, wordless.verdict.label, wordless.verdict.reason) == (
        None,
        None,
        "no_words",
    )


async def test_equal_words_are_asked_about_once_off_the_event_loop(desk: Desk):
    model = Counting()
    await desk.commit(RSS, article("1", "up"), article("2", "up", TELEGRAPH), article("3", "down"))
    assert await scoring(desk, model).round() == ScoredTexts(texts=3, asked=2)
    await desk.commit(RSS, article("4", "down", at=T0 + MINUTE), at=T0 + MINUTE)
    assert await scoring(desk, model).round() == ScoredTexts(texts=1, asked=0)
    assert [sorted(texts) for texts in model.asked] == [["down", "up"]]
    assert threading.get_ident() not in model.threads
    for item, feed, score in (("1", DESK, "0.5"), ("2", TELEGRAPH, "0.5"), ("4", DESK, "-0.25")):
        found = await shown(desk, at_desk(item, feed))
        assert found is not None
        assert str(found.verdict.score) == score


async def test_newest_first_in_batches(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MOST", 4)
    monkeypatch.setattr(module, "BATCH", 2)
    await desk.commit(RSS, *(article(str(n), f"up {n}", at=T0 - n * HOUR) for n in range(7)))
    model = Counting()
    assert (await scoring(desk, model).round()).texts == 7
    assert model.asked == [["up 0", "up 1"], ["up 2", "up 3"], ["up 4", "up 5"], ["up 6"]]


async def test_a_backlog_of_posts_keeps_no_article_waiting(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MOST", 2)
    await desk.commit(RSS, *(article(str(n), f"news {n}", at=T0 - n * HOUR) for n in range(4)))
    await desk.commit(REDDIT, *(post(str(n), f"post {n}", T0 - n * HOUR) for n in range(4)))
    model = Counting()
    await scoring(desk, model).round()
    assert model.asked == [
        ["news 0", "news 1"],
        ["post 0", "post 1"],
        ["news 2", "news 3"],
        ["post 2", "post 3"],
    ]


async def test_a_changed_text_is_scored_again_and_a_restart_does_nothing_twice(desk: Desk):
    model = Counting()
    await desk.commit(RSS, article("1", "up"))
    await scoring(desk, model).round()
    assert await scoring(desk, model).round() == ScoredTexts()
    desk.clock.set(T0 + 2 * HOUR)
    await desk.commit(RSS, article("1", "down"), at=T0 + HOUR)
    assert await scoring(desk, model).round() == ScoredTexts(texts=1, asked=1)
    now, then = await shown(desk, at_desk("1")), await shown(desk, at_desk("1"), at=Point(as_of=T0 + HOUR))
    assert now is not None
    assert then is not None
    assert (now.revision, now.verdict.label, now.made_at) == (1, "bearish", T0 + 2 * HOUR)
    assert (then.revision, then.verdict.label, then.made_at) == (0, "bullish", T0 + MINUTE)


async def test_each_kind_has_its_model_and_another_model_scores_anew(desk: Desk):
    news, posts, other = Counting("news"), Counting("posts"), Counting("other")
    await desk.commit(RSS, article("1", "up"))
    await desk.commit(REDDIT, post("p", "down"), post("gone", None, deleted=True))
    assert (await scoring(desk, news, posts).round()).texts == 2
    assert (news.asked, posts.asked) == ([["up"]], [["down"]])
    assert (await scoring(desk, other, posts).round()).texts == 1
    found = await shown(desk, at_desk("1"))
    assert found is not None
    assert found.scorer.model == "other"


async def test_the_loop_scores_when_woken_and_waits_for_a_store_that_is_away(
    desk: Desk, caplog: pytest.LogCaptureFixture
):
    loop = scoring(desk, Counting())
    database = desk.node.store.database
    file = Path(str(database.url.database))
    await database.close()
    _put_away(file)
    caplog.set_level(logging.INFO)
    task = asyncio.create_task(loop.run())
    try:
        await until(_waits(caplog))
        await database.close()
        _put_back(file)
        await desk.commit(RSS, article("1", "up"))
        loop.wake()
        await until(lambda: shown(desk, at_desk("1")))
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _put_away(file: Path) -> None:
    file.rename(file.with_suffix(".away"))
    file.mkdir()  # SQLite cannot open a folder


def _put_back(file: Path) -> None:
    file.rmdir()
    file.with_suffix(".away").rename(file)


def _waits(caplog: pytest.LogCaptureFixture) -> Callable[[], Awaitable[bool]]:
    async def waits() -> bool:
        return any(record.message == "scoring waits" for record in caplog.records)

    return waits


async def test_a_loop_without_work_ends_and_one_that_lost_its_lease_says_so(desk: Desk):
    await desk.commit(RSS, article("1", "up"))
    desk.node.models = {}
    await Scoring(desk.node, desk.lease, (RSS,), SystemClock()).run()
    desk.node.models = {Article: partial(SentimentModel, Counting())}
    await Scoring(desk.node, desk.lease, ("coingecko.prices",), SystemClock()).run()
    stale = Lease(desk.lease.shard, desk.lease.owner, desk.lease.fence - 1)
    with pytest.raises(Fenced):
        await scoring(desk, Counting(), lease=stale).run()
    assert await shown(desk, at_desk("1")) is None


async def test_a_model_that_cannot_be_loaded_stops_its_own_texts_and_stands_in_the_store(
    desk: Desk, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    tries: list[str] = []
    mended = False

    def lost() -> SentimentModel:
        tries.append("tried")
        if not mended:
            raise NoModel("finbert", "the folder is gone")
        return SentimentModel(Counting())

    async def said() -> dict[str, dict[str, str]]:
        node = desk.node.store
        return await node.catalog.scoring(await node.leases.held())

    await desk.commit(RSS, article("1", "up"))
    await desk.commit(REDDIT, post("p", "up, too"))
    desk.node.models = {Article: lost, Post: partial(SentimentModel, Counting())}
    loop = Scoring(desk.node, desk.lease, (RSS, REDDIT), SystemClock())
    assert [await loop.round() for _ in range(2)] == [ScoredTexts(texts=1, asked=1), ScoredTexts()]
    assert await shown(desk, at_desk("1")) is None
    assert await said() == {
        "articles": {"texts": "finbert: the folder is gone"},
        "posts": {"texts": ""},
    }
    assert tries == ["tried"], "it is left alone for a while"
    assert [(r.message, r.__dict__["error"]) for r in caplog.records] == [
        ("texts are not scored", "finbert: the folder is gone")
    ]
    mended = True
    later = asyncio.get_running_loop().time() + module.AGAIN
    with monkeypatch.context() as patched:
        patched.setattr(asyncio.get_running_loop(), "time", lambda: later)
        assert await loop.round() == ScoredTexts(texts=1, asked=1)
    assert await said() == {"articles": {"texts": ""}, "posts": {"texts": ""}}
    await desk.node.store.leases.release(desk.lease)
    assert await said() == {}, "nobody runs there now"
    stale = Lease(desk.lease.shard, "another", desk.lease.fence)
    with pytest.raises(Fenced):
        await desk.node.store.catalog.report_scoring("articles", stale, T0, "late word of a former owner")


async def test_the_event_loop_is_free_while_the_model_works(desk: Desk):
    """64 real texts take the embedded model a second; a heartbeat of 10 ms goes on."""
    texts = [f"{HALT}, says witness {n}, and nobody knows when it ends" for n in range(64)]
    await desk.commit(RSS, *(article(str(n), text) for n, text in enumerate(texts)))
    desk.node.models = models(Settings(_env_file=None))
    longest = 0.0

    async def beat() -> None:
        nonlocal longest
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - began)

    beating = asyncio.create_task(beat())
    began = time.monotonic()
    done = await Scoring(desk.node, desk.lease, (RSS,), SystemClock()).round()
    took = time.monotonic() - began
    beating.cancel()
    assert done.texts == 64
    assert longest < took / 2, (longest, took)


def test_the_setting_chooses_the_models(tmp_path: Path):
    def chosen(value: str) -> dict[Kind, object]:
        return dict(models(Settings(_env_file=None, sentiment=value)))

    assert chosen("off") == {}
    assert chosen("embedded") == {Article: embedded.load, Post: embedded.load}
    (tmp_path / "cryptobert").mkdir()
    with pytest.raises(ValueError, match=r"CRYPTO_DATA_SENTIMENT: there is no folder .*finbert"):
        chosen(str(tmp_path))
    (tmp_path / "finbert").mkdir()
    assert set(chosen(str(tmp_path))) == {Article, Post}


def test_the_setting_chooses_the_type_of_number(tmp_path: Path):
    pytest.importorskip("torch", reason="needs the extra `models`")
    tiny.roberta(tmp_path / "cryptobert")
    digests = set()
    choices: tuple[Literal["auto", "int8"], ...] = ("auto", "int8")
    for numbers in choices:
        settings = Settings(_env_file=None, sentiment=str(tmp_path), sentiment_numbers=numbers)
        asked = cast(partial[SentimentModel], load_of(settings, CRYPTOBERT, "cpu"))
        assert asked.keywords == {"device": "cpu", "numbers": None if numbers == "auto" else numbers}
        digests.add(asked().digest)
    # Of this model int8 changes labels, so both are the same.
    assert digests == {transformer.load(CRYPTOBERT, tmp_path / "cryptobert", device="cpu").digest}
    with pytest.raises(ValueError, match="'auto' or 'int8'"):
        Settings.model_validate({"sentiment_numbers": "int4"})
