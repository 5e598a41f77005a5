"""The data sets that the store's catalogue declares, kept for a few seconds."""

import time
from datetime import datetime, timedelta
from typing import Any

from ray_app.model.declared import RECORDS, record_of
from ray_app.model.records import Record
from ray_app.serve.problems import Problem
from ray_app.store.catalog import Catalog

KEPT_SECONDS = 5.0
INTERVALS = {
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

    @property
    def restricted(self) -> bool:
        """Whether only keys marked `internal` may read it."""
        return bool({"non_commercial", "no_redistribution"} & set(self.declared["licence"].split()))

    @property
    def by_currency(self) -> bool:
        return self.record.partition_field == "currency"


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


def check_licence(dataset: Dataset, internal: bool) -> None:
    """Raise Problem when the key may not have this data set."""
    if dataset.restricted and not internal:
        raise Problem(
            "LICENCE_RESTRICTED",
            f"{dataset.name} is {dataset.declared['licence']}: it needs a key marked internal",
            {"dataset": dataset.name, "licence": dataset.declared["licence"]},
        )
