"""Where a record came from, and what changed after it was first seen."""

import json
from datetime import datetime
from typing import Any

from fastapi import FastAPI, Request
from pydantic import Field
from starlette.responses import Response

from ray_app.model.dataset import Dataset
from ray_app.model.timerange import TimeRange
from ray_app.serve.datasets import check_licence, left_out, restricted
from ray_app.serve.door import key_of
from ray_app.serve.node import Node
from ray_app.serve.paging import pinned
from ray_app.serve.points import EARLIEST, instant
from ray_app.serve.problems import Problem, invalid
from ray_app.serve.queries import MOMENT, Moments, Paged, read_query
from ray_app.serve.rest.examples_operations import LINEAGE, REVISIONS, REVISIONS_LESS
from ray_app.serve.routes import get
from ray_app.serve.wire import MILLISECOND, Answer
from ray_app.store.reading import Fact, parse_id


class RevisionsQuery(Paged):
    dataset: str | None = Field(None, description="one data set, as /api/v1/catalog/datasets names it")
    symbol: str | None = Field(None, description="one coin; data sets that are not by coin are left out")
    start: str | None = Field(
        None, description="changes received at or after this RFC 3339 time", json_schema_extra=MOMENT
    )
    end: str | None = Field(
        None, description="changes received before this RFC 3339 time", json_schema_extra=MOMENT
    )


def add(app: FastAPI, node: Node) -> None:
    async def lineage(record_id: str, request: Request) -> Response:
        at = await node.standing(read_query(Moments, request))
        try:
            stream, partition, key, revision = parse_id(record_id)
        except ValueError as error:
            raise invalid(str(error), record_id=record_id) from None
        if isinstance(key, datetime) and key.tzinfo is None:
            raise invalid("the time in a record id has its zone", record_id=record_id)
        dataset = (await node.datasets.all(at.point.as_of)).get(stream)
        found = None
        if dataset is not None:
            check_licence(dataset, key_of(request.scope).internal, [partition])
        if dataset is not None and isinstance(key, str) == dataset.by_id:
            found = await node.store.reading.lineage(
                dataset.record, stream, partition, key, revision, at.point
            )
        if dataset is None or found is None:
            raise Problem("NOT_FOUND", "there is no such record (at that time)", {"record_id": record_id})
        received, known = found["had_at"], found["known_at"]
        answer = Answer(
            payload={
                "record_id": record_id,
                "dataset": stream,
                "series": partition,
                **_evidence(found, key, revision),
            },
            meta={
                "as_of": at.as_of(received),
                "known_by": at.known_by,
                "condition": "available",
                "source": dataset.source,
                "simulated": node.parts.simulated,
            },
            observed=known,
        )
        return answer.response(request, node.clock.now())

    async def revisions(request: Request) -> Response:
        query = read_query(RevisionsQuery, request)
        paged = await pinned(node, request, query, query.limit)
        at = paged.standing
        start = instant(query.start, "start") if query.start is not None else EARLIEST
        end = instant(query.end, "end") if query.end is not None else at.now + MILLISECOND
        if start >= end:
            raise invalid("start must be before end", parameters=["start", "end"])
        wanted, closed = await _wanted(node, query, at.point.as_of, at.asked, key_of(request.scope).internal)
        rows: list[tuple[Dataset, Fact, Fact]] = []
        for dataset, partitions in wanted:
            after = _after(paged.after, dataset)
            if len(rows) > query.limit or (paged.after is not None and dataset.name < paged.after[0]):
                continue
            found = await node.store.reading.revisions(
                dataset.record,
                dataset.name,
                TimeRange(start, end),
                query.limit + 1 - len(rows),
                after,
                partitions,
                at.point,
            )
            rows += [(dataset, old, new) for old, new in found]
        shown = rows[: query.limit]
        last = max((new.received_at for _, _, new in shown), default=None)
        as_of = at.as_of(last)
        more = None
        if len(rows) > len(shown):
            dataset, _, new = shown[-1]
            key = new.key if isinstance(new.key, str) else new.key.isoformat()
            position = [dataset.name, new.received_at.isoformat(), new.partition, key, new.revision]
            more = paged.next(position, at.asked or at.now)
        answer = Answer(
            payload={"data": [_change(*row) for row in shown]},
            meta={
                "as_of": as_of,
                "known_by": at.known_by,
                "condition": "available",
                "source": "store",
                "simulated": node.parts.simulated,
                "cursor": more,
                **({"left_out": left_out(closed)} if closed else {}),
            },
            observed=last,
        )
        return answer.response(request, node.clock.now())

    get(
        app, "/api/v1/lineage/{record_id:path}", lineage, scope="read:ops", query=Moments,
        summary="From a record (dataset:series:time or id:revision) to the raw response it came from",
        example=LINEAGE,
    )  # fmt: skip
    get(
        app, "/api/v1/revisions", revisions, scope="read:ops", query=RevisionsQuery,
        summary="What changed after first being seen: old, new, when",
        example=REVISIONS, also=[REVISIONS_LESS],
    )  # fmt: skip


