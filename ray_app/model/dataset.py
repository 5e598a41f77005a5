"""One line of the catalogue as its readers see it: what a data set holds, on what terms, under which names."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from ray_app.model.declared import RECORDS, lives, record_of
from ray_app.model.instruments import Asset
from ray_app.model.records import Record
from ray_app.model.texts import Article, Post
from ray_app.model.timerange import ALWAYS, Coverage, TimeRange, floor

RESTRICTED = frozenset(
    {"non_commercial", "no_redistribution"}
)  # words of a licence that need an internal key


THOUSAND = "1000"  # before the pair: a contract of small coins by the thousand


class Dataset:
    """One declared stream. `declared` is its line of the catalogue."""

    def __init__(self, name: str, declared: dict[str, Any]) -> None:
        self.name, self.declared = name, declared
        self.source: str = declared["source"]
        self.record: type[Record] = record_of(declared)
        self.partitions: tuple[str, ...] = tuple(declared["partitions"])
        self.grain = timedelta(seconds=declared["grain_seconds"])

    def about(self, partition: str, fact: str) -> str:
        """What is declared of one series (title, unit, licence, frequency); empty when nothing is."""
        return str(self.declared.get("about", {}).get(partition, {}).get(fact, ""))

    def unit(self, partition: str) -> str:
        """The unit of one series: its own, else that of the data set."""
        return self.about(partition, "unit") or str(self.declared["unit"])

    def licence(self, partition: str) -> str:
        """The licence of one series: its own, else that of the source."""
        return self.about(partition, "licence") or str(self.declared["licence"])

    def restricts(self, partition: str) -> bool:
        """Whether only keys marked `internal` may have the values of this series."""
        return not RESTRICTED.isdisjoint(self.licence(partition).split())

    def open_to(self, internal: bool, partitions: Iterable[str] | None = None) -> tuple[str, ...]:
        """Those of the series (None: of all) that a key may have the values of."""
        mine = self.partitions if partitions is None else tuple(partitions)
        return mine if internal else tuple(p for p in mine if not self.restricts(p))

    @cached_property
    def restricted(self) -> bool:
        """Whether some series of it are for keys marked `internal` only."""
        return any(self.restricts(p) for p in self.partitions) or self.restricts("")

    @property
    def tells_lives(self) -> bool:
        """Whether its declaration knows that a series has a life; those of old do not."""
        return "lives" in self.declared

    @cached_property
    def _lives(self) -> dict[str, Coverage]:
        return lives(self.declared)

    def life(self, partition: str) -> Coverage:
        return self._lives.get(partition, ALWAYS)

    @property
    def retired(self) -> bool:
        """Whether nobody collects it any more."""
        return bool(self.declared.get("retired"))

    @property
    def by_asset(self) -> bool:
        """Whether its series are coins or pairs, under the ids of its source."""
        return self.record.partition_field in ("coin", "symbol")

    @property
    def by_id(self) -> bool:
        """Whether its records are told apart by an id instead of a time: texts."""
        return issubclass(self.record, Article | Post)

    def names(self, asset: Asset) -> dict[str, Coverage]:
        """Its series that are or were the asset, oldest first, each with when it was.

        As of a time before there were lives: what the upstream calls it now, for ever.
        """
        now = {asset.ids.get(self.source, asset.id): ALWAYS}
        found = asset.lives(self.source) or now if self.tells_lives else now
        return {name: life for name, life in found.items() if name in self.partitions}

    def contracts(self, asset: Asset) -> list[str]:
        """Its perpetual contracts of the asset: called like the pair on the spot market, or by the thousand."""
        pair = asset.ids.get(self.source, asset.ids.get(self.source.removesuffix("_futures")))
        if pair is None:
            return []
        return [name for name in (pair, f"{THOUSAND}{pair}") if name in self.partitions]


def read_datasets(lines: Mapping[str, dict[str, Any]]) -> dict[str, Dataset]:
    """The lines of the catalogue that this code knows how to read, by name, in order."""
    return {name: Dataset(name, lines[name]) for name in sorted(lines) if lines[name]["record"] in RECORDS}


def named(names: Mapping[str, Coverage], over: TimeRange, grain: timedelta) -> list[tuple[str, TimeRange]]:
    """The range cut where an asset got another name: each name answers until the next one begins."""
    begun: list[tuple[datetime, str]] = [
        (one.start, name) for name, life in names.items() for one in life.ranges
    ]
    out: list[tuple[str, TimeRange]] = []
    end = over.end
    for since, name in sorted(begun, reverse=True):
        start = over.start if since <= over.start else floor(since, grain)
        if start < end:
            out.append((name, TimeRange(start, end)))
            end = start
    if end > over.start:  # before the first of them
        first = min(begun)[1]
        if out and out[-1][0] == first:
            out[-1] = first, TimeRange(over.start, out[-1][1].end)
        else:
            out.append((first, TimeRange(over.start, end)))
    return out[::-1]


def alive(names: Mapping[str, Coverage], over: TimeRange, grain: timedelta) -> list[tuple[str, TimeRange]]:
    """The runs of the range in which a series was the asset, oldest first: an id may have been another coin too."""
    return [
        (name, run) for name, part in named(names, over, grain) for run in names[name].touched(part, grain)
    ]
