"""Features of the chains: the symbol's own (null for a coin whose chain is not collected), and those of the market."""

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from ray_app.process.features.feature import DAYS, HOURS, Feature, Formula
from ray_app.process.features.inputs import Shared
from ray_app.process.features.joined import MICROSECOND, Joined
from ray_app.process.features.symbols import Symbols
from ray_app.process.indicators.grid import Array
from ray_app.process.indicators.windows import growth, ratio

DAILY = 4 * DAYS  # of a daily series that is told a day or two later
LIVE = 3 * HOURS  # of a series that is asked for every 10 or 30 minutes
DAY_US = DAYS // MICROSECOND


def newest_of(shared: Shared, metric: str, limit: timedelta) -> Array:
    return shared.metric(metric).newest("value", limit)


def own_newest_of(one: Symbols, metric: str) -> Array:
    return of_chains(one, newest_of, metric, DAILY)


def of_chains(one: Symbols, formula: Formula, metric: str, *parameters: object) -> Array:
    """Of each symbol's own chain; NaN where it is not collected."""
    shared, nothing = one.shared, np.full(len(one.shared.at), np.nan)

    def found(symbol: str) -> Array:
        name = f"{symbol.lower()}.{metric}"
        return shared.find(formula, name, *parameters) if shared.has_metric(name) else nothing

    return one.each(found)


def days_apart(joined: Joined, days: int) -> NDArray[np.bool_]:
    """Row by row of the series, whether column `days` is so many days older than column 0."""
    periods = joined.held.periods
    apart: NDArray[np.bool_] = periods[:, 0] - periods[:, days] == days * DAY_US
    return apart


def daily_growth_of(shared: Shared, metric: str, days: int) -> Array:
    joined = shared.metric(metric, days + 1)
    values, periods = joined.values["value"], joined.held.periods
    right = (periods[:, :1] - periods == days * DAY_US) & (values > 0)
    rows, column = np.arange(len(right)), np.argmax(right, axis=1)
    then = np.where(right[rows, column], values[rows, column], np.nan)
    return joined.take(100 * ratio(values[:, 0] - then, then), DAILY)


def own_growth_of(one: Symbols, metric: str, days: int) -> Array:
    return of_chains(one, daily_growth_of, metric, days)


def daily_total_of(shared: Shared, metric: str, days: int) -> Array:
    joined = shared.metric(metric, days)
    values = joined.values["value"]
    found = values[:, 0]
    for back in range(1, days):
        found = found + values[:, back]
    return joined.take(np.where(days_apart(joined, days - 1), found, np.nan), DAILY)


def netflow_of(one: Symbols, days: int) -> Array:
    into, out = (of_chains(one, daily_total_of, f"Flow{way}ExNtv", days) for way in ("In", "Out"))
    return 100 * ratio(into - out, one.find(own_newest_of, "SplyCur"))


def issuance_of(one: Symbols) -> Array:
    return 100 * 365 * ratio(one.find(own_newest_of, "IssTotNtv"), one.find(own_newest_of, "SplyCur"))


def fee_share_of(one: Symbols) -> Array:
    fees, issued = one.find(own_newest_of, "FeeTotNtv"), one.find(own_newest_of, "IssTotNtv")
    return ratio(fees, fees + issued)


def per_address_of(one: Symbols) -> Array:
    return ratio(one.find(own_newest_of, "TxCnt"), one.find(own_newest_of, "AdrActCnt"))


def value_per_address_of(one: Symbols) -> Array:
    return ratio(one.find(own_newest_of, "CapMrktCurUSD"), one.find(own_newest_of, "AdrActCnt"))


def transfers_of(shared: Shared) -> Array:
    value = shared.find(newest_of, "btc.CapMrktCurUSD", DAILY)
    return ratio(value, shared.find(newest_of, "btc.transfer_volume", DAILY))


def busyness_of(shared: Shared, metric: str, hours: int) -> Array:
    values = shared.rolling(newest_of, metric, LIVE)
    return ratio(values.x, values.mean(hours))


def hourly_growth_of(shared: Shared, metric: str, hours: int) -> Array:
    return 100 * growth(shared.find(newest_of, metric, LIVE), hours)


def _own(name: str, metrics: Sequence[str], formula: str, unit: str, function: Formula, *parameters: object,
         days: int = 0) -> Feature:  # fmt: skip
    inputs = tuple(f"metrics SYMBOL.{metric}" for metric in metrics)
    return Feature(name, "onchain", formula, inputs, unit, 0, function, parameters, DAILY, days * DAYS)


