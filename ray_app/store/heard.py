"""What was known of the texts that speak of assets, change by change: what sentiment of the past is made from.

`opinions` tells how things stand at one moment; here is every revision that passes, so that each hour of a year can be
worked out as it stood. No words, only numbers and ids.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import func, select

from ray_app.model.timerange import TimeRange
from ray_app.store.engine import Database
from ray_app.store.linked import Kind, TextId, bounds, place_columns, same_link, same_text, text_id
from ray_app.store.reading import NOW, Point
from ray_app.store.scores import served
from ray_app.store.tables import mentions, series, text_links, text_scores


class LinkedThen(NamedTuple):
    """From `known_at` on the text told this story and spoke of these assets, each that surely."""

    known_at: datetime
    story: str
    assets: dict[str, Decimal]


class ScoredThen(NamedTuple):
    """From `known_at` on the text had this score, or none."""

    known_at: datetime
    score: Decimal | None
    confidence: Decimal | None
    engagement: int


@dataclass(slots=True)
class Heard:
    """One text. Both lists by revision."""

    id: TextId
    at: datetime
    links: list[LinkedThen] = field(default_factory=list)
    scores: list[ScoredThen] = field(default_factory=list)


class Hearing:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def texts(
        self,
        assets: Sequence[str],
        over: TimeRange,
        linker: str,
        kind: Kind,
        streams: Sequence[str],
        at: Point = NOW,
    ) -> list[Heard]:
        """The texts of these streams with a time in `over` that spoke of one of these assets in some revision."""
        mine = (
            select(mentions.c.series, mentions.c.item, func.min(mentions.c.at).label("at"))
            .join(series, mentions.c.series == series.c.id)
            .where(mentions.c.asset.in_(assets), mentions.c.at >= over.start, mentions.c.at < over.end)
            .where(mentions.c.linker == linker, series.c.stream.in_(streams))
            .group_by(mentions.c.series, mentions.c.item)
            .subquery("mine")
        )
        links = (
            select(*place_columns(text_links), mine.c.at, text_links.c.revision, text_links.c.known_at)
            .add_columns(text_links.c.story, mentions.c.asset, mentions.c.confidence)
            .join_from(mine, text_links, same_text(mine, text_links))
            .join(series, text_links.c.series == series.c.id)
            .outerjoin(mentions, same_link(mentions, text_links))
            .where(text_links.c.linker == linker, *bounds(text_links, at))
            .order_by(text_links.c.revision)
        )
        out: dict[TextId, Heard] = {}
        revisions: dict[tuple[TextId, int], LinkedThen] = {}
        wanted = set(assets)
        async with self._database.read() as connection:
            for row in (await connection.execute(links)).mappings():
                name = text_id(row)
                one = out.setdefault(name, Heard(name, row["at"]))
                place = (name, row["revision"])
                if place not in revisions:
                    revisions[place] = LinkedThen(row["known_at"], row["story"], {})
                    one.links.append(revisions[place])
                if row["asset"] in wanted:
                    revisions[place].assets[row["asset"]] = row["confidence"]
            scorer = (await served(connection, at)).get(kind)
            if scorer is None:
                return list(out.values())
            said = (
                select(*place_columns(text_scores), text_scores.c.known_at)
                .add_columns(text_scores.c.score, text_scores.c.confidence, text_scores.c.engagement)
                .join_from(mine, text_scores, same_text(mine, text_scores))
                .join(series, text_scores.c.series == series.c.id)
                .where(text_scores.c.digest == scorer.digest, *bounds(text_scores, at))
                .order_by(text_scores.c.revision)
            )
            for row in (await connection.execute(said)).mappings():
                if (known := out.get(text_id(row))) is not None:
                    known.scores.append(
                        ScoredThen(row["known_at"], row["score"], row["confidence"], row["engagement"])
                    )
        return list(out.values())

    async def begun(self, streams: Sequence[str], linker: str, at: Point = NOW) -> datetime | None:
        """When the first text of these streams that was looked at could be known; None when there is none."""
        query = (
            select(func.min(text_links.c.known_at))
            .join(series, text_links.c.series == series.c.id)
            .where(series.c.stream.in_(streams), text_links.c.linker == linker, *bounds(text_links, at))
        )
        async with self._database.read() as connection:
            found: datetime | None = (await connection.execute(query)).scalar()
        return found
