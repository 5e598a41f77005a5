"""The completeness ledger: what is there, what is not, and why."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from fastapi import FastAPI, Request
from pydantic import Field
from starlette.responses import Response

from ray_app.model.completeness import Span, totals
from ray_app.model.dataset import Dataset
from ray_app.model.timerange import TimeRange, floor
from ray_app.serve.completeness import check_cost, states, told
from ray_app.serve.node import Node
from ray_app.serve.paging import Page, pinned
from ray_app.serve.points import Standing, instant
from ray_app.serve.problems import Problem, invalid
from ray_app.serve.queries import MOMENT, Paged, read_query
from ray_app.serve.rest.examples_operations import COVERAGE
from ray_app.serve.rest.examples_operations import GAPS as GAPS_SHOWN
from ray_app.serve.routes import get
from ray_app.serve.wire import Answer

DAY = timedelta(hours=24)
END_STEP = timedelta(minutes=5)
GAPS = ("late", "failed", "lost", "empty_upstream")


class RangeQuery(Paged):
    dataset: str | None = Field(None, description="one data set, as /api/v1/catalog/datasets names it")
    symbol: str | None = Field(None, description="one coin; data sets that are not by coin are left out")
    start: str | None = Field(
        None, description="RFC 3339 time; 24 h before the end without it", json_schema_extra=MOMENT
    )
    end: str | None = Field(None, description="RFC 3339 time; now without it", json_schema_extra=MOMENT)


@dataclass(frozen=True, slots=True)
class Series:
    dataset: Dataset
    partition: str

    @property
    def place(self) -> tuple[str, str]:
        return self.dataset.name, self.partition


def add(app: FastAPI, node: Node) -> None:
    async def coverage(request: Request) -> Response:
        query = read_query(RangeQuery, request)
        made = await covered(node, query, await pinned(node, request, query, query.limit))
        return made.response(request, node.clock.now())

    async def gaps(request: Request) -> Response:
        query = read_query(RangeQuery, request)
        made = await lacking(node, query, await pinned(node, request, query, query.limit))
        return made.response(request, node.clock.now())

    get(
        app, "/api/v1/coverage", coverage, scope="read:ops", query=RangeQuery, example=COVERAGE,
        summary="The state of every due interval, per series; the states add up to 100 %",
    )  # fmt: skip
    get(
        app, "/api/v1/gaps", gaps, scope="read:ops", query=RangeQuery, example=GAPS_SHOWN,
        summary="What is not there, with reasons",
    )  # fmt: skip


async def covered(node: Node, query: RangeQuery, page: Page) -> Answer:
    """The states of a page of series."""
    at = page.standing
    over = time_range(query.start, query.end, at)
    wanted = await series(node, query.dataset, query.symbol, at)
    rest = [one for one in wanted if page.after is None or list(one.place) > page.after]
    shown = rest[: query.limit]
    found, changes = await _states(node, shown, over, at)
    as_of = at.as_of(*changes)

    def after(n: int) -> str:
        return page.next(list(shown[n].place), as_of)

    more = after(-1) if len(rest) > len(shown) else None
    rows = [_row(one, found[one.place]) for one in shown]
    bad = any(
        row["intervals"]["late"] or row["intervals"]["failed"] or row["intervals"]["lost"] for row in rows
    )
    made = _answer(node, {"data": rows}, at, as_of, over, "degraded" if bad else "available", more)
    made.after = after
    return made


async def lacking(node: Node, query: RangeQuery, page: Page) -> Answer:
    """A page of what is not there."""
    at = page.standing
    over = time_range(query.start, query.end, at)
    wanted = await series(node, query.dataset, query.symbol, at)
    found, changes = await _states(node, wanted, over, at)
    rows = [(one, span) for one in wanted for span in found[one.place] if span.state in GAPS]
    rest = [row for row in rows if page.after is None or _position(*row) > page.after]
    shown = rest[: query.limit]
    as_of = at.as_of(*changes)

    def after(n: int) -> str:
        return page.next(_position(*shown[n]), as_of)

    more = after(-1) if len(rest) > len(shown) else None
    data = [told(one.dataset, one.partition, span) for one, span in shown]
    condition = "degraded" if any(span.state != "empty_upstream" for _, span in rows) else "available"
    made = _answer(node, {"data": data, "total": len(rows)}, at, as_of, over, condition, more)
    made.after = after
    return made


def time_range(start: str | None, end: str | None, at: Standing) -> TimeRange:
    """Raises Problem for an empty range."""
    until = instant(end, "end") if end is not None else default_end(at)
    since = instant(start, "start") if start is not None else until - DAY
    if since >= until:
        raise invalid("start must be before end", parameters=["start", "end"])
    return TimeRange(since, until)


def default_end(at: Standing) -> datetime:
    """Not the very moment, so that an answer holds for a while."""
    return floor(at.now, END_STEP)


async def series(node: Node, dataset: str | None, symbol: str | None, at: Standing) -> list[Series]:
    """The series asked for, in order. Raises Problem for a data set that does not exist."""
    known = await node.datasets.all(at.point.as_of)
    if dataset is not None and dataset not in known:
        raise Problem(
            "NOT_FOUND", f"there is no data set {dataset!r} (at that time)", {"datasets": sorted(known)}
        )
    chosen = [known[dataset]] if dataset is not None else list(known.values())
    out = [Series(one, partition) for one in chosen for partition in sorted(one.partitions)]
    if symbol is None:
        return out
    asset = node.resolve(symbol, at.asked)
    return [s for s in out if s.dataset.by_asset and s.partition in s.dataset.names(asset)]


async def _states(
    node: Node, wanted: list[Series], over: TimeRange, at: Standing
) -> tuple[dict[tuple[str, str], Any], list[datetime]]:
    check_cost(sum(-(-over.length // one.dataset.grain) for one in wanted))
    out: dict[tuple[str, str], Any] = {}
    changes = [default_end(at)]
    for dataset in {one.dataset.name: one.dataset for one in wanted}.values():
        mine = [one.partition for one in wanted if one.dataset is dataset]
        found = await states(node.store, dataset, mine, over, at)
        out |= {(dataset.name, partition): spans for partition, spans in found.spans.items()}
        changes += found.changes
    return out, changes


def _row(one: Series, found: list[Span]) -> dict[str, Any]:
    counts = totals(found)
    whole = sum(counts.values())
    return {
        "dataset": one.dataset.name,
        "series": one.partition,
        "start": found[0].range.start,
        "end": found[-1].range.end,
        "intervals": counts,
        "percent": percent(counts, whole),
        "spans": [told(one.dataset, one.partition, span) for span in found],
    }


def percent(counts: Any, whole: int) -> dict[str, float]:
    """Shares with four decimals that add up to 100 exactly: what rounding leaves goes to the largest."""
    parts = {state: count * 1_000_000 // whole for state, count in counts.items()}
    largest = max(parts, key=lambda state: (counts[state], state))
    parts[largest] += 1_000_000 - sum(parts.values())
    return {state: part / 10_000 for state, part in parts.items()}


def _position(one: Series, span: Span) -> list[str]:
    return [*one.place, span.range.start.isoformat()]


def _answer(
    node: Node,
    payload: dict[str, Any],
    at: Standing,
    as_of: datetime,
    over: TimeRange,
    condition: str,
    cursor: str | None,
) -> Answer:
    meta = {
        "as_of": as_of,
        "known_by": at.known_by,
        "condition": condition,
        "source": "store",
        "simulated": node.parts.simulated,
        "start": over.start,
        "end": over.end,
        "cursor": cursor,
    }
    return Answer(payload=payload, meta=meta)