def _grown(name: str, metric: str, what: str, days: int) -> Feature:
    formula = f"growth of the day's {what} over {days} days, as known now; null where that day is not there"
    return _own(name, [metric], formula, "percent", own_growth_of, metric, days, days=days)


def _all(name: str, metric: str, what: str, days: int) -> Feature:
    return Feature(name, "onchain", f"growth of {what} over {days} days; null where that day is not there",
                   (f"metrics {metric}",), "percent", 0, daily_growth_of, (metric, days), DAILY, days * DAYS,
                   shared=True)  # fmt: skip


def _live(name: str, metric: str, formula: str, unit: str, function: Formula, *parameters: object,
          back: int = 0) -> Feature:  # fmt: skip
    return Feature(name, "onchain", formula, (f"metrics {metric}",), unit, back, function,
                   (metric, *parameters), LIVE, shared=True)  # fmt: skip


FEATURES: tuple[Feature, ...] = (
    _own("active_addresses", ["AdrActCnt"], "addresses active in the newest day", "addresses", own_newest_of,
         "AdrActCnt"),
    _grown("active_addresses_change_7d", "AdrActCnt", "active addresses", 7),
    _grown("active_addresses_change_30d", "AdrActCnt", "active addresses", 30),
    _own("transactions", ["TxCnt"], "transactions of the newest day", "transactions", own_newest_of, "TxCnt"),
    _grown("transactions_change_7d", "TxCnt", "transactions", 7),
    _grown("transfers_change_7d", "TxTfrCnt", "transfers", 7),
    _own("transactions_per_address", ["TxCnt", "AdrActCnt"], "transactions / active addresses", "ratio",
         per_address_of),
    _own("value_per_address", ["CapMrktCurUSD", "AdrActCnt"], "market capitalisation / active addresses", "USD",
         value_per_address_of),
    _own("mvrv", ["CapMVRVCur"], "market to realised capitalisation", "ratio", own_newest_of, "CapMVRVCur"),
    _grown("mvrv_change_30d", "CapMVRVCur", "market to realised capitalisation", 30),
    *(
        _own(f"exchange_netflow_{days}d", ["FlowInExNtv", "FlowOutExNtv", "SplyCur"],
             f"100 (flow into exchanges - flow out of them, {days} days) / supply", "percent of the supply",
             netflow_of, days,
             days=days)
        for days in (1, 7)
    ),
    _own("issuance_rate", ["IssTotNtv", "SplyCur"], "100 times 365 times the day's issuance / supply",
         "percent a year",
         issuance_of),
    _own("fee_share", ["FeeTotNtv", "IssTotNtv"], "fees / (fees + issuance) of the newest day", "0 to 1",
         fee_share_of),
    _all("hash_rate_change_30d", "btc.HashRate", "bitcoin's hash rate", 30),
    _all("stablecoin_supply_change_7d", "all.stablecoin_supply", "the stablecoins in circulation", 7),
    _all("stablecoin_supply_change_30d", "all.stablecoin_supply", "the stablecoins in circulation", 30),
    _all("tvl_change_7d", "all.tvl", "the value locked in DeFi", 7),
    _all("dex_volume_change_7d", "all.dex_volume", "the volume of decentralised exchanges", 7),
    Feature("value_to_transfers", "onchain", "bitcoin's market capitalisation / what was moved in a day",
            ("metrics btc.CapMrktCurUSD", "metrics btc.transfer_volume"), "days", 0, transfers_of, (), DAILY,
            shared=True),
    _live("btc_fee_rate", "btc.fee_rate_fast", "fee rate for bitcoin's next block", "sat/vB", newest_of, LIVE),
    _live("btc_mempool_busyness_7d", "btc.mempool_tx",
          "waiting transactions / their mean over 168 rows, of which 9 in 10 "
          "must be known", "ratio", busyness_of, 168, back=168),
    _live("btc_difficulty_change_14d", "btc.difficulty", "growth of bitcoin's difficulty over 336 rows", "percent",
          hourly_growth_of, 336, back=336),
    _live("eth_gas", "eth.gas_proposed", "proposed gas price of Ethereum", "gwei", newest_of, LIVE),
)  # fmt: skip
