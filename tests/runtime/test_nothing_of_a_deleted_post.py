"""A sentence of a post that is deleted is nowhere: no table, no raw page, no event, no log, whatever carried it.

The upstream is made for this test, so that it can send the sentence in rows that cannot be read, in answers
that are no listing, in errors, and in pages of slices that were never stored.
"""

import json
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import zstandard
from redis.asyncio import Redis
from sqlalchemy import select

from ray_app.collect.replay import replay
from ray_app.collect.running import Running
from ray_app.connect.api import client
from ray_app.model.clock import ManualClock, SystemClock
from ray_app.model.symbols import load_registry
from ray_app.runtime.opening import Assigned, LeasedBooks, Node
from ray_app.runtime.rechecking import Rechecking
from ray_app.runtime.relay import Relay
from ray_app.sources.reddit import POSTS, SOURCE
from ray_app.store.compare import compare
from ray_app.store.store import Store
from ray_app.store.tables import metadata, outbox, set_aside, slices
from tests.connect.conftest import Counted
from tests.connect.served import Seen, served, told
from tests.runtime.test_rechecking import Writes

T0 = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
WORDS = "seven amber lanterns were sold by the heron on pier nine"
PIECES = ("amber lanterns", "heron on pier")  # of it; a quotation may be cut off
STAYS = "a harmless word about the weather"
STREAM = "reddit.posts"


def post(name: str, at: datetime, text: str = WORDS, **more: Any) -> dict[str, Any]:
    data = {
        "id": name, "name": f"t3_{name}", "subreddit": "Bitcoin", "author": "somebody", "title": text,
        "selftext": text, "permalink": f"/r/Bitcoin/comments/{name}/x/", "created_utc": at.timestamp(),
        "edited": False, "score": 1, "removed_by_category": None,
    }  # fmt: skip
    return {"kind": "t3", "data": data | more}


def listing(*rows: Any, after: str | None = None) -> bytes:
    return told(json.dumps({"kind": "Listing", "data": {"children": rows, "after": after}}).encode())


@dataclass
class Upstream:
    """Says of new posts what it was told to, and of those that are asked for again who is there."""

    new: Callable[[Seen], bytes] = lambda _: listing()
    info: Callable[[Seen], bytes] = lambda _: listing()

    def answer(self, seen: Seen) -> bytes:
        if seen.path.endswith("access_token"):
            return told(b'{"access_token": "abc", "expires_in": 86400, "token_type": "bearer"}')
        return self.info(seen) if seen.path.endswith("/api/info") else self.new(seen)


@dataclass
class Collected:
    """A node that collects one subreddit, and where it may have left something."""

    upstream: Upstream
    node: Node
    clock: ManualClock
    running: Running
    rechecking: Rechecking
    relay: Relay
    books: LeasedBooks
    folder: Path
    lines: list[str] = field(default_factory=list)

    async def cycle(self, new: Callable[[Seen], bytes]) -> None:
        """Half an hour later, the upstream answering so."""
        self.clock.set(self.clock.now() + 30 * MINUTE)
        self.upstream.new = new
        await self.running.cycle()
        await self.books.report(STREAM, self.running.status)
        await self.relay.round()

    async def everywhere(self) -> dict[str, str]:
        """All that is kept, as text: by table, by file, by key of Redis."""
        out = {}
        async with self.node.store.database.read() as connection:
            for name, table in metadata.tables.items():
                rows = (await connection.execute(select(table))).all()
                out[name] = "\n".join(str(tuple(row)) for row in rows)
        unpack = zstandard.ZstdDecompressor().decompress
        for path in (self.folder / "raw").rglob("*"):
            if path.is_file():
                held = path.read_bytes()
                body = unpack(held, max_output_size=2**27) if path.suffix == ".zst" else held
                out[str(path.relative_to(self.folder))] = body.decode("utf-8", "replace")
        redis: Redis = self.node.redis()
        for key in await redis.keys("*"):
            streams = await redis.type(key) == "stream"
            out[str(key)] = str(await redis.xrange(key)) if streams else str(await redis.get(key))
        await redis.aclose()
        return out

    async def holding(self, *pieces: str) -> set[str]:
        """Which places hold a piece."""
        return {
            place.split("/")[0] if "/" not in place else "/".join(place.split("/")[:2])
            for place, text in (await self.everywhere()).items()
            if any(piece in text for piece in pieces)
        }


