"""Rows of features are built from the store: at a bar's end, again after a correction, and nothing else."""

import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from ray_app.connect.api import client
from ray_app.derive.reading import Loader
from ray_app.derive.rows import NAMES, SET, rows
from ray_app.model.clock import ManualClock, SystemClock
from ray_app.model.timerange import TimeRange
from ray_app.process.features.packed import unpack
from ray_app.runtime.building import Building, Built
from ray_app.runtime.opening import Node
from ray_app.store.hot import redis_client
from ray_app.store.hot_features import HotFeatures
from ray_app.store.reading import Point
from ray_app.store.store import Store
from ray_app.store.vectors import Vector
from tests.derive.market import COINS, DAY, HOUR, NOW, REGISTRY, Market, candle, walk

MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
LONG = 300  # hours that the market of these tests has had


class Desk(Market):
    """A market, and what builds features from it."""

    def __init__(self, folder: Path, redis_url: str = "") -> None:
        self.clock = ManualClock(NOW)
        store = Store(f"sqlite+aiosqlite:///{folder / 'node.db'}", str(folder / "raw"))
        self.node = Node(
            store=store, registry=REGISTRY, clock=self.clock, assigned=(), simulated=True, reach=DAY,
            redis_url=redis_url, release="test", http=client(), features=True,
        )  # fmt: skip
        self.store = store
        self.building = Building(self.node, "me", SystemClock())

    async def open(self) -> None:
        lease, mine = [await self.store.leases.acquire(name, "me") for name in ("tests", "features")]
        assert lease is not None
        assert mine is not None
        self.lease, self.features = lease, mine
        await self.declare("coinbase.bars_1h")

    async def close(self) -> None:
        await self.building.close()
        await self.node.close()

    async def filled(self, until: datetime = NOW) -> None:
        for symbol in COINS.values():
            await self.bars(symbol, walk(symbol, LONG, until), until)

    async def look(self, at: datetime) -> Built:
        self.clock.set(at)
        return await self.building.look(self.features)

    async def stored(
        self, over: TimeRange, as_of: datetime | None = None
    ) -> dict[tuple[str, datetime], Vector]:
        found = await self.store.vectors.between(SET, list(COINS), over, Point(as_of=as_of))
        return {(one.asset, one.at): one for one in found}


WEEK = TimeRange(NOW - 7 * DAY + SECOND, NOW + DAY)


@pytest.fixture
async def desk(tmp_path: Path, prepared_sqlite: Path) -> AsyncIterator[Desk]:
    shutil.copy(prepared_sqlite, tmp_path / "node.db")
    made = Desk(tmp_path)
    await made.open()
    yield made
    await made.close()


