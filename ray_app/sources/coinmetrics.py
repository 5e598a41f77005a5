"""Coin Metrics, community API v4: daily on-chain metrics of bitcoin and ether. Not for commercial use.

What surprises: all numbers are texts; null says that there is no value for the day. One metric that costs money
makes a whole call a 403, so each is asked for alone. Pages begin at the newest day unless told otherwise. A day
is told from about two hours after its end; its last day can be restated, which nobody announces.
"""

from collections.abc import AsyncIterator, Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from ray_app.model.errors import Malformed, NotOffered
from ray_app.model.series import Metric
from ray_app.model.source import About, Api, Page, Plan, Quota, Slice, Source, Stream
from ray_app.model.timerange import floor
from ray_app.model.unixtime import FIRST_BLOCK

DAY = timedelta(days=1)
TOLD_AFTER = timedelta(hours=2)  # the end of the day
METRICS: dict[str, tuple[str, str, str]] = {  # title, unit, assets; $ stands for the asset's own unit
    "AdrActCnt": ("addresses active in the day", "addresses", "btc eth"),
    "TxCnt": ("transactions in the day", "transactions", "btc eth"),
    "TxTfrCnt": ("transfers in the day", "transfers", "btc eth"),
    "HashRate": ("mean hash rate of the day", "TH/s", "btc"),
    "FeeTotNtv": ("fees of the day", "$", "btc eth"),
    "IssTotNtv": ("newly issued in the day", "$", "btc eth"),
    "SplyCur": ("supply at the day's end", "$", "btc eth"),
    "CapMrktCurUSD": ("market capitalisation at the day's end", "USD", "btc eth"),
    "CapMVRVCur": ("market to realised capitalisation", "ratio", "btc eth"),
    "FlowInExNtv": ("flow into exchanges in the day", "$", "btc eth"),
    "FlowOutExNtv": ("flow out of exchanges in the day", "$", "btc eth"),
}
ABOUT = {
    f"{asset}.{metric}": About(f"{asset.upper()}: {title}", unit.replace("$", asset.upper()), "", "daily")
    for metric, (title, unit, assets) in METRICS.items()
    for asset in assets.split()
}


def judge(page: Page) -> None:
    """A metric that is not free, or that an asset has not, is no reason to stop asking for the others."""
    if page.status in (400, 403) and (b'"forbidden"' in page.body[:200] or b"is not supported" in page.body):
        raise NotOffered(page.source, f"HTTP {page.status}: {page.body[:300].decode('utf-8', 'replace')}")


async def fetch(api: Api, wanted: Slice) -> AsyncIterator[Page]:
    """Oldest day first; the next page is asked for by its token, until there is none."""
    asset, metric = wanted.partition.split(".")
    asked: dict[str, str | int] = {
        "assets": asset, "metrics": metric, "frequency": "1d", "paging_from": "start", "page_size": 10_000,
        "start_time": f"{wanted.range.start:%Y-%m-%d}", "end_time": f"{wanted.range.end - DAY:%Y-%m-%d}",
    }  # fmt: skip
    seen: set[str] = set()
    while True:
        page = await api.get("/timeseries/asset-metrics", **asked)
        yield page
        token = answered(page).get("next_page_token")
        if token is None:
            return
        if not isinstance(token, str) or token in seen:
            raise Malformed(page.source, f"pages go round in a circle: {token!r}")
        seen.add(token)
        asked["next_page_token"] = token


def answered(page: Page) -> dict[str, Any]:
    """{"data": [{"asset": "btc", "time": "2026-06-01T00:00:00.000000000Z", "AdrActCnt": "812345"}]}"""
    body = page.json()
    if not isinstance(body, dict) or not isinstance(body.get("data"), list):
        raise Malformed(page.source, f"expected data, found {page.body[:80]!r}")
    return body


def rows(page: Page) -> Iterable[Any]:
    found: list[Any] = answered(page)["data"]
    return found


def parse(row: Any, wanted: Slice) -> Metric | None:
    metric = wanted.partition.split(".")[1]
    at = datetime.fromisoformat(row["time"])
    if at < FIRST_BLOCK - DAY or at != floor(at, DAY):
        raise ValueError(f"expected the start of a day since 2009, found {row['time']}")
    if row[metric] is None:
        return None
    name, published = f"{row['asset']}.{metric}", at + DAY + TOLD_AFTER
    return Metric(metric=name, at=at, published=published, value=Decimal(row[metric]))


DAILY = Stream(
    name="metrics",
    describes="daily on-chain metrics",
    record=Metric,
    partitions=lambda _: tuple(ABOUT),
    fetch=fetch,
    rows=rows,
    parse=parse,
    every=timedelta(minutes=30),
    grain=DAY,
    longest_slice=3650 * DAY,
    offers=floor(FIRST_BLOCK, DAY),
    settle=TOLD_AFTER,
    patience=3 * DAY,
    reach=365 * DAY,
    restated=7 * DAY,
    required=False,
    unit="as the metric",
    about=ABOUT,
)

SOURCE = Source(
    name="coinmetrics",
    docs="https://docs.coinmetrics.io/api/v4/",
    licence="non_commercial",
    attribution="Coin Metrics community data, CC BY-NC 4.0",
    judge=judge,
    plans=(
        Plan(
            name="community",
            base_url="https://community-api.coinmetrics.io/v4",
            simulated_at="/cm/v4",
            quota=Quota(10, timedelta(seconds=6)),
            streams=(DAILY,),
        ),
    ),
)
