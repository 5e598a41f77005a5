"""Second opinions on texts: which are worth the money of a language model, and what it said.

Its scores are rows of `text_scores` beside those of the served model, under digests of their own, which `scorers`
lists as `advanced`. No sum reads them. A family of digests is asked alike, whatever name the server tells: what one
of them said of the same words is not paid for again.
"""

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Select, and_, func, insert, or_, select

from ray_app.model.collected import Lease
from ray_app.model.texts import Post
from ray_app.store import changes, leases
from ray_app.store.engine import Database
from ray_app.store.linked import (
    Kind,
    TextId,
    bounds,
    place_columns,
    same_text,
    text_id,
)
from ray_app.store.reading import NOW, Point
from ray_app.store.scored import VERDICT, Scored, Scorer, Unscored, Verdict, verdict_in
from ray_app.store.scores import AT_ONCE
from ray_app.store.tables import FACTS, mentions, scorers, series, text_links, text_scores
from ray_app.store.unscored import read_unscored

ADVANCED = "advanced"  # in scorers.record: not of a kind of text, and never served
LATELY = timedelta(days=3)  # a text that is older is not asked about any more
SURE = Decimal("0.5")  # how sure it must be that a text speaks of an asset


@dataclass(frozen=True, slots=True)
class Worth:
    """Which texts of a kind are worth asking about: those of these streams that speak of one of these assets."""

    kind: Kind
    streams: Sequence[str]
    assets: Collection[str]  # coins by id; stocks count all
    linker: str


class AdvancedScores:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def family(self, name: str | None = None) -> list[Scorer]:
        """The scorers that were asked alike, the newest first; None: those of the family that was asked last."""
        query = select(scorers.c.model, scorers.c.digest, scorers.c.identity)
        query = query.where(scorers.c.record == ADVANCED).order_by(scorers.c.id.desc())
        async with self._database.read() as connection:
            found = [Scorer(*row) for row in await connection.execute(query)]
        of = [json.loads(one.identity)["family"] for one in found]
        name = name if name is not None else next(iter(of), None)
        return [one for one, family in zip(found, of, strict=True) if family == name]

    async def configure(self, scorer: Scorer, now: Callable[[], datetime], lease: Lease) -> None:
        """Write down that this model answers, unless it is known. Raises Fenced."""
        known = select(scorers.c.id).where(scorers.c.record == ADVANCED, scorers.c.digest == scorer.digest)
        row = {
            "record": ADVANCED,
            "model": scorer.model,
            "digest": scorer.digest,
            "identity": scorer.identity,
        }
        async with self._database.write() as connection:
            await leases.check(connection, lease)
            if (await connection.execute(known)).first() is None:
                await connection.execute(insert(scorers).values(**row, configured_at=now()))
                await changes.note(connection, lease.shard, {changes.SCORES: None})

    async def wanted(self, worth: Worth, by: Sequence[str], since: datetime, most: int) -> list[Unscored]:
        """Texts with a time from `since` on that none of these has seen in their newest revision, newest first.

        `by`: digests.
        """
        return await read_unscored(
            self._database, worth.kind, worth.streams, lambda query: _wanted(query, worth, by, since), most
        )

    async def count(self, worth: Worth, by: Sequence[str], since: datetime, until: datetime) -> int:
        """How many texts with a time from `since` to before `until` were worth it and not asked about."""
        text = FACTS[worth.kind]
        mine = select(series.c.id).where(series.c.stream.in_(worth.streams))
        query = _wanted(select(func.count()).select_from(text), worth, by, since)
        async with self._database.read() as connection:
            found = await connection.execute(query.where(text.c.series.in_(mine), text.c.at < until))
            return int(found.scalar_one())

    async def known(self, contents: Iterable[str], by: Sequence[Scorer]) -> dict[str, tuple[Scorer, Verdict]]:
        """What one of these said of texts with these words, the first of `by` that did."""
        wanted, out = list(dict.fromkeys(contents)), dict[str, tuple[Scorer, Verdict]]()
        columns = [text_scores.c[name] for name in ("content", "digest", *VERDICT)]
        place = {scorer.digest: (-number, scorer) for number, scorer in enumerate(by)}
        async with self._database.read() as connection:
            for first in range(0, len(wanted), AT_ONCE):
                some = text_scores.c.content.in_(wanted[first : first + AT_ONCE])
                query = select(*columns).where(some, text_scores.c.digest.in_(place))
                rows = (await connection.execute(query)).mappings().all()
                for row in sorted(rows, key=lambda row: place[row["digest"]][0]):
                    out[row["content"]] = place[row["digest"]][1], verdict_in(row)
        return out

    async def scores_of(self, ids: Iterable[TextId], at: Point = NOW) -> dict[TextId, list[Scored]]:
        """What language models said of each of these texts by then, the last that was said first."""
        wanted, out = list(dict.fromkeys(ids)), dict[TextId, list[Scored]]()
        async with self._database.read() as connection:
            every = select(scorers.c.model, scorers.c.digest, scorers.c.identity)
            every = every.where(scorers.c.record == ADVANCED)
            by = {row.digest: Scorer(*row) for row in await connection.execute(every)}
            for first in range(0, len(wanted) if by else 0, AT_ONCE):
                groups: dict[tuple[str, str], list[str]] = {}
                for one in wanted[first : first + AT_ONCE]:
                    groups.setdefault((one.stream, one.partition), []).append(one.item)
                named = [
                    and_(series.c.stream == stream, series.c.partition == part, text_scores.c.item.in_(items))
                    for (stream, part), items in groups.items()
                ]
                query = (
                    select(*place_columns(text_scores), *(c for c in text_scores.c if c.name != "item"))
                    .join_from(text_scores, series, text_scores.c.series == series.c.id)
                    .where(text_scores.c.digest.in_(by), or_(*named), *bounds(text_scores, at))
                    .order_by(text_scores.c.made_at.desc(), text_scores.c.revision.desc())
                )
                for row in (await connection.execute(query)).mappings():
                    scorer = by[row["digest"]]
                    told = Scored(scorer, row["revision"], row["content"], verdict_in(row), row["made_at"])
                    out.setdefault(text_id(row), []).append(told)
        return out


def _wanted(query: Select[Any], worth: Worth, by: Sequence[str], since: datetime) -> Select[Any]:
    text = FACTS[worth.kind]
    others, last = text.alias("others"), text_links.alias("last")
    newer = select(others.c.item).where(same_text(others, text), others.c.revision > text.c.revision)
    done = (
        select(text_scores.c.item)
        .where(same_text(text_scores, text), text_scores.c.digest.in_(by))
        .where(text_scores.c.through >= text.c.revision)
    )
    newest = (
        select(func.max(last.c.revision))
        .where(same_text(last, mentions), last.c.linker == worth.linker)
        .correlate(mentions)
        .scalar_subquery()
    )
    speaks = (
        select(mentions.c.item)
        .where(same_text(mentions, text), mentions.c.linker == worth.linker)
        .where(mentions.c.revision == newest, mentions.c.confidence >= SURE)
        .where(or_(mentions.c.kind == "stock", mentions.c.asset.in_(worth.assets)))
    )
    left = [~newer.correlate(text).exists(), ~done.correlate(text).exists(), speaks.correlate(text).exists()]
    if worth.kind is Post:
        gone = select(others.c.item).where(same_text(others, text), others.c.deleted)
        left.append(~gone.correlate(text).exists())
    return query.where(text.c.at >= since, *left)
