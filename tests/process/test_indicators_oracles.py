"""Against `ta` and TA-Lib on five years of real hours of BTC: equal, or different as the catalogue says."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ray_app.process.indicators.catalogue import CATALOGUE, OUTPUTS, compute
from ray_app.process.indicators.grid import PRICES
from tests.process.indicator_bars import (
    FIVE_YEARS,
    five_years,
    moved_by_the_future,
    moved_by_the_past,
    usual_sizes,
)
from tests.process.indicator_oracles import SLOW, Columns, by_ta, by_talib

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:ta", "ignore::RuntimeWarning:ta")
NEAR = 1e-8
SINCE = datetime(2019, 9, 1, tzinfo=UTC)
FORMS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d")
MONTHS = 5_000  # bars for what takes long
UNLIKE_ANY = {  # tried by hand in test_indicators.py
    "bb_squeeze_20_2_120", "volume_ratio_20",
    "pivot", "pivot_r1", "pivot_s1", "pivot_r2", "pivot_s2", "pivot_r3", "pivot_s3",
}  # fmt: skip


@pytest.fixture(scope="module")
def bars(shared_data: Path) -> pl.DataFrame:
    found = five_years(shared_data / FIVE_YEARS)
    assert len(found) == 52_180
    return found


@pytest.fixture(scope="module")
def computed(bars: pl.DataFrame) -> pl.DataFrame:
    return compute(bars, whole=True)


@pytest.fixture(scope="module")
def usual(computed: pl.DataFrame) -> dict[str, float]:
    return usual_sizes(computed)


def compare(name: str, library: str, ours: pl.Series, theirs: Any, usual: float) -> None:
    """That the two agree as the catalogue says, to 1e-8 of the value, or of the usual one where it is smaller."""
    one = CATALOGUE[name]
    (oracle,) = (o for o in one.oracles if o.call.startswith(f"{library}."))
    a, b = ours.fill_null(float("nan")).to_numpy(), np.asarray(theirs, dtype=float)
    assert len(a) == len(b)
    same = np.abs(a - b) <= NEAR * np.maximum(np.abs(a), usual)
    both = np.isfinite(a) & np.isfinite(b)
    first = one.memory if oracle.agrees == "once settled" else one.lookback
    if oracle.agrees == "no":
        assert (~same & both)[one.memory :].any(), "they agree: say so"
        return
    assert both[first:].sum() > 0.9 * len(a[first:])
    assert same[first:][both[first:]].all(), f"{oracle.call}: {np.flatnonzero(~same & both)[:5]}"
    assert not (np.isfinite(b) & ~np.isfinite(a))[first:].any(), "they have values where we have none"
    if oracle.agrees == "once settled" and one.memory > one.lookback:
        early = slice(one.lookback, one.memory)
        assert (~same | ~both)[early].any(), "they agree from the first value on: say so"
    if not oracle.note:
        assert both[first:].all(), "they have no values where we have some, and no note says why"


def declared(library: str) -> set[str]:
    return {o.name for o in OUTPUTS if any(x.call.startswith(f"{library}.") for x in o.oracles)}


@pytest.mark.parametrize("name", sorted(declared("ta")))
def test_ta(name: str, bars: pl.DataFrame, computed: pl.DataFrame, usual: dict[str, float], ta: Any):
    rows = MONTHS if name in SLOW else len(bars)
    compare(name, "ta", computed[name][:rows], ta[rows][name](), usual[name])


@pytest.mark.parametrize("name", sorted(declared("talib")))
def test_talib(name: str, computed: pl.DataFrame, usual: dict[str, float], talib: Any):
    compare(name, "talib", computed[name], talib[name](), usual[name])


@pytest.fixture(scope="module")
def ta(bars: pl.DataFrame) -> dict[int, dict[str, Callable[[], Any]]]:
    """ta's calls by how many bars they are given."""
    return {rows: by_ta(Columns.of(bars[:rows])) for rows in (MONTHS, len(bars))}


@pytest.fixture(scope="module")
def talib(bars: pl.DataFrame) -> dict[str, Callable[[], Any]]:
    return by_talib(Columns.of(bars))


