"""What an export is going to hold: names become series, closed ones are left out or refused, too much is refused.

All that decides the rows is settled here and kept with the request; the worker only reads.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from ray_app.model.dataset import Dataset, alive
from ray_app.model.export import COMPUTED, REST_OF_IT, SENTIMENT, ExportRequest, Part, Terms
from ray_app.model.records import Interval, Record
from ray_app.model.series import FundingRate, Observation, OpenInterest
from ray_app.model.symbols import Asset
from ray_app.model.texts import Article, Post
from ray_app.model.timerange import TimeRange, ceil, floor
from ray_app.serve.bodies import whole
from ray_app.serve.datasets import INTERVALS, left_out, restricted
from ray_app.serve.node import Node
from ray_app.serve.points import EARLIEST, Standing, standing
from ray_app.serve.problems import Problem, invalid
from ray_app.serve.queries import MOMENT
from ray_app.serve.rest.macro import FIRST_PERIOD
from ray_app.serve.rest.onchain import metrics_of
from ray_app.serve.series import Series, period, split
from ray_app.serve.texts import FIRST, Texts
from ray_app.serve.wire import MILLISECOND
from ray_app.store.extracts import RECORDS
from ray_app.store.reading import SETTLED, Point

MOST_ROWS = 10_000_000  # revisions that an export reads
MOST_NAMES = 1_000  # symbols, series or features that are named
MOST_HORIZONS, LONGEST_HORIZON = 20, 24 * 30  # labels, and the hours that one looks ahead

What = Literal[
    "prices", "exchange_rates", "market_points", "bars", "observations", "metrics", "mood_indices", "funding_rates",
    "open_interest", "market_totals", "trending", "articles", "posts", "sentiment", "features", "training_set",
]  # fmt: skip
OR_NONE: dict[str, Any] = {"anyOf": [*MOMENT["anyOf"], {"type": "null"}]}  # a moment, in a body
Name = Annotated[str, StringConstraints(min_length=1, max_length=190)]
Names = Annotated[tuple[Name, ...], Field(min_length=1, max_length=MOST_NAMES, strict=False)]


class ExportBody(BaseModel):
    """What a client asks for."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    what: What = Field(description="a table of records, `sentiment`, `features` or `training_set`")
    datasets: Names | None = Field(None, description="only these data sets; all of that kind without it")
    symbols: Names | None = Field(None, description="only these coins or pairs, as everywhere")
    series: Names | None = Field(
        None,
        description="only these series, by the names of /api/v1/catalog/series: of macro, metrics, texts",
    )
    interval: Interval | None = Field(None, description="of bars only; those of all intervals without it")
    start: str | None = Field(
        None, description="RFC 3339 time: rows from it on; the first without it", json_schema_extra=OR_NONE
    )
    end: str | None = Field(
        None, description="RFC 3339 time: rows before it; up to as_of without it", json_schema_extra=OR_NONE
    )
    as_of: str | None = Field(
        None, description="what this node would have had then; now without it", json_schema_extra=OR_NONE
    )
    known_by: str | None = Field(
        None, description="only what anyone could have known then", json_schema_extra=OR_NONE
    )
    features: Names | None = Field(
        None, description="of features and training_set: names or groups of the catalogue; all without it"
    )
    horizons: (
        Annotated[
            tuple[Annotated[int, Field(ge=1, le=LONGEST_HORIZON), BeforeValidator(whole)], ...],
            Field(min_length=1, max_length=MOST_HORIZONS, strict=False),
        ]
        | None
    ) = Field(
        None, description="of training_set: hours ahead; a label future_return_{n}h for each, null at the end"
    )


