import pytest

from ray_app.process.sentiment.market_words import NAMES, market_words


def of(text: str) -> dict[str, float]:
    return dict(zip(NAMES, market_words(text), strict=True))


@pytest.mark.parametrize(
    ("text", "sign"),
    [
        ("Profit rose", 1),
        ("Profit fell", -1),
        ("Costs rose", -1),
        ("The loss narrowed", 1),
        ("Sales did not fall", 1),
        ("This coin is great", 1),
        ("This coin is not great", -1),
        ("Hackers stole coins", -1),
        ("TO THE MOON 🚀", 1),
        ("📉", -1),
        ("The meeting is on Monday", 0),
        ("", 0),
    ],
)
def test_balance(text: str, sign: int):
    found = of(text)
    assert (found["balance"] > 0) - (found["balance"] < 0) == sign
    assert (found["nothing"] == 1.0) == (sign == 0)


@pytest.mark.parametrize(
    ("text", "amounts"),
    [
        ("totalled 7.4 million, against 5.2 million a year before", 1),
        ("EUR 5.2 mn, compared to EUR 7.4 mn in 2008", -1),
        ("to 12.4 million from 11.0 million", 1),
        ("from 11.0 % to 12.4 %", 1),
        ("from 12,400 to 11,000", -1),
        ("the loss was 7.4 million, against 5.2 million", -1),
        ("sales were 7.4 million, the loss 5.2 million", 0),
        ("7.4 million, against 7.4 million", 0),
    ],
)
def test_amounts(text: str, amounts: int):
    found = of(text)
    assert found["amount_up"] - found["amount_down"] == amounts


@pytest.mark.parametrize(
    "text", ["from 1 " * 20_000, "1" * 100_000, "million, " * 20_000, "not rise cost " * 9_000]
)
def test_long_texts_end_soon(text: str):
    assert all(-1 <= feature <= 1 for feature in market_words(text))
