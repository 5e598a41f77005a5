"""What words and compared amounts say of a text's direction: the part of the embedded model that can be read.

"Profit fell to 3.1 million from 4.0 million" and "profit rose to ..." are nearly the same to a sentence
embedding. Here rising is good and falling is bad, the other way round beside a burden ("costs rose"), and a
negation turns a word. The words stand in `market_words.csv`.
"""

import csv
import math
import re
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources

VERSION = "market-words/1"
NAMES = ("good", "bad", "balance", "nothing", "amount_up", "amount_down", "asks")
LONGEST = 2_000  # characters that are looked at

FILE = resources.files(__package__) / "market_words.csv"
_NEGATED_WITHIN = 3  # words
_BURDEN_BEFORE, _BURDEN_AFTER = 5, 3
_TURNED_GOOD = 0.5  # "not bad" is less good than "bad" is bad
_EARNED = frozenset({"profit", "sales"})  # beside these a burden does not turn a comparison of amounts

_WORD = re.compile(r"[a-z][a-z'-]*")
_AMOUNT = r"(?:[a-z$€£]{0,4}\s?)(\d[\d,]{0,15}(?:\.\d{1,6})?)"
_UNIT = (
    r"\s?(?:%|percent|per cent|pct|m|mn|mln|million|bn|billion|thousand|k|m?eur|m?usd|euros?|dollars?)?\s?"
    r"(?:in [^,.;]{0,30}?)?"
)
# "7.4 million, against 5.2 million", "up from 5.2 million": now, then before.
_AGAINST = re.compile(
    rf"{_AMOUNT}{_UNIT},?\s?\(?(?:(?:up |down )?from|as compared to|compared (?:to|with)|versus|vs\.?|(?:as )?against)"
    rf"\s+(?:an? |the )?(?:[a-z]+ ){{0,4}}?(?:of )?{_AMOUNT}"
)
# "from 5.2 million to 7.4 million": before, then now.
_FROM_TO = re.compile(rf"from {_AMOUNT}{_UNIT}to {_AMOUNT}")


@lru_cache(maxsize=1)
def _senses() -> Mapping[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for row in csv.DictReader(FILE.read_text("utf-8").splitlines()):
        found[row["sense"]] = found.get(row["sense"], frozenset()) | set(row["words"].split())
    return found


def market_words(text: str) -> tuple[float, ...]:
    """The features of NAMES, each from -1 to 1."""
    low = text[:LONGEST].lower().replace("’", "'")
    words = _WORD.findall(low)
    good, bad = _counted(words, low)
    amounts = _amounts(low, set(words))
    return (
        1 - math.exp(-good),
        1 - math.exp(-bad),
        math.tanh((good - bad) / 2),
        float(good + bad == 0),
        float(amounts > 0),
        float(amounts < 0),
        float("?" in low),
    )


def _counted(words: list[str], low: str) -> tuple[float, float]:
    """How much good and how much bad the words say."""
    sense, good, bad = _senses(), 0.0, 0.0
    for place, word in enumerate(words):
        turned = bool(sense["not"].intersection(words[max(0, place - _NEGATED_WITHIN) : place]))
        if word in sense["up"] or word in sense["down"]:
            around = words[max(0, place - _BURDEN_BEFORE) : place + _BURDEN_AFTER + 1]
            burden = bool(sense["burden"].intersection(around))
            is_good = (word in sense["up"]) ^ burden ^ turned
            good, bad = good + is_good, bad + (not is_good)
        elif word in sense["good"]:
            good, bad = good + (not turned), bad + turned
        elif word in sense["ill"]:
            good, bad = good + _TURNED_GOOD * turned, bad + (not turned)
    good += sum(low.count(sign) for sign in sense["good"] if not sign.isascii())
    bad += sum(low.count(sign) for sign in sense["ill"] if not sign.isascii())
    return good, bad


def _amounts(low: str, words: set[str]) -> int:
    """1 where an amount is better than the one that it is compared with, -1 where worse, else 0."""
    found = 0
    for pattern, sign in ((_AGAINST, 1), (_FROM_TO, -1)):
        if match := pattern.search(low):
            one, other = (float(part.replace(",", "")) for part in match.groups())
            if one != other:
                turned = bool(_senses()["burden"] & words) and not _EARNED & words
                found = (sign if one > other else -sign) * (-1 if turned else 1)
    return found
