from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_app.model.completeness import STATES, Schedule, Span, spans, totals
from ray_app.model.timerange import TimeRange

T0 = datetime(2026, 3, 1, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
DAY = 24 * HOUR


@dataclass(frozen=True)
class Tried:
    range: TimeRange
    outcome: str
    reason: str = ""


def hours(start: int, end: int) -> TimeRange:
    return TimeRange(T0 + start * HOUR, T0 + end * HOUR)


def schedule(
    offers: timedelta | datetime | None = T0 - 365 * DAY, wanted_from: datetime = T0 - 365 * DAY
) -> Schedule:
    return Schedule(grain=HOUR, every=HOUR, settle=16 * MINUTE, offers=offers, wanted_from=wanted_from)


def states(
    expected: Schedule,
    over: TimeRange,
    now: datetime,
    tried: Sequence[Tried] = (),
    have: Sequence[datetime] = (),
) -> list[tuple[int, int, str, str]]:
    """(first hour, hours, state, reason) of each span."""
    return [
        ((span.range.start - T0) // HOUR, span.intervals, span.state, span.reason)
        for span in spans(expected, over, now, tried, have)
    ]


def test_collected_is_what_has_a_fact():
    have = [T0, T0 + HOUR + 7 * MINUTE, T0 + 9 * HOUR]
    told = states(schedule(), hours(0, 3), T0 + DAY, [Tried(hours(0, 3), "covered")], have)
    assert told == [(0, 2, "collected", ""), (2, 1, "empty_upstream", "")]


def test_a_fact_counts_whatever_the_ledger_says():
    told = states(schedule(), hours(0, 1), T0 + DAY, [Tried(hours(0, 1), "failed", "Transient: away")], [T0])
    assert told == [(0, 1, "collected", "")]


def test_asked_and_answered_without_a_fact_is_empty_upstream():
    assert states(schedule(), hours(0, 2), T0 + DAY, [Tried(hours(-1, 3), "covered")]) == [
        (0, 2, "empty_upstream", "")
    ]


def test_not_offered_is_empty_upstream_with_its_reason():
    tried = [Tried(hours(0, 2), "not_offered", "NotOffered: coin not found")]
    assert states(schedule(), hours(0, 2), T0 + DAY, tried) == [
        (0, 2, "empty_upstream", "NotOffered: coin not found")
    ]


def test_late_is_what_should_be_here_and_was_never_tried():
    due = T0 + HOUR + 16 * MINUTE + HOUR
    assert states(schedule(), hours(0, 1), due - timedelta(microseconds=1)) == [(0, 1, "not_due", "")]
    assert states(schedule(), hours(0, 1), due) == [(0, 1, "late", "")]


def test_failed_tells_the_last_reason():
    tried = [Tried(hours(0, 1), "failed", "Transient: 500"), Tried(hours(0, 1), "failed", "Malformed: html")]
    assert states(schedule(), hours(0, 1), T0 + DAY, tried) == [(0, 1, "failed", "Malformed: html")]


def test_a_later_failure_does_not_undo_an_answer():
    tried = [Tried(hours(0, 1), "covered"), Tried(hours(0, 2), "failed", "Transient: 500")]
    assert states(schedule(), hours(0, 2), T0 + DAY, tried) == [
        (0, 1, "empty_upstream", ""),
        (1, 1, "failed", "Transient: 500"),
    ]


def test_an_interval_counts_as_tried_only_as_a_whole():
    half = TimeRange(T0, T0 + 30 * MINUTE)
    assert states(schedule(), hours(0, 1), T0 + DAY, [Tried(half, "covered")]) == [(0, 1, "late", "")]


def test_past_its_retention_an_interval_is_lost():
    """The upstream keeps one day: what began before that can never be had."""
    expected, now = schedule(offers=DAY), T0 + DAY + 2 * HOUR
    tried = [Tried(hours(1, 2), "failed", "Transient: 500")]
    assert states(expected, hours(0, 4), now, tried) == [
        (0, 1, "lost", "older than what the upstream still offers"),
        (1, 1, "lost", "Transient: 500"),
        (2, 2, "late", ""),
    ]


def test_before_the_upstreams_first_date_there_is_nothing_to_be_had():
    assert states(schedule(offers=T0 + HOUR), hours(0, 2), T0 + DAY) == [
        (0, 1, "lost", "older than what the upstream still offers"),
        (1, 1, "late", ""),
    ]


def test_where_only_the_present_is_told_a_missed_interval_is_lost_at_its_end():
    expected = schedule(offers=None)
    assert states(expected, hours(0, 2), T0 + HOUR - MINUTE) == [(0, 2, "not_due", "")]
    assert states(expected, hours(0, 2), T0 + HOUR) == [
        (0, 1, "lost", "not asked in time, and the upstream tells only the present"),
        (1, 1, "not_due", ""),
    ]
    tried = [Tried(hours(0, 1), "failed", "Transient: 500")]
    assert states(expected, hours(0, 1), T0 + HOUR - MINUTE, tried) == [(0, 1, "failed", "Transient: 500")]
    assert states(expected, hours(0, 1), T0 + HOUR, tried) == [(0, 1, "lost", "Transient: 500")]


def test_lost_in_the_ledger_is_lost():
    tried = [Tried(hours(0, 1), "lost", "disk burnt")]
    assert states(schedule(), hours(0, 1), T0 + DAY, tried) == [(0, 1, "lost", "disk burnt")]


def test_what_was_not_wanted_yet_is_not_due():
    expected = schedule(wanted_from=T0 + 2 * HOUR)
    assert states(expected, hours(1, 3), T0 + DAY) == [
        (1, 1, "not_due", "before this series was wanted"),
        (2, 1, "late", ""),
    ]


def test_the_intervals_are_whole_ones():
    over = TimeRange(T0 + 30 * MINUTE, T0 + HOUR + MINUTE)
    assert states(schedule(), over, T0 + DAY) == [(0, 2, "late", "")]


OUTCOMES = ("covered", "failed", "not_offered", "lost")
attempts = st.tuples(st.integers(0, 20), st.integers(1, 8), st.sampled_from(OUTCOMES)).map(
    lambda at: Tried(hours(at[0], at[0] + at[1]), at[2], f"{at[2]} {at[0]}" if at[2] != "covered" else "")
)
OFFERS = st.one_of(
    st.none(), st.integers(1, 30).map(lambda n: n * HOUR), st.integers(0, 25).map(lambda n: T0 + n * HOUR)
)


def naive(
    expected: Schedule, start: datetime, now: datetime, tried: list[Tried], have: list[datetime]
) -> str:
    """The rules of one interval, written a second time and otherwise: from what holds to what is left."""
    end = start + HOUR
    if any(start <= moment < end for moment in have):
        return "collected"
    about = [one for one in tried if one.range.start <= start and one.range.end >= end]
    settled = [one for one in about if one.outcome != "failed"]
    if settled:
        return "lost" if settled[-1].outcome == "lost" else "empty_upstream"
    if start < expected.wanted_from:
        return "not_due"
    over = end <= now
    if expected.offers is None:
        gone = over
    elif isinstance(expected.offers, datetime):
        gone = over and start < expected.offers
    else:
        gone = over and start < now - expected.offers
    if gone:
        return "lost"
    if about:
        return "failed"
    return "late" if over and now >= end + 16 * MINUTE + HOUR else "not_due"


@given(
    st.lists(attempts, max_size=6),
    st.sets(st.integers(0, 24), max_size=10),
    OFFERS,
    st.integers(0, 26),
    st.integers(-2, 40),
    st.integers(0, 59),
)
def test_every_interval_is_in_one_state_and_the_states_add_up(
    tried: list[Tried],
    have: set[int],
    offers: timedelta | datetime | None,
    wanted: int,
    now: int,
    minute: int,
):
    expected, over = schedule(offers, T0 + wanted * HOUR), hours(0, 25)
    moment, cursors = T0 + now * HOUR + minute * MINUTE, [T0 + n * HOUR for n in have]
    found = spans(expected, over, moment, tried, cursors)
    one_by_one = [span.state for span in found for _ in range(span.intervals)]
    assert one_by_one == [naive(expected, T0 + n * HOUR, moment, tried, cursors) for n in range(25)]
    assert [found[0].range.start, *(s.range.end for s in found)] == [
        *(s.range.start for s in found),
        over.end,
    ]
    assert all(span.range.length == span.intervals * HOUR for span in found)
    assert all((one.state, one.reason) != (after.state, after.reason) for one, after in pairwise(found))
    counts = totals(found)
    assert tuple(counts) == STATES
    assert sum(counts.values()) == 25


@pytest.mark.parametrize("state", STATES)
def test_totals_name_every_state(state: str):
    span = Span(hours(0, 3), state, "", 3)  # type: ignore[arg-type]  # one of STATES
    assert totals([span, span]) == {name: 6 if name == state else 0 for name in STATES}
