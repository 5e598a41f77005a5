"""What looks wrong in stored facts: rules per kind of record, each flag with its reason.

What cannot be true at all (a negative price, a low above the open) never becomes a record: it is set aside where
it is read. Here is what can be true and mostly is not. A flag changes nothing and drops nothing; it is worked
out from the facts as they stood at a moment, so the same facts give the same flags for ever.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from statistics import median
from typing import Any, Protocol, TypeVar

from ray_app.model.records import Bar, ExchangeRate, MarketPoint, Price, Record
from ray_app.model.series import FundingRate, MarketTotals, Metric, MoodIndex, Observation, OpenInterest
from ray_app.model.texts import Article, Post

MEMORY = (
    50  # facts before one that the rules look at; fewer than LEAST_STEPS say nothing about its usual steps
)
LEAST_STEPS = 10
TIMES_USUAL = 15  # how many times the usual step is a jump
STALE = timedelta(minutes=30)
AHEAD = timedelta(minutes=5)
CAP_TOLERANCE = Decimal("0.05")
DAY_RANGE_TOLERANCE = Decimal("0.01")
MOST_FUNDING = Decimal("0.03")
FLAT_BARS = 6
HELD_POLLS = 12


Seen = TypeVar("Seen", bound="Fact")


class Fact(Protocol):
    """One stored fact, as its reader gives it."""

    @property
    def cursor(self) -> datetime: ...
    @property
    def values(self) -> Mapping[str, Any]: ...
    @property
    def received_at(self) -> datetime: ...


@dataclass(slots=True)
class Before:
    """What the rules may know of the facts before one: at most MEMORY, newest last."""

    facts: list[Fact] = field(default_factory=list)

    def run(self, same: Callable[[Fact], bool]) -> int:
        """How many of the newest in a row are so."""
        count = 0
        for fact in reversed(self.facts):
            if not same(fact):
                break
            count += 1
        return count


@dataclass(frozen=True, slots=True)
class Rule:
    """`look` gives the reason for a flag, or nothing. `words` is the rule for people, figures included."""

    name: str
    words: str
    look: Callable[[Fact, Before], str | None]


@dataclass(frozen=True, slots=True)
class Flag:
    rule: str
    reason: str


def flags(record: type[Record], facts: Sequence[Seen]) -> Iterator[tuple[Seen, Flag]]:
    """The flags of one series' facts, which come in the order of their times; each fact at most once a rule."""
    before = Before()
    for fact in facts:
        for rule in RULES.get(record, ()):
            if (reason := rule.look(fact, before)) is not None:
                yield fact, Flag(rule.name, reason)
        before.facts.append(fact)
        if len(before.facts) > MEMORY:
            del before.facts[0]


def jump(name: str, least: float) -> Rule:
    """A step of a positive value against the usual size of its last steps, in logarithms."""

    def look(fact: Fact, before: Before) -> str | None:
        levels = [math.log(one.values[name]) for one in before.facts if (one.values[name] or 0) > 0]
        if not levels or not (fact.values[name] or 0) > 0:
            return None
        step = math.log(fact.values[name]) - levels[-1]
        usual = _usual(levels)
        if usual is None or abs(step) <= max(least, TIMES_USUAL * usual):
            return None
        return f"{name} moved by {math.expm1(step):+.1%} at once, usually by {math.expm1(usual):.2%}"

    words = f"{name} moves by more than {least:.0%} and more than {TIMES_USUAL} times the median of its last steps"
    return Rule("jump", words, look)


def leap(name: str) -> Rule:
    """The same for values of any sign, in their own unit."""

    def look(fact: Fact, before: Before) -> str | None:
        levels = [float(one.values[name]) for one in before.facts if one.values[name] is not None]
        if not levels or fact.values[name] is None:
            return None
        step, usual = float(fact.values[name]) - levels[-1], _usual(levels)
        if not usual or abs(step) <= TIMES_USUAL * usual:
            return None
        return f"{name} changed by {step:+.6g}, usually by {usual:.3g}"

    return Rule(
        "jump", f"{name} changes by more than {TIMES_USUAL} times the median of its last changes", look
    )


def _usual(levels: Sequence[float]) -> float | None:
    """The median size of the steps between neighbours; None where there are too few to say."""
    steps = [abs(b - a) for a, b in pairwise(levels)]
    return median(steps) if len(steps) >= LEAST_STEPS else None


def _stale(fact: Fact, _: Before) -> str | None:
    age = fact.cursor - fact.values["updated_at"]
    return f"told {age} after it was updated" if age > STALE else None


