"""Hours of a random walk as Coinbase's candles: made, stored as collecting does, and as a frame."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

import numpy as np
import polars as pl

from ray_app.model.collected import Collected
from ray_app.model.records import Bar
from ray_app.model.source import Slice
from ray_app.model.timerange import TimeRange
from ray_app.process.indicators.grid import NUMBERS, on_grid
from ray_app.sources import coinbase
from tests.serve.conftest import Running
from tests.serve.filling import HOUR, START
from tests.serve.sources import page

Rows = list[tuple[datetime, list[Decimal]]]


def walk(hours: int, seed: int = 1, until: datetime = START) -> Rows:
    """Hours of a random walk that end at `until`: (start, [open, high, low, close, volume])."""
    random = np.random.default_rng(seed)
    ends = np.round(100 * np.exp(np.cumsum(0.01 * random.standard_normal(hours + 1))), 2)
    reach = np.round(np.abs(random.standard_normal((2, hours))), 2)
    volume = np.round(random.lognormal(3, 1, hours), 3)
    rows = []
    for n in range(hours):
        high, low = max(ends[n : n + 2]) + reach[0, n], max(min(ends[n : n + 2]) - reach[1, n], 0.01)
        numbers = (ends[n], high, low, ends[n + 1], volume[n])
        rows.append((until - (hours - n) * HOUR, [Decimal(f"{x:.3f}") for x in numbers]))
    return rows


async def stored(node: Running, rows: Rows, received_at: datetime = START) -> None:
    bars = [
        Bar(
            symbol="BTC-USD", interval="1h", start=start, end=start + HOUR,
            open=numbers[0], high=numbers[1], low=numbers[2], close=numbers[3], volume=numbers[4],
        )
        for start, numbers in rows
    ]  # fmt: skip
    await answered(node, TimeRange(bars[0].start, bars[-1].end), bars, received_at)


async def answered(node: Running, over: TimeRange, bars: Sequence[Bar], received_at: datetime) -> None:
    """The upstream was asked for the range, and had these."""
    made = Collected(
        source="coinbase", stream="bars_1h", parser="candles/1", outcome="covered", received_at=received_at,
        slice=Slice(("BTC-USD",), over), records=tuple((bar, 0) for bar in bars), topic=None,
        pages=(page(coinbase.SOURCE, "bars_1h", f"{over} {bars}".encode(), received_at),),
    )  # fmt: skip
    await node.fill.commit(made)


def frame(rows: Rows, step: timedelta = HOUR) -> pl.DataFrame:
    """Whole candles of `step`, built here by Polars and not by the code under test."""
    columns = {name: [float(row[1][i]) for row in rows] for i, name in enumerate(NUMBERS)}
    hours = pl.DataFrame({"start": [start for start, _ in rows], **columns})
    if step == HOUR:
        return on_grid(hours, HOUR)
    built = hours.group_by_dynamic("start", every=step).agg(
        pl.first("open"), pl.max("high"), pl.min("low"), pl.last("close"), pl.sum("volume"), pl.len()
    )
    return on_grid(built.filter(pl.col("len") == step // HOUR).drop("len"), step)
