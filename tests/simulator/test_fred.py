"""FRED, simulated: what is told when, as of which day, and how it refuses. Judged by the truth behind it."""

import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import pytest

from ray_app.simulator.fred.asof import Version, as_columns
from ray_app.simulator.fred.calendar import after, holidays, is_business, published
from ray_app.simulator.fred.catalog import SERIES
from tests.simulator.asking import Simulated, simulated

JSON_KEY = {"api_key": "sim-key", "file_type": "json"}
OBSERVATIONS = "/series/observations"
ALL_TIME = {"realtime_start": "1776-07-04", "realtime_end": "9999-12-31"}
NOT_ARCHIVED = "Bad Request.  The series does not exist in ALFRED but may exist in FRED."


@pytest.fixture(scope="module")
def fred() -> Iterator[Simulated]:
    """On Monday, 1 June 2026, 05:03 in the morning, US Central. The clock stands still."""
    with simulated("fred", "/fred", JSON_KEY) as upstream:
        yield upstream


@pytest.fixture
def moving() -> Iterator[Simulated]:
    """One of the test's own, for tests that move the clock or set faults."""
    with simulated("fred", "/fred", JSON_KEY) as upstream:
        yield upstream


def rows(fred: Simulated, **params: Any) -> list[dict[str, str]]:
    told: list[dict[str, str]] = fred.read(OBSERVATIONS, **params)["observations"]
    return told


def refusal(answer: Any) -> tuple[int, str]:
    body = answer.json()
    assert body["error_code"] == answer.status_code
    return answer.status_code, body["error_message"]


def versions(fred: Simulated, series_id: str, until: str = "2026-05-31") -> list[dict[str, str]]:
    told: list[dict[str, str]] = fred.truth(series_id=series_id, until=until)["versions"]
    return told


# One of each way to come out and to change.
SOME = (
    "DFF", "FEDFUNDS", "DGS10", "T10Y2Y", "VIXCLS", "CPIAUCSL", "UNRATE", "PCEPI", "ICSA", "GDPC1", "WALCL",
    "RRPONTSYD", "DTWEXBGS", "DCOILWTICO", "SP500", "M2SL", "UMCSENT", "MORTGAGE30US", "PPIACO", "JTSJOL", "HOUST",
    "WTREGEN", "SOFR", "T10Y3M", "T5YIFR", "DFII10",
)  # fmt: skip


@pytest.mark.parametrize("series_id", SOME)
def test_a_series_tells_its_newest_numbers(fred: Simulated, series_id: str):
    answer = fred.read(OBSERVATIONS, series_id=series_id, observation_start="2022-01-01")
    truth = fred.truth(series_id=series_id, until="2026-05-31", since="2022-01-01")
    newest = {v["date"]: v["value"] for v in truth["versions"] if v["end"] == "9999-12-31"}
    assert {row["date"]: row["value"] for row in answer["observations"]} == newest
    assert answer["count"] == len(newest) == len(answer["observations"])
    # Without a window the answer names the day of the last update, not today.
    assert answer["realtime_start"] == answer["realtime_end"] == truth["updated"] < "2026-06-01"
    assert {(row["realtime_start"], row["realtime_end"]) for row in answer["observations"]} == {
        (truth["updated"], truth["updated"])
    }
    assert all(row["value"] == "." or Decimal(row["value"]).is_finite() for row in answer["observations"])


@pytest.mark.parametrize(
    "series_id",
    ["GDP", "GDPC1", "CPIAUCSL", "PAYEMS", "UNRATE", "ICSA", "UMCSENT", "M2SL", "PPIACO", "JTSJOL", "HOUST"],
)
def test_all_versions_in_one_call(fred: Simulated, series_id: str):
    told = rows(fred, series_id=series_id, **ALL_TIME)
    truth = versions(fred, series_id)
    assert told == [
        {"realtime_start": v["start"], "realtime_end": v["end"], "date": v["date"], "value": v["value"]}
        for v in truth
    ]
    for one, following in pairwise(told):  # no holes and no two equal neighbours in a life
        if one["date"] == following["date"]:
            end, start = (
                date.fromisoformat(day) for day in (one["realtime_end"], following["realtime_start"])
            )
            assert (start - end).days == 1
            assert one["value"] != following["value"]
    vintages = fred.read("/series/vintagedates", series_id=series_id)
    assert vintages["vintage_dates"] == sorted({row["realtime_start"] for row in told})
    assert vintages["count"] == len(vintages["vintage_dates"])


