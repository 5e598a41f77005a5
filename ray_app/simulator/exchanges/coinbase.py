"""Coinbase Exchange: candles as it tells them, under `/coinbase-ex`.

Newest first, `[time, low, high, open, close, volume]` in seconds and plain numbers; a bucket without a
trade is absent; a request may bring one bucket from before its start; more than 300 buckets are
refused. With only one of start and end both are ignored, and the newest 300 are told.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ray_app.simulator.exchanges import intervals
from ray_app.simulator.exchanges.binance_faults import OWN_FAULTS
from ray_app.simulator.exchanges.telling import candle_truth, first_tick, standstills
from ray_app.simulator.exchanges.trades import CLOSE, HIGH, LOTS, LOW, OPEN, START, decimal
from ray_app.simulator.exchanges.venues import Pair, Venue
from ray_app.simulator.faults import Rule
from ray_app.simulator.quota import Bucket
from ray_app.simulator.simulation import Simulation
from ray_app.simulator.upstream import Asked
from ray_app.simulator.wire import JSON, Rejection, Reply

GRANULARITIES = (60, 300, 900, 3_600, 21_600, 86_400)
MOST_BUCKETS = 300
QUIET = 0.01  # of minutes without a trade, for the largest coins; twice that for others
LIMITED = "Public rate limit exceeded"
TOO_MANY = "granularity too small for the requested time range. Count of aggregations requested exceeds 300"


class Coinbase:
    """The public host of Coinbase Exchange: ten calls a second, fifteen at once."""

    name = "coinbase"
    prefix = "/coinbase-ex"
    secret_params: frozenset[str] = frozenset()
    own_faults: Mapping[str, str] = {"F15": OWN_FAULTS["F15"]}

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self.venue = Venue(simulation, "coinbase", QUIET)
        self.restore()

    def limit(self, asked: Asked) -> Reply | None:
        return _refusal(429, LIMITED).reply() if self._bucket.arrive(asked.client, asked.now_ms) else None

    def lower(self, per_minute: int) -> None:
        self._bucket.change(per_minute / 60)

    def restore(self) -> None:
        self._bucket = Bucket(per_second=10, burst=15)

    def answer(self, asked: Asked) -> Reply:
        parts = asked.path.strip("/").split("/")
        match parts:
            case ["time"]:
                now = datetime.fromtimestamp(asked.now_ms // 1000, UTC)
                told: Any = {
                    "iso": now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{asked.now_ms % 1000:03d}Z",
                    "epoch": asked.now_ms / 1000,
                }
            case ["products"]:
                listed = (pair for pair in self.venue.pairs.values() if pair.listed(asked.now_ms))
                told = [self._product(pair, asked.now_ms) for pair in listed]
            case ["products", name]:
                told = self._product(self._pair(name, asked), asked.now_ms)
            case ["products", name, "candles"]:
                return Reply(200, self._candles(self._pair(name, asked), asked))
            case _:
                raise _refusal(404, "NotFound")
        return Reply(200, json.dumps(told, separators=(",", ":")).encode())

    def spoilt(self, rule: Rule, asked: Asked) -> Reply | None:
        match rule.fault:
            case "F02":
                return _refusal(429, LIMITED).reply()
            case "F04":
                return _refusal(200, LIMITED).reply()
            case "F10" if not rule.value("html", False):
                return _refusal(int(rule.value("status", 500)), "Internal server error").reply()
            case "F17" if f"/{rule.value('id', '')}" in asked.path:
                raise _refusal(404, "NotFound")
            case "F15" if asked.path.endswith("/candles"):
                reply = self.answer(asked)
                rows = json.loads(reply.body)
                if rows and (rows[0][0] + int(asked.params["granularity"])) * 1000 > asked.now_ms:
                    first_tick(rows[0], 3, (1, 2, 4))
                return Reply(200, json.dumps(rows, separators=(",", ":")).encode())
        return None

    def truth(self, params: Mapping[str, str]) -> Any:
        """Candles of `product` and `granularity` (seconds) that start in [from, to)."""
        if "product" not in params:
            return standstills(self._simulation.config.seed, self.venue.name, params)
        trades = self.venue.trades(self.venue.pairs[params["product"]])
        length = int(params.get("granularity", "3600")) // 60
        return candle_truth(trades, length, params, self._simulation.clock.now_ms())

    def _pair(self, name: str, asked: Asked) -> Pair:
        pair = self.venue.pairs.get(name)
        if pair is None or not pair.listed(asked.now_ms):
            raise _refusal(404, "NotFound")
        return pair

    def _candles(self, pair: Pair, asked: Asked) -> bytes:
        granularity = asked.params.get("granularity", "")
        if not granularity.isdigit() or int(granularity) not in GRANULARITIES:
            raise _refusal(400, "Unsupported granularity")
        seconds, trades = int(granularity), self.venue.trades(pair)
        length = seconds // 60
        if asked.params.get("start") and asked.params.get("end"):
            start, end = _time(asked.params["start"]), _time(asked.params["end"])
            if end < start:
                raise _refusal(400, "start must be before end")
            if (end - start) / seconds > MOST_BUCKETS:
                raise _refusal(400, TOO_MANY)
            first = intervals.at_or_before(int(start // 60), length)
            if first // length % 2:  # one more from before the start, for half of all starts
                first -= length
        else:
            end = asked.now_ms / 1000
            first = intervals.at_or_before(int(end // 60), length) - (MOST_BUCKETS - 1) * length
        last = intervals.at_or_before(min(int(end // 60), asked.now_ms // 60_000), length)
        if last < first:
            return b"[]"
        rows = trades.bars(intervals.edges(first, length, (last - first) // length + 1), asked.now_ms)
        price, lot = trades.price_digits, trades.lot_digits
        told = (
            "["
            + ",".join(
                [
                    str(row[START] * 60),
                    *(_number(row[at], price) for at in (LOW, HIGH, OPEN, CLOSE)),
                    _number(row[LOTS], lot),
                ]
            )
            + "]"
            for row in rows[::-1].tolist()
        )
        return f"[{','.join(told)}]".encode()

    def _product(self, pair: Pair, now_ms: int) -> dict[str, Any]:
        trades = self.venue.trades(pair)
        open_ = pair.trading(now_ms)
        return {
            "id": pair.id,
            "base_currency": pair.base,
            "quote_currency": "USD",
            "quote_increment": decimal(1, trades.price_digits, trades.price_digits),
            "base_increment": decimal(1, trades.lot_digits, trades.lot_digits),
            "display_name": f"{pair.base}/USD",
            "min_market_funds": "1",
            "margin_enabled": False,
            "post_only": False,
            "limit_only": False,
            "cancel_only": False,
            "trading_disabled": not open_,
            "status": "online" if open_ else "delisted",
            "status_message": "",
        }


def _number(value: int, digits: int) -> str:
    """A plain number without zeros at its end."""
    text = decimal(value, digits, digits)
    return text.rstrip("0").rstrip(".") if "." in text else text


def _time(text: str) -> float:
    """Seconds since 1970 of an ISO time or of such seconds."""
    if text.isdigit() and len(text) < 12:
        return float(text)
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise _refusal(400, "Invalid start or end") from None
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()


def _refusal(status: int, text: str) -> Rejection:
    return Rejection(status, json.dumps({"message": text}, separators=(",", ":")), JSON)
