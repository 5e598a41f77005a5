"""How each data set does, from committed rows, the ledger and its collector's line."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ray_app.model.timerange import TimeRange
from ray_app.observe.health import (
    Judged,
    allowed_age,
    collector_state,
    judge,
    observed_at,
    of_collector,
    worst,
)
from ray_app.serve.datasets import Dataset
from ray_app.serve.node import Node


@dataclass(frozen=True, slots=True)
class Condition:
    """One data set: what its rows say, what its collector says, and the worse of both."""

    dataset: Dataset
    judged: Judged
    collector: str
    row: Mapping[str, Any] | None

    @property
    def overall(self) -> str:
        if self.dataset.declared["not_configured"]:
            return self.judged.condition
        return worst([self.judged.condition, of_collector(self.collector)])


async def conditions(node: Node, now: datetime) -> list[Condition]:
    """Of every declared data set."""
    rows = await node.store.catalog.collectors()
    out = []
    for dataset in (await node.datasets.all()).values():
        newest = await newest_times(node, dataset)
        lately = TimeRange(now - allowed_age(dataset.declared), now + timedelta(microseconds=1))
        skipped = await node.store.ledger.tried(dataset.name, lately, outcomes=("not_offered",))
        gone = {p for p, tried in skipped.items() if any(one.range.end > now for one in tried)}
        judged = judge(dataset.declared, newest, gone, now)
        row = rows.get(dataset.name)
        out.append(Condition(dataset, judged, collector_state(dataset.declared, row, now), row))
    return out


async def newest_times(node: Node, dataset: Dataset) -> dict[str, datetime]:
    """Per series the time that its newest observation speaks of."""
    facts = await node.store.reading.latest(dataset.record, dataset.name)
    return {p: observed_at(dataset.declared, fact.cursor) for p, fact in facts.items()}


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
