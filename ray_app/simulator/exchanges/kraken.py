"""Kraken: `/0/public/OHLC` and little else, under `/kraken`.

The newest 720 closed candles and the one that is forming, whatever `since` says; a bucket without a trade
is flat with volume 0. Every error comes with HTTP 200. The key of the result is Kraken's long name
(XXBTZUSD), not the one asked for; `last` is the start of the newest closed candle. `since` leaves out the
candle that starts at it.
"""

import json
from collections.abc import Mapping
from typing import Any

from ray_app.simulator.clock import instant
from ray_app.simulator.exchanges import intervals
from ray_app.simulator.exchanges.binance_faults import OWN_FAULTS
from ray_app.simulator.exchanges.telling import candle_truth, first_tick, newest, standstills
from ray_app.simulator.exchanges.trades import CLOSE, HIGH, LOTS, LOW, OPEN, QUOTE, START, TRADES, decimal
from ray_app.simulator.exchanges.venues import Pair, Venue
from ray_app.simulator.faults import Rule
from ray_app.simulator.quota import Bucket
from ray_app.simulator.simulation import Simulation
from ray_app.simulator.upstream import Asked
from ray_app.simulator.wire import JSON, Rejection, Reply

LENGTHS = (1, 5, 15, 30, 60, 240, 1_440, 10_080, 21_600)  # minutes
CLOSED_ROWS = 720
QUIET = 0.02
LONG = {"XBT", "ETH", "LTC", "XRP", "XLM", "XMR", "ZEC", "ETC"}  # X...ZUSD; all others keep their name
LIMITED = "EGeneral:Too many requests"


class Kraken:
    """Its public host: a call a second, with room for ten at once."""

    name = "kraken"
    prefix = "/kraken"
    secret_params: frozenset[str] = frozenset()
    own_faults: Mapping[str, str] = {"F15": OWN_FAULTS["F15"]}

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self.venue = Venue(simulation, "kraken", QUIET)
        self.restore()
        self._names = {
            name: pair
            for pair in self.venue.pairs.values()
            for name in (pair.id, long_name(pair.id), f"{pair.base}/USD")
        }

    def limit(self, asked: Asked) -> Reply | None:
        return _refusal(LIMITED).reply() if self._bucket.arrive(asked.client, asked.now_ms) else None

    def lower(self, per_minute: int) -> None:
        self._bucket.change(per_minute / 60)

    def restore(self) -> None:
        self._bucket = Bucket(per_second=1, burst=10)

    def answer(self, asked: Asked) -> Reply:
        match asked.path:
            case "/0/public/Time":
                now = instant(asked.now_ms)
                rfc = now.strftime("%a, %d %b %y %H:%M:%S +0000")
                result: Any = {"unixtime": asked.now_ms // 1000, "rfc1123": rfc}
            case "/0/public/SystemStatus":
                result = {
                    "status": "online",
                    "timestamp": instant(asked.now_ms).strftime("%Y-%m-%dT%H:%M:%SZ"),
                }
            case "/0/public/AssetPairs":
                result = self._rules(asked)
            case "/0/public/OHLC":
                result = self._candles(asked)
            case _:
                raise _refusal("EGeneral:Unknown method")
        return _good(result)

    def spoilt(self, rule: Rule, asked: Asked) -> Reply | None:
        match rule.fault:
            case "F02" | "F04":
                return _refusal(LIMITED).reply()
            case "F05":
                return _refusal("EService:Unavailable").reply()
            case "F17" if rule.value("id", "") in (asked.params.get("pair"),):
                raise _refusal("EQuery:Unknown asset pair")
            case "F15" if asked.path == "/0/public/OHLC":
                result = self._candles(asked)
                for name, rows in result.items():
                    if name != "last" and rows:
                        first_tick(rows[-1], 1, (2, 3, 4))
                return _good(result)
        return None

    def truth(self, params: Mapping[str, str]) -> Any:
        """Candles of `pair` and `interval` (minutes) that start in [from, to); those with a trade only."""
        if "pair" not in params:
            return standstills(self._simulation.config.seed, self.venue.name, params)
        trades = self.venue.trades(self._names[params["pair"]])
        length = int(params.get("interval", "60"))
        return candle_truth(trades, length, params, self._simulation.clock.now_ms())

    def _pair(self, name: str, now_ms: int) -> Pair:
        pair = self._names.get(name)
        if pair is None or not pair.trading(now_ms):
            raise _refusal("EQuery:Unknown asset pair")
        return pair

    def _candles(self, asked: Asked) -> dict[str, Any]:
        interval, since = asked.params.get("interval", "1"), asked.params.get("since", "0") or "0"
        if "pair" not in asked.params or not interval.isdigit() or int(interval) not in LENGTHS:
            raise _refusal("EGeneral:Invalid arguments")
        if not since.isdigit():
            raise _refusal("EGeneral:Invalid arguments")
        pair, length = self._pair(asked.params["pair"], asked.now_ms), int(interval)
        trades = self.venue.trades(pair)
        known = newest(trades, length, asked.now_ms, CLOSED_ROWS + 1, asked.now_ms)
        at = {row[START]: row for row in known.tolist()}
        edge = intervals.at_or_before(asked.now_ms // 60_000, length)
        rows: list[list[Any]] = []
        for start in range(edge - CLOSED_ROWS * length, edge + length, length):
            if start in at:
                rows.append(self._row(at[start], trades.price_digits, trades.lot_digits))
            elif rows:
                rows.append(
                    [start * 60, *[rows[-1][4]] * 4, "0." + "0" * trades.price_digits, "0.00000000", 0]
                )
        closed = [row[0] for row in rows if row[0] < edge * 60]
        told = [row for row in rows if row[0] > int(since)]
        return {long_name(pair.id): told, "last": closed[-1] if closed else 0}

    def _row(self, row: list[int], price: int, lot: int) -> list[Any]:
        typical = row[QUOTE] // row[LOTS]
        prices = (row[OPEN], row[HIGH], row[LOW], row[CLOSE], typical)
        told = [decimal(value, price, price) for value in prices]
        return [row[START] * 60, *told, decimal(row[LOTS], lot, 8), row[TRADES]]

    def _rules(self, asked: Asked) -> dict[str, Any]:
        wanted = asked.params.get("pair")
        pairs = [self._pair(name, asked.now_ms) for name in wanted.split(",")] if wanted else None
        return {
            long_name(pair.id): {
                "altname": pair.id,
                "wsname": f"{pair.base}/USD",
                "pair_decimals": self.venue.trades(pair).price_digits,
                "lot_decimals": 8,
                "status": "online",
            }
            for pair in (self.venue.pairs.values() if pairs is None else pairs)
            if pair.trading(asked.now_ms)
        }


def long_name(name: str) -> str:
    """XXBTZUSD for XBTUSD."""
    base = name.removesuffix("USD")
    return f"X{base}ZUSD" if base in LONG else name


def _good(result: Any) -> Reply:
    return Reply(200, json.dumps({"error": [], "result": result}, separators=(",", ":")).encode(), JSON)


def _refusal(text: str) -> Rejection:
    return Rejection(200, json.dumps({"error": [text]}, separators=(",", ":")), JSON)
