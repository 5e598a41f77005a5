"""What an export of features or of a training set is going to hold."""

import asyncio
import importlib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from ray_app.model.dataset import Dataset
from ray_app.model.export import TRAINING_SET, ExportRequest
from ray_app.model.timerange import TimeRange
from ray_app.serve.datasets import left_out, restricted
from ray_app.serve.exports import ExportBody, frozen_request, terms
from ray_app.serve.features import GROUPS, OF_KIND, Shown, allowed, catalogue, newest_set, restricted_by
from ray_app.serve.node import Node
from ray_app.serve.points import Standing
from ray_app.serve.problems import Problem, invalid
from ray_app.serve.series import Series, period
from ray_app.store.vectors import FeatureSet

HOUR = timedelta(hours=1)
MOST_CELLS = 1_000_000  # rows of features: a year of all coins is 600,000


async def computed(
    node: Node, body: ExportBody, at: Standing, *, internal: bool
) -> tuple[ExportRequest, bool]:
    """What is going to be read or worked out, and whether only internal keys may have it. Raises Problem."""
    if body.what == TRAINING_SET and body.start is None:
        raise invalid("a training set needs start: its rows are worked out anew", fields=["start"])
    pieces, reading = await asyncio.to_thread(_loaded)
    over: TimeRange | None = pieces.hours_of(period(body.start, body.end, at))
    if over is None:
        raise invalid("no hour ends in this range: rows are of whole hours", fields=["start", "end"])
    every = await reading.Loader(node.store, node.registry).symbols(at.point)
    assets = _assets(node, body, every, at)
    cells = len(assets) * (over.length // HOUR)
    if cells > MOST_CELLS:
        raise Problem(
            "QUERY_TOO_COSTLY",
            f"{len(assets)} symbols and {over.length // HOUR:,} hours are {cells:,} rows, and an export has at most "
            f"{MOST_CELLS:,}: give a start, a shorter range or fewer symbols",
            {"rows": cells, "most_rows": MOST_CELLS},
        )
    shown = await _shown(node, body, at, internal=internal)
    told = await catalogue()
    sources = {source for name in shown.names for source in told[name][1]}
    datasets = list((await node.datasets.all(at.point.as_of)).values())
    if body.horizons is not None:
        sources.add("bars")  # labels are made of them
        if not internal and (closed := restricted_by("bars", datasets)):
            raise restricted(closed)
    used = [one for source in sources for one in _series(source, datasets)]
    closed_by = [(one, name) for source in sources for one, name in restricted_by(source, datasets)]
    request = frozen_request(
        body, at, over,
        assets=tuple(assets), names=shown.names, feature_set=shown.set.hash, horizons=body.horizons or (),
        terms=terms(used), left_out=tuple(left_out(shown.closed)),
    )  # fmt: skip
    return request, bool(closed_by)


def _loaded() -> tuple[Any, Any]:
    return (
        importlib.import_module("ray_app.derive.pieces"),
        importlib.import_module("ray_app.derive.reading"),
    )


def _assets(node: Node, body: ExportBody, every: Mapping[str, Any], at: Standing) -> list[str]:
    """Symbols of features for a training set, ids for stored rows; all that there are without any named."""
    by_id = {of.asset.id: symbol for symbol, of in every.items()}
    if body.symbols is None:
        wanted = list(by_id)
    else:
        wanted = list(dict.fromkeys(node.resolve(one, at.asked).id for one in body.symbols))
    if lost := [one for one in wanted if one not in by_id]:
        raise Problem(
            "DATA_NOT_AVAILABLE",
            f"there are no hourly candles in US dollars of {', '.join(lost)}, and without them no features",
            {"ids": lost},
        )
    if not wanted:
        raise Problem("DATA_NOT_AVAILABLE", "there are no hourly candles in US dollars here (at that time)")
    return sorted(by_id[one] if body.what == TRAINING_SET else one for one in wanted)


async def _shown(node: Node, body: ExportBody, at: Standing, *, internal: bool) -> Shown:
    """The asked features that the key may have. Raises Problem for an unknown or a closed one that is named."""
    told = await catalogue()
    if body.what == TRAINING_SET:  # is worked out from facts: no row need be stored
        rows = await asyncio.to_thread(importlib.import_module, "ray_app.derive.rows")
        of = FeatureSet(rows.SET, rows.NAMES, 0)
    else:
        of = await newest_set(node, at)
    known = [name for name in of.names if name in told]
    asked = list(dict.fromkeys(one.strip() for one in body.features or GROUPS))
    if unknown := [one for one in asked if one not in GROUPS and one not in known]:
        raise invalid(
            f"no feature or group {unknown[0]!r}; there are the groups {', '.join(GROUPS)}, "
            "and the features of /api/v1/catalog/features",
            fields=["features"],
        )  # fmt: skip
    wanted = [name for name in known if name in asked or told[name][0] in asked]
    found = await allowed(node, of, wanted, at, internal=internal)
    if set(found.left_out) & set(asked) or not found.names:
        raise restricted(found.closed)
    return found


def _series(source: str, datasets: Sequence[Dataset]) -> list[Series]:
    """What an input of features is read from; one series stands for all of a data set that share its terms."""
    kind, _, name = source.partition(" ")
    records = ("Article", "Post") if kind == "sentiment" else (OF_KIND.get(kind),)
    found = [one for one in datasets if one.record.__name__ in records]
    return [
        Series(one, series)
        for one in found
        for series in (one.partitions if kind in ("observations", "metrics") else ("",))
        if not name or not series or series == name or name.startswith("SYMBOL.")
    ]