def _went_back(fact: Fact, before: Before) -> str | None:
    last = before.facts[-1].values["updated_at"] if before.facts else None
    if last is None or fact.values["updated_at"] >= last:
        return None
    return f"updated at {fact.values['updated_at'].isoformat()}, the one before at {last.isoformat()}"


def _held(fact: Fact, before: Before) -> str | None:
    """The same update told again and again."""
    row = before.run(lambda one: bool(one.values["updated_at"] == fact.values["updated_at"])) + 1
    return f"the same update for {row} polls" if row >= HELD_POLLS else None


def _cap(fact: Fact, _: Before) -> str | None:
    cap, supply = fact.values["market_cap"], fact.values["circulating_supply"]
    if not cap or not supply:
        return None
    reckoned = fact.values["price"] * supply
    off = abs(reckoned - cap) / cap
    return f"price times supply is {reckoned:.6g}, the cap {cap:.6g}" if off > CAP_TOLERANCE else None


def _day_range(fact: Fact, _: Before) -> str | None:
    low, high, price = fact.values["low_24h"], fact.values["high_24h"], fact.values["price"]
    if low is None or high is None:
        return None
    if low * (1 - DAY_RANGE_TOLERANCE) <= price <= high * (1 + DAY_RANGE_TOLERANCE):
        return None
    return f"{price} is outside of the day's range {low} to {high}"


def _flat(fact: Fact, before: Before) -> str | None:
    names = ("open", "high", "low", "close")
    told = {fact.values[name] for name in names}
    if len(told) > 1 or not fact.values["volume"]:  # without a trade nothing moves
        return None
    row = (
        before.run(lambda one: {one.values[name] for name in names} == told and bool(one.values["volume"]))
        + 1
    )
    return f"{row} bars with trades and one price" if row >= FLAT_BARS else None


def _moved_without_trade(fact: Fact, _: Before) -> str | None:
    volume = fact.values["volume"]
    if volume is None or volume > 0 or fact.values["high"] == fact.values["low"]:
        return None
    return f"from {fact.values['low']} to {fact.values['high']} with a volume of 0"


def _funding(fact: Fact, _: Before) -> str | None:
    rate = fact.values["rate"]
    return f"a rate of {rate:%}" if abs(rate) > MOST_FUNDING else None


def _mood(fact: Fact, _: Before) -> str | None:
    return f"{fact.values['value']} of 100" if fact.values["value"] > 100 else None


def _shares(fact: Fact, _: Before) -> str | None:
    both = fact.values["btc_dominance"] + (fact.values["eth_dominance"] or 0)
    return f"bitcoin and ether hold {both} % of the market" if both > 100 else None


def _ahead(fact: Fact, _: Before) -> str | None:
    ahead = fact.cursor - fact.received_at
    return f"dated {ahead} after it was received" if ahead > AHEAD else None


UPDATED = (
    Rule("stale", f"told more than {STALE} after the upstream updated it", _stale),
    Rule("went_back", "its upstream's time is before that of the one before", _went_back),
)
RULES: Mapping[type[Record], tuple[Rule, ...]] = {
    Price: (
        *UPDATED,
        jump("price", 0.05),
        Rule("held", f"the same update told in {HELD_POLLS} polls in a row or more", _held),
        Rule("cap_against_supply", f"price times supply is off the cap by more than {CAP_TOLERANCE:.0%}", _cap),
        Rule("outside_day_range", f"more than {DAY_RANGE_TOLERANCE:.0%} outside of the day's range", _day_range),
    ),
    Bar: (
        jump("close", 0.05),
        Rule("flat", f"{FLAT_BARS} bars in a row or more with trades and one price", _flat),
        Rule("moved_without_trade", "the price moved and the volume is 0", _moved_without_trade),
    ),
    MarketPoint: (jump("price", 0.05),),
    ExchangeRate: (jump("per_btc", 0.05),),
    MarketTotals: (*UPDATED, jump("market_cap", 0.05), Rule("shares", "shares of more than 100 %", _shares)),
    Metric: (leap("value"),),
    Observation: (leap("value"),),
    OpenInterest: (jump("amount", 0.10),),
    FundingRate: (Rule("beyond_usual", f"more than {MOST_FUNDING:.0%} either way", _funding),),
    MoodIndex: (Rule("beyond_scale", "more than 100", _mood),),
    Article: (Rule("dated_ahead", f"dated more than {AHEAD} after it was received", _ahead),),
    Post: (Rule("dated_ahead", f"dated more than {AHEAD} after it was received", _ahead),),
}  # fmt: skip
