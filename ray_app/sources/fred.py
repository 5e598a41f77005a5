"""FRED and ALFRED: macro series of the US with their vintages, and market closes that it keeps without any.

What surprises: asked for a window of vintages, FRED clamps each row's real-time start to the window's, so the
first day of a window is no vintage: we ask from a day earlier and leave that day out. "." is a withdrawn number
or a holiday. A window with more than 2,000 vintages is refused, so is one that ends after today in US Central
(hence `settle`), so is one before the first vintage, in the same words as an unknown series. The text "not
registered" has been seen for good keys. A call without a window echoes the series' last update, not today.
The S&P 500 has no vintages and 10 years only; there is no gold price any more.
"""

from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from ray_app.model.errors import Malformed, NotOffered, Transient, UpstreamError
from ray_app.model.series import Observation
from ray_app.model.source import About, Api, ApiKey, Page, Plan, Quota, Slice, Source, Stream

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LIMIT = 100_000  # rows of one answer
OLDEST = datetime(1776, 7, 4, tzinfo=UTC)  # what FRED calls the first day
US_CENTRAL = 6 * HOUR  # its day is over when that much of ours has passed
REACTIONS: tuple[tuple[bytes, type[UpstreamError]], ...] = (
    (b"does not exist in ALFRED", NotOffered),
    (b"series does not exist", NotOffered),
    (b"is not registered", Transient),
    (b"can not be after today's date", Transient),
    (b"exceeds the maximum number of vintage dates", Malformed),
)
OWNED = {"DCOILWTICO", "NASDAQCOM", "SP500", "UMCSENT", "VIXCLS"}  # by others: not for passing on
REVISED: tuple[tuple[str, str, str, str], ...] = (  # series, title, unit, frequency
    ("GDP", "Gross domestic product", "billions of USD a year", "quarterly"),
    ("GDPC1", "Real gross domestic product", "billions of chained USD a year", "quarterly"),
    ("PCEPI", "Personal consumption expenditures: price index", "index", "monthly"),
    ("PCEPILFE", "The same without food and energy", "index", "monthly"),
    ("CPIAUCSL", "Consumer price index, all items", "index", "monthly"),
    ("CPILFESL", "Consumer price index without food and energy", "index", "monthly"),
    ("PPIACO", "Producer price index, all commodities", "index", "monthly"),
    ("UNRATE", "Unemployment rate", "percent", "monthly"),
    ("PAYEMS", "Employees, total nonfarm", "thousands of persons", "monthly"),
    ("ICSA", "Initial unemployment claims", "claims", "weekly"),
    ("JTSJOL", "Job openings, total nonfarm", "thousands", "monthly"),
    ("INDPRO", "Industrial production, total", "index", "monthly"),
    ("RSAFS", "Retail and food services sales", "millions of USD", "monthly"),
    ("HOUST", "Housing starts", "thousands of units a year", "monthly"),
    ("UMCSENT", "Consumer sentiment, University of Michigan", "index", "monthly"),
    ("M2SL", "Money stock M2", "billions of USD", "monthly"),
    ("FEDFUNDS", "Federal funds effective rate, month", "percent", "monthly"),
    ("WALCL", "Federal Reserve: total assets", "millions of USD", "weekly"),
    ("WTREGEN", "Treasury general account", "millions of USD", "weekly"),
)
DAILY: tuple[tuple[str, str, str, str], ...] = (
    ("DFF", "Federal funds effective rate", "percent", "daily, 7 days"),
    ("DFEDTARU", "Federal funds target range, upper limit", "percent", "daily, 7 days"),
    ("SOFR", "Secured overnight financing rate", "percent", "daily"),
    ("DGS3MO", "Treasury yield, 3 months", "percent", "daily"),
    ("DGS2", "Treasury yield, 2 years", "percent", "daily"),
    ("DGS10", "Treasury yield, 10 years", "percent", "daily"),
    ("T10Y2Y", "Treasury yields, 10 years less 2 years", "percent", "daily"),
    ("T10Y3M", "Treasury yields, 10 years less 3 months", "percent", "daily"),
    ("T10YIE", "Breakeven inflation, 10 years", "percent", "daily"),
    ("T5YIFR", "Forward inflation expectation, 5 years in 5 years", "percent", "daily"),
    ("DFII10", "Real Treasury yield, 10 years", "percent", "daily"),
    ("RRPONTSYD", "Overnight reverse repurchase agreements", "billions of USD", "daily"),
    ("DTWEXBGS", "Nominal broad US dollar index", "index", "daily, told weekly"),
    ("DEXUSEU", "US dollars for a euro", "USD", "daily, told weekly"),
    ("DCOILWTICO", "Crude oil, West Texas Intermediate", "USD a barrel", "daily, told weekly"),
)
CLOSES: tuple[tuple[str, str, str, str], ...] = (
    ("SP500", "S&P 500, close", "index", "daily"),
    ("NASDAQCOM", "NASDAQ Composite, close", "index", "daily"),
    ("VIXCLS", "CBOE volatility index VIX, close", "index", "daily"),
)


