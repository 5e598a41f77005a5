"""/api/v1/export: every kind from end to end, rows as exact as the store's, frozen by as_of, closed by licence."""

from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.serve.conftest import Running, Start, at
from tests.serve.exporting import ROUTE, Desk
from tests.serve.filling import HOUR, MINUTE, ohlc


@pytest.fixture
async def desk(start: Start, tmp_path: Path) -> AsyncIterator[Desk]:
    from ray_app.store.export_files import ExportFiles

    running = await start(exports=ExportFiles(str(tmp_path / "exports")))
    await running.fill.declare()
    made = Desk(running, tmp_path / "exports")
    yield made
    await made.close()


async def test_bars_from_asking_to_reading(desk: Desk):
    candles = [ohlc(n) for n in range(6)]
    await desk.running.fill.bars("bitcoin", at(-6), candles, at(minutes=1))
    await desk.running.fill.bars("ethereum", at(-6), candles[:4], at(minutes=1))
    desk.running.clock.set(at(minutes=2))
    made = await desk.made(what="bars", interval="1h")
    rows = await desk.frame(made)
    assert rows.height == 10
    print(made, rows)
