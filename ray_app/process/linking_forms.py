"""The forms under which assets occur in texts, out of the registry and the data files beside this module.

A form that is an English word, a person or a place, or a ticker of up to three letters, needs evidence around
it (see `linking_context`); `linking_words.txt` says which are words, and the CSV files overrule that.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from importlib import resources
from typing import Literal

from ray_app.model.symbols import Registry

Kind = Literal["coin", "stock"]
WORD = re.compile(r"\w+(?:\.[a-z0-9]\w*)*")
SHORT = 3  # tickers of so few letters are rarely unambiguous


class Need(IntEnum):
    """What must stand around a form before it counts, the least first."""

    NOTHING = 0
    TOPIC = 1  # a crypto word, or another coin, in its sentence or in the title
    NEIGHBOUR = 2  # the topic, and a word, sign or other coin beside it
    COMPANY = 3  # a stock's name: a word beside it that says company, whatever the topic
    MARKET = 4  # a company's name that may stand for its coin: talk of prices
    TAG = 5  # one letter: a cashtag, or its name before it


STOCK_COLUMNS = (
    ("names", Need.NOTHING),
    ("known", Need.COMPANY),
    ("topical", Need.TOPIC),
    ("doubtful", Need.NEIGHBOUR),
)


@dataclass(frozen=True, slots=True)
class Form:
    """One way to write an asset. `means`: id or ticker of a coin, ticker of a stock; empty: no asset at all."""

    words: tuple[str, ...]  # lower case
    written: str
    kind: Kind
    means: str
    need: Need
    unless: frozenset[str] = frozenset()  # words in the sentence that tell of something else

    @property
    def is_ticker(self) -> bool:
        return self.written.isupper() and len(self.words) == 1

    def fits(self, first: str, whole: str) -> bool:
        """Whether the text's capitals will do; `first`: its first word, `whole`: all of the form's words."""
        if self.written.islower():
            return True
        if self.written.isupper():
            return whole.isupper()
        return first[:1].isupper() or not self.written[:1].isupper()


@cache
def doubtful_words() -> frozenset[str]:
    return frozenset(word for line in _lines("linking_words.txt") for word in line.split())


def forms(registry: Registry) -> Iterator[Form]:
    """Every form, each spelling once; what the files say of one hides what the registry alone would say."""
    seen: set[str] = set()
    for form in (*_listed(registry), *_stocks()):
        seen.add(form.written)
        yield form
    for form in _registered(registry):
        if form.words and not {form.written, form.written.lower()} & seen:
            seen.add(form.written)
            yield form


def _listed(registry: Registry) -> Iterator[Form]:
    known = {name for asset in registry.assets for name in (asset.id, *asset.ever())}
    for row in csv.DictReader(_lines("linking_names.csv")):
        if not row["means"]:
            yield _form(row["text"], "coin", "", Need.NOTHING)
        elif row["means"] in known:  # a registry of a user's own may hold other coins
            yield _form(row["text"], "coin", row["means"], _need(row["needs"]), row["unless"])


def _stocks() -> Iterator[Form]:
    for row in csv.DictReader(_lines("linking_stocks.csv")):
        for column, need in STOCK_COLUMNS:
            for name in filter(None, row[column].split("|")):
                yield _form(name, "stock", row["ticker"], need, row["unless"])


def _registered(registry: Registry) -> Iterator[Form]:
    words = doubtful_words()
    for asset in registry.assets:
        for ticker in sorted(asset.ever()):
            doubtful = len(ticker) <= SHORT or ticker.lower() in words
            need = Need.TAG if len(ticker) == 1 else Need.TOPIC if doubtful else Need.NOTHING
            yield _form(ticker, "coin", ticker, need)
        if "(" not in asset.name:
            doubtful = asset.name.lower() in words or len(asset.name) <= SHORT
            yield _form(asset.name, "coin", asset.id, Need.NEIGHBOUR if doubtful else Need.NOTHING)


def _form(written: str, kind: Kind, means: str, need: Need, unless: str = "") -> Form:
    words = tuple(word.lower() for word in WORD.findall(written))
    return Form(words, written, kind, means, need, frozenset(unless.split()))


def _need(text: str) -> Need:
    return Need[text.upper()] if text else Need.NOTHING


def _lines(name: str) -> list[str]:
    text = resources.files("ray_app.process").joinpath(name).read_text("utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]