def test_a_window_cuts_the_days_of_its_versions(fred: Simulated):
    start, end = "2024-03-01", "2025-02-15"
    told = rows(fred, series_id="PAYEMS", realtime_start=start, realtime_end=end)
    expected = [
        {
            "realtime_start": max(v["start"], start),
            "realtime_end": min(v["end"], end),
            "date": v["date"],
            "value": v["value"],
        }
        for v in versions(fred, "PAYEMS")
        if v["start"] <= end and v["end"] >= start
    ]
    assert told == expected
    assert {row["realtime_start"] for row in told if row["date"] < "2020"} == {start}
    assert len(told) > len({row["date"] for row in told})


def test_a_payroll_number_is_revised_twice_and_then_yearly(fred: Simulated):
    life = [v for v in versions(fred, "PAYEMS") if v["date"] == "2024-06-01"]
    assert [v["start"] for v in life] == [
        "2024-07-05",
        "2024-08-02",
        "2024-09-06",
        "2025-02-07",
        "2026-02-06",
    ]
    assert len({v["value"] for v in life}) == 5


def test_a_quarter_comes_after_29_days_with_three_revisions(fred: Simulated):
    life = [v for v in versions(fred, "GDP") if v["date"] == "2025-01-01"]
    assert [v["start"] for v in life[:5]] == [
        "2025-04-29",
        "2025-05-29",
        "2025-06-30",
        "2025-07-29",
        "2025-09-29",
    ]
    values = [Decimal(v["value"]) for v in life]
    assert all(0 < abs(a / b - 1) < Decimal("0.01") for a, b in pairwise(values))


def test_a_number_that_is_taken_back_is_a_version_without_one(fred: Simulated):
    life = [v for v in versions(fred, "GDP") if v["date"] == "1946-01-01"]
    assert [v["value"] == "." for v in life] == [False, True, False, True]
    told = [row for row in rows(fred, series_id="GDP", **ALL_TIME) if row["date"] == "1946-01-01"]
    assert [row["value"] for row in told] == [v["value"] for v in life]
    assert [row["value"] for row in rows(fred, series_id="GDP", limit=5)][:4] == ["."] * 4
    daily = [
        v for v in versions(fred, "DGS10") if v["value"] == "." and is_business(date.fromisoformat(v["date"]))
    ]
    assert daily
    assert all(v["end"] != "9999-12-31" for v in daily)  # all of them came back


def test_units_change_with_a_vintage(fred: Simulated):
    told = fred.read("/series", series_id="GDPC1", realtime_start="2023-01-01", realtime_end="2024-01-01")[
        "seriess"
    ]
    assert [(row["realtime_start"], row["realtime_end"], row["units"]) for row in told] == [
        ("2023-01-01", "2023-09-28", "Billions of Chained 2012 Dollars"),
        ("2023-09-29", "2024-01-01", "Billions of Chained 2017 Dollars"),
    ]
    before, behind = (
        {row["date"]: Decimal(row["value"]) for row in rows(fred, series_id="GDPC1", vintage_dates=day)}
        for day in ("2023-09-28", "2023-09-29")
    )  # fmt: skip
    assert len(before) == len(behind) == 306
    assert all(Decimal("1.08") < behind[day] / before[day] < Decimal("1.12") for day in before)


def test_first_releases(fred: Simulated):
    told = rows(fred, series_id="GDP", output_type=4, **ALL_TIME)
    firsts: dict[str, dict[str, str]] = {}
    for v in versions(fred, "GDP"):
        firsts.setdefault(v["date"], v)
    late = {day: v for day, v in firsts.items() if v["start"] not in ("1991-12-04", "1992-12-22")}
    assert {row["date"]: row["value"] for row in told} == {day: v["value"] for day, v in late.items()}
    assert told[0]["date"] == "1991-10-01"
    assert [row["realtime_end"] for row in told] == [late[row["date"]]["end"] for row in told]


def test_one_column_for_each_vintage(fred: Simulated):
    window = {"realtime_start": "2025-04-01", "realtime_end": "2025-06-30"}
    columns = rows(fred, series_id="GDP", output_type=2, observation_start="2024-10-01", **window)
    life = [v for v in versions(fred, "GDP") if "2024-10-01" <= v["date"] <= "2025-01-01"]
    days = fred.read("/series/vintagedates", series_id="GDP", **window)["vintage_dates"]
    for row in columns:
        expected = {
            f"GDP_{day.replace('-', '')}": v["value"]
            for v in life
            for day in days
            if v["date"] == row["date"] and v["start"] <= day <= v["end"]
        }
        assert row == {"date": row["date"], **expected}
    assert [row["date"] for row in columns] == ["2024-10-01", "2025-01-01"]


