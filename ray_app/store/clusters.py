"""Which of the clusters on one store collects: the one that came to run whole last.

An upgrade runs two clusters for a while. The newer one announces itself once everything of it runs; the older one
sees that, lets go of its leases and stands by.
"""

import json

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from ray_app.store.engine import Database, dumps
from ray_app.store.tables import node

NAME = "clusters"
KEPT = 50  # names; a cluster that is older than so many others is gone


class Clusters:
    """The names of clusters in the order in which they were announced."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def announce(self, cluster: str) -> None:
        """From now on `cluster` is the one that collects. Said again, also by an older one, it changes nothing."""
        try:
            await self._announce(cluster)
        except IntegrityError:  # another one made the row just now
            await self._announce(cluster)

    async def _announce(self, cluster: str) -> None:
        query = select(node.c.value).where(node.c.name == NAME).with_for_update()
        async with self._database.write() as connection:
            found = (await connection.execute(query)).scalar()
            before = json.loads(found) if found is not None else []
            if cluster in before:
                return
            value = dumps([*before, cluster][-KEPT:])
            if found is None:
                await connection.execute(insert(node).values(name=NAME, value=value))
            else:
                await connection.execute(update(node).where(node.c.name == NAME).values(value=value))

    async def newest(self) -> str:
        """The cluster that collects; "" before the first was announced."""
        query = select(node.c.value).where(node.c.name == NAME)
        async with self._database.read() as connection:
            found = (await connection.execute(query)).scalar()
        return str(json.loads(found)[-1]) if found is not None else ""
