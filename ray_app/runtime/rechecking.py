"""Look again for texts that their authors may have deleted, and wipe those that are gone.

Every kept text of a social network is asked for again before a day is over. What is gone upstream, what was
seen deleted in a later listing, and what is older than we may keep, goes everywhere: raw pages first, so
that a stop half-way leaves the table's row for the next round to find. The answers to the questions are kept
as evidence, without the texts in them.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from ray_app.connect.api import HttpApi
from ray_app.model.collected import Lease
from ray_app.model.errors import NotOffered, StoreUnavailable, UpstreamError
from ray_app.model.quota import Priority, Turns
from ray_app.model.source import Page, Recheck, Stream
from ray_app.observe.log import logger
from ray_app.runtime.opening import Assigned, Node
from ray_app.store.hot import EventStream
from ray_app.store.texts import Due

log = logger("rechecking")
ROUND = timedelta(minutes=10)  # between looks at what is due
MOST = 2000  # texts of one round
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
        await self._wipe(await texts.seen_deleted(self.name, MOST), SEEN_GONE, recheck, done)
        await self._wipe(await texts.outdated(self.name, now - recheck.keep, MOST), TOO_OLD, recheck, done)
        due = await texts.due(self.name, now, now - recheck.every, MOST)
        for at in range(0, len(due), recheck.batch):
            await self._ask(due[at : at + recheck.batch], recheck, done)
        return done

    async def _ask(self, due: Sequence[Due], recheck: Recheck, done: Rechecked) -> None:
        ids = [one.item for one in due]
        api = self._api(recheck, frozenset(ids))
        done.asked += len(ids)
        try:
            pages = [page async for page in recheck.fetch(api, ids)]
            present = {item for page in pages for item in recheck.present(page)}
        except NotOffered:  # not one of them is there
            present = set()
        except UpstreamError as error:
            done.failed += len(ids)
            log.warning("texts could not be looked for", extra={"stream": self.name, "error": str(error)})
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
        await asyncio.to_thread(node.store.raw.redact, self.name, since, items, recheck.redact, now)
        numbers = await node.store.texts.wipe(self.name, self._stream.topic, gone, reason, now, self._lease)
        redis = node.redis()
        if redis is not None and self._stream.topic is not None:
            try:
                await EventStream(redis, self._stream.topic).forget(numbers)
            finally:
                await redis.aclose()
        done.wiped += len(gone)

    def _api(self, recheck: Recheck, ids: frozenset[str]) -> HttpApi:
        """Keeps each answer without the texts: an answer of ours must not become a copy to be deleted."""
        api = self._node.api(self._assigned, self._stream, Priority.HEAL, self._turns)

        async def keep(page: Page) -> None:
            try:
                left = page.without(lambda body: recheck.redact(body, ids)) if page.status == 200 else page
            except (ValueError, LookupError, TypeError, AttributeError):
                left = page.without(lambda _: b"")
            await api.keep(left)

        return replace(api, keep=keep)


def _told(done: Rechecked) -> dict[str, int]:
    return {"asked": done.asked, "present": done.present, "wiped": done.wiped, "failed": done.failed}
