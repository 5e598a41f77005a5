import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

from ray_app.model.errors import Fenced
from ray_app.store.leases import Leases
from ray_app.store.store import Store
from tests.store.conftest import Open


async def test_one_owner_at_a_time(node: Open):
    assert await node.store.leases.acquire("shard", "other") is None
    await node.store.leases.release(node.lease)
    taken = await node.store.leases.acquire("shard", "other")
    assert taken is not None
    assert (taken.owner, taken.fence) == ("other", 2)
    assert await node.store.leases.acquire("shard", "me") is None


async def test_an_owner_that_comes_back_is_fenced_from_its_former_self(node: Open):
    again = await node.store.leases.acquire("shard", "me")
    assert again is not None
    assert again.fence == 2
    with pytest.raises(Fenced, match="me held fence 1 of shard; me now holds 2"):
        await node.store.leases.renew(node.lease)
    await node.store.leases.renew(again)


async def test_a_lease_that_is_not_renewed_runs_out(node: Open):
    short = Leases(node.store.database, timedelta(seconds=0.3))
    mine = await short.acquire("brief", "me")
    assert mine is not None
    assert await short.acquire("brief", "other") is None
    await asyncio.sleep(0.4)
    heir = await short.acquire("brief", "other")
    assert heir is not None
    assert heir.fence == mine.fence + 1
    with pytest.raises(Fenced):
        await short.renew(mine)


async def test_a_lease_that_is_renewed_lasts(node: Open):
    short = Leases(node.store.database, timedelta(seconds=0.5))
    mine = await short.acquire("brief", "me")
    assert mine is not None
    for _ in range(4):
        await asyncio.sleep(0.2)
        await short.renew(mine)
    assert await short.acquire("brief", "other") is None


async def test_letting_go_of_a_lease_that_is_somebody_elses_changes_nothing(node: Open):
    await node.store.leases.release(node.lease)
    heir = await node.store.leases.acquire("shard", "heir")
    assert heir is not None
    await node.store.leases.release(node.lease)
    await node.store.leases.renew(heir)
    assert await node.store.leases.acquire("shard", "third") is None


async def test_of_many_who_take_a_new_lease_at_once_one_gets_it(node: Open, opened: Callable[..., Store]):
    stores = [opened() for _ in range(4)]
    for number in range(5):
        taken = await asyncio.gather(
            *(store.leases.acquire(f"new-{number}", f"owner-{i}") for i, store in enumerate(stores))
        )
        assert sorted(lease is None for lease in taken) == [False, True, True, True]
