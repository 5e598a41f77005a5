"""Mentions of assets as opinions: which texts count, as what, and one opinion for each text.

Filings of the SEC speak of companies and take no side: they are linked and do not count.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from ray_app.model.records import Record
from ray_app.model.texts import Post
from ray_app.process.sentiment.aggregate import Kind, Opinion

SOURCES: tuple[Kind, ...] = ("news", "reddit", "twitter")
OF_POSTS: dict[str, Kind] = {"reddit": "reddit", "x": "twitter"}
NO_OPINION = frozenset({"edgar"})
DIGITS = 6


class Mentioned(Protocol):
    """A stored mention: what `store.scored.Mention` is."""

    @property
    def id(self) -> Any: ...
    @property
    def at(self) -> datetime: ...
    @property
    def story(self) -> str: ...
    @property
    def link(self) -> Decimal: ...
    @property
    def engagement(self) -> int: ...
    @property
    def score(self) -> Decimal | None: ...
    @property
    def confidence(self) -> Decimal | None: ...


def kind_of(record: type[Record], source: str) -> Kind | None:
    """As what the texts of a source count; None: they do not."""
    if record is Post:
        return OF_POSTS.get(source)
    return None if source in NO_OPINION else "news"


def opinions_of(found: Iterable[Mentioned], kinds: Mapping[str, Kind], model: str) -> list[Opinion]:
    """One for each text, by its surest mention. `kinds`: by source.stream, which `id.stream` names."""
    surest: dict[Any, Mentioned] = {}
    for one in found:
        if one.id not in surest or surest[one.id].link < one.link:
            surest[one.id] = one
    return [
        Opinion(
            kind=kinds[one.id.stream],
            at=one.at,
            score=_number(one.score),
            confidence=_number(one.confidence),
            model=model,
            link=float(one.link),
            engagement=one.engagement,
            story=one.story,
        )
        for one in surest.values()
    ]


def rounded(value: float | None) -> float | None:
    """As many digits as every machine gives alike."""
    return None if value is None else round(value, DIGITS) + 0.0  # -0.0 is 0.0


def _number(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
