"""Look again for texts that their authors may have deleted, and wipe those that are gone.

Every kept text of a social network is asked for again before a day is over. What is gone upstream, what was
seen deleted in a later listing, and what is older than we may keep, goes everywhere: raw pages first, so
that a stop half-way leaves the table's row for the next round to find. The answers to the questions are kept
as evidence, without the texts in them. A page whose slice was never stored loses its texts after a while: no
record leads there.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from ray_app.collect.kept import answer_without_texts, without_texts
from ray_app.connect.api import HttpApi
from ray_app.model.collected import Lease
from ray_app.model.errors import Malformed, NotOffered, StoreUnavailable, UpstreamError
from ray_app.model.quota import Priority, Turns
from ray_app.model.source import Page, Recheck, Stream
from ray_app.observe.log import logger
from ray_app.runtime.opening import Assigned, Node
from ray_app.store.hot import EventStream
from ray_app.store.redacting import Cut
from ray_app.store.texts import Due

log = logger("rechecking")
ROUND = timedelta(minutes=10)  # between looks at what is due
MOST = 2000  # texts of one round
SWEEP = timedelta(hours=1)  # between looks for pages without a slice
LOOK_BACK = timedelta(days=60)  # in which a start looks for pages without a slice
GONE, SEEN_GONE, TOO_OLD = "gone upstream", "seen deleted in a listing", "kept for as long as we may"


@dataclass(slots=True)
class Rechecked:
    """What a round did, in texts."""

    asked: int = 0
    present: int = 0
    wiped: int = 0
    failed: int = 0  # asked for and not answered: asked for again next time


class Rechecking:
    """The texts of one stream."""

    def __init__(self, node: Node, assigned: Assigned, stream: Stream, turns: Turns, lease: Lease) -> None:
        self._node, self._assigned, self._stream, self._lease = node, assigned, stream, lease
        self._turns = turns
        self.name = f"{assigned.source.name}.{stream.name}"
        self._swept: datetime | None = None  # up to when pages without a slice have lost their texts
        self._in_redis: list[int] | None = None  # events that Redis may still hold; None: look them up

    async def run(self) -> None:
        """For ever. Raises Fenced."""
        while True:
            try:
                done = await self.round()
                if done.asked or done.wiped:
                    log.info("texts looked for again", extra={"stream": self.name, **_told(done)})
            except (StoreUnavailable, UpstreamError) as error:
                log.warning("rechecking waits", extra={"stream": self.name, "error": str(error)})
            await self._node.clock.sleep(ROUND.total_seconds())

    async def round(self) -> Rechecked:
        """Once: what was seen deleted, what is too old, what is due to be asked for."""
        texts, now = self._node.store.texts, self._node.clock.now()
        recheck = self._stream.recheck
        done = Rechecked()
        if recheck is None:
            return done
        await self._forget(await self._left_in_redis())
        await self._sweep(recheck, now)
        await self._wipe(await texts.seen_deleted(self.name, MOST), SEEN_GONE, recheck, done)
        await self._wipe(await texts.outdated(self.name, now - recheck.keep, MOST), TOO_OLD, recheck, done)
        due = await texts.due(self.name, now, now - recheck.every, MOST)
        for at in range(0, len(due), recheck.batch):
            await self._ask(due[at : at + recheck.batch], recheck, done)
        return done

    async def _ask(self, due: Sequence[Due], recheck: Recheck, done: Rechecked) -> None:
        ids = [one.item for one in due]
        api = self._api(recheck)
        done.asked += len(ids)
        try:
            pages = [page async for page in recheck.fetch(api, ids)]
            present = {item for page in pages for item in recheck.present(page)}
        except NotOffered:  # not one of them is there
            present = set()
        except UpstreamError as error:
            done.failed += len(ids)
            told = "Malformed" if isinstance(error, Malformed) else str(error)  # it quotes the answer
            log.warning("texts could not be looked for", extra={"stream": self.name, "error": told})
            return
        there = [one for one in due if one.item in present]
        now = self._node.clock.now()
        await self._node.store.texts.checked(there, now, now + recheck.every, self._lease)
        done.present += len(there)
        await self._wipe([one for one in due if one.item not in present], GONE, recheck, done)

    async def _wipe(self, gone: Sequence[Due], reason: str, recheck: Recheck, done: Rechecked) -> None:
        if not gone:
            return
        node, now = self._node, self._node.clock.now()
        items = {one.item: reason for one in gone}
        since = min(one.at for one in gone) - timedelta(hours=1)
        self._tell(
            await asyncio.to_thread(node.store.raw.redact, self.name, since, items, recheck.redact, now)
        )
        numbers = await node.store.texts.wipe(self.name, self._stream.topic, gone, reason, now, self._lease)
        done.wiped += len(gone)
        await self._forget(numbers)

    async def _sweep(self, recheck: Recheck, now: datetime) -> None:
        """Take the texts out of pages that belong to no slice, and out of rows of an older store."""
        until = now - min(recheck.every, recheck.keep)
        if self._swept is not None and until - self._swept < SWEEP:
            return
        if self._swept is None:
            await self._node.store.texts.forget_set_aside(self.name, self._lease)
        since = self._swept or now - LOOK_BACK
        cut = partial(without_texts, recheck)
        self._tell(await asyncio.to_thread(self._node.store.raw.abandon, self.name, since, until, cut, now))
        self._swept = until

    def _tell(self, done: Cut) -> None:
        """A page that cannot be read is for the operator; it must not keep texts from being wiped."""
        for error in done.unreadable:
            log.error("a raw page cannot be read", extra={"stream": self.name, "error": error})

    async def _left_in_redis(self) -> list[int]:
        """After a start: whatever was emptied, since Redis may have been away when it was."""
        if self._in_redis is None and self._stream.topic is not None:
            self._in_redis = await self._node.store.texts.emptied(self._stream.topic)
        return self._in_redis or []

    async def _forget(self, numbers: Sequence[int]) -> None:
        """Take events out of Redis; those of a Redis that is away are tried again in the next round."""
        redis = self._node.redis()
        if redis is None or self._stream.topic is None:
            return
        self._in_redis = sorted({*(self._in_redis or ()), *numbers})
        try:
            await EventStream(redis, self._stream.topic).forget(self._in_redis)
            self._in_redis = []
        except StoreUnavailable as error:
            log.warning("events stay in redis for now", extra={"stream": self.name, "error": str(error)})
        finally:
            await redis.aclose()

    def _api(self, recheck: Recheck) -> HttpApi:
        """Keeps each answer without the texts: an answer of ours must not become a copy to be deleted."""
        api = self._node.api(self._assigned, self._stream, Priority.HEAL, self._turns)

        async def keep(page: Page) -> None:
            await api.keep(answer_without_texts(recheck, page))

        return replace(api, keep=keep)


def _told(done: Rechecked) -> dict[str, int]:
    return {"asked": done.asked, "present": done.present, "wiped": done.wiped, "failed": done.failed}
