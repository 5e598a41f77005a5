"""What indicators are taken to say, as words and numbers. A signal whose inputs are not all known is null.

Each is a Polars expression over the columns that `compute` makes, so it answers for one row or for years.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import polars as pl

LOW, HIGH = 30, 70  # Wilder's thresholds of RSI
RSI, PERCENT, SQUEEZE = "rsi_14", "bb_percent_20_2", "bb_squeeze_20_2_120"
HISTOGRAM, SHORT, LONG = "macd_histogram_12_26_9", "sma_20", "sma_50"


@dataclass(frozen=True, slots=True)
class Signal:
    """One column of signals; `inputs` are outputs of the catalogue, or `close` of the bars."""

    name: str
    formula: str
    inputs: tuple[str, ...]
    values: str
    expression: pl.Expr = field(compare=False, repr=False)
    version: int = 1


def rsi_signal(rsi: pl.Expr, low: float = LOW, high: float = HIGH) -> pl.Expr:
    """overbought at `high` and above, oversold at `low` and below, else neutral."""
    return _word(rsi, (rsi >= high, "overbought"), (rsi <= low, "oversold"), otherwise="neutral")


def macd_crossover(histogram: pl.Expr) -> pl.Expr:
    """Whether the line crossed its signal line on this bar: bullish, bearish or none."""
    before = histogram.shift(1)
    return _word(
        histogram + before,
        ((histogram > 0) & (before <= 0), "bullish"),
        ((histogram < 0) & (before >= 0), "bearish"),
        otherwise="none",
    )


def bollinger_position(percent: pl.Expr) -> pl.Expr:
    """Where the close lies: above_upper, upper_half, lower_half or below_lower; the middle is of the upper half."""
    return _word(
        percent, (percent > 1, "above_upper"), (percent >= 0.5, "upper_half"), (percent >= 0, "lower_half"),
        otherwise="below_lower",
    )  # fmt: skip


def bollinger_squeeze(squeeze: pl.Expr) -> pl.Expr:
    return squeeze == 1


def votes(low: float = LOW, high: float = HIGH) -> list[pl.Expr]:
    """Five votes of -1, 0 or 1; null where what it votes on is."""
    rsi, percent = pl.col(RSI), pl.col(PERCENT)
    return [
        _vote(rsi <= low, rsi >= high),
        pl.col(HISTOGRAM).sign(),
        _vote(percent < 0, percent > 1),
        (pl.col("close") - pl.col(SHORT)).sign(),
        (pl.col(SHORT) - pl.col(LONG)).sign(),
    ]


def overall_score() -> pl.Expr:
    """The mean of the votes; null unless all are known."""
    cast = votes()
    return pl.sum_horizontal(cast, ignore_nulls=False) / len(cast)


def overall_direction() -> pl.Expr:
    score = overall_score()
    return _word(score, (score > 0, "bullish"), (score < 0, "bearish"), otherwise="neutral")


def overall_confidence() -> pl.Expr:
    """The share of the votes that say what the overall direction says."""
    cast, way = votes(), overall_score().sign()
    return pl.sum_horizontal([(vote == way).cast(pl.Float64) for vote in cast], ignore_nulls=False) / len(
        cast
    )


def _vote(up: pl.Expr, down: pl.Expr) -> pl.Expr:
    return up.cast(pl.Float64) - down.cast(pl.Float64)


def _word(known: pl.Expr, *cases: tuple[pl.Expr, str], otherwise: str) -> pl.Expr:
    word = pl.lit(otherwise)
    for condition, name in reversed(cases):
        word = pl.when(condition).then(pl.lit(name)).otherwise(word)
    return pl.when(known.is_not_null()).then(word)


VOTERS = (RSI, HISTOGRAM, PERCENT, SHORT, LONG, "close")
VOTES = (
    f"v: 1 if {RSI} <= {LOW}, -1 if >= {HIGH}; sign of {HISTOGRAM}; 1 if {PERCENT} < 0, -1 if > 1; "
    f"sign of close - {SHORT}; sign of {SHORT} - {LONG}"
)
SIGNALS: tuple[Signal, ...] = (
    Signal(
        "rsi_signal", f"overbought if {RSI} >= {HIGH}, oversold if <= {LOW}, else neutral", (RSI,),
        "overbought, oversold, neutral", rsi_signal(pl.col(RSI)),
    ),
    Signal(
        "macd_crossover", f"bullish if {HISTOGRAM} is above 0 and was not the bar before, bearish if below, likewise",
        (HISTOGRAM,), "bullish, bearish, none", macd_crossover(pl.col(HISTOGRAM)),
    ),
    Signal(
        "bollinger_position", f"{PERCENT} above 1, from 0.5, from 0, below 0", (PERCENT,),
        "above_upper, upper_half, lower_half, below_lower", bollinger_position(pl.col(PERCENT)),
    ),
    Signal(
        "bollinger_squeeze", f"whether {SQUEEZE} is 1", (SQUEEZE,), "true, false",
        bollinger_squeeze(pl.col(SQUEEZE)),
    ),
    Signal(
        "overall_direction", f"bullish if the sum of five votes v is above 0, bearish if below, else neutral. {VOTES}",
        VOTERS, "bullish, bearish, neutral", overall_direction(),
    ),
    Signal("overall_strength", "size of the mean of the votes v", VOTERS, "0 to 1", overall_score().abs()),
    Signal(
        "overall_confidence", "share of the votes v that have the sign of their sum", VOTERS, "0 to 1",
        overall_confidence(),
    ),
)  # fmt: skip


def signals(indicators: pl.DataFrame, wanted: Iterable[Signal] = SIGNALS) -> pl.DataFrame:
    """`start` and a column for each signal: text, true or false, or Float64.

    `indicators`: what `compute` made of the inputs, oldest first, with the bars' `close` where that is one; one
    row more in front, if the first row's crossover is wanted. Raises ColumnNotFoundError for an input left out.
    """
    return indicators.select("start", *(one.expression.alias(one.name) for one in wanted))