def test_only_columns_that_are_new():
    day = date(2025, 1, 1)
    life = [
        Version(day, date(2025, 2, 1), date(2025, 2, 28), "1"),
        Version(day, date(2025, 3, 1), date(9999, 12, 31), "2"),
    ]
    vintages = [date(2025, 2, 1), date(2025, 2, 10), date(2025, 3, 1), date(2025, 4, 1)]
    told = list(zip(vintages, ["1", "1", "2", "2"], strict=True))
    assert as_columns(life, vintages, only_new=False) == [(day, told)]
    assert as_columns(life, vintages, only_new=True) == [(day, told[::2])]


def test_a_release_comes_out_on_its_hour(moving: Simulated):
    """Yields of Friday are told on Monday at 15:16 US Central, that is 20:16 UTC in June."""
    moving.advance_to("2026-06-01T20:15:00+00:00")
    assert rows(moving, series_id="DGS10", sort_order="desc", limit=1)[0]["date"] == "2026-05-28"
    moving.advance_to("2026-06-01T20:16:00+00:00")
    newest = moving.read(OBSERVATIONS, series_id="DGS10", sort_order="desc", limit=1)
    assert newest["observations"][0]["date"] == "2026-05-29"
    assert newest["realtime_start"] == "2026-06-01"
    described = moving.read("/series", series_id="DGS10")["seriess"][0]
    assert re.fullmatch(r"2026-06-01 15:16:\d\d-05", described["last_updated"])
    moving.advance_to("2026-12-15T12:00:00+00:00")
    described = moving.read("/series", series_id="DGS10")["seriess"][0]
    assert re.fullmatch(r"2026-12-14 15:16:\d\d-06", described["last_updated"])


def test_the_past_does_not_depend_on_when_it_is_asked_about(moving: Simulated):
    window = {"realtime_start": "2025-01-01", "realtime_end": "2025-12-31"}
    names = ("CPIAUCSL", "DEXUSEU", "ICSA")
    before = [rows(moving, series_id=name, **window) for name in names]
    moving.advance_to("2027-03-03T18:00:00+00:00")
    assert [rows(moving, series_id=name, **window) for name in names] == before


def test_days_without_a_number(fred: Simulated):
    daily = {
        row["date"]: row["value"] for row in rows(fred, series_id="DGS10", observation_start="2025-01-01")
    }
    days = [date(2025, 1, 1) + timedelta(days=n) for n in range(513)]
    assert sorted(daily) == [f"{day}" for day in days if day.weekday() < 5]
    absent = [date.fromisoformat(day) for day, value in daily.items() if value == "."]
    assert absent == [day for day in days if day in holidays(day.year) and day.weekday() < 5]
    funds = rows(fred, series_id="DFF", observation_start="2025-01-01")
    assert [row["date"] for row in funds] == [f"{day}" for day in days]  # up to Thursday, 28 May
    assert "." not in {row["value"] for row in funds}


def test_derived_series_agree_with_what_they_are_made_of(fred: Simulated):
    ten, two, quarter, slope, long_slope = (
        {row["date"]: row["value"] for row in rows(fred, series_id=name, observation_start="2024-01-01")}
        for name in ("DGS10", "DGS2", "DGS3MO", "T10Y2Y", "T10Y3M")
    )
    for difference, short in ((slope, two), (long_slope, quarter)):
        numbers = [day for day in difference if difference[day] != "."]
        assert all(Decimal(difference[day]) == Decimal(ten[day]) - Decimal(short[day]) for day in numbers)
        assert len(numbers) > 500


@pytest.mark.parametrize(
    ("rule", "period", "expected"),
    [
        ("next", "2026-05-22", "2026-05-26"),  # Memorial Day between
        ("h10", "2026-05-20", "2026-05-26"),  # the Monday is a holiday
        ("h10", "2026-05-26", "2026-06-01"),
        ("wednesday", "2026-05-25", "2026-05-27"),
        ("wednesday", "2026-05-26", "2026-06-03"),
        ("week+5", "2025-11-22", "2025-11-26"),  # Thanksgiving: a day earlier
        ("jobs", "2026-05-01", "2026-06-05"),
        ("m2", "2024-08-01", "2024-09-24"),  # recorded
        ("m2", "2024-09-01", "2024-10-22"),  # recorded
        ("first", "2026-05-01", "2026-06-01"),
        ("quarter+29", "2024-07-01", "2024-10-29"),
        ("itself", "2024-11-03", "2024-11-03"),  # a Sunday, recorded
    ],
)
def test_release_days(rule: str, period: str, expected: str):
    assert published(rule, date.fromisoformat(period)) == date.fromisoformat(expected)


