from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_app.model.timerange import Coverage, TimeRange, ceil, floor

T0 = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def hours(start: int, end: int) -> TimeRange:
    return TimeRange(T0 + start * HOUR, T0 + end * HOUR)


def cells(*ranges: TimeRange) -> set[int]:
    """The hours that the ranges hold, one by one: the naive model of a range."""
    return {(r.start - T0) // HOUR + i for r in ranges for i in range(r.length // HOUR)}


ranges = st.tuples(st.integers(0, 40), st.integers(1, 12)).map(lambda at: hours(at[0], at[0] + at[1]))


@given(st.lists(ranges, max_size=8), ranges)
def test_coverage_is_the_union_and_missing_is_the_rest(done: list[TimeRange], wanted: TimeRange):
    coverage = Coverage.of(done)
    assert cells(*coverage.ranges) == cells(*done)
    assert list(coverage.ranges) == sorted(coverage.ranges)
    assert all(
        one.end < after.start for one, after in zip(coverage.ranges, coverage.ranges[1:], strict=False)
    )
    missing = list(coverage.missing(wanted))
    assert cells(*missing) == cells(wanted) - cells(*done)
    assert missing == sorted(missing)
    assert sum(len(cells(part)) for part in missing) == len(cells(*missing))
    assert coverage.add(wanted) == Coverage.of([wanted, *done])


@given(ranges, ranges)
def test_what_two_ranges_share(one: TimeRange, other: TimeRange):
    shared = one.overlap(other)
    assert cells(*([shared] if shared else [])) == cells(one) & cells(other)


@given(ranges, st.integers(1, 5))
def test_the_parts_of_a_range_are_the_range(whole: TimeRange, step: int):
    parts = list(whole.split(step * HOUR))
    assert [parts[0].start, *(part.end for part in parts)] == [*(part.start for part in parts), whole.end]
    assert all(part.length == step * HOUR for part in parts[:-1])
    assert parts[-1].length <= step * HOUR


MOMENTS = st.integers(0, 10**16).map(lambda micros: T0 + timedelta(microseconds=micros - 10**15))


@given(MOMENTS, st.integers(1, 10_000))
def test_the_grid_lies_on_multiples_since_1970(moment: datetime, seconds: int):
    step = timedelta(seconds=seconds)
    below, above = floor(moment, step), ceil(moment, step)
    for point in (below, above):
        assert (point - datetime(1970, 1, 1, tzinfo=UTC)) % step == timedelta(0)
    assert moment - step < below <= moment <= above < moment + step


def test_the_end_does_not_belong_to_a_range():
    assert T0 in hours(0, 1)
    assert T0 + HOUR not in hours(0, 1)
    with pytest.raises(ValueError, match="empty range"):
        hours(1, 1)
