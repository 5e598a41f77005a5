"""Blockchain.com's charts and statistics, simulated. A chart is sampled unless `sampled=false` is asked for."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from ray_app.simulator.chain import Chain
from ray_app.simulator.drift import DAY_SECONDS, Drift, midnight
from ray_app.simulator.mempool import nginx
from ray_app.simulator.noise import fraction
from ray_app.simulator.quota import Rolling
from ray_app.simulator.simulation import Simulation
from ray_app.simulator.truth import STEP_MS
from ray_app.simulator.upstream import Asked
from ray_app.simulator.wire import Rejection, Reply

PER_MINUTE = 30
SAMPLES = 1_500  # about as many points as a sampled chart has
ABSENT = 0.003  # the share of days that a chart lacks
FIRST_DAY = 1_230_940_800  # 2009-01-03
PRICED_FROM = 1_367_107_200  # 2013-04-28, as the prices
CHARTS: Mapping[str, tuple[str, str, str]] = {
    "n-unique-addresses": ("Number Of Unique Addresses Used", "Addresses", "Addresses used on the chain."),
    "n-transactions": ("Confirmed Transactions Per Day", "Transactions", "Transactions confirmed in a day."),
    "hash-rate": ("Hash Rate", "Hash Rate TH/s", "Terahashes a second that the network performs."),
    "difficulty": ("Network Difficulty", "Difficulty", "How hard it is to find a block."),
    "miners-revenue": ("Miners Revenue", "USD", "Subsidies and fees paid to miners."),
    "transaction-fees": ("Total Transaction Fees (BTC)", "BTC", "Fees paid to miners."),
    "estimated-transaction-volume-usd": (
        "Estimated Transaction Value (USD)",
        "USD",
        "Value sent, less change.",
    ),
    "market-price": ("Market Price (USD)", "USD", "The average price over the large exchanges."),
    "utxo-count": ("Number Of Unspent Transaction Outputs", "Unspent Outputs", "Valid unspent outputs."),
    "mempool-size": ("Mempool Size", "Bytes", "Transactions waiting for a block."),
}
WANDERING: Mapping[str, Drift] = {
    "n-unique-addresses": Drift(520_000, 0.05, 0.2),
    "n-transactions": Drift(380_000, 0.07, 0.25),
    "estimated-transaction-volume-usd": Drift(7.5e9, 0.15, 0.5),
    "utxo-count": Drift(170_000_000, 0.12, 0.02),
    "mempool-size": Drift(9e7, 0.0, 1.0),
}
SPANS = {"day": 1, "week": 7, "month": 30, "year": 365}


class BlockchainInfo:
    """One upstream: charts by day, and one page of the present."""

    name, prefix = "bci", "/bci"
    secret_params: frozenset[str] = frozenset()

    def __init__(self, simulation: Simulation) -> None:
        self._seed, self._truth = simulation.config.seed, simulation.world.truth
        self._chain = Chain(self._seed)
        self._minute = Rolling(PER_MINUTE, 60_000)

    def limit(self, asked: Asked) -> Reply | None:
        return nginx(429, "Too Many Requests") if self._minute.arrive(asked.client, asked.now_ms) else None

    def lower(self, per_minute: int) -> None:
        self._minute.limit = per_minute

    def answer(self, asked: Asked) -> Reply:
        if asked.path == "/stats":
            return _told(self._stats(asked.now_ms))
        parent, _, name = asked.path.rpartition("/")
        if parent != "/charts" or name not in CHARTS:
            missing = {"status": "not-found", "error": f"No chart {name}"}
            raise Rejection(404, json.dumps(missing), "application/json")
        if asked.params.get("format", "json") != "json":
            raise Rejection(400, "The simulator draws charts as JSON only", "text/plain")
        title, unit, text = CHARTS[name]
        return _told(
            {
                "status": "ok",
                "name": title,
                "unit": unit,
                "period": "day",
                "description": text,
                "values": [{"x": day, "y": y} for day, y in self._points(name, asked)],
            }
        )

    def truth(self, params: Mapping[str, str]) -> Any:
        """The number of one day: `name`, `day` (`2026-05-31`); null where the chart lacks it."""
        day = int(datetime.fromisoformat(params["day"]).replace(tzinfo=UTC).timestamp())
        lacks = self._lacks(params["name"], day)
        return {"y": None if lacks else self.numbers(params["name"], [day])[0]}

    def numbers(self, name: str, days: Sequence[int]) -> list[float]:
        """A chart's numbers of the days that start at these seconds."""
        chain = self._chain
        if name in WANDERING:
            digits = 2 if name == "estimated-transaction-volume-usd" else None
            told = WANDERING[name].at(self._seed, ("bci", name), days).tolist()
            return [round(number, digits) for number in told]
        if name == "hash-rate":
            return [rate / 1e12 for rate in chain.hash_rates(days)]
        if name == "difficulty":
            return [chain.difficulty(chain.first_of_day(day)) for day in days]
        if name == "market-price":
            return [round(price, 2) for price in self._prices(days)]
        firsts = [chain.first_of_day(day) for day in days]
        mined = [chain.blocks_of_day(day) for day in days]
        fees = [count * paid / 1e8 for count, paid in zip(mined, chain.fees_of(firsts), strict=True)]
        if name == "transaction-fees":
            return [round(paid, 8) for paid in fees]
        minted = [count * chain.subsidy(first) / 1e8 for count, first in zip(mined, firsts, strict=True)]
        priced = zip(minted, fees, self._prices(days), strict=True)
        return [round((new + paid) * price, 2) for new, paid, price in priced]

    def _points(self, name: str, asked: Asked) -> list[tuple[int, float]]:
        """Whole days only: the last one is yesterday."""
        today = midnight(asked.now_ms // 1000)
        first = PRICED_FROM if name in ("market-price", "miners-revenue") else FIRST_DAY
        days = _days(asked.params.get("timespan", "1year"))
        since = max(first, today - days * DAY_SECONDS)
        until = today
        if "start" in asked.params:
            try:
                start = datetime.strptime(asked.params["start"], "%Y-%m-%d").replace(tzinfo=UTC)
            except ValueError:
                raise Rejection(400, '{"error":"Bad start"}', "application/json") from None
            since = max(first, int(start.timestamp()))
            until = min(today, since + days * DAY_SECONDS)
        wanted = [day for day in range(since, until, DAY_SECONDS) if not self._lacks(name, day)]
        if asked.params.get("sampled", "true") != "false" and len(wanted) > SAMPLES:
            wanted = wanted[:: -(-len(wanted) // SAMPLES)]
        return list(zip(wanted, self.numbers(name, wanted), strict=True))

    def _lacks(self, name: str, day: int) -> bool:
        return fraction(self._seed, "bci lacks", name, day) < ABSENT

    def _prices(self, days: Sequence[int]) -> list[float]:
        """Each day's mean, hour by hour."""
        if not days:
            return []
        starts = np.array(days, dtype=np.int64)[:, np.newaxis] * 1000 // STEP_MS
        path = self._truth.path(self._truth.index["bitcoin"], (starts + np.arange(24) * 12).ravel())
        means: list[float] = np.nanmean(path.reshape(len(days), 24), axis=1).tolist()
        return means

    def _stats(self, now_ms: int) -> dict[str, Any]:
        """The last 24 hours. `timestamp` is in ms, amounts of bitcoins are in satoshi, the hash rate in GH/s."""
        chain = self._chain
        tip, before = chain.tip(now_ms), chain.tip(now_ms - DAY_SECONDS * 1000)
        mined = range(before + 1, tip + 1)
        fees = sum(chain.fees_of(mined))
        minted = sum(chain.subsidy(height) for height in mined)
        price = float(self._truth.path(self._truth.index["bitcoin"], np.array([now_ms // STEP_MS]))[0])
        return {
            "timestamp": now_ms,
            "market_price_usd": round(price, 2),
            "hash_rate": chain.hash_rate(now_ms // 1000) / 1e9,
            "total_fees_btc": fees,
            "n_btc_mined": minted,
            "n_tx": sum(chain.transactions_of(mined)),
            "n_blocks_mined": len(mined),
            "minutes_between_blocks": round(1440 / len(mined), 4),
            "totalbc": chain.minted(tip),
            "n_blocks_total": tip,
            "miners_revenue_usd": round((minted + fees) / 1e8 * price, 2),
            "miners_revenue_btc": (minted + fees) // 10**8,
            "difficulty": chain.difficulty(tip),
            "nextretarget": tip - tip % 2_016 + 2_016,
        }


def _days(timespan: str) -> int:
    """`all`, or a number and a unit: `5weeks`, `2years`."""
    if timespan == "all":
        return 100_000
    number = timespan.rstrip("abcdefghijklmnopqrstuvwxyz")
    unit = timespan[len(number) :].removesuffix("s")
    if not number.isdigit() or unit not in SPANS:
        raise Rejection(400, json.dumps({"error": f"Bad timespan {timespan}"}), "application/json")
    return int(number) * SPANS[unit]


def _told(value: Any) -> Reply:
    return Reply(200, json.dumps(value, separators=(",", ":")).encode(), "application/json")
