"""Current prices: the newest of some coins, converted, and held against the closes of exchanges."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from ray_app.model.dataset import Dataset
from ray_app.model.records import ExchangeRate, Price
from ray_app.model.symbols import Asset
from ray_app.observe.health import allowed_age, worst
from ray_app.serve.conversion import USD, Rate, newest_rates
from ray_app.serve.crosscheck import Checked, cross_check
from ray_app.serve.datasets import Datasets, check_licence
from ray_app.serve.parts import Parts
from ray_app.serve.points import Standing
from ray_app.serve.problems import Problem
from ray_app.serve.wire import Answer
from ray_app.store.reading import NOW, Fact

OLD_UPSTREAM = timedelta(hours=1)  # an upstream that repeats a price for this long does not update it


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a question about current prices asks for."""

    assets: tuple[Asset, ...]
    one: bool  # a single coin, told without a list
    currencies: tuple[str, ...]
    change: bool
    market_cap: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """What the store has of some coins: `coins` are the price source's ids by asset id, `facts` are by these."""

    assets: tuple[Asset, ...]
    dataset: Dataset
    coins: dict[str, str]
    facts: dict[str, Fact]
    rates: dict[str, Rate]
    rate_source: Dataset | None
    standing: Standing

    @property
    def rate_age(self) -> timedelta:
        return timedelta(0) if self.rate_source is None else allowed_age(self.rate_source.declared)


class CurrentPrices:
    def __init__(self, parts: Parts, datasets: Datasets) -> None:
        self._parts, self._datasets = parts, datasets

    async def read(self, wanted: Wanted, standing: Standing, *, internal: bool) -> Answer:
        """From the store. Raises Problem when none of the coins has a price, or the key may not have one."""
        seen = await self.look(wanted, standing)
        check_licence(seen.dataset, internal, seen.coins.values())
        return self.tell(wanted, seen, await self.check(seen))

    async def look(self, wanted: Wanted, standing: Standing) -> Seen:
        """Read the newest prices, and the exchange rates they are told by."""
        at = standing.point.as_of
        dataset = await self._datasets.first(Price, at)
        coins = {asset.id: asset.ids.get(dataset.source, asset.id) for asset in wanted.assets}
        reading = self._parts.store.reading
        facts = await reading.latest(Price, dataset.name, sorted(coins.values()), standing.point)
        rates: dict[str, Rate] = {}
        source = None
        if (facts or not wanted.one) and set(wanted.currencies) - {USD}:
            source = await self._datasets.first(ExchangeRate, at)
            rates = dict(await newest_rates(reading, source, wanted.currencies, standing.point))
        return Seen(wanted.assets, dataset, coins, facts, rates, source, standing)

    async def check(self, seen: Seen) -> Checked:
        """Hold them against the closes of exchanges."""
        reading, point = self._parts.store.reading, seen.standing.point
        return await cross_check(reading, self._datasets, seen.dataset, seen.facts, seen.assets, point)

    def row(self, asset: Asset, wanted: Wanted, seen: Seen) -> dict[str, Any]:
        """One coin of those that were looked at. Raises Problem when it has no price."""
        fact = seen.facts.get(seen.coins[asset.id])
        if fact is None and wanted.one:
            raise Problem(
                "DATA_NOT_AVAILABLE",
                f"no price of {asset.id} is in the store (at that time)",
                {"symbol": asset.symbol, "dataset": seen.dataset.name},
            )
        return _row(asset, fact, wanted, seen.rates, seen.dataset, seen.standing)

    def tell(self, wanted: Wanted, seen: Seen, checked: Checked) -> Answer:
        """The answer about some of the coins that were looked at. Raises Problem when the one has no price."""
        dataset, rates, rate_age, standing = seen.dataset, seen.rates, seen.rate_age, seen.standing
        rows = [self.row(asset, wanted, seen) for asset in wanted.assets]
        coins = {asset.id: seen.coins[asset.id] for asset in wanted.assets}
        facts = {coin: seen.facts[coin] for coin in coins.values() if coin in seen.facts}
        allowed = allowed_age(dataset.declared)
        turns = [fact.cursor + allowed for fact in facts.values()] + [
            one.slot + rate_age for one in rates.values()
        ]
        changes = [fact.received_at for fact in facts.values()] + [one.received_at for one in rates.values()]
        changes += [change for asset in coins for change in checked.changes.get(asset, ())]
        as_of = standing.as_of(*changes, *(turn for turn in turns if turn <= standing.now))
        meta = _meta(dataset, wanted, facts, coins, rates, checked, standing, allowed, rate_age)
        ahead = [turn for turn in turns if turn > standing.now]
        source = [seen.rate_source.name] if seen.rate_source is not None else []
        return Answer(
            payload=rows[0] if wanted.one else {"data": rows},
            meta={"as_of": as_of, "known_by": standing.known_by, **meta, "simulated": self._parts.simulated},
            observed=max((fact.values["updated_at"] for fact in facts.values()), default=None),
            of=(dataset.name, *source, *checked.of) if standing.point == NOW else (),
            until=min(ahead, default=None),
        )


