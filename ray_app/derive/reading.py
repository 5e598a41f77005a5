"""Reads what features are computed from out of the store, as of a moment."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import polars as pl

from ray_app.derive.moods import moods
from ray_app.model.dataset import Dataset, alive, read_datasets
from ray_app.model.instruments import Asset
from ray_app.model.records import Bar, MarketPoint, Price, Record
from ray_app.model.series import FundingRate, MarketTotals, Metric, MoodIndex, Observation, OpenInterest
from ray_app.model.symbols import Registry
from ray_app.model.timerange import TimeRange
from ray_app.process.features.catalogue import features, hours_before
from ray_app.process.features.feature import Feature
from ray_app.process.features.inputs import FUNDING, HOUR, INTEREST, POINT, TOTALS, VALUE, Inputs, Shared
from ray_app.process.indicators.grid import NUMBERS
from ray_app.store.reading import NOW, Point
from ray_app.store.store import Store

DOLLARS = "usd"
WITHOUT_VOLUME = "coingecko"  # its candles are of all venues together and have no volume: they come last
BTC, ETH = "BTC", "ETH"


class Frames(Protocol):
    """`store.frames.Frames`, or what keeps its frames in memory."""

    async def revisions(
        self,
        record: type[Record],
        stream: str,
        partitions: Sequence[str],
        over: TimeRange,
        numbers: Sequence[str],
        at: Point = NOW,
    ) -> pl.DataFrame: ...


@dataclass(frozen=True, slots=True)
class Of:
    """A symbol of features: the asset, and the data set of its hourly candles."""

    asset: Asset
    bars: Dataset


@dataclass(frozen=True, slots=True)
class Loaded:
    """What `compute` takes, by symbol."""

    shared: Shared
    inputs: dict[str, Inputs]


def of_symbols(registry: Registry, datasets: Iterable[Dataset]) -> dict[str, Of]:
    """Every asset that has hourly candles in US dollars, by symbol; by id where another asset has the symbol.

    All that ever were, so that a row knows the same market whenever it is worked out. Candles of an exchange come
    first, since they have a volume.
    """
    wanted = [
        one
        for one in datasets
        if one.record is Bar and one.grain == HOUR and one.unit("").lower() == DOLLARS and not one.retired
    ]
    wanted.sort(key=lambda one: (one.source == WITHOUT_VOLUME, one.name))
    tracked = registry.tracked()
    out: dict[str, Of] = {}
    for asset in (*tracked, *(one for one in registry.assets if one not in tracked)):
        found = next((one for one in wanted if one.names(asset)), None)
        if found is not None:
            out[asset.symbol if asset.symbol not in out else asset.id] = Of(asset, found)
    return out


class Loader:
    def __init__(self, store: Store, registry: Registry, frames: Frames | None = None) -> None:
        self._store, self._registry = store, registry
        self.frames: Frames = frames or store.frames

    async def symbols(self, at: Point = NOW) -> dict[str, Of]:
        """What there are features of (by then)."""
        return of_symbols(self._registry, (await self._datasets(at)).values())

    async def records(self) -> dict[str, type[Record]]:
        """The kind of record of each stream."""
        return {name: one.record for name, one in (await self._datasets(NOW)).items()}

    async def load(
        self,
        over: TimeRange,
        names: Iterable[str | Feature] | None = None,
        at: Point = NOW,
        symbols: Sequence[str] | None = None,
    ) -> Loaded:
        """For rows that end after `over.start`, up to `over.end`; both on the hour. `symbols`: inputs of these only.

        Candles are in their last revision that passes. Of all else every revision that passes is there, and the
        features take each from when it was known.
        """
        asked = features(names)
        datasets = await self._datasets(at)
        every = of_symbols(self._registry, datasets.values())
        mine = {symbol: every[symbol] for symbol in (every if symbols is None else symbols)}
        kinds = {source.partition(" ")[0] for one in asked for source in one.inputs}
        whole = TimeRange(over.start - hours_before(asked) * HOUR, over.end)
        part = _Part(self.frames, datasets.values(), over, asked, at)
        bars = await part.bars(every, whole) if "bars" in kinds else {}
        points = await part.points(every) if "points" in kinds else {}
        shared = Shared(
            whole.start,
            whole.end,
            bars,
            points,
            observations=await part.named("observations", Observation),
            metrics=await part.named("metrics", Metric),
            mood=await part.one("mood", MoodIndex, VALUE),
            totals=await part.one("totals", MarketTotals, TOTALS),
        )
        funding = await part.contracts("funding", FundingRate, FUNDING, mine)
        interest = await part.contracts("open_interest", OpenInterest, INTEREST, mine)
        said: Mapping[str, pl.DataFrame] = {}
        if "sentiment" in kinds:
            assets = {of.asset.id: symbol for symbol, of in mine.items()}
            since = part.since("sentiment")
            found = await moods(self._store, datasets.values(), list(assets), since, at)
            said = {assets[name]: frame for name, frame in found.items()}
        inputs = {
            symbol: Inputs(
                symbol,
                shared,
                bars=bars.get(symbol),
                points=points.get(symbol),
                funding=funding.get(symbol),
                open_interest=interest.get(symbol),
                sentiment=said.get(symbol),
            )
            for symbol in mine
        }
        return Loaded(shared, inputs)

    async def _datasets(self, at: Point) -> dict[str, Dataset]:
        return read_datasets(await self._store.catalog.streams(at.as_of))


class _Part:
    """One loading: what is asked for, and where it is."""

    def __init__(
        self,
        frames: Frames,
        datasets: Iterable[Dataset],
        over: TimeRange,
        asked: Sequence[Feature],
        at: Point,
    ) -> None:
        self._frames, self._datasets, self._over, self._asked, self._at = (
            frames,
            list(datasets),
            over,
            asked,
            at,
        )

    def since(self, kind: str) -> TimeRange:
        """From the oldest period that a feature of this input looks at, to the end."""
        back = [one.lookback for one in self._asked if any(s.partition(" ")[0] == kind for s in one.inputs)]
        return TimeRange(self._over.start - max(back, default=timedelta(0)), self._over.end)

    async def bars(self, every: Mapping[str, Of], over: TimeRange) -> dict[str, pl.DataFrame]:
        by_dataset: dict[str, list[str]] = {}
        for symbol, of in every.items():
            by_dataset.setdefault(of.bars.name, []).append(symbol)
        out: dict[str, pl.DataFrame] = {}
        for name, symbols in by_dataset.items():
            runs = {one: alive(every[one].bars.names(every[one].asset), over, HOUR) for one in symbols}
            partitions = sorted({partition for some in runs.values() for partition, _ in some})
            frame = await self._frames.revisions(Bar, name, partitions, over, NUMBERS, self._at)
            last = await asyncio.to_thread(_last, frame)
            for symbol, some in runs.items():
                parts = [
                    last[partition].filter(pl.col("start").is_between(run.start, run.end, closed="left"))
                    for partition, run in some
                    if partition in last
                ]
                if parts:
                    out[symbol] = pl.concat(parts)
        return out

    async def points(self, every: Mapping[str, Of]) -> dict[str, pl.DataFrame]:
        """What polls and charts say of a coin's capitalisation and volume; a chart's point counts for its hour."""
        out: dict[str, list[pl.DataFrame]] = {}
        for record in (Price, MarketPoint):
            for dataset in self._of(record):
                owners = {name: symbol for symbol, of in every.items() for name in dataset.names(of.asset)}
                for partition, frame in (
                    await self._by_partition(dataset, list(owners), POINT, "points")
                ).items():
                    out.setdefault(owners[partition], []).append(frame)
        return {symbol: pl.concat(frames) for symbol, frames in out.items()}

    async def named(self, kind: str, record: type[Record]) -> pl.DataFrame | None:
        """The series that the features name: one frame with their name."""
        wanted = {s.partition(" ")[2] for one in self._asked for s in one.inputs if s.startswith(f"{kind} ")}
        names = {name for one in wanted for name in _spelt(one)}
        parts = []
        for dataset in self._of(record):
            mine = sorted(names & set(dataset.partitions))
            for name, frame in (await self._by_partition(dataset, mine, VALUE, kind)).items():
                parts.append(frame.with_columns(pl.lit(name).alias(record.partition_field)))
        return pl.concat(parts).rename({"at": record.timed_by()}) if parts else None

    async def one(self, kind: str, record: type[Record], numbers: Sequence[str]) -> pl.DataFrame | None:
        """The only series of its kind."""
        for dataset in self._of(record):
            found = await self._by_partition(dataset, dataset.partitions[:1], numbers, kind)
            for frame in found.values():
                return frame.rename({"at": record.timed_by()})
        return None

    async def contracts(
        self, kind: str, record: type[Record], numbers: Sequence[str], mine: Mapping[str, Of]
    ) -> dict[str, pl.DataFrame]:
        for dataset in self._of(record):
            owners = {one[0]: s for s, of in mine.items() if (one := dataset.contracts(of.asset))}
            found = await self._by_partition(dataset, list(owners), numbers, kind)
            return {owners[partition]: frame for partition, frame in found.items()}
        return {}

    def _of(self, record: type[Record]) -> list[Dataset]:
        return [one for one in self._datasets if one.record is record]

    async def _by_partition(
        self, dataset: Dataset, partitions: Sequence[str], numbers: Sequence[str], kind: str
    ) -> dict[str, pl.DataFrame]:
        """Per partition `at`, known_at and the numbers; nothing where no feature asks for the kind."""
        if not partitions or not any(s.partition(" ")[0] == kind for one in self._asked for s in one.inputs):
            return {}
        over = self.since(kind)
        frame = await self._frames.revisions(
            dataset.record, dataset.name, partitions, over, numbers, self._at
        )
        time = dataset.record.timed_by()
        kept = frame.select("partition", pl.col(time).alias("at"), "known_at", *numbers)
        return {
            str(key[0]): one.drop("partition")
            for key, one in kept.partition_by("partition", as_dict=True).items()
        }


def _last(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    last = frame.unique(["partition", "start"], keep="last", maintain_order=True)
    kept = last.select("partition", "start", *NUMBERS)
    return {
        str(key[0]): one.drop("partition")
        for key, one in kept.partition_by("partition", as_dict=True).items()
    }


def _spelt(name: str) -> tuple[str, ...]:
    """A metric of the symbol's own chain is one of those that are collected."""
    return tuple(name.replace("SYMBOL", coin.lower()) for coin in (BTC, ETH)) if "SYMBOL" in name else (name,)
