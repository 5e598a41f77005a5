"""The data sets that the store's catalogue declares, kept for a few seconds, and the licences of their series."""

import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from ray_app.model.declared import RECORDS, lives, record_of
from ray_app.model.records import Record
from ray_app.model.texts import Article, Post
from ray_app.model.timerange import ALWAYS, Coverage
from ray_app.serve.problems import Problem
from ray_app.store.catalog import Catalog

KEPT_SECONDS = 5.0
RESTRICTED = frozenset(
    {"non_commercial", "no_redistribution"}
)  # words of a licence that need an internal key
INTERVALS = {
    timedelta(minutes=1): "1m",
    timedelta(minutes=5): "5m",
    timedelta(minutes=30): "30m",
    timedelta(hours=1): "1h",
    timedelta(hours=4): "4h",
    timedelta(days=1): "1d",
}


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


class Datasets:
    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._kept: tuple[float, dict[str, Dataset]] = (float("-inf"), {})

    async def all(self, as_of: datetime | None = None) -> dict[str, Dataset]:
        """By name, in order. With `as_of` what was declared then, else what is now (up to 5 s late)."""
        read_at, known = self._kept
        if as_of is None and time.monotonic() - read_at < KEPT_SECONDS:
            return known
        rows = await self._catalog.streams(as_of)
        found = {name: Dataset(name, rows[name]) for name in sorted(rows) if rows[name]["record"] in RECORDS}
        if as_of is None:
            self._kept = (time.monotonic(), found)
        return found

    async def of(self, record: type[Record], as_of: datetime | None = None) -> list[Dataset]:
        return [one for one in (await self.all(as_of)).values() if one.record is record]

    async def first(self, record: type[Record], as_of: datetime | None = None) -> Dataset:
        """The data set that holds this kind of record. Raises Problem when none was declared (by then)."""
        found = await self.of(record, as_of)
        if not found:
            raise Problem(
                "DATA_NOT_AVAILABLE", f"no data set holds {record.__name__} records here (at that time)"
            )
        return found[0]


def check_licence(dataset: Dataset, internal: bool, partitions: Iterable[str]) -> None:
    """Raise Problem when the key may not have the values of one of these series."""
    if internal or not dataset.restricted:
        return
    if closed := sorted(p for p in partitions if dataset.restricts(p)):
        raise restricted([(dataset, partition) for partition in closed])


def restricted(series: Iterable[tuple[Dataset, str]]) -> Problem:
    """The refusal that names series and licences."""
    told = left_out(series)
    named = ", ".join(sorted({f"{one['dataset']} ({one['licence']})" for one in told}))
    return Problem(
        "LICENCE_RESTRICTED",
        f"needs a key marked internal, by the licence of {named}",
        {"series": told},
    )


def left_out(series: Iterable[tuple[Dataset, str]]) -> list[dict[str, str]]:
    """Series that a key may not have, as JSON types; `meta.left_out` of answers that go without them."""
    return [
        {"dataset": dataset.name, "series": partition, "licence": dataset.licence(partition)}
        for dataset, partition in sorted(series, key=lambda one: (one[0].name, one[1]))
    ]
