"""DefiLlama, simulated: value locked by chain, and trade on exchanges. Stablecoins have a host of their own.

History is restated: every ten days an adapter changes and with it some stretches of the past. The last
point of a series is today's, as far as the day has come.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ray_app.simulator.drift import DAY_SECONDS, Drift, midnight
from ray_app.simulator.fault_answers import page
from ray_app.simulator.noise import fraction
from ray_app.simulator.quota import Rolling
from ray_app.simulator.simulation import Simulation
from ray_app.simulator.upstream import Asked
from ray_app.simulator.wire import HTML, Rejection, Reply

PER_MINUTE = 300
CHANGE_SECONDS = 10 * DAY_SECONDS  # how often adapters change
STRETCH_SECONDS = 30 * DAY_SECONDS  # what is restated, is so for a stretch of this length
RESTATED, OFF = 0.15, 0.01  # the share of stretches that one change touches, and by how much at most


@dataclass(frozen=True, slots=True)
class ChainOfDefi:
    """A chain: DefiLlama's name for it and the ids of others, its value locked, the day it begins."""

    name: str
    gecko_id: str | None
    symbol: str | None
    cmc_id: str | None
    chain_id: int | None
    tvl: Drift
    since: str


CHAINS: Mapping[str, ChainOfDefi] = {
    chain.name.lower(): chain
    for chain in (
        ChainOfDefi("Ethereum", "ethereum", "ETH", "1027", 1, Drift(6.1e10, 0.2, 0.3), "2018-10-01"),
        ChainOfDefi("Solana", "solana", "SOL", "5426", None, Drift(9.0e9, 0.3, 0.5), "2021-03-01"),
        ChainOfDefi("BSC", "binancecoin", "BNB", "1839", 56, Drift(5.6e9, 0.1, 0.4), "2020-10-01"),
        ChainOfDefi("Bitcoin", "bitcoin", "BTC", "1", None, Drift(6.3e9, 0.3, 0.5), "2021-01-01"),
        ChainOfDefi("Tron", "tron", "TRON", "1958", 728126428, Drift(4.9e9, 0.1, 0.2), "2020-09-01"),
        ChainOfDefi("Base", None, None, None, 8453, Drift(4.4e9, 0.4, 0.4), "2023-08-01"),
        ChainOfDefi("Arbitrum", "arbitrum", "ARB", "11841", 42161, Drift(2.9e9, 0.1, 0.3), "2021-09-01"),
        ChainOfDefi("Avalanche", "avalanche-2", "AVAX", "5805", 43114, Drift(1.4e9, 0.1, 0.5), "2021-02-01"),
        ChainOfDefi(
            "Polygon", "polygon-ecosystem-token", "POL", "3890", 137, Drift(1.1e9, 0, 0.4), "2020-11-01"
        ),
        ChainOfDefi(
            "Hyperliquid L1", "hyperliquid", "HYPE", "32196", 999, Drift(1.5e9, 0.8, 0.6), "2024-12-01"
        ),
    )
}
DEXS = {"Uniswap": Drift(2.2e9, 0.2, 0.6), "PancakeSwap": Drift(1.5e9, 0.2, 0.7), "Raydium": Drift(9e8, 0.1, 0.9),
        "Curve DEX": Drift(3e8, 0.0, 0.6), "Orca": Drift(5e8, 0.2, 0.8)}  # fmt: skip
DEX_SINCE = "2019-01-01"


