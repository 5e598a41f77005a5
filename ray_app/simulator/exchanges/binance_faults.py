"""Faults in Binance's own words, for its spot and its futures host."""

from collections.abc import Mapping

from ray_app.simulator.exchanges.binance_limits import WeightLimit, problem
from ray_app.simulator.faults import Rule
from ray_app.simulator.upstream import Asked
from ray_app.simulator.wire import Reply

RESTRICTED = (
    "Service unavailable from a restricted location according to 'b. Eligibility' in "
    "https://www.binance.com/en/terms. Please contact customer service if you believe you received this "
    "message in error."
)
OVERLOADED = "Server is currently overloaded with other requests. Please try again in a few minutes."
TIMED_OUT = "Timeout waiting for response from backend server. Send status unknown; execution status unknown."
OWN_FAULTS: Mapping[str, str] = {
    "F06": "Binance: 418, the IP is banned for seconds=120",
    "F15": "the last candle told from its first tick only (Binance, Coinbase, Kraken too)",
}


def common_fault(rule: Rule, asked: Asked, limits: WeightLimit) -> Reply | None:
    """Answers that say no; None: a fault that spoils a right answer."""
    match rule.fault:
        case "F01":
            return limits.too_many(asked, float(rule.value("retry_after", 7)))
        case "F02" | "F04":
            reply = limits.too_many(asked, None)
            reply.status = 200 if rule.fault == "F04" else 429
            return reply
        case "F05":
            return _reply(problem(200, -1000, "An unknown error occurred while processing the request."))
        case "F06":
            return limits.ban(asked, int(rule.value("seconds", 120)))
        case "F07" if int(rule.value("status", 451)) == 451:
            return _reply(problem(451, 0, RESTRICTED))
        case "F10" if not rule.value("html", False):
            status = int(rule.value("status", 500))
            code, text = {503: (-1008, OVERLOADED), 504: (-1007, TIMED_OUT)}.get(
                status, (-1000, "An unknown error occurred while processing the request.")
            )
            return _reply(problem(status, code, text))
    return None


def _reply(said: tuple[int, str, str, object]) -> Reply:
    return Reply(said[0], said[1].encode(), said[2])
