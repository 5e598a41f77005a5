"""Which texts tell the same story: near-duplicates across feeds within 48 hours. Rules, no model.

Two texts are compared by the words of their titles and of the first words below them, as stems, each word
weighing the more the rarer it is in crypto headlines (`stories_words.csv`: counts in 7,500 of them). Amounts
are written in one way: "$1.25 billion" and "USD 1.25B" are one word. A column that a feed repeats ("+ More
News", "Price analysis") is no story: within one feed only an equal text counts. Grouped, never dropped.
"""

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from importlib import resources
from math import log, sqrt

from ray_app.model.plaintext import same_title

WINDOW = timedelta(hours=48)
SAME = 0.24  # the likeness, 0 to 1, from which two feeds tell one story
APART = 0.15  # how much less alike two texts are that are 48 hours apart
AMOUNT = 0.05  # how much more, where they tell the same amount
TITLES = 0.25  # that of the titles alone, at least: summaries hold boilerplate
BARE = 0.7  # what the titles' likeness counts where one text is nothing but a title
OUTLET = 40  # characters that a feed may put before the title that its text repeats
FIRST = 30  # words below the title that are looked at
HEAD = 20  # words that stand for the title of a text without one
LEAST_SHARED = 2  # words that two titles must share
LEAST_WEIGHT = 1.4  # and what these must weigh together: "bitcoin price" is no story
COUNTED = 0.3  # the weight of years and of single digits
RAREST = 0.0004  # the share of headlines that a word not in the table is taken to be in

_AMOUNT = re.compile(
    r"(\d(?:[\d.]*\d)?) ?(million|mln|mn|m|billion|bln|bn|b|trillion|tn|thousand|k|percent)\b"
)
_UNITS = {"million": "m", "mln": "m", "mn": "m", "billion": "b", "bln": "b", "bn": "b", "trillion": "t",
          "tn": "t", "thousand": "k", "percent": "%"}  # fmt: skip
_ALIASES = {"btc": "bitcoin", "eth": "ethereum", "ether": "ethereum", "cryptocurrency": "crypto",
            "cryptocurrencies": "crypto", "says": "say", "said": "say"}  # fmt: skip
_DIGEST = re.compile(r"(?:\+|&|,? and) more\b[^:;,.]{0,20}$", re.IGNORECASE)
_YEAR = re.compile(r"(?:19|20)\d\d")
_ENDINGS = ("ing", "ies", "ed", "es", "s")
_SHORT = 4
_SAYS_NOTHING = {
    "a", "an", "the", "of", "to", "in", "on", "for", "and", "or", "as", "at", "by", "with", "from", "is", "are",
    "was", "be", "it", "its", "this", "that", "has", "have", "had", "will", "not", "after", "over", "amid", "into",
    "than", "up", "down", "how", "why", "what", "who", "when", "new", "usd", "eur", "gbp", "report", "reports",
    "reportedly", "say", "more", "news", "here", "s", "t",
}  # fmt: skip


