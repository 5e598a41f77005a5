"""A short portion of `make conform`: no answer to made-up requests that the documents do not state."""

import pytest

from tests.conform.__main__ import SHORT, everything

pytestmark = pytest.mark.slow


async def test_nothing_is_answered_that_the_documents_do_not_state():
    found = await everything(SHORT, seed=1)
    assert [one.said for one in found if one.failures] == []
    assert sum(one.cases for one in found) >= 150
