"""Which pairs a venue lists and when: the node's own registry tells it, for the simulated coins.

Coins that the registry gives no name at a venue are not traded there, and made-up coins nowhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ray_app.model.symbols import load_registry
from ray_app.simulator.exchanges.trades import MINUTE_MS, Trades
from ray_app.simulator.simulation import Simulation


@dataclass(frozen=True, slots=True)
class Pair:
    """One pair of a venue; times are virtual milliseconds, None is no known end or beginning."""

    id: str
    base: str
    coin: int
    start_ms: int | None
    end_ms: int | None

    def listed(self, now_ms: int) -> bool:
        return self.start_ms is None or now_ms >= self.start_ms

    def outlives(self, other: "Pair") -> bool:
        """Whether it is traded for longer."""
        if self.end_ms is None or other.end_ms is None:
            return other.end_ms is not None
        return self.end_ms > other.end_ms

    def trading(self, now_ms: int) -> bool:
        return self.listed(now_ms) and (self.end_ms is None or now_ms < self.end_ms)


def pairs(simulation: Simulation, venue: str) -> Mapping[str, Pair]:
    """The venue's pairs under their ids, largest coin first. Of two coins under one id the later one is told."""
    index = simulation.world.truth.index
    found: dict[str, Pair] = {}
    for asset in load_registry().assets:
        coin = index.get(asset.ids.get("coingecko", asset.id))
        for listing in asset.listings if coin is not None else ():
            if listing.venue == venue and coin is not None:
                start = None if listing.start is None else round(listing.start.timestamp() * 1000)
                end = None if listing.end is None else round(listing.end.timestamp() * 1000)
                pair = Pair(listing.id, _base(listing.id), coin, start, end)
                if listing.id not in found or pair.outlives(found[listing.id]):
                    found[listing.id] = pair
    return found


class Venue:
    """A venue's pairs and, made when first asked for, their trades."""

    def __init__(self, simulation: Simulation, name: str, quiet: float = 0.0) -> None:
        self.name, self._simulation, self._quiet = name, simulation, quiet
        self.pairs = pairs(simulation, name)
        self._trades: dict[str, Trades] = {}

    def trades(self, pair: Pair, bundle: int = 1) -> Trades:
        if pair.id not in self._trades:
            self._trades[pair.id] = Trades(
                self._simulation.world.truth,
                pair.coin,
                self._simulation.config.seed,
                self.name,
                quiet=self._quiet * 2 if pair.coin > 4 else self._quiet,
                span=(
                    0 if pair.start_ms is None else -(-pair.start_ms // MINUTE_MS),
                    None if pair.end_ms is None else pair.end_ms // MINUTE_MS,
                ),
                bundle=bundle,
            )
        return self._trades[pair.id]


def _base(pair: str) -> str:
    """`BTC` of BTCUSDT, BTC-USD and BTCUSD."""
    for quote in ("-USD", "USDT", "USD"):
        if pair.endswith(quote) and pair != quote:
            return pair.removesuffix(quote)
    return pair
