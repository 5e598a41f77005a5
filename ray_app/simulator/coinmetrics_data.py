"""What the simulated Coin Metrics knows: which metric of which asset, and its number on each day.

A day is complete at 00:35 UTC of the next one, and its numbers are restated a day later: until then
those of counts, flows, fees and hash rates are a little off.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ray_app.simulator.chain import Chain
from ray_app.simulator.coingecko.query import World
from ray_app.simulator.drift import DAY_SECONDS, Drift
from ray_app.simulator.noise import Floats, fraction
from ray_app.simulator.truth import STEP_MS, STEPS_PER_DAY

PUBLISHED_AFTER = DAY_SECONDS + 35 * 60  # seconds from a day's start
RESTATED_AFTER = PUBLISHED_AFTER + DAY_SECONDS
OFF, ABSENT = 0.004, 0.004  # how far a first telling is off at most, the share of numbers that are null
FIRST_DAY = 1_367_107_200  # 2013-04-28, as the prices

# 37 assets, the richest in metrics first. Symbols, as Coin Metrics names them.
ASSETS = (
    "btc", "eth", "ltc", "bch", "doge", "zec", "dash", "etc", "bsv", "btg", "xmr", "dcr", "dgb",
    "vtc", "xvg", "grin", "xrp", "ada", "xlm", "dot", "link", "uni", "aave", "algo", "xtz", "usdt",
    "usdc", "dai", "mkr", "snx", "comp", "bat", "crv", "shib", "sushi", "yfi", "ldo",
)  # fmt: skip
COUNTS: Mapping[str, Drift] = {
    "AdrActCnt": Drift(400_000, 0.05, 0.25),
    "TxCnt": Drift(300_000, 0.06, 0.3),
    "TxTfrCnt": Drift(700_000, 0.06, 0.3),
    "AdrBalCnt": Drift(20_000_000, 0.08, 0.05),
}
FLOWS: Mapping[str, Drift] = {"FlowInExNtv": Drift(0.002, 0, 0.5), "FlowOutExNtv": Drift(0.002, 0, 0.5)}
FEES, SUPPLY, MVRV = Drift(0.000_001, 0, 0.8), Drift(1.0, 0.01, 0.0), Drift(1.6, 0.0, 0.5)
HASH_RATE, ON_EXCHANGES = Drift(1_000.0, 0.2, 0.2), 0.12
AHEAD = 400  # days beyond the asked one for which numbers are made in one go
# How many of the assets, from the first, have a metric for nothing; the rest have it not at all.
FREE: Mapping[str, int] = {
    **dict.fromkeys((*COUNTS, "SplyCur", "CapMrktCurUSD", "CapMVRVCur", "PriceUSD"), len(ASSETS)),
    "IssTotNtv": 35,
    "BlkCnt": 16,
    "FeeTotNtv": 14,
    "HashRate": 8,
    **dict.fromkeys(("FlowInExNtv", "FlowOutExNtv", "FlowInExUSD", "FlowOutExUSD", "SplyExNtv"), 2),
}
ESTIMATED = frozenset((*COUNTS, *FLOWS, "FlowInExUSD", "FlowOutExUSD", "FeeTotNtv", "HashRate"))
PAID = ("TxTfrValAdjNtv", "TxTfrValAdjUSD", "CapRealUSD", "FeeTotUSD", "RevUSD", "NVTAdj", "NVTAdj90")


@dataclass(frozen=True, slots=True)
class Told:
    """One number: its text (None: no data), whether it may still be restated, when it was told (s)."""

    value: str | None
    is_first: bool
    at: int


class Metrics:
    """Numbers of one simulation. Days are the seconds since 1970 at which they start."""

    def __init__(self, world: World, seed: int) -> None:
        self._world, self._seed, self._chain = world, seed, Chain(seed)
        symbols: dict[str, int] = {}
        for index, coin in enumerate(world.truth.coins):
            symbols.setdefault(coin.symbol, index)
        self._columns: dict[tuple[str, str], tuple[int, Sequence[float]]] = {}
        self.assets = {asset: symbols[asset] for asset in ASSETS if asset in symbols}

    def has(self, asset: str, metric: str) -> bool:
        """Is this metric free for the asset?"""
        return metric in FREE and ASSETS.index(asset) < FREE[metric]

    def first_day(self, asset: str) -> int:
        listed = self._world.truth.listed(self.assets[asset])
        return max(FIRST_DAY, (listed // STEPS_PER_DAY + 1) * DAY_SECONDS)

    def last_day(self, now_ms: int) -> int:
        """The newest day that is out."""
        return (now_ms // 1000 - PUBLISHED_AFTER) // DAY_SECONDS * DAY_SECONDS

    def row(self, asset: str, day: int, metrics: Sequence[str], now_ms: int) -> dict[str, Told]:
        """Those of the metrics that the asset has."""
        is_first = now_ms < (day + RESTATED_AFTER) * 1000
        at = day + (PUBLISHED_AFTER if is_first else RESTATED_AFTER)
        told = {}
        for metric in metrics:
            if self.has(asset, metric):
                value = self.number(asset, metric, day)
                if is_first and metric in ESTIMATED:
                    value *= 1 + OFF * (2 * fraction(self._seed, "cm first", asset, metric, day) - 1)
                told[metric] = Told(_text(metric, value), is_first, at)
        return told

    def number(self, asset: str, metric: str, day: int) -> float:
        """The final number; NaN: no data."""
        if metric != "PriceUSD" and fraction(self._seed, "cm null", asset, metric, day) < ABSENT:
            return math.nan
        first, column = self._columns.get((asset, metric), (0, ()))
        at = (day - first) // DAY_SECONDS
        if not 0 <= at < len(column):
            first = self.first_day(asset)
            count = max(0, day - first) // DAY_SECONDS + AHEAD
            days = range(first, first + count * DAY_SECONDS, DAY_SECONDS)
            column = self._column(asset, metric, days).tolist()
            self._columns[asset, metric] = first, column
            at = (day - first) // DAY_SECONDS
        return column[at] if at >= 0 else math.nan

    def _column(self, asset: str, metric: str, days: Sequence[int]) -> Floats:
        """The final numbers of these days."""
        chain, name = self._chain, (asset, metric)
        match metric:
            case "PriceUSD":
                return self._prices(asset, days)
            case "SplyCur":
                return self._supply(asset, days)
            case "CapMrktCurUSD":
                return self._supply(asset, days) * self._prices(asset, days)
            case "CapMVRVCur":
                return MVRV.at(self._seed, name, days)
            case "IssTotNtv" if asset == "btc":
                subsidies = [chain.subsidy(chain.first_of_day(day)) for day in days]
                return np.asarray(self._blocks(days) * np.array(subsidies) / 1e8)
            case "IssTotNtv":
                following = [day + DAY_SECONDS for day in days]
                return self._supply(asset, following) - self._supply(asset, days)
            case "BlkCnt" if asset == "btc":
                return self._blocks(days)
            case "BlkCnt":
                return np.rint(Drift(575, 0.0, 0.02).at(self._seed, name, days))
            case "FeeTotNtv":
                return self._supply(asset, days) * FEES.at(self._seed, name, days)
            case "HashRate" if asset == "btc":
                return np.array(chain.hash_rates(days)) / 1e12
            case "HashRate":
                return HASH_RATE.at(self._seed, name, days)
            case "SplyExNtv":
                return self._supply(asset, days) * ON_EXCHANGES
        if metric in FLOWS:
            return self._supply(asset, days) * FLOWS[metric].at(self._seed, name, days)
        if metric in COUNTS:
            size = 1 / float((1 + ASSETS.index(asset)) ** 0.7)
            return np.asarray(COUNTS[metric].at(self._seed, name, days) * size)
        in_native = metric.replace("USD", "Ntv")  # what is left: flows in dollars
        return self._column(asset, in_native, days) * self._prices(asset, days)

    def _blocks(self, days: Sequence[int]) -> Floats:
        return np.array([self._chain.blocks_of_day(day) for day in days], dtype=np.float64)

    def _supply(self, asset: str, days: Sequence[int]) -> Floats:
        if asset == "btc":
            minted = [self._chain.minted(self._chain.first_of_day(day + DAY_SECONDS) - 1) for day in days]
            return np.array(minted) / 1e8
        coin = self._world.truth.coins[self.assets[asset]]
        return np.asarray(coin.circulating * SUPPLY.at(self._seed, (asset, "supply"), days))

    def _prices(self, asset: str, days: Sequence[int]) -> Floats:
        """The last price of each day."""
        steps = (np.array(days, dtype=np.int64) + DAY_SECONDS) * 1000 // STEP_MS - 1
        return self._world.truth.path(self.assets[asset], steps)


def _text(metric: str, value: float) -> str | None:
    if math.isnan(value):
        return None
    return str(round(value)) if metric in COUNTS or metric == "BlkCnt" else repr(round(value, 10))
