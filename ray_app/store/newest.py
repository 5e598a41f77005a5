"""Texts of many feeds, newest first, each in its last revision that passes.

A text that is deleted in any revision is left out whatever the moment asked for: what its author took back is
gone here, also from yesterday's answers.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import and_, func, or_, select

from ray_app.model.texts import Article, Post
from ray_app.model.timerange import TimeRange
from ray_app.store.engine import Database
from ray_app.store.reading import Fact, Point, fact_of, facts_of
from ray_app.store.tables import FACTS, series


class Place(NamedTuple):
    """Where a text stands in the order: newest first, then by name."""

    at: datetime
    stream: str
    partition: str
    item: str


@dataclass(frozen=True, slots=True)
class NewText:
    """A text, and when we had it first."""

    fact: Fact
    first_seen_at: datetime

    @property
    def place(self) -> Place:
        return Place(self.fact.cursor, self.fact.stream, self.fact.partition, str(self.fact.key))


class NewestTexts:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def newest(
        self,
        kind: type[Article] | type[Post],
        feeds: Mapping[str, Sequence[str]],
        over: TimeRange,
        most: int,
        at: Point,
        after: Place | None = None,
        items: Collection[str] | None = None,
    ) -> list[NewText]:
        """At most `most` texts of these feeds (by stream) with a time in `over`, those that come after a place.

        `items`: only texts with one of these ids of their source.
        """
        table = FACTS[kind]
        text, others = table.c, table.alias("others")
        same = (others.c.series == text.series, others.c.item == text.item)
        passing = select(func.max(others.c.revision)).where(*same, *at.bounds(others))
        first = select(func.min(others.c.received_at)).where(*same).scalar_subquery()
        query = (
            facts_of(kind)
            .add_columns(first.label("first_seen_at"))
            .where(
                or_(
                    *(
                        and_(series.c.stream == stream, series.c.partition.in_(mine))
                        for stream, mine in feeds.items()
                    )
                )
            )
            .where(text.at >= over.start, text.at < over.end, *at.bounds(table))
            .where(text.revision == passing.correlate(table).scalar_subquery())
            .order_by(text.at.desc(), series.c.stream, series.c.partition, text.item)
            .limit(most)
        )
        if kind is Post:
            query = query.where(~select(others.c.item).where(*same, others.c.deleted.is_(True)).exists())
        if items is not None:
            query = query.where(text.item.in_(items))
        if after is not None:
            stream, partition = series.c.stream, series.c.partition
            later_name = or_(
                stream > after.stream,
                and_(stream == after.stream, partition > after.partition),
                and_(stream == after.stream, partition == after.partition, text.item > after.item),
            )
            query = query.where(or_(text.at < after.at, and_(text.at == after.at, later_name)))
        if not feeds:
            return []
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [NewText(fact_of(kind, dict(row)), row["first_seen_at"]) for row in rows]
