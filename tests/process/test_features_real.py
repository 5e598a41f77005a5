"""Features of real hours of BTC and ETH, of FRED's series, and of two real vintages a month apart."""

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ray_app.model.series import END_OF_VINTAGE
from ray_app.process.features.catalogue import CATALOGUE, compute, hours_before, lookback
from ray_app.process.features.inputs import HOUR, Inputs, Shared
from ray_app.process.indicators.grid import PRICES
from tests.process.feature_inputs import same

DAY = timedelta(days=1)
FIRST, START, END = (datetime(*day, tzinfo=UTC) for day in ((2019, 9, 1), (2021, 1, 1), (2021, 9, 1)))
DAILY = ("VIXCLS", "DGS10", "DGS2", "DGS3MO", "DFF", "DTWEXBGS")
OF_BARS = [
    name for name, one in CATALOGUE.items() if {source.split()[0] for source in one.inputs} <= {"bars"}
]
OF_SERIES = [
    "vix",
    "vix_change_5d",
    "yield_10y",
    "yield_curve_10y_2y",
    "fed_funds_rate",
    "correlation_vix_30d",
]


@pytest.fixture(scope="module")
def bars(shared_data: Path) -> dict[str, pl.DataFrame]:
    """Hours of Bitstamp; the newest row comes first in the files, and some are of another form before FIRST."""
    found = {}
    for coin in ("BTC", "ETH"):
        read = pl.read_csv(shared_data / f"ohlcv/hourly_cdd/{coin}-USD-1h.csv")
        start = pl.col("Date").str.to_datetime(
            "%Y-%m-%d %H:%M:%S", time_unit="us", time_zone="UTC", strict=False
        )
        prices = [pl.col(name.capitalize()).alias(name) for name in PRICES]
        found[coin] = read.select(
            start.alias("start"), *prices, pl.col(f"Volume {coin}").alias("volume")
        ).filter(pl.col("start") >= FIRST)
    return found


@pytest.fixture(scope="module")
def macro(shared_data: Path) -> pl.DataFrame:
    """FRED's daily values, each known as the model says: when its day has ended in the US."""
    parts = []
    for name in DAILY:
        read = pl.read_csv(
            shared_data / f"macro/fred_csv/{name}.csv", new_columns=["period", "value"], null_values="."
        )
        period = pl.col("period").str.to_datetime("%Y-%m-%d", time_unit="us", time_zone="UTC")
        parts.append(read.select(pl.lit(name).alias("series"), period, (period + END_OF_VINTAGE).alias("known_at"),
                                 pl.col("value").cast(pl.Float64)))  # fmt: skip
    return pl.concat(parts)


def inputs(bars: dict[str, pl.DataFrame], macro: pl.DataFrame, start: datetime, end: datetime) -> Inputs:
    return Inputs("ETH", Shared(start, end, bars=bars, observations=macro), bars=bars["ETH"])


def test_real_hours(bars: dict[str, pl.DataFrame], macro: pl.DataFrame):
    names = [*OF_BARS, *OF_SERIES]
    found = compute(inputs(bars, macro, START, END), names)
    assert found.tail(24 * 30)["quality"].min() == 1
    closes = dict(zip(bars["ETH"]["start"] + HOUR, bars["ETH"]["close"], strict=True))
    day = [100 * (closes[at] / closes[at - DAY] - 1) for at in found["at"][24:]]
    assert found["price_change_24h"][24:].to_list() == pytest.approx(day, rel=1e-9, abs=1e-10)
    eth, btc = (
        bars[coin].filter(pl.col("start") < END).sort("start")["close"].to_numpy()[-721:]
        for coin in ("ETH", "BTC")
    )
    moves = [np.diff(x) / x[:-1] for x in (eth, btc)]
    assert found["correlation_btc_30d"][-1] == pytest.approx(np.corrcoef(*moves)[0, 1], rel=1e-9)
    # Friday's VIX is known on Saturday at 6:00, when the day has ended in the US, and holds until Tuesday at 6:00.
    at = dict(zip(found["at"], found["vix"], strict=True))
    friday = datetime(2021, 6, 11, tzinfo=UTC)
    wanted = {row[1]: row[3] for row in macro.filter(series="VIXCLS").iter_rows()}
    assert at[friday + 29 * HOUR] == wanted[friday - DAY]
    assert at[friday + 30 * HOUR] == at[friday + 4 * DAY + 5 * HOUR] == wanted[friday]
    assert at[friday + 4 * DAY + 6 * HOUR] == wanted[friday + 3 * DAY]


