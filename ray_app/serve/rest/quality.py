"""The quality report of a day: per data set its intervals, rows, what was set aside, and what the rules flag."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from fastapi import FastAPI, Request
from pydantic import Field
from starlette.responses import Response

from ray_app.model.completeness import State, totals
from ray_app.model.dataset import Dataset
from ray_app.model.timerange import TimeRange, floor
from ray_app.process.quality import MEMORY, RULES, flags
from ray_app.serve.completeness import States, check_cost, states
from ray_app.serve.node import Node
from ray_app.serve.points import Standing, instant
from ray_app.serve.problems import Problem, invalid
from ray_app.serve.queries import Moments, read_query
from ray_app.serve.rest.examples_operations import REPORT
from ray_app.serve.routes import get
from ray_app.serve.wire import Answer
from ray_app.store.reading import Fact

DAY = timedelta(days=1)
EXAMPLES = 5  # of each rule
MOST_SET_ASIDE = 1000


class QualityQuery(Moments):
    dataset: str = Field(
        description="a data set, as /api/v1/catalog/datasets names it", examples=["coingecko.prices"]
    )
    day: str | None = Field(
        None,
        description="a day in UTC, like 2026-11-22; without it the day before",
        json_schema_extra={"format": "date"},
    )
    series: str | None = Field(None, description="one series of it, as /api/v1/catalog/series names it")


def add(app: FastAPI, node: Node) -> None:
    async def quality(request: Request) -> Response:
        query = read_query(QualityQuery, request)
        at = await node.standing(query)
        dataset, partitions = await _asked(node, query, at)
        over = _day(query.day, at)
        check_cost(len(partitions) * -(-over.length // dataset.grain))
        found = await states(node.store, dataset, partitions, over, at)
        told = {"dataset": dataset.name, "series": len(partitions), "intervals": _intervals(found)}
        told |= await _rows(node, dataset, partitions, over, at)
        facts = await _facts(node, dataset, partitions, over, at)
        told |= {"facts": sum(over.start <= _time(one) < over.end for one in facts)}
        told |= {"flagged": _flagged(dataset, facts, over)}
        changes = [*found.changes, *(one.received_at for one in facts)]
        meta = {
            "as_of": at.as_of(*changes),
            "known_by": at.known_by,
            "day": over.start,
            "condition": "available",
            "source": dataset.source,
            "simulated": node.parts.simulated,
        }
        newest = max((one.known_at for one in facts), default=None)
        return Answer(payload=told, meta=meta, observed=newest).response(request, node.clock.now())

    get(
        app, "/api/v1/quality", quality, scope="read:ops", query=QualityQuery, example=REPORT,
        summary="A day of a data set: intervals, rows, what was set aside and what looks wrong, with reasons",
    )  # fmt: skip


async def _asked(node: Node, query: QualityQuery, at: Standing) -> tuple[Dataset, Sequence[str]]:
    known = await node.datasets.all(at.point.as_of)
    if query.dataset not in known:
        raise Problem(
            "NOT_FOUND", f"there is no data set {query.dataset!r} (at that time)", {"datasets": sorted(known)}
        )
    dataset = known[query.dataset]
    if query.series is not None and query.series not in dataset.partitions:
        raise Problem(
            "NOT_FOUND",
            f"{dataset.name} has no series {query.series!r}",
            {"series": dataset.partitions[:100]},
        )
    return dataset, dataset.partitions if query.series is None else (query.series,)


def _day(asked: str | None, at: Standing) -> TimeRange:
    """A whole day, as far as it has passed. Raises Problem for one that has not begun."""
    start = floor(at.now, DAY) - DAY if asked is None else instant(asked, "day")
    if start != floor(start, DAY):
        raise invalid("day must be a date like 2026-11-22", parameter="day")
    if start >= at.now:
        raise invalid("day has not begun", parameter="day")
    return TimeRange(start, start + DAY)


def _intervals(found: States) -> dict[State, int]:
    return totals([span for spans in found.spans.values() for span in spans])


async def _rows(
    node: Node, dataset: Dataset, partitions: Sequence[str], over: TimeRange, at: Standing
) -> dict[str, Any]:
    """What was received on that day, whatever time it speaks of."""
    rows, revised = await node.store.received.tally(dataset.record, dataset.name, partitions, over, at.point)
    aside = await node.store.received.set_aside(dataset.name, over, MOST_SET_ASIDE + 1)
    seen = [one for one in aside if at.point.as_of is None or one["received_at"] <= at.point.as_of]
    reasons = Counter(one["reason"] for one in seen[:MOST_SET_ASIDE])
    return {
        "rows_received": rows,
        "rows_revised": revised,
        "set_aside": {
            "count": min(len(seen), MOST_SET_ASIDE),
            "more": len(seen) > MOST_SET_ASIDE,
            "reasons": dict(reasons.most_common()),
        },
    }


async def _facts(
    node: Node, dataset: Dataset, partitions: Sequence[str], over: TimeRange, at: Standing
) -> list[Fact]:
    """The day's facts, and before them what the rules look back at."""
    lead = TimeRange(over.start - (MEMORY + 1) * dataset.grain, over.end)
    return await node.store.reading.between(dataset.record, dataset.name, partitions, lead, at.point)


def _time(fact: Fact) -> datetime:
    return fact.key if isinstance(fact.key, datetime) else fact.cursor


def _flagged(dataset: Dataset, facts: Iterable[Fact], over: TimeRange) -> list[dict[str, Any]]:
    """By rule, those of the day; every rule of the kind is named, also those that flag nothing."""
    by_series: dict[str, list[Fact]] = {}
    for fact in facts:
        by_series.setdefault(fact.partition, []).append(fact)
    counts, examples = Counter[str](), dict[str, list[dict[str, Any]]]()
    for mine in by_series.values():
        for fact, flag in flags(dataset.record, mine):
            if not over.start <= _time(fact) < over.end:
                continue
            counts[flag.rule] += 1
            told = {
                "series": fact.partition,
                "time": _time(fact),
                "record_id": fact.id,
                "reason": flag.reason,
            }
            examples.setdefault(flag.rule, []).append(told)
    return [
        {
            "rule": rule.name,
            "words": rule.words,
            "count": counts[rule.name],
            "examples": examples.get(rule.name, [])[:EXAMPLES],
        }
        for rule in RULES.get(dataset.record, ())
    ]
