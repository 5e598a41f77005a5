"""Binance USD-M futures: what perpetual contracts pay (funding), and how many are open.

What surprises: funding comes every 8 hours for most contracts, every 4 or 1 for some, and a contract may
change. Its time can lie some milliseconds after the hour; the hour is what counts. Old rows have an empty
`markPrice`. Open interest reaches back a month, and an older `startTime` is an error. Small coins are traded
by the thousand.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

from ray_app.model.series import FundingRate, OpenInterest
from ray_app.model.source import About, Api, Page, Plan, Quota, Slice, Source, Stream
from ray_app.model.symbols import Registry
from ray_app.model.timerange import floor
from ray_app.model.unixtime import from_milliseconds, to_milliseconds
from ray_app.sources.binance import judge, listed

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
BY_THE_THOUSAND = {"SHIBUSDT": "1000SHIBUSDT", "PEPEUSDT": "1000PEPEUSDT", "BONKUSDT": "1000BONKUSDT"}
FIRST_FUNDING = datetime(2019, 9, 10, 8, tzinfo=UTC)
RATES_PER_CALL, POINTS_PER_CALL = 1000, 500


def contracts(registry: Registry) -> tuple[str, ...]:
    """The perpetual of each pair that is traded; where there is none, Binance says so and it is left out.

    A contract may outlive its pair or end before it; when is not known.
    """
    pairs = (asset.ids["binance"] for asset in registry.tracked() if "binance" in asset.ids)
    return tuple(BY_THE_THOUSAND.get(pair, pair) for pair in pairs)


async def fetch_funding(api: Api, wanted: Slice) -> AsyncIterator[Page]:
    start, end = to_milliseconds(wanted.range.start), to_milliseconds(wanted.range.end)
    asked: dict[str, str | int] = {"symbol": wanted.partition, "startTime": start, "endTime": end - 1}
    yield await api.get("/fapi/v1/fundingRate", **asked, limit=RATES_PER_CALL)


def parse_funding(row: Any, _: Slice) -> FundingRate:
    settled, mark = from_milliseconds(row["fundingTime"]), row.get("markPrice") or None
    hour = floor(settled, HOUR)
    if settled - hour >= MINUTE:
        raise ValueError(f"funding comes on the hour, this at {settled}")
    return FundingRate(symbol=row["symbol"], at=hour, rate=row["fundingRate"], mark_price=mark)


async def fetch_open_interest(api: Api, wanted: Slice) -> AsyncIterator[Page]:
    start, end = to_milliseconds(wanted.range.start), to_milliseconds(wanted.range.end)
    asked: dict[str, str | int] = {"symbol": wanted.partition, "period": "1h"}
    path = "/futures/data/openInterestHist"
    yield await api.get(path, **asked, startTime=start, endTime=end - 1, limit=POINTS_PER_CALL)


def parse_open_interest(row: Any, _: Slice) -> OpenInterest:
    at, worth = from_milliseconds(row["timestamp"]), row["sumOpenInterestValue"]
    if at != floor(at, HOUR):
        raise ValueError(f"asked for by the hour, told of {at}")
    return OpenInterest(symbol=row["symbol"], at=at, amount=row["sumOpenInterest"], worth=worth)


FUNDING = Stream(
    name="funding",
    describes="what holders of a perpetual contract paid each other, as a part of the position",
    record=FundingRate,
    partitions=contracts,
    fetch=fetch_funding,
    rows=listed,
    parse=parse_funding,
    every=HOUR,
    grain=8 * HOUR,
    longest_slice=40 * DAY,  # less than a thousand even where it comes every hour
    offers=FIRST_FUNDING,
    settle=MINUTE,
    patience=9 * HOUR,
    unfinished=True,
    required=False,
    unit="part of the position",
    parser="funding/1",
)
OPEN_INTEREST = Stream(
    name="open_interest",
    describes="open contracts, in the base asset and in USDT",
    record=OpenInterest,
    partitions=contracts,
    fetch=fetch_open_interest,
    rows=listed,
    parse=parse_open_interest,
    every=HOUR,
    grain=HOUR,
    longest_slice=20 * DAY,
    offers=29 * DAY,
    settle=5 * MINUTE,
    patience=3 * HOUR,
    about={
        name: About(name, unit=f"1000 {pair.removesuffix('USDT')}") for pair, name in BY_THE_THOUSAND.items()
    },
    required=False,
    unit="base asset, USDT",
    parser="open_interest/1",
)

SOURCE = Source(
    name="binance_futures",
    docs="https://developers.binance.com/docs/derivatives/usds-margined-futures",
    licence="own_use",
    judge=judge,
    plans=(
        Plan(  # 500 calls in 5 minutes for funding, 1,000 for open interest: less than the lower one
            name="public",
            base_url="https://fapi.binance.com",
            simulated_at="/binance-futures",
            quota=Quota(60, MINUTE),
            streams=(FUNDING, OPEN_INTEREST),
        ),
    ),
)
