"""What a link is, and how its rows are read and written: the words of `links`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, FromClause, Table, and_, false, func, select

from ray_app.model.texts import Article, Post
from ray_app.model.timerange import TimeRange
from ray_app.store.reading import Point
from ray_app.store.tables import FACTS, series

Kind = type[Article] | type[Post]
KINDS: tuple[Kind, ...] = (Article, Post)
LONGEST = 10_000  # letters of a summary or body that are read
FIRST = 2_000  # of them for telling stories apart


class TextId(NamedTuple):
    """The place of a text, whatever its revision."""

    stream: str
    partition: str
    item: str


@dataclass(frozen=True, slots=True)
class StoredText:
    """A text in its newest revision. `story` is the one that it has already, if any."""

    id: TextId
    series: int
    revision: int
    at: datetime
    known_at: datetime
    title: str
    text: str  # summary and body
    topics: tuple[str, ...]
    deleted: bool
    story: str | None


@dataclass(frozen=True, slots=True)
class Told:
    """A text of a story, with the beginning of what it says."""

    id: TextId
    at: datetime
    story: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Recent:
    """The linked texts with a time in `over`, and how many links these had when they were read."""

    over: TimeRange
    streams: Mapping[Kind, Sequence[str]]
    texts: tuple[Told, ...]
    links: int


class Said(NamedTuple):
    """An asset that a text speaks of: a coin's id in the registry or a stock's ticker; `kind` coin or stock."""

    asset: str
    kind: str
    confidence: Decimal  # 0 to 1


@dataclass(frozen=True, slots=True)
class Link:
    """What came out for one text."""

    text: StoredText
    story: str
    said: tuple[Said, ...]


@dataclass(frozen=True, slots=True)
class Linked:
    """A stored link; `revision` is the first of the text's that speaks of these, the surest asset first."""

    revision: int
    linker: str
    story: str
    made_at: datetime
    said: tuple[Said, ...]


def place_columns(rows: Table) -> tuple[ColumnElement[Any], ...]:
    return series.c.stream, series.c.partition, rows.c.item


def text_id(row: Mapping[Any, Any]) -> TextId:
    return TextId(row["stream"], row["partition"], row["item"])


def word_columns(text: Table, longest: int) -> tuple[ColumnElement[Any], ...]:
    """Columns title, summary and body; a post has no summary."""
    summary = [func.substr(text.c.summary, 1, longest).label("summary")] if "summary" in text.c else []
    return (text.c.title, *summary, func.substr(text.c.body, 1, longest).label("body"))


def text_columns(text: Table, longest: int) -> tuple[ColumnElement[Any], ...]:
    """What `stored` reads; an article is never deleted."""
    deleted = text.c.deleted if "deleted" in text.c else false()
    places = (text.c.series, text.c.item, text.c.revision, text.c.at, text.c.known_at)
    return (*places, *word_columns(text, longest), text.c.topics, deleted.label("gone"))


def words_in(row: Mapping[Any, Any]) -> tuple[str, str]:
    """Title, and summary and body."""
    return row["title"] or "", "\n".join(filter(None, (row.get("summary"), row["body"])))


def stored(row: Mapping[Any, Any], stream: str, partition: str) -> StoredText:
    told = {name: row[name] for name in ("series", "revision", "at", "known_at", "story")}
    title, text = words_in(row)
    topics = tuple(filter(None, (row["topics"] or "").split("; ")))
    place = TextId(stream, partition, row["item"])
    return StoredText(id=place, title=title, text=text, topics=topics, deleted=bool(row["gone"]), **told)


def same_text(one: FromClause, other: FromClause) -> ColumnElement[bool]:
    return and_(one.c.series == other.c.series, one.c.item == other.c.item)


def standing(kind: Kind, since: datetime | None, until: datetime | None) -> list[ColumnElement[bool]]:
    """That a row is the newest of its text, which is not deleted, and has a time in this range."""
    text = FACTS[kind]
    others = text.alias("others")
    newer = select(others.c.item).where(same_text(others, text), others.c.revision > text.c.revision)
    rules = [~newer.correlate(text).exists()]
    if kind is Post:
        gone = select(others.c.item).where(same_text(others, text), others.c.deleted)
        rules.append(~gone.correlate(text).exists())
    if since is not None:
        rules.append(text.c.at >= since)
    if until is not None:
        rules.append(text.c.at < until)
    return rules


def same_link(one: FromClause, other: FromClause) -> ColumnElement[bool]:
    same = (one.c.linker == other.c.linker, one.c.revision == other.c.revision)
    return and_(same_text(one, other), *same)


def bounds(links: Any, at: Point) -> list[ColumnElement[bool]]:
    """A link was there from `made_at` on; anyone could have made it from the text's `known_at` on."""
    out = []
    if at.as_of is not None:
        out += [links.c.made_at <= at.as_of, links.c.known_at <= at.as_of]
    if at.known_by is not None:
        out.append(links.c.known_at <= at.known_by)
    return out


def said_in(rows: Sequence[Mapping[Any, Any]]) -> tuple[Said, ...]:
    said = [Said(r["asset"], r["kind"], r["confidence"]) for r in rows if r["asset"] is not None]
    return tuple(sorted(said, key=lambda one: (-one.confidence, one.asset)))


def link_row(link: Link, linker: str, made_at: datetime) -> dict[str, Any]:
    text = link.text
    place = {"series": text.series, "item": text.id.item, "linker": linker, "revision": text.revision}
    told = {"story": link.story, "known_at": text.known_at, "made_at": made_at}
    return place | told | {"through": text.revision}


def mention_rows(link: Link, linker: str) -> list[dict[str, Any]]:
    text = link.text
    place = {"series": text.series, "item": text.id.item, "linker": linker, "revision": text.revision}
    return [place | one._asdict() | {"at": text.at} for one in link.said]
