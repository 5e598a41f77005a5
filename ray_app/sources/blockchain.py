"""Blockchain.com charts: what bitcoin's miners earned and what was moved, per day, in US dollars.

What surprises: a chart is thinned out to some 1,500 points unless told not to. A day without a value can be
missing or 0. Nobody says when a day is told; limits are not published (an old rule: a call in 10 seconds).
"""

from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from ray_app.model.errors import Malformed
from ray_app.model.series import Metric
from ray_app.model.source import About, Api, Page, Plan, Quota, Slice, Source, Stream
from ray_app.model.timerange import floor
from ray_app.model.unixtime import from_seconds

DAY = timedelta(days=1)
CHARTS: dict[str, tuple[str, About]] = {
    "btc.miners_revenue": (
        "miners-revenue",
        About("New coins and fees that bitcoin's miners earned in the day", "USD", frequency="daily"),
    ),
    "btc.transfer_volume": (
        "estimated-transaction-volume-usd",
        About("What was moved in the day without change, estimated", "USD", frequency="daily"),
    ),
}


async def fetch(api: Api, wanted: Slice) -> AsyncIterator[Page]:
    chart, start = CHARTS[wanted.partition][0], f"{wanted.range.start:%Y-%m-%d}"
    days = f"{wanted.range.length // DAY}days"
    yield await api.get(f"/charts/{chart}", start=start, timespan=days, sampled="false", format="json")


def rows(page: Page) -> Iterable[Any]:
    """{"status": "ok", "unit": "USD", "period": "day", "values": [{"x": 1780272000, "y": 41234567.8}]}"""
    body = page.json()
    if not isinstance(body, dict) or not isinstance(body.get("values"), list):
        raise Malformed(page.source, f"expected values, found {page.body[:80]!r}")
    told = [body.get(name) for name in ("status", "unit", "period")]
    if told != ["ok", "USD", "day"]:
        raise Malformed(page.source, f"expected dollars by the day, found {told}")
    found: list[Any] = body["values"]
    return found


def parse(row: Any, wanted: Slice) -> Metric | None:
    """A day is told on the next one; two days are the bound. 0 stands for a day without a value."""
    at = from_seconds(row["x"])
    if at != floor(at, DAY):
        raise ValueError(f"expected the start of a day, found {at}")
    if row["y"] == 0:
        return None
    if row["y"] < 0:
        raise ValueError(f"expected dollars, found {row['y']}")
    return Metric(metric=wanted.partition, at=at, published=at + 2 * DAY, value=row["y"])


DAILY = Stream(
    name="charts",
    describes="daily charts of bitcoin in US dollars",
    record=Metric,
    partitions=lambda _: tuple(CHARTS),
    fetch=fetch,
    rows=rows,
    parse=parse,
    every=timedelta(hours=1),
    grain=DAY,
    longest_slice=3650 * DAY,
    offers=datetime(2011, 1, 1, tzinfo=UTC),  # bitcoin had hardly a price before
    settle=timedelta(hours=6),
    patience=3 * DAY,
    reach=365 * DAY,
    restated=7 * DAY,
    required=False,
    about={name: about for name, (_, about) in CHARTS.items()},
)

SOURCE = Source(
    name="blockchain",
    docs="https://www.blockchain.com/explorer/api/charts_api",
    licence="attribution",
    attribution="Blockchain.com",
    plans=(
        Plan(
            name="public",
            base_url="https://api.blockchain.info",
            simulated_at="/bci",
            quota=Quota(6, timedelta(minutes=1)),
            streams=(DAILY,),
        ),
    ),
)
