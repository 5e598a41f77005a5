"""Of two clusters on one store the one that came to run whole last collects, and the other stands in for it."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from ray_app.app import open_with
from ray_app.runtime.succession import HandedOver, Succession
from ray_app.settings import Settings
from ray_app.store.leases import Leases


async def test_a_newer_cluster_is_handed_the_lease_and_an_older_one_stands_in_for_it(
    simulate: Any, settings_for: Callable[..., Settings]
) -> None:
    node = await open_with(settings_for(simulate()))
    try:
        await node.store.database.prepare(simulated=True)
        leases = node.store.leases = Leases(node.store.database, timedelta(seconds=0.5))
        old, new = (Succession(node.store, name, "collect-0", "actor") for name in ("old", "new"))
        first = await old.take()
        assert first is not None, "nobody was announced yet"
        await old.check()
        await old.announce()
        await old.check()
        assert await new.take() is None

        await new.announce()
        with pytest.raises(HandedOver):
            await old.check()
        await leases.release(first)
        assert await old.take() is None, "it was let go for the newer one"
        second = await new.take()
        assert second is not None
        assert second.fence == first.fence + 1
        await new.check()
        await old.announce()
        await new.check()  # an older cluster that says so again takes nothing back

        await asyncio.sleep(0.6)
        assert await old.take() is None, "the lease has just run out: the newer one may still be back"
        await asyncio.sleep(0.6)
        third = await old.take()
        assert third is not None, "the newer cluster does not collect"
        await old.check()
        assert await new.take() is None, "somebody collects: nothing is gained by another change"
        await leases.release(third)
        assert await new.take() is not None, "the older cluster was deleted"
    finally:
        await node.close()


async def test_a_release_with_more_shards_waits_until_the_older_one_is_done_with_its_own(
    simulate: Any, settings_for: Callable[..., Settings]
) -> None:
    """Its second shard has streams that the older cluster still collects in its only one."""
    node = await open_with(settings_for(simulate()))
    try:
        await node.store.database.prepare(simulated=True)
        old = Succession(node.store, "old", "collect-0", "actor")
        new = [Succession(node.store, "new", f"collect-{n}", f"actor-{n}") for n in range(2)]
        held = await old.take()
        assert held is not None
        await new[0].announce()
        assert [await one.take() for one in new] == [None, None]
        await node.store.leases.release(held)
        assert None not in [await one.take() for one in new]
    finally:
        await node.close()


async def test_without_another_cluster_nothing_is_asked(
    simulate: Any, settings_for: Callable[..., Settings]
) -> None:
    node = await open_with(settings_for(simulate()))
    try:
        await node.store.database.prepare(simulated=True)
        alone = Succession(node.store, "", "collect-0", "actor")
        await node.store.clusters.announce("another")
        assert await alone.take() is not None
        await alone.check()
    finally:
        await node.close()
