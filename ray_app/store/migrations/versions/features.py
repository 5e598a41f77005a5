"""Rows of features, and the sets that they are of."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from ray_app.store.types import Id, Instant, LongText

MYSQL: dict[str, Any] = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "mysql_engine": "InnoDB"}

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "feature_sets",
        sa.Column("hash", sa.String(length=16), nullable=False),
        sa.Column("names", LongText, nullable=False),
        sa.Column("made_at", Instant(), nullable=False),
        sa.Column("looked", Id, nullable=False),
        sa.Column("skew", LongText, nullable=True),
        sa.PrimaryKeyConstraint("hash"),
        **MYSQL,
    )
    op.create_table(
        "ml_features",
        sa.Column("asset", sa.String(length=100), nullable=False),
        sa.Column("feature_set", sa.String(length=16), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("revision", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("numbers", sa.LargeBinary(), nullable=False),
        sa.Column("bars", sa.String(length=100), nullable=False),
        sa.Column("as_of", Instant(), nullable=False),
        sa.Column("made_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["feature_set"], ["feature_sets.hash"]),
        sa.PrimaryKeyConstraint("asset", "feature_set", "at", "revision"),
        **MYSQL,
    )
