"""Score the stored texts of a shard: what the configured models say of each.

Like linking, it finds its work by what is in the store: a backfill in another process, a restart, another model
all leave texts without a score. The newest go first. A model is loaded by the first round and runs in a thread;
between batches the loop rests for as long as the model worked, so that a large backfill leaves half a core free.

A model that cannot be loaded stops the texts of its kind only. It stands in the store, where health reads it, and
is tried again: a folder may be mended while the node runs.
"""

import asyncio
import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from ray_app.model.clock import Clock
from ray_app.model.collected import Lease
from ray_app.model.errors import StoreUnavailable
from ray_app.observe.log import logger
from ray_app.process.sentiment.errors import ModelError
from ray_app.process.sentiment.model import SentimentModel
from ray_app.process.sentiment.scores import Score
from ray_app.runtime.opening import Load, Node
from ray_app.runtime.waking import Waking
from ray_app.store.linked import Kind
from ray_app.store.scored import Scorer, Unscored, Verdict, exact

log = logger("scoring")
IDLE = 15.0  # seconds after which the store is looked at without being woken
PAUSE = 5.0  # between rounds, however often it is woken
WHOLE = 30.0  # seconds between looks through all texts; in between only those of the last days
SHARE = 5  # a look through all of them that took long is not repeated before that many times as long
LATELY = timedelta(days=3)
AGAIN = 300.0  # seconds after which a model that could not be loaded is tried again
MOST = 512  # texts that are read at once
BATCH = 64  # of them, scored and written together: a second of the embedded model


@dataclass(slots=True)
class ScoredTexts:
    """What a round did."""

    texts: int = 0  # that have a score now, or a reason
    asked: int = 0  # of them, those that the model was asked about; the others say what another one says
    without: int = 0  # of them, those with a reason


class Scoring:
    """The texts of the streams `members` (source.stream), by the models of the node."""

    def __init__(self, node: Node, lease: Lease, members: Collection[str], wall: Clock) -> None:
        self._node, self._lease, self._wall = node, lease, wall
        self._mine: dict[Kind, list[str]] = {}
        for assigned, stream in node.streams():
            name = f"{assigned.source.name}.{stream.name}"
            for kind in node.models:
                if stream.record is kind and name in members:
                    self._mine.setdefault(kind, []).append(name)
        self._loaded: dict[Load, SentimentModel] = {}
        self._refused: dict[Load, tuple[float, str]] = {}  # until when it is left alone, and why
        self._told: dict[Kind, str] = {}  # what the store says of a kind's model: why it does not load, or ""
        self._waking = Waking()
        self._whole_from = 0.0

    def wake(self) -> None:
        """Something was committed."""
        self._waking.wake()

    async def run(self) -> None:
        """For ever; returns at once where the shard has no texts. Raises Fenced."""
        if not self._mine:
            return
        while True:
            try:
                done = await self.round()
                if done.texts:
                    log.info("texts scored", extra={"shard": self._lease.shard, **asdict(done)})
            except StoreUnavailable as error:
                log.warning("scoring waits", extra={"shard": self._lease.shard, "error": str(error)})
            await self._wall.sleep(PAUSE)
            await self._waking.wait(IDLE - PAUSE)

    async def round(self) -> ScoredTexts:
        """Score what has no score, once, as far as models can be loaded. Raises Fenced and StoreUnavailable."""
        done = ScoredTexts()
        began = asyncio.get_running_loop().time()
        whole = began >= self._whole_from
        since = None if whole else self._node.clock.now() - LATELY
        waiting = dict(self._mine)
        while waiting:  # the kinds in turn, so that a backlog of posts does not keep an article waiting
            for kind, names in list(waiting.items()):
                by = await self._scorer(kind)
                if by is None or await self._newest(kind, names, *by, since, done) < MOST:
                    del waiting[kind]
        if whole:
            took = asyncio.get_running_loop().time() - began
            self._whole_from = began + max(WHOLE, SHARE * took)
        return done

    async def _newest(
        self,
        kind: Kind,
        names: Sequence[str],
        model: SentimentModel,
        scorer: Scorer,
        since: datetime | None,
        done: ScoredTexts,
    ) -> int:
        """Score the newest texts without a score, up to MOST; how many these were."""
        found = await self._node.store.scores.unscored(kind, names, scorer.digest, MOST, since)
        for first in range(0, len(found), BATCH):
            await self._score(kind, found[first : first + BATCH], model, scorer, done)
        return len(found)

    async def _scorer(self, kind: Kind) -> tuple[SentimentModel, Scorer] | None:
        """The model of a kind, loaded, and written down as the one that is configured; None if it cannot be."""
        load = self._node.models[kind]
        model, refusal = await self._model(load)
        if self._told.get(kind) != refusal:
            texts, now = f"{kind.__name__.lower()}s", self._node.clock.now()
            if model is None:
                told = {"shard": self._lease.shard, "texts": texts, "error": refusal}
                log.error("texts are not scored", extra=told)
            await self._node.store.catalog.report_scoring(texts, self._lease, now, refusal)
            if model is not None:
                await self._node.store.scores.configure(
                    kind, scorer_of(model), self._node.clock.now, self._lease
                )
            self._told[kind] = refusal
        return None if model is None else (model, scorer_of(model))

    async def _model(self, load: Load) -> tuple[SentimentModel | None, str]:
        """What `load` gives, or why it gives nothing."""
        if load in self._loaded:
            return self._loaded[load], ""
        now = asyncio.get_running_loop().time()
        again, refusal = self._refused.get(load, (now, ""))
        if again > now:
            return None, refusal
        try:
            self._loaded[load] = await asyncio.to_thread(load)
        except ModelError as error:
            self._refused[load] = now + AGAIN, str(error)
            return None, str(error)
        return self._loaded[load], ""

    async def _score(
        self,
        kind: Kind,
        texts: Sequence[Unscored],
        model: SentimentModel,
        scorer: Scorer,
        done: ScoredTexts,
    ) -> None:
        scores = self._node.store.scores
        said = {text.content: text.said for text in texts}
        verdicts = await scores.known(said, scorer.digest)
        asked = [content for content in said if content not in verdicts]
        loop = asyncio.get_running_loop()
        began = loop.time()
        if asked:
            answers = await asyncio.to_thread(model.score, [said[content] for content in asked])
            verdicts |= {c: verdict_of(answer) for c, answer in zip(asked, answers, strict=True)}
        took = loop.time() - began
        made = [(text, verdicts[text.content]) for text in texts]
        await scores.write(kind, made, scorer, self._node.clock.now, self._lease)
        done.texts += len(made)
        done.asked += len(asked)
        done.without += sum(verdict.reason is not None for _, verdict in made)
        if asked:
            await self._wall.sleep(took)


def scorer_of(model: SentimentModel) -> Scorer:
    return Scorer(model.id, model.digest, json.dumps(asdict(model.identity), sort_keys=True))


def verdict_of(score: Score) -> Verdict:
    """A score as it is stored."""
    if score.score is None or score.confidence is None or score.probabilities is None:
        return Verdict(None, None, None, None, None, None, score.reason)
    return Verdict(
        score=exact(score.score),
        label=score.label,
        confidence=exact(score.confidence),
        **{label: exact(probability) for label, probability in score.probabilities.items()},
        reason=None,
    )
