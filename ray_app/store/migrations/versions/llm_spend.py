"""What a month's questions to a language model cost."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from ray_app.store.types import Id, Instant

MYSQL: dict[str, Any] = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "mysql_engine": "InnoDB"}

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "llm_spend",
        sa.Column("scope", sa.String(length=100), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        *(sa.Column(name, Id, nullable=False) for name in ("budget", "spent", "requests", "settled")),
        sa.Column("closed", sa.String(length=300), nullable=True),
        sa.Column("closed_at", Instant(), nullable=True),
        sa.Column("closed_until", Instant(), nullable=True),
        sa.Column("is_on", sa.Boolean(create_constraint=False), nullable=False),
        sa.PrimaryKeyConstraint("scope"),
        **MYSQL,
    )
