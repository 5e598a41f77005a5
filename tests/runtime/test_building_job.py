"""Rows of a long range as a job: every hour of every asset is accounted for, killed and started again included."""

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ray_app.connect.api import client
from ray_app.derive.rows import NAMES, SET
from ray_app.model.clock import ManualClock
from ray_app.model.errors import Fenced
from ray_app.model.timerange import TimeRange
from ray_app.process.features.packed import unpack
from ray_app.runtime import building_job
from ray_app.runtime.building_job import JOB, Receipt, SpanBuilder, build_job
from ray_app.runtime.opening import Node
from ray_app.runtime.skew import check_skew
from ray_app.store.store import Store
from tests.derive.market import COINS, DAY, HOUR, NOW, REGISTRY, walk
from tests.runtime.test_building import WEEK, Desk, desk

__all__ = ["desk"]
OVER = TimeRange(NOW - 6 * DAY, NOW)


async def opened(url: str, raw: str) -> Node:
    """A node over a store, as each actor opens it."""
    return Node(
        store=Store(url, raw), registry=REGISTRY, clock=ManualClock(NOW + HOUR), assigned=(), simulated=True,
        reach=DAY, redis_url="", release="test", http=client(), features=True,
    )  # fmt: skip


def opening(folder: Path) -> Any:
    return partial(opened, f"sqlite+aiosqlite:///{folder / 'node.db'}", str(folder / "raw"))


def near(builder: "partial[SpanBuilder]", items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the pool does, by one builder in this process."""
    one = builder()
    try:
        return [one(item) for item in items]
    finally:
        one.close()


@pytest.fixture
async def ready(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(building_job, "SPAN", 2 * DAY)
    await desk.filled()
    desk.clock.set(NOW + HOUR / 2)
    return desk


async def test_every_hour_of_every_asset_is_built_once(ready: Desk, tmp_path: Path):
    first = await build_job(ready.node, opening(tmp_path), OVER, run=near)
    assert first == Receipt(wanted=3 * 144, written=3 * 144, spans=3)
    found = await ready.stored(WEEK)
    assert set(found) == {(coin, NOW - n * HOUR) for coin in COINS for n in range(144)}
    for (asset, at), one in found.items():
        close = walk(COINS[asset], 300)[-1 - (NOW - at) // HOUR].close
        assert unpack(one.numbers, NAMES)["price_usd"] == float(close)
    assert await build_job(ready.node, opening(tmp_path), OVER, run=near) == Receipt(wanted=432, there=432)
    again = await build_job(ready.node, opening(tmp_path), OVER, run=near, again=True)
    assert again == Receipt(wanted=432, unchanged=432, spans=3)
    skew = await check_skew(ready.node, WEEK, most=10)
    assert (skew.rows, skew.differing, skew.largest) == (30, 0, 0.0)


async def test_what_was_killed_goes_on_where_it_stopped(ready: Desk, tmp_path: Path):
    def killed(builder: "partial[SpanBuilder]", items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        near(builder, items[:1])
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        await build_job(ready.node, opening(tmp_path), OVER, run=killed)
    rest = await build_job(ready.node, opening(tmp_path), OVER, run=near)
    assert rest == Receipt(wanted=432, there=144, written=288, spans=2)


async def test_a_row_that_is_no_longer_what_it_was_is_told(ready: Desk, tmp_path: Path):
    """Somebody changed a stored number: the largest difference says so, and /metrics has it."""
    one_day = TimeRange(NOW - DAY, NOW)
    await build_job(ready.node, opening(tmp_path), one_day, {"solana"}, run=near)
    (row, *_) = (await ready.stored(WEEK)).values()
    place = NAMES.index("price_usd")
    numbers = np.frombuffer(row.numbers, "<f8").copy()
    numbers[place] += 0.5
    wrong = type(row)(row.asset, row.at, numbers.tobytes(), row.bars, row.as_of)
    await ready.store.vectors.write(SET, [wrong], ready.node.clock.now, ready.features)
    found = await check_skew(ready.node, WEEK)
    assert (found.rows, found.differing, found.largest, found.worst) == (25, 1, 0.5, ("price_usd",))
    assert (await ready.store.vectors.skew() or {})["largest"] == 0.5


@pytest.mark.parametrize(
    ("over", "assets", "said"),
    [
        (TimeRange(NOW, NOW + HOUR), None, "rows are of hours that are over"),
        (TimeRange(NOW - HOUR, NOW - timedelta(minutes=30)), None, "whole hours"),
        (OVER, {"dogecoin"}, "no hourly candles in US dollars of dogecoin"),
    ],
)
async def test_a_range_that_cannot_be_built_is_refused(
    ready: Desk, tmp_path: Path, over: TimeRange, assets: set[str] | None, said: str
):
    with pytest.raises(ValueError, match=said):
        await build_job(ready.node, opening(tmp_path), over, assets, run=near)


async def test_a_job_runs_once_at_a_time(ready: Desk, tmp_path: Path):
    assert await ready.store.leases.acquire(JOB, "another") is not None
    with pytest.raises(Fenced, match="running elsewhere"):
        await build_job(ready.node, opening(tmp_path), OVER, run=near)


@pytest.mark.slow
@pytest.mark.ray
async def test_the_pool_of_ray_data_builds_the_same(ready: Desk, tmp_path: Path, ray_session: None):
    over = TimeRange(NOW - 4 * DAY, NOW)
    done = await build_job(ready.node, opening(tmp_path), over)
    assert done == Receipt(wanted=3 * 96, written=3 * 96, spans=2)
    again = await build_job(ready.node, opening(tmp_path), over, run=near, again=True)
    assert again == Receipt(wanted=288, unchanged=288, spans=2)
