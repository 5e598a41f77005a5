"""Ask a language model for a second opinion on the texts of a shard that are worth the money.

Newest first, of the last three days, of sources that allow it, and only texts that speak of a tracked asset; so a text
is linked before it is asked about. Equal words are paid for once. A request holds one text, unless the operator
allows several of one feed; an answer that cannot be used is asked for again by halves, so that one text does not take
the others along, and after few tries a text has null and a reason.

What stops it is written beside the money, where health reads it: no money until the next month, another budget or a
restart; a refused key or model for an hour. A text that the server does not answer stands back for the others.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from ray_app.model.chat import Asks
from ray_app.model.clock import Clock
from ray_app.model.collected import Lease
from ray_app.model.errors import (
    Malformed,
    RateLimited,
    Refused,
    StoreUnavailable,
    Transient,
    Unpaid,
    UpstreamError,
    WrongStore,
)
from ray_app.model.quota import next_month
from ray_app.observe.log import logger
from ray_app.process.linking import LINKER
from ray_app.process.sentiment.advanced import Rating
from ray_app.process.sentiment.opinions import NO_OPINION
from ray_app.process.sentiment.scores import Reason
from ray_app.runtime.advising import Advising, nothing_to_read
from ray_app.runtime.opening import Advanced, Node
from ray_app.store.advanced import LATELY, Worth
from ray_app.store.linked import KINDS
from ray_app.store.scored import Scorer, Unscored, Verdict

log = logger("advanced")
IDLE = 15.0  # seconds between rounds
LONGEST_IDLE = 600.0  # while nothing is answered
AT_ONCE = 50  # texts of a round: then the newest are looked for again
FAILED = (
    3  # times in a row without an answer: the server's doing; of one text while others get theirs: the text's
)
CLOSED = timedelta(hours=1)  # after a refusal
Same = Sequence[Unscored]  # texts with the same words
Place = tuple[int, str, int]


@dataclass(slots=True)
class Advised:
    """What a round did."""

    texts: int = 0  # that have an opinion now, or a reason
    asked: int = 0  # requests that were answered
    without: int = 0  # texts with a reason
    unanswered: int = 0
    stopped: str = ""  # why it ended early
    more: bool = False  # there may be more to ask about


class AdvancedScoring:
    """The texts of the streams `members` (source.stream), by the model behind `chat`."""

    def __init__(
        self, node: Node, advanced: Advanced, chat: Asks, lease: Lease, members: Collection[str], wall: Clock
    ) -> None:
        self._node, self._lease, self._wall = node, lease, wall
        self._advising, self._together = Advising(advanced, chat), advanced.together
        self._scope = advanced.assigned.scope
        self._began = node.clock.now()  # what was closed before is tried once more
        self._worth = tuple(_worth(node, members))
        self._failed: Counter[Place] = Counter()  # by text: times that it got no answer
        self._in_a_row = 0

    async def run(self) -> None:
        """For ever; returns at once where the shard has no such texts. Raises Fenced."""
        pause = IDLE
        while self._worth:
            try:
                done = await self.round()
                pause = min(2 * pause, LONGEST_IDLE) if done.unanswered and not done.asked else IDLE
                if done.texts or done.stopped:
                    log.info("second opinions", extra={"shard": self._lease.shard, **asdict(done)})
                if done.more and done.texts:
                    continue
            except StoreUnavailable as error:
                log.warning("second opinions wait", extra={"shard": self._lease.shard, "error": str(error)})
            except WrongStore as error:
                log.error("no second opinions", extra={"shard": self._lease.shard, "error": str(error)})
                return
            await self._wall.sleep(pause)

    async def round(self) -> Advised:
        """Ask about the newest texts, once. Raises Fenced, StoreUnavailable and WrongStore."""
        done, now, spend = Advised(), self._node.clock.now(), self._node.store.llm_spend
        state = await spend.state(self._scope, now)
        if state.is_closed(now) and state.closed_at is not None and state.closed_at >= self._began:
            return done
        answered = self._advising.answered
        try:
            for worth in self._worth:
                await self._of_kind(worth, now, done)
        except UpstreamError as error:
            done.stopped = str(error)
            await self._stop(error)
        done.asked = self._advising.answered - answered
        if done.asked and not done.stopped and state.closed is not None:
            await spend.open(self._scope)
        return done

    async def _stop(self, error: UpstreamError) -> None:
        """A pause is the keeper's; what needs a human, or time, is written down."""
        now, close = self._node.clock.now(), self._node.store.llm_spend.close
        if isinstance(error, Unpaid):
            await close(self._scope, error.detail, next_month(now), now)
        elif isinstance(error, Refused | Malformed):
            await close(self._scope, error.detail, now + CLOSED, now)

    async def _of_kind(self, worth: Worth, now: datetime, done: Advised) -> None:
        store, answered = self._node.store.advanced, self._advising.answered
        by = await store.family(self._advising.family)
        found = await store.wanted(worth, [one.digest for one in by], now - LATELY, AT_ONCE)
        done.more |= len(found) == AT_ONCE
        known = await store.known((one.content for one in found), by)
        for one in found:
            if one.content in known:
                scorer, verdict = known[one.content]
                await self._write(worth, [(one, verdict)], scorer, done)
        for some in self._batches([one for one in found if one.content not in known]):
            await self._ask(worth, some, done)
        if self._advising.answered > answered:  # others get answers: it is the text
            lost = [(one, _none("model_failed")) for one in found if self._failed[_place(one)] >= FAILED]
            await self._write(worth, lost, self._advising.last, done)

    def _batches(self, texts: Sequence[Unscored]) -> Iterator[list[Same]]:
        """Those with the same words together; several words in a request only if they are of one feed.

        What got no answer before comes last.
        """
        same: dict[str, list[Unscored]] = {}
        for one in texts:
            same.setdefault(one.content, []).append(one)
        batches: dict[tuple[str, str], list[Same]] = {}
        for group in sorted(same.values(), key=lambda group: self._failed[_place(group[0])]):
            feed = (group[0].id.stream, group[0].id.partition)
            batch = batches.setdefault(feed, [])
            batch.append(group)
            if len(batch) == self._together:
                yield batches.pop(feed)
        yield from batches.values()

    async def _ask(self, worth: Worth, batch: list[Same], done: Advised) -> None:
        """Raises UpstreamError when nothing more is to be asked now."""
        readable: list[Same] = []
        for group in batch:
            if (reason := nothing_to_read(group[0].said)) is None:
                readable.append(group)
            else:
                nothing = [(one, _none(reason)) for one in group]
                await self._write(worth, nothing, self._advising.last, done)
        waiting = [readable] if readable else []
        while waiting:
            some = waiting.pop()
            try:
                answer = await self._advising.ask([group[0].said for group in some])
                self._in_a_row = 0
            except RateLimited:
                raise
            except (Malformed, Transient) as error:
                if len(some) == 1 or isinstance(error, Transient):
                    self._unanswered(some, error, done)
                else:
                    waiting += _halves(some)
                continue
            if isinstance(answer, str) and len(some) > 1:
                waiting += _halves(some)
                continue
            verdicts = [_none(answer)] if isinstance(answer, str) else [_verdict(one) for one in answer]
            made = [(one, said) for group, said in zip(some, verdicts, strict=True) for one in group]
            await self._write(worth, made, self._advising.last, done)

    def _unanswered(self, some: Sequence[Same], error: UpstreamError, done: Advised) -> None:
        """Raises the error when it is not the texts' doing."""
        done.unanswered += 1
        self._in_a_row += 1
        self._failed.update(_place(group[0]) for group in some)
        if self._in_a_row >= FAILED:
            self._in_a_row = 0
            raise error

    async def _write(
        self, worth: Worth, made: Sequence[tuple[Unscored, Verdict]], scorer: Scorer, done: Advised
    ) -> None:
        if not made:
            return
        store, clock = self._node.store, self._node.clock
        await store.advanced.configure(scorer, clock.now, self._lease)
        await store.scores.write(worth.kind, made, scorer, clock.now, self._lease)
        done.texts += len(made)
        done.without += sum(verdict.reason is not None for _, verdict in made)
        for one, _ in made:
            self._failed.pop(_place(one), None)


def _worth(node: Node, members: Collection[str]) -> Iterator[Worth]:
    """The texts that may be shown to a language model of somebody else, and have something to say."""
    assets = frozenset(asset.id for asset in node.registry.tracked())
    for kind in KINDS:
        streams = [
            name
            for assigned, stream in node.streams()
            if (name := f"{assigned.source.name}.{stream.name}") in members
            and stream.record is kind
            and assigned.source.llm_allowed
            and assigned.source.name not in NO_OPINION
        ]
        if streams:
            yield Worth(kind, streams, assets, LINKER)


def _place(text: Unscored) -> Place:
    return text.series, text.id.item, text.revision


def _halves(some: list[Same]) -> list[list[Same]]:
    """The second half first: what is taken from the end is the newest."""
    half = len(some) // 2
    return [some[half:], some[:half]]


def _verdict(rating: Rating) -> Verdict:
    shares = (rating.bearish, rating.neutral, rating.bullish)
    return Verdict(rating.score, rating.label, rating.confidence, *shares, None)


def _none(reason: Reason) -> Verdict:
    return Verdict(None, None, None, None, None, None, reason)
