"""The accounts of a feed, frame by frame: each minute of each pair comes out once, as heard or as missed."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_app.collect.hearing import UNSAID, Heard, Hearing, Missed
from ray_app.model.errors import Transient
from ray_app.model.timerange import TimeRange
from ray_app.model.unixtime import to_milliseconds
from ray_app.sources.binance import FEED

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
FEED_OF_TWO = replace(FEED, late=10 * SECOND)
PAIRS = ("BTCUSDT", "ETHUSDT")


def closed(pair: str, minute: int, close: str = "2.0") -> bytes:
    """The frame that a minute after noon ends with."""
    start = to_milliseconds(NOON) + minute * 60_000
    told: dict[str, Any] = {"t": start, "T": start + 59_999, "s": pair, "i": "1m", "n": 3, "x": True}
    told |= {"o": "1.0", "h": "3.0", "l": "0.5", "c": close, "v": "10", "q": "15", "V": "4"}
    return json.dumps({"stream": "", "data": {"e": "kline", "s": pair, "k": told}}).encode()


def tick(pair: str, at: datetime, price: str = "2.0") -> bytes:
    told = {
        "e": "24hrMiniTicker",
        "E": to_milliseconds(at),
        "s": pair,
        "c": price,
        "o": "1",
        "h": "3",
        "l": "1",
    }
    return json.dumps({"stream": "", "data": told | {"v": "5", "q": "9"}}).encode()


def minute(n: int, length: int = 1) -> TimeRange:
    return TimeRange(NOON + n * MINUTE, NOON + (n + length) * MINUTE)


def hearing() -> Hearing:
    return Hearing(FEED_OF_TWO, PAIRS)


def hear(it: Hearing, *frames: tuple[float, bytes]) -> list[Heard | Missed]:
    """What comes out when frames come in, at seconds after noon."""
    out: list[Heard | Missed] = []
    for seconds, frame in frames:
        assert it.frame(frame, NOON + seconds * SECOND) == ""
        out += it.finished()
    return out


def test_a_minute_comes_out_when_all_have_told_it():
    it = hearing()
    frames = [tick("BTCUSDT", NOON + SECOND), closed("ETHUSDT", 0), closed("BTCUSDT", 0)]
    out = hear(it, (1, frames[0]), (60.1, frames[1]), (60.5, frames[2]))
    first, last = NOON + 60.1 * SECOND, NOON + 60.5 * SECOND
    assert out == [Heard(minute(0), PAIRS, (frames[1], frames[2]), first, last)]


def test_who_has_not_told_it_in_time_missed_it():
    it = hearing()
    out = hear(it, (1, tick("BTCUSDT", NOON + SECOND)), (60, closed("BTCUSDT", 0)))
    assert out == []
    out = hear(it, (69, tick("BTCUSDT", NOON + 69 * SECOND)))
    assert out == []
    heard, missed = hear(it, (70, tick("BTCUSDT", NOON + 70 * SECOND)))
    assert (heard.range, heard.partitions) == (minute(0), ("BTCUSDT",))
    assert missed == Missed(minute(0), ("ETHUSDT",), UNSAID)


def test_what_is_told_too_late_comes_out_once_more():
    it = hearing()
    hear(it, (1, tick("BTCUSDT", NOON + SECOND)), (75, tick("BTCUSDT", NOON + 75 * SECOND)))
    (late,) = hear(it, (76, closed("ETHUSDT", 0)))
    assert isinstance(late, Heard)
    assert (late.range, late.partitions) == (minute(0), ("ETHUSDT",))


def test_minutes_without_a_connection_come_out_as_one_with_the_gap_as_reason():
    it = hearing()
    hear(it, (1, tick("BTCUSDT", NOON + SECOND)), (60, closed("BTCUSDT", 0)), (60, closed("ETHUSDT", 0)))
    hear(it, (63, tick("BTCUSDT", NOON + 63 * SECOND)))
    it.cut("silent for 0:00:30")
    assert it.finished() == []
    (missed,) = hear(it, (310, tick("BTCUSDT", NOON + 310 * SECOND)))
    (gap,) = it.gaps
    assert (gap.last, gap.first) == (NOON + 63 * SECOND, NOON + 310 * SECOND)
    assert missed == Missed(minute(1, 4), PAIRS, str(gap))


def test_a_short_gap_within_a_minute_misses_nothing_but_shows():
    it = hearing()
    hear(it, (1, tick("BTCUSDT", NOON + SECOND)))
    it.cut("connection ended")
    out = hear(
        it, (31, tick("BTCUSDT", NOON + 31 * SECOND)), (60, closed("BTCUSDT", 0)), (60, closed("ETHUSDT", 0))
    )
    assert [type(one) for one in out] == [Heard]
    assert [(gap.last, gap.first) for gap in it.gaps] == [(NOON + SECOND, NOON + 31 * SECOND)]


def test_frames_that_were_held_up_and_come_in_a_heap_are_not_missed():
    it = hearing()
    hear(it, (1, tick("BTCUSDT", NOON + SECOND)))
    heap = [(600.0, closed(pair, n)) for n in range(5) for pair in PAIRS]
    out = hear(it, *heap)
    assert [(type(one), one.range, one.partitions) for one in out] == [
        (Heard, minute(n), PAIRS) for n in range(5)
    ]


def test_what_two_connections_say_is_taken_once():
    it = hearing()
    twice = [closed("BTCUSDT", 0), closed("BTCUSDT", 0), closed("ETHUSDT", 0), closed("ETHUSDT", 0)]
    out = hear(it, (1, tick("BTCUSDT", NOON + SECOND)), *((60.0, frame) for frame in twice))
    assert [(one.range, len(one.frames)) for one in out if isinstance(one, Heard)] == [(minute(0), 2)]


def test_what_is_said_again_in_other_words_comes_out_again():
    it = hearing()
    hear(it, (60, closed("BTCUSDT", 0)), (60, closed("ETHUSDT", 0)))
    (again,) = hear(it, (61, closed("BTCUSDT", 0, close="2.5")))
    assert isinstance(again, Heard)
    assert again.frames == (closed("BTCUSDT", 0, close="2.5"),)


def test_the_newest_tick_of_each_pair_is_told_once():
    it = hearing()
    hear(
        it,
        (1, tick("BTCUSDT", NOON + SECOND, "2")),
        (2, tick("BTCUSDT", NOON + 2 * SECOND, "2.5")),
        (2, tick("BTCUSDT", NOON + SECOND, "2")),  # the slower of two connections
        (2, tick("ETHUSDT", NOON + SECOND, "1.5")),
        (2, tick("NOBODY", NOON + SECOND, "1.5")),
    )
    assert {(t.symbol, t.at, str(t.price)) for t in it.ticks()} == {
        ("BTCUSDT", NOON + 2 * SECOND, "2.5"),
        ("ETHUSDT", NOON + SECOND, "1.5"),
    }
    assert it.ticks() == []


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b'{"stream":"btcusdt@kline_1m","da', "JSONDecodeError"),
        (b"\xff\xfe", "JSONDecodeError"),
        (b"[1,2]", "AttributeError"),
        (b"null", "TypeError"),
        (b"[" * 100_000, "ValueError: nested too deeply"),
        (closed("BTCUSDT", 0, close="5.0"), "ValidationError"),
        (closed("BTCUSDT", 0, close="NaN"), "ValidationError"),
        (closed("BTCUSDT", 7), "ValueError: known at 2026-06-01 12:08:00+00:00"),
        (tick("BTCUSDT", NOON, "-1"), "ValidationError"),
        (b'{"error":{"code":2,"msg":"Invalid request"},"id":1}', "ValueError: an error instead of an event"),
    ],
)
def test_a_frame_that_cannot_be_read_goes_along_with_the_next_page(frame: bytes, reason: str):
    it = hearing()
    assert it.frame(frame, NOON + 50 * SECOND).startswith(reason)
    (heard,) = hear(it, (60, closed("BTCUSDT", 0)), (60, closed("ETHUSDT", 0)))
    assert isinstance(heard, Heard)
    assert heard.frames == (frame, closed("BTCUSDT", 0), closed("ETHUSDT", 0))
    assert it.bad == 1


def test_the_end_that_the_upstream_foretells_is_no_bad_frame():
    it = hearing()
    with pytest.raises(Transient, match="about to shut down"):
        it.frame(b'{"e":"serverShutdown","E":1780315200000}', NOON)
    assert it.bad == 0


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from(PAIRS)), max_size=30), st.integers(0, 4))
def test_each_minute_of_each_pair_comes_out_once(told: Sequence[tuple[int, str]], cuts: int):
    """Whatever was told, in order of time: what comes out is each minute until the last one, heard or missed."""
    it = hearing()
    out = hear(it, (0, tick("BTCUSDT", NOON)))
    for number, (n, pair) in enumerate(sorted(set(told))):
        if number < cuts:
            it.cut("connection ended")
        out += hear(it, ((n + 1) * 60.0, closed(pair, n)))
    out += hear(it, (700, tick("BTCUSDT", NOON + 700 * SECOND)))
    heard = [
        (p, part.start)
        for one in out
        if isinstance(one, Heard)
        for part in [one.range]
        for p in one.partitions
    ]
    missed = [
        (p, part.start)
        for one in out
        if isinstance(one, Missed)
        for part in one.range.split(MINUTE)
        for p in one.partitions
    ]
    assert sorted(heard) == sorted({(pair, NOON + n * MINUTE) for n, pair in told})
    assert sorted(heard + missed) == sorted((p, NOON + n * MINUTE) for n in range(11) for p in PAIRS)
