"""What happened in the simulated market: one price path for each coin, from which every route is told.

A path is a price for each step of five minutes: the price in force during that step. A bar over any
longer time is the first, highest, lowest and last price of its steps, so hourly bars, daily bars,
charts and the current price cannot contradict each other. A coin with a file in the data folder
follows the file's hourly bars exactly (open first, close last, high and low at two steps between),
has no price in hours the file lacks, none before its first hour, and goes on invented after its
last, from its last price.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ray_app.simulator.coins import Coin
from ray_app.simulator.history import Found, History, load
from ray_app.simulator.noise import STEP_SECONDS, Floats, Steps, scramble, unit, wander

STEPS_PER_HOUR = 12
STEPS_PER_DAY = 288
STEP_MS = STEP_SECONDS * 1000
DIGITS = 10  # of a price; a double keeps them all
VOLUME_SALT, LAG_SALT, ORDER_SALT = 100, 101, 102

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Quote:
    """What prices are told in: `rate` units for a USD, or for a coin of the market where one is named."""

    code: str
    rate: float = 1.0
    coin: int | None = None


USD = Quote("usd")


@dataclass(frozen=True)
class Bars:
    """Bars in time order: the steps they start at, and rows of open, high, low, close."""

    starts: Steps
    rows: Floats


class Truth:
    """The market of these coins, named by their index. Prices are NaN where a coin has none."""

    def __init__(self, coins: Sequence[Coin], files: Mapping[str, Sequence[Found]] | None = None) -> None:
        self.coins = tuple(coins)
        self.index = {coin.id: i for i, coin in enumerate(coins)}
        self.circulating = np.array([coin.circulating if coin.has_cap else math.nan for coin in coins])
        self._keys = np.array([coin.key for coin in coins], dtype=np.uint64)
        self._levels = np.log([coin.price for coin in coins])
        self._volatility = np.array([coin.volatility for coin in coins])
        self._scales = np.array([_scale(coin) for coin in coins])
        self._listed = np.array([coin.listed // STEP_SECONDS for coin in coins], dtype=np.int64)
        self._holds = np.array([coin.hold for coin in coins], dtype=np.int64)
        self._hourly_cents = np.array([_hourly_cents(coin) for coin in coins])
        self._files: dict[int, Sequence[Found]] = {}
        taken: set[str] = set()
        for i, coin in enumerate(coins):  # a symbol's files belong to the largest coin of that symbol
            if files and coin.symbol in files and coin.symbol not in taken:
                self._files[i] = files[coin.symbol]
            taken.add(coin.symbol)
        self._histories: dict[int, History] = {}
        self._special = self._holds > 1
        self._special[list(self._files)] = True

    def history(self, coin: int) -> History | None:
        """The real bars of a coin; its files are read when first needed."""
        if coin in self._files and coin not in self._histories:
            self._histories[coin] = load(self._files[coin])
        return self._histories.get(coin)

    def listed(self, coin: int) -> int:
        """The step from which the coin has prices."""
        history = self.history(coin)
        return int(self._listed[coin]) if history is None else history.first * STEPS_PER_HOUR

    def from_file(self, coin: int, step: int) -> bool:
        """Is the price at this step a real one?"""
        history = self.history(coin)
        return history is not None and 0 <= step // STEPS_PER_HOUR - history.first < len(history.bars)

    def path(self, coin: int, steps: Steps, quote: Quote = USD) -> Floats:
        """The coin's price in force at each step."""
        return np.asarray(self.paths(np.array([coin]), steps, quote)[0])

    def paths(self, coins: Indices, steps: Steps, quote: Quote = USD) -> Floats:
        """Prices of several coins, shape (coins, steps)."""
        prices = self._invented(coins, steps)
        for row in np.flatnonzero(self._special[coins]):
            coin = int(coins[row])
            if coin in self._files:
                prices[row] = self._with_file(coin, steps, prices[row])
            else:
                prices[row] = self._invented(coins[row : row + 1], steps - steps % self._holds[coin])[0]
        return self.told_in(quote, prices, steps)

    def told_in(self, quote: Quote, usd: Floats, steps: Steps) -> Floats:
        """Amounts of USD at these steps, in another currency."""
        if quote.coin is not None:
            return np.asarray(usd / self.path(quote.coin, steps) * quote.rate)
        return usd if quote.rate == 1.0 else np.asarray(usd * quote.rate)

    def bars(self, coin: int, first: int, count: int, length: int, until: int, quote: Quote = USD) -> Bars:
        """`count` bars of `length` steps, the first from step `first`; nothing after step `until`.

        The bar that holds `until` is told as far as it has come. A bar without any price is left out.
        """
        count = max(0, min(count, -(-(until + 1 - first) // length)))
        steps = np.arange(first, min(first + count * length, until + 1), dtype=np.int64)
        table = np.full(count * length, np.nan)
        table[: len(steps)] = self.path(coin, steps, quote)
        told = table.reshape(count, length)
        priced = ~np.isnan(told)
        kept = priced.any(axis=1)
        told, priced = told[kept], priced[kept]
        rows = np.arange(len(told))
        opens = told[rows, priced.argmax(axis=1)]
        closes = told[rows, length - 1 - priced[:, ::-1].argmax(axis=1)]
        highs, lows = np.fmax.reduce(told, axis=1), np.fmin.reduce(told, axis=1)
        starts = first + np.flatnonzero(kept) * length
        return Bars(starts, np.stack([opens, highs, lows, closes], axis=1))

    def volumes(self, coins: Indices, steps: Steps) -> Floats:
        """USD traded in the 24 hours before each step's end, shape (coins, steps).

        A sum of whole cents, so the same in every window. It rolls: never add two of them.
        """
        back = (steps // STEPS_PER_HOUR)[:, np.newaxis] - np.arange(25)
        cents = self._cents(coins, back.ravel()).reshape(len(coins), len(steps), 25)
        begun = steps % STEPS_PER_HOUR + 1
        twelfths = cents[..., 1:24].sum(axis=2) * 12 + cents[..., 0] * begun + cents[..., 24] * (12 - begun)
        return np.asarray(twelfths / 1200)

    def updated_ms(self, coins: Indices, now_ms: int) -> Indices:
        """When each coin's current price was last looked at: some seconds ago, within the present step."""
        minute = np.array([now_ms // 60_000])
        lag = 2_000 + unit(self._keys[coins][:, np.newaxis], LAG_SALT, minute)[:, 0] * 50_000
        begun = np.int64(now_ms // STEP_MS * STEP_MS)
        fresh = np.maximum(now_ms - lag.astype(np.int64), begun)
        holds = self._holds[coins]
        return np.where(holds > 1, now_ms // STEP_MS // holds * holds * STEP_MS, fresh)

    def draw(self, coin: int, salt: int, cells: Steps) -> Floats:
        """Numbers in [0, 1) that belong to the coin: for what is random but must not change."""
        return unit(self._keys[coin : coin + 1], salt, cells)

    def _invented(self, coins: Indices, steps: Steps) -> Floats:
        walk = wander(self._keys[coins], steps) * self._volatility[coins][:, np.newaxis]
        prices = np.exp(walk + self._levels[coins][:, np.newaxis])
        scales = self._scales[coins][:, np.newaxis]
        prices = np.where(scales > 0, np.rint(prices * scales) / np.maximum(scales, 1.0), prices)
        return np.where(steps < self._listed[coins][:, np.newaxis], np.nan, prices)

    def _with_file(self, coin: int, steps: Steps, invented: Floats) -> Floats:
        history = self.history(coin)
        assert history is not None
        scale = self._scales[coin]
        last = (history.first + len(history.bars)) * STEPS_PER_HOUR - 1
        level = history.bars[-1, 3] / self._invented(np.array([coin]), np.array([last]))[0, 0]
        after = np.rint(invented * level * scale) / scale
        hours = steps // STEPS_PER_HOUR
        told = (hours >= history.first) & (steps <= last)
        row = np.where(told, hours - history.first, 0)
        opened, high, low, close = history.bars[row].T
        drawn = scramble(self._keys[coin : coin + 1], ORDER_SALT, hours)
        one, two = (drawn % 5 + 1).astype(np.int64), (drawn // 8 % 5 + 6).astype(np.int64)
        rising = drawn // 64 % 2 == 0
        first, second = np.where(rising, high, low), np.where(rising, low, high)
        slot = steps - hours * STEPS_PER_HOUR
        between = np.where(
            slot < one,
            opened + (first - opened) * slot / one,
            np.where(
                slot < two,
                first + (second - first) * (slot - one) / (two - one),
                second + (close - second) * (slot - two) / (11 - two),
            ),
        )
        between = np.clip(np.rint(between * scale) / scale, low, high)
        exact = np.select(
            [slot == 0, slot == one, slot == two, slot == 11], [opened, first, second, close], between
        )
        return np.where(told, exact, np.where(steps > last, after, np.nan))

    def _cents(self, coins: Indices, hours: Steps) -> Indices:
        drawn = unit(self._keys[coins][:, np.newaxis], VOLUME_SALT, hours)
        cents = (self._hourly_cents[coins][:, np.newaxis] * np.exp(drawn * 1.6 - 0.8)).astype(np.int64)
        cents[hours < self._listed[coins][:, np.newaxis] // STEPS_PER_HOUR] = 0
        for row in np.flatnonzero(self._special[coins]):
            history = self.history(int(coins[row]))
            if history is not None:
                at = hours - history.first
                inside = (at >= 0) & (at < len(history.bars))
                cents[row, inside] = history.cents[at[inside]]
                cents[row, at < 0] = 0
        return np.asarray(cents)


def _scale(coin: Coin) -> float:
    """What a price is multiplied with to round it; 0 keeps all digits."""
    if coin.all_digits:
        return 0.0
    return float(10.0 ** max(0, min(22, DIGITS - 1 - math.floor(math.log10(coin.price)))))


def _hourly_cents(coin: Coin) -> float:
    return 0.0 if coin.hold > 1 else coin.price * coin.circulating * coin.turnover / 24 * 100
