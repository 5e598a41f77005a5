"""Two simulated days over every source, with faults and kills, against the same days without."""

import pytest

from tests.soak.__main__ import soak


@pytest.mark.slow
def test_two_days_of_faults_and_kills_leave_nothing_unexplained_and_nothing_wrong():
    calm, stormy, differ = soak(days=2, seed=3, series=1, quick=True)
    assert differ == []
    assert stormy.unexplained == calm.unexplained == []
    assert stormy.refused == calm.refused == []
    assert sum(stormy.states.values()) == stormy.expected == calm.expected > 1000
    assert len(stormy.faults) >= 8, stormy.faults
    assert stormy.calls > calm.calls
