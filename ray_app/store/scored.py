"""What a stored score is, and how its rows are read and written: the words of `scores`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any

from ray_app.store.linked import LONGEST, TextId, words_in

DIGITS = 9  # after the point; further ones differ between machines


@dataclass(frozen=True, slots=True)
class Scorer:
    """A model as it was configured: `digest` is of all that decides a score, `identity` JSON with its parts."""

    model: str
    digest: str
    identity: str = ""


@dataclass(frozen=True, slots=True)
class Unscored:
    """A text in its newest revision. `engagement`: likes and answers, as they are kept."""

    id: TextId
    series: int
    revision: int
    known_at: datetime
    said: str
    engagement: int

    @property
    def content(self) -> str:
        return content_of(self.said)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a model said: either all of the numbers, or a reason."""

    score: Decimal | None  # -1 to 1
    label: str | None
    confidence: Decimal | None
    bearish: Decimal | None
    neutral: Decimal | None
    bullish: Decimal | None
    reason: str | None


VERDICT = tuple(Verdict.__dataclass_fields__)


@dataclass(frozen=True, slots=True)
class Scored:
    """A stored score. `content` is None where the text was deleted since."""

    scorer: Scorer
    revision: int
    content: str | None
    verdict: Verdict
    made_at: datetime


@dataclass(frozen=True, slots=True)
class Tally:
    """Texts, those of them with a score by its label, and those without one by its reason; the others were not
    read yet.
    """

    texts: int
    labels: Mapping[str, int]
    without: Mapping[str, int]

    @property
    def scored(self) -> int:
        return sum(self.labels.values())

    @property
    def left(self) -> int:
        return self.texts - self.scored - sum(self.without.values())


@dataclass(frozen=True, slots=True)
class Mention:
    """A text that speaks of an asset, with the numbers that count for its sentiment; no words.

    `score` and `confidence` are None where the served model has given none (by then).
    """

    id: TextId
    asset: str
    kind: str  # coin | stock
    at: datetime
    story: str
    link: Decimal  # how sure it is that it speaks of the asset, 0 to 1
    engagement: int
    score: Decimal | None
    confidence: Decimal | None


def said_by(title: str, text: str) -> str:
    """What of a text is given to a model: the title, and below it summary and body."""
    return "\n".join(filter(None, (title, text)))


def said_in(values: Mapping[str, Any]) -> str:
    """The same from a fact's values."""
    cut = {name: (values.get(name) or "")[:LONGEST] for name in ("summary", "body")}
    return said_by(*words_in({"title": values["title"], **cut}))


def content_of(said: str) -> str:
    """Texts with the same words have the same: they are scored once."""
    return sha256(said.encode()).hexdigest()


def magnitude(count: int) -> int:
    """A count rounded down to one less than a power of two: 0, 1, 3, 7, 15, ...

    So a post that gains likes all day gets a few rows, and how many it had exactly is not kept.
    """
    return (1 << (max(0, count) + 1).bit_length() - 1) - 1


def exact(number: float) -> Decimal:
    return Decimal(f"{number:.{DIGITS}f}") + 0  # -0 is 0


def verdict_in(row: Mapping[Any, Any]) -> Verdict:
    return Verdict(**{name: row[name] for name in VERDICT})
