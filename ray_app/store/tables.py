"""The tables. Facts have one table per kind of record, derived from its class; the store adds provenance.

Everything that tells what was known when is insert-only: facts, pages, slices, set-aside rows, streams.
What only tells how the node is doing now is updated in place: leases, quotas, collectors, keys.
"""

from datetime import datetime
from decimal import Decimal
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import StringConstraints
from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, String, Table, UniqueConstraint
from sqlalchemy.types import TypeEngine

from ray_app.model.records import Bar, ExchangeRate, MarketPoint, Price, Record
from ray_app.model.series import (
    FundingRate,
    MarketTotals,
    Metric,
    MoodIndex,
    Observation,
    OpenInterest,
    Trending,
)
from ray_app.model.texts import Article, Post
from ray_app.store.export_tables import exports
from ray_app.store.feature_tables import feature_sets, ml_features
from ray_app.store.metadata import metadata, table
from ray_app.store.score_tables import llm_spend, scorers, text_scores
from ray_app.store.types import Exact, Id, Instant, LongText

__all__ = [
    "FACTS", "LONGEST_NAME", "PROVENANCE", "api_keys", "backfills", "changes", "collectors", "exports", "facts_table",
    "feature_sets", "leases", "llm_spend", "mentions", "metadata", "ml_features", "node", "outbox", "pages",
    "partition_sets", "quotas", "redactions", "scorers", "series", "set_aside", "slices", "streams", "text_checks",
    "text_links", "text_scores",
]  # fmt: skip
LONGEST_NAME = 190  # characters: what MySQL takes into a key beside others
PROVENANCE = ("series", "revision", "known_at", "received_at", "page")


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
    Index("outbox_waiting", "first", "id"),  # of a million rows, those without a number
)

text_links = table(  # which coins and stocks a text speaks of was worked out, by which rules
    "text_links",
    Column("series", Id, ForeignKey("series.id"), primary_key=True, autoincrement=False),
    Column("item", String(190), primary_key=True),
    Column("linker", String(40), primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),  # of the text, the first that says it
    Column("through", Integer, nullable=False),  # the last revision that says the same; moved in place
    Column("story", String(64), nullable=False, index=True),  # texts that tell the same share it
    Column("known_at", Instant, nullable=False),  # when anyone could have known that revision
    Column("made_at", Instant, nullable=False),
)

mentions = table(
    "mentions",
    Column("series", Id, ForeignKey("series.id"), primary_key=True, autoincrement=False),
    Column("item", String(190), primary_key=True),
    Column("linker", String(40), primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("asset", String(100), primary_key=True),
    Column("kind", String(10), nullable=False),  # coin | stock
    Column("confidence", Exact(), nullable=False),
    Column("at", Instant, nullable=False),  # the text's
    Index("mentions_by_asset", "asset", "at"),
)

text_checks = table(  # when a text that can be deleted upstream was last seen there
    "text_checks",
    Column("series", Id, ForeignKey("series.id"), primary_key=True, autoincrement=False),
    Column("item", String(190), primary_key=True),
    Column("due_at", Instant, nullable=False, index=True),
    Column("checked_at", Instant, nullable=True),
)

redactions = table(  # texts that are gone upstream and were cut out here, pages included
    "redactions",
    Column("series", Id, ForeignKey("series.id"), primary_key=True, autoincrement=False),
    Column("item", String(190), primary_key=True),
    Column("reason", String(190), nullable=False),
    Column("redacted_at", Instant, nullable=False),
)

changes = table(  # how often something was committed to: what is made of it holds while that is the same
    "changes",
    Column("shard", String(100), primary_key=True),  # whose lease the writer held; "" without one
    Column("what", String(100), primary_key=True),  # a stream, or a kind of store.changes
    Column("number", Id, nullable=False),
    Column("ahead", Instant, nullable=True),  # the latest moment at which something of it is known
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
    Column("stream", String(100), primary_key=True),  # or scoring/shard/texts: whether its models load
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
    info = record.model_fields[field]
    annotation, said = info.annotation, list(info.metadata)
    nullable = get_origin(annotation) in (Union, UnionType) and type(None) in get_args(annotation)
    kind = next((a for a in get_args(annotation) if a is not type(None)), None) if nullable else annotation
    while get_origin(kind) is Annotated:
        kind, *more = get_args(kind)
        said += more
    longest = next((s.max_length for s in said if isinstance(s, StringConstraints)), None)
    types: dict[Any, TypeEngine[Any]] = {
        Decimal: Exact(),
        int: Id,
        bool: Boolean(create_constraint=False),
    }
    if kind in types:
        return Column(field, types[kind], nullable=nullable)
    if kind is datetime or getattr(kind, "__name__", "") == "AwareDatetime":
        return Column(field, Instant, nullable=nullable)
    if longest is not None and longest > LONGEST_NAME:
        return Column(field, LongText, nullable=nullable)
    return Column(field, String(longest or 40), nullable=nullable)  # a short word: str or Literal


def facts_table(title: str, record: type[Record]) -> Table:
    """One row per revision: which series, which key, the values, when known, when had, from which page."""
    key, cursor = record.keyed_by(), record.cursor_field
    own = [f for f in record.model_fields if f not in (record.partition_field, key, cursor)]
    key_column = _column(record, key)
    by_cursor = [Column(cursor, Instant, nullable=False)] if cursor != key else []
    return table(
        title,
        Column("series", Id, ForeignKey("series.id"), primary_key=True, autoincrement=False),
        Column(key, key_column.type, primary_key=True),
        Column("revision", Integer, primary_key=True, autoincrement=False),
        *by_cursor,
        *(_column(record, f) for f in own),
        Column("known_at", Instant, nullable=False),
        Column("received_at", Instant, nullable=False),
        Column("page", Id, ForeignKey("pages.id"), nullable=False),
        *([Index(f"{title}_by_{cursor}", "series", cursor)] if by_cursor else []),
    )


FACTS: dict[type[Record], Table] = {
    Price: facts_table("prices", Price),
    ExchangeRate: facts_table("exchange_rates", ExchangeRate),
    MarketPoint: facts_table("market_points", MarketPoint),
    Bar: facts_table("bars", Bar),
    Observation: facts_table("observations", Observation),
    Metric: facts_table("metrics", Metric),
    MoodIndex: facts_table("mood_indices", MoodIndex),
    FundingRate: facts_table("funding_rates", FundingRate),
    OpenInterest: facts_table("open_interest", OpenInterest),
    MarketTotals: facts_table("market_totals", MarketTotals),
    Trending: facts_table("trending", Trending),
    Article: facts_table("articles", Article),
    Post: facts_table("posts", Post),
}
