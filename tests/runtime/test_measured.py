"""What a collector commits is told to whoever measures it, once it is committed."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from ray_app.connect.api import client
from ray_app.model.clock import ManualClock
from ray_app.model.collected import Collected
from ray_app.model.errors import Fenced
from ray_app.model.source import Page
from ray_app.model.symbols import Registry
from ray_app.runtime.opening import LeasedBooks, Node
from ray_app.store.facts import Committed
from ray_app.store.store import Store
from tests.store.made import T0
from tests.store.texting import article, brought


class Seen:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.slices: list[tuple[str, str]] = []
        self.rows = 0

    def committed(self, collected: Sequence[Collected], done: Committed) -> None:
        self.slices += [(one.name, one.outcome) for one in collected]
        self.rows += done.new + done.revised

    def answered(self, page: Page) -> None: ...


async def test_a_commit_is_told_and_a_refused_one_is_not(tmp_path: Path):
    seen, http = Seen(), client()
    node = Node(
        store=Store(f"sqlite+aiosqlite:///{tmp_path / 'node.db'}", str(tmp_path / "raw")),
        registry=Registry([]), clock=ManualClock(T0), assigned=(), simulated=True, reach=timedelta(days=2),
        redis_url="", release="test", http=http, measured=seen,
    )  # fmt: skip
    await node.store.database.prepare(simulated=True)
    lease = await node.store.leases.acquire("collect-0", "one")
    assert lease is not None
    texts = brought([article("a", "One"), article("b", "Two")])
    await LeasedBooks(node, lease).commit([texts])
    assert (seen.slices, seen.rows) == ([("rss.stories", "covered")], 2)
    await LeasedBooks(node, lease).commit([texts])
    assert seen.rows == 2, "nothing new in it"
    await node.store.leases.release(lease)
    assert await node.store.leases.acquire("collect-0", "another") is not None
    with pytest.raises(Fenced):
        await LeasedBooks(node, lease).commit([brought([article("c", "Three")], T0 + timedelta(hours=1))])
    assert len(seen.slices) == 2
    await node.close()
