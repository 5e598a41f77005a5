"""The indicators of the newest bar, each missing one with its reason; other periods and groups by name."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from typing import Any

import polars as pl

from ray_app.process.bars import Candle
from ray_app.process.indicators.averages import ema, sma, wma
from ray_app.process.indicators.catalogue import CATALOGUE, OUTPUTS, compute, rows_before
from ray_app.process.indicators.grid import DAY, NUMBERS, PRICES, on_grid
from ray_app.process.indicators.momentum import rsi
from ray_app.process.indicators.output import Output
from ray_app.process.indicators.signals import RSI, SIGNALS, Signal, rsi_signal, signals

MACD = ("macd_12_26", "macd_signal_12_26_9", "macd_histogram_12_26_9")
BANDS = (
    "bb_upper_20_2",
    "bb_middle_20",
    "bb_lower_20_2",
    "bb_width_20_2",
    "bb_percent_20_2",
    "bb_squeeze_20_2_120",
)
OVERALL = ("overall_direction", "overall_strength", "overall_confidence")
AVERAGES = "moving averages"
# What the answer tells in a block of its own: its columns and its signals. Averages are a family.
BLOCKS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "rsi": ((RSI,), ("rsi_signal",)),
    "macd": (MACD, ("macd_crossover",)),
    "bollinger_bands": (BANDS, ("bollinger_position", "bollinger_squeeze")),
    "overall_signal": ((), OVERALL),
}  # fmt: skip
FAMILIES: Mapping[str, tuple[str, ...]] = {
    family.replace(" ", "_"): tuple(one.name for one in OUTPUTS if one.family == family)
    for family in dict.fromkeys(one.family for one in OUTPUTS)
}
NAMES = (*BLOCKS, *FAMILIES, *CATALOGUE)
BY_NAME: Mapping[str, Signal] = {one.name: one for one in SIGNALS}
OF_A_PERIOD: Sequence[Callable[[int], Output]] = (sma, ema, wma)


@dataclass(frozen=True)
class Asked:
    """What to work out: the blocks to tell, the columns beside them, and the RSI of the block."""

    blocks: tuple[str, ...]
    columns: tuple[Output, ...]
    rsi: Output

    @property
    def signals(self) -> list[Signal]:
        """RSI's is of the block's RSI; the overall one is always of the columns that its formula names."""
        named = [BY_NAME[name] for block in self.blocks for name in BLOCKS[block][1]]
        mine = Signal("rsi_signal", "", (self.rsi.name,), "", rsi_signal(pl.col(self.rsi.name)))
        return [mine if one.name == mine.name else one for one in named]

    @property
    def outputs(self) -> list[Output]:
        """Every column that is needed, each once."""
        names = [name for block in self.blocks for name in BLOCKS[block][0] if name != RSI]
        names += [name for one in self.signals for name in one.inputs if name in CATALOGUE]
        mine = [self.rsi] if "rsi" in self.blocks else []
        found = [*self.columns, *mine, *(CATALOGUE[name] for name in names)]
        return list({one.name: one for one in found}.values())

    @property
    def volume(self) -> bool:
        return any("volume" in one.inputs for one in self.columns)

    def rows(self, step: timedelta) -> int:
        """How many bars to load for the newest: a crossover looks at the one before as well."""
        return rows_before(self.outputs, step) + 2


def asked(names: Sequence[str] | None = None, periods: Sequence[int] = ()) -> Asked:
    """`names`: blocks, families and columns; None: everything. `periods` of the averages and RSI, instead of the usual.

    Raises KeyError with the first name that is none of NAMES.
    """
    if unknown := [name for name in names or () if name not in NAMES]:
        raise KeyError(unknown[0])
    wanted = dict.fromkeys((*BLOCKS, *FAMILIES) if names is None else names)
    blocks = tuple(name for name in BLOCKS if name in wanted)
    in_blocks = {name for columns, _ in BLOCKS.values() for name in columns} if names is None else set()
    columns = [
        CATALOGUE[name]
        for one in wanted
        for name in FAMILIES.get(one, (one,) if one in CATALOGUE else ())
        if name not in in_blocks
    ]
    if periods:
        columns = [
            one for one in columns if not (one.family == AVERAGES and AVERAGES.replace(" ", "_") in wanted)
        ]
        if AVERAGES.replace(" ", "_") in wanted:
            columns = [*(make(n) for make in OF_A_PERIOD for n in periods), *columns]
    unique = tuple({one.name: one for one in columns}.values())
    return Asked(blocks, unique, rsi(periods[0]) if periods else CATALOGUE[RSI])


def nearest(name: str) -> list[str]:
    """The names that look most like it, best first."""
    return get_close_matches(name.lower(), NAMES, n=3, cutoff=0.0)


@dataclass(frozen=True)
class Newest:
    """`values` of columns and of signals by name; `nulls`: reason -> the columns that lack a value, with how many
    bars are lacking where it is the warm-up. `bars`: on the grid, of which `gaps` were not observed."""

    candle: Candle
    values: Mapping[str, float | None]
    signals: Mapping[str, Any]
    nulls: Mapping[str, Mapping[str, int | None]]
    bars: int
    gaps: int
    first: Candle


def newest(candles: Iterable[Candle], step: timedelta, what: Asked, *, whole: bool = False) -> Newest | None:
    """At the last complete candle; None without one. What is incomplete counts as not observed.

    `whole`: the first candle is the first that there ever was.
    """
    complete = sorted((one for one in candles if one.complete), key=lambda one: one.start)
    if not complete:
        return None
    frame = on_grid(pl.DataFrame({"start": [one.start for one in complete], **_numbers(complete)}), step)
    outputs = what.outputs
    table = compute(frame, outputs, whole=whole).with_columns(frame["close"])
    said = signals(table[-2:], what.signals).row(-1, named=True)
    values = table.row(-1, named=True)
    nulls: dict[str, dict[str, int | None]] = {}
    for one in outputs:
        if values[one.name] is None:
            reason, lacking = _why(one, frame, step, whole=whole)
            nulls.setdefault(reason, {})[one.name] = lacking
    return Newest(
        candle=complete[-1],
        values={one.name: values[one.name] for one in outputs},
        signals={name: value for name, value in said.items() if name != "start"},
        nulls=nulls,
        bars=frame.height,
        gaps=frame.height - len(complete),
        first=complete[0],
    )


def _numbers(candles: Sequence[Candle]) -> dict[str, pl.Series]:
    def column(name: str) -> list[float | None]:
        return [None if (x := getattr(one, name)) is None else float(x) for one in candles]

    return {name: pl.Series(name, column(name), dtype=pl.Float64) for name in NUMBERS}


def _why(one: Output, frame: pl.DataFrame, step: timedelta, *, whole: bool) -> tuple[str, int | None]:
    """Why the newest value is null, and how many bars are lacking if it is the warm-up."""
    if "volume" in one.inputs and frame["volume"].null_count() == frame.height:
        return "no_volume", None
    warm = one.lookback if whole else one.rows_before(step)
    if frame.height <= warm:
        return "warming_up", warm + 1 - frame.height
    reach = max(one.lookback, (one.days + 1) * (DAY // step) - 1 if one.days else 0) + 1
    known = PRICES if "volume" not in one.inputs else NUMBERS
    holes = frame[-reach:].select(pl.any_horizontal(pl.col(known).is_null()).any()).item()
    return ("gap" if holes else "undefined"), None