def about(series: Iterable[tuple[str, str, str, str]]) -> dict[str, About]:
    return {
        name: About(title, unit, "no_redistribution" if name in OWNED else "public_domain", frequency)
        for name, title, unit, frequency in series
    }


def judge(page: Page) -> None:
    """Raise what FRED's texts tell and its status, nearly always 400, does not."""
    head = page.body[:2000]
    if b"error_message" not in head and not head.lstrip().startswith(b"<error"):
        return
    for text, reaction in REACTIONS:
        if text in head:
            raise reaction(page.source, f"HTTP {page.status}: {head[:300].decode('utf-8', 'replace')}")
    if page.status == 423 or page.status < 300:
        raise Transient(page.source, f"HTTP {page.status}: {head[:300].decode('utf-8', 'replace')}")


def answered(page: Page) -> dict[str, Any]:
    """The answer, once it holds as many observations as it says, in the unit of the series."""
    body = page.json()
    if not isinstance(body, dict) or not isinstance(body.get("observations"), list):
        raise Malformed(page.source, f"expected observations, found {page.body[:80]!r}")
    told = {name: body.get(name) for name in ("units", "count", "offset", "limit")}
    count, offset, limit = told["count"], told["offset"], told["limit"]
    if not (isinstance(count, int) and isinstance(offset, int) and isinstance(limit, int)):
        raise Malformed(page.source, f"expected whole numbers, found {told}")
    if told["units"] != "lin" or str(offset) != page.params.get("offset", "0"):
        raise Malformed(page.source, f"another unit or page than asked for: {told}")
    if len(body["observations"]) != max(0, min(limit, count - offset)):
        raise Malformed(page.source, f"{len(body['observations'])} observations, but {told}")
    return body


def rows(page: Page) -> Iterable[Any]:
    observations: list[Any] = answered(page)["observations"]
    return observations


def changes(page: Page) -> Iterable[Any]:
    """The rows of a window of vintages without those that were there before it.

    FRED tells those as of the window's first day, which lies before the slice.
    """
    first = page.params.get("realtime_start")
    told = rows(page)
    if first is None or first == OLDEST.date().isoformat():
        return told
    return [row for row in told if not (isinstance(row, dict) and row.get("realtime_start") == first)]


async def paged(api: Api, asked: dict[str, str | int]) -> AsyncIterator[Page]:
    offset, count = 0, 1
    while offset < count:
        page = await api.get("/series/observations", **asked, file_type="json", limit=LIMIT, offset=offset)
        yield page
        offset, count = offset + LIMIT, answered(page)["count"]


