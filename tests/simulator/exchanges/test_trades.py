"""The market behind all venues: the same in every window, and never far from the path."""

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from ray_app.simulator.config import SimulatorConfig
from ray_app.simulator.exchanges import intervals
from ray_app.simulator.exchanges.telling import ascending, newest
from ray_app.simulator.exchanges.trades import (
    CLOSE,
    HIGH,
    LOTS,
    LOW,
    OPEN,
    QUOTE,
    START,
    Trades,
    decimal,
    outages,
    together,
)
from ray_app.simulator.exchanges.venues import Venue
from ray_app.simulator.simulation import Simulation

NOW = datetime(2026, 6, 1, 10, 3, 21, tzinfo=UTC)
NOW_MS = round(NOW.timestamp() * 1000)
MINUTE = NOW_MS // 60_000


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    return Simulation(SimulatorConfig(start=NOW, frozen=True), NOW)


@pytest.fixture(scope="module")
def bitcoin(simulation: Simulation) -> Trades:
    venue = Venue(simulation, "binance")
    return venue.trades(venue.pairs["BTCUSDT"])


def test_an_hour_is_its_twelve_bars_of_five_minutes_put_together(bitcoin: Trades) -> None:
    first = (MINUTE // 60 - 50) * 60
    fives = bitcoin.bars(intervals.edges(first, 5, 51 * 12), NOW_MS)
    hours = intervals.edges(first, 60, 51)
    assert together(fives, hours).tolist() == bitcoin.bars(hours, NOW_MS).tolist()


@pytest.mark.parametrize(("name", "length"), [("1d", 1440), ("1w", 7 * 1440), ("1M", None)])
def test_long_bars_are_their_hours_put_together(bitcoin: Trades, name: str, length: int | None) -> None:
    last = intervals.at_or_before(MINUTE, length)
    edges = intervals.edges(intervals.moved(last, length, -2), length, 3)
    hours = bitcoin.bars(np.arange(int(edges[0]), int(edges[-1]) + 60, 60), NOW_MS)
    assert together(hours, edges).tolist() == bitcoin.bars(edges, NOW_MS).tolist()
    assert name in intervals.BINANCE


def test_a_bar_opens_with_the_price_of_the_path_and_the_basis(
    simulation: Simulation, bitcoin: Trades
) -> None:
    first = (MINUTE // 60 - 30) * 60
    rows = bitcoin.bars(intervals.edges(first, 60, 30), NOW_MS)
    steps = rows[:, START] // 5
    path = simulation.world.truth.path(simulation.world.truth.index["bitcoin"], steps)
    expected = np.rint(path * (1 + bitcoin.basis(steps)) * 100)
    assert rows[:, OPEN].tolist() == expected.astype(int).tolist()
    assert np.abs(bitcoin.basis(steps)).max() <= 0.0005


def test_every_price_stays_near_the_two_steps_it_lies_between(
    simulation: Simulation, bitcoin: Trades
) -> None:
    rows = bitcoin.minutes(MINUTE - 5_000, MINUTE)
    truth = simulation.world.truth
    here = truth.path(truth.index["bitcoin"], rows[:, START] // 5) * 100
    then = truth.path(truth.index["bitcoin"], rows[:, START] // 5 + 1) * 100
    assert (rows[:, HIGH] <= np.maximum(here, then) * 1.002).all()
    assert (rows[:, LOW] >= np.minimum(here, then) * 0.998).all()
    assert ((rows[:, LOW] <= rows[:, OPEN]) & (rows[:, OPEN] <= rows[:, HIGH])).all()
    assert ((rows[:, LOW] <= rows[:, CLOSE]) & (rows[:, CLOSE] <= rows[:, HIGH])).all()
    assert (rows[:, HIGH] > np.maximum(rows[:, OPEN], rows[:, CLOSE])).sum() > 1_000, "candles have wicks"


def test_a_minute_is_the_same_in_every_window(bitcoin: Trades) -> None:
    wide = bitcoin.minutes(MINUTE - 700, MINUTE + 40)
    for first, end in ((MINUTE - 700, MINUTE - 699), (MINUTE - 13, MINUTE - 2), (MINUTE - 4, MINUTE + 3)):
        rows = [row for row in wide.tolist() if first <= row[START] < end]
        assert bitcoin.minutes(first, end).tolist() == rows


def test_a_minute_grows_second_by_second_into_itself(bitcoin: Trades) -> None:
    whole = bitcoin.minutes(MINUTE - 7, MINUTE - 6)[0].tolist()
    parts = [bitcoin.so_far(whole, second, bitcoin.points(MINUTE - 7)) for second in range(60)]
    assert parts[59] == whole
    for second, part in enumerate(parts):
        prices = [earlier[CLOSE] for earlier in parts[: second + 1]]
        assert (part[HIGH], part[LOW]) == (max(prices), min(prices))
    for earlier, later in pairwise(parts):
        assert later[HIGH] >= earlier[HIGH]
        assert later[LOW] <= earlier[LOW]
        assert later[LOTS] >= earlier[LOTS]
        assert later[QUOTE] >= earlier[QUOTE]
    assert parts[0][OPEN] == parts[0][CLOSE] == whole[OPEN]


def test_bars_end_where_now_is(bitcoin: Trades) -> None:
    row = bitcoin.bars(intervals.edges(MINUTE // 60 * 60, 60, 1), NOW_MS)[0]
    minutes = bitcoin.minutes(MINUTE // 60 * 60, MINUTE)
    part = bitcoin.so_far(bitcoin.minutes(MINUTE, MINUTE + 1)[0].tolist(), 21, bitcoin.points(MINUTE))
    assert row[LOTS] == minutes[:, LOTS].sum() + part[LOTS]
    assert row[CLOSE] == part[CLOSE]


def test_venues_differ_by_a_little(simulation: Simulation) -> None:
    prices = []
    for name, pair in (("binance", "BTCUSDT"), ("coinbase", "BTC-USD"), ("kraken", "XBTUSD")):
        venue = Venue(simulation, name)
        trades = venue.trades(venue.pairs[pair])
        prices.append(trades.openings(np.array([MINUTE // 5]))[0])
    assert len(set(prices)) == 3
    assert max(prices) / min(prices) < 1.0011


def test_a_venue_stands_still_once_in_ninety_days(simulation: Simulation, bitcoin: Trades) -> None:
    found = outages(7, "binance", MINUTE - 400 * 1440, MINUTE)
    assert 4 <= len(found) <= 5
    for outage in found:
        around = bitcoin.minutes(outage.start - 3, outage.end + 3)[:, START].tolist()
        assert around == [*range(outage.start - 3, outage.start), *range(outage.end, outage.end + 3)]


def test_rows_across_a_standstill_are_as_many_as_asked_for(bitcoin: Trades) -> None:
    outage = outages(7, "binance", MINUTE - 200 * 1440, MINUTE)[0]
    start_ms = (outage.start - 10) * 60_000
    rows = ascending(bitcoin, 1, start_ms, NOW_MS, 30, NOW_MS)[:, START].tolist()
    assert rows == [*range(outage.start - 10, outage.start), *range(outage.end, outage.end + 20)]
    rows = newest(bitcoin, 1, (outage.end + 4) * 60_000, 30, NOW_MS)[:, START].tolist()
    assert rows == [*range(outage.start - 25, outage.start), *range(outage.end, outage.end + 5)]


def test_a_delisted_pair_ends(simulation: Simulation) -> None:
    venue = Venue(simulation, "binance")
    monero = venue.trades(venue.pairs["XMRUSDT"])
    end = int(datetime(2024, 2, 20, 3, tzinfo=UTC).timestamp()) // 60
    assert newest(monero, 60, NOW_MS, 2, NOW_MS)[:, START].tolist() == [end - 120, end - 60]
    assert not len(ascending(monero, 60, (end + 5) * 60_000, NOW_MS, 10, NOW_MS))


def test_coins_without_a_name_at_a_venue_are_not_traded_there(simulation: Simulation) -> None:
    assert "HYPEUSDT" not in Venue(simulation, "binance").pairs
    assert not [name for name in Venue(simulation, "kraken").pairs if name.startswith("SIM")]


@pytest.mark.parametrize(
    ("minute", "length", "after", "before"),
    [
        ("2026-06-03T00:00", 7 * 1440, "2026-06-08T00:00", "2026-06-01T00:00"),
        ("2026-06-01T00:00", 7 * 1440, "2026-06-01T00:00", "2026-06-01T00:00"),
        ("2026-06-03T00:00", None, "2026-07-01T00:00", "2026-06-01T00:00"),
        ("2026-12-01T00:01", None, "2027-01-01T00:00", "2026-12-01T00:00"),
        ("2026-06-03T10:07", 240, "2026-06-03T12:00", "2026-06-03T08:00"),
    ],
)
def test_edges(minute: str, length: int | None, after: str, before: str) -> None:
    def at(text: str) -> int:
        return int(datetime.fromisoformat(f"{text}:00+00:00").timestamp()) // 60

    assert intervals.at_or_after(at(minute), length) == at(after)
    assert intervals.at_or_before(at(minute), length) == at(before)


@pytest.mark.parametrize(
    ("value", "digits", "shown", "text"),
    [
        (12345, 2, 8, "123.45000000"),
        (5, 3, 3, "0.005"),
        (-5, 1, 2, "-0.50"),
        (7, 0, 0, "7"),
        (7, 0, 2, "7.00"),
    ],
)
def test_whole_numbers_are_told_exactly(value: int, digits: int, shown: int, text: Any) -> None:
    assert decimal(value, digits, shown) == text