def test_pages(fred: Simulated):
    whole = rows(fred, series_id="DEXUSEU")
    pages, offset = [], 0
    while True:
        page = fred.read(OBSERVATIONS, series_id="DEXUSEU", limit=2_500, offset=offset)
        assert page["count"] == len(whole)
        assert (page["limit"], page["offset"]) == (2_500, offset)
        pages += page["observations"]
        offset += 2_500
        if offset >= page["count"]:
            break
    assert pages == whole
    assert rows(fred, series_id="DEXUSEU", sort_order="desc") == whole[::-1]


def test_too_many_vintages(fred: Simulated):
    count = len(fred.read("/series/vintagedates", series_id="DFF", limit=10_000)["vintage_dates"])
    text = (
        f"Bad Request.  There are {count} vintage dates in the specified real-time period: 1776-07-04 to "
        "9999-12-31.  This exceeds the maximum number of vintage dates allowed (2000)."
    )
    assert refusal(fred.ask(OBSERVATIONS, series_id="DFF", **ALL_TIME)) == (400, text)
    assert count > 5_000
    window = {"realtime_start": "2020-01-01", "realtime_end": "2025-12-31"}
    assert fred.ask(OBSERVATIONS, series_id="DFF", limit=1, **window).status_code == 200


def test_what_is_not_in_alfred(fred: Simulated):
    today = {"realtime_start": "2026-06-01", "realtime_end": "2026-06-01"}
    past = {"realtime_start": "2020-01-01", "realtime_end": "2020-12-31"}
    assert refusal(fred.ask(OBSERVATIONS, series_id="SP500", **past)) == (400, NOT_ARCHIVED)
    assert refusal(fred.ask("/series/vintagedates", series_id="SP500")) == (400, NOT_ARCHIVED)
    assert fred.ask(OBSERVATIONS, series_id="SP500", **today).status_code == 200
    early = {"realtime_start": "1980-01-01", "realtime_end": "1980-12-31"}
    assert refusal(fred.ask(OBSERVATIONS, series_id="GDP", **early)) == (400, NOT_ARCHIVED)
    assert refusal(fred.ask(OBSERVATIONS, series_id="NOPE", **past)) == (400, NOT_ARCHIVED)
    assert refusal(fred.ask(OBSERVATIONS, series_id="NOPE")) == (
        400,
        "Bad Request.  The series does not exist.",
    )
    assert rows(fred, series_id="SP500")[0]["date"] == "2016-05-31"  # ten years, no more


def test_keys(fred: Simulated):
    read_about = "Read https://fred.stlouisfed.org/docs/api/api_key.html for more information."
    path = f"/fred{OBSERVATIONS}"
    plain = {"series_id": "GDP", "file_type": "json"}
    assert refusal(fred.http.get(path, params=plain)) == (
        400,
        f"Bad Request.  Variable api_key has not been set.  {read_about}",
    )
    assert refusal(fred.http.get(path, params=plain | {"api_key": "abcdef"})) == (
        400,
        f"Bad Request.  The value for variable api_key is not registered.  {read_about}",
    )
    arrivals = fred.http.get("/sim/ledger").json()["arrivals"]
    assert not any("api_key" in arrival["query"] for arrival in arrivals)


def test_xml_is_what_one_gets_unasked(fred: Simulated):
    answer = fred.http.get(f"/fred{OBSERVATIONS}", params={"api_key": "sim-key", "series_id": "GDP"})
    assert answer.headers["content-type"].startswith("text/xml")
    root = ElementTree.fromstring(answer.text)
    assert root.tag == "observations"
    assert [dict(child.attrib) for child in root] == rows(fred, series_id="GDP")
    refused = fred.http.get(f"/fred{OBSERVATIONS}", params={"api_key": "sim-key", "series_id": "NOPE"})
    error = ElementTree.fromstring(refused.text)
    assert (error.tag, dict(error.attrib)) == (
        "error",
        {"code": "400", "message": "Bad Request.  The series does not exist."},
    )


