"""What is the same for every model: which texts are asked about, and that a failure stays with its text."""

import dataclasses
from collections.abc import Sequence

import pytest

from ray_app.process.sentiment.model import SentimentModel
from ray_app.process.sentiment.readable import LONGEST, cleaned, unreadable
from ray_app.process.sentiment.scores import Identity, Probabilities, Reason

IDENTITY = Identity("counting", "w", "t", "l", "float32", "all")


class ByLength:
    """Says of a text what its length says, and remembers what it was asked."""

    identity = IDENTITY
    at_once = 2_048

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def tokens(self, texts: Sequence[str]) -> Sequence[int]:
        return [len(text) for text in texts]

    def probabilities(self, texts: Sequence[str]) -> Sequence[Probabilities | Reason]:
        self.asked.append(list(texts))
        return [self.one(text) for text in texts]

    def one(self, text: str) -> Probabilities | Reason:
        if "fail" in text:
            raise RuntimeError(text)
        if "nan" in text:
            return float("nan"), 0.5, 0.5
        if "half" in text:
            return 0.2, 0.2, 0.1
        share = 1 / (1 + len(text))
        return share, 0.0, 1 - share


def test_a_score_is_the_difference_of_the_outer_probabilities():
    score = SentimentModel(ByLength()).score(["abc"])[0]
    assert (score.score, score.label, score.confidence) == (0.5, "bullish", 0.75)
    assert score.probabilities == {"bearish": 0.25, "neutral": 0.0, "bullish": 0.75}
    assert (score.reason, score.model) == (None, IDENTITY)


def test_equal_texts_are_asked_once_and_the_order_is_kept():
    classifier = ByLength()
    texts = ["a market", "b", "a market", "\u200ba market ", "", "ccc", "b"]
    scores = SentimentModel(classifier).score(texts)
    assert classifier.asked == [["a market", "b", "ccc"]]
    lengths = [None if s.probabilities is None else round(1 / s.probabilities["bearish"]) - 1 for s in scores]
    assert lengths == [8, 1, 8, 8, None, 3, 1]


def test_a_text_on_which_the_model_fails_does_not_take_others_along():
    texts = ["one", "fail", "three", "nan", "half", "six"]
    scores = SentimentModel(ByLength()).score(texts)
    assert [score.reason for score in scores] == [
        None,
        "model_failed",
        None,
        "model_failed",
        "model_failed",
        None,
    ]
    assert [score.score for score in scores] == [0.5, None, pytest.approx(2 / 3), None, None, 0.5]


def test_a_text_costs_what_is_read_of_it_and_nothing_if_none_is():
    model = SentimentModel(ByLength())
    assert model.tokens(["abc", "\u200babc ", "", "🚀", "Курс растёт", "abcde"]) == [3, 3, 0, 0, 0, 5]
    assert model.tokens([]) == []


def test_no_texts_ask_nothing():
    classifier = ByLength()
    assert SentimentModel(classifier).score([]) == []
    assert SentimentModel(classifier).score(["", "🚀"])[1].reason == "no_words"
    assert classifier.asked == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        (" \n\t\u200b\ufeff", "empty"),
        ("\x00\x01\x1b\x7f", "empty"),
        ("\u202e\u2066", "empty"),
        (None, "empty"),
        ("🚀🌕 💎🙌", "no_words"),
        ("👨‍👩‍👧", "no_words"),
        ("1,234.5 % ... !!", "no_words"),
        ("https://example.com/bitcoin-falls", "no_words"),
        ("بيتكوين يرتفع إلى مستوى قياسي", "not_english"),
        ("שוק הקריפטו יורד", "not_english"),
        ("比特币价格创下新高", "not_english"),
        ("Биткоин упал на десять процентов", "not_english"),
        ("Der Kurs von Bitcoin ist nicht gefallen und wird wieder steigen", "not_english"),
        ("El precio de bitcoin cae por la guerra en una semana negra", "not_english"),
        ("Le prix du bitcoin chute dans un marché qui est en crise", "not_english"),
        ("Bitcoin falls", None),
        ("BTC to the moon 🚀", None),
        ("Bitcoin ETF de BlackRock", None),
        ("Bitcoin بيتكوين surges past a record", None),
        ("LFG", None),
    ],
)
def test_what_can_be_read(text: str | None, reason: Reason | None):
    assert unreadable(cleaned(text)) == reason


def test_cleaning_takes_away_what_nobody_sees():
    assert cleaned("a\x00b\u202ec\u200b  d\ud800") == "abc d?"
    assert cleaned("Profit &amp; loss\r\nup") == "Profit & loss\nup"
    assert len(cleaned("x" * 100_000)) == LONGEST


def test_the_digest_covers_every_part():
    changes = [
        dataclasses.replace(IDENTITY, **{field.name: "other"}) for field in dataclasses.fields(IDENTITY)
    ]
    assert len({identity.digest for identity in [IDENTITY, *changes]}) == 1 + len(changes)
