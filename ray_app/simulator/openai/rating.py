"""What the simulated model says of a text: the tone that the simulator gave the story it tells, else nothing much."""

import re
from collections.abc import Iterator
from functools import lru_cache

from ray_app.simulator.noise import fraction
from ray_app.simulator.texts.words import CRYPTO, MARKETS, POSTS, TWEETS

Shares = tuple[int, int, int]  # bearish, neutral, bullish in hundredths; they sum to 100
LABELS = ("bearish", "neutral", "bullish")
LEAST, SPREAD = 60, 30  # hundredths of the likeliest


@lru_cache(maxsize=1)
def _wordings() -> list[tuple[re.Pattern[str], int]]:
    return [(_pattern(words), tone) for words, tone in _told()]


def _told() -> Iterator[tuple[str, int]]:
    for tone, wordings in (*CRYPTO.values(), *MARKETS.values()):
        yield from ((words, tone) for words in wordings)
    for tone, posts in POSTS.items():
        yield from ((title, tone) for title, _ in posts)
    for tone, tweets in TWEETS.items():
        yield from ((words, tone) for words in tweets)


def _pattern(words: str) -> re.Pattern[str]:
    parts = re.split(r"\{\w+\}", words)
    return re.compile(".+?".join(map(re.escape, parts)) + r"(?: \(updated\))?")


def tone_of(text: str) -> int | None:
    """-1, 0 or 1 for a text that begins with a title of the simulator's; None for one that it did not write."""
    title = text.partition("\n")[0]
    return next((tone for wording, tone in _wordings() if wording.fullmatch(title)), None)


def shares(seed: int, text: str) -> Shares:
    """The same for the same text, whatever is asked beside it."""
    most = LEAST + int(fraction(seed, "most", text) * SPREAD)
    other = int(fraction(seed, "other", text) * (100 - most))
    rest = (other, 100 - most - other)
    match tone_of(text):
        case -1:
            return (most, *rest)
        case 1:
            return (*rest, most)
    return (rest[0], most, rest[1])
