"""Answers of the catalogue: what there is."""

from datetime import datetime
from typing import Any

from pydantic import Field

from ray_app.client.answers.answer import Row, Rows, Told


class Former(Told):
    symbol: str
    until: datetime


class Symbol(Row):
    id: str
    symbol: str
    name: str
    kind: str
    ids: dict[str, Any]
    former: list[Former]
    tracked_from: datetime | None
    tracked_to: datetime | None
    datasets: list[str]


class Symbols(Rows[Symbol]):
    data: list[Symbol]
    total: int


class Dataset(Row):
    dataset: str
    source: str
    record: str
    describes: str
    unit: str
    every_seconds: float
    grain_seconds: float
    required: bool
    series: int
    ended: int
    partitioned_by: str
    first_time: datetime | None
    last_time: datetime | None
    declared_at: datetime
    licence: str
    restricted: bool
    attribution: str
    llm_allowed: bool
    parser: str
    not_configured: str | None


class Datasets(Rows[Dataset]):
    data: list[Dataset]


class Life(Told):
    """When a series had or has something to tell."""

    from_: datetime | None = Field(alias="from")
    to: datetime | None


class CatalogSeries(Row):
    dataset: str
    series: str
    title: str | None
    unit: str | None
    life: list[Life]
    frequency: str | None
    every_seconds: float
    licence: str
    restricted: bool
    attribution: str
    llm_allowed: bool


class SeriesList(Rows[CatalogSeries]):
    data: list[CatalogSeries]
    total: int


class Feature(Row):
    """An indicator, a signal or a feature."""

    name: str
    group: str
    kind: str
    family: str | None
    formula: str
    inputs: list[str]
    unit: str | None
    values: str | None
    lookback: int | None
    memory: int | None
    days: int | None
    limit_seconds: float | None
    version: int | str


class FeatureList(Rows[Feature]):
    data: list[Feature]


class Source(Row):
    source: str
    plan: str
    licence: str
    llm_allowed: bool
    attribution: str
    docs: str
    datasets: list[str]


class Sources(Rows[Source]):
    data: list[Source]
