"""GET /api/v1/macro/{series}: a macro series as it is known now, or as it was known at a time."""

from datetime import UTC, datetime
from difflib import SequenceMatcher
from typing import Any

from fastapi import FastAPI, Request
from pydantic import Field
from starlette.responses import Response

from ray_app.model.series import Observation
from ray_app.serve.datasets import check_licence
from ray_app.serve.door import key_of
from ray_app.serve.node import Node
from ray_app.serve.paging import Page, pinned
from ray_app.serve.points import Standing
from ray_app.serve.problems import Problem
from ray_app.serve.queries import MOMENT, Paged, read_query
from ray_app.serve.rest.examples import MACRO
from ray_app.serve.routes import get
from ray_app.serve.series import Series, answer, cursor_after, known, paged, period
from ray_app.serve.wire import Answer
from ray_app.store.reading import Fact

FIRST_PERIOD = datetime(1700, 1, 1, tzinfo=UTC)  # macro series are older than any market of ours
LONGEST_NAME = 64  # characters of an unknown name that are compared


class MacroQuery(Paged):
    start: str | None = Field(
        None, description="RFC 3339 time or date: periods that begin at or after it", json_schema_extra=MOMENT
    )
    end: str | None = Field(
        None, description="RFC 3339 time or date: periods that begin before it", json_schema_extra=MOMENT
    )


def add(app: FastAPI, node: Node) -> None:
    async def macro(series: str, request: Request) -> Response:
        query = read_query(MacroQuery, request)
        page = await pinned(node, request, query, query.limit)
        made = await told(node, series, query, page, internal=key_of(request.scope).internal)
        return made.response(request, node.clock.now())

    get(
        app, "/api/v1/macro/{series}", macro, scope="read:macro", query=MacroQuery, example=MACRO,
        summary="A macro series, newest period first; known_by gives each value's vintage of that time",
    )  # fmt: skip


async def told(node: Node, series: str, query: MacroQuery, page: Page, *, internal: bool) -> Answer:
    """A page of one macro series."""
    at = page.standing
    one = await _named(node, series, at)
    check_licence(one.dataset, internal, [one.partition])
    over = period(query.start, query.end, at, FIRST_PERIOD)
    rows, cursor = await paged(node, [one], over, page, query.limit)

    def payload() -> dict[str, Any]:
        return {**one.told(), "series": one.partition, "data": [_row(fact) for _, fact in rows]}

    made = await answer(node, at, [one], rows, payload, cursor=cursor)
    made.after = lambda n: cursor_after(rows[n], page)
    return made


async def _named(node: Node, name: str, at: Standing) -> Series:
    """The series of that name, in any case. Raises Problem with the three nearest names."""
    found = await node.datasets.of(Observation, at.point.as_of)
    every = {partition: Series(one, partition) for one in reversed(found) for partition in one.partitions}
    by_name = {partition.upper(): one for partition, one in every.items()}
    if name.upper() in by_name:
        return by_name[name.upper()]
    nearest = _nearest(name, list(every.values()))
    hint = f"; nearest: {', '.join(nearest)}" if nearest else ""
    raise Problem(
        "NOT_FOUND",
        f"there is no macro series {name[:LONGEST_NAME]!r} (at that time){hint}",
        {"series": name[:LONGEST_NAME], "nearest": nearest},
    )


def _nearest(name: str, every: list[Series]) -> list[str]:
    """By id or by title, the most alike first."""
    matcher = SequenceMatcher(None, "", name[:LONGEST_NAME].lower(), autojunk=False)
    scores: dict[str, float] = {}
    for one in every:
        for text in (one.partition, one.dataset.about(one.partition, "title")):
            matcher.set_seq1(text.lower())
            scores[one.partition] = max(scores.get(one.partition, 0.0), matcher.ratio())
    return sorted(scores, key=lambda series: (-scores[series], series))[:3]


def _row(fact: Fact) -> dict[str, Any]:
    """`value` is null where that vintage withdrew it; `vintage` is the day from which it held."""
    return {"period": fact.key, "value": fact.values["value"], "vintage": fact.cursor, **known(fact)}