async def request_of(node: Node, body: ExportBody, *, internal: bool) -> tuple[ExportRequest, bool]:
    """What is going to be read, and whether only internal keys may have it. Raises Problem."""
    _fitting(body)
    at = _frozen(await standing(node.clock, body.as_of, body.known_by))
    if body.what in COMPUTED:
        from ray_app.serve.exports_of_features import computed

        return await computed(node, body, at, internal=internal)
    kinds = (Article, Post) if body.what == SENTIMENT else (RECORDS[body.what],)
    over = period(body.start, body.end, at, _earliest(kinds))
    datasets = await _datasets(node, body, kinds, at)
    parts = await _parts(node, body, datasets, over, at)
    every = {(one.dataset, name): Series(datasets[one.dataset], name) for one in parts for name in one.series}
    open_, closed = split(list(every.values()), internal=internal)
    named = body.series or body.datasets or (body.symbols and body.what != SENTIMENT)
    if closed and (named or not open_):
        raise restricted((one.dataset, one.partition) for one in closed)
    kept = {one.place for one in open_}
    parts = [
        one.model_copy(update={"series": mine})
        for one in parts
        if (mine := tuple(name for name in one.series if (one.dataset, name) in kept))
    ]
    await _bounded(node, kinds, datasets, parts, over, at)
    texts = Texts(node)
    assets = (
        tuple(texts.asset(one, "crypto", at) for one in body.symbols or ()) if body.what == SENTIMENT else ()
    )
    request = frozen_request(
        body, at, over,
        parts=tuple(parts), assets=assets,
        terms=terms(open_),
        left_out=tuple(left_out((one.dataset, one.partition) for one in closed)),
    )  # fmt: skip
    return request, any(one.dataset.restricts(one.partition) for one in open_)


def frozen_request(body: ExportBody, at: Standing, over: TimeRange, **more: object) -> ExportRequest:
    assert at.asked is not None
    asked = body.model_dump(mode="json", exclude_none=True)
    kept = {
        "what": body.what,
        "start": over.start,
        "end": over.end,
        "as_of": at.asked,
        "known_by": at.known_by,
    }
    return ExportRequest.model_validate({**kept, "asked": asked, **more})


def terms(series: Iterable[Series]) -> tuple[Terms, ...]:
    """Of each data set and licence among these, once."""
    told = {(one.dataset.name, one.dataset.licence(one.partition)): one.dataset for one in series}
    return tuple(
        Terms(dataset=name, source=of.source, licence=licence, attribution=str(of.declared["attribution"]))
        for (name, licence), of in sorted(told.items(), key=lambda one: one[0])
    )


def _fitting(body: ExportBody) -> None:
    """Raise Problem for what says nothing about this kind."""
    computed = body.what in COMPUTED
    idle = [
        name
        for name, fits in (
            ("interval", body.what == "bars"),
            ("features", computed),
            ("horizons", body.what == "training_set"),
            ("datasets", not computed),
            ("series", not computed),
            ("known_by", body.what != "training_set"),
        )
        if getattr(body, name) is not None and not fits
    ]
    if idle:
        why = "; each row of a training set has its own known_by" if "known_by" in idle else ""
        raise invalid(f"an export of {body.what} takes no {', '.join(idle)}{why}", fields=idle)
    if body.symbols is not None and body.series is not None:
        raise invalid("name symbols or series, not both", fields=["symbols", "series"])


def _frozen(at: Standing) -> Standing:
    """A question about now, asked as of the last moment that is certainly in the store; others as they are."""
    if at.asked is not None:
        return at
    moment = floor(at.now - timedelta(seconds=SETTLED) - 2 * MILLISECOND, MILLISECOND)
    bound = moment + REST_OF_IT
    return replace(at, point=Point(as_of=bound, known_by=at.point.known_by), now=bound, asked=moment)


def _earliest(kinds: Sequence[type[Record]]) -> datetime:
    return FIRST_PERIOD if Observation in kinds else FIRST if {Article, Post} & set(kinds) else EARLIEST


