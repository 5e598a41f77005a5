"""What texts speak of and which story they tell: rows beside the texts, made from them under a lease.

Insert-only per revision of the text and per linker: a changed title that speaks of other assets adds rows, the
earlier ones stay, so that as_of keeps its answers. A revision that says the same (posts gain likes all day)
only moves `through` on. The story of a text is given once and kept, whatever its title and the linker become.

What is deleted before it was linked gets a link without mentions. What is deleted or wiped later keeps the
mentions that it had: ids and numbers for counts, no text.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import and_, bindparam, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ray_app.model.collected import Lease
from ray_app.model.texts import Post
from ray_app.model.timerange import TimeRange
from ray_app.store import changes, leases
from ray_app.store.engine import Database
from ray_app.store.linked import (
    FIRST,
    KINDS,
    LONGEST,
    Kind,
    Link,
    Linked,
    Recent,
    Said,
    StoredText,
    TextId,
    Told,
    bounds,
    link_row,
    mention_rows,
    place_columns,
    said_in,
    same_link,
    same_text,
    stored,
    text_columns,
    text_id,
    word_columns,
    words_in,
)
from ray_app.store.reading import NOW, Point
from ray_app.store.tables import FACTS, mentions, node, series, text_links

AT_ONCE = 500  # texts asked for by name in one query
MOVE_ON = (
    update(text_links)
    .where(text_links.c.series == bindparam("of"), text_links.c.item == bindparam("the_item"))
    .where(text_links.c.linker == bindparam("by"), text_links.c.revision == bindparam("first"))
    .values(through=bindparam("through"))
)


class Links:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def unlinked(
        self, kind: Kind, streams: Sequence[str], linker: str, most: int, since: datetime | None = None
    ) -> list[StoredText]:
        """Texts that this linker has not seen in their newest revision, newest first.

        `since`: only those with a time from then on, which is quick; without it all texts are looked through.
        """
        text = FACTS[kind]
        newer = text.alias("newer")
        newest = ~(
            select(newer.c.item)
            .where(same_text(newer, text), newer.c.revision > text.c.revision)
            .correlate(text)
            .exists()
        )
        seen = text_links.c.through >= text.c.revision
        if kind is Post:
            seen = or_(seen, text.c.deleted)
        done = (
            select(text_links.c.item)
            .where(same_text(text_links, text), text_links.c.linker == linker, seen)
            .correlate(text)
            .exists()
        )
        async with self._database.read() as connection:
            of = await _series(connection, streams)
            # Keys first: MariaDB sorts whole rows, texts and all, and runs out of memory for it.
            keys = (
                select(text.c.series, text.c.item, text.c.revision)
                .where(text.c.series.in_(of), newest, ~done)
                .where(*([text.c.at >= since] if since is not None else []))
                .order_by(text.c.at.desc(), text.c.series, text.c.item)
                .limit(most)
                .subquery("keys")
            )
            story = (
                select(func.min(text_links.c.story))
                .where(same_text(text_links, text))
                .correlate(text)
                .scalar_subquery()
            )
            query = select(*text_columns(text, LONGEST), story.label("story")).join_from(
                keys, text, and_(same_text(keys, text), keys.c.revision == text.c.revision)
            )
            found = [stored(row, *of[row["series"]]) for row in (await connection.execute(query)).mappings()]
        return sorted(found, key=lambda one: (one.at, one.id), reverse=True)

    async def recent(self, streams: Mapping[Kind, Sequence[str]], over: TimeRange) -> Recent:
        """The texts of these streams, by kind, that are in a story and have a time in `over`; wiped ones not."""
        out: list[Told] = []
        async with self._database.read() as connection:
            # Counted first: what is added meanwhile makes `link` refuse.
            links = await _count(connection, streams, over)
            for kind, names in streams.items():
                of = await _series(connection, names)
                text = FACTS[kind]
                query = (
                    select(text.c.revision, text.c.at, text.c.series, text.c.item, text_links.c.story)
                    .add_columns(*word_columns(text, FIRST))
                    .join_from(text, text_links, same_text(text_links, text))
                    .where(text.c.series.in_(of), text.c.at >= over.start, text.c.at < over.end)
                )
                rows = (await connection.execute(query)).mappings().all()
                last = {(r["series"], r["item"]): r for r in sorted(rows, key=lambda r: r["revision"])}
                out += [
                    Told(TextId(*of[row["series"]], row["item"]), row["at"], row["story"], *words_in(row))
                    for row in last.values()
                    if any(words_in(row))
                ]
        out.sort(key=lambda one: (one.at, one.id))
        return Recent(over, streams, tuple(out), links)

    async def link(
        self, links: Sequence[Link], linker: str, now: Callable[[], datetime], seen: Recent, lease: Lease
    ) -> bool:
        """Write these down in one transaction, in which `now` is asked (as for scores), each text once. Raises Fenced.

        False, and nothing is written: links were added to `seen` since; a story may have begun there.
        """
        async with self._database.write() as connection:
            await leases.check(connection, lease)
            # One shard at a time: two that begin the same story at once would not see each other.
            await connection.execute(select(node.c.value).where(node.c.name == "kind").with_for_update())
            if await _count(connection, seen.streams, seen.over) != seen.links:
                return False
            before = await _latest(connection, [one.text for one in links], linker)
            made_at, changed = now(), list[Link]()
            same: list[dict[str, Any]] = []
            for one in links:
                earlier = before.get((one.text.series, one.text.id.item))
                if earlier is None or (earlier.through < one.text.revision and earlier.said != set(one.said)):
                    changed.append(one)
                elif earlier.through < one.text.revision:
                    place = {"of": one.text.series, "the_item": one.text.id.item, "by": linker}
                    same.append(place | {"first": earlier.revision, "through": one.text.revision})
            if same:
                await connection.execute(MOVE_ON, same)
            if changed:
                await connection.execute(insert(text_links), [link_row(x, linker, made_at) for x in changed])
            if spoken := [row for one in changed for row in mention_rows(one, linker)]:
                await connection.execute(insert(mentions), spoken)
            await changes.note(connection, lease.shard, {changes.LINKS: None})
        return True

    async def mentions_of(self, ids: Iterable[TextId], linker: str, at: Point = NOW) -> dict[TextId, Linked]:
        """The link of each text as it stood at that point; texts without one are absent."""
        wanted = list(dict.fromkeys(ids))
        out: dict[TextId, Linked] = {}
        async with self._database.read() as connection:
            for first in range(0, len(wanted), AT_ONCE):
                out |= await self._mentions_of(connection, wanted[first : first + AT_ONCE], linker, at)
        return out

    async def _mentions_of(
        self, connection: AsyncConnection, ids: Sequence[TextId], linker: str, at: Point
    ) -> dict[TextId, Linked]:
        groups: dict[tuple[str, str], list[str]] = {}
        for one in ids:
            groups.setdefault((one.stream, one.partition), []).append(one.item)
        named = [
            and_(series.c.stream == stream, series.c.partition == partition, text_links.c.item.in_(items))
            for (stream, partition), items in groups.items()
        ]
        query = (
            select(
                *place_columns(text_links), text_links.c.revision, text_links.c.story, text_links.c.made_at
            )
            .add_columns(mentions.c.asset, mentions.c.kind, mentions.c.confidence)
            .join_from(text_links, series, text_links.c.series == series.c.id)
            .outerjoin(mentions, same_link(mentions, text_links))
            .where(text_links.c.linker == linker, or_(*named), *bounds(text_links, at))
            .order_by(text_links.c.revision)
        )
        rows: dict[TextId, list[Mapping[str, Any]]] = {}
        for row in (await connection.execute(query)).mappings():
            mine = rows.setdefault(text_id(row), [])
            if mine and mine[0]["revision"] < row["revision"]:
                mine.clear()
            mine.append(dict(row))
        return {
            place: Linked(mine[0]["revision"], linker, mine[0]["story"], mine[0]["made_at"], said_in(mine))
            for place, mine in rows.items()
        }

    async def texts_about(
        self,
        asset: str,
        over: TimeRange,
        linker: str,
        most: int,
        at: Point = NOW,
        kinds: Sequence[Kind] = KINDS,
        least: Decimal = Decimal(0),
    ) -> list[TextId]:
        """The texts with a time in `over` that speak of the asset with that confidence or more, newest first."""
        later = text_links.alias("later")
        replaced = (
            select(later.c.item)
            .where(later.c.series == text_links.c.series, later.c.item == text_links.c.item)
            .where(later.c.linker == linker, later.c.revision > text_links.c.revision, *bounds(later, at))
            .exists()
        )
        of_kind = [
            select(FACTS[kind].c.item)
            .where(FACTS[kind].c.series == mentions.c.series, FACTS[kind].c.item == mentions.c.item)
            .exists()
            for kind in kinds
        ]
        query = (
            select(*place_columns(mentions))
            .join_from(mentions, text_links, same_link(mentions, text_links))
            .join(series, mentions.c.series == series.c.id)
            .where(mentions.c.asset == asset, mentions.c.at >= over.start, mentions.c.at < over.end)
            .where(mentions.c.linker == linker, mentions.c.confidence >= least)
            .where(~replaced, *bounds(text_links, at), or_(*of_kind))
            .order_by(mentions.c.at.desc(), series.c.stream, series.c.partition, mentions.c.item)
            .limit(most)
        )
        async with self._database.read() as connection:
            return [text_id(row) for row in (await connection.execute(query)).mappings()]


@dataclass(frozen=True, slots=True)
class _Earlier:
    """The last link of a text by one linker."""

    revision: int
    through: int
    said: set[Said]


async def _latest(
    connection: AsyncConnection, texts: Sequence[StoredText], linker: str
) -> dict[tuple[int, str], _Earlier]:
    out: dict[tuple[int, str], _Earlier] = {}
    for first in range(0, len(texts), AT_ONCE):
        some = texts[first : first + AT_ONCE]
        query = (
            select(text_links.c.series, text_links.c.item, text_links.c.revision, text_links.c.through)
            .add_columns(mentions.c.asset, mentions.c.kind, mentions.c.confidence)
            .outerjoin_from(text_links, mentions, same_link(mentions, text_links))
            .where(text_links.c.linker == linker)
            .where(text_links.c.series.in_({text.series for text in some}))
            .where(text_links.c.item.in_({text.id.item for text in some}))
            .order_by(text_links.c.revision)
        )
        for row in (await connection.execute(query)).mappings():
            place = (row["series"], row["item"])
            if place not in out or out[place].revision < row["revision"]:
                out[place] = _Earlier(row["revision"], row["through"], set())
            out[place].said.update(said_in([row]))
    return out


async def _count(connection: AsyncConnection, streams: Mapping[Kind, Sequence[str]], over: TimeRange) -> int:
    """How many links the texts of these streams with a time in `over` have."""
    found = 0
    for kind, names in streams.items():
        of = await _series(connection, names)
        text = FACTS[kind]
        query = (
            select(func.count())
            .select_from(text)
            .join(text_links, same_text(text_links, text))
            .where(text.c.series.in_(of), text.c.revision == 0)
            .where(text.c.at >= over.start, text.c.at < over.end)
        )
        found += (await connection.execute(query)).scalar_one()
    return found


async def _series(connection: AsyncConnection, streams: Sequence[str]) -> dict[int, tuple[str, str]]:
    """Stream and partition of each series, by its number. With the numbers told the index by time is used."""
    query = select(series.c.id, series.c.stream, series.c.partition).where(series.c.stream.in_(streams))
    return {number: (stream, partition) for number, stream, partition in await connection.execute(query)}
