"""Rows of features for the routes: stored ones as they were made, or worked out anew for `known_by`.

What surprises: a feature that is made of a series under a restricted licence is restricted like it, and left out of
the answers to other keys. Polars and the catalogue of features come in with the first question.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ray_app.model.dataset import Dataset
from ray_app.model.symbols import Asset
from ray_app.model.timerange import TimeRange, floor
from ray_app.serve.node import Node
from ray_app.serve.points import Standing
from ray_app.serve.problems import Problem, invalid
from ray_app.store.vectors import FeatureSet, Vector

HOUR = timedelta(hours=1)
GROUPS = ("price", "technical", "sentiment", "onchain", "macro", "market")
LATE = timedelta(minutes=10)  # after its hour a row is there, or the answer is degraded
MOST_ANEW = 168  # rows that are worked out for one question
OF_KIND = {
    "bars": "Bar", "points": "Price", "observations": "Observation", "metrics": "Metric", "mood": "MoodIndex",
    "totals": "MarketTotals", "funding": "FundingRate", "open_interest": "OpenInterest",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shown:
    """Which features an answer has, and the series whose licence leaves out others."""

    set: FeatureSet
    names: tuple[str, ...]
    groups: dict[str, str]
    closed: tuple[tuple[Dataset, str], ...]
    left_out: tuple[str, ...]


async def shown(node: Node, asked: str | None, at: Standing, *, internal: bool) -> Shown:
    """The features of the asked groups that a key may have. Raises Problem where there is no set (by then)."""
    wanted = (
        GROUPS if asked is None else tuple(dict.fromkeys(one.strip().lower() for one in asked.split(",")))
    )
    if unknown := [one for one in wanted if one not in GROUPS]:
        raise invalid(
            f"no group of features {', '.join(map(repr, unknown))}; there are {', '.join(GROUPS)}",
            parameter="feature_groups", available=list(GROUPS),
        )  # fmt: skip
    found = await newest_set(node, at)
    told = await catalogue()
    mine = [name for name in found.names if told.get(name, ("", ()))[0] in wanted]
    return await allowed(node, found, mine, at, internal=internal)


async def newest_set(node: Node, at: Standing) -> FeatureSet:
    """Raises Problem where there is none (by then)."""
    found = await node.store.vectors.newest_set(at.point.as_of)
    if found is None:
        raise Problem(
            "DATA_NOT_AVAILABLE",
            "no rows of features are built here (at that time); a node builds them with CRYPTO_DATA_FEATURES=true",
        )
    return found


async def allowed(
    node: Node, of: FeatureSet, wanted: Sequence[str], at: Standing, *, internal: bool
) -> Shown:
    """Those of the wanted features that a key may have."""
    datasets = list((await node.datasets.all(at.point.as_of)).values())
    told = await catalogue()
    names, out, closed = list[str](), list[str](), dict[tuple[str, str], Dataset]()
    for name in wanted:
        _, inputs = told.get(name, ("", ()))
        mine = [] if internal else [one for source in inputs for one in restricted_by(source, datasets)]
        closed |= {(dataset.name, series): dataset for dataset, series in mine}
        (out if mine else names).append(name)
    series = tuple((dataset, name) for (_, name), dataset in closed.items())
    return Shown(of, tuple(names), {name: told[name][0] for name in names}, series, tuple(out))


async def catalogue() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Group and inputs of each feature; Polars is loaded in a thread."""
    return await asyncio.to_thread(_catalogue)


def _catalogue() -> dict[str, tuple[str, tuple[str, ...]]]:
    from ray_app.process.features.catalogue import FEATURES

    return {one.name: (one.group, one.inputs) for one in FEATURES}


def restricted_by(source: str, datasets: Sequence[Dataset]) -> list[tuple[Dataset, str]]:
    """The series of an input of features that only internal keys may have."""
    kind, _, name = source.partition(" ")
    out = []
    for dataset in datasets:
        if dataset.record.__name__ != OF_KIND.get(kind):
            continue
        if kind in ("observations", "metrics"):
            spelt = [one for one in dataset.partitions if _is(one, name)]
            out += [(dataset, one) for one in spelt if dataset.restricts(one)]
        elif dataset.restricts(""):
            out.append((dataset, ""))
    return out


def _is(series: str, name: str) -> bool:
    return (
        series.partition(".")[2] == name.partition(".")[2] if name.startswith("SYMBOL.") else series == name
    )


async def latest(node: Node, assets: Sequence[Asset], one: Shown, at: Standing) -> dict[str, Vector]:
    """The newest row of each asset; those without one are absent."""
    if at.known_by is None:
        return await node.store.vectors.latest(one.set.hash, [asset.id for asset in assets], at.point)
    end = floor(at.horizon, HOUR)
    found = await _anew(node, assets, one, TimeRange(end - HOUR, end), at)
    return {vector.asset: vector for vector in found}


async def between(node: Node, asset: Asset, one: Shown, over: TimeRange, at: Standing) -> list[Vector]:
    """The rows of hours that end in [start, end), oldest first."""
    if at.known_by is None:
        return await node.store.vectors.between(one.set.hash, [asset.id], over, at.point)
    first, last = floor(over.start - timedelta(microseconds=1), HOUR), floor(over.end, HOUR)
    last = min(last, floor(at.horizon, HOUR))
    if last <= first:
        return []
    if (last - first) // HOUR > MOST_ANEW:
        raise Problem(
            "QUERY_TOO_COSTLY",
            f"with known_by rows are worked out anew: at most {MOST_ANEW} hours at once; ask for a shorter range, or "
            "for a training set",
            {"hours": (last - first) // HOUR, "most": MOST_ANEW},
        )
    return await _anew(node, [asset], one, TimeRange(first, last), at)


async def _anew(
    node: Node, assets: Sequence[Asset], one: Shown, over: TimeRange, at: Standing
) -> list[Vector]:
    from ray_app.derive.reading import Loader
    from ray_app.derive.rows import SET, rows

    if one.set.hash != SET:
        raise Problem(
            "DATA_NOT_AVAILABLE", "the features of then are worked out otherwise now: leave known_by out"
        )
    return await rows(
        Loader(node.store, node.registry), over, at.point, at.now, {asset.id for asset in assets}
    )


def turn(row: Vector) -> datetime:
    """When the next row should have been there: from then on this one is not the newest that there could be."""
    return row.at + HOUR + LATE


def condition(row: Vector | None, at: Standing) -> tuple[str, list[datetime]]:
    """What `meta.condition` says of the newest row, and when it became so."""
    if row is None:
        return "missing", []
    late = turn(row)
    return ("degraded", [late]) if late <= at.now else ("available", [])