def _row(
    asset: Asset,
    fact: Fact | None,
    wanted: Wanted,
    rates: dict[str, Rate],
    dataset: Dataset,
    standing: Standing,
) -> dict[str, Any]:
    values = fact.values if fact is not None else {}

    def each(name: str, only_usd: bool = False) -> dict[str, Decimal | None]:
        usd = values.get(name)
        out: dict[str, Decimal | None] = {}
        for currency in wanted.currencies:
            if currency == USD:
                out[currency] = usd
            else:
                out[currency] = None if usd is None or only_usd else rates[currency].convert(usd)
        return out

    row: dict[str, Any] = {
        "symbol": asset.symbol_at(standing.asked),
        "id": asset.id,
        "name": asset.name,
        "current_price": each("price"),
    }
    if wanted.market_cap:
        row["market_cap"] = each("market_cap")
    row["volume_24h"] = each("volume_24h")
    if wanted.change:
        row["price_change_24h"] = each("change_24h", only_usd=True)
        row["price_change_percentage_24h"] = each("change_percent_24h", only_usd=True)
    row["last_updated"] = values.get("updated_at")
    row["data_source"] = dataset.source
    row["record_id"] = fact.id if fact is not None else None
    return row


def _meta(
    dataset: Dataset,
    wanted: Wanted,
    facts: dict[str, Fact],
    coins: dict[str, str],
    rates: dict[str, Rate],
    checked: Checked,
    standing: Standing,
    allowed: timedelta,
    rate_age: timedelta,
) -> dict[str, Any]:
    reasons, conditions = [], ["available"]
    for name, coin in coins.items():
        fact = facts.get(coin)
        if fact is None:
            conditions.append("degraded" if facts else "missing")
            reasons.append(f"{name}: no price yet")
        elif standing.now - fact.cursor >= allowed:
            conditions.append("degraded")
            reasons.append(f"{name}: not collected since {fact.cursor:%Y-%m-%dT%H:%MZ}")
        elif fact.cursor - fact.values["updated_at"] > OLD_UPSTREAM:
            conditions.append("degraded")
            reasons.append(
                f"{name}: not updated by the upstream since {fact.values['updated_at']:%Y-%m-%dT%H:%MZ}"
            )
        for said in checked.reasons.get(name, ()):
            conditions.append("degraded")
            reasons.append(f"{name}: {said}")
    for one in rates.values():
        if standing.now - one.slot >= rate_age:
            conditions.append("degraded")
            reasons.append(f"the exchange rate of {one.currency} is from {one.slot:%Y-%m-%dT%H:%MZ}")
    meta: dict[str, Any] = {"condition": worst(conditions), "reasons": reasons, "source": dataset.source}
    meta["attribution"] = dataset.declared["attribution"]
    if rates:
        meta["exchange_rates"] = {
            currency: {"time": one.slot, "base": USD} for currency, one in sorted(rates.items())
        }
        if wanted.change:
            meta["notes"] = ["the 24 h change is known in usd only; in other currencies it is null"]
    return meta
