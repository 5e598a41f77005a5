"""Exports: who asked for which, and what became of it."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from ray_app.store.types import Id, Instant, LongText

MYSQL: dict[str, Any] = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "mysql_engine": "InnoDB"}

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "exports",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("client", sa.String(length=190), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("request", LongText, nullable=False),
        sa.Column("restricted", sa.Boolean(create_constraint=False), nullable=False),
        sa.Column("counted", Id, nullable=True),
        sa.Column("pieces", sa.Integer(), nullable=True),
        sa.Column("pieces_done", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("manifest", LongText, nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        *(sa.Column(name, Instant(), nullable=True) for name in ("started_at", "finished_at", "expires_at")),
        sa.PrimaryKeyConstraint("id"),
        **MYSQL,
    )
    op.create_index("exports_by_client", "exports", ["client", "created_at"], unique=False)
    op.create_index("exports_by_state", "exports", ["state", "created_at"], unique=False)
