"""The data sets that the store's catalogue declares, kept for a few seconds, and the licences of their series."""

import time
from collections.abc import Iterable
from datetime import datetime, timedelta

from ray_app.model.dataset import Dataset, read_datasets
from ray_app.model.records import Record
from ray_app.serve.problems import Problem
from ray_app.store.catalog import Catalog

KEPT_SECONDS = 5.0
MOST_PAST = 16  # moments whose catalogue is kept: one question asks for it several times
INTERVALS = {
    timedelta(minutes=1): "1m",
    timedelta(minutes=5): "5m",
    timedelta(minutes=30): "30m",
    timedelta(hours=1): "1h",
    timedelta(hours=4): "4h",
    timedelta(days=1): "1d",
}


class Datasets:
    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._kept: tuple[float, dict[str, Dataset]] = (float("-inf"), {})
        self._past: dict[datetime, dict[str, Dataset]] = {}
        self._forgotten = 0

    async def all(self, as_of: datetime | None = None) -> dict[str, Dataset]:
        """By name, in order. With `as_of` what was declared then, else what is now (up to 5 s late)."""
        read_at, known = self._kept
        if as_of is None and time.monotonic() - read_at < KEPT_SECONDS:
            return known
        if as_of is not None and (then := self._past.get(as_of)) is not None:
            return then
        forgotten = self._forgotten
        rows = await self._catalog.streams(as_of)
        found = read_datasets(rows)
        if as_of is None:
            if forgotten == self._forgotten:
                self._kept = (time.monotonic(), found)
        else:  # what was declared by then stays so
            while len(self._past) >= MOST_PAST:
                del self._past[next(iter(self._past))]
            self._past[as_of] = found
        return found

    def forget(self) -> None:
        """Something was declared: read them anew, whatever is being read at the moment."""
        self._kept = (float("-inf"), {})
        self._forgotten += 1

    async def since(self) -> datetime | None:
        """When the first of them was declared: the node was set up then. None when nothing is."""
        return min((one.declared["declared_at"] for one in (await self.all()).values()), default=None)

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
