"""Texts for a model to read: which of them, its caller says; here is how they are read."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, literal, select

from ray_app.model.texts import Post
from ray_app.store.engine import Database
from ray_app.store.linked import LONGEST, Kind, TextId, same_text, word_columns, words_in
from ray_app.store.scored import Unscored, magnitude, said_by
from ray_app.store.tables import FACTS, series

Narrow = Callable[[Select[Any]], Select[Any]]


async def read_unscored(
    database: Database, kind: Kind, streams: Sequence[str], narrow: Narrow, most: int
) -> list[Unscored]:
    """At most so many texts of these streams, newest first. `narrow` says which, of a select of the kind's table."""
    text = FACTS[kind]
    engagement: ColumnElement[Any] = literal(0)
    if kind is Post:
        engagement = func.coalesce(text.c.likes, 0) + func.coalesce(text.c.replies, 0)
    async with database.read() as connection:
        named = select(series.c.id, series.c.stream, series.c.partition).where(series.c.stream.in_(streams))
        of = {row.id: (row.stream, row.partition) for row in await connection.execute(named)}
        # Keys first: MariaDB sorts whole rows, texts and all, and runs out of memory for it.
        keys = (
            narrow(select(text.c.series, text.c.item, text.c.revision))
            .where(text.c.series.in_(of))
            .order_by(text.c.at.desc(), text.c.series, text.c.item)
            .limit(most)
            .subquery("keys")
        )
        query = (
            select(text.c.series, text.c.item, text.c.revision, text.c.known_at)
            .add_columns(*word_columns(text, LONGEST), engagement.label("engagement"))
            .join_from(keys, text, and_(same_text(keys, text), keys.c.revision == text.c.revision))
            .order_by(text.c.at.desc(), text.c.series, text.c.item)
        )
        return [
            Unscored(
                id=TextId(*of[row["series"]], row["item"]),
                series=row["series"],
                revision=row["revision"],
                known_at=row["known_at"],
                said=said_by(*words_in(row)),
                engagement=magnitude(int(row["engagement"])),
            )
            for row in (await connection.execute(query)).mappings()
        ]