def real(path: Path, step: timedelta) -> pl.DataFrame:
    """The longest run of bars without a gap or a bar without a price; what is older than SINCE has other columns."""
    read = pl.read_csv(path, infer_schema=False)
    day = pl.col("Date").str.slice(0, 19)
    start = pl.coalesce(
        day.str.to_datetime(form, time_unit="us", time_zone="UTC", strict=False) for form in FORMS
    )
    volume = next(name for name in read.columns if name.startswith("Volume"))
    numbers = [
        pl.col(n).cast(pl.Float64, strict=False).alias(n.lower()) for n in ("Open", "High", "Low", "Close")
    ]
    bars = read.select(
        start.alias("start"), *numbers, pl.col(volume).cast(pl.Float64, strict=False).alias("volume")
    )
    bars = bars.filter(pl.col("start") >= SINCE, *(pl.col(name) > 0 for name in PRICES)).sort("start")
    runs = bars.with_columns(run=(pl.col("start").diff() != step).fill_null(False).cum_sum())
    longest = runs["run"].value_counts(sort=True)["run"][0]
    return runs.filter(run=longest).drop("run")


@pytest.mark.parametrize(
    ("path", "step", "least"),
    [
        ("hourly_cdd/ETH-USD-1h.csv", timedelta(hours=1), 21_000),
        ("hourly_cdd/XRP-USD-1h.csv", timedelta(hours=1), 21_000),
        ("daily_yahoo/ADA-USD-1d.csv", timedelta(days=1), 800),
        ("daily_yahoo/DOGE-USD-1d.csv", timedelta(days=1), 800),
    ],
)
def test_talib_on_four_coins_more(path: str, step: timedelta, least: int, shared_data: Path):
    bars = real(shared_data / "ohlcv" / path, step)
    assert len(bars) > least
    computed, theirs = compute(bars, whole=True), by_talib(Columns.of(bars))
    usual = usual_sizes(computed)
    apart = {"mfi_14", "volume_roc_20", "psar_240"}
    for name in sorted(declared("talib") - apart):
        compare(name, "talib", computed[name], theirs[name](), usual[name])
    # Growth from nothing is 0 to TA-Lib.
    mine, other = computed["volume_roc_20"].fill_null(float("nan")).to_numpy(), theirs["volume_roc_20"]()
    nothing = np.roll(bars["volume"].to_numpy() == 0, 20)
    assert np.isnan(mine[20:][nothing[20:]]).all()
    assert np.allclose(mine[20:][~nothing[20:]], other[20:][~nothing[20:]], rtol=NEAR, atol=NEAR)
    # A price that touches the SAR to the last digit turns it in one of them and not in the other, until both turn.
    mine, other = computed["psar_240"].fill_null(float("nan")).to_numpy(), theirs["psar_240"]()
    assert (np.abs(mine - other) <= NEAR * np.abs(other))[240:].mean() > 0.999
    # Three prices that add up to the same are rounded differently: TA-Lib takes that for a move.
    sums = sum(bars[name].to_numpy() for name in ("high", "low", "close"))
    still = np.abs(np.diff(sums, prepend=np.nan)) < 1e-12 * sums
    clear = np.convolve(still, np.ones(14))[: len(bars)] == 0
    mine, other = computed["mfi_14"].fill_null(float("nan")).to_numpy(), theirs["mfi_14"]()
    near = np.abs(mine - other) <= NEAR * np.maximum(np.abs(mine), usual["mfi_14"])
    assert near[clear & (np.arange(len(bars)) >= 14)].all()
    assert clear.mean() > 0.5


def test_every_comparison_is_made(ta: Any, talib: Any, bars: pl.DataFrame):
    assert set(ta[len(bars)]) == declared("ta")
    assert set(talib) == declared("talib")
    agreeing = {one.name for one in OUTPUTS if any(o.agrees != "no" for o in one.oracles)}
    assert set(CATALOGUE) - agreeing == UNLIKE_ANY


def test_years_and_the_newest_bars_agree(bars: pl.DataFrame, usual: dict[str, float]):
    assert moved_by_the_past(bars, list(OUTPUTS), [4_000, 20_011, 36_500, len(bars)], usual) == set()


def test_the_future_moves_no_value_of_real_hours(bars: pl.DataFrame):
    assert moved_by_the_future(bars[:12_000], list(OUTPUTS), [777, 5_001, 11_999]) == set()
