from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_app.process.bars import Candle, coarser

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def hour(number: int, volume: str | None = None) -> Candle:
    """The hour that begins so many hours after noon; its prices tell which it is."""
    base = Decimal(100 + number)
    start = NOON + number * HOUR
    known = None if volume is None else Decimal(volume)
    return Candle(start, start + HOUR, base, base + 9, base - 9, base + Decimal("0.5"), known)


def test_four_hours_become_one_candle():
    (made,) = coarser([hour(n, f"1.{n}") for n in (2, 0, 3, 1)], 4 * HOUR)
    assert made == Candle(
        NOON, NOON + 4 * HOUR, Decimal(100), Decimal(112), Decimal(91), Decimal("103.5"), Decimal("4.6"), True
    )


@pytest.mark.parametrize("missing", [0, 1, 2, 3])
def test_without_an_hour_it_is_not_complete_and_its_volume_not_known(missing: int):
    parts = [hour(n, "1") for n in range(4) if n != missing]
    (made,) = coarser(parts, 4 * HOUR)
    assert (made.start, made.end, made.complete, made.volume) == (NOON, NOON + 4 * HOUR, False, None)
    assert (made.open, made.close) == (parts[0].open, parts[-1].close)
    assert (made.high, made.low) == (parts[-1].high, parts[0].low)


def test_a_candle_without_any_hour_is_not_there():
    made = coarser([hour(0), hour(9)], 4 * HOUR)
    assert [one.start for one in made] == [NOON, NOON + 8 * HOUR]


def test_a_day_has_24_hours_from_midnight_utc():
    midnight = NOON - 12 * HOUR
    made = coarser([hour(n) for n in range(-12, 12)], DAY)
    assert [(one.start, one.complete) for one in made] == [(midnight, True)]
    made = coarser([hour(n) for n in range(-11, 13)], DAY)
    assert [(one.start, one.complete) for one in made] == [(midnight, False), (midnight + DAY, False)]


def test_one_unknown_volume_makes_the_sum_unknown():
    (made,) = coarser([hour(0, "1"), hour(1, None), hour(2, "1"), hour(3, "1")], 4 * HOUR)
    assert made.complete
    assert made.volume is None


def test_a_sum_keeps_every_digit():
    big, small = "12345678901234567890123456789", "0.000000000000000000000000000001"
    (made,) = coarser([hour(0, big), hour(1, small), hour(2, "0"), hour(3, "0")], 4 * HOUR)
    assert made.volume == Decimal(big + small[1:])


def test_a_candle_across_the_grid_is_refused():
    odd = Candle(NOON + 3 * HOUR, NOON + 5 * HOUR, Decimal(1), Decimal(1), Decimal(1), Decimal(1), None)
    with pytest.raises(ValueError, match="does not fit"):
        coarser([odd], 4 * HOUR)


@given(st.sets(st.integers(-30, 30)), st.sampled_from([4 * HOUR, DAY]))
def test_it_is_complete_exactly_when_every_hour_is_there(numbers: set[int], step: timedelta):
    made = {one.start: one for one in coarser([hour(n) for n in numbers], step)}
    for one in made.values():
        inside = {n for n in numbers if one.start <= NOON + n * HOUR < one.end}
        assert one.complete == (len(inside) == step // HOUR)
        assert one.open == 100 + min(inside)
    assert numbers == {n for n in numbers for one in made.values() if one.start <= NOON + n * HOUR < one.end}
