"""Every feature that the node offers, and the one way to compute them, for years or for the newest hour."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ray_app.process.features import calendar, macro, market, onchain, price, sentiment, technical
from ray_app.process.features.feature import Feature
from ray_app.process.features.inputs import Inputs, Rows
from ray_app.process.features.known import micros
from ray_app.process.features.symbols import Symbols
from ray_app.process.indicators.grid import START

FEATURES: tuple[Feature, ...] = (
    *price.FEATURES, *technical.FEATURES, *sentiment.FEATURES, *onchain.FEATURES, *macro.FEATURES, *market.FEATURES,
    *calendar.FEATURES,
)  # fmt: skip
CATALOGUE: dict[str, Feature] = {one.name: one for one in FEATURES}
GROUPS = tuple(dict.fromkeys(one.group for one in FEATURES))
TAILS = (256, 1100)  # rows before a wanted one: a feature that needs no more is worked out from no more
TOGETHER = 65_536  # numbers in an array of several symbols: more take memory and no less time
ARITHMETIC = 2  # goes up when the same formulas may give other last digits
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
    """Which features these are, in 16 hex digits: the same for any order, another once one is worked out otherwise,
    be it in the last digits."""
    told = sorted(
        (one.name, one.version, one.formula, [str(p) for p in one.parameters], str(one.limit))
        for one in features(names)
    )
    return hashlib.sha256(json.dumps([ARITHMETIC, *told]).encode()).hexdigest()[:16]


def compute(
    inputs: Inputs, names: Iterable[str | Feature] | None = None, at: Iterable[datetime] | None = None
) -> pl.DataFrame:
    """`symbol`, `at` (when the hour ended), a Float64 column for each feature, and `quality`.

    A row for each hour of `inputs.shared`, or for those of `at` among them. A feature is null where an input of it is
    missing or too old; the row stays. Only what was known by `at` is used. Raises ValueError for unknown names and for
    frames that lack a column.
    """
    return compute_many([inputs], names, at)


def compute_many(
    inputs: Sequence[Inputs],
    names: Iterable[str | Feature] | None = None,
    at: Iterable[datetime] | None = None,
) -> pl.DataFrame:
    """The same of symbols that have one Shared, one after the other: equal to the last bit, and faster.

    Raises ValueError as `compute` does, and for inputs of more than one Shared or none.
    """
    asked = features(names)
    if len({id(one.shared) for one in inputs}) != 1:
        raise ValueError("there are inputs of one Shared, not of several or none")
    shared = inputs[0].shared
    wanted = (
        None if at is None else np.flatnonzero(np.isin(shared.at, micros(pl.Series(list(at), dtype=START))))
    )
    together = max(TOGETHER // len(shared.at), 1)
    parts = [inputs[i : i + together] for i in range(0, len(inputs), together)]
    with np.errstate(all="ignore"):
        return pl.concat([_table(part, asked, wanted) for part in parts])


def _table(
    inputs: Sequence[Inputs], asked: Sequence[Feature], wanted: NDArray[np.int64] | None
) -> pl.DataFrame:
    """Of the wanted rows, all without."""
    shared = inputs[0].shared
    at = shared.at if wanted is None else shared.at[wanted]
    whole = Symbols(inputs, shared)
    columns, known = [], np.empty((len(asked), len(inputs) * len(at)), dtype=bool)
    for place, one in enumerate(asked):
        first = 0 if wanted is None else _first(one, wanted)
        rows = slice(None) if wanted is None else wanted - first
        column, known[place] = _column(whole.since(first), one, rows)
        columns.append(column)
    told = known.sum(axis=0, dtype=np.uint16)  # five times as fast as in the usual integers
    names = pl.concat(pl.Series("symbol", [one.symbol]).new_from_index(0, len(at)) for one in inputs)
    ends = pl.Series("at", np.tile(at, len(inputs))).cast(START)
    quality = pl.Series(QUALITY, told / float(max(len(asked), 1)))
    return pl.DataFrame([names, ends, *columns, quality])


def _first(one: Feature, wanted: NDArray[np.int64]) -> int:
    """The row from which on it is worked out."""
    tail = next((tail for tail in TAILS if tail >= one.hours), None)
    return 0 if tail is None or not len(wanted) else max(int(wanted[0]) - tail, 0)


def _column(
    symbols: Symbols, one: Feature, rows: slice | NDArray[np.int64]
) -> tuple[pl.Series, NDArray[np.bool_]]:
    """With where it is known, symbol after symbol. What is one for all symbols is made a column once."""
    count = len(symbols.inputs)
    if not one.shared:
        return _nulls(one, symbols, rows, count)
    shared = symbols.shared
    if not isinstance(rows, slice):
        return _nulls(one, shared, rows, count)
    key = ("column", one.name, one.function, one.parameters, count)
    return shared.keep(key, lambda: _nulls(one, shared, rows, count))


def _nulls(
    one: Feature, of: Rows, rows: slice | NDArray[np.int64], count: int
) -> tuple[pl.Series, NDArray[np.bool_]]:
    found = of.find(one.function, *one.parameters)[..., rows]
    x = np.broadcast_to(found, (count, found.shape[-1])).reshape(-1)
    known, column = np.isfinite(x), pl.Series(one.name, x, nan_to_null=True)
    if len(column) - column.null_count() > np.count_nonzero(known):  # some are infinite
        column = pl.Series(one.name, np.where(known, x, np.nan), nan_to_null=True)
    return column, known