def test_the_calendar_of_releases(fred: Simulated):
    past = fred.read("/release/dates", release_id=10)["release_dates"]
    assert [row["date"] for row in past] == fred.read("/series/vintagedates", series_id="CPIAUCSL")[
        "vintage_dates"
    ]
    whole = fred.read("/release/dates", release_id=10, include_release_dates_with_no_data="true")[
        "release_dates"
    ]
    future = [row["date"] for row in whole if row["date"] > "2026-06-01"]
    assert whole[: len(past)] == past
    assert future[:2] == ["2026-06-12", "2026-07-13"]
    truth = fred.truth(series_id="CPIAUCSL", until="2026-09-30")["vintages"]
    assert future[:4] == [day for day in truth if day > "2026-06-01"]  # and so it will be
    assert fred.read("/series/release", series_id="CPIAUCSL")["releases"][0]["id"] == 10


def test_what_was_updated_last(fred: Simulated):
    told = fred.read("/series/updates")["seriess"]
    moments = [datetime.fromisoformat(row["last_updated"] + ":00") for row in told]
    assert moments == sorted(moments, reverse=True)
    assert {row["id"] for row in told} == set(SERIES)
    since = fred.read("/series/updates", start_time="202605291500", end_time="202605291600")["seriess"]
    assert {row["id"] for row in since} == {"DFF", "DGS3MO", "DGS2", "DGS5", "DGS10", "DGS30", "DFII10"}


def test_headers(fred: Simulated):
    answer = fred.ask(OBSERVATIONS, series_id="GDP")
    assert answer.headers["server"] == "Apache"
    assert re.fullmatch(r"Fri, 29 May 2026 12:54:\d\d GMT", answer.headers["last-modified"])
    assert not [
        name for name in answer.headers if "ratelimit" in name.lower() or name.lower() == "retry-after"
    ]


def test_two_calls_a_second():
    with simulated("fred", "/fred", JSON_KEY, limits=True) as fred:
        assert [fred.ask("/series", series_id="GDP").status_code for _ in range(3)] == [200, 200, 429]
        refused = fred.ask("/series", series_id="GDP")
        assert refusal(refused) == (429, "Too Many Requests.  Exceeded Rate Limit")
        assert "retry-after" not in refused.headers
        fred.advance(1)
        assert fred.ask("/series", series_id="GDP").status_code == 200


def test_the_minute_can_be_lowered_in_silence():
    with simulated("fred", "/fred", JSON_KEY, limits=True) as fred:
        fred.fault("F23", calls=1, parameters={"per_minute": 5})
        statuses = []
        for _ in range(7):
            statuses.append(fred.ask("/series", series_id="GDP").status_code)
            fred.advance(1)
        assert statuses == [200] * 5 + [429] * 2


def test_a_false_word_about_the_key(moving: Simulated):
    moving.fault("F22", calls=1)
    status, text = refusal(moving.ask(OBSERVATIONS, series_id="GDP"))
    assert status == 400
    assert text.startswith("Bad Request.  The value for variable api_key is not registered.")
    assert moving.ask(OBSERVATIONS, series_id="GDP").status_code == 200
    moving.fault("F02", calls=1)
    assert refusal(moving.ask(OBSERVATIONS, series_id="GDP"))[0] == 429


def test_numbers_told_as_absent(moving: Simulated):
    whole = rows(moving, series_id="CPIAUCSL")
    moving.fault("F12", parameters={"kind": "dot", "share": 0.3})
    told, page = rows(moving, series_id="CPIAUCSL"), rows(moving, series_id="CPIAUCSL", limit=50)
    absent = [row["date"] for row in told if row["value"] == "."]
    assert 0.2 < len(absent) / len(whole) < 0.4
    assert page == told[:50]
    expected = [row | {"value": "."} if row["date"] in absent else row for row in whole]
    assert told == expected


def test_the_seed_decides():
    with simulated("fred", "/fred", JSON_KEY, seed=8) as other, simulated("fred", "/fred", JSON_KEY) as usual:
        one, two = (rows(upstream, series_id="UNRATE") for upstream in (other, usual))
        assert [row["date"] for row in one] == [row["date"] for row in two]
        assert [row["value"] for row in one] != [row["value"] for row in two]


def test_a_correction_comes_soon_after(fred: Simulated):
    lives: dict[str, list[dict[str, str]]] = {}
    for v in versions(fred, "DFF"):
        if v["date"] > "2006":
            lives.setdefault(v["date"], []).append(v)
    corrected = [life for life in lives.values() if len(life) > 1]
    assert 0.15 < len(corrected) / len(lives) < 0.25
    for first, second in corrected:
        start = date.fromisoformat(first["start"])
        assert date.fromisoformat(second["start"]) in [after(start, n) for n in (1, 2, 3)]