def fetch_vintages(api: Api, wanted: Slice) -> AsyncIterator[Page]:
    """From the day before: what is clamped to a window's first day is older, and lies outside the slice."""
    first = max(OLDEST, wanted.range.start - DAY).date()
    last = (wanted.range.end - DAY).date()
    window = {"realtime_start": first.isoformat(), "realtime_end": last.isoformat()}
    return paged(api, {"series_id": wanted.partition, **window})


def fetch_closes(api: Api, wanted: Slice) -> AsyncIterator[Page]:
    first, last = wanted.range.start.date(), (wanted.range.end - DAY).date()
    window = {"observation_start": first.isoformat(), "observation_end": last.isoformat()}
    return paged(api, {"series_id": wanted.partition, **window})


def midnight(told: str) -> datetime:
    day = date.fromisoformat(told)
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def parse_vintage(row: Any, wanted: Slice) -> Observation:
    """{"realtime_start": "2020-07-30", "realtime_end": "2020-08-26", "date": "2020-04-01", "value": "19408.759"}"""
    told = row["value"]
    return Observation(
        series=wanted.partition,
        period=midnight(row["date"]),
        vintage=midnight(row["realtime_start"]),
        value=None if told == "." else Decimal(told),
    )


def parse_close(row: Any, wanted: Slice) -> Observation | None:
    """A close is known on its day and never revised: its day is its vintage. "." is a holiday, or not told yet."""
    day = midnight(row["date"])
    if row["value"] == ".":
        return None
    return Observation(series=wanted.partition, period=day, vintage=day, value=Decimal(row["value"]))


VINTAGES = Stream(
    name="macro",
    describes="macro series, monthly or so, each value with the day from which it held",
    record=Observation,
    partitions=lambda _: tuple(name for name, *_ in REVISED),
    fetch=fetch_vintages,
    rows=changes,
    parse=parse_vintage,
    every=HOUR,
    grain=DAY,
    longest_slice=30 * 365 * DAY,  # 53 vintages a year are under 2,000
    offers=datetime(1900, 1, 1, tzinfo=UTC),
    attempts=2,
    settle=US_CENTRAL,
    unfinished=True,
    reach=100 * 365 * DAY,  # a level stands for years: without its first vintages the newest value is unknown
    quiet=130 * DAY,  # a quarter and what its release takes
    required=False,
    unit="as the series",
    about=about(REVISED),
)
DAILY_VINTAGES = replace(
    VINTAGES,
    name="macro_daily",
    describes="daily rates and prices, each value with the day from which it held",
    partitions=lambda _: tuple(name for name, *_ in DAILY),
    longest_slice=5 * 365 * DAY,  # 366 vintages a year are under 2,000
    reach=10 * 365 * DAY,
    quiet=14 * DAY,
    about=about(DAILY),
)
MARKET_CLOSES = replace(
    VINTAGES,
    name="market_closes",
    describes="closes of stock indices, which FRED keeps without vintages",
    partitions=lambda _: tuple(name for name, *_ in CLOSES),
    fetch=fetch_closes,
    parse=parse_close,
    longest_slice=3650 * DAY,
    offers=3650 * DAY,
    settle=timedelta(0),
    patience=5 * DAY,
    unfinished=False,
    reach=10 * 365 * DAY,
    quiet=7 * DAY,
    about=about(CLOSES),
    parser="closes/1",
)

SOURCE = Source(
    name="fred",
    docs="https://fred.stlouisfed.org/docs/api/fred/",
    licence="public_domain",
    attribution="This product uses the FRED API but is not endorsed or certified by the "
    "Federal Reserve Bank of St. Louis",
    judge=judge,
    plans=(
        Plan(
            name="free",
            base_url="https://api.stlouisfed.org/fred",
            simulated_at="/fred",
            quota=Quota(100, MINUTE),  # published: 120 a minute; kept since 2026: 2 a second
            auth=ApiKey("fred_key", param="api_key"),
            streams=(VINTAGES, DAILY_VINTAGES, MARKET_CLOSES),
        ),
    ),
)
