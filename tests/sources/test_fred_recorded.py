"""FRED's answers of November 2024 and January 2025 as others recorded them: GDP and CPILFESL."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from itertools import pairwise
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from ray_app.collect.validate import Read, read
from ray_app.connect.judge import judge
from ray_app.model.errors import Malformed
from ray_app.model.series import Observation
from ray_app.model.source import Page, Slice
from ray_app.model.timerange import TimeRange
from ray_app.sources.fred import SOURCE, VINTAGES
from tests.sources.pages import page, utc

EVER = TimeRange(datetime(1776, 7, 4, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC))
PULLS = {"": "2024-10-30", ".01": "2024-10-30", ".02": "2024-12-19", ".03": "2024-12-19"}
GDP, FIRST = "test_get_series_json_", "test_get_series_initial_release_json_"


def recorded(folder: Path, name: str) -> Page:
    meta = json.loads((folder / "http/fred" / f"{name}.meta.json").read_text())
    answer, address = meta["response"], urlsplit(meta["request"]["uri"])
    body = (folder / "http/fred" / answer["body_file"]).read_bytes()
    at = parsedate_to_datetime(answer["headers"]["Date"])
    asked = dict(parse_qsl(address.query))
    return page(SOURCE, body, at, address.path.removeprefix("/fred"), answer["status"], **asked)


def reading(found: Page, series: str) -> Read:
    judge(SOURCE, found)
    return read(VINTAGES, found, Slice((series,), EVER))


def observations(found: Page, series: str) -> list[Observation]:
    out = reading(found, series)
    assert (out.set_aside, out.left_out, out.without_value) == ([], 0, 0)
    return [record for record in out.records if isinstance(record, Observation)]


@pytest.mark.parametrize(("pull", "vintage"), PULLS.items())
def test_gdp_as_it_was_when_asked_for(shared_data: Path, pull: str, vintage: str):
    """All 315 quarters; four of 1946 without a number."""
    found = recorded(shared_data, GDP + pull)
    records = observations(found, "GDP")
    told = json.loads(found.body)["observations"]
    assert [(str(r.period.date()), str(r.vintage.date())) for r in records] == [
        (row["date"], vintage) for row in told
    ]
    assert [("." if r.value is None else str(r.value)) for r in records] == [row["value"] for row in told]
    assert len(records) == 315
    assert [str(r.period.date()) for r in records if r.value is None] == [
        "1946-01-01", "1946-04-01", "1946-07-01", "1946-10-01",
    ]  # fmt: skip
    by_period = {str(r.period.date()): r.value for r in records}
    assert by_period["1947-01-01"] == Decimal("243.164")
    assert by_period["2020-04-01"] == Decimal("19935.444")
    assert by_period["2024-07-01"] == Decimal({"2024-10-30": "29349.924", "2024-12-19": "29374.914"}[vintage])


@pytest.mark.parametrize("pull", PULLS)
def test_the_first_releases_of_gdp(shared_data: Path, pull: str):
    records = observations(recorded(shared_data, FIRST + pull), "GDP")
    assert len(records) == 132
    assert len({r.number for r in records}) == 132
    first, last = records[0], records[-1]
    assert (first.period, first.number, first.value) == (utc("1991-10-01"), 19920129, Decimal("5736.6"))
    assert (last.period, last.number, last.value) == (utc("2024-07-01"), 20241030, Decimal("29349.924"))
    assert last.known_at == utc("2024-10-31T06:00")
    (covid,) = [r for r in records if r.period == utc("2020-04-01")]
    assert (covid.number, covid.value) == (20200730, Decimal("19408.759"))
    lags = sorted((r.vintage - r.period).days for r in records)
    assert (lags[0], lags[-1]) == (114, 150)  # days from a quarter's first day to its first number


def test_two_looks_a_quarter_apart_revise_and_never_replace(shared_data: Path):
    """What was told in October stays what was known in November; December's number is another version."""
    october = observations(recorded(shared_data, GDP), "GDP")
    december = observations(recorded(shared_data, f"{GDP}.03"), "GDP")
    changed = [
        (a.period, a.value, b.value) for a, b in zip(october, december, strict=True) if a.value != b.value
    ]
    assert changed == [(utc("2024-07-01"), Decimal("29349.924"), Decimal("29374.914"))]
    assert {(a.key, a.number) for a in october}.isdisjoint((b.key, b.number) for b in december)


