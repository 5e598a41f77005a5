"""CoinGecko v3: prices, exchange rates, charts and candles of coins, the market as a whole. US dollars.

What surprises in its answers stands where they are read: `market` has the present, `candles` the past. A 200
can carry a 429. The plans differ in what they allow, not in what an answer looks like.
"""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from ray_app.model.source import ApiKey, Plan, Quota, Source, Stream
from ray_app.sources.coingecko.answers import judge
from ray_app.sources.coingecko.candles import BARS, BARS_OF_HALVES, CHART
from ray_app.sources.coingecko.market import PRICES, RATES, TOTALS, TRENDING

__all__ = ["BARS", "BARS_OF_HALVES", "CHART", "PRICES", "RATES", "SOURCE", "TOTALS", "TRENDING"]

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
PUBLIC, PRO = "https://api.coingecko.com/api/v3", "https://pro-api.coingecko.com/api/v3"
DEMO_KEY = ApiKey("coingecko_demo_key", "x-cg-demo-api-key")
PRO_KEY = ApiKey("coingecko_pro_key", "x-cg-pro-api-key")
QUARTER = 15 * MINUTE


def seldom(stream: Stream, every: timedelta, attempts: int = 2) -> Stream:
    """The same stream of the present, polled less often."""
    return replace(stream, every=every, grain=every, longest_slice=every, attempts=attempts)


SOURCE = Source(
    name="coingecko",
    docs="https://docs.coingecko.com",
    licence="attribution",
    attribution="Data provided by CoinGecko",
    judge=judge,
    states_limit=True,
    plans=(
        Plan(
            name="keyless",
            base_url=PUBLIC,
            simulated_at="/cg-public/api/v3",
            quota=Quota(5, MINUTE),
            streams=(PRICES, RATES, replace(BARS_OF_HALVES, attempts=2), TOTALS, seldom(TRENDING, QUARTER)),
        ),
        Plan(  # the price page says 30 a minute, the documents 100: the lower one, and the keeper learns
            name="demo",
            base_url=PUBLIC,
            simulated_at="/cg-public/api/v3",
            quota=Quota(30, MINUTE, per_month=10_000),
            auth=DEMO_KEY,
            repair_reserve=Decimal("0.04"),
            streams=(
                seldom(PRICES, QUARTER, attempts=2),
                replace(RATES, attempts=1),
                replace(BARS_OF_HALVES, every=22 * HOUR, attempts=1),
                seldom(TOTALS, 3 * HOUR, attempts=1),
                seldom(TRENDING, 6 * HOUR, attempts=1),
            ),
        ),
        Plan(
            name="paid",
            base_url=PRO,
            simulated_at="/cg-pro/api/v3",
            quota=Quota(500, MINUTE, per_month=500_000),
            auth=PRO_KEY,
            streams=(PRICES, RATES, BARS, CHART, TOTALS, TRENDING),
        ),
    ),
)
