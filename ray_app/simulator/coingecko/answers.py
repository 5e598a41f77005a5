"""Answers as CoinGecko writes them: its number forms and its three shapes of an error.

A price has all its digits where `precision=full` asks for them and in charts and candles; elsewhere
it is rounded for display: whole from 10,000, two decimals from 1 (six in a coin's currency), else six digits.
"""

import json
import math
from dataclasses import dataclass

from ray_app.simulator.clock import iso
from ray_app.simulator.wire import Rejection

RATE_LIMIT = (
    "You've exceeded the Rate Limit. Please visit https://www.coingecko.com/en/api/pricing "
    "to subscribe to our API plans for higher rate limits."
)
MONTH_SPENT = "You've reached the monthly API call credit limit of your plan."
MISSING_KEY = "API Key Missing. Please make sure you're using the right authentication method."
PRO_ONLY = (
    "This request is limited to PRO API subscribers. Please visit https://www.coingecko.com/en/api/pricing."
)
TO_PRO_HOST = (
    "If you are using Pro API key, please change your root URL from api.coingecko.com "
    "to pro-api.coingecko.com"
)
TO_PUBLIC_HOST = (
    "If you are using Demo API key, please change your root URL from pro-api.coingecko.com "
    "to api.coingecko.com"
)
TOO_OLD = (
    "Your request exceeds the allowed time range. Public API users are limited to querying historical data "
    "within the past {days} days."
)
UNKNOWN_PATH = "Incorrect path. Please check https://www.coingecko.com/api/"


@dataclass(frozen=True, slots=True)
class Answer:
    """A good answer and for how many seconds the server repeats it."""

    body: str
    seconds: int


def plain_error(status: int, text: str) -> Rejection:
    """Shape A: `{"error": ...}`."""
    return Rejection(status, _json({"error": text}))


def status_error(status: int, code: int, text: str) -> Rejection:
    """Shape B: `{"status": {"error_code": ..., "error_message": ...}}`."""
    return Rejection(status, _json({"status": {"error_code": code, "error_message": text}}))


def nested_error(status: int, code: int, text: str, now_ms: int) -> Rejection:
    """Shape C: shape B with a timestamp, inside `error`."""
    inner = {"timestamp": iso(now_ms).replace("Z", "+00:00"), "error_code": code, "error_message": text}
    return Rejection(status, _json({"error": {"status": inner}}))


def too_old(days: int, now_ms: int) -> Rejection:
    return nested_error(401, 10012, TOO_OLD.format(days=days), now_ms)


def missing(parameter: str) -> Rejection:
    return plain_error(422, f"Missing parameter {parameter}")


def number(value: float) -> str:
    """A number with all its digits; NaN is null."""
    return "null" if math.isnan(value) else repr(value)


def whole(value: float) -> str:
    """An amount of money told without its fraction."""
    return "null" if math.isnan(value) else str(round(value))


def shown(value: float, precision: str | None, decimals: int = 2) -> str:
    """A price for display; `decimals` are those of prices from 1 to 10,000."""
    if precision == "full" or math.isnan(value):
        return number(value)
    if precision is not None:
        digits = int(precision)
        return str(round(value)) if digits == 0 else repr(round(value, digits))
    if abs(value) >= 10_000:
        return str(round(value))
    return repr(round(value, decimals)) if abs(value) >= 1 else repr(float(f"{value:.6g}"))


def text(value: str) -> str:
    """A JSON string."""
    return json.dumps(value, ensure_ascii=False)


def image(coin_id: str, size: str) -> str:
    """An address that no browser finds: the coins are simulated."""
    return f"https://simulated.invalid/coins/{coin_id}/{size}.png"


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
