"""Bars to compute indicators from: made up ones, and five years of real hours."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from ray_app.process.indicators.catalogue import compute
from ray_app.process.indicators.grid import NUMBERS, on_grid
from ray_app.process.indicators.output import Output

HOUR = timedelta(hours=1)
T0 = datetime(2020, 1, 1, tzinfo=UTC)
FIVE_YEARS = "ohlcv/hourly_binance/BTCUSDT-perp-1h-2020_2025.csv"


def frame(numbers: np.ndarray, step: timedelta = HOUR, start: datetime = T0) -> pl.DataFrame:
    """Bars from an array of (open, high, low, close, volume) rows."""
    starts = pl.datetime_range(start, start + step * (len(numbers) - 1), step, time_unit="us", eager=True)
    return pl.DataFrame({"start": starts, **{name: numbers[:, i] for i, name in enumerate(NUMBERS)}})


def walk(count: int, seed: int = 1, calm_from: int | None = None) -> pl.DataFrame:
    """A random walk in steps of a cent; from `calm_from` on it hardly moves, and often not at all."""
    random = np.random.default_rng(seed)
    size = np.full(count, 0.01)
    if calm_from is not None:
        size[calm_from:] = 5e-5
    ends = np.round(100 * np.exp(np.cumsum(size * random.standard_normal(count))), 2)
    begins = np.concatenate([[100.0], ends[:-1]])
    reach = np.round(np.abs(size * 50 * random.standard_normal((2, count))), 2)
    high, low = np.maximum(begins, ends) + reach[0], np.maximum(np.minimum(begins, ends) - reach[1], 0.01)
    volume = np.round(random.lognormal(3, 1, count), 3)
    return frame(np.column_stack([begins, high, low, ends, volume]))


def five_years(path: Path) -> pl.DataFrame:
    bars = pl.read_csv(path).with_columns(
        start=pl.col("datetime").str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us", time_zone="UTC")
    )
    return on_grid(bars, HOUR)


def without(bars: pl.DataFrame, row: int, *columns: str) -> pl.DataFrame:
    """The bars with a hole: that row lost whole, or those columns of it."""
    hole = pl.int_range(pl.len()) == row
    return bars.with_columns(pl.when(~hole).then(pl.col(name)).alias(name) for name in columns or NUMBERS)


def moved_by_the_future(bars: pl.DataFrame, outputs: list[Output], cuts: list[int]) -> set[str]:
    """Outputs of which a value changes when the bars after it are dropped."""
    whole = compute(bars, outputs, whole=True)
    moved = set()
    for cut in cuts:
        part = compute(bars[:cut], outputs, whole=True)
        moved |= {one.name for one in outputs if not alike(part[one.name], whole[one.name][:cut])}
    return moved


def moved_by_the_past(
    bars: pl.DataFrame, outputs: list[Output], ends: list[int], usual: dict[str, float]
) -> set[str]:
    """Outputs of which the newest values differ when no more is loaded than the catalogue asks for."""
    whole, rows, moved = compute(bars, outputs, whole=True), 30, set()
    for one in outputs:
        for end in ends:
            first = end - rows - one.rows_before(HOUR)
            part = compute(bars[first:end], [one])[one.name][-rows:]
            wanted = whole[one.name][end - rows : end]
            near = 1e-9 if one.recursive else 0
            if first < 0 or not alike(part, wanted, near, usual[one.name]):
                moved.add(one.name)
    return moved


def alike(one: pl.Series, other: pl.Series, near: float = 0, usual: float = 0) -> bool:
    """Null in the same places; elsewhere within `near` of the value, or of the usual size where it is smaller.

    Rounding by one digit is allowed: a processor may round a logarithm by its place in the array.
    """
    if (one.is_null() != other.is_null()).any():
        return False
    a, b = one.drop_nulls().to_numpy(), other.drop_nulls().to_numpy()
    return bool((np.abs(a - b) <= np.maximum(near, 1e-14) * np.maximum(np.abs(b), usual)).all())


def usual_sizes(computed: pl.DataFrame) -> dict[str, float]:
    """The median size of each output."""
    columns = (column.drop_nulls().to_numpy() for column in computed.drop("start").iter_columns())
    return dict(zip(computed.columns[1:], (float(np.median(np.abs(x))) for x in columns), strict=True))
