"""Binance spot: klines, the exchange's rules, its clock, under `/binance/api/v3`.

Every minute has trades, so a bar is absent only where the exchange stood still, before a listing and
after a delisting. With `startTime` rows ascend from it; without, they are the newest. The row that holds
now is told as far as it has come. Times go over to microseconds by the header `X-MBX-TIME-UNIT`.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ray_app.simulator.exchanges import intervals
from ray_app.simulator.exchanges.binance_faults import OWN_FAULTS, common_fault
from ray_app.simulator.exchanges.binance_limits import JSON, WeightLimit, problem
from ray_app.simulator.exchanges.telling import ascending, candle_truth, first_tick, newest, standstills
from ray_app.simulator.exchanges.trades import (
    CLOSE,
    HIGH,
    LOTS,
    LOW,
    MINUTE_MS,
    OPEN,
    QUOTE,
    START,
    TAKEN,
    TAKEN_QUOTE,
    TRADES,
    Ints,
    Trades,
    decimal,
)
from ray_app.simulator.exchanges.venues import Pair, Venue
from ray_app.simulator.fault_answers import page
from ray_app.simulator.faults import Rule
from ray_app.simulator.simulation import Simulation
from ray_app.simulator.upstream import Asked
from ray_app.simulator.wire import HTML, Rejection, Reply

MICROSECONDS = 10**14  # a count so large since 1970 cannot be milliseconds
MOST_ROWS = 1_000
WEIGHTS = {"/ping": 1, "/time": 1, "/klines": 2, "/exchangeInfo": 20}
PER_MINUTE = 6_000
SHOWN = 8  # decimals of every number


class Binance:
    """The spot host."""

    name = "binance"
    prefix = "/binance/api/v3"
    secret_params: frozenset[str] = frozenset()
    own_faults = OWN_FAULTS

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self.venue = Venue(simulation, "binance")
        self.restore()

    def limit(self, asked: Asked) -> Reply | None:
        return self._limits.arrive(asked, WEIGHTS.get(asked.path, 1))

    def lower(self, per_minute: int) -> None:
        self._limits.weights.limit = per_minute

    def restore(self) -> None:
        self._limits = WeightLimit(PER_MINUTE)

    def answer(self, asked: Asked) -> Reply:
        micro = asked.headers.get("x-mbx-time-unit", "").lower() == "microsecond"
        match asked.path:
            case "/ping":
                told: Any = {}
            case "/time":
                told = {"serverTime": asked.now_ms * (1000 if micro else 1)}
            case "/exchangeInfo":
                told = self._rules(asked)
            case "/klines":
                told = self._klines(asked, micro)
            case _:
                raise Rejection(404, page("404 Not Found"), HTML)
        body = json.dumps(told, separators=(",", ":")).encode()
        return Reply(200, body, JSON, [self._limits.used(asked)])

    def spoilt(self, rule: Rule, asked: Asked) -> Reply | None:
        if rule.fault == "F17" and asked.params.get("symbol") == rule.value("id", None):
            raise Rejection(*problem(400, -1121, "Invalid symbol.", [self._limits.used(asked)]))
        if rule.fault == "F15" and asked.path == "/klines":
            reply = self.answer(asked)
            rows = json.loads(reply.body)
            if rows and rows[-1][6] >= asked.now_ms:
                first_tick(rows[-1], 1, (2, 3, 4))
            return replace(reply, body=json.dumps(rows, separators=(",", ":")).encode())
        if rule.fault == "F25" and asked.path == "/klines" and rule.kind() == "microseconds":
            return self.answer(replace(asked, headers={**asked.headers, "x-mbx-time-unit": "MICROSECOND"}))
        return common_fault(rule, asked, self._limits)

    def truth(self, params: Mapping[str, str]) -> Any:
        """Candles of `symbol` and `interval` that start in [from, to), as `candle_truth` tells them."""
        if "symbol" not in params:
            return standstills(self._simulation.config.seed, self.venue.name, params)
        length = intervals.BINANCE[params.get("interval", "1h")]
        trades = self.venue.trades(self.venue.pairs[params["symbol"]])
        return candle_truth(trades, length, params, self._simulation.clock.now_ms())

    def _klines(self, asked: Asked, micro: bool) -> list[list[Any]]:
        pair = self._pair(asked)
        name = asked.params.get("interval")
        if not name:
            raise self._missing(asked, "interval")
        if name not in intervals.BINANCE:
            raise Rejection(*problem(400, -1120, "Invalid interval.", [self._limits.used(asked)]))
        limit = min(self._number(asked, "limit") or 500, MOST_ROWS)
        unit = 1000 if micro else 1
        start, end = self._number(asked, "startTime"), self._number(asked, "endTime")
        trades, length, now_ms = self.venue.trades(pair), intervals.BINANCE[name], asked.now_ms
        last_ms = now_ms if end is None else end // _finer(end)
        if start is None:
            rows = newest(trades, length, last_ms, limit, now_ms)
        else:
            rows = ascending(trades, length, -(-start // _finer(start)), last_ms, limit, now_ms)
        return list(told(trades, rows, length, unit))

    def _pair(self, asked: Asked) -> Pair:
        symbol = asked.params.get("symbol")
        if not symbol:
            raise self._missing(asked, "symbol")
        pair = self.venue.pairs.get(symbol)
        if pair is None or not pair.listed(asked.now_ms):
            raise Rejection(*problem(400, -1121, "Invalid symbol.", [self._limits.used(asked)]))
        return pair

    def _number(self, asked: Asked, name: str) -> int | None:
        text = asked.params.get(name)
        if text is None or text == "":
            return None
        if not text.isdigit() or len(text) > 20:
            said = f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'."
            raise Rejection(*problem(400, -1100, said, [self._limits.used(asked)]))
        return int(text)

    def _missing(self, asked: Asked, name: str) -> Rejection:
        said = f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
        return Rejection(*problem(400, -1102, said, [self._limits.used(asked)]))

    def _rules(self, asked: Asked) -> dict[str, Any]:
        wanted: Iterable[Pair] = self.venue.pairs.values()
        if "symbol" in asked.params:
            wanted = [self._pair(asked)]
        return {
            "timezone": "UTC",
            "serverTime": asked.now_ms,
            "rateLimits": [
                {
                    "rateLimitType": "REQUEST_WEIGHT",
                    "interval": "MINUTE",
                    "intervalNum": 1,
                    "limit": PER_MINUTE,
                },
            ],
            "exchangeFilters": [],
            "symbols": [self._rule(pair, asked.now_ms) for pair in wanted if pair.listed(asked.now_ms)],
        }

    def _rule(self, pair: Pair, now_ms: int) -> dict[str, Any]:
        trades = self.venue.trades(pair)
        tick, lot = decimal(1, trades.price_digits, SHOWN), decimal(1, trades.lot_digits, SHOWN)
        return {
            "symbol": pair.id,
            "status": "TRADING" if pair.trading(now_ms) else "BREAK",
            "baseAsset": pair.base,
            "baseAssetPrecision": 8,
            "quoteAsset": "USDT",
            "quotePrecision": 8,
            "quoteAssetPrecision": 8,
            "isSpotTradingAllowed": True,
            "filters": [
                {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000.00000000", "tickSize": tick},
                {"filterType": "LOT_SIZE", "minQty": lot, "maxQty": "9000000.00000000", "stepSize": lot},
            ],
            "permissions": ["SPOT"],
        }  # fmt: skip


def _finer(count: int) -> int:
    """How many of its unit make a millisecond: times are taken in milliseconds and in microseconds."""
    return 1000 if count >= MICROSECONDS else 1


def told(trades: Trades, rows: Ints, length: int | None, unit: int = 1) -> Iterable[list[Any]]:
    """Rows of twelve as Binance writes them; `unit` 1 is milliseconds, 1000 microseconds."""
    lots, both = trades.lot_digits, trades.price_digits + trades.lot_digits
    for row in rows.tolist():
        opened = row[START] * MINUTE_MS * unit
        closed = intervals.moved(row[START], length, 1) * MINUTE_MS * unit - 1
        prices = [decimal(row[at], trades.price_digits, SHOWN) for at in (OPEN, HIGH, LOW, CLOSE)]
        yield [
            opened,
            *prices,
            decimal(row[LOTS], lots, SHOWN),
            closed,
            decimal(row[QUOTE], both, SHOWN),
            row[TRADES],
            decimal(row[TAKEN], lots, SHOWN),
            decimal(row[TAKEN_QUOTE], both, SHOWN),
            "0",
        ]
