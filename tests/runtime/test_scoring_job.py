"""Old texts scored as a job: which, once, all of them, again where it stopped; and the same model on Ray Data."""

from collections.abc import AsyncGenerator, Mapping
from functools import partial
from typing import Any

import pytest

from ray_app.model.errors import Fenced
from ray_app.model.texts import Article, Post
from ray_app.process.sentiment import embedded
from ray_app.process.sentiment.errors import BadModel, NoModel
from ray_app.process.sentiment.model import SentimentModel
from ray_app.runtime import scoring_job as module
from ray_app.runtime.opening import Load
from ray_app.runtime.scoring import Scoring, scorer_of, verdict_of
from ray_app.runtime.scoring_job import SHARD, Range, Receipt, score_texts, streams_of
from ray_app.runtime.scoring_pool import RayPool
from ray_app.store.linked import Kind
from ray_app.store.scored import Scorer, Verdict, content_of
from tests.runtime.test_linking import HOUR, REDDIT, RSS, T0, TELEGRAPH, Desk, article, at_desk, desk, post
from tests.runtime.test_scoring import Counting, scoring, shown

__all__ = ["desk"]


class Near:
    """A pool in this process: the model's answers in pieces, last first, until it breaks off."""

    def __init__(self, load: Load, pieces: int = 2, breaks_after: int | None = None) -> None:
        self._model, self._pieces, self._breaks_after = load(), pieces, breaks_after

    async def scorer(self) -> Scorer:
        return scorer_of(self._model)

    async def verdicts(self, said: Mapping[str, str]) -> AsyncGenerator[Mapping[str, Verdict]]:
        names = list(said)[::-1]
        for number, at in enumerate(range(0, len(names), self._pieces)):
            if number == self._breaks_after:
                raise RuntimeError("killed")
            some = names[at : at + self._pieces]
            yield {
                n: verdict_of(s)
                for n, s in zip(some, self._model.score([said[n] for n in some]), strict=True)
            }


