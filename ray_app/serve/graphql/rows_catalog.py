"""The types of the catalogue: what exists."""

import strawberry

from ray_app.serve.graphql.rows import Meta, Time, meta


@strawberry.type
class FormerSymbol:
    symbol: str
    until: Time


@strawberry.type(description="An asset that is tracked")
class Symbol:
    id: str
    symbol: str
    name: str
    kind: str
    former: list[FormerSymbol]
    tracked_from: Time | None
    tracked_to: Time | None
    datasets: list[str]


@strawberry.type(description="A time from one moment until before another; null where it has no end")
class Life:
    from_: Time | None = strawberry.field(name="from")
    to: Time | None


@strawberry.type(description="A series of a data set")
class DeclaredSeries:
    dataset: str
    series: str
    title: str | None
    unit: str
    life: list[Life]
    frequency: str | None
    every_seconds: float | None
    licence: str
    restricted: bool
    attribution: str
    llm_allowed: bool


@strawberry.type
class DataSet:
    dataset: str
    source: str
    record: str
    describes: str
    unit: str
    every_seconds: float | None
    grain_seconds: float
    required: bool
    series: int
    ended: int
    partitioned_by: str
    first_time: Time | None
    last_time: Time | None
    declared_at: Time
    licence: str
    restricted: bool
    attribution: str
    llm_allowed: bool
    parser: str
    not_configured: str | None


@strawberry.type(description="An indicator, a signal or a feature")
class Computed:
    name: str
    group: str
    kind: str
    family: str | None
    formula: str
    inputs: list[str]
    unit: str | None
    lookback: int | None
    version: str


@strawberry.type(description="An upstream and its terms")
class Source:
    source: str
    plan: str
    licence: str
    llm_allowed: bool
    attribution: str
    docs: str
    datasets: list[str]


@strawberry.type
class DataSets:
    nodes: list[DataSet]
    meta: Meta = meta()


@strawberry.type
class ComputedNames:
    nodes: list[Computed]
    meta: Meta = meta()


@strawberry.type
class Sources:
    nodes: list[Source]
    meta: Meta = meta()
