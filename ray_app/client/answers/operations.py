"""Answers about the node itself: health, completeness, evidence, quotas."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from ray_app.client.answers.answer import Answer, Gap, JsonObject, Meta, Row, Rows, Told


class Alive(Told):
    status: str


class Ready(Told):
    """`degraded`: parts that are down and can be done without."""

    status: str
    degraded: list[str]
    release: str


class Part(Told):
    part: str
    required: bool
    state: str
    reason: str | None


class Expected(Told):
    expected: int
    fresh: int
    stale: list[str]


class Freshness(Row):
    dataset: str
    required: bool
    condition: str
    state: str
    reasons: list[str]
    not_configured: str | None
    newest: datetime | None
    freshness_seconds: float | None
    allowed_seconds: float
    series: Expected
    collector: str | None
    last_success: datetime | None
    last_error: str | None
    last_error_at: datetime | None


class Health(Told):
    """`status` is that of the worst required part."""

    status: str
    parts: list[Part]
    datasets: list[Freshness]
    meta: Meta


class CoverageRow(Row):
    """`intervals` and `percent` by state: collected, empty_upstream, late, failed, lost, not_due."""

    dataset: str
    series: str
    start: datetime
    end: datetime
    intervals: dict[str, int]
    percent: dict[str, float]
    spans: list[Gap]


class Coverage(Rows[CoverageRow]):
    data: list[CoverageRow]


class Gaps(Rows[Gap]):
    data: list[Gap]
    total: int


class SetAside(Told):
    """Rows that could not be read. `more`: there are more than `count`."""

    count: int
    more: bool
    reasons: dict[str, int]


class Flagged(Told):
    """What a rule flags; `words` says what it looks for."""

    rule: str
    words: str
    count: int
    examples: list[JsonObject]


class Quality(Answer):
    dataset: str
    series: int
    intervals: dict[str, int]
    rows_received: int
    rows_revised: int
    set_aside: SetAside
    facts: int
    flagged: list[Flagged]


class Lineage(Answer):
    """From a record to the raw answer it came from; `sha256` is of its body."""

    record_id: str
    dataset: str
    series: str
    revision: int
    time: datetime | None = None
    id: str | None = None
    known_at: datetime
    received_at: datetime
    request: JsonObject
    asked_at: datetime
    answered_at: datetime
    status: int
    sha256: str
    page: str
    parser: str


class Revision(Row):
    """What changed: the fields that differ, `old` and `new`."""

    dataset: str
    series: str
    time: datetime | None
    record_id: str
    old_record_id: str
    old: dict[str, Any]
    new: dict[str, Any]
    first_received_at: datetime
    received_at: datetime
    known_at: datetime


class Revisions(Rows[Revision]):
    data: list[Revision]


class Collector(Row):
    dataset: str
    state: str | None
    owner: str | None
    last_run: datetime | None
    last_success: datetime | None
    next_run: datetime | None
    every_seconds: float
    rows_stored: int
    errors: JsonObject
    last_error: str | None
    last_error_at: datetime | None
    lag_seconds: float | None
    condition: str
    not_configured: str | None
    quota: JsonObject | None


class Collectors(Rows[Collector]):
    data: list[Collector]


class QuotaAllowance(Told):
    calls: int
    seconds: float
    calls_per_month: int | None


class Money(Told):
    currency: str
    month: str
    budget: Decimal
    spent: Decimal
    left: Decimal
    closed: str | None


class Quota(Row):
    """`forecast`: calls until the month's end, at the rate so far."""

    scope: str
    allowance: QuotaAllowance
    limit_in_force: int
    learned: int | None
    month: str
    used: int
    left: int | None
    reserved: int
    next_free: datetime
    forecast: int | None
    forecast_fits: bool | None
    money: Money | None = None


class Quotas(Rows[Quota]):
    data: list[Quota]


class Backfill(Answer):
    """`state`: running, done or stopped; `done` of `slices`."""

    id: str
    request: JsonObject
    state: str
    slices: int
    done: int
    receipt: JsonObject
    started_at: datetime
    updated_at: datetime
