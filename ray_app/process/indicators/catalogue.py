"""Every indicator that the node offers, and the one way to compute them, over years or for the newest bar."""

from collections.abc import Iterable
from datetime import timedelta

import numpy as np
import polars as pl

from ray_app.process.indicators.averages import ema, sma, wma
from ray_app.process.indicators.channels import atr, bollinger, donchian, keltner, true_range
from ray_app.process.indicators.grid import DAY, Array, Bars
from ray_app.process.indicators.momentum import (
    momentum,
    roc,
    rsi,
    stochastic,
    stochrsi,
    tsi,
    ultimate,
    williams_r,
)
from ray_app.process.indicators.output import Output
from ray_app.process.indicators.parabolic import psar
from ray_app.process.indicators.pivots import pivots
from ray_app.process.indicators.trend import aroon, cci, directional, ichimoku, macd, ppo, trix
from ray_app.process.indicators.volume import chaikin, cumulated, ease, flows, force, volumes, vwap

OUTPUTS: tuple[Output, ...] = (
    *(sma(n) for n in (10, 20, 30, 50, 100, 200)),
    *(ema(n) for n in (12, 20, 26, 50, 100, 200)),
    wma(20),
    *macd(), *ppo(), trix(), cci(), *aroon(), *directional(), psar(), *ichimoku(),
    rsi(7), rsi(14), *stochrsi(), *stochastic(), williams_r(), momentum(), roc(), tsi(), ultimate(),
    true_range(), *atr(), *bollinger(), *keltner(), *donchian(),
    vwap(), *cumulated(), chaikin(), *flows(), force(), ease(), *volumes(),
    *pivots(),
)  # fmt: skip
CATALOGUE: dict[str, Output] = {output.name: output for output in OUTPUTS}


def outputs(names: Iterable[str | Output] | None = None) -> list[Output]:
    """The named outputs (all without names); an Output of other periods passes as it is.

    Raises ValueError for a name that the catalogue does not have.
    """
    asked = list(OUTPUTS if names is None else names)
    if unknown := [one for one in asked if isinstance(one, str) and one not in CATALOGUE]:
        raise ValueError(f"no indicator {', '.join(map(repr, unknown))}")
    return [CATALOGUE[one] if isinstance(one, str) else one for one in asked]


def rows_before(names: Iterable[str | Output] | None, interval: timedelta) -> int:
    """How many rows of the grid must come before the first row whose values are wanted.

    With at least so many, `compute` gives the same values to 1e-9 whatever else was loaded.
    """
    return max((one.rows_before(interval) for one in outputs(names)), default=0)


def compute(
    bars: pl.DataFrame, names: Iterable[str | Output] | None = None, *, whole: bool = False
) -> pl.DataFrame:
    """The bars' `start` and a Float64 column for each output, null where there is no value.

    `bars`: one symbol on the grid of one interval up to a day, as `on_grid` makes it; a bar that was not observed
    is a row of nulls. `whole` says that the frame begins where the series does. Otherwise rows whose value
    would still depend on where the frame begins are null (`rows_before` of them), so a value that is
    given is the same in every frame. Raises ValueError for unknown names and for rows that are no grid.
    """
    asked = outputs(names)
    read = Bars.of(bars)
    if read.interval is not None and DAY % read.interval:
        raise ValueError(f"bars of {read.interval} do not divide a day")
    with np.errstate(all="ignore"):
        columns = {one.name: read.find(one.function, *one.parameters) for one in asked}
    unsettled = {one.name: 0 if whole else one.rows_before(read.interval or DAY) for one in asked}
    return pl.DataFrame(
        [read.start.alias("start"), *(_column(name, x, unsettled[name]) for name, x in columns.items())]
    )


def _column(name: str, x: Array, unsettled: int) -> pl.Series:
    known = np.isfinite(x)
    known[:unsettled] = False
    return pl.Series(name, np.where(known, x, np.nan), dtype=pl.Float64, nan_to_null=True)
