"""Articles and posts share one event stream, `news`: their events of before move there and get new numbers.

And an index by which the relay finds what has no number.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    outbox = sa.table("outbox", sa.column("topic", sa.String), sa.column("first", sa.BigInteger))
    moved = sa.update(outbox).where(outbox.c.topic.in_(["articles", "posts"]))
    op.create_index("outbox_waiting", "outbox", ["first", "id"], unique=False)
    op.execute(moved.values(topic="news", first=None))  # the relay numbers them, oldest first
