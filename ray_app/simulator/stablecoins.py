"""DefiLlama's second host, simulated: how much there is of each stablecoin. Its days are texts."""

from collections.abc import Mapping
from typing import Any

from ray_app.simulator.drift import DAY_SECONDS, Drift
from ray_app.simulator.llama import PER_MINUTE, Restated, answered, missing, too_many
from ray_app.simulator.quota import Rolling
from ray_app.simulator.simulation import Simulation
from ray_app.simulator.upstream import Asked
from ray_app.simulator.wire import Reply

COINS = (
    ("1", "Tether", "USDT", "peggedUSD", "fiat-backed", Drift(1.4e11, 0.25, 0.03), "2017-11-29"),
    ("2", "USD Coin", "USDC", "peggedUSD", "fiat-backed", Drift(5.0e10, 0.3, 0.08), "2018-10-08"),
    ("5", "Dai", "DAI", "peggedUSD", "crypto-backed", Drift(4.6e9, 0.0, 0.1), "2019-11-18"),
    ("50", "Euro Coin", "EURC", "peggedEUR", "fiat-backed", Drift(1.2e8, 0.6, 0.2), "2022-07-01"),
)
DOLLARS = {"peggedUSD": 1.0, "peggedEUR": 1.08}
STABLE_SHARES = {"Ethereum": 0.55, "Tron": 0.3, "Solana": 0.06, "BSC": 0.05, "Base": 0.04}


class Stablecoins:
    """One upstream: stablecoins.llama.fi, a second host of the same vendor."""

    name, prefix = "llama-stable", "/llama-stable"
    secret_params: frozenset[str] = frozenset()

    def __init__(self, simulation: Simulation) -> None:
        self._series = Restated(simulation.config.seed)
        self._minute = Rolling(PER_MINUTE, 60_000)

    def limit(self, asked: Asked) -> Reply | None:
        return too_many() if self._minute.arrive(asked.client, asked.now_ms) else None

    def lower(self, per_minute: int) -> None:
        self._minute.limit = per_minute

    def answer(self, asked: Asked) -> Reply:
        path, now_ms = asked.path.rstrip("/"), asked.now_ms
        if path == "/stablecoins":
            return answered({"peggedAssets": self.coins(now_ms, asked.params.get("includePrices") == "true")})
        parent, _, name = path.rpartition("/")
        if parent != "/stablecoincharts" or (name != "all" and name not in STABLE_SHARES):
            raise missing()
        wanted = asked.params.get("stablecoin")
        told = [
            {"date": str(day), "totalCirculating": amounts, "totalCirculatingUSD": _in_dollars(amounts)}
            for day, amounts in self.circulating(now_ms, STABLE_SHARES.get(name, 1.0), wanted).items()
        ]
        return answered(told)

    def circulating(
        self, now_ms: int, share: float = 1.0, wanted: str | None = None
    ) -> dict[int, dict[str, float]]:
        """Units in circulation by day and peg, of all coins or the one with that id."""
        total: dict[int, dict[str, float]] = {}
        for number, name, _, peg, _, drift, since in COINS:
            days = self._series.days(since, now_ms)
            if wanted in (None, number):
                for day, value in zip(days, self._series.told(name, drift, days, now_ms), strict=True):
                    pegs = total.setdefault(day, {})
                    pegs[peg] = round(pegs.get(peg, 0.0) + value * share, 2)
        return {day: total[day] for day in sorted(total)}

    def coins(self, now_ms: int, with_prices: bool) -> list[dict[str, Any]]:
        told = []
        for number, name, symbol, peg, mechanism, *_ in COINS:
            by_day = self.circulating(now_ms, wanted=number)
            if len(by_day) < 8:
                continue
            newest = max(by_day)
            row: dict[str, Any] = {
                "id": number,
                "name": name,
                "symbol": symbol,
                "pegType": peg,
                "pegMechanism": mechanism,
                "circulating": by_day[newest],
                "circulatingPrevDay": by_day[newest - DAY_SECONDS],
                "circulatingPrevWeek": by_day[newest - 7 * DAY_SECONDS],
                "chains": list(STABLE_SHARES),
            }
            if with_prices:
                row["price"] = DOLLARS[peg]
            told.append(row)
        return told

    def truth(self, params: Mapping[str, str]) -> Any:
        """Everything in circulation as told at `at_ms`."""
        return self.circulating(int(params["at_ms"]))


def _in_dollars(amounts: Mapping[str, float]) -> dict[str, float]:
    return {peg: round(amount * DOLLARS[peg], 2) for peg, amount in amounts.items()}
