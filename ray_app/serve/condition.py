"""How each data set does, from committed rows, the ledger and its collector's line."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from ray_app.model.dataset import Dataset
from ray_app.model.records import Price
from ray_app.model.timerange import TimeRange
from ray_app.observe.health import (
    NAMED,
    Judged,
    allowed_age,
    collector_state,
    judge,
    observed_at,
    of_collector,
    worst,
)
from ray_app.serve.crosscheck import cross_check
from ray_app.serve.node import Node
from ray_app.store.reading import NOW


@dataclass(frozen=True, slots=True)
class Condition:
    """One data set: what its rows say, what its collector says, and the worse of both."""

    dataset: Dataset
    judged: Judged
    collector: str
    row: Mapping[str, Any] | None

    @property
    def overall(self) -> str:
        """The worse of both; a data set without its key is `not_configured`, and missing where it is required."""
        if self.dataset.declared["not_configured"]:
            return self.judged.condition if self.dataset.declared["required"] else "not_configured"
        return worst([self.judged.condition, of_collector(self.collector)])


async def conditions(node: Node, now: datetime) -> list[Condition]:
    """Of every data set that is collected."""
    rows = await node.store.catalog.collectors()
    out = []
    for dataset in (await node.datasets.all()).values():
        if dataset.retired:
            continue
        newest = await newest_times(node, dataset, now)
        lately = TimeRange(now - allowed_age(dataset.declared), now + timedelta(microseconds=1))
        skipped = await node.store.ledger.tried(dataset.name, lately, outcomes=("not_offered",))
        gone = {p for p, tried in skipped.items() if any(one.range.end > now for one in tried)}
        judged = judge(dataset.declared, newest.seen, gone, now, newest.told)
        if dataset.record is Price:
            judged = await _cross_checked(node, dataset, judged)
        row = rows.get(dataset.name)
        out.append(Condition(dataset, judged, collector_state(dataset.declared, row, now), row))
    return out


async def _cross_checked(node: Node, dataset: Dataset, judged: Judged) -> Judged:
    """Degraded where a price differs from an exchange's; both values stand in the reasons."""
    facts = await node.store.reading.latest(Price, dataset.name)
    assets = node.registry.tracked()
    checked = await cross_check(node.store.reading, node.datasets, dataset, facts, assets, NOW)
    said = [f"{asset}: {one}" for asset, found in sorted(checked.reasons.items()) for one in found]
    if not said:
        return judged
    if len(said) > NAMED:
        said = [*said[:NAMED], f"and {len(said) - NAMED} more differ"]
    condition = judged.condition if judged.condition == "missing" else "degraded"
    return replace(judged, condition=condition, reasons=(*judged.reasons, *said))


@dataclass(frozen=True, slots=True)
class Newest:
    """Per series: until when it is accounted for, and when its newest observation is from."""

    seen: dict[str, datetime]
    told: dict[str, datetime]


async def newest_times(node: Node, dataset: Dataset, now: datetime) -> Newest:
    """A series whose every interval has a value is seen by its newest one; a quiet one by the ledger."""
    facts = await node.store.reading.latest(dataset.record, dataset.name)
    told = {p: observed_at(dataset.declared, fact.cursor) for p, fact in facts.items()}
    if dataset.declared.get("quiet_seconds") is None:
        return Newest(told, told)
    lately = TimeRange(now - 2 * allowed_age(dataset.declared), now + dataset.grain)
    tried = await node.store.ledger.tried(dataset.name, lately, outcomes=("covered", "awaited"))
    seen = {p: max(one.received_at for one in lines) for p, lines in tried.items()}
    return Newest(seen, told)


def told(one: Condition) -> dict[str, Any]:
    """As JSON types."""
    row = one.row or {}
    return {
        "dataset": one.dataset.name,
        "required": one.dataset.declared["required"],
        "condition": one.judged.condition,
        "state": one.overall,
        "reasons": list(one.judged.reasons),
        "not_configured": one.dataset.declared["not_configured"] or None,
        "newest": one.judged.newest,
        "freshness_seconds": None if one.judged.age_seconds is None else round(one.judged.age_seconds, 3),
        "allowed_seconds": allowed_age(one.dataset.declared).total_seconds(),
        "series": {"expected": one.judged.series, "fresh": one.judged.fresh, "stale": list(one.judged.stale)},
        "collector": one.collector,
        "last_success": row.get("last_success"),
        "last_error": row.get("last_error") or None,
        "last_error_at": row.get("last_error_at"),
    }