@pytest.fixture
async def it(tmp_path: Path, prepared_sqlite: Path, fresh_redis_url: str) -> AsyncIterator[Collected]:
    shutil.copy(prepared_sqlite, tmp_path / "node.db")
    store = Store(f"sqlite+aiosqlite:///{tmp_path}/node.db", str(tmp_path / "raw"))
    clock, http, upstream = ManualClock(T0 + 5 * MINUTE), client(), Upstream()
    stream = replace(POSTS, partitions=lambda _: ("Bitcoin",))
    plan = replace(SOURCE.plan("free"), streams=(stream,))
    async with served(upstream.answer) as server:
        base = server.base + plan.simulated_at
        assigned = Assigned(source=SOURCE, plan=plan, base_url=base, secrets=("an id", "a secret"))
        node = Node(
            store=store, registry=load_registry(), clock=clock, assigned=(assigned,), simulated=True, reach=HOUR,
            redis_url=fresh_redis_url, release="test", http=http,
        )  # fmt: skip
        await node.declare(clock.now())
        lease = await store.leases.acquire("shard", "me")
        assert lease is not None
        turns, books = Counted(clock), LeasedBooks(node, lease)
        running = Running(
            source=SOURCE, stream=stream, partitions=("Bitcoin",), books=books, clock=clock, reach=HOUR, since=T0,
            api=lambda s, priority, before: node.api(assigned, s, priority, turns, before),
        )  # fmt: skip
        rechecking = Rechecking(node, assigned, stream, turns, lease)
        relay = Relay(node, "me", SystemClock())
        try:
            yield Collected(upstream, node, clock, running, rechecking, relay, books, tmp_path)
        finally:
            await relay.close()
            await node.close()


SPOILT: dict[str, Callable[[], bytes]] = {
    "no listing": lambda: told(json.dumps({"kind": "Posts", "data": [post("a", T0)]}).encode()),
    "cut off": lambda: told(json.dumps(post("a", T0)).encode()[:-9]),
    "a page": lambda: told(f"<html>{WORDS}</html>".encode()),
    "an error in a 200": lambda: told(json.dumps({"error": WORDS}).encode()),
    "an error": lambda: told(json.dumps({"message": WORDS, "error": 400}).encode(), "400 x"),
    "a server's error": lambda: told(json.dumps({"error": WORDS}).encode(), "503 x"),
    "the gate": lambda: told(f"<html>{WORDS}</html>".encode(), "403 x"),
    "no row that can be read": lambda: listing(
        {"kind": WORDS, "data": {}}, {"kind": "t3", "data": {"title": WORDS}}
    ),
    "as if we had cut it": lambda: listing({"unread": {"reason": WORDS, "shape": WORDS}}),
    "rows that are texts": lambda: listing(WORDS, [WORDS]),
    "a wrong cursor": lambda: told(
        json.dumps({"kind": "Listing", "data": {"children": [], "after": [WORDS]}}).encode()
    ),
}


@pytest.mark.parametrize("kind", SPOILT)
async def test_an_answer_that_is_of_no_use_leaves_no_words(
    it: Collected, kind: str, capfd: pytest.CaptureFixture[str]
):
    await it.cycle(lambda _: SPOILT[kind]())
    assert await it.holding(*PIECES, WORDS[:12]) == set()
    assert not any(piece in "".join(capfd.readouterr()) for piece in PIECES)
    async with it.node.store.database.read() as connection:
        (outcome, reason) = (await connection.execute(select(slices.c.outcome, slices.c.reason))).one()
    assert (outcome, bool(reason)) == ("failed", True)
    kept = [text for place, text in (await it.everywhere()).items() if "bodies/" in place]
    assert kept
    assert all('"unread":' in text or "text of 56" in text for text in kept)  # what it was, by size and shape
    assert it.running.status.errors.total() > 0


