"""The rules that flag what looks wrong: each on facts that break it, and on their neighbours that do not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_app.model.records import Bar, Price, Record
from ray_app.model.series import FundingRate, MarketTotals, Metric, MoodIndex
from ray_app.model.texts import Article
from ray_app.process.quality import FLAT_BARS, HELD_POLLS, LEAST_STEPS, MEMORY, RULES, flags

T0 = datetime(2026, 6, 1, tzinfo=UTC)
POLL, HOUR = timedelta(minutes=5), timedelta(hours=1)


@dataclass(frozen=True)
class Stored:
    cursor: datetime
    values: Mapping[str, Any]
    received_at: datetime


def flagged(record: type[Record], facts: Sequence[Stored]) -> list[tuple[int, str]]:
    """(place, rule) of every flag."""
    places = {id(fact): place for place, fact in enumerate(facts)}
    return [(places[id(fact)], flag.rule) for fact, flag in flags(record, facts)]


def polls(prices: Sequence[str], **more: Any) -> list[Stored]:
    """One price a poll, each updated a moment before."""
    nothing: dict[str, Any] = dict.fromkeys(("market_cap", "circulating_supply", "low_24h", "high_24h"))
    out = []
    for n, price in enumerate(prices):
        at = T0 + n * POLL
        values = nothing | {"price": Decimal(price), "updated_at": at - timedelta(seconds=20)} | more
        out.append(Stored(at, values, at + timedelta(seconds=1)))
    return out


def bars(closes: Sequence[str], volume: str | None = "1", spread: str = "0.5") -> list[Stored]:
    out = []
    for n, close in enumerate(closes):
        c, half = Decimal(close), Decimal(spread)
        values: dict[str, Any] = {"open": c, "high": c + half, "low": c - half, "close": c}
        values["volume"] = None if volume is None else Decimal(volume)
        out.append(Stored(T0 + n * HOUR, values, T0 + (n + 1) * HOUR))
    return out


STEADY = [str(100 + n % 2) for n in range(20)]  # a step of 1 % each time


def test_a_jump_is_measured_against_the_last_steps():
    """The last bar is at 101: fifteen times a percent, in logarithms, is from 87.0 to 117.3."""
    assert flagged(Bar, bars([*STEADY, "118"])) == [(20, "jump")]
    assert flagged(Bar, bars([*STEADY, "117"])) == []
    assert flagged(Bar, bars([*STEADY, "86.9"])) == [(20, "jump")]
    assert flagged(Bar, bars([*STEADY, "87.1"])) == []


def test_a_step_that_is_small_is_no_jump_however_still_it_was():
    still = ["100"] * 20
    assert flagged(Bar, bars([*still, "104.9"], spread="0.5")) == []
    assert flagged(Bar, bars([*still, "105.2"], spread="0.5")) == [(20, "jump")]


def test_who_has_no_history_has_no_usual_steps():
    assert flagged(Bar, bars([*STEADY[:LEAST_STEPS], "150"])) == []
    assert flagged(Bar, bars([*STEADY[: LEAST_STEPS + 1], "150"])) == [(LEAST_STEPS + 1, "jump")]


def test_a_jump_there_and_back_is_two():
    assert flagged(Bar, bars([*STEADY, "150", "100"])) == [(20, "jump"), (21, "jump")]


def test_what_lies_far_back_is_forgotten():
    wild = [str(100 * (1 + n % 2)) for n in range(MEMORY)]
    calm = [str(100 + n % 2) for n in range(MEMORY)]
    assert (2 * MEMORY, "jump") in flagged(Bar, bars([*wild, *calm, "130"]))
    assert (MEMORY + 5, "jump") not in flagged(Bar, bars([*wild, *calm[:5], "130"]))


def test_bars_that_stand_still_although_there_is_trade():
    one_price = bars(["100"] * (FLAT_BARS + 1), spread="0")
    assert flagged(Bar, one_price) == [(FLAT_BARS - 1, "flat"), (FLAT_BARS, "flat")]
    assert flagged(Bar, bars(["100"] * 9, spread="0", volume="0")) == []
    assert flagged(Bar, bars(["100"] * 9, spread="0", volume=None)) == []


def test_a_bar_that_moves_without_trade():
    assert flagged(Bar, bars(["100"], volume="0")) == [(0, "moved_without_trade")]
    assert flagged(Bar, bars(["100"], volume=None)) == []


def test_a_price_that_is_old_when_it_is_told():
    old = polls(["100"], updated_at=T0 - timedelta(minutes=31))
    assert flagged(Price, old) == [(0, "stale")]
    assert flagged(Price, polls(["100"], updated_at=T0 - timedelta(minutes=30))) == []


def test_an_update_that_is_told_for_an_hour_is_held():
    same = polls(["100"] * (HELD_POLLS + 1), updated_at=T0)
    rules = flagged(Price, same)
    assert [(place, rule) for place, rule in rules if rule == "held"] == [
        (HELD_POLLS - 1, "held"), (HELD_POLLS, "held"),
    ]  # fmt: skip
    assert flagged(Price, polls(["100"] * (HELD_POLLS + 1))) == []  # one price, and updated each time


def test_an_update_of_before_the_last_one():
    first, second = polls(["100", "100"])
    back = Stored(second.cursor, {**second.values, "updated_at": T0 - POLL}, second.received_at)
    assert flagged(Price, [first, back]) == [(1, "went_back")]


@pytest.mark.parametrize(
    ("cap", "found"), [("1000", []), ("1050", []), ("1060", [(0, "cap_against_supply")])]
)
def test_supply_times_price_is_the_cap(cap: str, found: list[Any]):
    told = {"market_cap": Decimal(cap), "circulating_supply": Decimal(10)}
    assert flagged(Price, polls(["100"], **told)) == found


@pytest.mark.parametrize(("price", "found"), [("98.9", [(0, "outside_day_range")]), ("99", []), ("111", [])])
def test_a_price_lies_within_its_day(price: str, found: list[Any]):
    assert flagged(Price, polls([price], low_24h=Decimal(100), high_24h=Decimal(110))) == found


def only(values: Mapping[str, Any]) -> list[Stored]:
    return [Stored(T0, values, T0)]


def test_the_others():
    totals = {"updated_at": T0, "market_cap": Decimal(1), "btc_dominance": Decimal(60)}
    assert flagged(MarketTotals, only(totals | {"eth_dominance": Decimal(41)})) == [(0, "shares")]
    assert flagged(MarketTotals, only(totals | {"eth_dominance": None})) == []
    assert flagged(FundingRate, only({"rate": Decimal("-0.031")})) == [(0, "beyond_usual")]
    assert flagged(FundingRate, only({"rate": Decimal("0.03")})) == []
    assert flagged(MoodIndex, only({"value": Decimal(101)})) == [(0, "beyond_scale")]
    assert flagged(Article, [Stored(T0 + 2 * POLL, {}, T0)]) == [(0, "dated_ahead")]
    assert flagged(Article, [Stored(T0, {}, T0)]) == []


def test_a_series_of_any_sign_leaps():
    steps = [Decimal(n % 2) - 5 for n in range(20)]
    told = [Stored(T0 + n * HOUR, {"value": value}, T0) for n, value in enumerate([*steps, Decimal(12)])]
    assert flagged(Metric, told) == [(20, "jump")]


def test_the_reason_has_both_figures():
    ((_, flag),) = flags(Bar, bars([*STEADY, "150"]))
    assert flag.reason == "close moved by +48.5% at once, usually by 1.00%"


def test_every_rule_says_itself_once():
    for rules in RULES.values():
        assert len({rule.name for rule in rules}) == len(rules)
        assert all(rule.words for rule in rules)


@given(st.lists(st.decimals("0.000001", "1000000", places=6), max_size=70), st.integers(0, 70))
def test_the_past_does_not_know_the_future(closes: list[Decimal], cut: int):
    """Nothing is dropped, and what comes later moves no flag."""
    told = bars([str(close) for close in closes], spread="0")
    assert flagged(Bar, told[:cut]) == [found for found in flagged(Bar, told) if found[0] < cut]
