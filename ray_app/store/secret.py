"""The node's own secret: made once, kept in the database, the same on every replica."""

import secrets

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from ray_app.store.engine import Database
from ray_app.store.tables import node

NAME = "cursor_secret"


async def cursor_secret(database: Database) -> bytes:
    """What paging cursors are signed with. Whoever asks first makes it."""
    query = select(node.c.value).where(node.c.name == NAME)
    async with database.read() as connection:
        found = (await connection.execute(query)).scalar()
    if found is None:
        try:
            async with database.write() as connection:
                await connection.execute(insert(node).values(name=NAME, value=secrets.token_hex(32)))
        except IntegrityError:  # another replica made it just now
            pass
        async with database.read() as connection:
            found = (await connection.execute(query)).scalar_one()
    return bytes.fromhex(found)
