"""A training set of a node that was there, and of one that was empty afterwards and filled the same history back.

python -m tests.soak.backfilled --days 2 --seed 1

Of what upstreams keep: candles, rates, series, vintages. What they tell only of the present (CoinGecko's prices and
market capitalisations between the hours) nobody can fill back; a text that was edited, and a day that Coin Metrics
restated, are told as they are now.
"""

import argparse
import asyncio
import sys
import tempfile
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import polars as pl

from ray_app.derive.reading import Loader
from ray_app.derive.training import training
from ray_app.model.timerange import TimeRange
from ray_app.observe.log import set_level
from tests.soak.__main__ import MEMORY
from tests.soak.world import START, World, world

HOUR = timedelta(hours=1)
SOURCES = "binance,binance_futures,coinbase,kraken,fred,alternative,defillama"
SYMBOLS = ("BTC", "ETH")
HORIZONS = (1, 4)
LOOKBACK = timedelta(days=4)  # of history before the first row: what looks farther back is null on both
FILLING = timedelta(hours=2)  # until the empty node has what it lacks


@dataclass(slots=True)
class Both:
    there: pl.DataFrame  # a row per symbol and hour
    after: pl.DataFrame

    def filled(self) -> list[str]:
        """The features and labels that have a value somewhere."""
        return [name for name in self.there.columns if self.there[name].null_count() < len(self.there)]

    def differences(self) -> list[str]:
        """Each value that differs, to the last bit."""
        if self.there.schema != self.after.schema:
            return [f"columns: {self.there.schema} became {self.after.schema}"]
        if not self.there.select("symbol", "at").equals(self.after.select("symbol", "at")):
            return [f"rows: {len(self.there)} became {len(self.after)}, or others"]
        out = []
        for name in self.there.columns:
            for row in (~self.there[name].eq_missing(self.after[name])).arg_true():
                symbol, at = self.there["symbol"][row], self.there["at"][row]
                values = f"{self.there[name][row]} became {self.after[name][row]}"
                out.append(f"{symbol} {at:%d %H:%M} {name}: {values}")
        return out


async def backfilled(days: float, seed: int) -> Both:
    """The last `days` of both, with labels."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as first, tempfile.TemporaryDirectory(dir=MEMORY) as second:
        async with world(Path(first), seed, 2, sources=SOURCES, quick=True, reach=LOOKBACK) as made:
            hours = round(days * 24)
            over = TimeRange(START, START + hours * HOUR)
            ahead = (max(HORIZONS) + 1) * HOUR  # labels look ahead
            await made.pass_time(over.length + ahead)
            there = await _set(made, over)
            await made.close()
            empty = made.empty(Path(second))
            try:
                await empty.begin()
                await empty.pass_time(FILLING)
                after = await _set(empty, over)
            finally:
                await empty.close()
    return Both(there, after)


async def _set(made: World, over: TimeRange) -> pl.DataFrame:
    assert made.node is not None
    loader = Loader(made.node.store, made.node.registry)
    return await training(loader, over, SYMBOLS, horizons=HORIZONS)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=float, default=2)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    set_level("ERROR")
    both = asyncio.run(backfilled(args.days, args.seed))
    differ, filled = both.differences(), both.filled()
    print(f"{len(both.there)} rows, {len(filled)} of {len(both.there.columns)} columns with values")
    for one in differ[:40]:
        print("DIFFERS", one)
    print(f"{len(differ)} values differ")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
