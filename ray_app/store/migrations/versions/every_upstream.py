"""Every upstream: tables for series and texts, and what the candles of exchanges tell besides."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from ray_app.store.types import Exact, Id, Instant, LongText

MYSQL: dict[str, Any] = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "mysql_engine": "InnoDB"}

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "articles",
        sa.Column("series", Id, autoincrement=False, nullable=False),
        sa.Column("item", sa.String(length=190), nullable=False),
        sa.Column("revision", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("published", Instant(), nullable=True),
        sa.Column("updated", Instant(), nullable=True),
        sa.Column("title", LongText, nullable=True),
        sa.Column("summary", LongText, nullable=True),
        sa.Column("body", LongText, nullable=True),
        sa.Column("url", LongText, nullable=True),
        sa.Column("author", LongText, nullable=True),
        sa.Column("language", sa.String(length=190), nullable=True),
        sa.Column("topics", LongText, nullable=True),
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
        sa.PrimaryKeyConstraint("series", "item", "revision"),
        **MYSQL,
    )
    op.create_index("articles_by_at", "articles", ["series", "at"], unique=False)
    op.create_table(
        "funding_rates",
        sa.Column("series", Id, autoincrement=False, nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("revision", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("rate", Exact(precision=65, scale=30), nullable=False),
        sa.Column("mark_price", Exact(precision=65, scale=30), nullable=True),
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
        sa.PrimaryKeyConstraint("series", "at", "revision"),
        **MYSQL,
    )
    op.create_table(
        "market_totals",
        sa.Column("series", Id, autoincrement=False, nullable=False),
        sa.Column("slot", Instant(), nullable=False),
        sa.Column("revision", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("market_cap", Exact(precision=65, scale=30), nullable=False),
        sa.Column("volume_24h", Exact(precision=65, scale=30), nullable=False),
        sa.Column("btc_dominance", Exact(precision=65, scale=30), nullable=False),
        sa.Column("eth_dominance", Exact(precision=65, scale=30), nullable=True),
        sa.Column("market_cap_change_percent_24h", Exact(precision=65, scale=30), nullable=True),
        sa.Column("coins", Id, nullable=True),
        sa.Column("markets", Id, nullable=True),
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
        "mentions",
        sa.Column("series", Id, autoincrement=False, nullable=False),
        sa.Column("item", sa.String(length=190), nullable=False),
        sa.Column("linker", sa.String(length=40), nullable=False),
        sa.Column("revision", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("asset", sa.String(length=100), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("confidence", Exact(precision=65, scale=30), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["series"], ["series.id"]),
        sa.PrimaryKeyConstraint("series", "item", "linker", "revision", "asset"),
        **MYSQL,
    )
    op.create_index("mentions_by_asset", "mentions", ["asset", "at"], unique=False)
    op.create_table(
        "metrics",
        sa.Column("series", Id, autoincrement=False, nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("revision", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("published", Instant(), nullable=False),
        sa.Column("value", Exact(precision=65, scale=30), nullable=False),
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
        sa.PrimaryKeyConstraint("series", "at", "revision"),
        **MYSQL,
    )
    op.create_table(
        "mood_indices",
        sa.Column("series", Id, autoincrement=False, nullable=False),
        sa.Column("day", Instant(), nullable=False),
        sa.Column("revision", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("value", Exact(precision=65, scale=30), nullable=False),
        sa.Column("label", sa.String(length=190), nullable=False),
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
        sa.PrimaryKeyConstraint("series", "day", "revision"),
        **MYSQL,
    )
    op.create_table(
        "observations",
        sa.Column("series", Id, autoincrement=False, nullable=False),
        sa.Column("period", Instant(), nullable=False),
        sa.Column("revision", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("vintage", Instant(), nullable=False),
        sa.Column("value", Exact(precision=65, scale=30), nullable=True),
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
        sa.PrimaryKeyConstraint("series", "period", "revision"),
        **MYSQL,
    )
    op.create_index("observations_by_vintage", "observations", ["series", "vintage"], unique=False)
    op.create_table(
        "open_interest",
        sa.Column("series", Id, autoincrement=False, nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("revision", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("amount", Exact(precision=65, scale=30), nullable=False),
        sa.Column("worth", Exact(precision=65, scale=30), nullable=True),
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
        sa.PrimaryKeyConstraint("series", "at", "revision"),
        **MYSQL,
    )
    op.create_table(
        "posts",
        sa.Column("series", Id, autoincrement=False, nullable=False),
        sa.Column("item", sa.String(length=190), nullable=False),
        sa.Column("revision", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("edited", Instant(), nullable=True),
        sa.Column("title", LongText, nullable=True),
        sa.Column("body", LongText, nullable=True),
        sa.Column("url", LongText, nullable=True),
        sa.Column("author", LongText, nullable=True),
        sa.Column("language", sa.String(length=190), nullable=True),
        sa.Column("topics", LongText, nullable=True),
        sa.Column("likes", Id, nullable=True),
        sa.Column("replies", Id, nullable=True),
        sa.Column("shares", Id, nullable=True),
        sa.Column("views", Id, nullable=True),
        sa.Column("like_ratio", Exact(precision=65, scale=30), nullable=True),
        sa.Column("deleted", sa.Boolean(), nullable=False),
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
        sa.PrimaryKeyConstraint("series", "item", "revision"),
        **MYSQL,
    )
    op.create_index("posts_by_at", "posts", ["series", "at"], unique=False)
    op.create_table(
        "redactions",
        sa.Column("series", Id, autoincrement=False, nullable=False),
        sa.Column("item", sa.String(length=190), nullable=False),
        sa.Column("reason", sa.String(length=190), nullable=False),
        sa.Column("redacted_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["series"],
            ["series.id"],
        ),
        sa.PrimaryKeyConstraint("series", "item"),
        **MYSQL,
    )
    op.create_table(
        "text_checks",
        sa.Column("series", Id, autoincrement=False, nullable=False),
        sa.Column("item", sa.String(length=190), nullable=False),
        sa.Column("due_at", Instant(), nullable=False),
        sa.Column("checked_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(
            ["series"],
            ["series.id"],
        ),
        sa.PrimaryKeyConstraint("series", "item"),
        **MYSQL,
    )
    op.create_index("ix_text_checks_due_at", "text_checks", ["due_at"], unique=False)
    op.create_table(
        "text_links",
        sa.Column("series", Id, autoincrement=False, nullable=False),
        sa.Column("item", sa.String(length=190), nullable=False),
        sa.Column("linker", sa.String(length=40), nullable=False),
        sa.Column("revision", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("through", sa.Integer(), nullable=False),
        sa.Column("story", sa.String(length=64), nullable=False),
        sa.Column("known_at", Instant(), nullable=False),
        sa.Column("made_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["series"], ["series.id"]),
        sa.PrimaryKeyConstraint("series", "item", "linker", "revision"),
        **MYSQL,
    )
    op.create_index("ix_text_links_story", "text_links", ["story"], unique=False)
    op.create_table(
        "trending",
        sa.Column("series", Id, autoincrement=False, nullable=False),
        sa.Column("slot", Instant(), nullable=False),
        sa.Column("revision", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("coin", sa.String(length=190), nullable=False),
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
    op.add_column("bars", sa.Column("quote_volume", Exact(precision=65, scale=30), nullable=True))
    op.add_column("bars", sa.Column("taker_buy_volume", Exact(precision=65, scale=30), nullable=True))
    op.add_column("bars", sa.Column("trades", Id, nullable=True))