async def test_what_is_deleted_upstream_is_nowhere(it: Collected, capfd: pytest.CaptureFixture[str]):
    def now() -> datetime:
        return it.clock.now() - 15 * MINUTE

    def rich(_: Seen) -> bytes:
        return listing(
            post("gone", now()),
            post("stays", now(), STAYS, crosspost_parent_list=[post("elsewhere", T0 - 9 * HOUR)["data"]]),
            post("early", now() - 9 * HOUR),
            post("twice", now(), STAYS, score=5),
            post("twice", now(), STAYS, score=6),
            post("future", now() + timedelta(days=3)),
            {"kind": "t3", "data": {"title": WORDS, "selftext": WORDS}},
            post("badly", now(), title=[WORDS]),
            post("worse", now(), permalink=WORDS),
            {"kind": WORDS, "data": {"name": WORDS}},
            WORDS,
        )

    await it.cycle(rich)
    half = iter([listing(post("half", now() + 30 * MINUTE), after="t3_half")])
    await it.cycle(lambda _: next(half, told(b"busy", "503 x")))
    async with it.node.store.database.read() as connection:
        reasons = (
            (await connection.execute(select(set_aside.c.reason).order_by(set_aside.c.place))).scalars().all()
        )
        assert [reason.split(":")[0] for reason in reasons] == [
            "said twice in one answer with different values", "KeyError", "TypeError", "ValueError", "ValueError",
            "TypeError",
        ]  # fmt: skip
    before = await it.holding(*PIECES)  # where the post is allowed to be, as long as it is there
    assert before == {"posts", "outbox", "raw/bodies", "crypto-data:events:news"}
    whole = [text for text in (await it.everywhere()).values() if '"children"' in text]
    assert sum(text.count("amber lanterns") for text in whole) == 4  # title and text of "gone" and of "half"

    # Its author deletes it, and what was in no record too. The half slice is answered, without that post.
    it.upstream.info = lambda _: listing(post("stays", T0, STAYS), post("twice", T0, STAYS), {"kind": WORDS})
    await it.cycle(lambda _: listing())
    it.clock.set(it.clock.now() + 21 * HOUR)
    done = await it.rechecking.round()
    assert done.failed == 3  # an answer with a row that cannot be read says nothing of any
    assert await it.holding(*PIECES) == before - set()
    it.upstream.info = lambda _: listing(post("stays", T0, STAYS), post("twice", T0, STAYS))
    done = await it.rechecking.round()
    assert (done.asked, done.present, done.wiped) == (3, 2, 1)
    await it.relay.round()
    assert await it.holding(*PIECES, WORDS[:12]) == set()
    assert not any(piece in "".join(capfd.readouterr()) for piece in PIECES)
    assert {"posts", "outbox", "raw/bodies", "crypto-data:events:news"} <= await it.holding(STAYS)
    await made_again(it)


async def made_again(it: Collected) -> None:
    """What is left of the pages gives what is left in the store."""
    again = Store(f"sqlite+aiosqlite:///{it.folder}/again.db", str(it.folder / "unused"))
    await again.database.prepare(simulated=True)
    lease = await again.leases.acquire("shard", "me")
    done = await replay(it.node.store.raw, Writes(again, lease), (SOURCE,))
    assert done.problems == []
    _, different = await compare(it.node.store.database, again.database)
    await again.close()
    assert different == [], [(one.table, one.left, one.right) for one in different]


@pytest.mark.parametrize("who", ["the same process", "the next one"])
async def test_what_a_redis_that_was_away_still_holds_goes_when_it_is_back(
    it: Collected, redis_server: Any, who: str
):
    await it.cycle(lambda _: listing(post("gone", it.clock.now() - 15 * MINUTE)))
    key = "crypto-data:events:news"
    assert key in await it.holding(*PIECES)
    it.clock.set(it.clock.now() + 21 * HOUR)
    with redis_server.outage():
        assert (await it.rechecking.round()).wiped == 1
    assert await it.holding(*PIECES) == {key}
    if who == "the next one":
        old = it.rechecking
        it.rechecking = Rechecking(it.node, old._assigned, old._stream, old._turns, old._lease)
    await it.rechecking.round()
    assert await it.holding(*PIECES) == set()


async def test_rows_of_an_older_store_lose_their_words(it: Collected):
    await it.cycle(
        lambda _: listing({"kind": "t1", "data": {}}, post("stays", it.clock.now() - 15 * MINUTE, STAYS))
    )
    async with it.node.store.database.write() as connection:
        await connection.execute(set_aside.update().values(row=json.dumps({"title": WORDS})))
        assert (await connection.execute(select(outbox.c.id))).all() != []
    assert await it.holding(*PIECES) == {"set_aside"}
    await it.rechecking.round()
    assert await it.holding(*PIECES) == set()
