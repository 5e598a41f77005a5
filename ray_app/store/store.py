"""The store as its users see it: one database, one folder of raw pages, and the parts that know them."""

from collections.abc import Sequence

from ray_app.model.collected import Collected, Lease
from ray_app.store.advanced import AdvancedScores
from ray_app.store.bars import BarReading
from ray_app.store.catalog import Catalog
from ray_app.store.changes import Changes
from ray_app.store.clusters import Clusters
from ray_app.store.engine import Database
from ray_app.store.exports import Exports
from ray_app.store.extracts import Extracts
from ray_app.store.facts import Committed, Facts
from ray_app.store.folder import Folder
from ray_app.store.frames import Frames
from ray_app.store.heard import Hearing
from ray_app.store.keys import Keys
from ray_app.store.leases import Leases
from ray_app.store.ledger import Ledger
from ray_app.store.links import Links
from ray_app.store.llm_spend import LlmSpend
from ray_app.store.opinions import Opinions
from ray_app.store.outbox import Outbox
from ray_app.store.quota import Quotas
from ray_app.store.raw import RawPages
from ray_app.store.reading import Reading
from ray_app.store.received import Received
from ray_app.store.scores import Scores
from ray_app.store.texts import Texts
from ray_app.store.vectors import Vectors


class Store:
    """Facts and coverage together. Open one per process; it holds a pool of connections."""

    def __init__(self, database_url: str, raw_path: str, pool: int = 5) -> None:
        self.database = Database(database_url, pool)
        self.raw = RawPages(raw_path)
        self.folder = Folder(self.raw.files)
        self.facts = Facts(self.database)
        self.ledger = Ledger(self.database)
        self.reading = Reading(self.database)
        self.received = Received(self.database)
        self.bars = BarReading(self.database)
        self.frames = Frames(self.database)
        self.hearing = Hearing(self.database)
        self.changes = Changes(self.database)
        self.leases = Leases(self.database)
        self.clusters = Clusters(self.database)
        self.quotas = Quotas(self.database)
        self.catalog = Catalog(self.database)
        self.outbox = Outbox(self.database)
        self.keys = Keys(self.database)
        self.texts = Texts(self.database)
        self.links = Links(self.database)
        self.scores = Scores(self.database)
        self.opinions = Opinions(self.database)
        self.vectors = Vectors(self.database)
        self.advanced = AdvancedScores(self.database)
        self.llm_spend = LlmSpend(self.database)
        self.exports = Exports(self.database)
        self.extracts = Extracts(self.database)

    async def commit(self, collected: Sequence[Collected], lease: Lease) -> Committed:
        """Manifests first, then facts and coverage in one transaction.

        Raises StoreUnavailable (nothing is in the database; try again) or Fenced.
        """
        for one in collected:
            await self.raw.note(one)
        return await self.facts.commit(collected, lease)

    async def close(self) -> None:
        await self.changes.close()
        await self.database.close()
