from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_app.collect.planner import next_due, on_offer, plan
from ray_app.model.source import Slice, Stream
from ray_app.model.timerange import Coverage, TimeRange
from ray_app.sources.coingecko import BARS, BARS_OF_HALVES, PRICES, RATES

T0 = datetime(2026, 3, 1, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LONGEST = 6


def stream(batch: int = 1) -> Stream:
    return replace(BARS, batch=batch, longest_slice=LONGEST * HOUR)


def hours(start: int, end: int) -> TimeRange:
    return TimeRange(T0 + start * HOUR, T0 + end * HOUR)


def cells(wanted: TimeRange) -> set[int]:
    return {(wanted.start - T0) // HOUR + i for i in range(wanted.length // HOUR)}


ranges = st.tuples(st.integers(0, 48), st.integers(1, 15)).map(lambda at: hours(at[0], at[0] + at[1]))
covered = st.lists(ranges, max_size=5).map(Coverage.of)


@given(st.lists(covered, min_size=1, max_size=6), ranges, st.integers(1, 4))
def test_what_is_asked_for_is_what_is_missing(done: list[Coverage], over: TimeRange, batch: int):
    """After all planned slices nothing is missing, and no slice is asked for without need."""
    names = [f"coin-{n}" for n in range(len(done))]
    had = dict(zip(names, done, strict=True))
    slices = list(plan(stream(batch), names, over, had))
    for name in names:
        asked = [one.range for one in slices if name in one.partitions]
        missing = {cell for part in had[name].missing(over) for cell in cells(part)}
        told = [cell for part in asked for cell in sorted(cells(part))]
        assert missing <= set(told) <= cells(over)
        assert len(told) == len(set(told))
        for part in asked:  # each begins and ends with something that is missing
            assert {min(cells(part)), max(cells(part))} <= missing
            assert part.length <= LONGEST * HOUR
        for earlier, after in pairwise(asked):  # two that fit into one call are one call
            assert after.end - earlier.start > LONGEST * HOUR
    for one in slices:
        assert 1 <= len(one.partitions) <= batch
        assert len(set(one.partitions)) == len(one.partitions)
    assert [one.range for one in slices] == sorted(one.range for one in slices)


def test_gaps_that_fit_into_one_call_are_one_call():
    done = {"bitcoin": Coverage.of([hours(1, 3), hours(4, 5)])}
    assert list(plan(stream(), ["bitcoin"], hours(0, 6), done)) == [Slice(("bitcoin",), hours(0, 6))]
    done = {"bitcoin": Coverage.of([hours(1, 7)])}
    assert list(plan(stream(), ["bitcoin"], hours(0, 8), done)) == [
        Slice(("bitcoin",), hours(0, 1)),
        Slice(("bitcoin",), hours(7, 8)),
    ]


def test_what_is_complete_is_not_asked_for():
    done = {"bitcoin": Coverage.of([hours(0, 9)])}
    assert list(plan(stream(), ["bitcoin"], hours(0, 9), done)) == []


@pytest.mark.parametrize(("coins", "calls"), [(1, 1), (250, 1), (251, 2), (17_000, 68)])
def test_the_calls_that_the_prices_of_all_coins_cost(coins: int, calls: int):
    slot = TimeRange(T0, T0 + 5 * MINUTE)
    slices = list(plan(PRICES, (f"coin-{n}" for n in range(coins)), slot, {}))
    assert len(slices) == calls
    assert sorted(p for one in slices for p in one.partitions) == sorted(f"coin-{n}" for n in range(coins))


def test_partitions_with_other_gaps_are_asked_for_apart():
    done = {"ethereum": Coverage.of([hours(0, 2)])}
    slices = list(plan(stream(batch=10), ["bitcoin", "ethereum", "tether"], hours(0, 4), done))
    assert slices == [
        Slice(("bitcoin", "tether"), hours(0, 4)),
        Slice(("ethereum",), hours(2, 4)),
    ]


NOW = T0 + 10 * HOUR + 20 * MINUTE


def test_only_settled_intervals_within_reach_are_on_offer():
    """A candle may still change for 16 minutes after its end."""
    assert on_offer(BARS, NOW, 5 * HOUR) == hours(6, 10)
    assert on_offer(BARS, T0 + 10 * HOUR + 15 * MINUTE, 5 * HOUR) == hours(6, 9)
    assert on_offer(BARS, T0 + 10 * HOUR + 16 * MINUTE, 5 * HOUR) == hours(6, 10)
    assert on_offer(BARS, NOW, 20 * MINUTE) == hours(6, 10)  # back to what is awaited
    assert on_offer(replace(BARS, patience=timedelta(0)), NOW, 20 * MINUTE) is None


def test_retention_bounds_what_is_on_offer():
    assert on_offer(BARS_OF_HALVES, NOW, 30 * DAY) == hours(-12, 10)  # 23 hours back, whole intervals
    assert on_offer(replace(BARS, offers=T0 + 3 * HOUR), NOW, 30 * DAY) == hours(3, 10)
    assert on_offer(replace(BARS, offers=NOW), NOW, 30 * DAY) is None


def test_where_only_the_present_is_told_the_present_interval_is_on_offer():
    at = T0 + 10 * HOUR + 22 * MINUTE
    assert on_offer(PRICES, at, 30 * DAY) == TimeRange(at - 2 * MINUTE, at + 3 * MINUTE)
    assert on_offer(PRICES, at - 2 * MINUTE, 30 * DAY) == TimeRange(at - 2 * MINUTE, at + 3 * MINUTE)


def test_the_next_look_is_after_the_next_interval_has_settled():
    assert next_due(BARS, T0 + 10 * HOUR) == T0 + 10 * HOUR + 16 * MINUTE
    assert next_due(BARS, T0 + 10 * HOUR + 16 * MINUTE) == T0 + 11 * HOUR + 16 * MINUTE
    assert next_due(PRICES, T0) == T0 + 5 * MINUTE
    assert next_due(PRICES, T0 + 5 * MINUTE - timedelta(microseconds=1)) == T0 + 5 * MINUTE
    assert next_due(RATES, T0 + MINUTE) == T0 + HOUR


@given(st.integers(0, 10**9))
def test_what_is_new_at_the_next_look_was_not_on_offer_before(microseconds: int):
    now = T0 + timedelta(microseconds=microseconds * 100)
    due = next_due(BARS, now)
    here, there = on_offer(BARS, now, DAY), on_offer(BARS, due, DAY)
    assert here is not None
    assert there is not None
    assert now < due <= now + BARS.every
    assert there.end == here.end + HOUR


def test_a_year_of_hours_costs_as_few_calls_as_the_upstream_allows():
    over = TimeRange(T0 - 365 * DAY, T0)
    assert len(list(plan(BARS, ["bitcoin"], over, {}))) == 12  # 31 days a call