def test_real_hours_in_batch_and_online(bars: dict[str, pl.DataFrame], macro: pl.DataFrame):
    names = [*OF_BARS, *OF_SERIES]
    whole = compute(inputs(bars, macro, FIRST, END), names)
    for moment in (datetime(2020, 3, 12, 11, tzinfo=UTC), datetime(2021, 5, 19, 13, tzinfo=UTC), END):
        start = moment - (hours_before(names) + 1) * HOUR
        seen = {
            coin: one.filter(pl.col("start").is_between(start, moment - HOUR)) for coin, one in bars.items()
        }
        told = macro.filter(pl.col("known_at") <= moment, pl.col("period") >= start - lookback(names))
        online = compute(inputs(seen, told, start, moment), names, [moment])
        assert same(online, whole.filter(pl.col("at") == moment)) == set()
        assert online["quality"][0] == 1


VINTAGES = (datetime(2016, 6, 29, tzinfo=UTC), datetime(2016, 7, 29, tzinfo=UTC))


def vintage(shared_data: Path, day: datetime, name: str) -> dict[datetime, float]:
    path = shared_data / f"macro/statsmodels/frbny_nowcast_US_vintage_{day:%Y-%m-%d}.csv"
    with path.open() as file:
        rows = [(row["Date"], row[name]) for row in csv.DictReader(file) if row[name]]
    dates = [(tuple(map(int, date.split("/"))), float(value)) for date, value in rows]
    return {datetime(1900 + y if y > 50 else 2000 + y, m, d, tzinfo=UTC): value for (m, d, y), value in dates}


def test_a_feature_knows_the_vintage_of_its_date(shared_data: Path):
    rows, of = [], {}
    for name in ("PAYEMS", "INDPRO", "UNRATE"):
        first, second = (vintage(shared_data, day, name) for day in VINTAGES)
        of[name] = (first, second)
        changed = {period: value for period, value in second.items() if first.get(period) != value}
        for day, values in zip(VINTAGES, (first, changed), strict=True):
            rows += [(name, period, day + END_OF_VINTAGE, value) for period, value in values.items()]
    observed = pl.DataFrame(rows, schema=["series", "period", "known_at", "value"], orient="row")
    start, end = VINTAGES[0], VINTAGES[1] + 3 * DAY
    known = Inputs("BTC", Shared(start, end, observations=observed.sample(fraction=1, shuffle=True, seed=1)))
    found = compute(known, ["payrolls_change_1m", "industrial_production_yoy", "unemployment"])

    payrolls, industry = of["PAYEMS"], of["INDPRO"]
    april, may, june = (datetime(2016, month, 1, tzinfo=UTC) for month in (4, 5, 6))
    assert max(payrolls[0]) == may
    assert max(payrolls[1]) == june
    assert payrolls[0][may] != payrolls[1][may]  # revised between the two
    at = {row[1]: row[2:5] for row in found.iter_rows()}
    released = VINTAGES[1] + END_OF_VINTAGE
    before, after = at[released - HOUR], at[released]
    assert before[0] == payrolls[0][may] - payrolls[0][april]
    assert after[0] == payrolls[1][june] - payrolls[1][may] != payrolls[1][june] - payrolls[0][may]
    year_ago = datetime(2015, 5, 1, tzinfo=UTC), datetime(2015, 6, 1, tzinfo=UTC)
    assert before[1] == pytest.approx(100 * (industry[0][may] / industry[0][year_ago[0]] - 1), rel=1e-12)
    assert after[1] == pytest.approx(100 * (industry[1][june] / industry[1][year_ago[1]] - 1), rel=1e-12)
    assert (before[2], after[2]) == (of["UNRATE"][0][may], of["UNRATE"][1][june])
    assert at[VINTAGES[0] + END_OF_VINTAGE - HOUR] == (None, None, None)
