"""mempool.space: bitcoin's network as it is now - fee rates, waiting transactions, height, mining.

What surprises: none of these has a history, a poll that is missed is lost. The height is a bare number. Fee
rates may have fractions. Hash rates are in H/s here, elsewhere in TH/s. Limits are not published; a 429 is HTML
without Retry-After.
"""

from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from decimal import Decimal
from typing import Any

from ray_app.model.errors import Malformed
from ray_app.model.series import Metric
from ray_app.model.source import About, Api, Page, Plan, Quota, Slice, Source, Stream

MINUTE = timedelta(minutes=1)
FEES, WAITING, TIP, MINING = (
    "/v1/fees/recommended",
    "/mempool",
    "/blocks/tip/height",
    "/v1/mining/hashrate/3d",
)
METRICS: dict[str, tuple[str, str, Decimal, str, str]] = {  # path, field, least, title, unit
    "btc.fee_rate_fast": (FEES, "fastestFee", Decimal("0.01"), "Fee rate for the next block", "sat/vB"),
    "btc.fee_rate_half_hour": (FEES, "halfHourFee", Decimal("0.01"), "Fee rate for half an hour", "sat/vB"),
    "btc.fee_rate_hour": (FEES, "hourFee", Decimal("0.01"), "Fee rate for an hour", "sat/vB"),
    "btc.mempool_tx": (WAITING, "count", Decimal(0), "Transactions that wait", "transactions"),
    "btc.mempool_vsize": (WAITING, "vsize", Decimal(0), "Size of the transactions that wait", "vB"),
    "btc.mempool_fees": (WAITING, "total_fee", Decimal(0), "Fees of the transactions that wait", "sat"),
    "btc.block_height": (TIP, "", Decimal(800_000), "Height of the newest block", "blocks"),
    "btc.hash_rate": (MINING, "currentHashrate", Decimal(10**18), "Hash rate, estimated", "H/s"),
    "btc.difficulty": (MINING, "currentDifficulty", Decimal(10**12), "Difficulty", "difficulty"),
}  # of 2023 and later: less is another unit


async def fetch(api: Api, wanted: Slice) -> AsyncIterator[Page]:
    """All partitions of a slice stand in one answer."""
    yield await api.get(METRICS[wanted.partitions[0]][0])


def rows(page: Page) -> Iterable[Any]:
    """(metric, value) for each metric of this path; None for a field that is not there."""
    body = page.json()
    if page.path == TIP:
        body = {"": body}
    if not isinstance(body, dict):
        raise Malformed(page.source, f"expected an object, found {page.body[:80]!r}")
    return [(name, body.get(field)) for name, (path, field, *_) in METRICS.items() if path == page.path]


def parse(row: Any, wanted: Slice) -> Metric:
    """The value was seen within the slice: known at its end at the latest."""
    name, value = row
    least = METRICS[name][2]
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or value < least:
        raise ValueError(f"expected a number of {least} or more for {name}, found {value!r}")
    return Metric(metric=name, at=wanted.range.start, published=wanted.range.end, value=Decimal(value))


def stream(name: str, path: str, every: timedelta, describes: str) -> Stream:
    own = {metric: About(row[3], row[4]) for metric, row in METRICS.items() if row[0] == path}
    return Stream(
        name=name,
        describes=describes,
        record=Metric,
        partitions=lambda _: tuple(own),
        fetch=fetch,
        rows=rows,
        parse=parse,
        every=every,
        grain=every,
        longest_slice=every,
        offers=None,
        batch=len(own),
        required=False,
        unit="as the metric",
        about=own,
    )


SOURCE = Source(
    name="mempool",
    docs="https://mempool.space/docs/api/rest",
    licence="attribution",
    attribution="mempool.space",
    plans=(
        Plan(
            name="public",
            base_url="https://mempool.space/api",
            simulated_at="/mempool/api",
            quota=Quota(30, MINUTE),
            streams=(
                stream("fees", FEES, 10 * MINUTE, "fee rates that bitcoin's network asks for"),
                stream("waiting", WAITING, 10 * MINUTE, "what waits for a place in bitcoin's blocks"),
                stream("height", TIP, 10 * MINUTE, "height of bitcoin's newest block"),
                stream("mining", MINING, 30 * MINUTE, "hash rate and difficulty of bitcoin"),
            ),
        ),
    ),
)
