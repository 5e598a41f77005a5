"""The as-of engine and the writing of answers, held against FRED's own answers about GDP of 2024.

Two recordings are enough to rebuild the beginning and the end of every observation's life: all first
releases with the days they were in force, and the numbers of 30 October 2024. What came between is not
in them; the last test takes the recording of all versions, where somebody has it.
"""

import json
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from ray_app.simulator.fred.asof import FOREVER, Version, in_window, initial, vintage_dates
from ray_app.simulator.fred.wire import listing

NOW = date(2024, 10, 30)
FIRST_VINTAGE, BACK_EXTENSION = date(1991, 12, 4), date(1992, 12, 22)
DAY = timedelta(days=1)


@dataclass
class Recorded:
    text: str
    head: dict[str, Any]
    rows: list[dict[str, str]]


def recorded(folder: Path, name: str) -> Recorded:
    path = folder / "http/fred" / f"{name}.body.json"
    if not path.exists():
        pytest.skip(f"the recorded data here lack {path.name}")
    read = json.loads(path.read_text())
    rows = read.pop("observations")
    return Recorded(path.read_text().strip(), read, rows)


def version(row: dict[str, str]) -> Version:
    start, end, period = (
        date.fromisoformat(row[name]) for name in ("realtime_start", "realtime_end", "date")
    )
    return Version(period, start, end, row["value"])


@pytest.fixture(scope="module")
def current(shared_data: Path) -> Recorded:
    return recorded(shared_data, "test_get_series_json_")


@pytest.fixture(scope="module")
def first_releases(shared_data: Path) -> Recorded:
    return recorded(shared_data, "test_get_series_initial_release_json_")


@pytest.fixture(scope="module")
def lives(current: Recorded, first_releases: Recorded) -> list[Version]:
    """Each observation's first and last version. Those without a first release came with old history."""
    firsts = {first.period: first for first in map(version, first_releases.rows)}
    told = []
    for row in current.rows:
        last = version(row)
        first = firsts.get(last.period)
        if first is None:
            start = BACK_EXTENSION if last.period.year < 1959 else FIRST_VINTAGE
            told.append(Version(last.period, start, FOREVER, last.value))
        elif first.end == FOREVER:
            told.append(first)
        else:
            told += [first, Version(last.period, first.end + DAY, FOREVER, last.value)]
    return told


def test_the_numbers_of_that_day(current: Recorded, lives: list[Version]):
    assert len(current.rows) == 315
    assert in_window(lives, NOW, NOW) == [version(row) for row in current.rows]


def test_the_first_releases(first_releases: Recorded, lives: list[Version]):
    assert len(first_releases.rows) == 132
    assert initial(lives) == [version(row) for row in first_releases.rows]


def test_what_was_known_the_day_before_a_release(first_releases: Recorded, lives: list[Version]):
    for row in map(version, first_releases.rows):
        before = in_window(lives, row.start - DAY, row.start - DAY)
        on_the_day = in_window(lives, row.start, row.start)
        assert row.period not in [known.period for known in before]
        assert Version(row.period, row.start, row.start, row.value) in on_the_day


@pytest.mark.parametrize("name", ["current", "first_releases"])
def test_an_answer_is_written_as_recorded(name: str, request: pytest.FixtureRequest):
    told: Recorded = request.getfixturevalue(name)
    reply = listing(told.head, "observations", "observation", told.rows, True, None)
    assert reply.body.decode() == told.text


def test_a_series_is_written_as_recorded(shared_data: Path):
    text = (shared_data / "http/fred/test_remove_series.body.json").read_text().strip()
    read = json.loads(text)
    rows = read.pop("seriess")
    assert listing(read, "seriess", "series", rows, True, None).body.decode() == text


def test_all_versions(shared_data: Path, current: Recorded, first_releases: Recorded):
    everything = [version(row) for row in recorded(shared_data, "test_get_series_all_releases_json_").rows]
    as_of = recorded(shared_data, "test_get_series_asof_date_json_")
    end = date.fromisoformat(as_of.head["realtime_end"])
    start = date.fromisoformat(as_of.head["realtime_start"])
    assert in_window(everything, start, end) == [version(row) for row in as_of.rows]
    assert in_window(everything, NOW, NOW) == [version(row) for row in current.rows]
    assert initial(everything) == [version(row) for row in first_releases.rows]
    assert len(vintage_dates(everything)) == 393
