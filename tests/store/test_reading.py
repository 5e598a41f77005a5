from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import select, text

from ray_app.model.errors import StoreUnavailable
from ray_app.model.records import Bar, Price
from ray_app.store.reading import Point
from ray_app.store.store import Store
from ray_app.store.tables import FACTS
from tests.servers import MariaDB
from tests.store.conftest import Open
from tests.store.made import (
    ALWAYS,
    BARS,
    DAY,
    HOUR,
    MINUTE,
    PRICES,
    SLOT,
    T0,
    bar,
    collected,
    price,
    prices,
    told,
)


async def test_as_of_is_what_this_node_would_have_answered(node: Open):
    """Received an hour late, revised a day later."""
    await node.commit(collected([price("bitcoin", "1")], at=T0 + HOUR))
    answers = {
        moment: told(await prices(node.store, Point(as_of=T0 + moment)))
        for moment in (0 * HOUR, HOUR - MINUTE, HOUR, DAY - MINUTE)
    }
    assert answers == {
        0 * HOUR: [],
        HOUR - MINUTE: [],
        HOUR: [("bitcoin", 0, Decimal(1))],
        DAY - MINUTE: [("bitcoin", 0, Decimal(1))],
    }
    await node.commit(collected([price("bitcoin", "2")], at=T0 + DAY))
    for moment, answer in answers.items():  # the past does not change
        assert told(await prices(node.store, Point(as_of=T0 + moment))) == answer
    assert told(await prices(node.store, Point(as_of=T0 + DAY))) == [("bitcoin", 1, Decimal(2))]


async def test_as_of_tells_nothing_that_nobody_could_know_yet(node: Open):
    """Received at T0 from an upstream whose clock runs three minutes ahead of ours."""
    await node.commit(collected([price("bitcoin", "1", T0 + 3 * MINUTE)], at=T0))
    assert told(await prices(node.store, Point(as_of=T0 + 2 * MINUTE))) == []
    assert told(await prices(node.store, Point(as_of=T0 + 3 * MINUTE))) == [("bitcoin", 0, Decimal(1))]


async def test_known_by_is_what_anyone_could_have_known(node: Open):
    """Backfilled a year later: known at its end, not when we had it; a correction is known when we had it."""
    candle, late = bar(T0), T0 + 365 * DAY
    await node.commit(collected([candle], at=late, stream="bars_1h", topic=None))
    await node.commit(collected([bar(T0, close="3")], at=late + DAY, stream="bars_1h", topic=None))

    async def closes(at: Point) -> list[Decimal]:
        found = await node.store.reading.between(Bar, BARS, ["bitcoin"], ALWAYS, at)
        return [fact.values["close"] for fact in found]

    assert await closes(Point(known_by=T0 + HOUR - MINUTE)) == []  # the bar had not ended
    assert await closes(Point(known_by=T0 + HOUR)) == [2]
    assert await closes(Point(as_of=T0 + HOUR)) == []
    assert await closes(Point(known_by=late + DAY)) == [3]
    assert await closes(Point(as_of=late, known_by=T0 + HOUR)) == [2]
    assert await closes(Point(as_of=late - MINUTE, known_by=late + DAY)) == []


async def test_the_latest_is_the_newest_cursor_in_its_last_revision(node: Open):
    await node.commit(collected([price("bitcoin", "1"), price("ethereum", "9")]))
    await node.commit(collected([price("bitcoin", "2", T0 + SLOT)], at=T0 + SLOT))
    await node.commit(collected([price("bitcoin", "3")], at=T0 + HOUR))  # an older slot corrected
    latest = await node.store.reading.latest(Price, PRICES)
    assert {coin: fact.values["price"] for coin, fact in latest.items()} == {"bitcoin": 2, "ethereum": 9}
    before = await node.store.reading.latest(Price, PRICES, ["bitcoin"], Point(as_of=T0 + SLOT - MINUTE))
    assert {coin: fact.values["price"] for coin, fact in before.items()} == {"bitcoin": 1}
    assert await node.store.reading.latest(Price, PRICES, ["dogecoin"]) == {}


async def test_a_fact_leads_to_its_page(node: Open):
    one = collected([price("bitcoin", "1")], body=b'[{"id": "bitcoin"}]')
    await node.store.raw.keep(one.pages[0])
    await node.commit(one)
    lineage = await node.store.reading.lineage(Price, PRICES, "bitcoin", T0, 0)
    assert lineage is not None
    assert (lineage["hash"], lineage["body"]) == (one.pages[0].id, one.pages[0].body_hash)
    assert node.store.raw.load(lineage["hash"], lineage["received_at"]).body == b'[{"id": "bitcoin"}]'
    assert await node.store.reading.lineage(Price, PRICES, "bitcoin", T0, 1) is None


@pytest.mark.slow
async def test_a_server_that_is_away_is_waited_for(
    mariadb: MariaDB, fresh_mariadb_database: str, tmp_path: Path
):
    store = Store(fresh_mariadb_database, str(tmp_path))
    await store.database.prepare(simulated=True)
    lease = await store.leases.acquire("shard", "me")
    assert lease is not None
    one = collected([price("bitcoin", "1")])
    with mariadb.outage():
        with pytest.raises(StoreUnavailable):
            await store.commit([one], lease)
        with pytest.raises(StoreUnavailable):
            await prices(store)
    assert (await store.commit([one], lease)).new == 1
    assert told(await prices(store)) == [("bitcoin", 0, Decimal(1))]
    await store.close()


async def test_a_session_in_another_time_zone_tells_the_same_times(
    fresh_mariadb_database: str, tmp_path: Path
):
    """The server lives at -09:30 and this session at +09:00: what is written and read is UTC."""
    store = Store(fresh_mariadb_database, str(tmp_path))
    await store.database.prepare(simulated=True)
    lease = await store.leases.acquire("shard", "me")
    assert lease is not None
    slot = T0.replace(microsecond=1)
    await store.commit([collected([price("bitcoin", "1", slot)])], lease)
    async with store.database.read() as connection:
        await connection.execute(text("SET SESSION time_zone = '+09:00'"))
        (there,) = (await connection.execute(select(FACTS[Price].c.slot))).scalars()
        assert there == slot
        await connection.execute(text("SET SESSION time_zone = '+00:00'"))
    (fact,) = await prices(store)
    assert fact.cursor == slot
    await store.close()