def story_id(stream: str, partition: str, item: str) -> str:
    """The id of the story that begins with this text: 64 hex digits."""
    return sha256(f"{stream}:{partition}:{item}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Words:
    """What a text is compared by: stems of the title, and of the title with what follows, with their lengths."""

    title: frozenset[str]
    all: frozenset[str]
    title_length: float
    length: float

    @property
    def bare(self) -> bool:
        return self.title == self.all


@dataclass(frozen=True, slots=True)
class Telling:
    """A text: `feed` is its stream and partition, `words` what `words_of` makes of it."""

    id: str  # of the story that it would begin
    feed: tuple[str, str]
    at: datetime
    words: Words


class Stories:
    """Texts and the stories that they were put into. `place` takes texts oldest first."""

    def __init__(self, known: Iterable[tuple[Telling, str]] = ()) -> None:
        """`known`: (text, story) of those placed before, in any order."""
        self._placed: list[tuple[Telling, str]] = []
        self._by_word: dict[str, list[int]] = {}
        for telling, story in known:
            self._add(telling, story)

    def place(self, telling: Telling) -> str:
        """The story of the most alike text within 48 hours, or a new one that begins here."""
        found = [
            (likeness, other.id, story)
            for other, story in self._candidates(telling)
            if abs(other.at - telling.at) <= WINDOW and (likeness := like(telling, other)) >= SAME
        ]
        story = max(found)[2] if found else telling.id
        self._add(telling, story)
        return story

    def _add(self, telling: Telling, story: str) -> None:
        for word in telling.words.title:
            self._by_word.setdefault(word, []).append(len(self._placed))
        self._placed.append((telling, story))

    def _candidates(self, telling: Telling) -> Iterable[tuple[Telling, str]]:
        shared: dict[int, float] = {}
        for word in telling.words.title:
            weighs = weight(word)
            for place in self._by_word.get(word, ()):
                shared[place] = shared.get(place, 0.0) + weighs
        return [self._placed[place] for place, weighs in shared.items() if weighs >= LEAST_WEIGHT]


def like(one: Telling, other: Telling) -> float:
    """How alike two texts are, from 0: too little is shared to tell."""
    if one.feed == other.feed:
        return 1.0 if one.words == other.words else 0.0
    mine, theirs = one.words, other.words
    shared = mine.title & theirs.title
    if len(shared) < LEAST_SHARED or sum(map(weight, shared)) < LEAST_WEIGHT:
        return 0.0
    titles = _cosine(shared, mine.title_length * theirs.title_length)
    if titles < TITLES:
        return 0.0
    if mine.bare or theirs.bare:
        likeness = titles if mine.title == theirs.title else BARE * titles
    else:
        likeness = (titles + _cosine(mine.all & theirs.all, mine.length * theirs.length)) / 2
    if any(word[0].isdigit() and weight(word) == 1.0 for word in mine.all & theirs.all):
        likeness += AMOUNT
    return max(0.0, likeness - APART * (abs(one.at - other.at) / WINDOW))


def _cosine(shared: Iterable[str], lengths: float) -> float:
    return sum(weight(word) ** 2 for word in shared) / lengths if lengths else 0.0


@lru_cache(maxsize=50_000)
def words_of(title: str, text: str = "") -> Words:
    """The words that a text is compared by; a text without a title is taken by its first words."""
    if _DIGEST.search(title):  # many stories in one
        return Words(frozenset(), frozenset(), 0.0, 0.0)
    below = _stems(_below(title, text[:2000]))
    head = frozenset(_stems(title) or below[:HEAD])
    whole = head | frozenset(below[:FIRST])
    return Words(head, whole, _length(head), _length(whole))


def _below(title: str, text: str) -> str:
    """The text after its title, where a feed repeats that (and its own name before it) at the start."""
    before, found, after = text.partition(title) if title else (text, "", "")
    return after if found and len(before) <= OUTLET else text


def _length(words: Iterable[str]) -> float:
    return sqrt(sum(weight(word) ** 2 for word in words))


def _stems(text: str) -> list[str]:
    plain = _AMOUNT.sub(lambda m: m[1] + _UNITS.get(m[2], m[2]), same_title(text).replace("$", ""))
    words = (_ALIASES.get(word, word) for word in plain.split())
    return [_stem(word) for word in words if word not in _SAYS_NOTHING]


def _stem(word: str) -> str:
    if not word.isascii() or not word.isalpha():
        return word
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _SHORT - 1:
            return word.removesuffix(ending)
    return word


def weight(word: str) -> float:
    """0 to 1: how rare a stem is in headlines."""
    if _YEAR.fullmatch(word) or (len(word) == 1 and word.isdigit()):
        return COUNTED
    return _weights().get(word, 1.0)


@lru_cache(maxsize=1)
def _weights() -> Mapping[str, float]:
    text = resources.files("ray_app.process").joinpath("stories_words.csv").read_text("utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    rows = csv.DictReader(lines)
    return {row["stem"]: log(10_000 / float(row["per_10000"])) / log(1 / RAREST) for row in rows}
