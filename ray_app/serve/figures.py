"""What /metrics shows, read from the store by any replica."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from ray_app.model.completeness import totals
from ray_app.model.dataset import Dataset
from ray_app.model.errors import StoreUnavailable
from ray_app.model.timerange import TimeRange
from ray_app.observe.health import allowed_age
from ray_app.observe.metrics import (
    DatasetFigures,
    Figures,
    LeaseFigures,
    QuotaFigures,
    SkewFigures,
    TextFigures,
)
from ray_app.serve.completeness import states
from ray_app.serve.condition import Condition, conditions
from ray_app.serve.money import spendings
from ray_app.serve.node import Node
from ray_app.serve.parts_state import model_parts, parts_down
from ray_app.serve.points import Standing
from ray_app.store.linked import KINDS, Kind
from ray_app.store.reading import NOW

DAY = timedelta(hours=24)
LATELY = 3 * DAY
BEFORE = 28 * DAY  # what the scores of the last day are held against
LEAST_SCORES = 100  # fewer tell nothing of a drift


async def figures(node: Node) -> Figures:
    """Everything, as of now. Raises StoreUnavailable."""
    now = node.clock.now()
    at = Standing(NOW, now, None, None)
    return Figures(
        simulated=node.parts.simulated,
        release=node.parts.release,
        parts=await _parts(node),
        datasets=[await _dataset(node, one, at) for one in await conditions(node, now)],
        quotas=await _quotas(node, now),
        money=[one.figures() for one in await spendings(node, now)],
        leases=[
            LeaseFigures(shard=lease.shard, owner=lease.owner if held else None, takings=lease.fence)
            for lease, held in await node.store.leases.all()
        ],
        outbox_waiting=await node.store.outbox.count_waiting(),
        texts=[one for kind in KINDS if (one := await _texts(node, kind, now)) is not None],
        skew=await _skew(node, now),
        raw_space=await node.store.folder.space(),
        backup_age_seconds=await _backup_age(node),
    )


async def _parts(node: Node) -> dict[str, tuple[bool, bool]]:
    """(needed, well) of each part; a model that no replica has loaded yet is well."""
    down = await parts_down(node)
    out = {"store": (True, "store" not in down)}
    if node.redis is not None:
        out["redis"] = (False, "redis" not in down)
    for part in await model_parts(node):
        out[part["part"]] = (False, part["state"] in ("available", "pending"))
    return out


async def _dataset(node: Node, one: Condition, at: Standing) -> DatasetFigures:
    dataset, judged = one.dataset, one.judged
    # A second of work for a node with all sources: at most every five minutes, however often a scraper comes.
    day = await node.computed.get(("figures of a day", dataset.name), lambda: _day(node, dataset, at))
    return DatasetFigures(
        name=dataset.name,
        required=dataset.declared["required"],
        age_seconds=judged.age_seconds,
        allowed_seconds=allowed_age(dataset.declared).total_seconds(),
        series=judged.series,
        fresh=judged.fresh,
        intervals=day.intervals,
        read=day.read,
        set_aside=day.set_aside,
        rows=day.rows,
        collector=one.collector,
        errors=one.row["errors"] if one.row is not None else {},
    )


@dataclass(frozen=True, slots=True)
class _Day:
    """What is counted over the last 24 h of a data set; `rows` are all that it ever had."""

    intervals: Mapping[str, int]
    read: int
    set_aside: int
    rows: int


async def _day(node: Node, dataset: Dataset, at: Standing) -> _Day:
    over = TimeRange(at.now - DAY, at.now)
    counted: Counter[str] = Counter()
    if not dataset.declared["not_configured"]:
        lately = [p for p in dataset.partitions if not dataset.life(p).over_by(over.start)]
        for found in (await states(node.store, dataset, lately, over, at)).spans.values():
            counted.update(totals(found))
    return _Day(
        intervals=dict(counted),
        read=await node.store.received.rows_read(dataset.name, over),
        set_aside=await node.store.received.count_set_aside(dataset.name, over),
        rows=await node.store.reading.count(dataset.record, dataset.name),
    )


async def _quotas(node: Node, now: datetime) -> list[QuotaFigures]:
    since = await node.datasets.since() or now
    return [
        QuotaFigures(
            scope=one.scope,
            limit=one.limit,
            spent_month=one.spent,
            allowance_month=one.quota.per_month,
            forecast_month=one.forecast(since, now),
        )
        for one in await node.store.quotas.states(now)
    ]


async def _texts(node: Node, kind: Kind, now: datetime) -> TextFigures | None:
    """Of one kind of text, by the model that is configured; None where none is or no such text is collected."""
    streams = [one.name for one in await node.datasets.of(kind) if not one.retired]
    scorer = await node.store.scores.served(kind) if streams else None
    if scorer is None:
        return None
    tally = partial(node.store.scores.tally, kind, streams, scorer.digest)
    lately, newest = await tally(now - LATELY, None), await tally(now - DAY, None)
    # A month of texts is read at most every five minutes, however often a scraper comes.
    month = await node.computed.get(
        ("scores of a month", kind, scorer.digest, tuple(streams)),
        lambda: tally(now - DAY - BEFORE, now - DAY),
    )
    return TextFigures(
        texts=f"{kind.__name__.lower()}s",
        scored=lately.scored,
        without=sum(lately.without.values()),
        waiting=lately.left,
        labels=newest.labels,
        drift=drift(newest.labels, month.labels),
    )


def drift(newest: Mapping[str, int], before: Mapping[str, int]) -> float | None:
    """Half of the sum of the differences of the shares: 0 when they are the same, 1 when nothing is."""
    new, old = sum(newest.values()), sum(before.values())
    if min(new, old) < LEAST_SCORES:
        return None
    return sum(abs(newest.get(k, 0) / new - before.get(k, 0) / old) for k in {*newest, *before}) / 2


async def _backup_age(node: Node) -> float | None:
    """None when none is known, or its mark cannot be read: that must not hide all else."""
    try:
        at = await node.computed.get(
            "backed up", node.store.folder.backed_up
        )  # it may be in a bucket far away
    except StoreUnavailable:
        return None
    return None if at is None else (node.wall.now() - at).total_seconds()


async def _skew(node: Node, now: datetime) -> SkewFigures | None:
    found = await node.store.vectors.skew()
    if found is None:
        return None
    return SkewFigures(
        rows=found["rows"],
        differing=found["differing"],
        largest=float(found["largest"]),
        age_seconds=(now - datetime.fromisoformat(found["checked_at"])).total_seconds(),
    )
