"""Answers about exports."""

from datetime import datetime
from typing import Any

from pydantic import Field

from ray_app.client.answers.answer import JsonObject, LeftOut, Meta, Row, Rows, Told


class Column(Told):
    """`type` in Arrow's words. Exact decimals are strings."""

    name: str
    type: str
    decimal: bool  # numbers with all their digits, as text


class ExportedFile(Told):
    name: str
    dataset: str | None
    series: list[str]
    start: datetime
    end: datetime
    rows: int
    bytes: int
    sha256: str


class Terms(Told):
    """On what terms the rows of a data set may be used."""

    dataset: str
    source: str
    licence: str
    attribution: str


class Manifest(Told):
    """What the files of an export hold. `feature_set`: the version of the features, for a training set."""

    export: str
    what: str
    as_of: datetime
    known_by: datetime | None
    start: datetime
    end: datetime
    made_at: datetime
    release: str
    simulated: bool
    rows: int
    rows_counted: int
    bytes: int
    columns: list[Column] = Field(alias="schema")
    note: str
    feature_set: str | None
    terms: list[Terms]
    left_out: list[LeftOut]
    files: list[ExportedFile]
    asked: JsonObject


class ExportRow(Row):
    """`state`: queued, running, done, failed or expired; `reason` says why it failed."""

    id: str
    state: str
    reason: str | None
    what: str
    asked: dict[str, Any]
    as_of: datetime
    known_by: datetime | None
    start: datetime
    end: datetime
    rows_counted: int | None
    pieces: int | None
    pieces_done: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    expires_at: datetime | None


class Export(ExportRow):
    """`manifest` is there when it is done."""

    manifest: Manifest | None = None
    meta: Meta


class ExportList(Rows[ExportRow]):
    data: list[ExportRow]
