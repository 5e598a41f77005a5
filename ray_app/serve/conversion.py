"""From US dollars into another currency with stored exchange rates: amount * rate[cur] / rate[usd].

Rates are units per bitcoin, all of one slot. The product is exact; the division rounds once, to 28 digits.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, localcontext
from functools import cached_property

from ray_app.model.dataset import Dataset
from ray_app.model.records import ExchangeRate
from ray_app.model.timerange import TimeRange
from ray_app.serve.problems import Problem
from ray_app.store.reading import Fact, Point, Reading

DIGITS = 28
USD = "usd"


@dataclass(frozen=True, slots=True)
class Rate:
    """One currency against the dollar at one slot."""

    currency: str
    slot: datetime
    per_btc: Decimal
    usd_per_btc: Decimal
    received_at: datetime

    def convert(self, usd: Decimal) -> Decimal:
        with localcontext(prec=200):
            product = usd * self.per_btc
        with localcontext(prec=DIGITS):
            return product / self.usd_per_btc


class RateTable:
    """The rates of many slots, for looking up what was known at a moment."""

    def __init__(self, facts: Iterable[Fact], currency: str, grain: timedelta) -> None:
        slots: dict[datetime, dict[str, Fact]] = {}
        for fact in facts:
            slots.setdefault(fact.cursor, {})[fact.partition] = fact
        self._rates = {
            slot: rate(both[currency], both[USD])
            for slot, both in slots.items()
            if {currency, USD} <= set(both)
        }
        self.longest = (
            2 * grain
        )  # one missed slot is bridged by the one before; more would be a carried value

    def __bool__(self) -> bool:
        return bool(self._rates)

    @cached_property
    def _slots(self) -> Sequence[datetime]:
        return sorted(self._rates)

    def known_at(self, moment: datetime) -> Rate | None:
        """The newest rate of that moment; None when the newest is older than `longest`."""
        place = bisect_right(self._slots, moment)
        found = self._rates[self._slots[place - 1]] if place else None
        return found if found is not None and moment - found.slot < self.longest else None


def rate(one: Fact, usd: Fact) -> Rate:
    received = max(one.received_at, usd.received_at)
    return Rate(one.partition, one.cursor, one.values["per_btc"], usd.values["per_btc"], received)


async def newest_rates(
    reading: Reading, dataset: Dataset, currencies: Iterable[str], at: Point
) -> Mapping[str, Rate]:
    """Each currency's rate at the newest slot with it and the dollar. Raises Problem naming what there is."""
    wanted = set(currencies) - {USD}
    if not wanted:
        return {}
    facts = await reading.latest(ExchangeRate, dataset.name, None, at)
    dollar = facts.get(USD)
    lacking = sorted(wanted - set(facts)) if dollar is not None else sorted(wanted)
    if lacking:
        there = sorted({USD, *facts}) if dollar is not None else [USD]
        raise no_rate(lacking, there)
    assert dollar is not None
    dollars = {dollar.cursor: dollar}
    for slot in {facts[one].cursor for one in wanted} - set(dollars):
        over = TimeRange(slot, slot + timedelta(microseconds=1))
        for fact in await reading.between(ExchangeRate, dataset.name, [USD], over, at):
            dollars[slot] = fact
    if lost := sorted(one for one in wanted if facts[one].cursor not in dollars):
        raise no_rate(lost, sorted(one for one in facts if facts[one].cursor == dollar.cursor))
    return {one: rate(facts[one], dollars[facts[one].cursor]) for one in wanted}


def no_rate(lacking: Sequence[str], there: Sequence[str]) -> Problem:
    return Problem(
        "VALIDATION_ERROR",
        f"no exchange rate for {', '.join(lacking)} (at that time)",
        {"currencies": list(lacking), "available": list(there)},
    )
