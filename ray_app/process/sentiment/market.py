"""How much risk the market wants, from three numbers of sentiment. Pure; what is missing makes it unknown."""

from typing import Literal

from ray_app.process.sentiment.aggregate import label_of

Appetite = Literal["risk_on", "neutral", "risk_off"]

MIDDLE = 50.0  # of the fear and greed index, 0 to 100
FORMULA = (
    "(crypto score + stock score + (fear and greed - 50) / 50) / 3, -1 to 1; risk_on from 0.15, risk_off from -0.15, "
    "else neutral; null where one of the three is missing"
)
_LABELS: dict[str, Appetite] = {"bullish": "risk_on", "neutral": "neutral", "bearish": "risk_off"}


def risk_appetite(crypto: float | None, stock: float | None, fear_greed: float | None) -> float | None:
    """Sentiments of -1 to 1 and the index of 0 to 100; None where one of them is."""
    if crypto is None or stock is None or fear_greed is None:
        return None
    return (crypto + stock + (fear_greed - MIDDLE) / MIDDLE) / 3


def appetite_of(score: float) -> Appetite:
    return _LABELS[label_of(score)]
