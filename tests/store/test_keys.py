import base64
import zlib
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text

from ray_app.store.keys import SCOPES, Keys, public_id
from ray_app.store.tables import api_keys
from tests.store.conftest import Open

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
READ = frozenset({"read:prices"})


@pytest.fixture
def keys(node: Open) -> Keys:
    return node.store.keys


async def test_a_key_is_found_by_its_secret_alone(keys: Keys):
    made = await keys.create(
        "desk", READ | {"read:ops"}, NOW, tier="premium", expires_at=NOW + timedelta(days=1)
    )
    found = await keys.find(made)
    assert found is not None
    assert (found.client, found.scopes, found.tier) == ("desk", READ | {"read:ops"}, "premium")
    assert (found.per_hour, found.burst, found.internal) == (10_000, 100, False)
    assert (found.created_at, found.uses, found.last_used_at) == (NOW, 0, None)
    assert made.startswith(f"cdk_{found.id}_")


async def test_limits_of_its_own_hold_over_the_tiers(keys: Keys):
    found = await keys.find(await keys.create("desk", READ, NOW, per_hour=7, burst=3, internal=True))
    assert found is not None
    assert (found.per_hour, found.burst, found.internal) == (7, 3, True)


async def test_the_secret_is_nowhere_in_the_database(node: Open, keys: Keys):
    made = await keys.create("desk", READ, NOW)
    async with node.store.database.read() as connection:
        rows = (await connection.execute(select(api_keys))).all()
    secret = made.split("_")[2]
    assert secret not in repr(rows)
    assert len({made, await keys.create("desk", READ, NOW)}) == 2


async def test_a_wrong_secret_and_a_typing_error_find_nothing(keys: Keys):
    made = await keys.create("desk", READ, NOW)
    other = await keys.create("desk2", READ, NOW)
    swapped = f"cdk_{made.split('_')[1]}_{other.split('_')[2][:-7]}"
    swapped += base64.b32encode(zlib.crc32(swapped.encode()).to_bytes(4, "big")).decode().rstrip("=").lower()
    assert public_id(swapped) == made.split("_")[1]  # well-formed: only the secret is another one's
    typo = made[:-9] + ("a" if made[-9] != "a" else "b") + made[-8:]
    for wrong in (swapped, typo, made[:-1], made.upper(), "", "cdk__", "cdk_x", "Bearer " + made):
        assert await keys.find(wrong) is None
    assert public_id(typo) is None  # told without asking the database
    assert public_id(made) == made.split("_")[1]


async def test_a_key_lives_until_it_expires_or_is_revoked(keys: Keys):
    made = await keys.create("desk", READ, NOW, expires_at=NOW + timedelta(hours=1))
    found = await keys.find(made)
    assert found is not None
    assert found.live(NOW + timedelta(minutes=59))
    assert not found.live(NOW + timedelta(hours=1))
    assert await keys.revoke(found.id, NOW + timedelta(minutes=1))
    assert not await keys.revoke(found.id, NOW + timedelta(minutes=2))
    assert not await keys.revoke("nobody", NOW)
    again = await keys.find(made)
    assert again is not None
    assert again.revoked_at == NOW + timedelta(minutes=1)
    assert not again.live(NOW)


async def test_a_client_has_at_most_a_key_and_its_successor(keys: Keys):
    first = await keys.find(await keys.create("desk", READ, NOW))
    assert first is not None
    await keys.create("desk", READ, NOW)
    with pytest.raises(ValueError, match=f"desk has 2 live keys already .*{first.id}.*revoke one first"):
        await keys.create("desk", READ, NOW)
    await keys.revoke(first.id, NOW)
    await keys.create("desk", READ, NOW)
    assert len(await keys.list("desk")) == 3
    assert await keys.list("nobody") == []


async def test_unknown_scopes_and_tiers_are_refused(keys: Keys):
    with pytest.raises(ValueError, match="unknown scopes read:everything; there are read:prices"):
        await keys.create("desk", READ | {"read:everything"}, NOW)
    with pytest.raises(ValueError, match="unknown tier 'gold'"):
        await keys.create("desk", READ, NOW, tier="gold")
    assert await keys.list() == []
    assert await keys.create("desk", frozenset(SCOPES), NOW)


async def test_uses_add_up_and_the_last_use_never_goes_back(keys: Keys):
    one = public_id(await keys.create("one", READ, NOW))
    two = public_id(await keys.create("two", READ, NOW))
    assert one is not None
    assert two is not None
    await keys.used({one: 3, two: 1}, NOW + timedelta(minutes=5))
    await keys.used({one: 2}, NOW + timedelta(minutes=4))  # a slower replica reports later
    told = {key.client: (key.uses, key.last_used_at) for key in await keys.list()}
    assert told == {
        "one": (5, NOW + timedelta(minutes=5)),
        "two": (1, NOW + timedelta(minutes=5)),
    }


async def test_ids_of_keys_are_told_apart_by_their_exact_letters(node: Open, keys: Keys):
    made = await keys.create("desk", READ, NOW)
    async with node.store.database.write() as connection:
        await connection.execute(text("UPDATE api_keys SET id = UPPER(id)"))
    assert await keys.find(made) is None
