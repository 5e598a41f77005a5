"""Where a question stands in time: as_of and known_by, to the millisecond.

A moment means its whole millisecond, since that is as exactly as answers tell times: a row that an answer
shows as received at 12:00:00.123 belongs to as_of=12:00:00.123.
"""

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from ray_app.model.clock import Clock
from ray_app.model.timerange import floor
from ray_app.serve.problems import invalid
from ray_app.serve.wire import MILLISECOND, text
from ray_app.store.reading import SETTLED, Point

MINUTE = timedelta(minutes=1)
_REST_OF_IT = timedelta(microseconds=999)
_INSTANT = re.compile(
    r"\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?([Zz]|[+ -]\d\d:?\d\d)?)?", re.ASCII
)
EARLIEST = datetime(2009, 1, 1, tzinfo=UTC)  # before the first block there is nothing to ask for

LATEST = datetime(9000, 1, 1, tzinfo=UTC)  # so that an interval more is still a time


@dataclass(frozen=True, slots=True)
class Standing:
    """`now` is the moment the answer speaks of; `asked` is as_of as it was asked, None without one."""

    point: Point
    now: datetime
    asked: datetime | None
    known_by: datetime | None

    @property
    def horizon(self) -> datetime:
        """No observation later than this belongs to the answer."""
        return min(self.now, self.point.known_by) if self.point.known_by else self.now

    def as_of(self, *changes: datetime | None) -> datetime:
        """What `meta.as_of` says: the moment asked for, else the last one at which this answer changed.

        Asking again with as_of set to it gives the same answer, for ever.
        """
        if self.asked is not None:
            return self.asked
        known = [moment for moment in changes if moment is not None]
        return floor(max(known, default=self.now), MILLISECOND)


def instant(value: str, name: str, earliest: datetime = EARLIEST) -> datetime:
    """An RFC 3339 time or a date (its first instant); without a zone it is UTC. Raises Problem."""
    wanted = value.strip()
    if _INSTANT.fullmatch(wanted):
        # A + in a query string arrives as a blank unless it was escaped.
        wanted = re.sub(r" (?=\d\d:?\d\d$)", "+", wanted) if len(wanted) > 16 else wanted
        try:
            moment = datetime.fromisoformat(wanted.upper())
            moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
        else:
            if moment >= LATEST:
                raise invalid(f"{name} must be before {text(LATEST)}", parameter=name)
            if moment >= earliest:
                return moment
            raise invalid(f"{name} must not be before {text(earliest)}", parameter=name)
    raise invalid(f"{name} must be an RFC 3339 time like 2026-11-23T01:05:00Z", parameter=name)


def to_the_minute(at: Standing) -> Standing:
    """A question about now, asked as of the last whole minute that is certainly in the store; others as they are.

    For answers in which ages count: each minute has one answer, which as_of gives for ever.
    """
    if at.asked is not None:
        return at
    minute = floor(at.now - timedelta(seconds=SETTLED), MINUTE)
    bound = minute + _REST_OF_IT
    return replace(at, point=replace(at.point, as_of=bound), now=bound, asked=minute)


async def standing(clock: Clock, as_of: str | None, known_by: str | None) -> Standing:
    """Read both parameters; waits until what as_of may show is certainly in the store (at most SETTLED).

    Raises Problem for a moment that has not come yet: nobody can tell what will be known then.
    """
    now = clock.now()
    moments: dict[str, datetime] = {}
    for name, value in (("as_of", as_of), ("known_by", known_by)):
        if value is not None:
            moments[name] = floor(instant(value, name), MILLISECOND)
            if moments[name] > now:
                raise invalid(f"{name} is in the future; it is {text(now)} now", parameter=name)
    asked, known = moments.get("as_of"), moments.get("known_by")
    if asked is not None:
        settled = asked + timedelta(seconds=SETTLED)
        if settled >= now:
            await clock.sleep_until(settled + 2 * MILLISECOND)
    bound = asked + _REST_OF_IT if asked is not None else None
    point = Point(as_of=bound, known_by=known + _REST_OF_IT if known is not None else None)
    return Standing(point, bound or now, asked, known)
