"""Current prices against the closes of exchanges, as of a point in time.

Of each exchange its data set of the shortest candles is looked at. Series that are not for everybody are left
out, since both values are told to whoever may read the price.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ray_app.model.dataset import Dataset
from ray_app.model.records import Bar, Price
from ray_app.model.symbols import Asset
from ray_app.observe.crosscheck import TOLERANCE, Told, differ
from ray_app.serve.datasets import Datasets
from ray_app.store.reading import Fact, Point, Reading


@dataclass(slots=True)
class Checked:
    """By asset id what differs, in words; `changes` are when the closes that it was held against arrived.

    `of`: the data sets of these closes.
    """

    reasons: dict[str, list[str]] = field(default_factory=dict)
    changes: dict[str, list[datetime]] = field(default_factory=dict)
    of: list[str] = field(default_factory=list)


def venues(datasets: Iterable[Dataset], price: Dataset) -> list[Dataset]:
    """The data sets whose closes a data set of prices is held against: the shortest candles of each source."""
    shortest: dict[str, Dataset] = {}
    for one in datasets:
        if one.record is not Bar or one.source == price.source or one.declared["unit"] not in TOLERANCE:
            continue
        known = shortest.get(one.source)
        if known is None or one.grain < known.grain:
            shortest[one.source] = one
    return [shortest[source] for source in sorted(shortest)]


async def cross_check(
    reading: Reading,
    datasets: Datasets,
    price: Dataset,
    facts: Mapping[str, Fact],
    assets: Iterable[Asset],
    at: Point,
) -> Checked:
    """Hold the newest prices, by the price source's ids, against the newest closes."""
    out = Checked()
    if price.record is not Price:
        return out
    mine = {asset: asset.ids.get(price.source, asset.id) for asset in assets}
    asked = [asset for asset, coin in mine.items() if coin in facts and not price.restricts(coin)]
    for dataset in venues((await datasets.all(at.as_of)).values(), price) if asked else ():
        pairs = {asset: asset.ids.get(dataset.source, "") for asset in asked}
        wanted = {pair for pair in pairs.values() if pair in dataset.partitions}
        wanted -= {pair for pair in wanted if dataset.restricts(pair)}
        if not wanted:
            continue
        out.of.append(dataset.name)
        closes = await reading.latest(Bar, dataset.name, sorted(wanted), at)
        for asset in asked:
            if (close := closes.get(pairs[asset])) is None:
                continue
            out.changes.setdefault(asset.id, []).append(close.received_at)
            fact = facts[mine[asset]]
            said = differ(
                Told(price.source, fact.values["price"], "USD", fact.values["updated_at"]),
                Told(dataset.source, close.values["close"], dataset.declared["unit"], close.values["end"]),
            )
            if said is not None:
                out.reasons.setdefault(asset.id, []).append(said)
    return out