class Restated:
    """Daily series that are changed afterwards, of one seed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def days(self, since: str, now_ms: int) -> range:
        """The days of a series, today included."""
        return range(_day(since), midnight(now_ms // 1000) + 1, DAY_SECONDS)

    def told(self, name: str, drift: Drift, days: Sequence[int], now_ms: int) -> list[float]:
        """The series as it is told now. The last day's number is that of the present hour."""
        if not days:
            return []
        hour = now_ms // 3_600_000 * 3_600
        at = [min(day + DAY_SECONDS - 1, hour) for day in days]
        values = drift.at(self._seed, ("llama", name), at).tolist()
        stretches = {day // STRETCH_SECONDS for day in days}
        factors = {stretch: self._factor(name, stretch, now_ms) for stretch in stretches}
        pairs = zip(days, values, strict=True)
        return [value * factors[day // STRETCH_SECONDS] for day, value in pairs]

    def _factor(self, name: str, stretch: int, now_ms: int) -> float:
        """What the latest change that touches a stretch has made of its numbers."""
        end = (stretch + 1) * STRETCH_SECONDS
        change = now_ms // 1000 // CHANGE_SECONDS
        while change * CHANGE_SECONDS > end and change * CHANGE_SECONDS > now_ms // 1000 - 400 * DAY_SECONDS:
            if fraction(self._seed, "llama change", name, stretch, change) < RESTATED:
                return 1 + OFF * (2 * fraction(self._seed, "llama off", name, stretch, change) - 1)
            change -= 1
        return 1.0


class Llama:
    """One upstream: api.llama.fi."""

    name, prefix = "llama", "/llama"
    secret_params: frozenset[str] = frozenset()

    def __init__(self, simulation: Simulation) -> None:
        self.series = Restated(simulation.config.seed)
        self._minute = Rolling(PER_MINUTE, 60_000)

    def limit(self, asked: Asked) -> Reply | None:
        return too_many() if self._minute.arrive(asked.client, asked.now_ms) else None

    def lower(self, per_minute: int) -> None:
        self._minute.limit = per_minute

    def answer(self, asked: Asked) -> Reply:
        path, now_ms = asked.path.rstrip("/"), asked.now_ms
        if path == "/v2/chains":
            return answered(self.chains(now_ms))
        if path == "/v2/historicalChainTvl":
            return answered(_dated(self.total(now_ms)))
        parent, _, last = path.rpartition("/")
        if parent == "/v2/historicalChainTvl" and last.lower() in CHAINS:
            return answered(_dated(self.locked(CHAINS[last.lower()], now_ms)))
        if path == "/overview/dexs":
            return answered(self.dexs(asked.params, now_ms))
        raise missing()

    def locked(self, chain: ChainOfDefi, now_ms: int) -> dict[int, float]:
        """Value locked on a chain, USD, by day."""
        days = self.series.days(chain.since, now_ms)
        values = self.series.told(chain.name, chain.tvl, days, now_ms)
        return {day: round(value, 2) for day, value in zip(days, values, strict=True)}

    def total(self, now_ms: int) -> dict[int, float]:
        total: dict[int, float] = {}
        for chain in CHAINS.values():
            for day, value in self.locked(chain, now_ms).items():
                total[day] = total.get(day, 0.0) + value
        return {day: round(total[day], 2) for day in sorted(total)}

    def chains(self, now_ms: int) -> list[dict[str, Any]]:
        """Only chains that have begun."""
        told = []
        for chain in CHAINS.values():
            values = self.locked(chain, now_ms)
            if values:
                told.append(
                    {
                        "gecko_id": chain.gecko_id,
                        "tvl": values[max(values)],
                        "tokenSymbol": chain.symbol,
                        "cmcId": chain.cmc_id,
                        "name": chain.name,
                        "chainId": chain.chain_id,
                    }
                )
        return told

    def dexs(self, params: Mapping[str, str], now_ms: int) -> dict[str, Any]:
        """USD traded a day; the chart's last point is today's and grows."""
        days = self.series.days(DEX_SINCE, now_ms)
        share = (now_ms // 1000 % DAY_SECONDS) / DAY_SECONDS
        traded = {name: self.series.told(name, drift, days, now_ms) for name, drift in DEXS.items()}
        chart = [
            [day, round(sum(rows), 2)]
            for day, rows in zip(days, zip(*traded.values(), strict=True), strict=True)
        ]
        yesterday = {name: values[-2] for name, values in traded.items() if len(values) > 7}
        protocols = [
            {
                "name": name,
                "displayName": name,
                "total24h": round(value, 2),
                "total7d": round(sum(traded[name][-8:-1]), 2),
                "change_1d": round((value / traded[name][-3] - 1) * 100, 2),
                "chains": ["Ethereum"],
            }
            for name, value in yesterday.items()
        ]
        if chart:
            chart[-1][1] = round(chart[-1][1] * share, 2)
        told: dict[str, Any] = {
            "total24h": round(sum(yesterday.values()), 2),
            "totalDataChart": chart,
            "allChains": [chain.name for chain in CHAINS.values()],
            "protocols": protocols,
        }
        if params.get("excludeTotalDataChart") == "true":
            told["totalDataChart"] = []
        if params.get("excludeTotalDataChartBreakdown") != "true":
            told["totalDataChartBreakdown"] = [
                [day, {name: round(traded[name][at], 2) for name in traded}] for at, day in enumerate(days)
            ]
        return told

    def truth(self, params: Mapping[str, str]) -> Any:
        """A chain's series as told at `at_ms`: `chain`, `all` for the total."""
        at_ms = int(params["at_ms"])
        return self.total(at_ms) if params["chain"] == "all" else self.locked(CHAINS[params["chain"]], at_ms)


def _dated(values: Mapping[int, float]) -> list[dict[str, Any]]:
    return [{"date": day, "tvl": value} for day, value in values.items()]


def _day(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def answered(value: Any) -> Reply:
    return Reply(200, json.dumps(value, separators=(",", ":")).encode(), "application/json; charset=utf-8")


def missing() -> Rejection:
    return Rejection(404, '{"message":"Not found"}', "application/json; charset=utf-8")


def too_many() -> Reply:
    return Reply(429, page("429 Too Many Requests").encode(), HTML)
