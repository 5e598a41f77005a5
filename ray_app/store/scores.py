"""What models say of texts: rows beside the texts, made from them under a lease.

Insert-only per revision of the text and per digest of the model: another model scores beside the old one, and
as_of keeps its answers. A revision that says the same (posts gain likes all day) only moves `through` on. Texts
with equal words are scored once, through the SHA-256 of what was read.

A text that was deleted is not scored. One that is wiped later keeps its numbers and loses that hash, which
could tell whether somebody guessed its words.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, bindparam, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ray_app.model.collected import Lease
from ray_app.model.texts import Post
from ray_app.store import changes, leases
from ray_app.store.engine import Database
from ray_app.store.linked import (
    KINDS,
    Kind,
    TextId,
    bounds,
    place_columns,
    same_text,
    standing,
    text_id,
)
from ray_app.store.reading import NOW, Point
from ray_app.store.scored import (
    VERDICT,
    Scored,
    Scorer,
    Tally,
    Unscored,
    Verdict,
    verdict_in,
)
from ray_app.store.tables import FACTS, node, scorers, series, text_scores
from ray_app.store.unscored import read_unscored

AT_ONCE = 500  # texts asked for by name in one query
MOVE_ON = (
    update(text_scores)
    .where(text_scores.c.series == bindparam("of"), text_scores.c.item == bindparam("the_item"))
    .where(text_scores.c.digest == bindparam("by"), text_scores.c.revision == bindparam("first"))
    .values(through=bindparam("last"))
)


class Scores:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def configure(self, kind: Kind, scorer: Scorer, now: Callable[[], datetime], lease: Lease) -> None:
        """Write down that this model scores texts of the kind from now on, unless it did. Raises Fenced."""
        async with self._database.write() as connection:
            await leases.check(connection, lease)
            await _alone(connection)
            last = (await served(connection, NOW)).get(kind)
            if last is None or last.digest != scorer.digest:
                row = {"record": kind.__name__, "model": scorer.model, "digest": scorer.digest}
                made = insert(scorers).values(**row, identity=scorer.identity, configured_at=now())
                await connection.execute(made)
                await changes.note(connection, lease.shard, {changes.SCORES: None})

    async def served(self, kind: Kind, at: Point = NOW) -> Scorer | None:
        """The model whose scores are shown: the one configured last (by then); None if there was none."""
        return (await self.all_served(at)).get(kind)

    async def all_served(self, at: Point = NOW) -> dict[Kind, Scorer]:
        """The same for every kind of text that has one."""
        async with self._database.read() as connection:
            return await served(connection, at)

    async def unscored(
        self,
        kind: Kind,
        streams: Sequence[str],
        digest: str,
        most: int,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[Unscored]:
        """Texts that this model has not seen in their newest revision, newest first; deleted ones not.

        `since`: only those with a time from then on, which is quick; without it all texts are looked through.
        `until`: only those with a time before.
        """
        text = FACTS[kind]
        done = (
            select(text_scores.c.item)
            .where(same_text(text_scores, text), text_scores.c.digest == digest)
            .where(text_scores.c.through >= text.c.revision)
            .correlate(text)
            .exists()
        )
        wanted = (~done, *standing(kind, since, until))
        return await read_unscored(self._database, kind, streams, lambda query: query.where(*wanted), most)

    async def tally(
        self,
        kind: Kind,
        streams: Sequence[str],
        digest: str,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Tally:
        """How many texts there are in their newest revision, deleted ones not, and what this model says of them."""
        text = FACTS[kind]
        said = and_(
            same_text(text_scores, text),
            text_scores.c.digest == digest,
            text_scores.c.revision <= text.c.revision,
            text_scores.c.through >= text.c.revision,
        )
        query = (
            select(text_scores.c.reason, text_scores.c.label, func.count())
            .select_from(text)
            .join(series, text.c.series == series.c.id)
            .outerjoin(text_scores, said)
            .where(series.c.stream.in_(streams), *standing(kind, since, until))
            .group_by(text_scores.c.reason, text_scores.c.label)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return Tally(
            texts=sum(count for _, _, count in rows),
            labels={label: count for _, label, count in rows if label is not None},
            without={reason: count for reason, _, count in rows if reason is not None},
        )

    async def known(self, contents: Iterable[str], digest: str) -> dict[str, Verdict]:
        """What this model said of texts with these words before."""
        wanted, out = list(dict.fromkeys(contents)), dict[str, Verdict]()
        columns = [text_scores.c[name] for name in ("content", *VERDICT)]
        async with self._database.read() as connection:
            for first in range(0, len(wanted), AT_ONCE):
                query = select(*columns).where(
                    text_scores.c.content.in_(wanted[first : first + AT_ONCE]), text_scores.c.digest == digest
                )
                rows = (await connection.execute(query)).mappings()
                out |= {row["content"]: verdict_in(row) for row in rows}
        return out

    async def write(
        self,
        kind: Kind,
        made: Sequence[tuple[Unscored, Verdict]],
        scorer: Scorer,
        now: Callable[[], datetime],
        lease: Lease,
    ) -> int:
        """Write these down in one transaction, each text once; how many are new. Raises Fenced.

        What was deleted meanwhile is left out. `now` is asked inside of the transaction, so that a wait for
        another writer cannot put a row under a moment that was answered. One writer at a time: a job may score
        the texts of a shard.
        """
        fresh: list[dict[str, Any]] = []
        same: list[dict[str, Any]] = []
        async with self._database.write() as connection:
            await leases.check(connection, lease)
            await _alone(connection)
            texts = [text for text, _ in made]
            before = await _latest(connection, texts, scorer.digest)
            gone = await _gone(connection, texts) if kind is Post else set()
            moment = now()
            for text, verdict in made:
                place = (text.series, text.id.item)
                earlier = before.get(place)
                if place in gone or (earlier is not None and earlier["through"] >= text.revision):
                    continue
                told = {"content": text.content, "engagement": text.engagement}
                if earlier is not None and all(earlier[name] == value for name, value in told.items()):
                    key = {"of": text.series, "the_item": text.id.item, "by": scorer.digest}
                    same.append(key | {"first": earlier["revision"], "last": text.revision})
                    continue
                row = {"series": text.series, "item": text.id.item, "digest": scorer.digest}
                row |= {"revision": text.revision, "through": text.revision, "model": scorer.model, **told}
                row |= {name: getattr(verdict, name) for name in VERDICT}
                fresh.append(row | {"known_at": text.known_at, "made_at": moment})
            if same:
                await connection.execute(MOVE_ON, same)
            if fresh:
                await connection.execute(insert(text_scores), fresh)
            if same or fresh:
                await changes.note(connection, lease.shard, {changes.SCORES: None})
        return len(fresh)

    async def scores_of(
        self, ids: Iterable[TextId], kind: Kind, at: Point = NOW
    ) -> dict[TextId, list[Scored]]:
        """What the served model says of each of these texts, of the last revision first; unscored ones are absent."""
        wanted, out = list(dict.fromkeys(ids)), dict[TextId, list[Scored]]()
        async with self._database.read() as connection:
            scorer = (await served(connection, at)).get(kind)
            if scorer is None:
                return {}
            for first in range(0, len(wanted), AT_ONCE):
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
                    .where(text_scores.c.digest == scorer.digest, or_(*named), *bounds(text_scores, at))
                    .order_by(text_scores.c.revision.desc())
                )
                for row in (await connection.execute(query)).mappings():
                    told = Scored(scorer, row["revision"], row["content"], verdict_in(row), row["made_at"])
                    out.setdefault(text_id(row), []).append(told)
        return out


async def _alone(connection: AsyncConnection) -> None:
    """One writer at a time: two that start together write one line."""
    await connection.execute(select(node.c.value).where(node.c.name == "kind").with_for_update())


async def served(connection: AsyncConnection, at: Point) -> dict[Kind, Scorer]:
    """By kind of text the model that was configured last (by then)."""
    query = select(scorers.c.record, scorers.c.model, scorers.c.digest, scorers.c.identity)
    if at.as_of is not None:
        query = query.where(scorers.c.configured_at <= at.as_of)
    last = {row[0]: Scorer(*row[1:]) for row in await connection.execute(query.order_by(scorers.c.id))}
    return {kind: last[kind.__name__] for kind in KINDS if kind.__name__ in last}


async def _latest(
    connection: AsyncConnection, texts: Sequence[Unscored], digest: str
) -> dict[tuple[int, str], Mapping[Any, Any]]:
    """The last score of each by this model."""
    out: dict[tuple[int, str], Mapping[Any, Any]] = {}
    names = ("series", "item", "revision", "through", "content", "engagement")
    query = (
        select(*(text_scores.c[name] for name in names))
        .where(text_scores.c.digest == digest, text_scores.c.series.in_({text.series for text in texts}))
        .where(text_scores.c.item.in_({text.id.item for text in texts}))
        .order_by(text_scores.c.revision)
    )
    for row in (await connection.execute(query)).mappings():
        out[row["series"], row["item"]] = row
    return out


async def _gone(connection: AsyncConnection, texts: Sequence[Unscored]) -> set[tuple[int, str]]:
    """Those that are deleted by now."""
    posts = FACTS[Post]
    query = select(posts.c.series, posts.c.item).where(
        posts.c.series.in_({text.series for text in texts}),
        posts.c.item.in_({text.id.item for text in texts}),
        posts.c.deleted,
    )
    return {(number, item) for number, item in await connection.execute(query)}
