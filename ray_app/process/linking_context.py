"""What stands around a possible mention and makes it one.

Headlines in title case hide the difference between "Optimism Fades" and "Optimism Launches"; only words that a
name takes and a noun does not (what somebody does, "Foundation", "token", "-based") tell them apart. Those words
stand in `linking_evidence.toml`.
"""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import pairwise

from ray_app.process.linking_forms import WORD, Form, Need

_EVIDENCE: dict[str, str | list[str]] = tomllib.loads(
    resources.files("ray_app.process").joinpath("linking_evidence.toml").read_text("utf-8")
)


def _words(name: str) -> frozenset[str]:
    found = _EVIDENCE[name]
    return frozenset(found.split() if isinstance(found, str) else found)


COIN_AFTER, COIN_BEFORE, MARKET = _words("coin_after"), _words("coin_before"), _words("market")
STOCK_AFTER, STOCK_BEFORE, EQUITY = _words("stock_after"), _words("stock_before"), _words("equity")
TOPIC, TOPIC_PAIRS = _words("topic"), _words("topic_pairs")
HYPHENATED, LIKENESS, ACTS = _words("hyphenated"), _words("likeness"), _words("acts")
EXCHANGES, ARTICLES, STARTERS = _words("exchanges"), _words("articles"), _words("starters")
CONNECTORS, SMALL = _words("connectors"), _words("small")

SENTENCE_END = re.compile(r"[.!?][\"'”’)]*\s+(?=[\"'“‘(]?[A-Z0-9$])|\n")
HIDDEN = re.compile(r"https?://\S+|www\.\S+|\S+@\S+|@\w+|\b[ru]/\w+")  # addresses, handles, forums
SHOUTING = 0.6  # the share of longer words in capitals from which capitals tell nothing
SHORT_WORD = 3
POSSESSIVE = frozenset({"'", "’"})


@dataclass(frozen=True, slots=True)
class Word:
    text: str
    lower: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """A form found at words[first:last] of a sentence."""

    form: Form
    first: int
    last: int


class Sentence:
    """Its words, and what its capitals tell."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.words = [Word(m.group(), m.group().lower(), m.start(), m.end()) for m in WORD.finditer(text)]
        longer = [word.text for word in self.words if len(word.text) > SHORT_WORD and word.text.isalpha()]
        self.tells_by_case = any(text.islower() and text not in SMALL for text in longer)
        self.shouts = len(longer) > 1 and sum(map(str.isupper, longer)) > SHOUTING * len(longer)

    def word(self, place: int) -> str:
        """In lower case; empty outside the sentence."""
        return self.words[place].lower if 0 <= place < len(self.words) else ""

    def gap(self, place: int) -> str:
        """What stands between words[place - 1] and words[place]."""
        start = self.words[place - 1].end if place > 0 else 0
        end = self.words[place].start if place < len(self.words) else len(self.text)
        return self.text[start:end]

    def has_topic(self) -> bool:
        words = [word.lower for word in self.words]
        return not TOPIC.isdisjoint(words) or any(
            f"{one} {two}" in TOPIC_PAIRS for one, two in pairwise(words)
        )

    def has_any(self, words: frozenset[str]) -> bool:
        return any(word.lower in words for word in self.words)


def sentences(text: str) -> list[Sentence]:
    """Addresses, handles and forums' names do not count; they are blanked."""
    clean = HIDDEN.sub(lambda m: " " * len(m.group()), text)
    return [Sentence(part) for part in SENTENCE_END.split(clean) if part.strip()]


def tagged(sentence: Sentence, found: Candidate) -> bool:
    """$SOL or #SOL."""
    return sentence.gap(found.first).endswith(("$", "#"))


def in_brackets(sentence: Sentence, found: Candidate) -> bool:
    """A ticker alone in brackets: (NEAR), (NASDAQ: COIN)."""
    before, after = sentence.gap(found.first), sentence.gap(found.last)
    if not (found.form.is_ticker and after.startswith((")", "]"))):
        return False
    return before.endswith(("(", "[")) or sentence.word(found.first - 1) in {"nasdaq", "nyse"}


def listed(sentence: Sentence, found: Candidate, others: Sequence[Candidate]) -> bool:
    """Beside another coin in a list: "SOL, DOT and LINK", "NEAR/BTC"."""
    return not has_article(sentence, found) and any(
        _joined(sentence, other.last, found.first) or _joined(sentence, found.last, other.first)
        for other in others
        if other is not found
    )


