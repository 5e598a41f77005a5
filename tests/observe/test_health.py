from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ray_app.observe.health import allowed_age, collector_state, judge, observed_at, of_collector, worst

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
POLL: dict[str, Any] = {
    "every_seconds": 300.0,
    "grain_seconds": 300.0,
    "settle_seconds": 0.0,
    "offers_seconds": None,
    "offers_since": None,
    "partitions": ["a", "b"],
    "not_configured": "",
    "declared_at": NOW - 24 * HOUR,
}
BARS = POLL | {
    "every_seconds": 3600.0,
    "grain_seconds": 3600.0,
    "settle_seconds": 960.0,
    "offers_seconds": 82_800.0,
}


def test_how_old_an_observation_may_be():
    assert allowed_age(POLL) == 5 * MINUTE + 150 * SECOND
    assert allowed_age(BARS) == 2 * HOUR + 16 * MINUTE + 30 * MINUTE


def test_a_poll_speaks_of_its_moment_and_a_bar_of_its_end():
    assert observed_at(POLL, NOW) == NOW
    assert observed_at(BARS, NOW) == NOW + HOUR


def test_everything_fresh_is_available():
    found = judge(POLL, {"a": NOW - MINUTE, "b": NOW - 2 * MINUTE}, (), NOW)
    assert (found.condition, found.reasons, found.age_seconds) == ("available", (), 60.0)
    assert (found.newest, found.series, found.fresh, found.stale) == (NOW - MINUTE, 2, 2, ())


def test_the_limit_itself_is_still_fine_and_a_second_later_is_not():
    limit = allowed_age(POLL)
    assert judge(POLL, {"a": NOW - limit, "b": NOW - limit}, (), NOW).condition == "available"
    late = judge(POLL, {"a": NOW - limit - SECOND, "b": NOW - limit - SECOND}, (), NOW)
    assert (late.condition, late.fresh) == ("degraded", 0)


def test_one_late_series_is_named():
    found = judge(POLL, {"a": NOW, "b": NOW - HOUR}, (), NOW)
    assert (found.condition, found.reasons, found.stale) == ("degraded", ("1 of 2 series are late",), ("b",))


def test_a_series_that_never_came_is_late_too():
    assert judge(POLL, {"a": NOW}, (), NOW).stale == ("b",)


def test_what_the_upstream_does_not_offer_is_not_waited_for():
    found = judge(POLL, {"a": NOW}, {"b"}, NOW)
    assert (found.condition, found.series, found.fresh) == ("available", 1, 1)


def test_what_has_ended_or_just_begun_is_not_waited_for():
    lives = {"b": [[None, (NOW - MINUTE).isoformat()]], "c": [[(NOW - MINUTE).isoformat(), None]]}
    line = POLL | {"partitions": ["a", "b", "c"]}
    assert judge(line, {"a": NOW}, (), NOW).stale == ("b", "c")
    found = judge(line | {"lives": lives}, {"a": NOW}, (), NOW)
    assert (found.condition, found.series, found.stale) == ("available", 1, ())
    grown = judge(line | {"lives": lives}, {"a": NOW + HOUR}, (), NOW + HOUR)
    assert (grown.condition, grown.series, grown.stale) == ("degraded", 2, ("c",))
    assert (
        judge(line | {"lives": lives}, {"b": NOW}, (), NOW).condition == "missing"
    )  # only the dead have told


def test_nothing_yet_is_pending_at_first_and_missing_later():
    assert judge(POLL | {"declared_at": NOW - MINUTE}, {}, (), NOW).condition == "pending"
    found = judge(POLL, {}, (), NOW)
    assert (found.condition, found.age_seconds, found.newest) == ("missing", None, None)


def test_without_its_key_it_is_missing_even_with_fresh_rows():
    found = judge(POLL | {"not_configured": "coingecko_pro_key"}, {"a": NOW, "b": NOW}, (), NOW)
    assert (found.condition, found.reasons) == ("missing", ("not configured: set coingecko_pro_key",))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"state": "waiting", "next_run": NOW + MINUTE, "last_run": NOW}, "waiting"),
        ({"state": "waiting", "next_run": NOW - 2 * MINUTE, "last_run": NOW}, "waiting"),
        ({"state": "waiting", "next_run": NOW - 3 * MINUTE, "last_run": NOW}, "dead"),
        ({"state": "collecting", "next_run": None, "last_run": NOW - HOUR}, "collecting"),
        ({"state": "collecting", "next_run": None, "last_run": NOW - 7 * HOUR}, "dead"),
        ({"state": "refused", "next_run": NOW - 9 * HOUR, "last_run": NOW}, "refused"),
        (None, "dead"),
    ],
)
def test_a_collector_that_missed_its_run_is_dead(row: dict[str, Any] | None, expected: str):
    assert collector_state(POLL, row, NOW) == expected


def test_a_collector_that_was_just_declared_may_not_have_started():
    assert collector_state(POLL | {"declared_at": NOW - MINUTE}, None, NOW) == "not_started"


def test_the_worst_counts():
    assert worst(["available", "dead", "degraded"]) == "dead"
    assert worst(["available", "pending"]) == "pending"
    assert worst([]) == "available"
    assert [of_collector(state) for state in ("waiting", "dead", "refused", "not_started")] == [
        "available", "dead", "dead", "pending",
    ]  # fmt: skip
