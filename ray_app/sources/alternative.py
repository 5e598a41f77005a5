"""Alternative.me: the crypto fear and greed index, one number a day, stamped at the day's start.

What surprises: everything is a text, newest first. An error can come with HTTP 200, inside `metadata`. The
value of the running day can be late, and three days of April 2018 are missing.
"""

from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from ray_app.model.errors import Malformed, Transient
from ray_app.model.series import MoodIndex
from ray_app.model.source import About, Api, Page, Plan, Quota, Slice, Source, Stream
from ray_app.model.timerange import floor
from ray_app.model.unixtime import from_seconds

DAY = timedelta(days=1)
NEWEST, ALL = 10, 0
MOST = 100


def judge(page: Page) -> None:
    """{"data": [], "metadata": {"error": "..."}} with HTTP 200 has no data to tell."""
    if page.status != 200 or b'"metadata"' not in page.body:
        return
    body = page.json()
    told = body.get("metadata") if isinstance(body, dict) else None
    if isinstance(told, dict) and told.get("error") is not None:
        raise Transient(page.source, f"error in a 200: {str(told['error'])[:200]}")


async def fetch(api: Api, wanted: Slice) -> AsyncIterator[Page]:
    """The newest days, and all of them where these do not reach back to the slice."""
    newest = await api.get("/", limit=NEWEST)
    reached = False
    for row in rows(newest):
        stamp = row.get("timestamp") if isinstance(row, dict) else None
        reached |= str(stamp).isdigit() and int(str(stamp)) <= wanted.range.start.timestamp()
    yield newest if reached else await api.get("/", limit=ALL)


def rows(page: Page) -> Iterable[Any]:
    """{"data": [{"value": "27", "value_classification": "Fear", "timestamp": "1780272000"}], "metadata": ...}"""
    body = page.json()
    if not isinstance(body, dict) or not isinstance(body.get("data"), list):
        raise Malformed(page.source, f"expected data, found {page.body[:80]!r}")
    found: list[Any] = body["data"]
    return found


def parse(row: Any, wanted: Slice) -> MoodIndex:
    day, value = from_seconds(row["timestamp"]), Decimal(row["value"])
    if day != floor(day, DAY) or value > MOST:
        raise ValueError(f"expected 0 to {MOST} at the start of a day, found {value} at {day}")
    return MoodIndex(index=wanted.partition, day=day, value=value, label=row["value_classification"])


FEAR_AND_GREED = Stream(
    name="fear_greed",
    describes="how fearful or greedy the crypto market is, 0 to 100",
    record=MoodIndex,
    partitions=lambda _: ("fear_greed",),
    fetch=fetch,
    rows=rows,
    parse=parse,
    every=timedelta(hours=1),
    grain=DAY,
    longest_slice=3650 * DAY,
    offers=datetime(2018, 2, 1, tzinfo=UTC),
    patience=2 * DAY,
    required=False,
    reach=10 * 365 * DAY,  # all of it is one call
    unfinished=True,
    unit="0 to 100",
    about={"fear_greed": About("Crypto fear and greed index", "0 to 100", frequency="daily")},
)

SOURCE = Source(
    name="alternative",
    docs="https://alternative.me/crypto/fear-and-greed-index/",
    licence="attribution",
    attribution="Crypto fear and greed index by Alternative.me",
    judge=judge,
    plans=(
        Plan(
            name="public",
            base_url="https://api.alternative.me/fng",
            simulated_at="/fng",
            quota=Quota(30, timedelta(minutes=1)),
            streams=(FEAR_AND_GREED,),
        ),
    ),
)
