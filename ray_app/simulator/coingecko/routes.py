"""Which path is answered by what."""

import json
import re
from collections.abc import Callable

from ray_app.simulator.coingecko.answers import UNKNOWN_PATH, Answer, plain_error
from ray_app.simulator.coingecko.charts import market_chart, market_chart_range
from ray_app.simulator.coingecko.lists import (
    coins_list,
    exchange_rates,
    global_market,
    ping,
    supported,
    trending,
)
from ray_app.simulator.coingecko.market import markets, simple_price
from ray_app.simulator.coingecko.ohlc import ohlc, ohlc_range
from ray_app.simulator.coingecko.query import Ask
from ray_app.simulator.coingecko.snapshot import history
from ray_app.simulator.plans import Caller
from ray_app.simulator.simulation import Simulation

PLAIN: dict[str, Callable[[Ask], Answer]] = {
    "/ping": ping,
    "/simple/price": simple_price,
    "/simple/supported_vs_currencies": supported,
    "/coins/list": coins_list,
    "/coins/markets": markets,
    "/exchange_rates": exchange_rates,
    "/global": global_market,
    "/search/trending": trending,
}
OF_COIN: dict[str, Callable[[Ask, str], Answer]] = {
    "market_chart": market_chart,
    "market_chart/range": market_chart_range,
    "ohlc": ohlc,
    "ohlc/range": ohlc_range,
    "history": history,
}
COIN_PATH = re.compile(r"/coins/([^/]+)/(.+)")


def answer(route: str, ask: Ask, simulation: Simulation, caller: Caller) -> Answer:
    """The right answer to a path without its prefix. Raises Rejection for one that is an error."""
    if route in PLAIN:
        return PLAIN[route](ask)
    if route == "/key" and ask.paid:
        return _usage(simulation, caller, ask.now_ms)
    match = COIN_PATH.fullmatch(route)
    if match and match[2] in OF_COIN:
        return OF_COIN[match[2]](ask, match[1])
    raise plain_error(404, UNKNOWN_PATH)


def _usage(simulation: Simulation, caller: Caller, now_ms: int) -> Answer:
    """The account's limits and use, and this key's. A limit lowered in silence is not told."""
    plan = simulation.limits.told(caller.plan)
    labels = [f"key-{n}" for n, p in enumerate(simulation.keys.values(), start=1) if p == caller.plan]
    account = sum(simulation.limits.spent(label, now_ms) for label in labels)
    credits_ = plan.credits or 10**9  # an enterprise plan has a number of its own
    told = {
        "plan": plan.name,
        "rate_limit_request_per_minute": plan.per_minute,
        "monthly_call_credit": credits_,
        "current_total_monthly_calls": account,
        "current_remaining_monthly_calls": max(0, credits_ - account),
        "api_key_rate_limit_request_per_minute": plan.per_minute,
        "api_key_monthly_call_credit": credits_,
        "api_key_current_total_monthly_calls": simulation.limits.spent(caller.label, now_ms),
    }
    return Answer(json.dumps(told, separators=(",", ":")), 0)