def hyphenated(sentence: Sentence, found: Candidate) -> bool:
    """Part of a compound, as in near-term or Apple-esque; "Solana-based" is none."""
    follows = sentence.word(found.last) if sentence.gap(found.last) == "-" else None
    if found.form.need is Need.NOTHING:
        return follows in LIKENESS
    before = sentence.gap(found.first) == "-" and found.first > 0
    return before or (follows is not None and follows not in HYPHENATED and follows not in COIN_AFTER)


def has_article(sentence: Sentence, found: Candidate) -> bool:
    """ "An Avalanche of", "More Optimism": a noun. Names that are no common words may have one."""
    if found.form.need is Need.TOPIC:
        return False
    before = sentence.word(found.first - 1) in ARTICLES and sentence.gap(found.first) == " "
    return before or (sentence.word(found.last) == "of" and sentence.gap(found.last) == " ")


def speaks_of_coin(sentence: Sentence, found: Candidate) -> bool:
    after, possessive = _next(sentence, found)
    before = sentence.word(found.first - 1) if sentence.gap(found.first) == " " else ""
    if after in COIN_AFTER or (after in HYPHENATED and sentence.gap(found.last) == "-"):
        return True
    if before in COIN_BEFORE:
        return True
    if has_article(sentence, found):
        return False
    layer = before in {"1", "2"} and sentence.word(found.first - 2) == "layer"
    acts = (after in ACTS or possessive) and not _longer_name(sentence, found)
    return layer or before in {"on", "via"} or acts or _starts(sentence, found) or _by_case(sentence, found)


def speaks_of_company(sentence: Sentence, found: Candidate, *, topic: bool) -> bool:
    """`topic`: the text is about crypto; a doubtful name, "Block" or "Circle", needs that too."""
    after, possessive = _next(sentence, found)
    before = sentence.word(found.first - 1)
    before = sentence.word(found.first - 2) if before == "of" else before  # shares of Citi
    if after in STOCK_AFTER or before in STOCK_BEFORE:
        return True
    if found.form.is_ticker and found.form.need is Need.NEIGHBOUR:
        return len(found.form.written) > 1 and sentence.has_any(EQUITY) and not sentence.shouts
    if has_article(sentence, found) or not (topic or found.form.need is Need.COMPANY):
        return False
    peers = [place for place, word in enumerate(sentence.words) if word.lower in EXCHANGES]
    if any(
        _joined(sentence, place + 1, found.first) or _joined(sentence, found.last, place) for place in peers
    ):
        return True
    acts = (after in ACTS or possessive) and not _longer_name(sentence, found)
    return acts or _starts(sentence, found) or _by_case(sentence, found)


def speaks_of_market(sentence: Sentence, found: Candidate) -> bool:
    return _next(sentence, found)[0] in MARKET and not sentence.shouts


def _next(sentence: Sentence, found: Candidate) -> tuple[str, bool]:
    """The word that follows, and whether a possessive stands between."""
    gap = sentence.gap(found.last)
    if gap in POSSESSIVE and sentence.word(found.last) == "s":
        return (sentence.word(found.last + 1) if sentence.gap(found.last + 1) == " " else ""), True
    return (sentence.word(found.last) if gap in {" ", "-", "\u00a0"} else ""), False


def _joined(sentence: Sentence, left: int, right: int) -> bool:
    """Whether two members of a list meet: one ends before words[left], the other starts at words[right]."""
    if right == left:
        return sentence.gap(right).strip() in {",", "/", "&", "+", "|", ", $"}
    return right == left + 1 and sentence.word(left) in CONNECTORS and len(sentence.gap(right)) <= SHORT_WORD


def _longer_name(sentence: Sentence, found: Candidate) -> bool:
    """ "Pussy Riot", "Smartphone Maker": a capital right before it that only a name, or title case, explains."""
    if found.first == 0 or sentence.gap(found.first) != " ":
        return False
    before = sentence.words[found.first - 1]
    return before.text[:1].isupper() and before.lower not in STARTERS


def _starts(sentence: Sentence, found: Candidate) -> bool:
    """ "Circle to Acquire": the headline's subject."""
    return found.first == 0 and sentence.gap(found.last) == " " and sentence.word(found.last) == "to"


def _by_case(sentence: Sentence, found: Candidate) -> bool:
    """A capital inside a sentence of small letters, not part of a longer name."""
    if not sentence.tells_by_case or found.first == 0 or sentence.gap(found.first) != " ":
        return False
    if not sentence.words[found.first].text[0].isupper():
        return False
    follows = sentence.words[found.last].text if found.last < len(sentence.words) else ""
    before = sentence.words[found.first - 1].text
    joined = sentence.gap(found.last) == " " and follows[:1].isupper()
    return not joined and (before.islower() or before[:1].isdigit())
