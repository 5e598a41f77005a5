"""The table of exports: what was asked for by whom, how far it is, and the manifest of its files."""

from sqlalchemy import Boolean, Column, Index, Integer, String

from ray_app.store.metadata import table
from ray_app.store.types import Id, Instant, LongText

exports = table(
    "exports",
    Column("id", String(32), primary_key=True),
    Column("client", String(190), nullable=False),  # whose key asked
    Column("state", String(20), nullable=False),  # queued | running | done | failed | expired
    Column("reason", String(500), nullable=False),
    Column("request", LongText, nullable=False),  # JSON: model.export.ExportRequest
    Column("restricted", Boolean(create_constraint=False), nullable=False),  # for internal keys only
    Column("counted", Id, nullable=True),  # rows, counted in the store before they are read
    Column("pieces", Integer, nullable=True),
    Column("pieces_done", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("manifest", LongText, nullable=True),
    Column("created_at", Instant, nullable=False),
    Column("started_at", Instant, nullable=True),
    Column("finished_at", Instant, nullable=True),
    Column("expires_at", Instant, nullable=True),
    Index("exports_by_client", "client", "created_at"),
    Index("exports_by_state", "state", "created_at"),
)
