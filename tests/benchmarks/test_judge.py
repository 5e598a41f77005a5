"""The judge of the quota benchmark, with planted violations."""

from itertools import accumulate

import pytest

from benchmarks.judge import Arrival, downtime, fullest, judge


def paced(gap_ms: int, calls: int, start: int = 1_000) -> list[Arrival]:
    return [Arrival(start + i * gap_ms, 200) for i in range(calls)]


def test_exactly_the_limit_is_no_violation():
    found = judge(paced(2_000, 301), 30)
    assert (found.fullest, found.margin_ms, found.used, found.windows) == (30, 0, 1.0, 10.0)


def test_a_slower_pace_leaves_some_of_the_allowance():
    found = judge(paced(2_500, 241), 30)
    assert (found.fullest, found.margin_ms, found.used) == (24, 15_000, 0.8)


def test_one_arrival_a_millisecond_early_is_seen():
    planted = paced(2_000, 301)
    planted[100] = Arrival(planted[100].at_ms - 1, 200)
    found = judge(planted, 30)
    assert (found.fullest, found.margin_ms) == (31, -1)


def test_a_late_arrival_crowds_the_window_that_follows():
    planted = paced(2_024, 301)  # 720 ms to spare
    planted[100] = Arrival(planted[100].at_ms + 719, 200)
    assert judge(planted, 30).fullest == 30
    planted[100] = Arrival(planted[100].at_ms + 2, 200)
    assert judge(planted, 30).fullest == 31


def test_a_burst_across_two_calendar_minutes_is_seen():
    """30 at the end of a minute and 30 at the start of the next: no calendar minute has more than 30."""
    assert judge([*paced(100, 30, 57_000), *paced(100, 30, 60_000)], 30).fullest == 60


def test_refused_arrivals_count_in_the_window_too():
    planted = sorted([*paced(2_000, 31), Arrival(30_500, 429)], key=lambda a: a.at_ms)
    found = judge(planted, 30)
    assert (found.refused, found.fullest, found.calls) == (1, 31, 32)


def test_a_pause_is_left_out_of_the_allowance_but_not_of_the_windows():
    planted = [*paced(2_000, 151), *paced(2_000, 151, 1_000 + 150 * 2_000 + 22_000)]
    assert judge(planted, 30).used == pytest.approx(301 / 311, abs=1e-4)
    found = judge(planted, 30, paused_ms=20_000)
    assert (found.used, found.windows, found.fullest) == (1.0, 10.033, 30)


def test_the_fullest_window_equals_the_plain_count():
    times = list(accumulate(((i * 7_919) % 4_001 for i in range(400)), initial=0))
    plain = max(sum(t - 60_000 < other <= t for other in times) for t in times)
    assert fullest(times) == plain


@pytest.mark.parametrize("arrivals", [[], paced(1, 1), paced(1_000, 3)[::-1]])
def test_too_few_or_disordered_arrivals_are_no_result(arrivals: list[Arrival]):
    with pytest.raises(ValueError, match="arrivals in order"):
        judge(arrivals, 30)


def test_downtime_is_counted_from_the_kill_beyond_one_gap():
    before, after = paced(2_000, 10, 0), paced(2_000, 10, 30_000)  # last before: 18 s
    assert downtime([*before, *after], 19_000, 2_000) == 9_000


def test_what_was_under_way_at_the_kill_does_not_end_the_downtime():
    before, after = paced(2_000, 10, 0), paced(2_000, 10, 30_000)
    assert downtime([*before, Arrival(19_050, 200), *after], 19_000, 2_000) == 9_000


def test_no_downtime_when_the_pace_went_on():
    one_late = paced(2_000, 40, 0)
    one_late[25] = Arrival(one_late[25].at_ms + 500, 200)
    assert downtime(one_late, 19_000, 2_000) == 0.0


def test_nothing_after_the_kill_is_no_result():
    with pytest.raises(ValueError, match="after the kill"):
        downtime(paced(2_000, 10, 0), 19_000, 2_000)
