"""Training sets out of the store: each row has what anyone could have known by its hour, whenever it was collected.

What surprises: a bar that was corrected later is in its first form in the rows before the correction and in its
corrected one behind it. So the range is cut where a bar was corrected, and each part is read as known by its end.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import polars as pl

from ray_app.derive.reading import Loader, Of
from ray_app.derive.rows import lived
from ray_app.model.dataset import alive
from ray_app.model.records import Bar
from ray_app.model.timerange import TimeRange, ceil
from ray_app.process.features.catalogue import hours_before
from ray_app.process.features.feature import Feature
from ray_app.process.features.inputs import HOUR
from ray_app.process.features.training import training_set
from ray_app.store.reading import Point


async def training(
    loader: Loader,
    over: TimeRange,
    symbols: Sequence[str],
    names: Iterable[str | Feature] | None = None,
    horizons: Sequence[int] = (),
    as_of: datetime | None = None,
) -> pl.DataFrame:
    """As `process.features.training.training_set`: a row per symbol and hour that ends in (over.start, over.end].

    `as_of` freezes it: what this node had by then, of that what was known by each row. Labels are made of the candles
    as they are known by `as_of`. Rows are of the hours in which the asset was tracked. Raises ValueError for a symbol
    without candles.
    """
    asked = None if names is None else list(names)
    every = await loader.symbols(Point(as_of=as_of))
    if lost := [one for one in symbols if one not in every]:
        raise ValueError(f"there are no hourly candles in US dollars of {', '.join(lost)}")
    parts = []
    for part in await _parts(loader, every, over, asked, as_of):
        loaded = await loader.load(part, asked, Point(as_of=as_of, known_by=part.end), symbols)
        made = await asyncio.to_thread(training_set, loaded.inputs.values(), asked)
        parts.append(made.filter(pl.col("at") > part.start))
    rows = pl.concat(parts)
    if horizons:
        ahead = TimeRange(over.start, over.end + max(horizons) * HOUR)
        loaded = await loader.load(ahead, ["price_usd"], Point(as_of=as_of), symbols)
        told = await asyncio.to_thread(training_set, loaded.inputs.values(), ["price_usd"], horizons)
        rows = rows.join(
            told.drop("known_by", "price_usd", "quality"),
            on=["symbol", "at"],
            how="left",
            maintain_order="left",
        )
    return _lived(rows, every, over).sort("symbol", "at", maintain_order=True)


def _lived(rows: pl.DataFrame, every: Mapping[str, Of], over: TimeRange) -> pl.DataFrame:
    hours = [over.start + n * HOUR for n in range(1, over.length // HOUR + 1)]
    kept = [
        rows.filter(
            pl.col("symbol") == symbol, pl.col("at").is_in([h for h in hours if lived(every[symbol], h)])
        )
        for symbol in rows["symbol"].unique(maintain_order=True)
    ]
    return pl.concat(kept)


async def _parts(
    loader: Loader,
    every: Mapping[str, Of],
    over: TimeRange,
    names: Sequence[str | Feature] | None,
    as_of: datetime | None,
) -> list[TimeRange]:
    """The range, cut at the hours by which a bar that is looked at was corrected."""
    whole = TimeRange(over.start - hours_before(names) * HOUR, over.end)
    cuts = set[datetime]()
    by_stream: dict[str, set[str]] = {}
    for of in every.values():
        names_of = of.bars.names(of.asset)
        by_stream.setdefault(of.bars.name, set()).update(name for name, _ in alive(names_of, whole, HOUR))
    for stream, partitions in by_stream.items():
        frame = await loader.frames.revisions(Bar, stream, sorted(partitions), whole, (), Point(as_of=as_of))
        late = frame.filter(pl.col("known_at") > pl.col("start") + HOUR)["known_at"].to_list()
        # A row of this hour knows of the correction, the one before does not.
        cuts |= {ceil(moment, HOUR) - HOUR for moment in late}
    ends = sorted({one for one in cuts if over.start < one < over.end} | {over.end})
    return [TimeRange(start, end) for start, end in zip([over.start, *ends[:-1]], ends, strict=True)]
