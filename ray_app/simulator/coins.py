"""Which coins the simulator trades: the registry's first, then as many made-up ones as asked for.

Some of the made-up coins are awkward on purpose: a price of 1e-12 with all its digits, a supply
of 1e15, no market cap, no trade for days, and symbols that are taken (`btc` is not only bitcoin).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from ray_app.simulator.noise import fraction, key

# Rough price (USD) and supply, so that a demonstration does not look absurd. Nobody's quotes.
LEVELS = {
    "bitcoin": (64_000.0, 19_700_000.0, "2013-04-28"),
    "ethereum": (3_100.0, 120_000_000.0, "2015-08-07"),
    "tether": (1.0, 110_000_000_000.0, "2015-02-25"),
    "usd-coin": (1.0, 33_000_000_000.0, "2018-10-08"),
    "dai": (1.0, 5_300_000_000.0, "2019-11-19"),
    "ripple": (0.6, 55_000_000_000.0, "2013-08-04"),
    "binancecoin": (580.0, 146_000_000.0, "2017-09-16"),
    "solana": (150.0, 465_000_000.0, "2020-04-11"),
    "cardano": (0.45, 35_600_000_000.0, "2017-10-18"),
    "dogecoin": (0.12, 145_000_000_000.0, "2013-12-15"),
    "shiba-inu": (0.000018, 589_000_000_000_000.0, "2020-08-01"),
}
PEGGED = {"tether", "usd-coin", "dai"}
SHARED_SYMBOLS = ("btc", "usdt", "eth", "wbtc", "ai")
DORMANT_STEPS = 5 * 288  # a dormant coin's price stands for five days


@dataclass(frozen=True, slots=True)
class Listing:
    """What a coin is called."""

    id: str
    symbol: str
    name: str


@dataclass(frozen=True, slots=True)
class Coin:
    id: str
    symbol: str
    name: str
    key: int
    price: float  # USD, the level that its path wanders around
    circulating: float
    total: float | None
    limit: float | None  # the most there will ever be
    volatility: float  # of the price, per year, as a standard deviation of its logarithm
    turnover: float  # share of its market cap that is traded in a day
    listed: int  # seconds since 1970, a UTC midnight
    has_cap: bool = True
    hold: int = 1  # steps for which a price stands; 1 trades all the time
    all_digits: bool = False  # its price has as many digits as a double holds


def registry() -> tuple[Listing, ...]:
    """The node's own assets under their CoinGecko ids."""
    from ray_app.model.symbols import load_registry

    return tuple(
        Listing(asset.ids["coingecko"], asset.symbol.lower(), asset.name)
        for asset in load_registry().assets
        if "coingecko" in asset.ids
    )


def former() -> dict[str, tuple[str, datetime]]:
    """Each id that CoinGecko no longer uses, with the coin's id now and when it was given up."""
    from ray_app.model.symbols import load_registry

    return {
        listing.id: (asset.id, listing.end)
        for asset in load_registry().assets
        for listing in asset.listings
        if listing.venue == "coingecko" and listing.end is not None
    }


def universe(listings: Iterable[Listing], count: int, seed: int) -> tuple[Coin, ...]:
    """`count` coins, largest first: the listings (one per id), then made-up ones."""
    known = list({listing.id: listing for listing in listings}.values())[:count]
    coins = [_coin(listing, rank, seed) for rank, listing in enumerate(known)]
    coins.extend(_made_up(rank, rank - len(known), seed) for rank in range(len(known), count))
    return tuple(coins)


def _made_up(rank: int, order: int, seed: int) -> Coin:
    number = rank + 1
    symbol = SHARED_SYMBOLS[number // 40 % len(SHARED_SYMBOLS)] if number % 40 == 0 else f"sim{number}"
    listing = Listing(f"sim-coin-{number:05d}", symbol, f"Simulated Coin {number}")
    if order == 0:
        return _coin(listing, rank, seed, price=4e-12, circulating=4.2e17, all_digits=True)
    if order == 1:
        return _coin(listing, rank, seed, circulating=1e15)
    if order == 2 or number % 17 == 0:
        return _coin(listing, rank, seed, has_cap=False)
    if order == 3:
        return _coin(listing, rank, seed, hold=DORMANT_STEPS)
    return _coin(listing, rank, seed)


def _coin(
    listing: Listing,
    rank: int,
    seed: int,
    price: float | None = None,
    circulating: float | None = None,
    has_cap: bool = True,
    hold: int = 1,
    all_digits: bool = False,
) -> Coin:
    drawn = [fraction(seed, listing.id, i) for i in range(5)]
    if circulating is None:
        circulating = round(10 ** (5 + 7 * drawn[0]), 2 if rank % 3 else 0)
    cap = 1.2e12 / (rank + 1) ** 1.2
    listed = _day("2013-06-01") + int(drawn[1] * 4_200) * 86_400
    if listing.id in LEVELS:
        price, circulating, since = LEVELS[listing.id]
        listed = _day(since)
    return Coin(
        id=listing.id,
        symbol=listing.symbol,
        name=listing.name,
        key=key(seed, listing.id, "path"),
        price=price if price is not None else float(f"{cap / circulating:.4g}"),
        circulating=circulating,
        total=None if rank % 7 == 6 else circulating * (1 + round(drawn[2], 1)),
        limit=None if rank % 3 else circulating * 2,
        volatility=0.002 if listing.id in PEGGED else 0.5 + 0.6 * drawn[3],
        turnover=0.02 + 0.1 * drawn[4],
        listed=listed,
        has_cap=has_cap,
        hold=hold,
        all_digits=all_digits,
    )


def _day(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
