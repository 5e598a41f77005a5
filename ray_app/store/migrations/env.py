"""Alembic's entry: migrate the connection that `Database.prepare` hands over."""

from alembic import context

from ray_app.store.engine import VERSION_TABLE
from ray_app.store.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, version_table=VERSION_TABLE)
with context.begin_transaction():
    context.run_migrations()
