from datetime import UTC, datetime, timedelta

import pytest

from ray_app.simulator.clock import VirtualClock, iso, moment

START = datetime(2026, 6, 1, 10, 3, 21, 250_000, tzinfo=UTC)


def test_a_frozen_clock_moves_only_when_told():
    clock = VirtualClock(START, START, frozen=True)
    assert clock.now() == START
    clock.advance(90.5)
    assert clock.now() == START + timedelta(seconds=90.5)
    clock.advance_to(START + timedelta(days=3))
    assert clock.now() == START + timedelta(days=3)
    with pytest.raises(ValueError, match="back"):
        clock.advance(-1)


def test_a_moment_that_is_past_changes_nothing():
    clock = VirtualClock(START, START, frozen=True)
    clock.advance_to(START - timedelta(days=1))
    assert clock.now() == START


def test_speed_is_virtual_seconds_per_real_second():
    clock = VirtualClock(START, START, speed=100_000)
    one = clock.now()
    while clock.wall() < START + timedelta(milliseconds=20):
        pass
    two, wall = clock.now(), clock.wall()
    assert two - one >= timedelta(seconds=1_900)
    clock.freeze(True)
    stopped = clock.now()
    assert stopped <= START + (wall - START + timedelta(seconds=1)) * 100_000
    assert clock.now() == stopped
    clock.set_speed(1)
    assert clock.now() == stopped


def test_times_are_written_as_upstream_writes_them():
    assert iso(1_780_308_201_007) == "2026-06-01T10:03:21.007Z"
    assert moment("2026-06-01T10:03") == datetime(2026, 6, 1, 10, 3, tzinfo=UTC)
    assert moment("2026-06-01T12:03+02:00") == datetime(2026, 6, 1, 10, 3, tzinfo=UTC)


def test_the_clock_route_tells_and_sets(paid):
    assert paid.http.get("/sim/clock").json() == {
        "now": "2026-06-01T10:03:21.000+00:00", "speed": 1.0, "frozen": True,
    }  # fmt: skip
    told = paid.http.post("/sim/clock", json={"advance_to": "2026-06-02T00:00:00Z"}).json()
    assert told["now"] == "2026-06-02T00:00:00.000+00:00"
    assert paid.get("/ping").headers["date"] == "Tue, 02 Jun 2026 00:00:00 GMT"
    assert paid.http.post("/sim/clock", json={"speed": 60, "frozen": False}).json()["speed"] == 60
    assert paid.http.post("/sim/clock", json={"advance": -5}).status_code == 400
    assert paid.http.post("/sim/clock", json={"jump": 5}).status_code == 400
