"""What many fields on one level ask, asked at once: each function reads for all of its assets in a few statements.

What is wrong with one asset is the error of its field alone; what `meta` says is looked up only if a field asks.
"""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

from ray_app.model.symbols import Asset
from ray_app.process.sentiment.aggregate import FORMULA, Kind, history, sentiment
from ray_app.serve.datasets import check_licence
from ray_app.serve.features import shown
from ray_app.serve.graphql.asking import Asking, Once
from ray_app.serve.graphql.rows import Told
from ray_app.serve.indicators import TechnicalQuery, answers, asked_for, look
from ray_app.serve.indicators import Told as Indicators
from ray_app.serve.points import to_the_minute
from ray_app.serve.prices import Wanted
from ray_app.serve.problems import Problem
from ray_app.serve.queries import Moments
from ray_app.serve.rest import sentiment as rest_sentiment
from ray_app.serve.rest.features import FeaturesQuery, told_newest
from ray_app.serve.series import answer
from ray_app.serve.wire import Answer

Rows = list[Told | Problem]
QUOTED = {  # column of an answer -> what a quote calls it
    "current_price": "price",
    "market_cap": "market_cap",
    "volume_24h": "volume_24h",
    "price_change_24h": "price_change_24h",
    "price_change_percentage_24h": "price_change_percentage_24h",
}


async def prices(asking: Asking, currencies: tuple[str, ...], moments: Moments, assets: list[Asset]) -> Rows:
    node, at = asking.node, await asking.standing(moments)
    wanted = Wanted(tuple(assets), False, currencies, True, True)
    seen = await node.prices.look(wanted, at)
    checked = Once(lambda: node.prices.check(seen))
    out: Rows = []
    for asset in assets:
        one = Wanted((asset,), True, currencies, True, True)

        async def meta(one: Wanted = one) -> Mapping[str, Any]:
            return asking.meta(node.prices.tell(one, seen, await checked()))

        try:
            check_licence(seen.dataset, asking.key.internal, [seen.coins[asset.id]])
            row = node.prices.row(asset, one, seen)
        except Problem as problem:
            out.append(problem)
        else:
            quotes = [
                {"currency": currency, **{mine: row[name][currency] for name, mine in QUOTED.items()}}
                for currency in currencies
            ]
            out.append(Told(row | {"quotes": quotes}, meta))
    return out


async def technical(asking: Asking, query: TechnicalQuery, assets: list[Asset]) -> Rows:
    node, at = asking.node, await asking.standing(moments_of(query))
    what = await asyncio.to_thread(asked_for, query)
    found = await look(node, assets, query, what, at, internal=asking.key.internal)
    told = [one for one in found if isinstance(one, Indicators)]
    answered = Once(lambda: answers(node, told, at))
    out: Rows = []
    place = 0
    for one in found:
        if isinstance(one, Problem):
            out.append(one)
            continue
        values = one.latest.newest
        row = one.payload | {
            "moving_averages": named(one.payload.get("moving_averages", {})),
            "indicators": named(one.payload.get("indicators", {})),
            "nulls": [
                {"reason": reason, "name": name, "lacking": lacking}
                for reason, names in values.nulls.items()
                for name, lacking in names.items()
            ],
        }
        out.append(Told(row, partial(_meta, asking, answered, place)))
        place += 1
    return out


async def _meta(asking: Asking, answered: Once[list[Answer]], place: int) -> Mapping[str, Any]:
    return asking.meta((await answered())[place])


async def sentiments(
    asking: Asking, sources: list[Kind], window: str, moments: Moments, subjects: list[dict[str, Any]]
) -> Rows:
    node, at = asking.node, to_the_minute(await asking.standing(moments))
    ids = [one["id"] for one in subjects]
    found = await asking.sentiments.about_each(ids, sources, window, at, history=False)
    series = found[ids[0]].series
    rest_sentiment.check(series)
    whole = rest_sentiment.is_whole(found[ids[0]], internal=asking.key.internal)

    def work() -> list[dict[str, Any]]:
        out = []
        for one in subjects:
            mine = found[one["id"]]
            made = sentiment(mine.opinions, window, at.horizon)
            parts = rest_sentiment.breakdown(made, mine, sources, whole=whole)
            breakdown = [{"source": name, **part} for name, part in parts.items()]
            said = rest_sentiment.overall(made, mine, window, whole=whole)
            asked = (sources, window, moments)
            out.append(one | said | {"breakdown": breakdown, "formula": FORMULA, "asked": asked})
        return out

    answered = Once(lambda: answer(node, at, series, [], dict))

    async def meta(subject: str) -> Mapping[str, Any]:
        whole = await answered()
        mine = Answer(payload={}, meta=whole.meta, observed=found[subject].observed(at.horizon))
        return asking.meta(mine)

    rows = await asyncio.to_thread(work)
    return [Told(row, partial(meta, row["id"])) for row in rows]


async def histories(
    asking: Asking, sources: list[Kind], window: str, moments: Moments, ids: list[str]
) -> list[list[dict[str, Any]]]:
    """How the sentiment of each became so."""
    at = to_the_minute(await asking.standing(moments))
    found = await asking.sentiments.about_each(ids, sources, window, at, history=True)
    whole = rest_sentiment.is_whole(found[ids[0]], internal=asking.key.internal)

    def work() -> list[list[dict[str, Any]]]:
        past = (history(found[one].opinions, window, at.horizon) for one in ids)
        return [rest_sentiment.points(points, whole=whole) for points in past]

    return await asyncio.to_thread(work)


async def features(asking: Asking, query: FeaturesQuery, assets: list[Asset]) -> Rows:
    node, at = asking.node, await asking.standing(moments_of(query))
    what = await shown(node, query.feature_groups, at, internal=asking.key.internal)
    found = await told_newest(node, assets, what, "structured", at)
    return [
        one if isinstance(one, Problem) else asking.told(one, row_of_features(one.payload)) for one in found
    ]


def row_of_features(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row whose features are told one by one."""
    values = [
        {"name": name, "group": group, "value": value}
        for group, mine in row["features"].items()
        for name, value in mine.items()
    ]
    return {**row, "values": values}


def named(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"name": name, "value": value} for name, value in values.items()]


def moments_of(query: Moments) -> Moments:
    """Only where a question stands in time."""
    return Moments(as_of=query.as_of, known_by=query.known_by)
