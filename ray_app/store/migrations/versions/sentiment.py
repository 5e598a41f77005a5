"""What models say of texts, and which model was configured when."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from ray_app.store.types import Exact, Id, Instant, LongText

MYSQL: dict[str, Any] = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "mysql_engine": "InnoDB"}

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "scorers",
        sa.Column("id", Id, autoincrement=True, nullable=False),
        sa.Column("record", sa.String(length=20), nullable=False),
        sa.Column("model", sa.String(length=100), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("identity", LongText, nullable=False),
        sa.Column("configured_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        **MYSQL,
    )
    op.create_index("ix_scorers_record", "scorers", ["record"], unique=False)
    op.create_table(
        "text_scores",
        sa.Column("series", Id, autoincrement=False, nullable=False),
        sa.Column("item", sa.String(length=190), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("revision", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("through", sa.Integer(), nullable=False),
        sa.Column("model", sa.String(length=100), nullable=False),
        sa.Column("content", sa.String(length=64), nullable=True),
        *(
            sa.Column(name, Exact(precision=65, scale=30), nullable=True)
            for name in ("score", "confidence", "bearish", "neutral", "bullish")
        ),
        sa.Column("label", sa.String(length=10), nullable=True),
        sa.Column("reason", sa.String(length=40), nullable=True),
        sa.Column("engagement", Id, nullable=False),
        sa.Column("known_at", Instant(), nullable=False),
        sa.Column("made_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["series"], ["series.id"]),
        sa.PrimaryKeyConstraint("series", "item", "digest", "revision"),
        **MYSQL,
    )
    op.create_index("ix_text_scores_content", "text_scores", ["content"], unique=False)