class Works:
    """The job on a desk, with a counting classifier for both kinds of texts."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.model = desk, Counting()
        desk.node.models = dict.fromkeys((Article, Post), partial(SentimentModel, self.model))

    async def __call__(self, over: Range = Range(), **pool: Any) -> dict[str, Receipt]:  # noqa: B008  # frozen
        return await score_texts(self.desk.node, over, partial(Near, **pool), "job-1")

    @property
    def asked(self) -> list[str]:
        return sorted(text for texts in self.model.asked for text in texts)


@pytest.fixture
async def job(desk: Desk) -> Works:
    return Works(desk)


def numbers(one: Receipt) -> tuple[int, int, int, dict[str, int]]:
    return one.read, one.asked, one.written, dict(one.without)


async def test_every_text_without_a_score_gets_one_and_none_is_lost(
    job: Works, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "PORTION", 3)
    monkeypatch.setattr(module, "WRITTEN", 1)
    desk = job.desk
    await desk.commit(RSS, *(article(str(n), f"up {n}", at=T0 - n * HOUR) for n in range(5)))
    await desk.commit(RSS, article("same", "up 0", TELEGRAPH), article("no", "12345"))
    await desk.commit(REDDIT, post("p", "down"), post("gone", None, deleted=True))
    receipts = await job()
    articles, posts = receipts["articles"], receipts["posts"]
    assert (numbers(articles), numbers(posts)) == ((7, 6, 7, {"no_words": 1}), (1, 1, 1, {}))
    assert articles.verified == {"texts": 7, "scored": 6, "without": {"no_words": 1}, "left": 0}
    assert posts.verified == {"texts": 1, "scored": 1, "without": {}, "left": 0}
    assert (articles.whole, posts.whole, articles.served) == (True, True, False)
    assert job.asked == ["down", *(f"up {n}" for n in range(5))], "the embedded words reach the model once"
    assert articles.as_json()["without"] == {"no_words": 1}
    again = await job()
    assert numbers(again["articles"]) == (0, 0, 0, {})
    assert again["articles"].verified == articles.verified
    assert len(job.asked) == 6


async def test_what_was_killed_goes_on_with_what_is_missing(job: Works):
    await job.desk.commit(RSS, *(article(str(n), f"up {n}", at=T0 - n * HOUR) for n in range(9)))
    with pytest.raises(RuntimeError, match="killed"):
        await job(breaks_after=2)
    assert len(job.asked) == 4
    done = (await job())["articles"]
    assert numbers(done) == (5, 5, 5, {})
    assert done.verified == {"texts": 9, "scored": 9, "without": {}, "left": 0}
    assert job.asked == sorted(f"up {n}" for n in range(9)), "nothing is asked about twice"


async def test_a_pool_that_loses_a_text_is_found_out(job: Works, monkeypatch: pytest.MonkeyPatch):
    whole = Near.verdicts

    async def lossy(self: Near, said: Mapping[str, str]) -> AsyncGenerator[Mapping[str, Verdict]]:
        async for some in whole(self, dict(list(said.items())[1:])):
            yield some

    monkeypatch.setattr(Near, "verdicts", lossy)
    await job.desk.commit(RSS, article("1", "up 1"), article("2", "up 2"))
    with pytest.raises(RuntimeError, match="said nothing of 1 texts"):
        await job()


async def test_only_of_the_range_and_the_streams_that_are_asked_for(job: Works):
    await job.desk.commit(RSS, *(article(str(n), f"up {n}", at=T0 - n * HOUR) for n in range(5)))
    await job.desk.commit(REDDIT, post("p", "down"))
    receipts = await job(Range((RSS,), T0 - 3 * HOUR, T0 - HOUR))
    assert list(receipts) == ["articles"]
    assert numbers(receipts["articles"]) == (2, 2, 2, {})
    assert receipts["articles"].verified == {"texts": 2, "scored": 2, "without": {}, "left": 0}
    assert job.asked == ["up 2", "up 3"]
    with pytest.raises(ValueError, match=r"no stream of texts 'coingecko.prices'; there are rss.articles"):
        await job(Range(("coingecko.prices",)))
    with pytest.raises(ValueError, match="the range is empty"):
        await job(Range((), T0, T0))
    job.desk.node.models = {}
    with pytest.raises(ValueError, match="CRYPTO_DATA_SENTIMENT is off"):
        await job()


async def test_beside_a_collector_each_text_is_scored_once(job: Works):
    """The collector scored the newest before; its model is the one that is served."""
    desk = job.desk
    await desk.commit(RSS, article("1", "up"))
    await scoring(desk, job.model).round()
    await desk.commit(RSS, article("2", "up", TELEGRAPH), article("3", "down"))
    done = (await job())["articles"]
    assert (done.served, numbers(done)) == (True, (2, 1, 2, {}))
    assert job.model.asked == [["up"], ["down"]], "the words of the first are known"
    found = await shown(desk, at_desk("2", TELEGRAPH))
    assert found is not None
    assert str(found.verdict.score) == "0.5"
    assert (await Scoring.round(scoring(desk, job.model))).texts == 0


async def test_one_job_at_a_time_and_none_without_its_lease(job: Works):
    desk = job.desk
    await desk.commit(RSS, article("1", "up"))
    held = await desk.node.store.leases.acquire(SHARD, "another")
    assert held is not None
    with pytest.raises(Fenced, match="score-texts is running elsewhere"):
        await job()
    await desk.node.store.leases.release(held)

    class Slow(Near):
        async def verdicts(self, said: Mapping[str, str]) -> AsyncGenerator[Mapping[str, Verdict]]:
            await self.taken()
            async for some in super().verdicts(said):
                yield some

        async def taken(self) -> None:
            leases = desk.node.store.leases
            await leases.acquire(SHARD, "job-1")  # as if it had been started once more

    with pytest.raises(Fenced):
        await score_texts(desk.node, Range(), Slow, "job-1")
    assert await shown(desk, at_desk("1")) is None


def test_streams_by_kind(job: Works):
    every: dict[Kind, list[str]] = streams_of(job.desk.node, ())
    assert every == {Article: [RSS, "guardian.articles"], Post: [REDDIT]}


async def test_ray_data_says_what_the_model_says_and_ends_where_it_cannot_be_loaded(
    ray_session: Any, desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    texts = [f"{word} number {n}" for n in range(40) for word in ("A record gain", "A heavy loss", "🚀")]
    said = {content_of(text): text for text in texts}
    pool = RayPool(embedded.load, cpus=0.5)
    monkeypatch.setattr("ray_app.runtime.scoring_pool.BLOCK", 50)
    model = embedded.load()
    assert await pool.scorer() == scorer_of(model)
    found: dict[str, Verdict] = {}
    pieces = 0
    async for some in pool.verdicts(said):
        assert not found.keys() & some.keys()
        found |= some
        pieces += 1
    assert pieces > 1
    expected = dict(zip(said, map(verdict_of, model.score(list(said.values()))), strict=True))
    assert found == expected
    assert [some async for some in pool.verdicts({})] == []

    def lost() -> SentimentModel:
        raise NoModel("finbert", "the folder is gone")

    await desk.commit(RSS, article("1", "up"))
    desk.node.models = {Article: lost}
    with pytest.raises(NoModel) as refused:
        await score_texts(desk.node, Range(), RayPool, "job-1")
    assert str(refused.value) == "finbert: the folder is gone"
    other = RayPool(embedded.load, cpus=0.5)
    other._scorer = Scorer("cryptobert", "a" * 64)
    with pytest.raises(BadModel, match="an actor of the pool has another model"):
        [some async for some in other.verdicts(dict(list(said.items())[:1]))]
