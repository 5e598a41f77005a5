"""Indicators: microseconds per bar beside `ta.add_all_ta_features`, over a year of hours, and for the newest bar.

Both work on the same bars in turns in one process, each all that it has. The bars are a random walk: what the
arithmetic takes does not depend on the prices.
"""

import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import ta

from benchmarks.figures import Figure, at_least
from ray_app.process.indicators.catalogue import OUTPUTS, compute, rows_before

HOUR = timedelta(hours=1)
BARS, TURNS = 365 * 24, 3
TIMES = 10  # how much faster than ta it should be at least


def walk(count: int) -> pl.DataFrame:
    random = np.random.default_rng(1)
    close = 100 * np.exp(np.cumsum(0.01 * random.standard_normal(count)))
    start = datetime(2025, 1, 1, tzinfo=UTC)
    return pl.DataFrame(
        {
            "start": pl.datetime_range(start, start + HOUR * (count - 1), HOUR, time_unit="us", eager=True),
            "open": close,
            "high": close * (1 + 0.01 * random.random(count)),
            "low": close * (1 - 0.01 * random.random(count)),
            "close": close,
            "volume": random.lognormal(3, 1, count),
        }
    )


def seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def measure() -> dict[str, Any]:
    bars = walk(BARS)
    newest = bars[-rows_before(None, HOUR) - 1 :]
    frame = bars.drop("start").to_pandas()
    columns = 0

    def theirs() -> None:
        nonlocal columns
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = ta.add_all_ta_features(frame.copy(), "open", "high", "low", "close", "volume")
        columns = made.shape[1] - frame.shape[1]

    taken: dict[str, list[float]] = {"ours": [], "theirs": [], "newest": []}
    for _ in range(TURNS):
        taken["ours"].append(seconds(lambda: compute(bars, whole=True)))
        taken["theirs"].append(seconds(theirs))
        taken["newest"].append(seconds(lambda: compute(newest)))
    ours, ta_s, latest = (statistics.median(taken[name]) for name in ("ours", "theirs", "newest"))
    return {
        "bars": BARS,
        "ours": {"columns": len(OUTPUTS), "us_per_bar": ours / BARS * 1e6},
        "ta": {"columns": columns, "us_per_bar": ta_s / BARS * 1e6},
        "times_as_fast": ta_s / ours,
        "newest": {"bars_loaded": len(newest), "ms": latest * 1e3},
        "seconds": taken,
    }


def figures(measured: dict[str, Any]) -> Sequence[Figure]:
    out = [
        Figure(f"{name}, {measured[name]['columns']} columns", measured[name]["us_per_bar"], "µs a bar")
        for name in ("ours", "ta")
    ]
    newest = measured["newest"]
    return [
        *out,
        at_least("times as fast as ta", measured["times_as_fast"], TIMES),
        Figure(f"newest bar, {newest['bars_loaded']:,} loaded", newest["ms"], "ms"),
    ]