def _evidence(found: dict[str, Any], key: datetime | str, revision: int) -> dict[str, Any]:
    return {
        "id" if isinstance(key, str) else "time": key,
        "revision": revision,
        "known_at": found["known_at"],
        "received_at": found["had_at"],
        "request": {"path": found["path"], "params": json.loads(found["params"])},
        "asked_at": found["asked_at"],
        "answered_at": found["received_at"],
        "status": found["status"],
        "sha256": found["body"],
        "page": found["hash"],
        "parser": found["parser"],
    }


async def _wanted(
    node: Node, query: RevisionsQuery, as_of: datetime | None, asked: datetime | None, internal: bool
) -> tuple[list[tuple[Dataset, list[str] | None]], list[tuple[Dataset, str]]]:
    """The data sets with the series (None: all of them) that the key may have, and the series it may not.

    Raises Problem for a data set that does not exist, or of which the key may have nothing.
    """
    known = await node.datasets.all(as_of)
    if query.dataset is not None and query.dataset not in known:
        raise Problem(
            "NOT_FOUND", f"there is no data set {query.dataset!r} (at that time)", {"datasets": sorted(known)}
        )
    chosen = [known[query.dataset]] if query.dataset is not None else list(known.values())
    wanted: list[tuple[Dataset, list[str] | None]] = [(one, None) for one in chosen]
    if query.symbol is not None:
        asset = node.resolve(query.symbol, asked)
        wanted = [(one, list(one.names(asset))) for one in chosen if one.by_asset]
    if internal:
        return wanted, []
    open_: list[tuple[Dataset, list[str] | None]] = []
    closed: list[tuple[Dataset, str]] = []
    for one, partitions in wanted:
        if not one.restricted:
            open_.append((one, partitions))
            continue
        mine = one.partitions if partitions is None else tuple(partitions)
        having = one.open_to(internal, mine)
        closed += [(one, p) for p in mine if p not in having]
        open_ += [(one, list(having))] if having else []
    if closed and query.dataset is not None and not open_:
        raise restricted(closed)
    return open_, closed


def _after(position: list[Any] | None, dataset: Dataset) -> tuple[datetime, str, datetime | str, int] | None:
    if position is None or position[0] != dataset.name:
        return None
    key = position[3] if dataset.by_id else datetime.fromisoformat(position[3])
    return datetime.fromisoformat(position[1]), position[2], key, position[4]


def _change(dataset: Dataset, old: Fact, new: Fact) -> dict[str, Any]:
    differ = sorted(name for name in new.values if new.values[name] != old.values[name])
    return {
        "dataset": dataset.name,
        "series": new.partition,
        "time": new.key if isinstance(new.key, datetime) else new.cursor,
        "record_id": new.id,
        "old_record_id": old.id,
        "old": {name: old.values[name] for name in differ},
        "new": {name: new.values[name] for name in differ},
        "first_received_at": old.received_at,
        "received_at": new.received_at,
        "known_at": new.known_at,
    }
