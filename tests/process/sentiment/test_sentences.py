import pytest

from ray_app.process.sentiment.sentences import MOST, sentences, together


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Sales rose.", ("Sales rose.",)),
        ("Sales rose. Profit fell!  Why?", ("Sales rose.", "Profit fell!", "Why?")),
        ("Profit was 3.1 mn. It rose.", ("Profit was 3.1 mn.", "It rose.")),
        ("Mr. Smith of J. P. Morgan Inc. Said no. Yes.", ("Mr. Smith of J. P. Morgan Inc. Said no.", "Yes.")),
        ('He said "sell." Then he left.', ('He said "sell."', "Then he left.")),
        ("A title without an end\nThe text. More", ("A title without an end", "The text.", "More")),
        ("no capitals. here at all", ("no capitals. here at all",)),
        ("\n\n Up. \n", ("Up.",)),
    ],
)
def test_sentences(text: str, parts: tuple[str, ...]):
    assert sentences(text) == parts


def test_only_the_first_sentences_are_read():
    assert sentences("Up it goes. " * 40) == ("Up it goes.",) * MOST


def test_sentences_weigh_what_they_are_not_neutral():
    bad, bland = (0.8, 0.1, 0.1), (0.0, 0.9, 0.1)
    # weights 0.9 and 0.1: bearish 0.72, neutral 0.09 + 0.09, bullish 0.09 + 0.01
    assert together([bad, bland]) == pytest.approx((0.72, 0.18, 0.1))
    assert together([bad]) == pytest.approx(bad)
    assert together([(0.0, 1.0, 0.0), (0.0, 1.0, 0.0)]) == (0.0, 1.0, 0.0)
