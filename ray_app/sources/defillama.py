"""DefiLlama: value locked in DeFi, volume of decentralised exchanges, supply of stablecoins, per day.

What surprises: every answer is the whole history; its last point is of the running day and moves. History is
restated when an adapter changes. Days are seconds, in one place as text. Stablecoins live on another host.
"""

from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ray_app.model.errors import Malformed
from ray_app.model.series import Metric
from ray_app.model.source import About, Api, Page, Plan, Quota, Slice, Source, Stream
from ray_app.model.timerange import floor
from ray_app.model.unixtime import from_seconds

DAY = timedelta(days=1)
STABLECOINS = "https://stablecoins.llama.fi"
LOCKED = "Value locked in DeFi, without liquid staking and double counting"
TVL = {
    "all.tvl": ("/v2/historicalChainTvl", About(LOCKED, frequency="daily")),
    "ethereum.tvl": ("/v2/historicalChainTvl/Ethereum", About(f"{LOCKED}: Ethereum", frequency="daily")),
    "solana.tvl": ("/v2/historicalChainTvl/Solana", About(f"{LOCKED}: Solana", frequency="daily")),
    "base.tvl": ("/v2/historicalChainTvl/Base", About(f"{LOCKED}: Base", frequency="daily")),
    "arbitrum.tvl": ("/v2/historicalChainTvl/Arbitrum", About(f"{LOCKED}: Arbitrum", frequency="daily")),
}
VOLUME = {
    "all.dex_volume": (
        "/overview/dexs",
        About("Volume of decentralised exchanges in the day", frequency="daily"),
    )
}
SUPPLY = {
    "all.stablecoin_supply": (
        f"{STABLECOINS}/stablecoincharts/all",
        About("Stablecoins pegged to the dollar, in circulation", frequency="daily"),
    )
}
PATHS = {name: path for name, (path, _) in (TVL | VOLUME | SUPPLY).items()}


async def fetch(api: Api, wanted: Slice) -> AsyncIterator[Page]:
    yield await api.get(PATHS[wanted.partition])


async def fetch_volume(api: Api, wanted: Slice) -> AsyncIterator[Page]:
    """Without the volumes by exchange, which make up most of the answer."""
    yield await api.get(PATHS[wanted.partition], excludeTotalDataChartBreakdown="true")


def points(page: Page) -> Iterable[Any]:
    """The list that the answer is."""
    body = page.json()
    if not isinstance(body, list):
        raise Malformed(page.source, f"expected a list of days, found {page.body[:80]!r}")
    return body


def chart(page: Page) -> Iterable[Any]:
    """{"totalDataChart": [[1780272000, 1.2e9]], "total24h": ...}"""
    body = page.json()
    if not isinstance(body, dict) or not isinstance(body.get("totalDataChart"), list):
        raise Malformed(page.source, f"expected a chart, found {page.body[:80]!r}")
    found: list[Any] = body["totalDataChart"]
    return found


def told(day: Any, dollars: Any, wanted: Slice) -> Metric | None:
    """A day is told on the next one; two days are the bound. The running day lies outside every slice."""
    at = from_seconds(day)
    if at in wanted.range and at != floor(at, DAY):
        raise ValueError(f"expected the start of a day, found {at}")
    if dollars is None:
        return None
    if dollars < 0:
        raise ValueError(f"expected dollars, found {dollars}")
    return Metric(metric=wanted.partition, at=at, published=at + 2 * DAY, value=dollars)


def parse_tvl(row: Any, wanted: Slice) -> Metric | None:
    """{"date": 1780272000, "tvl": 6.1e10}"""
    return told(row["date"], row["tvl"], wanted)


def parse_volume(row: Any, wanted: Slice) -> Metric | None:
    day, dollars = row
    return told(day, dollars, wanted)


def parse_supply(row: Any, wanted: Slice) -> Metric | None:
    """{"date": "1780272000", "totalCirculating": {"peggedUSD": 2.9e11, "peggedEUR": 1.0e9}}"""
    return told(row["date"], row["totalCirculating"]["peggedUSD"], wanted)


LOCKED_VALUE = Stream(
    name="tvl",
    describes="value locked in DeFi per day, in all and by chain",
    record=Metric,
    partitions=lambda _: tuple(TVL),
    fetch=fetch,
    rows=points,
    parse=parse_tvl,
    every=timedelta(hours=1),
    grain=DAY,
    longest_slice=3650 * DAY,
    offers=datetime(2018, 1, 1, tzinfo=UTC),
    settle=timedelta(hours=6),
    patience=3 * DAY,
    reach=365 * DAY,
    restated=14 * DAY,
    required=False,
    about={name: about for name, (_, about) in TVL.items()},
    parser="tvl/1",
)
VOLUMES = replace(
    LOCKED_VALUE,
    name="dex_volume",
    describes="volume of decentralised exchanges per day",
    partitions=lambda _: tuple(VOLUME),
    fetch=fetch_volume,
    rows=chart,
    parse=parse_volume,
    about={name: about for name, (_, about) in VOLUME.items()},
    parser="volume/1",
)
SUPPLIES = replace(
    LOCKED_VALUE,
    name="stablecoins",
    describes="supply of stablecoins pegged to the dollar, per day",
    partitions=lambda _: tuple(SUPPLY),
    parse=parse_supply,
    about={name: about for name, (_, about) in SUPPLY.items()},
    parser="supply/1",
)

SOURCE = Source(
    name="defillama",
    docs="https://api-docs.defillama.com",
    licence="attribution",
    attribution="DefiLlama",
    plans=(
        Plan(
            name="free",
            base_url="https://api.llama.fi",
            simulated_at="/llama",
            elsewhere={STABLECOINS: "/llama-stable"},
            quota=Quota(30, timedelta(minutes=1)),
            streams=(LOCKED_VALUE, VOLUMES, SUPPLIES),
        ),
    ),
)
