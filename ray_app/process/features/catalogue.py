"""Every feature that the node offers, and the one way to compute them, for years or for the newest hour."""

import hashlib
import json
from collections.abc import Iterable
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ray_app.process.features import calendar, macro, market, onchain, price, sentiment, technical
from ray_app.process.features.feature import Feature
from ray_app.process.features.inputs import Inputs
from ray_app.process.indicators.grid import START, Array

FEATURES: tuple[Feature, ...] = (
    *price.FEATURES, *technical.FEATURES, *sentiment.FEATURES, *onchain.FEATURES, *macro.FEATURES, *market.FEATURES,
    *calendar.FEATURES,
)  # fmt: skip
CATALOGUE: dict[str, Feature] = {one.name: one for one in FEATURES}
GROUPS = tuple(dict.fromkeys(one.group for one in FEATURES))
QUALITY = "quality"
QUALITY_FORMULA = "how many of the features that were asked for are not null / how many were asked for"


def features(names: Iterable[str | Feature] | None = None) -> list[Feature]:
    """The named features (all without names); a Feature of other parameters passes as it is.

    Raises ValueError for a name that the catalogue does not have, and for one that is asked for twice.
    """
    asked = list(FEATURES if names is None else names)
    if unknown := [one for one in asked if isinstance(one, str) and one not in CATALOGUE]:
        raise ValueError(f"no feature {', '.join(map(repr, unknown))}")
    found = [CATALOGUE[one] if isinstance(one, str) else one for one in asked]
    if len({one.name for one in found}) < len(found):
        raise ValueError("a feature is asked for twice")
    return found


def lookback(names: Iterable[str | Feature] | None = None) -> timedelta:
    """How long before the first row that is wanted series must be loaded; longer history moves no value."""
    return max((one.lookback for one in features(names)), default=timedelta(0))


def hours_before(names: Iterable[str | Feature] | None = None) -> int:
    """How many hours the frame must begin before the first row that is wanted; a longer frame moves no value."""
    return max((one.hours for one in features(names)), default=0)


def feature_set_hash(names: Iterable[str | Feature] | None = None) -> str:
    """Which features these are, in 16 hex digits: the same for any order, another once one is worked out otherwise."""
    told = sorted(
        (one.name, one.version, one.formula, [str(p) for p in one.parameters], str(one.limit))
        for one in features(names)
    )
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def compute(
    inputs: Inputs, names: Iterable[str | Feature] | None = None, at: Iterable[datetime] | None = None
) -> pl.DataFrame:
    """`symbol`, `at` (when the hour ended), a Float64 column for each feature, and `quality`.

    A row for each hour of `inputs.shared`, or for those of `at` among them. A feature is null where an input of it is
    missing or too old; the row stays. Only what was known by `at` is used. Raises ValueError for unknown names and for
    frames that lack a column.
    """
    asked = features(names)
    told = np.zeros(len(inputs.shared.at))
    columns = {}
    with np.errstate(all="ignore"):
        for one in asked:
            columns[one.name], known = _column(inputs, one)
            told += known
    ends = pl.Series(inputs.shared.at).cast(START)
    frame = pl.DataFrame({"at": ends, **columns, QUALITY: told / max(len(asked), 1)})
    if at is not None:
        frame = frame.filter(pl.col("at").is_in(pl.Series(list(at), dtype=START).implode()))
    return frame.select(pl.lit(inputs.symbol).alias("symbol"), pl.all())


def _column(inputs: Inputs, one: Feature) -> tuple[pl.Series, NDArray[np.bool_]]:
    """With where it is known. What is one for all symbols is made a column once."""
    of = inputs.shared if one.shared else inputs
    return of.keep(("column", one), lambda: _nulls(of.find(one.function, *one.parameters)))


def _nulls(found: Array) -> tuple[pl.Series, NDArray[np.bool_]]:
    known = np.isfinite(found)
    return pl.Series(np.where(known, found, np.nan), nan_to_null=True), known
