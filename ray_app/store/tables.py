"""The tables. Facts have one table per kind of record, derived from its class; the store adds provenance.

Everything that tells what was known when is insert-only: facts, pages, slices, set-aside rows, streams.
What only tells how the node is doing now is updated in place: leases, quotas, collectors, keys.
"""

from datetime import datetime
from decimal import Decimal
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, MetaData, String, Table, UniqueConstraint
from sqlalchemy.types import TypeEngine

from ray_app.model.records import Bar, ExchangeRate, MarketPoint, Price, Record
from ray_app.store.types import Exact, Id, Instant, LongText

metadata = MetaData()
_MYSQL: dict[str, Any] = {
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mysql_engine": "InnoDB",
}
PROVENANCE = ("series", "revision", "known_at", "received_at", "page")


def table(title: str, *parts: Any) -> Table:
    return Table(title, metadata, *parts, **_MYSQL)


node = table("node", Column("name", String(60), primary_key=True), Column("value", LongText, nullable=False))

series = table(
    "series",
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("stream", String(100), nullable=False),  # source.stream
    Column("partition", String(190), nullable=False),
    UniqueConstraint("stream", "partition", name="series_is_one"),
)

pages = table(
    "pages",
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("hash", String(64), nullable=False, unique=True),
    Column("stream", String(100), nullable=False),
    Column("path", String(500), nullable=False),
    Column("params", LongText, nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", String(64), nullable=False),
    Column("parser", String(40), nullable=False),
    Column("asked_at", Instant, nullable=False),
    Column("received_at", Instant, nullable=False),
)

partition_sets = table(
    "partition_sets",
    Column("hash", String(64), primary_key=True),
    Column("partition", String(190), primary_key=True),
    Index("partition_sets_by_partition", "partition"),
)

slices = table(
    "slices",
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("hash", String(64), nullable=False, unique=True),
    Column("stream", String(100), nullable=False),
    Column("partitions", String(64), nullable=False),  # partition_sets.hash
    Column("start", Instant, nullable=False),
    Column("end", Instant, nullable=False),
    Column("outcome", String(20), nullable=False),  # covered | failed | not_offered | lost
    Column("reason", String(500), nullable=False),
    Column("records", Integer, nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("fence", Id, nullable=False),
    Index("slices_by_time", "stream", "end", "start"),
)

set_aside = table(
    "set_aside",
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("slice", String(64), nullable=False, index=True),  # slices.hash
    Column("page", Id, ForeignKey("pages.id"), nullable=False),
    Column("place", Integer, nullable=False),
    Column("row", LongText, nullable=False),
    Column("reason", String(500), nullable=False),
    Column("received_at", Instant, nullable=False),
)

streams = table(
    "streams",
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("stream", String(100), nullable=False, index=True),
    Column("declared", LongText, nullable=False),  # JSON: cadence, units, plan, licence, partitions
    Column("declared_at", Instant, nullable=False),
)

outbox = table(
    "outbox",
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("topic", String(60), nullable=False),
    Column("events", LongText, nullable=False),  # a JSON list
    Column("count", Integer, nullable=False),
    Column(
        "first", Id, nullable=True
    ),  # number of the first event, without gaps per topic; given by the relay
    Column("received_at", Instant, nullable=False),
    Index("outbox_by_number", "topic", "first"),
)

leases = table(
    "leases",
    Column("shard", String(100), primary_key=True),
    Column("owner", String(190), nullable=False),
    Column("fence", Id, nullable=False),
    Column("expires_at", Instant, nullable=False),  # by the database's own clock
)

quotas = table(
    "quotas",
    Column("scope", String(100), primary_key=True),
    Column("calls", Integer, nullable=False),
    Column("per_seconds", Integer, nullable=False),
    Column("per_month", Integer, nullable=True),
    Column("learned", Integer, nullable=True),
    Column("learned_at", Instant, nullable=True),
    Column("next_free", Instant, nullable=False),
    Column("month", String(7), nullable=False),
    Column("spent", Integer, nullable=False),
    Column("version", Id, nullable=False),
)

collectors = table(
    "collectors",
    Column("stream", String(100), primary_key=True),
    Column("state", String(20), nullable=False),  # waiting | collecting | refused
    Column("owner", String(190), nullable=False),
    Column("last_run", Instant, nullable=True),
    Column("last_success", Instant, nullable=True),
    Column("next_run", Instant, nullable=True),
    Column("last_error", String(500), nullable=False),
    Column("last_error_at", Instant, nullable=True),
    Column("errors", LongText, nullable=False),  # JSON: count by reaction since the collector started
)

backfills = table(
    "backfills",
    Column("id", String(190), primary_key=True),
    Column("request", LongText, nullable=False),
    Column("state", String(20), nullable=False),  # running | done | stopped
    Column("slices", Integer, nullable=False),
    Column("done", Integer, nullable=False),
    Column("receipt", LongText, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
)

api_keys = table(
    "api_keys",
    Column("id", String(32), primary_key=True),
    Column("client", String(190), nullable=False, index=True),
    Column("hash", String(64), nullable=False),
    Column("scopes", String(500), nullable=False),
    Column("tier", String(20), nullable=False),
    Column("per_hour", Integer, nullable=True),
    Column("burst", Integer, nullable=True),
    Column("internal", Boolean(create_constraint=False), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=True),
    Column("revoked_at", Instant, nullable=True),
    Column("last_used_at", Instant, nullable=True),
    Column("uses", Id, nullable=False),
)


def _column(record: type[Record], field: str) -> Column[Any]:
    """A column from a record's annotation: numbers exact, times as instants, words as exact text."""
    annotation = record.model_fields[field].annotation
    nullable = get_origin(annotation) in (Union, UnionType) and type(None) in get_args(annotation)
    kind = next((a for a in get_args(annotation) if a is not type(None)), None) if nullable else annotation
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    types: dict[Any, TypeEngine[Any]] = {
        Decimal: Exact(),
        int: Integer(),
        bool: Boolean(create_constraint=False),
    }
    if kind in types:
        return Column(field, types[kind], nullable=nullable)
    if kind is datetime or getattr(kind, "__name__", "") == "AwareDatetime":
        return Column(field, Instant, nullable=nullable)
    return Column(field, String(40), nullable=nullable)  # a short word: str or Literal


def facts_table(title: str, record: type[Record]) -> Table:
    """One row per revision: which series, which time, the values, when known, when had, from which page."""
    own = [f for f in record.model_fields if f not in (record.partition_field, record.cursor_field)]
    return table(
        title,
        Column("series", Id, ForeignKey("series.id"), primary_key=True, autoincrement=False),
        Column(record.cursor_field, Instant, primary_key=True),
        Column("revision", Integer, primary_key=True, autoincrement=False),
        *(_column(record, f) for f in own),
        Column("known_at", Instant, nullable=False),
        Column("received_at", Instant, nullable=False),
        Column("page", Id, ForeignKey("pages.id"), nullable=False),
    )


FACTS: dict[type[Record], Table] = {
    Price: facts_table("prices", Price),
    ExchangeRate: facts_table("exchange_rates", ExchangeRate),
    MarketPoint: facts_table("market_points", MarketPoint),
    Bar: facts_table("bars", Bar),
}
