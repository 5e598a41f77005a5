"""The series of the simulated FRED against those that the source collects, and what is odd about some of them."""

from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise

import pytest

from ray_app.simulator.fred.catalog import SERIES
from ray_app.sources.fred import CLOSES, DAILY, REVISED
from tests.simulator.asking import Simulated, simulated
from tests.simulator.test_fred import JSON_KEY, OBSERVATIONS, refusal, rows

FREQUENCIES = {"Q": "quarterly", "M": "monthly", "W": "weekly", "D": "daily", "D7": "daily, 7 days"}
MEASURES = ("percent", "index", "billions", "millions", "thousands")


@pytest.fixture
def fred() -> Iterator[Simulated]:
    """On Monday, 1 June 2026, 05:03 in the morning, US Central."""
    with simulated("fred", "/fred", JSON_KEY) as upstream:
        yield upstream


def measures(unit: str) -> list[str]:
    return [word for word in MEASURES if word in unit.lower()]


@pytest.mark.parametrize(
    ("name", "unit", "frequency"),
    [(name, unit, often) for name, _, unit, often in (*REVISED, *DAILY, *CLOSES)],
)
def test_every_series_that_the_source_collects_is_there_as_the_source_says(
    name: str, unit: str, frequency: str
):
    assert name in SERIES, "the simulator lacks it"
    series = SERIES[name]
    assert FREQUENCIES[series.frequency] == frequency.removesuffix(", told weekly")
    assert (series.rule in ("h10", "wednesday")) == frequency.endswith("told weekly")
    assert measures(unit) == measures(series.units)
    if name not in {close for close, *_ in CLOSES}:
        assert series.first_vintage is not None, "it is asked for with its vintages"


def test_the_target_moves_in_quarters_and_is_told_on_its_day(fred: Simulated):
    fred.advance_to("2026-06-07T18:00:00+00:00")  # a Sunday
    told = fred.read(OBSERVATIONS, series_id="DFEDTARU", observation_start="2020-01-01")
    assert (told["realtime_end"], told["observations"][-1]["date"]) == ("2026-06-07", "2026-06-07")
    values = [Decimal(row["value"]) for row in told["observations"]]
    assert all(value % Decimal("0.25") == 0 for value in values)
    moves = [a != b for a, b in pairwise(values)]
    assert 10 < sum(moves) < 80  # meetings, not days
    funds: dict[str, list[Decimal]] = {}
    for row in rows(fred, series_id="DFF", observation_start="2024-01-01", observation_end="2026-04-30"):
        funds.setdefault(row["date"][:7], []).append(Decimal(row["value"]))
    upper = {row["date"][:7]: Decimal(row["value"]) for row in told["observations"]}
    for month, rates in funds.items():
        mean = sum(rates, Decimal(0)) / len(rates)
        assert mean <= upper[month] < mean + Decimal("0.26")


def test_a_scale_changes_with_a_vintage(fred: Simulated):
    """The account of the Treasury was told in billions before: a thousandth of today's numbers."""
    before, behind = (
        {row["date"]: Decimal(row["value"]) for row in rows(fred, series_id="WTREGEN", vintage_dates=day)}
        for day in ("2020-04-08", "2020-04-09")
    )
    assert len(before) > 900
    assert all(behind[day] == before[day] * 1000 for day in before)
    told = fred.read("/series", series_id="WTREGEN", realtime_start="2020-01-01", realtime_end="2021-01-01")
    assert [(row["realtime_start"], row["units"]) for row in told["seriess"]] == [
        ("2020-01-01", "Billions of U.S. Dollars"),
        ("2020-04-09", "Millions of U.S. Dollars"),
    ]


@pytest.mark.parametrize(
    ("window", "named"),
    [
        ({"realtime_start": "2026-06-01", "realtime_end": "2026-06-02"}, "realtime_end"),
        ({"realtime_start": "2026-06-02", "realtime_end": "9999-12-31"}, "realtime_start"),
        ({"realtime_end": "2027-01-01"}, "realtime_end"),
    ],
)
def test_a_window_after_today_is_refused(fred: Simulated, window: dict[str, str], named: str):
    """Today is 1 June; the end of time may be named, and calendars know days to come."""
    text = f"Bad Request.  Variable {named} can not be after today's date (2026-06-01)."
    for path in (OBSERVATIONS, "/series", "/series/vintagedates"):
        assert refusal(fred.ask(path, series_id="UNRATE", **window)) == (400, text)
    until = {"realtime_start": "2026-06-01", "realtime_end": "2026-12-31"}
    assert fred.ask("/release/dates", release_id=10, **until).status_code == 200


def test_an_observation_may_be_asked_for_that_is_to_come(fred: Simulated):
    told = fred.read(
        OBSERVATIONS, series_id="UNRATE", observation_start="2026-06-01", observation_end="2027-01-01"
    )
    assert told["observations"] == []
