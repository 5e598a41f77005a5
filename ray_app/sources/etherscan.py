"""Etherscan v2: what gas costs on Ethereum now, and how much ether there is.

What surprises: errors come with HTTP 200 and a text where the result should be. All numbers are texts; gas is in
gwei, with decimals since 2021; supply is in wei. Neither has a history without a paid plan.
"""

from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from ray_app.model.errors import Malformed, NotOffered, RateLimited, Refused, Transient, UpstreamError
from ray_app.model.series import Metric
from ray_app.model.source import About, Api, ApiKey, Page, Plan, Quota, Slice, Source, Stream

HALF_HOUR = timedelta(minutes=30)
ETHEREUM = 1
REACTIONS: tuple[tuple[str, type[UpstreamError]], ...] = (
    ("rate limit reached", RateLimited),  # of the second, or of the day
    ("Too many invalid api key attempts", Refused),
    ("Invalid API Key", Refused),
    ("Missing", Refused),
    ("API Pro endpoint", NotOffered),
)
GAS = {  # field, what it is, unit
    "eth.gas_safe": ("SafeGasPrice", About("Gas price, safe to be included", "gwei")),
    "eth.gas_proposed": ("ProposeGasPrice", About("Gas price, proposed", "gwei")),
    "eth.gas_fast": ("FastGasPrice", About("Gas price, fast", "gwei")),
    "eth.gas_base": ("suggestBaseFee", About("Base fee that the next block suggests", "gwei")),
}
SUPPLY = {
    "eth.supply_issued": ("EthSupply", About("Ether before staking rewards and burnt fees", "wei")),
    "eth.staking_rewards": ("Eth2Staking", About("Staking rewards so far", "wei")),
    "eth.burnt_fees": ("BurntFees", About("Fees burnt so far", "wei")),
}


def judge(page: Page) -> None:
    """{"status": "0", "message": "NOTOK", "result": "Max rate limit reached, ..."}, with any HTTP status."""
    if b'"result"' not in page.body or b'"NOTOK"' not in page.body[:200]:
        return
    body = page.json()
    told = str(body.get("result") if isinstance(body, dict) else body)[:200]
    for text, reaction in REACTIONS:
        if text in told:
            raise reaction(page.source, told)
    raise Transient(page.source, told)


async def fetch_gas(api: Api, _: Slice) -> AsyncIterator[Page]:
    yield await api.get("/api", chainid=ETHEREUM, module="gastracker", action="gasoracle")


async def fetch_supply(api: Api, _: Slice) -> AsyncIterator[Page]:
    yield await api.get("/api", chainid=ETHEREUM, module="stats", action="ethsupply2")


def rows(fields: dict[str, tuple[str, About]], page: Page) -> Iterable[Any]:
    """(metric, text) for each of our fields; None for one that is not there."""
    body = page.json()
    if not isinstance(body, dict) or not isinstance(body.get("result"), dict):
        raise Malformed(page.source, f"expected a result, found {page.body[:80]!r}")
    return [(name, body["result"].get(field)) for name, (field, _) in fields.items()]


def parse(row: Any, wanted: Slice) -> Metric:
    """The value was seen within the slice: known at its end at the latest."""
    name, told = row
    if not isinstance(told, str) or (value := Decimal(told)) < 0:
        raise ValueError(f"expected a number as text for {name}, found {told!r}")
    return Metric(metric=name, at=wanted.range.start, published=wanted.range.end, value=value)


PRICES = Stream(
    name="gas",
    describes="what gas costs on Ethereum now",
    record=Metric,
    partitions=lambda _: tuple(GAS),
    fetch=fetch_gas,
    rows=lambda page: rows(GAS, page),
    parse=parse,
    every=HALF_HOUR,
    grain=HALF_HOUR,
    longest_slice=HALF_HOUR,
    offers=None,
    batch=len(GAS),
    required=False,
    unit="gwei",
    about={name: about for name, (_, about) in GAS.items()},
    parser="gas/1",
)
ETHER = replace(
    PRICES,
    name="supply",
    describes="how much ether there is now",
    partitions=lambda _: tuple(SUPPLY),
    fetch=fetch_supply,
    rows=lambda page: rows(SUPPLY, page),
    batch=len(SUPPLY),
    unit="wei",
    about={name: about for name, (_, about) in SUPPLY.items()},
    parser="supply/1",
)

SOURCE = Source(
    name="etherscan",
    docs="https://docs.etherscan.io",
    licence="attribution",
    attribution="Powered by Etherscan.io APIs",
    judge=judge,
    plans=(
        Plan(
            name="free",
            base_url="https://api.etherscan.io/v2",
            simulated_at="/etherscan/v2",
            quota=Quota(3, timedelta(seconds=1)),
            auth=ApiKey("etherscan_key", param="apikey"),
            streams=(PRICES, ETHER),
        ),
    ),
)
