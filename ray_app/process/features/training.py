"""Training sets: features as they were known at each row, and apart from them what came after."""

from collections.abc import Iterable, Sequence

import polars as pl

from ray_app.process.features.catalogue import compute
from ray_app.process.features.feature import Feature
from ray_app.process.features.inputs import HOUR, Inputs
from ray_app.process.features.joined import need
from ray_app.process.indicators.grid import START
from ray_app.process.indicators.windows import prior, ratio

WANTED = ("symbol", "known_by")


def label_name(hours: int) -> str:
    return f"future_return_{hours}h"


def labels(inputs: Inputs, horizons: Sequence[int]) -> pl.DataFrame:
    """`symbol`, `at` and for each horizon in hours `future_return_{n}h`: the close n hours later by the close, less 1.

    They are the future and never features. Null where either bar is missing, so also in the last n rows.
    Raises ValueError for a horizon below 1.
    """
    if any(hours < 1 for hours in horizons):
        raise ValueError(f"a label looks ahead by an hour or more, not by {min(horizons)}")
    close, columns = inputs.own().close, {}
    for hours in horizons:
        later = prior(close[::-1], hours)[::-1]
        columns[label_name(hours)] = pl.Series(ratio(later - close, close), dtype=pl.Float64).fill_nan(None)
    at = pl.Series(inputs.shared.at).cast(START)
    return pl.DataFrame({"at": at, **columns}).select(pl.lit(inputs.symbol).alias("symbol"), pl.all())


def training_set(
    inputs: Iterable[Inputs],
    names: Iterable[str | Feature] | None = None,
    horizons: Sequence[int] = (),
    wanted: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Features and labels of many symbols: `symbol`, `known_by`, `at`, the features, `quality`, the labels.

    `wanted`: rows of symbol, known_by (UTC); each gets the newest hour that had ended by its known_by, at most an hour
    ago, else nulls. Without it there is a row for each hour, known by its end. Labels count from `at`.
    Raises ValueError without inputs, for two of one symbol, and for a wanted symbol that has none.
    """
    inputs = list(inputs)
    have = [one.symbol for one in inputs]
    if len(set(have)) < len(have) or not have:
        raise ValueError(f"there are inputs of each symbol once, not of {have}")
    if wanted is not None:
        need(wanted, WANTED)
        if lost := sorted(set(wanted["symbol"]) - set(have)):
            raise ValueError(f"no inputs of {', '.join(lost)}")
    asked = None if names is None else list(names)
    parts = []
    for one in inputs:
        rows = compute(one, asked).join(
            labels(one, horizons), on=["symbol", "at"], how="left", maintain_order="left"
        )
        if wanted is None:
            parts.append(rows.with_columns(known_by="at"))
            continue
        mine = (
            wanted.filter(symbol=one.symbol).select("symbol", pl.col("known_by").cast(START)).sort("known_by")
        )
        joined = mine.join_asof(
            rows.drop("symbol"),
            left_on="known_by",
            right_on="at",
            strategy="backward",
            tolerance=HOUR,
            coalesce=False,
        )
        parts.append(joined)
    return pl.concat(parts).select(*WANTED, pl.exclude(WANTED))
