"""Times that upstreams tell as a count since 1970, each in the unit its endpoint declares.

A count in another unit than declared is refused: it would be a time before there were coins, or after
everyone's clock.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from ray_app.model.timerange import EPOCH

FIRST_BLOCK = datetime(2009, 1, 3, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)
SECOND, MILLISECOND = timedelta(seconds=1), timedelta(milliseconds=1)


def from_milliseconds(count: Any) -> datetime:
    """The time that whole milliseconds since 1970 tell, also as a text. ValueError for another unit."""
    return _plausible(int(count), MILLISECOND)


def from_seconds(count: Any) -> datetime:
    """The time that whole seconds since 1970 tell, also as a text. ValueError for another unit."""
    return _plausible(int(count), SECOND)


def to_milliseconds(moment: datetime) -> int:
    return (moment - EPOCH) // MILLISECOND


def _plausible(count: int, unit: timedelta) -> datetime:
    if not (FIRST_BLOCK - EPOCH) // unit <= count < (LATEST - EPOCH) // unit:
        raise ValueError(f"{count} times {unit} since 1970 is another unit than declared, or no time of ours")
    return EPOCH + count * unit