@pytest.mark.parametrize(
    ("name", "vintage", "count", "last", "value"),
    [
        ("test_remove_series.01", "2024-10-10", 813, "2024-09-01", "320.767"),
        ("test_remove_series.03", "2025-01-15", 816, "2024-12-01", "323.383"),
    ],
)
def test_consumer_prices_without_food_and_energy(
    shared_data: Path, name: str, vintage: str, count: int, last: str, value: str
):
    records = observations(recorded(shared_data, name), "CPILFESL")
    assert len(records) == count
    assert {str(r.vintage.date()) for r in records} == {vintage}
    assert (records[0].period, records[0].value) == (utc("1957-01-01"), Decimal("28.5"))
    assert (records[-1].period, records[-1].value) == (utc(last), Decimal(value))


def test_every_other_recorded_answer_is_no_observations(shared_data: Path):
    """Answers of many routes: only observations are read as such, the rest is refused, none is empty."""
    read_as = dict.fromkeys(("observations", "refused"), 0)
    for meta in sorted((shared_data / "http/fred").glob("*.meta.json")):
        found = recorded(shared_data, meta.name.removesuffix(".meta.json"))
        if found.path == "/series/observations":
            reading(found, found.params["series_id"])
            read_as["observations"] += 1
        else:
            with pytest.raises(Malformed):
                reading(found, "GDP")
            read_as["refused"] += 1
    assert read_as["observations"] >= 10
    assert read_as["refused"] >= 50


ALL, AS_OF, DATES = (
    "test_get_series_all_releases_json_", "test_get_series_asof_date_json_", "test_get_series_vintagedates",
)  # fmt: skip


@pytest.fixture
def releases(shared_data: Path) -> list[Observation]:
    """All 3,199 versions of GDP."""
    lacking = [n for n in (ALL, AS_OF, DATES) if not (shared_data / "http/fred" / f"{n}.meta.json").exists()]
    if lacking:
        pytest.skip(f"the recorded data here lack the answers with all vintages: {', '.join(lacking)}")
    return observations(recorded(shared_data, ALL), "GDP")


def test_known_by_a_day_is_the_upstreams_answer_as_of_that_day(
    shared_data: Path, releases: list[Observation]
):
    """All releases of GDP, by our rule, against what FRED said of 1 January 2019: row for row."""
    as_of = json.loads(recorded(shared_data, AS_OF).body)["observations"]
    versions = [(str(r.period.date()), str(r.vintage.date()), r.value) for r in releases]
    assert [v for v in versions if v[1] <= "2019-01-01"] == [
        (row["date"], row["realtime_start"], None if row["value"] == "." else Decimal(row["value"]))
        for row in as_of
    ]
    newest: dict[datetime, Observation] = {}
    for record in releases:
        if record.known_at <= utc("2019-01-02T06:00") and (
            record.period not in newest or newest[record.period].number < record.number
        ):
            newest[record.period] = record
    told: dict[str, tuple[str, str]] = {}
    for row in as_of:  # every version known by then, in order: the last of a period held on that day
        told[row["date"]] = (row["realtime_start"], row["value"])
    assert {
        str(period.date()): (str(r.vintage.date()), "." if r.value is None else str(r.value))
        for period, r in newest.items()
    } == told


def test_all_versions_of_gdp_agree_with_its_other_answers(shared_data: Path, releases: list[Observation]):
    lives: dict[datetime, list[Observation]] = {}
    for record in releases:
        lives.setdefault(record.period, []).append(record)
    assert (len(releases), len(lives)) == (3_199, 315)
    for life in lives.values():
        assert [r.number for r in life] == sorted({r.number for r in life})
        assert all(one.value != next_.value for one, next_ in pairwise(life))
    current = observations(recorded(shared_data, GDP), "GDP")
    assert [(r.period, r.value) for r in current] == [(p, life[-1].value) for p, life in lives.items()]
    initial = observations(recorded(shared_data, FIRST), "GDP")
    assert [(r.number, r.value) for r in initial] == [
        (lives[r.period][0].number, lives[r.period][0].value) for r in initial
    ]
    days = json.loads(recorded(shared_data, DATES).body)["vintage_dates"]
    assert len(days) == 393
    assert sorted({str(r.vintage.date()) for r in releases}) == days
    assert sum(r.value is None for r in releases) == 245
