"""Pivots of the UTC day before: levels known at midnight that hold for a whole day."""

import numpy as np
import polars as pl

from ray_app.process.indicators.grid import DAY, Array, Bars
from ray_app.process.indicators.momentum import HLC
from ray_app.process.indicators.output import Output

FAMILY = "pivots"
LEVELS = {
    "pivot": "p = (high + low + close) / 3 of the UTC day before, if each of its bars is there",
    "pivot_r1": "2 p - low of that day",
    "pivot_s1": "2 p - high of that day",
    "pivot_r2": "p + high - low of that day",
    "pivot_s2": "p - high + low of that day",
    "pivot_r3": "high + 2 (p - low) of that day",
    "pivot_s3": "low - 2 (high - p) of that day",
}


def day_before_of(bars: Bars, part: int) -> Array:
    """High (0), low (1) or close (2) of the day before each bar's own; NaN unless that day is whole."""
    if bars.interval is None:
        return np.full(len(bars), np.nan)
    columns = {"high": bars.high, "low": bars.low, "close": bars.close}
    frame = pl.DataFrame({"day": bars.start.dt.truncate("1d"), **columns}).with_columns(
        pl.col("high", "low", "close").fill_nan(None)
    )
    days = frame.group_by("day", maintain_order=True).agg(
        pl.col("high").max(), pl.col("low").min(), pl.col("close").last(),
        whole=pl.col("close").count() == DAY // bars.interval,
    )  # fmt: skip
    level = days.select(
        day=pl.col("day") + DAY, level=pl.when("whole").then(pl.col(("high", "low", "close")[part]))
    )
    found = frame.select("day").join(level, on="day", how="left", maintain_order="left")["level"]
    return found.fill_null(float("nan")).to_numpy(writable=True)


def level_of(bars: Bars, which: int) -> Array:
    high, low, close = (bars.find(day_before_of, part) for part in range(3))
    middle = (high + low + close) / 3
    levels = (
        lambda: middle,
        lambda: 2 * middle - low,
        lambda: 2 * middle - high,
        lambda: middle + (high - low),
        lambda: middle - (high - low),
        lambda: high + 2 * (middle - low),
        lambda: low - 2 * (high - middle),
    )
    return levels[which]()


def pivots() -> tuple[Output, ...]:
    return tuple(
        Output(name, FAMILY, formula, HLC, "price", 0, level_of, (which,), days=1)
        for which, (name, formula) in enumerate(LEVELS.items())
    )
