"""Changes: how often what was committed to, by shard."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from ray_app.store.types import Id, Instant

MYSQL: dict[str, Any] = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "mysql_engine": "InnoDB"}

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "changes",
        sa.Column("shard", sa.String(length=100), nullable=False),
        sa.Column("what", sa.String(length=100), nullable=False),
        sa.Column("number", Id, nullable=False),
        sa.Column("ahead", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("shard", "what"),
        **MYSQL,
    )