async def test_a_week_is_built_and_each_row_can_be_worked_out_again(desk: Desk):
    await desk.filled()
    assert await desk.look(NOW + 10 * SECOND) == Built(rows=3 * 168, written=3 * 168, old=3 * 165)
    assert await desk.look(NOW + 5 * MINUTE) == Built(rows=3 * 3)
    found = await desk.stored(WEEK)
    assert set(found) == {(coin, NOW - n * HOUR) for coin in COINS for n in range(168)}
    for one in list(found.values())[::40]:
        assert one.revision == 0
        over = TimeRange(one.at - HOUR, one.at)
        (again,) = await rows(
            Loader(desk.store, REGISTRY), over, Point(as_of=one.as_of), one.as_of, {one.asset}
        )
        assert replace(again, made_at=one.made_at) == one
        bar = walk(COINS[one.asset], LONG)[-1 - (NOW - one.at) // HOUR]
        assert unpack(one.numbers, NAMES)["price_usd"] == float(bar.close)


async def test_a_row_waits_for_its_bar_and_is_made_without_it_after_a_while(desk: Desk):
    await desk.filled()
    await desk.look(NOW + 5 * SECOND)
    hour = NOW + HOUR
    for symbol in ("BTC", "ETH"):
        await desk.bars(symbol, walk(symbol, LONG + 1, hour)[-1:], hour + SECOND)
    await desk.look(hour + 10 * SECOND)
    newest = TimeRange(hour, hour + SECOND)
    assert set(await desk.stored(newest)) == {("bitcoin", hour), ("ethereum", hour)}
    await desk.look(hour + 6 * MINUTE)
    late = (await desk.stored(newest))["solana", hour]
    assert unpack(late.numbers, NAMES)["price_usd"] is None
    assert unpack(late.numbers, NAMES)["breadth_rising_24h"] is not None
    await desk.bars("SOL", walk("SOL", LONG + 1, hour)[-1:], hour + 7 * MINUTE)
    done = await desk.look(hour + 11 * MINUTE)
    assert done.written == 3  # SOL, and the market of the two others
    found = await desk.stored(newest)
    assert {place: one.revision for place, one in found.items()} == {(coin, hour): 1 for coin in COINS}
    assert unpack(found["solana", hour].numbers, NAMES)["price_usd"] is not None
    before = await desk.stored(newest, as_of=hour + 7 * MINUTE)
    assert before["solana", hour] == late


async def test_a_correction_makes_new_revisions_of_what_depends_on_it_and_of_nothing_else(desk: Desk):
    await desk.filled()
    await desk.look(NOW + MINUTE)
    before = await desk.stored(WEEK)
    at = NOW - 50 * HOUR
    await desk.bars("ETH", [candle("ETH", at - HOUR, Decimal(50), Decimal(55))], NOW + 7 * MINUTE)
    assert (await desk.look(NOW + 11 * MINUTE)).written == 3 * 3
    waits = await desk.stored(WEEK)  # old hours wait until their corrections have come to rest
    assert {place[1] for place, one in waits.items() if one != before[place]} == {
        NOW - n * HOUR for n in range(3)
    }
    assert (await desk.look(NOW + 16 * MINUTE)).written == 3 * 48
    after = await desk.stored(WEEK)
    changed = {place for place, one in after.items() if one != before[place]}
    # ETH is in the market of all, and the last week of hours looks back beyond it.
    assert changed == {(coin, at + n * HOUR) for coin in COINS for n in range(51)}
    assert {after[place].revision for place in changed} == {1}
    assert unpack(after["ethereum", at].numbers, NAMES)["price_usd"] == 55
    # as_of keeps what was said before.
    assert await desk.stored(WEEK, as_of=NOW + 10 * MINUTE) == before
    assert (await desk.look(NOW + 21 * MINUTE)).written == 0


async def test_who_holds_no_lease_builds_nothing(desk: Desk):
    await desk.store.leases.release(desk.features)
    other = await desk.store.leases.acquire("features", "another")
    assert other is not None
    assert await desk.building._alone.lease() is None


@pytest.mark.redis
async def test_the_newest_hour_is_in_redis_before_it_is_stored(
    tmp_path: Path, prepared_sqlite: Path, fresh_redis_url: str
):
    shutil.copy(prepared_sqlite, tmp_path / "node.db")
    desk = Desk(tmp_path, fresh_redis_url)
    await desk.open()
    hot = redis_client(fresh_redis_url)
    try:
        await desk.filled()
        assert await desk.building.tell()
        assert not await desk.building.tell()
        first = await HotFeatures(hot).read([*COINS, "dogecoin"])
        assert set(first) == set(COINS)
        assert {one["at"] for one in first.values()} == {NOW.isoformat()}
        hour = NOW + HOUR
        await desk.bars("ETH", walk("ETH", LONG + 1, hour)[-1:], hour + SECOND)
        desk.clock.set(hour + 2 * SECOND)
        assert await desk.building.tell()
        told = await HotFeatures(hot).read(list(COINS))
        assert {asset: (one["at"], one["stored"]) for asset, one in told.items()} == {
            "bitcoin": (NOW.isoformat(), False), "ethereum": (hour.isoformat(), False),
            "solana": (NOW.isoformat(), False),
        }  # fmt: skip
        assert await desk.stored(TimeRange(hour, hour + SECOND)) == {}
        await desk.look(hour + 5 * SECOND)
        (kept,) = (await desk.stored(TimeRange(hour, hour + SECOND))).values()
        confirmed = (await HotFeatures(hot).read(["ethereum"]))["ethereum"]
        assert confirmed["stored"] is True
        assert confirmed["features"] == told["ethereum"]["features"] == unpack(kept.numbers, NAMES)
        assert datetime.fromisoformat(confirmed["as_of"]) == kept.as_of
    finally:
        await hot.aclose()
        await desk.close()
