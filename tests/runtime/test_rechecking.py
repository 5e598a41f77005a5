"""What is deleted at Reddit goes here too: out of the tables, the events and the raw pages; the rest stays."""

import json
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from ray_app.collect.replay import replay
from ray_app.model.collected import Collected
from ray_app.model.texts import Post
from ray_app.model.timerange import TimeRange
from ray_app.sources import all_sources
from ray_app.store.compare import compare
from ray_app.store.reading import Fact
from ray_app.store.store import Store
from ray_app.store.tables import outbox, redactions
from tests.soak.world import START, World, world

DAYS = timedelta(hours=50)
CHECKED = timedelta(hours=20, minutes=30)  # a check every 20 hours, looked for every ten minutes, and asking
STREAM = "reddit.posts"


@pytest.fixture
async def two_days(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path, seed=5, series=1, sources="reddit") as made:
        await made.pass_time(DAYS)
        yield made


async def truth(made: World, sub: str) -> dict[str, dict[str, Any]]:
    """The subreddit's posts by id, with what became of them."""
    window = {"from": (START - timedelta(hours=8)).isoformat(), "to": made.clock.now().isoformat()}
    async with httpx.AsyncClient(base_url=made.upstreams) as http:
        told = (await http.get("/sim/truth/reddit", params={"sub": sub, **window})).json()
    return {f"t3_{post['id']}": post for post in told}


async def stored(made: World, sub: str) -> dict[str, Fact]:
    assert made.node is not None
    over = TimeRange(START - timedelta(days=3), made.clock.now() + timedelta(days=1))
    facts = await made.node.store.reading.between(Post, STREAM, [sub], over)
    return {str(fact.key): fact for fact in facts}


def bodies(folder: Path) -> str:
    """Everything that the raw pages hold, as one text."""
    import zstandard

    unpack = zstandard.ZstdDecompressor().decompress
    return "\n".join(
        unpack(path.read_bytes(), max_output_size=2**27).decode() for path in folder.rglob("*.zst")
    )


async def test_what_was_deleted_upstream_is_gone_everywhere_and_nothing_else(two_days: World, tmp_path: Path):
    made = two_days
    assert made.node is not None
    (sub,) = made.node.partitions(made.node.find(STREAM)[1])
    known, posts = await truth(made, sub), await stored(made, sub)
    now = made.clock.now()

    def gone_since(item: str) -> timedelta | None:
        ended = known[item]["ended"]
        return None if ended is None else now - datetime.fromtimestamp(ended, now.tzinfo)

    gone = [item for item in posts if (since := gone_since(item)) is not None and since > CHECKED]
    there = [item for item in posts if gone_since(item) is None]
    assert len(gone) >= 3, "a test needs something that is deleted"
    assert len(there) > 20

    raw = bodies(tmp_path / "raw")
    async with made.node.store.database.read() as connection:
        events = [json.loads(row.events) for row in await connection.execute(select(outbox))]
        said = {row.item: row.reason for row in await connection.execute(select(redactions))}
    told = json.dumps(events)
    said_by_others = {known[item][part] for item in set(known) - set(gone) for part in ("title", "text")}
    searched = 0
    for item in gone:
        post, text = posts[item], known[item]
        assert post.values["deleted"] is True, item
        assert {v for k, v in post.values.items() if k != "deleted"} == {None}
        assert post.revision == 0
        words = [w for w in (text["title"], text["text"]) if w and w not in said_by_others]
        searched += len(words)  # a daily thread has the title of the next one
        for word in words:
            assert json.dumps(word)[1:-1] not in raw
            assert json.dumps(word)[1:-1] not in told
        assert said[item] in ("gone upstream", "seen deleted in a listing")
        assert any(event.get("delete") == item for batch in events for event in batch)
    assert searched >= 3
    shown, readable = 0, set()
    for body in raw.split("\n"):
        children = (
            [child["data"] for child in json.loads(body)["data"]["children"]] if '"children"' in body else []
        )
        shown += len(children)
        readable |= {child["name"] for child in children if not child.get("redacted")}
    assert readable <= set(posts), "nobody would look whether a text that was not asked for is deleted since"
    assert not readable & set(gone)
    assert shown > 2 * len(readable) > 40
    kept = [item for item in there if posts[item].values["deleted"] is False]
    assert sorted(kept) == sorted(there)
    for item in there:
        assert posts[item].values["title"] == known[item]["title"].strip()

    records = [json.loads(path.read_text()) for path in (tmp_path / "raw" / "redactions").rglob("*.json")]
    assert {entry["item"] for record in records for entry in record["items"]} >= set(gone)
    names = made.node.store.raw.page_names()
    originals = {made.node.store.raw.named(name).body_hash for name in names.values()}
    assert {record["original"] for record in records} <= originals
    await made_again(made, tmp_path)


class Writes:
    def __init__(self, store: Store, lease: Any) -> None:
        self.store, self.lease = store, lease

    async def commit(self, collected: Sequence[Collected]) -> Any:
        return await self.store.facts.commit(collected, self.lease)


async def made_again(made: World, tmp_path: Path) -> None:
    """A replay with the redactions applied gives the same store."""
    assert made.node is not None
    again = Store(f"sqlite+aiosqlite:///{tmp_path}/again.db", str(tmp_path / "unused"))
    await again.database.prepare(simulated=True)
    lease = await again.leases.acquire("shard", "me")
    done = await replay(made.node.store.raw, Writes(again, lease), all_sources().values())
    assert done.problems == []
    equal, different = await compare(made.node.store.database, again.database)
    await again.close()
    assert different == [], [(one.table, one.left, one.right) for one in different]
    assert equal["posts"] > 50
