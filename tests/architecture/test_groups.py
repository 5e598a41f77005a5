"""Where processes share the tests, those that start a Ray stay with one of them."""

import os

import pytest


@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="one process runs all tests")
def test_the_group_of_a_test_is_seen_by_what_hands_tests_out(request: pytest.FixtureRequest):
    told = "groups have no effect with this pytest and xdist: two Rays would run at once"
    assert request.node.nodeid.endswith("@architecture/test_groups.py"), told
