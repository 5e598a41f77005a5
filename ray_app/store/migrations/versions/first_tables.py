"""The first tables: facts with their coverage and provenance, and the node's own state."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from ray_app.store.types import Exact, Id, Instant, LongText

MYSQL: dict[str, Any] = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "mysql_engine": "InnoDB"}

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("client", sa.String(length=190), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.String(length=500), nullable=False),
        sa.Column("tier", sa.String(length=20), nullable=False),
        sa.Column("per_hour", sa.Integer(), nullable=True),
        sa.Column("burst", sa.Integer(), nullable=True),
        sa.Column("internal", sa.Boolean(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=True),
        sa.Column("revoked_at", Instant(), nullable=True),
        sa.Column("last_used_at", Instant(), nullable=True),
        sa.Column("uses", Id, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        **MYSQL,
    )
    op.create_index("ix_api_keys_client", "api_keys", ["client"], unique=False)
    op.create_table(
        "backfills",
        sa.Column("id", sa.String(length=190), nullable=False),
        sa.Column("request", LongText, nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("slices", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("receipt", LongText, nullable=False),
        sa.Column("started_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        **MYSQL,
    )
    op.create_table(
        "collectors",
        sa.Column("stream", sa.String(length=100), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("owner", sa.String(length=190), nullable=False),
        sa.Column("last_run", Instant(), nullable=True),
        sa.Column("last_success", Instant(), nullable=True),
        sa.Column("next_run", Instant(), nullable=True),
        sa.Column("last_error", sa.String(length=500), nullable=False),
        sa.Column("last_error_at", Instant(), nullable=True),
        sa.Column("errors", LongText, nullable=False),
        sa.PrimaryKeyConstraint("stream"),
        **MYSQL,
    )
    op.create_table(
        "leases",
        sa.Column("shard", sa.String(length=100), nullable=False),
        sa.Column("owner", sa.String(length=190), nullable=False),
        sa.Column("fence", Id, nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("shard"),
        **MYSQL,
    )
    op.create_table(
        "node",
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("value", LongText, nullable=False),
        sa.PrimaryKeyConstraint("name"),
        **MYSQL,
    )
    op.create_table(
        "outbox",
        sa.Column("id", Id, autoincrement=True, nullable=False),
        sa.Column("topic", sa.String(length=60), nullable=False),
        sa.Column("events", LongText, nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("first", Id, nullable=True),
        sa.Column("received_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        **MYSQL,
    )
    op.create_index("outbox_by_number", "outbox", ["topic", "first"], unique=False)
    op.create_table(
        "pages",
        sa.Column("id", Id, autoincrement=True, nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("stream", sa.String(length=100), nullable=False),
        sa.Column("path", sa.String(length=500), nullable=False),
        sa.Column("params", LongText, nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("body", sa.String(length=64), nullable=False),
        sa.Column("parser", sa.String(length=40), nullable=False),
        sa.Column("asked_at", Instant(), nullable=False),
        sa.Column("received_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("hash"),
        **MYSQL,
    )
    op.create_table(
        "partition_sets",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("partition", sa.String(length=190), nullable=False),
        sa.PrimaryKeyConstraint("hash", "partition"),
        **MYSQL,
    )
    op.create_index("partition_sets_by_partition", "partition_sets", ["partition"], unique=False)
    op.create_table(
        "quotas",
        sa.Column("scope", sa.String(length=100), nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("per_seconds", sa.Integer(), nullable=False),
        sa.Column("per_month", sa.Integer(), nullable=True),
        sa.Column("learned", sa.Integer(), nullable=True),
        sa.Column("learned_at", Instant(), nullable=True),
        sa.Column("next_free", Instant(), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("spent", sa.Integer(), nullable=False),
        sa.Column("version", Id, nullable=False),
        sa.PrimaryKeyConstraint("scope"),
        **MYSQL,
    )
    op.create_table(
        "series",
        sa.Column("id", Id, autoincrement=True, nullable=False),
        sa.Column("stream", sa.String(length=100), nullable=False),
        sa.Column("partition", sa.String(length=190), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("stream", "partition", name="series_is_one"),
        **MYSQL,
    )
    op.create_table(
        "slices",
        sa.Column("id", Id, autoincrement=True, nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("stream", sa.String(length=100), nullable=False),
        sa.Column("partitions", sa.String(length=64), nullable=False),
        sa.Column("start", Instant(), nullable=False),
        sa.Column("end", Instant(), nullable=False),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("records", sa.Integer(), nullable=False),
        sa.Column("received_at", Instant(), nullable=False),
        sa.Column("fence", Id, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("hash"),
        **MYSQL,
    )
    op.create_index("slices_by_time", "slices", ["stream", "end", "start"], unique=False)
    op.create_table(
        "streams",
        sa.Column("id", Id, autoincrement=True, nullable=False),
        sa.Column("stream", sa.String(length=100), nullable=False),
        sa.Column("declared", LongText, nullable=False),
        sa.Column("declared_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        **MYSQL,
    )
    op.create_index("ix_streams_stream", "streams", ["stream"], unique=False)
    op.create_table(
        "bars",
        sa.Column("series", Id, autoincrement=False, nullable=False),
        sa.Column("start", Instant(), nullable=False),
        sa.Column("revision", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("interval", sa.String(length=40), nullable=False),
        sa.Column("end", Instant(), nullable=False),
        sa.Column("open", Exact(precision=65, scale=30), nullable=False),
        sa.Column("high", Exact(precision=65, scale=30), nullable=False),
        sa.Column("low", Exact(precision=65, scale=30), nullable=False),
        sa.Column("close", Exact(precision=65, scale=30), nullable=False),
        sa.Column("volume", Exact(precision=65, scale=30), nullable=True),
        sa.Column("known_at", Instant(), nullable=False),
        sa.Column("received_at", Instant(), nullable=False),
        sa.Column("page", Id, nullable=False),
        sa.ForeignKeyConstraint(
            ["page"],
            ["pages.id"],
        ),
        sa.ForeignKeyConstraint(
            ["series"],
            ["series.id"],
        ),
        sa.PrimaryKeyConstraint("series", "start", "revision"),
        **MYSQL,
    )
    op.create_table(
        "exchange_rates",
        sa.Column("series", Id, autoincrement=False, nullable=False),
        sa.Column("slot", Instant(), nullable=False),
        sa.Column("revision", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("per_btc", Exact(precision=65, scale=30), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("known_at", Instant(), nullable=False),
        sa.Column("received_at", Instant(), nullable=False),
        sa.Column("page", Id, nullable=False),
        sa.ForeignKeyConstraint(
            ["page"],
            ["pages.id"],
        ),
        sa.ForeignKeyConstraint(
            ["series"],
            ["series.id"],
        ),
        sa.PrimaryKeyConstraint("series", "slot", "revision"),
        **MYSQL,
    )
    op.create_table(
        "market_points",
        sa.Column("series", Id, autoincrement=False, nullable=False),
        sa.Column("hour", Instant(), nullable=False),
        sa.Column("revision", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("price", Exact(precision=65, scale=30), nullable=False),
        sa.Column("market_cap", Exact(precision=65, scale=30), nullable=True),
        sa.Column("volume_24h", Exact(precision=65, scale=30), nullable=True),
        sa.Column("known_at", Instant(), nullable=False),
        sa.Column("received_at", Instant(), nullable=False),
        sa.Column("page", Id, nullable=False),
        sa.ForeignKeyConstraint(
            ["page"],
            ["pages.id"],
        ),
        sa.ForeignKeyConstraint(
            ["series"],
            ["series.id"],
        ),
        sa.PrimaryKeyConstraint("series", "hour", "revision"),
        **MYSQL,
    )
    op.create_table(
        "prices",
        sa.Column("series", Id, autoincrement=False, nullable=False),
        sa.Column("slot", Instant(), nullable=False),
        sa.Column("revision", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("price", Exact(precision=65, scale=30), nullable=False),
        sa.Column("market_cap", Exact(precision=65, scale=30), nullable=True),
        sa.Column("volume_24h", Exact(precision=65, scale=30), nullable=True),
        sa.Column("high_24h", Exact(precision=65, scale=30), nullable=True),
        sa.Column("low_24h", Exact(precision=65, scale=30), nullable=True),
        sa.Column("change_24h", Exact(precision=65, scale=30), nullable=True),
        sa.Column("change_percent_24h", Exact(precision=65, scale=30), nullable=True),
        sa.Column("circulating_supply", Exact(precision=65, scale=30), nullable=True),
        sa.Column("total_supply", Exact(precision=65, scale=30), nullable=True),
        sa.Column("max_supply", Exact(precision=65, scale=30), nullable=True),
        sa.Column("known_at", Instant(), nullable=False),
        sa.Column("received_at", Instant(), nullable=False),
        sa.Column("page", Id, nullable=False),
        sa.ForeignKeyConstraint(
            ["page"],
            ["pages.id"],
        ),
        sa.ForeignKeyConstraint(
            ["series"],
            ["series.id"],
        ),
        sa.PrimaryKeyConstraint("series", "slot", "revision"),
        **MYSQL,
    )
    op.create_table(
        "set_aside",
        sa.Column("id", Id, autoincrement=True, nullable=False),
        sa.Column("slice", sa.String(length=64), nullable=False),
        sa.Column("page", Id, nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("row", LongText, nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("received_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["page"],
            ["pages.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        **MYSQL,
    )
    op.create_index("ix_set_aside_slice", "set_aside", ["slice"], unique=False)
