"""The life of a series: from the registry, in the declaration, and in the ledger."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_app.model.completeness import NOT_ALIVE, Schedule, spans, totals
from ray_app.model.declared import declare, lives, schedule
from ray_app.model.symbols import load_registry
from ray_app.model.timerange import ALWAYS, EVER, NEVER, Coverage, TimeRange
from ray_app.sources.binance import SOURCE, STREAMS

T0 = datetime(2026, 3, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
REGISTRY = load_registry()
OUTCOMES = ("covered", "failed", "not_offered", "lost", "awaited")


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def hours(start: float, end: float) -> TimeRange:
    return TimeRange(T0 + start * HOUR, T0 + end * HOUR)


@dataclass(frozen=True)
class Line:
    range: TimeRange
    outcome: str
    reason: str = "because"


@pytest.mark.parametrize(
    ("venue", "name", "start", "end"),
    [
        ("binance", "MATICUSDT", EVER, day("2024-09-10T03:00")),
        ("binance", "POLUSDT", day("2024-09-13T10:00"), NEVER),
        ("binance", "BTCUSDT", EVER, NEVER),
        ("binance", "MKRUSDT", EVER, day("2025-09-13")),  # before its tracking ended
        ("coingecko", "maker", EVER, day("2025-09-22")),  # CoinGecko goes on, we do not
        ("coingecko", "terra-luna-2", day("2022-05-28"), NEVER),
        ("coingecko", "eos", EVER, day("2025-05-28")),
        ("kraken", "LUNAUSD", EVER, day("2022-05-28")),
        ("kraken", "SUSD", day("2025-08-31"), NEVER),
    ],
)
def test_a_life_is_when_the_venue_called_it_so_and_we_want_it(
    venue: str, name: str, start: datetime, end: datetime
):
    assert REGISTRY.lives(venue)[name] == Coverage((TimeRange(start, end),))


def test_an_id_that_two_coins_had_lives_twice_and_each_coin_has_its_own_time():
    gone, new = REGISTRY.resolve("terra-luna"), REGISTRY.resolve("terra-luna-2")
    old = TimeRange(EVER, day("2022-05-13"))
    young = TimeRange(day("2022-05-31T06:00"), NEVER)
    assert REGISTRY.lives("binance")["LUNAUSDT"].ranges == (old, young)
    assert gone.lives("binance") == {"LUNAUSDT": Coverage((old,))}
    assert new.lives("binance") == {"LUNAUSDT": Coverage((young,))}
    assert list(REGISTRY.resolve("POL").lives("binance")) == ["MATICUSDT", "POLUSDT"]


def test_an_interval_that_a_life_touches_belongs_to_it():
    life = Coverage.of([hours(-9, 3.2), hours(5.5, 6), hours(6.3, 8)])
    assert list(life.touched(hours(0, 10), HOUR)) == [hours(0, 4), hours(5, 8)]
    assert list(life.touched(hours(4, 5), HOUR)) == []
    assert list(ALWAYS.touched(hours(0, 10), HOUR)) == [hours(0, 10)]
    assert [life.over_by(T0 + n * HOUR) for n in (7, 8)] == [False, True]
    assert Coverage().over_by(T0)


def test_the_declaration_carries_lives_and_one_of_old_has_none():
    stream = STREAMS["1h"]
    names = stream.partitions(REGISTRY)
    told = declare(SOURCE, SOURCE.plans[0], stream, names, DAY, lives=stream.lives(REGISTRY))
    assert told["lives"]["MATICUSDT"] == [[None, "2024-09-10T03:00:00+00:00"]]
    assert "BTCUSDT" not in told["lives"]
    assert {p: lives(told).get(p, ALWAYS) for p in names} == stream.lives(REGISTRY)
    of_old = {name: value for name, value in told.items() if name != "lives"} | {"declared_at": T0}
    assert lives(of_old) == {}
    assert schedule(of_old).life == ALWAYS


cells = st.tuples(st.integers(-2, 30), st.integers(1, 12)).map(lambda at: hours(at[0], at[0] + at[1]))


@given(
    life=st.lists(cells, max_size=3).map(Coverage.of),
    tried=st.lists(st.builds(Line, cells, st.sampled_from(OUTCOMES)), max_size=5),
    offers=st.sampled_from([None, 6 * HOUR, T0 - DAY]),
    now=st.integers(0, 40),
)
def test_outside_of_a_life_nothing_is_due_and_the_states_add_up(
    life: Coverage, tried: list[Line], offers: timedelta | datetime | None, now: int
):
    expected = Schedule(HOUR, HOUR, timedelta(0), offers, T0, life)
    endless = Schedule(HOUR, HOUR, timedelta(0), offers, T0)
    over, moment = hours(0, 30), T0 + now * HOUR
    alive = {cell.start for part in life.touched(over, HOUR) for cell in part.split(HOUR)}

    def states(by: Schedule) -> dict[datetime, tuple[str, str]]:
        found = spans(by, over, moment, tried, [])
        assert sum(totals(found).values()) == 30
        return {cell.start: (s.state, s.reason) for s in found for cell in s.range.split(HOUR)}

    mine, other = states(expected), states(endless)
    assert mine == {
        at: other[at] if at in alive else ("not_due", NOT_ALIVE) for at in (T0 + n * HOUR for n in range(30))
    }


def test_what_is_there_is_there_also_outside_of_a_life():
    expected = Schedule(HOUR, HOUR, timedelta(0), T0 - DAY, T0, Coverage.of([hours(0, 2)]))
    found = spans(expected, hours(0, 4), T0 + DAY, [], [T0, T0 + 3 * HOUR])
    assert [s.state for s in found] == ["collected", "late", "not_due", "collected"]
