"""Score old texts as work of its own: what the configured model has not read of a range, under a lease, with a receipt.

Its progress is the scores themselves: started again it finds what still lacks one. The collectors may work on the
same texts meanwhile; a text gets one score whoever comes first. Where the model runs is the caller's: a pool.
"""

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Protocol

from ray_app.model.collected import Lease
from ray_app.observe.log import logger
from ray_app.runtime.jobs import Holding
from ray_app.runtime.opening import Load, Node
from ray_app.store.linked import Kind
from ray_app.store.scored import Scorer, Tally, Unscored, Verdict

log = logger("scoring")
SHARD = "score-texts"  # the lease: one such job at a time
PORTION = 10_000  # texts that are read from the store and handed to the pool together
WRITTEN = 256  # of them, committed together


class Pool(Protocol):
    """Where one model runs, several times if there is room."""

    async def scorer(self) -> Scorer:
        """Which model it is. Raises ModelError where it cannot be loaded."""
        ...

    def verdicts(self, said: Mapping[str, str]) -> AsyncGenerator[Mapping[str, Verdict]]:
        """What the model says of each of these texts, by their names, some at a time and in any order."""
        ...


@dataclass(slots=True)
class Receipt:
    """What became of one kind of texts in the range. `verified` is read from the store at the end."""

    model: dict[str, str]
    served: bool  # whether the API shows scores of this model now
    streams: Sequence[str]
    start: datetime | None
    end: datetime | None
    read: int = 0  # texts that had no score of this model
    asked: int = 0  # different wordings of them that the model was asked about
    written: int = 0  # texts with their scores or reasons, handed to the store
    without: Counter[str] = field(default_factory=Counter)  # of them, those with a reason instead of a score
    verified: dict[str, Any] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Every text that was read was written, and none of the range is left."""
        return self.read == self.written and self.verified.get("left") == 0

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"without": dict(self.without), "whole": self.whole}


@dataclass(frozen=True, slots=True)
class Range:
    """Texts of these streams (source.stream; empty: of all) with a time from `start` to before `end`."""

    streams: tuple[str, ...] = ()
    start: datetime | None = None
    end: datetime | None = None


async def score_texts(
    node: Node, over: Range, pool_of: Callable[[Load], Pool], owner: str
) -> dict[str, Receipt]:
    """Receipts by kind of texts. Raises ValueError for a wrong range, ModelError, Fenced and StoreUnavailable."""
    wanted = streams_of(node, over.streams)
    if not node.models:
        raise ValueError("CRYPTO_DATA_SENTIMENT is off: say `embedded`, or name a folder with models")
    if over.start is not None and over.end is not None and over.start >= over.end:
        raise ValueError(f"the range is empty: {over.start.isoformat()} .. {over.end.isoformat()}")
    receipts: dict[str, Receipt] = {}
    async with Holding(node.store, SHARD, owner) as lease:
        for kind, names in wanted.items():
            pool = pool_of(node.models[kind])
            receipts[f"{kind.__name__.lower()}s"] = await _Work(node, lease, kind, names, over, pool).run()
    return receipts


def streams_of(node: Node, asked: Sequence[str]) -> dict[Kind, list[str]]:
    """The streams of texts by their kind. Raises ValueError for one that has no texts."""
    every: dict[Kind, list[str]] = {}
    for assigned, stream in node.streams():
        for kind in node.models:
            if stream.record is kind:
                every.setdefault(kind, []).append(f"{assigned.source.name}.{stream.name}")
    known = [name for names in every.values() for name in names]
    if node.models and (unknown := [name for name in asked if name not in known]):
        raise ValueError(f"no stream of texts {unknown[0]!r}; there are {', '.join(known)}")
    chosen = {kind: [name for name in names if name in asked or not asked] for kind, names in every.items()}
    return {kind: names for kind, names in chosen.items() if names}


class _Work:
    def __init__(
        self, node: Node, lease: Lease, kind: Kind, names: Sequence[str], over: Range, pool: Pool
    ) -> None:
        self._node, self._lease, self._kind, self._names = node, lease, kind, names
        self._over, self._pool = over, pool
        self._scores = node.store.scores

    async def run(self) -> Receipt:
        scorer = await self._pool.scorer()
        served = await self._scores.served(self._kind)
        receipt = Receipt(
            model={"id": scorer.model, "digest": scorer.digest},
            served=served is not None and served.digest == scorer.digest,
            streams=self._names,
            start=self._over.start,
            end=self._over.end,
        )
        span = (self._over.start, self._over.end)
        while found := await self._scores.unscored(self._kind, self._names, scorer.digest, PORTION, *span):
            before = receipt.written
            await self._portion(found, scorer, receipt)
            log.info("texts scored", extra={"texts": receipt.written - before, "model": scorer.model})
        tally = await self._scores.tally(self._kind, self._names, scorer.digest, *span)
        receipt.verified = told(tally)
        return receipt

    async def _portion(self, texts: Sequence[Unscored], scorer: Scorer, receipt: Receipt) -> None:
        by_words: dict[str, list[Unscored]] = {}
        for text in texts:
            by_words.setdefault(text.content, []).append(text)
        known = await self._scores.known(by_words, scorer.digest)
        said = {words: same[0].said for words, same in by_words.items() if words not in known}
        receipt.read += len(texts)
        receipt.asked += len(said)
        await self._write(by_words, known, scorer, receipt)
        async with aclosing(self._pool.verdicts(said)) as answers:
            async for some in answers:
                await self._write(by_words, some, scorer, receipt)
        if by_words:
            raise RuntimeError(f"the pool said nothing of {len(by_words)} texts that it was given")

    async def _write(
        self,
        waiting: dict[str, list[Unscored]],
        verdicts: Mapping[str, Verdict],
        scorer: Scorer,
        receipt: Receipt,
    ) -> None:
        """Commit these, and take them from those that wait."""
        made = [(text, verdict) for words, verdict in verdicts.items() for text in waiting.pop(words)]
        for first in range(0, len(made), WRITTEN):
            some = made[first : first + WRITTEN]
            await self._scores.write(self._kind, some, scorer, self._node.clock.now, self._lease)
            receipt.written += len(some)
        receipt.without.update(verdict.reason for _, verdict in made if verdict.reason is not None)


def told(tally: Tally) -> dict[str, Any]:
    return {
        "texts": tally.texts,
        "scored": tally.scored,
        "without": dict(tally.without),
        "left": tally.left,
    }
