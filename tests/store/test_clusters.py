"""Which cluster collects, and when another one may stand in for it."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from ray_app.store.clusters import KEPT
from ray_app.store.leases import Leases
from ray_app.store.store import Store
from tests.store.conftest import Open


async def test_the_cluster_that_was_announced_last_collects(node: Open):
    clusters = node.store.clusters
    assert await clusters.newest() == ""
    for name, expected in (("one", "one"), ("two", "two"), ("one", "two"), ("three", "three")):
        await clusters.announce(name)
        assert await clusters.newest() == expected
    for number in range(KEPT + 1):
        await clusters.announce(f"later-{number}")
    assert await clusters.newest() == f"later-{KEPT}"


async def test_of_many_that_are_announced_at_once_none_is_forgotten(node: Open, opened: Callable[..., Store]):
    stores = [opened() for _ in range(4)]
    await asyncio.gather(*(store.clusters.announce(f"c{n}") for n, store in enumerate(stores)))
    newest = await node.store.clusters.newest()
    await asyncio.gather(*(store.clusters.announce(f"c{n}") for n, store in enumerate(stores)))
    assert await node.store.clusters.newest() == newest, "all of them are known"


async def test_a_kind_of_lease_is_idle_when_none_was_held_for_as_long_as_one_lasts(node: Open):
    short = Leases(node.store.database, timedelta(seconds=0.4))

    async def idle(shard: str, cluster: str) -> bool:
        return await short.idle(shard, "collect-", f"{cluster}/")

    assert await idle("collect-0", "mine")
    other = await short.acquire("collect-0", "other/actor")
    mine = await short.acquire("collect-1", "mine/actor")
    await short.acquire("backfill", "other/actor")
    assert mine is not None
    assert other is not None
    assert not await idle("collect-2", "mine"), "another cluster has a lease of the kind"
    await short.release(other)
    assert not await idle("collect-2", "mine"), "it was let go just now: who it was let go for comes first"
    await asyncio.sleep(0.5)
    await short.renew(mine)
    assert await idle("collect-2", "mine"), "what its own cluster holds does not count"
    assert not await idle("collect-1", "mine"), "but the shard's own lease does, whoever holds it"
