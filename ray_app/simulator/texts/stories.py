"""The stream of stories: what happened, in the order in which it happened; outlets tell some of them.

Story n happens at an instant of its own within the n-th span of six minutes since 1970. What it says
of a price is what the simulated market did.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from ray_app.simulator.texts.draw import Draw
from ray_app.simulator.texts.words import (
    CRYPTO,
    FIRMS,
    LEADS,
    MARKETS,
    ORDINALS,
    PARAGRAPHS,
    PLACES,
    STOCKS,
    WRITERS,
)
from ray_app.simulator.truth import STEPS_PER_HOUR, Truth

STORY_SECONDS = 360
HOUR, DAY = 3600, 86_400
Topic = Literal["crypto", "markets"]


@dataclass(frozen=True, slots=True)
class Story:
    """`at` in seconds since 1970; `tone` is -1, 0 or 1; `about` a coin's id or a stock's ticker."""

    number: int
    at: int
    topic: Topic
    kind: str
    tone: int
    about: str
    words: Mapping[str, str]

    def title(self, wording: int) -> str:
        told = (CRYPTO if self.topic == "crypto" else MARKETS)[self.kind][1]
        return told[wording % len(told)].format_map(self.words)


class Market:
    """The simulated market in words: which coin a text is about and what its price did."""

    def __init__(self, truth: Truth) -> None:
        self._truth = truth
        self.index = truth.index
        self.coins = truth.coins
        self._days = lru_cache(10_000)(self._looked_up)

    def coin(self, draw: Draw) -> int:
        """Large coins are spoken of far more often than small ones."""
        return int(len(self.coins) * draw.share("coin") ** 3)

    def price(self, coin: int, at: int) -> tuple[float, float]:
        """USD at the beginning of that hour and its change over a day in per cent; NaN where there was none."""
        return self._days(coin, at // DAY)[at % DAY // HOUR]

    def _looked_up(self, coin: int, day: int) -> tuple[tuple[float, float], ...]:
        """Price and change for each hour of a day since 1970."""
        hours = np.arange(day * 24 - 24, day * 24 + 24, dtype=np.int64) * STEPS_PER_HOUR
        prices = self._truth.path(coin, hours).tolist()
        return tuple(
            (now, (now / before - 1) * 100) for before, now in zip(prices[:24], prices[24:], strict=True)
        )

    def words(self, coin: int, at: int, draw: Draw) -> dict[str, str]:
        """What the templates need. A coin without a price then is told at its usual level."""
        price, change = self.price(coin, at)
        level, moved = (self.coins[coin].price, 0.1) if math.isnan(price) else (price, change)
        symbol = self.coins[coin].symbol.upper()
        return {
            "name": self.coins[coin].name,
            "symbol": symbol,
            "tag": symbol.lower(),
            "price": money(level),
            "percent": f"{max(0.1, abs(0.1 if math.isnan(moved) else moved)):.1f}",
            **small_talk(draw),
        }


class Stories:
    def __init__(self, seed: int, market: Market) -> None:
        self._seed, self._market = seed, market
        self.story = lru_cache(8192)(self._told)

    def numbers(self, start: int, end: int) -> range:
        """Stories that may have happened in [start, end) seconds: the ends' spans are whole."""
        return range(start // STORY_SECONDS, -(-end // STORY_SECONDS))

    def _told(self, number: int) -> Story:
        draw = Draw(self._seed, "story", number)
        at = number * STORY_SECONDS + draw.whole("second", 0, STORY_SECONDS - 1)
        if draw.chance("markets", 0.3):
            kind = draw.pick("kind", tuple(MARKETS))
            ticker = draw.pick("ticker", tuple(STOCKS))
            return Story(number, at, "markets", kind, MARKETS[kind][0], ticker, stock_words(ticker, draw))
        coin = self._market.coin(draw)
        _, change = self._market.price(coin, at)
        kind = draw.pick("kind", tuple(CRYPTO))
        if draw.chance("price", 0.35) and not math.isnan(change):
            kind = "rise" if change >= 0 else "fall"
        elif kind in ("rise", "fall"):
            kind = "custody"
        words = self._market.words(coin, at, draw)
        return Story(number, at, "crypto", kind, CRYPTO[kind][0], self._market.coins[coin].id, words)


def stock_words(ticker: str, draw: Draw) -> dict[str, str]:
    """The same for a share, whose prices nobody simulates: they are drawn."""
    return {
        "ticker": ticker,
        "company": STOCKS[ticker],
        "name": STOCKS[ticker],
        "symbol": ticker,
        "tag": ticker.lower(),
        "price": money(20 + 400 * draw.share("price")),
        "percent": f"{0.1 + 9 * draw.share('percent') ** 2:.1f}",
        **small_talk(draw),
    }


def small_talk(draw: Draw) -> dict[str, str]:
    return {
        "firm": draw.pick("firm", FIRMS),
        "place": draw.pick("place", PLACES),
        "writer": draw.pick("expert", WRITERS),
        "millions": str(draw.whole("millions", 3, 900)),
        "amount": f"{draw.whole('amount', 120, 48_000):,}",
        "count": str(draw.whole("count", 3, 24)),
        "ordinal": draw.pick("ordinal", ORDINALS),
    }


def lead(story: Story, draw: Draw) -> str:
    return draw.pick("lead", LEADS).format_map(story.words)


def paragraphs(story: Story, draw: Draw) -> tuple[str, ...]:
    """Three to six paragraphs, with inline HTML and unescaped ampersands as editors leave them."""
    count = draw.whole("length", 3, 6)
    return tuple(draw.pick(f"paragraph {i}", PARAGRAPHS).format_map(story.words) for i in range(count))


def money(value: float) -> str:
    """As a journalist writes a price: whole from 1,000, else two digits, small ones with four that matter."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.2f}" if value >= 1 else f"{value:.12f}".rstrip("0") if value < 1e-4 else f"{value:.4g}"
