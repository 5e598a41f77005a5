"""Times told as a count since 1970: the declared unit is believed only where it makes sense."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_app.model.unixtime import from_milliseconds, from_seconds, to_milliseconds

AT = datetime(2026, 6, 1, 10, 0, 0, 123_000, UTC)


@pytest.mark.parametrize("count", [1_780_308_000_123, "1780308000123"], ids=repr)
def test_milliseconds(count: Any):
    assert from_milliseconds(count) == AT
    assert to_milliseconds(AT) == 1_780_308_000_123


@pytest.mark.parametrize("count", [1_780_308_000, "1780308000"], ids=repr)
def test_seconds(count: Any):
    assert from_seconds(count) == AT.replace(microsecond=0)


@pytest.mark.parametrize(
    "count", [1_780_308_000, 1_780_308_000_000_000, 0, -1, True, 10**30, "", "x", "1e12"]
)
def test_what_is_no_time_in_milliseconds(count: Any):
    with pytest.raises(ValueError):
        from_milliseconds(count)


@pytest.mark.parametrize("count", [1_780_308_000_000, 1_780_308, 0, "-5", "9" * 30, "NaN"])
def test_what_is_no_time_in_seconds(count: Any):
    with pytest.raises(ValueError):
        from_seconds(count)


@given(
    st.datetimes(datetime(2009, 1, 4), datetime(2099, 12, 31), timezones=st.just(UTC)).map(  # noqa: DTZ001
        lambda t: t - timedelta(microseconds=t.microsecond % 1000)
    )
)
def test_there_and_back(moment: datetime):
    assert from_milliseconds(to_milliseconds(moment)) == moment
