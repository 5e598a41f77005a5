"""Link the stored texts of a shard: which coins and stocks each speaks of, and which story it tells.

Texts are found by what is in the store, not by what was committed here: a backfill in another process, a
restart, a new linker all leave texts that have no link yet. Times of waiting are wall time; a text is linked
within a minute of its commit also where the node lives in the simulator's time.
"""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from ray_app.model.clock import Clock
from ray_app.model.collected import Lease
from ray_app.model.errors import StoreUnavailable
from ray_app.model.timerange import TimeRange
from ray_app.observe.log import logger
from ray_app.process.linking import LINKER, Linker
from ray_app.process.stories import WINDOW, Stories, Telling, story_id, words_of
from ray_app.runtime.opening import Node
from ray_app.runtime.waking import Waking
from ray_app.store.linked import FIRST, KINDS, Kind, Link, Recent, Said, StoredText, TextId

log = logger("linking")
IDLE = 15.0  # seconds after which the store is looked at without being woken
PAUSE = 5.0  # between rounds, however often it is woken
WHOLE = 30.0  # seconds between looks through all texts; in between only those of the last days
SHARE = 5  # a look through all of them that took long is not repeated before that many times as long
LATELY = timedelta(days=3)
MOST = 1000  # texts of one step
TRIES = 10
MOMENT = timedelta(microseconds=1)


@dataclass(slots=True)
class LinkedTexts:
    """What a round did."""

    texts: int = 0
    mentions: int = 0
    grouped: int = 0  # texts that joined a story of another


class Linking:
    """The texts of the streams `members` (source.stream)."""

    def __init__(
        self, node: Node, lease: Lease, members: Collection[str], wall: Clock, by: str = LINKER
    ) -> None:
        """`by`: the name of the linker's rules; texts linked under another name are linked again."""
        self._node, self._lease, self._wall, self._by = node, lease, wall, by
        self._every: dict[Kind, list[str]] = {kind: [] for kind in KINDS}
        for assigned, stream in node.streams():
            for kind in KINDS:
                if stream.record is kind:
                    self._every[kind].append(f"{assigned.source.name}.{stream.name}")
        self._mine = {kind: [n for n in names if n in members] for kind, names in self._every.items()}
        self._linker: Linker | None = None
        self._waking = Waking()
        self._whole_from = 0.0

    def wake(self) -> None:
        """Something was committed."""
        self._waking.wake()

    async def run(self) -> None:
        """For ever; returns at once where the shard has no texts. Raises Fenced."""
        if not any(self._mine.values()):
            return
        while True:
            try:
                done = await self.round()
                if done.texts:
                    told = {"texts": done.texts, "mentions": done.mentions, "grouped": done.grouped}
                    log.info("texts linked", extra={"shard": self._lease.shard, **told})
            except StoreUnavailable as error:
                log.warning("linking waits", extra={"shard": self._lease.shard, "error": str(error)})
            await self._wall.sleep(PAUSE)
            await self._waking.wait(IDLE - PAUSE)

    async def round(self) -> LinkedTexts:
        """Link what has no link, once. Raises Fenced and StoreUnavailable."""
        done = LinkedTexts()
        began = asyncio.get_running_loop().time()
        whole = began >= self._whole_from
        since = None if whole else self._node.clock.now() - LATELY
        for kind, names in self._mine.items():
            more = bool(names)
            while more:
                found = await self._node.store.links.unlinked(kind, names, self._by, MOST, since)
                for some in _together(found):
                    await self._link(some, done)
                more = len(found) == MOST
        if whole:
            took = asyncio.get_running_loop().time() - began
            self._whole_from = began + max(WHOLE, SHARE * took)
        return done

    async def _link(self, texts: Sequence[StoredText], done: LinkedTexts) -> None:
        """`texts`: oldest first, and not far apart."""
        links = self._node.store.links
        over = TimeRange(texts[0].at - WINDOW, texts[-1].at + WINDOW + MOMENT)
        for _ in range(TRIES):
            recent = await links.recent(self._every, over)
            made = await asyncio.to_thread(self._work, texts, recent)
            if await links.link(made, self._by, self._node.clock.now, recent, self._lease):
                done.texts += len(made)
                done.mentions += sum(len(one.said) for one in made)
                done.grouped += sum(one.story != _begun(one.text.id) for one in made)
                return
        raise StoreUnavailable(f"links of the same days were added by others {TRIES} times in a row")

    def _work(self, texts: Sequence[StoredText], recent: Recent) -> list[Link]:
        self._linker = self._linker or Linker(self._node.registry)
        known = {one.id: one.story for one in recent.texts}
        before = ((_telling(one.id, one.at, one.title, one.text), one.story) for one in recent.texts)
        stories, made = Stories(before), []
        for text in texts:
            story = text.story or known.get(text.id)
            if text.deleted or not (text.title or text.text):
                made.append(Link(text, story or _begun(text.id), ()))
                continue
            story = story or stories.place(_telling(text.id, text.at, text.title, text.text[:FIRST]))
            found = self._linker.mentions(text.title, text.text, text.topics, text.at)
            said = [Said(one.asset, one.kind, Decimal(str(one.confidence))) for one in found]
            made.append(Link(text, story, tuple(said)))
        return made


def _begun(place: TextId) -> str:
    return story_id(*place)


def _telling(place: TextId, at: datetime, title: str, text: str) -> Telling:
    return Telling(_begun(place), (place.stream, place.partition), at, words_of(title, text))


def _together(texts: Sequence[StoredText]) -> list[list[StoredText]]:
    """Oldest first, in runs no longer than a story can last: each asks for what was told around it."""
    runs: list[list[StoredText]] = []
    for text in sorted(texts, key=lambda text: (text.at, text.id)):
        if not runs or text.at - runs[-1][0].at > WINDOW:
            runs.append([])
        runs[-1].append(text)
    return runs
