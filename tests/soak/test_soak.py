"""A simulated day over every source, with faults and kills, against the same day without; `make soak` takes a month."""

import pytest

from tests.soak.__main__ import soak
from tests.soak.backfilled import backfilled
from tests.soak.remembered import remembered


@pytest.mark.slow
def test_a_day_of_faults_and_kills_leaves_nothing_unexplained_and_nothing_wrong():
    calm, stormy, differ = soak(days=1, seed=3, series=1, quick=True)
    assert differ == []
    assert stormy.unexplained == calm.unexplained == []
    assert stormy.refused == calm.refused == []
    assert sum(stormy.states.values()) == stormy.expected == calm.expected > 1000
    assert len(stormy.faults) >= 14, stormy.faults
    assert stormy.calls > calm.calls


@pytest.mark.slow
def test_a_socket_that_is_cut_holed_and_garbled_leaves_every_minute_as_it_was():
    calm, stormy, differ = soak(days=0.3, seed=2, series=1, quick=False, sources="binance")
    assert differ == []
    assert stormy.unexplained == calm.unexplained == []
    assert stormy.refused == calm.refused == []
    minutes = [place for place in calm.facts if place[0] == "binance.bars_1m"]
    assert len(minutes) >= 7 * 60
    assert any(fault.startswith("F26") for fault in stormy.faults), stormy.faults


@pytest.mark.slow
async def test_what_was_answered_in_a_storm_is_answered_again_as_of_then():
    found = await remembered(days=0.125, seed=5)
    assert found.differences == []
    assert len(found.routes) >= 20
    assert found.revisions > 0
    assert found.changed > 60  # or there was nothing that could differ


@pytest.mark.slow
async def test_a_history_filled_back_afterwards_makes_the_same_training_set():
    both = await backfilled(days=0.5, seed=1)
    assert both.differences() == []
    assert len(both.there) == 24  # two symbols, twelve hours
    moved = {"price_change_1h", "rsi_14", "funding_rate", "open_interest_usd", "future_return_4h"}
    assert moved <= {name for name in both.there.columns if both.there[name].n_unique() > 1}
    assert {"fed_target_rate", "tvl_change_7d", "fear_greed_index", "sp500_change_5d"} <= set(both.filled())
