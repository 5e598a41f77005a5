"""The texts that speak of an asset, each with how sure that is, its story and what the served model says of it."""

from collections.abc import Sequence

from sqlalchemy import and_, func, select

from ray_app.model.timerange import TimeRange
from ray_app.store.engine import Database
from ray_app.store.linked import bounds, place_columns, same_link, same_text, text_id
from ray_app.store.reading import NOW, Point
from ray_app.store.scored import Mention, Scorer
from ray_app.store.tables import mentions, series, text_links, text_scores


class Opinions:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def mentioning(
        self,
        assets: Sequence[str] | None,
        over: TimeRange,
        linker: str,
        scorer: Scorer | None,
        streams: Sequence[str],
        most: int,
        at: Point = NOW,
    ) -> list[Mention]:
        """The newest `most` mentions of these assets (None: of all) by texts of these streams with a time in `over`.

        Of a text that speaks of several, one for each. What the text said later than `at` does not show. The
        scores of `scorer` are shown, of None none.
        """
        later, last = text_links.alias("later"), text_scores.alias("last")
        replaced = (
            select(later.c.item)
            .where(same_text(later, text_links), later.c.linker == linker)
            .where(later.c.revision > text_links.c.revision, *bounds(later, at))
            .exists()
        )
        async with self._database.read() as connection:
            digest = "" if scorer is None else scorer.digest
            newest = (
                select(func.max(last.c.revision))
                .where(same_text(last, mentions), last.c.digest == digest, *bounds(last, at))
                .correlate(mentions)
                .scalar_subquery()
            )
            scored = (text_scores.c.digest == digest, text_scores.c.revision == newest)
            query = (
                select(*place_columns(mentions), mentions.c.at, mentions.c.confidence.label("link"))
                .add_columns(mentions.c.asset, mentions.c.kind, text_links.c.story, text_scores.c.engagement)
                .add_columns(text_scores.c.score, text_scores.c.confidence)
                .join_from(mentions, text_links, same_link(mentions, text_links))
                .join(series, mentions.c.series == series.c.id)
                .outerjoin(text_scores, and_(same_text(text_scores, mentions), *scored))
                .where(mentions.c.at >= over.start, mentions.c.at < over.end)
                .where(*([] if assets is None else [mentions.c.asset.in_(assets)]))
                .where(mentions.c.linker == linker, series.c.stream.in_(streams))
                .where(~replaced, *bounds(text_links, at))
                .order_by(mentions.c.at.desc(), series.c.stream, series.c.partition, mentions.c.item)
                .limit(most)
            )
            rows = (await connection.execute(query)).mappings().all()
        return [
            Mention(
                id=text_id(row),
                asset=row["asset"],
                kind=row["kind"],
                at=row["at"],
                story=row["story"],
                link=row["link"],
                engagement=row["engagement"] or 0,
                score=row["score"],
                confidence=row["confidence"],
            )
            for row in rows
        ]
