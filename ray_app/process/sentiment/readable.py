"""What of a text is read, and whether a model of English can say anything about it.

Language is told by rules that are only sure of the plain cases: another script, or the small words of another
language and none of English. A short text in another language with Latin letters passes.
"""

import csv
import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources

from ray_app.model.plaintext import tidied
from ray_app.process.sentiment.scores import Reason

LONGEST = 20_000  # characters that are looked at; no rule below reads further
_LEAST_LATIN = 0.5  # the share of the letters
_LEAST_FOREIGN = 2  # small words of one other language

_ADDRESS = re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_SMALL_WORDS = resources.files(__package__) / "small_words.csv"


@lru_cache(maxsize=1)
def _small_words() -> Mapping[str, frozenset[str]]:
    """Language -> its small words."""
    found: dict[str, frozenset[str]] = {}
    for row in csv.DictReader(_SMALL_WORDS.read_text("utf-8").splitlines()):
        found[row["language"]] = found.get(row["language"], frozenset()) | set(row["words"].split())
    return found


def cleaned(text: object) -> str:
    """The part of a text that is read: the first 20,000 characters, without what nobody sees. "" for no text."""
    if not isinstance(text, str):
        return ""
    seen = tidied(text[:LONGEST].encode("utf-8", "replace").decode())
    # Marks that turn the direction of writing and other format characters; the joiner holds emoji together.
    kept = (c for c in seen if c in "\n\u200d" or unicodedata.category(c) not in ("Cc", "Cf", "Co", "Cn"))
    return "".join(kept).strip()


def unreadable(text: str) -> Reason | None:
    """Why nothing can be said about a cleaned text; None where something can."""
    if not text:
        return "empty"
    letters = [c for c in _ADDRESS.sub(" ", text) if c.isalpha()]
    if not letters:
        return "no_words"
    latin = sum("LATIN" in unicodedata.name(c, "") for c in letters)
    if latin < _LEAST_LATIN * len(letters):
        return "not_english"
    words = {word.lower() for word in _WORD.findall(text)}
    small = _small_words()
    if not words & small["en"] and any(len(words & some) >= _LEAST_FOREIGN for some in small.values()):
        return "not_english"
    return None
