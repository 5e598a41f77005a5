"""Rows of features worked out from the store as of a moment, ready to be written."""

import asyncio
from collections.abc import Collection, Mapping
from datetime import datetime

from ray_app.derive.reading import Loaded, Loader, Of
from ray_app.model.timerange import TimeRange
from ray_app.process.features.catalogue import FEATURES, compute_many, feature_set_hash
from ray_app.process.features.inputs import HOUR
from ray_app.process.features.packed import pack
from ray_app.store.reading import Point
from ray_app.store.vectors import Vector

NAMES: tuple[str, ...] = tuple(one.name for one in FEATURES)  # what is stored: the whole catalogue
SET = feature_set_hash()


async def rows(
    loader: Loader, over: TimeRange, at: Point, as_of: datetime, assets: Collection[str] | None = None
) -> list[Vector]:
    """A row per asset (None: all) and hour that ends in (over.start, over.end], if it was tracked in that hour."""
    every = await loader.symbols(at)
    wanted = [symbol for symbol, of in every.items() if assets is None or of.asset.id in assets]
    if not wanted:
        return []
    loaded = await loader.load(over, None, at, wanted)
    return await asyncio.to_thread(_rows, loaded, every, over, as_of)


def _rows(loaded: Loaded, every: Mapping[str, Of], over: TimeRange, as_of: datetime) -> list[Vector]:
    hours = [over.start + n * HOUR for n in range(1, over.length // HOUR + 1)]
    frame = compute_many(list(loaded.inputs.values()), NAMES, hours)
    out = []
    for symbol, hour, numbers in zip(frame["symbol"], frame["at"], pack(frame, NAMES), strict=True):
        of = every[symbol]
        if lived(of, hour):
            out.append(Vector(of.asset.id, hour, numbers, of.bars.name, as_of))
    return out


def lived(of: Of, hour: datetime) -> bool:
    """Whether the asset was tracked, and its candles its own, in the hour that ends then."""
    span = TimeRange(hour - HOUR, hour)
    names = of.bars.names(of.asset)
    return of.asset.tracked(span.start) and any(any(life.touched(span, HOUR)) for life in names.values())