async def _datasets(
    node: Node, body: ExportBody, kinds: Sequence[type[Record]], at: Standing
) -> dict[str, Dataset]:
    every = {
        name: one
        for name, one in (await node.datasets.all(at.point.as_of)).items()
        if one.record in kinds and (body.interval is None or INTERVALS.get(one.grain) == body.interval)
    }
    if not every:
        of = f" of {body.interval}" if body.interval else ""
        raise Problem("DATA_NOT_AVAILABLE", f"no {body.what}{of} are collected here (at that time)")
    if unknown := [name for name in body.datasets or () if name not in every]:
        raise invalid(
            f"no data set {unknown[0]!r} of {body.what}; there are {', '.join(sorted(every))}", fields=["datasets"]
        )  # fmt: skip
    return {name: one for name, one in every.items() if body.datasets is None or name in body.datasets}


async def _parts(
    node: Node, body: ExportBody, datasets: dict[str, Dataset], over: TimeRange, at: Standing
) -> list[Part]:
    """Raises Problem for a name that nothing has."""
    if body.series is not None:
        wanted = set(body.series)
        known = {name for one in datasets.values() for name in one.partitions}
        if lost := sorted(wanted - known):
            near = get_close_matches(lost[0], sorted(known), 3, 0.0)
            raise invalid(
                f"no series {lost[0]!r} of {body.what}; nearest: {', '.join(near)}", fields=["series"], nearest=near
            )  # fmt: skip
        found = [(name, [p for p in one.partitions if p in wanted]) for name, one in datasets.items()]
        return [Part(dataset=name, series=tuple(sorted(mine))) for name, mine in found if mine]
    if body.symbols is None or body.what == SENTIMENT:
        return [
            Part(dataset=name, series=tuple(sorted(one.partitions)))
            for name, one in datasets.items()
            if one.partitions
        ]
    assets = list(dict.fromkeys(node.resolve(one, at.asked) for one in body.symbols))
    if body.what == "metrics":
        mine = {one.place for asset in assets for one in await metrics_of(node, asset.id, at)}
        return [
            Part(dataset=name, series=tuple(sorted(p for d, p in mine if d == name)))
            for name in sorted({d for d, _ in mine} & set(datasets))
        ]
    if not any(one.by_asset for one in datasets.values()):
        raise invalid(f"{body.what} are not of coins: name them by series, or take all", fields=["symbols"])
    parts = [part for one in datasets.values() for part in _of_assets(one, assets, over)]
    if not parts:
        named = ", ".join(asset.id for asset in assets)
        raise Problem("DATA_NOT_AVAILABLE", f"no {body.what} of {named} are collected here (at that time)")
    return parts


def _of_assets(dataset: Dataset, assets: Sequence[Asset], over: TimeRange) -> list[Part]:
    """The series that are these coins; one that was another coin at a time is read only of the time in between."""
    grid = TimeRange(floor(over.start, dataset.grain), ceil(over.end, dataset.grain))
    whole, out = list[str](), list[Part]()
    for asset in assets:
        if dataset.record in (FundingRate, OpenInterest):
            whole += dataset.contracts(asset)
            continue
        names = dataset.names(asset)
        for name, run in alive(names, grid, dataset.grain) if names else ():
            if run == grid:
                whole.append(name)
            elif (inside := run.overlap(over)) is not None:
                out.append(Part(dataset=dataset.name, series=(name,), start=inside.start, end=inside.end))
    if whole:
        out.insert(0, Part(dataset=dataset.name, series=tuple(sorted(set(whole)))))
    return out


async def _bounded(
    node: Node,
    kinds: Sequence[type[Record]],
    datasets: dict[str, Dataset],
    parts: Sequence[Part],
    over: TimeRange,
    at: Standing,
) -> None:
    """Raise Problem when it would be more rows than an export may have."""
    for kind in kinds:
        mine = [(one.dataset, one.series) for one in parts if datasets[one.dataset].record is kind]
        if await node.store.extracts.more_than(kind, mine, over, at.point, MOST_ROWS):
            raise Problem(
                "QUERY_TOO_COSTLY",
                f"this is more than {MOST_ROWS:,} rows: ask for a shorter range, or for fewer series at once",
                {"most_rows": MOST_ROWS},
            )
