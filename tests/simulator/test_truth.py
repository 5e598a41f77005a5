"""The market behind the answers: the same everywhere, cheap, and awkward in the ways that matter."""

import time

import numpy as np
import pytest

from ray_app.simulator.coins import Listing, universe
from ray_app.simulator.currencies import quotes
from ray_app.simulator.noise import FARTHEST, wander
from ray_app.simulator.truth import Truth

NOW = 1_780_308_201 // 300


@pytest.fixture(scope="module")
def truth():
    return Truth(universe([Listing("bitcoin", "btc", "Bitcoin")], 17_000, seed=7))


def test_any_window_tells_the_same_prices(truth):
    whole = truth.path(0, np.arange(NOW - 5_000, NOW))
    for begin, end, every in (
        (0, 10, 1),
        (137, 4_211, 1),
        (3, 4_999, 12),
        (0, 5_000, 288),
        (4_999, 5_000, 1),
    ):
        part = truth.path(0, np.arange(NOW - 5_000 + begin, NOW - 5_000 + end, every))
        assert part.tolist() == whole[begin:end:every].tolist()


def test_a_coin_has_the_same_path_alone_and_among_others(truth):
    steps = np.arange(NOW - 300, NOW)
    among = truth.paths(np.arange(50), steps)
    for coin in range(50):
        assert truth.path(coin, steps).tolist() == among[coin].tolist()


def test_volumes_are_the_same_in_any_window_and_roll(truth):
    steps = np.arange(NOW - 600, NOW)
    whole = truth.volumes(np.array([3, 0]), steps)[1]
    assert truth.volumes(np.array([0]), steps[100:103])[0].tolist() == whole[100:103].tolist()
    assert abs(np.diff(whole) / whole[1:]).max() < 0.01  # a sum over a day moves slowly
    assert len(set(whole.tolist())) == len(whole)


def test_the_seed_makes_the_market(truth):
    other = Truth(universe([Listing("bitcoin", "btc", "Bitcoin")], 3, seed=8))
    steps = np.arange(NOW - 10, NOW)
    assert other.path(0, steps).tolist() != truth.path(0, steps).tolist()


def test_a_walk_stays_within_its_reach():
    walks = wander(np.arange(20, dtype=np.uint64), np.arange(0, 1_300_000, 1_009))
    assert abs(walks).max() <= FARTHEST
    assert walks.std(axis=1).min() > 0.1  # and goes somewhere


def test_bars_are_made_of_the_path(truth):
    first = NOW // 12 * 12 - 240
    path = truth.path(0, np.arange(first, first + 240)).reshape(20, 12)
    bars = truth.bars(0, first, 20, 12, NOW)
    assert bars.rows[:, 0].tolist() == path[:, 0].tolist()
    assert bars.rows[:, 1].tolist() == path.max(axis=1).tolist()
    assert bars.rows[:, 2].tolist() == path.min(axis=1).tolist()
    assert bars.rows[:, 3].tolist() == path[:, 11].tolist()
    daily = truth.bars(0, NOW // 288 * 288 - 288, 1, 288, NOW).rows[0].tolist()
    hours = truth.bars(0, NOW // 288 * 288 - 288, 24, 12, NOW).rows
    assert daily == [hours[0, 0], hours[:, 1].max(), hours[:, 2].min(), hours[-1, 3]]


def test_the_last_bar_is_told_as_far_as_it_has_come(truth):
    first = NOW // 12 * 12
    for minutes in range(12):
        path = truth.path(0, np.arange(first, first + minutes + 1))
        bars = truth.bars(0, first - 12, 5, 12, first + minutes)
        assert bars.starts.tolist() == [first - 12, first]
        assert bars.rows[1].tolist() == [path[0], path.max(), path.min(), path[-1]]


def test_awkward_coins_are_among_them(truth):
    tiny, vast, capless, dormant = truth.coins[1:5]
    price = float(truth.path(1, np.array([NOW]))[0])
    assert 1e-13 < price < 1e-10
    assert len(repr(price).partition("e")[0].replace(".", "")) >= 15
    assert vast.circulating == 1e15
    assert not capless.has_cap
    path = truth.path(4, np.arange(NOW - 288 * 20, NOW))
    assert 3 < len(set(path.tolist())) <= 6  # about one price for five days
    assert tiny.id == "sim-coin-00002"
    assert dormant.id == "sim-coin-00005"
    prices = truth.paths(np.arange(1_000), np.array([NOW]))[:, 0]
    assert np.nanmin(prices) < 1e-6
    assert np.nanmax(prices) > 1e3
    assert sum(coin.symbol == "btc" for coin in truth.coins) > 1  # a symbol is no identity


def test_no_price_before_the_listing(truth):
    listed = truth.coins[7].listed // 300
    path = truth.path(7, np.arange(listed - 3, listed + 3))
    assert np.isnan(path).tolist() == [True] * 3 + [False] * 3


def test_quotes_follow_the_simulated_bitcoin(truth):
    found, step = quotes(truth), np.array([NOW])
    bitcoin = truth.path(0, step)
    assert truth.told_in(found["btc"], bitcoin, step).tolist() == [1.0]
    assert truth.told_in(found["sats"], bitcoin, step).tolist() == [1e8]
    assert truth.told_in(found["eur"], bitcoin, step).tolist() == [bitcoin[0] * 0.86]
    assert "usdt" not in found
    assert len(found) == 63


def test_it_is_cheap(truth):
    """Generous bounds for a busy machine: measured are 2 ms and 7 ms."""
    steps = np.arange(NOW - 288, NOW + 1)
    truth.paths(np.arange(250), steps)
    begun = time.perf_counter()
    truth.bars(0, NOW - 744 * 12, 744, 12, NOW)
    bars_done = time.perf_counter()
    truth.paths(np.arange(250), steps)
    assert bars_done - begun < 0.05
    assert time.perf_counter() - bars_done < 0.1
