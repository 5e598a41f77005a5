"""Binance USD-M futures: funding rates, mark prices and open interest, under `/binance-futures`.

Funding is settled every eight hours (00, 08, 16 UTC), a few milliseconds late. Open interest is told as
it is now, and for the last 30 days in periods; of a longer window only its newest rows. Coins worth less
than 0.0001 trade in thousands, under a name of their own (1000SHIBUSDT); pegged coins are not traded.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ray_app.simulator.clock import instant, moment
from ray_app.simulator.coins import PEGGED
from ray_app.simulator.exchanges.binance_faults import OWN_FAULTS, common_fault
from ray_app.simulator.exchanges.binance_limits import JSON, WeightLimit, problem
from ray_app.simulator.exchanges.trades import MINUTE_MS, Trades, decimal
from ray_app.simulator.exchanges.venues import Pair, Venue
from ray_app.simulator.fault_answers import page
from ray_app.simulator.faults import Rule
from ray_app.simulator.noise import Steps, key, unit
from ray_app.simulator.quota import Fixed
from ray_app.simulator.simulation import Simulation
from ray_app.simulator.upstream import Asked
from ray_app.simulator.wire import HTML, Rejection, Reply

PER_MINUTE = 2_400
FIVE_MINUTES_MS, DAY_MS = 300_000, 86_400_000
FUNDING_MS = 8 * 3_600_000
PERIODS = {
    "5m": 1, "15m": 3, "30m": 6, "1h": 12, "2h": 24, "4h": 48, "6h": 72, "12h": 144, "1d": 288,
}  # fmt: skip
KEPT_MS = 30 * DAY_MS
MOST_INTEREST, MOST_FUNDING, USUAL_FUNDING = 500, 1_000, 100
THOUSANDS_BELOW = 0.0001
FLOOR_RATE = 0.0001  # what the rate is when nothing pulls at it
_FUNDING_SALT, _INTEREST_SALT, _PREMIUM_SALT, _LATE_SALT = range(300, 304)


@dataclass(frozen=True, slots=True)
class Contract:
    """One perpetual contract: numbers that belong to it at any moment."""

    id: str
    pair: Pair
    trades: Trades
    level: float  # of open interest, in units of the contract
    keys: Any

    def rate(self, settled_ms: int) -> int:
        """The funding rate settled then, in units of 1e-8."""
        number = settled_ms // FUNDING_MS
        drawn = [float(unit(self.keys, _FUNDING_SALT, np.array([n]))[0]) for n in (number, number // 21)]
        if drawn[0] < 0.4:  # most of the time the interest part alone
            return round(FLOOR_RATE * 1e8)
        return round((FLOOR_RATE + (drawn[0] - 0.7) * 0.0008 + (drawn[1] - 0.5) * 0.0004) * 1e8)

    def settled_at(self, number: int) -> int:
        """When the n-th settlement since 1970 is written, to the millisecond."""
        return number * FUNDING_MS + int(unit(self.keys, _LATE_SALT, np.array([number]))[0] * 12)

    def interest(self, steps: Steps) -> list[int]:
        """Open interest at the start of those steps of five minutes, in thousandths of a unit."""
        total = np.zeros(len(steps))
        for octave, period in enumerate((12, 96, 864, 6_048)):
            cells, salt = steps // period, _INTEREST_SALT + 10 * octave
            left, right = unit(self.keys, salt, cells), unit(self.keys, salt, cells + 1)
            total += (left + (right - left) * (steps % period) / period - 0.5) * 0.15
        held: list[int] = np.rint(self.level * (1 + total) * 1000).astype(np.int64).tolist()
        return held

    def index(self, now_ms: int) -> int | None:
        """The index price, in ticks: the last price of the spot venue."""
        return self.trades.price(now_ms)

    def mark(self, now_ms: int, index: int) -> int:
        """The mark price at that index price, in ticks."""
        drawn = float(unit(self.keys, _PREMIUM_SALT, np.array([now_ms // MINUTE_MS]))[0])
        return round(index * (1 + (drawn - 0.5) * 0.0006))


class BinanceFutures:
    """The host of the futures' market data."""

    name = "binance-futures"
    prefix = "/binance-futures"
    secret_params: frozenset[str] = frozenset()
    own_faults = OWN_FAULTS

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self.restore()
        venue, truth, seed = Venue(simulation, "binance"), simulation.world.truth, simulation.config.seed
        self.contracts: dict[str, Contract] = {}
        for pair in venue.pairs.values():
            coin = truth.coins[pair.coin]
            if coin.id in PEGGED:
                continue
            bundle = 1_000 if coin.price < THOUSANDS_BELOW else 1
            name = f"{bundle if bundle > 1 else ''}{pair.id}"
            keys = np.array([key(seed, "futures", coin.id)], dtype=np.uint64)
            level = coin.circulating / bundle * (0.002 + 0.004 * float(unit(keys, 0, np.array([0]))[0]))
            self.contracts[name] = Contract(name, pair, venue.trades(pair, bundle), level, keys)

    def limit(self, asked: Asked) -> Reply | None:
        counted = {"/fapi/v1/fundingRate": self._funding, "/futures/data/openInterestHist": self._history}
        own = counted.get(asked.path)
        over = own.arrive(asked.client, asked.now_ms) if own is not None else 0
        every = asked.path == "/fapi/v1/premiumIndex" and not asked.params.get("symbol")
        weight = 0 if own is not None else 10 if every else 1
        refused = self._limits.arrive(asked, weight)
        return refused or (self._limits.too_many(asked, over / 1000) if over else None)

    def lower(self, per_minute: int) -> None:
        self._limits.weights.limit = per_minute
        self._funding.limit = self._history.limit = per_minute * 5

    def restore(self) -> None:
        self._limits = WeightLimit(PER_MINUTE)
        self._funding, self._history = Fixed(500, FIVE_MINUTES_MS), Fixed(1_000, FIVE_MINUTES_MS)

    def answer(self, asked: Asked) -> Reply:
        match asked.path:
            case "/fapi/v1/ping":
                told: Any = {}
            case "/fapi/v1/time":
                told = {"serverTime": asked.now_ms}
            case "/fapi/v1/fundingRate":
                told = self._rates(asked)
            case "/fapi/v1/premiumIndex":
                told = self._premium(asked)
            case "/fapi/v1/openInterest":
                contract = self._contract(asked)
                held = contract.interest(np.array([asked.now_ms // FIVE_MINUTES_MS]))[0]
                told = {"symbol": contract.id, "openInterest": decimal(held, 3, 3), "time": asked.now_ms}
            case "/futures/data/openInterestHist":
                told = self._interest(asked)
            case _:
                raise Rejection(404, page("404 Not Found"), HTML)
        body = json.dumps(told, separators=(",", ":")).encode()
        return Reply(200, body, JSON, [self._limits.used(asked)])

    def spoilt(self, rule: Rule, asked: Asked) -> Reply | None:
        if rule.fault == "F17" and asked.params.get("symbol") == rule.value("id", None):
            raise self._refusal(asked, -1121, "Invalid symbol.")
        return common_fault(rule, asked, self._limits)

    def truth(self, params: Mapping[str, str]) -> Any:
        """`symbol`: settlements (`rate`, 1e-8 exact) and open interest each 5 minutes in [from, to)."""
        contract = self.contracts[params["symbol"]]
        start, end = (round(moment(params[name]).timestamp() * 1000) for name in ("from", "to"))
        numbers = range(-(-start // FUNDING_MS), -(-end // FUNDING_MS))
        steps = np.arange(-(-start // FIVE_MINUTES_MS), -(-end // FIVE_MINUTES_MS), dtype=np.int64)
        return {
            "funding": [
                {
                    "at": instant(contract.settled_at(n)).isoformat(timespec="milliseconds"),
                    "rate": decimal(contract.rate(n * FUNDING_MS), 8, 8),
                }
                for n in numbers
            ],
            "open_interest": [
                {"at": instant(step * FIVE_MINUTES_MS).isoformat(), "held": decimal(held, 3, 3)}
                for step, held in zip(steps.tolist(), contract.interest(steps), strict=True)
            ],
        }

    def _contract(self, asked: Asked) -> Contract:
        symbol = asked.params.get("symbol")
        if not symbol:
            said = "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."
            raise self._refusal(asked, -1102, said)
        contract = self.contracts.get(symbol)
        if contract is None or not contract.pair.listed(asked.now_ms):
            raise self._refusal(asked, -1121, "Invalid symbol.")
        return contract

    def _rates(self, asked: Asked) -> list[dict[str, Any]]:
        contract = self._contract(asked)
        limit = min(self._number(asked, "limit") or USUAL_FUNDING, MOST_FUNDING)
        start, end = self._number(asked, "startTime"), self._number(asked, "endTime")
        last_ms = min(asked.now_ms, asked.now_ms if end is None else end)
        if contract.pair.end_ms is not None:
            last_ms = min(last_ms, contract.pair.end_ms - 1)
        first = -(-contract.trades.first * MINUTE_MS // FUNDING_MS)
        if start is not None:
            first = max(first, start // FUNDING_MS)
        told: list[int] = []
        numbers = range(first, last_ms // FUNDING_MS + 1)
        for number in numbers if start is not None else reversed(numbers):
            at = contract.settled_at(number)
            if len(told) < limit and at <= last_ms and (start is None or at >= start):
                told.append(number)
            elif len(told) >= limit:
                break
        steps = np.array(sorted(told), dtype=np.int64) * (FUNDING_MS // FIVE_MINUTES_MS)
        prices = contract.trades.openings(steps).tolist()
        return [self._settlement(contract, *pair) for pair in zip(sorted(told), prices, strict=True)]

    def _settlement(self, contract: Contract, number: int, index: int) -> dict[str, Any]:
        mark = contract.mark(number * FUNDING_MS, index)
        digits = contract.trades.price_digits
        return {
            "symbol": contract.id,
            "fundingTime": contract.settled_at(number),
            "fundingRate": decimal(contract.rate(number * FUNDING_MS), 8, 8),
            "markPrice": decimal(mark, digits, 8) if mark else "",  # as of settlements before it was kept
        }

    def _premium(self, asked: Asked) -> Any:
        if asked.params.get("symbol"):
            return self._now(self._contract(asked), asked.now_ms)
        trading = (c for c in self.contracts.values() if c.pair.trading(asked.now_ms))
        return [self._now(contract, asked.now_ms) for contract in trading]

    def _now(self, contract: Contract, now_ms: int) -> dict[str, Any]:
        index = contract.index(now_ms) or 0
        mark = contract.mark(now_ms, index)
        upcoming = (now_ms // FUNDING_MS + 1) * FUNDING_MS
        digits = contract.trades.price_digits
        return {
            "symbol": contract.id,
            "markPrice": decimal(mark, digits, 8),
            "indexPrice": decimal(index, digits, 8),
            "estimatedSettlePrice": decimal(index, digits, 8),
            "lastFundingRate": decimal(contract.rate(upcoming - FUNDING_MS), 8, 8),
            "interestRate": "0.00010000",
            "nextFundingTime": upcoming,
            "time": now_ms,
        }

    def _interest(self, asked: Asked) -> list[dict[str, Any]]:
        contract = self._contract(asked)
        period = PERIODS.get(asked.params.get("period", ""))
        if period is None:
            raise self._refusal(asked, -1130, "parameter 'period' is invalid.")
        limit = self._number(asked, "limit") or 30
        start, end = self._number(asked, "startTime"), self._number(asked, "endTime")
        if limit > MOST_INTEREST:
            raise self._refusal(asked, -1130, "parameter 'limit' is invalid.")
        oldest = asked.now_ms - KEPT_MS
        if start is not None and start < oldest:
            raise self._refusal(asked, -1130, "parameter 'startTime' is invalid.")
        length = period * FIVE_MINUTES_MS
        first = -(-max(oldest, start or 0, contract.trades.first * MINUTE_MS) // length)
        last_ms = min(asked.now_ms, asked.now_ms if end is None else end)
        if contract.pair.end_ms is not None:
            last_ms = min(last_ms, contract.pair.end_ms - 1)
        last = last_ms // length
        first, digits, rows = max(first, last - limit + 1), contract.trades.price_digits, []
        steps = np.arange(first, last + 1, dtype=np.int64) * period
        prices, holdings = contract.trades.openings(steps).tolist(), contract.interest(steps)
        for number, price, held in zip(range(first, last + 1), prices, holdings, strict=True):
            rows.append(
                {
                    "symbol": contract.id,
                    "sumOpenInterest": decimal(held, 3, 8),
                    "sumOpenInterestValue": decimal(held * price, 3 + digits, 3 + max(digits, 5)),
                    "timestamp": number * length,
                }
            )
        return rows

    def _number(self, asked: Asked, name: str) -> int | None:
        text = asked.params.get(name, "")
        if not text:
            return None
        if not text.isdigit() or len(text) > 20:
            said = f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'."
            raise self._refusal(asked, -1100, said)
        return int(text)

    def _refusal(self, asked: Asked, code: int, text: str) -> Rejection:
        return Rejection(*problem(400, code, text, [self._limits.used(asked)]))
