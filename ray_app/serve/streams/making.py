"""Events of the log as what clients are told: names resolved, numbers exact, licences applied.

An event that cannot be read is left out and logged: it must not hold up those behind it.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from ray_app.model.dataset import Dataset
from ray_app.model.errors import StoreUnavailable
from ray_app.model.records import Price
from ray_app.model.symbols import Registry
from ray_app.observe.log import logger
from ray_app.serve.datasets import Datasets
from ray_app.serve.streams.items import Item
from ray_app.store.outbox import Event
from ray_app.store.reading import Fact
from ray_app.store.store import Store

log = logger("streams")
PRICE_DATA = {
    "price_usd": "price",
    "volume_24h": "volume_24h",
    "market_cap": "market_cap",
    "change_24h": "change_24h",
    "change_percent_24h": "change_percent_24h",
}


class Making:
    """What all topics have in common. `_item` makes one item of a record of the topic."""

    first = 1_000

    def __init__(self, store: Store, registry: Registry, datasets: Datasets) -> None:
        self._store, self._registry, self._datasets = store, registry, datasets
        self._known: Mapping[str, Dataset] = {}

    async def standing(self) -> list[Item]:
        """Nothing: the events in memory tell it."""
        return []

    async def items(self, events: Sequence[Event]) -> list[Item]:
        """Those of these events of which something is left."""
        await self._look()
        return list(self._made(events))

    async def _look(self) -> None:
        """Which data sets there are; without the store those that were known."""
        try:
            self._known = await self._datasets.all()
        except StoreUnavailable:
            if not self._known:
                raise

    def _made(self, events: Sequence[Event]) -> Iterator[Item]:
        for event in events:
            try:
                item = self._one(event)
            except Exception:  # whatever is in an event, the others are told
                log.exception("event %s could not be read", event.number)
                continue
            if item is not None:
                yield item

    def _one(self, event: Event) -> Item | None:
        record = event.record
        if "interval" in record:
            return self._ended(event)
        if "delete" in record:
            return self._deleted(event)
        return self._item(event)

    def _item(self, event: Event) -> Item | None:
        raise NotImplementedError

    def _closed(self, stream: str, partition: str) -> bool:
        """Whether values of a series are for internal keys only; of one that nobody declared they are."""
        dataset = self._known.get(stream)
        return dataset is None or dataset.restricts(partition)

    def _assets(self, stream: str, partitions: Sequence[str]) -> frozenset[str] | None:
        """Whom the series of a data set are about; None: everybody."""
        source = stream.partition(".")[0]
        dataset = self._known.get(stream)
        if dataset is None or not dataset.by_asset:
            return None
        found = (self._registry.by_venue(source, one) for one in partitions)
        return frozenset(asset.id for asset in found if asset is not None)

    def _ended(self, event: Event) -> Item:
        """How an interval ended: complete, or a gap."""
        record = event.record
        stream, partitions = str(record["stream"]), [str(one) for one in record["partitions"]]
        start, end = (datetime.fromisoformat(one) for one in record["interval"])
        body: dict[str, Any] = {"series": stream, "members": partitions, "from": start, "to": end}
        kind = "interval_complete"
        if record["outcome"] != "covered":
            kind = "gap"
            body |= {"outcome": record["outcome"], "reason": str(record["reason"])}
        left = [one for one in partitions if not self._closed(stream, one)]
        return Item(
            number=event.number,
            type=kind,
            whole=body,
            open_={**body, "members": left} if left else None,
            assets=self._assets(stream, partitions),
            size=200 + sum(map(len, partitions)),
        )

    def _deleted(self, event: Event) -> Item:
        stream, feed = event.record["series"]
        name = text_name(stream, feed, event.record["delete"])
        body = {"id": name, "reason": str(event.record["reason"])}
        open_ = None if self._closed(stream, feed) else body
        return Item(event.number, "delete", body, open_, None, about=name, size=200)


def text_name(stream: str, feed: str, item: str) -> str:
    """The id of a text in all its revisions: that of a record without the revision."""
    return f"{stream}:{feed}:{item}"


def exact(value: Any) -> Decimal | None:
    """A number as the log holds it."""
    return None if value is None else Decimal(str(value))


def moment(value: Any) -> datetime | None:
    return None if value is None else datetime.fromisoformat(str(value))


class Prices(Making):
    """Collected prices."""

    first = 2_000

    async def standing(self) -> list[Item]:
        """The newest price of each coin: one that is told once a day is no event of the last hours."""
        await self._look()
        out = []
        for dataset in self._known.values():
            if dataset.record is Price:
                facts = await self._store.reading.latest(Price, dataset.name, dataset.partitions)
                out += [self._of_fact(fact) for fact in facts.values()]
        return out

    def _item(self, event: Event) -> Item:
        record = event.record
        stream, coin = record["series"]
        told: dict[str, Any] = {name: exact(record[of]) for name, of in PRICE_DATA.items()}
        slot, updated = (datetime.fromisoformat(record[one]) for one in ("slot", "updated_at"))
        fact = Fact(stream, coin, slot, slot, record["revision"], {}, slot, event.received_at)
        return self._price(event.number, fact, told, updated)

    def _of_fact(self, fact: Fact) -> Item:
        told = {name: fact.values[of] for name, of in PRICE_DATA.items()}
        return self._price(0, fact, told, fact.values["updated_at"])

    def _price(self, number: int, fact: Fact, told: Mapping[str, Any], updated: datetime) -> Item:
        source = fact.stream.partition(".")[0]
        asset = self._registry.by_venue(source, fact.partition, fact.cursor)
        name = asset.id if asset is not None else fact.partition
        body = {
            "symbol": asset.symbol if asset is not None else None,
            "id": name,
            "data": told,
            "timestamp": updated,
            "slot": fact.cursor,
            "received_at": fact.received_at,
            "source": source,
            "revision": fact.revision,
            "record_id": fact.id,
        }
        closed = self._closed(fact.stream, fact.partition)
        about = frozenset([name])
        return Item(number, "price_update", body, None if closed else body, about, name, fact.cursor, 1_500)
