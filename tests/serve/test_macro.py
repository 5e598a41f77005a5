"""Macro series: what was known when. A revision never replaces the first release, a withdrawn value is null."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ray_app.model.timerange import TimeRange
from ray_app.sources import fred
from ray_app.sources.fred import SOURCE
from ray_app.store.store import Store
from tests.serve.conftest import Running, Start, at, stable
from tests.serve.sources import answered, declared

PATH = "/api/v1/macro"
YEARS = TimeRange(datetime(2000, 1, 1, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC))


def told(*rows: tuple[str, str, str]) -> dict[str, Any]:
    """FRED's answer: (period, first day of the vintage, value) each."""
    observations = [
        {"realtime_start": vintage, "realtime_end": "9999-12-31", "date": period, "value": value}
        for period, vintage, value in rows
    ]
    count = len(observations)
    return {"units": "lin", "count": count, "offset": 0, "limit": fred.LIMIT, "observations": observations}


GDP = told(
    ("2025-10-01", "2026-01-29", "30100.125"),
    ("2025-10-01", "2026-02-26", "30150"),
    ("2025-10-01", "2026-03-26", "."),
    ("2026-01-01", "2026-04-29", "30500.1"),
)


@pytest.fixture
async def macro(start: Start) -> Running:
    running = await start()
    await filled(running)
    return running


async def filled(running: Running) -> None:
    await declared(running, SOURCE)
    await answered(running, SOURCE, "macro", ["GDP"], YEARS, GDP, at(seconds=3))
    running.clock.set(at(minutes=1))


async def test_newest_period_first_each_in_its_last_vintage(macro: Running):
    raw = (await macro.http.get(f"{PATH}/gdp")).content
    body = json.loads(raw, parse_float=Decimal)
    assert body["data"] == [
        {
            "period": "2026-01-01T00:00:00.000Z",
            "value": Decimal("30500.1"),
            "vintage": "2026-04-29T00:00:00.000Z",
            "known_at": "2026-04-30T06:00:00.000Z",  # a vintage's day is over in US Central
            "received_at": "2026-11-23T00:00:03.000Z",
            "record_id": "fred.macro:GDP:2026-01-01T00:00:00+00:00:2026042900",
        },
        {
            "period": "2025-10-01T00:00:00.000Z",
            "value": None,  # withdrawn
            "vintage": "2026-03-26T00:00:00.000Z",
            "known_at": "2026-03-27T06:00:00.000Z",
            "received_at": "2026-11-23T00:00:03.000Z",
            "record_id": "fred.macro:GDP:2025-10-01T00:00:00+00:00:2026032600",
        },
    ]
    described = ("series", "dataset", "title", "unit", "frequency", "licence")
    assert [body[name] for name in described] == [
        "GDP", "fred.macro", "Gross domestic product", "billions of USD a year", "quarterly", "public_domain",
    ]  # fmt: skip
    meta = body["meta"]
    assert (meta["condition"], meta["source"], meta["simulated"], meta["cursor"]) == (
        "available",
        "fred",
        True,
        None,
    )
    assert meta["attribution"].startswith("This product uses the FRED API")


@pytest.mark.parametrize(
    ("moment", "values"),
    [
        ("2026-01-30T05:59:59Z", {}),
        ("2026-01-30T06:00:00Z", {"2025-10-01": Decimal("30100.125")}),
        ("2026-02-27T05:59:59Z", {"2025-10-01": Decimal("30100.125")}),
        ("2026-02-27T06:00:00Z", {"2025-10-01": 30150}),
        ("2026-04-01T00:00:00Z", {"2025-10-01": None}),
        ("2026-04-30T06:00:00Z", {"2025-10-01": None, "2026-01-01": Decimal("30500.1")}),
    ],
)
async def test_known_by_gives_the_vintage_of_that_time(macro: Running, moment: str, values: dict[str, Any]):
    answer = await macro.http.get(f"{PATH}/GDP", params={"known_by": moment})
    body = json.loads(answer.content, parse_float=Decimal)
    assert {row["period"][:10]: row["value"] for row in body["data"]} == values


async def test_as_of_is_what_this_node_had(macro: Running):
    before = await macro.get(f"{PATH}/GDP", as_of="2026-11-23T00:00:02.999Z")
    assert (before["data"], before["meta"]["condition"]) == ([], "pending")
    first = await macro.http.get(f"{PATH}/GDP")
    then = first.json()["meta"]["as_of"]
    assert then == "2026-11-23T00:00:03.000Z"
    later = told(("2026-01-01", "2026-11-20", "1"), ("2026-04-01", "2026-11-20", "2"))
    await answered(macro, SOURCE, "macro", ["GDP"], YEARS, later, at(minutes=2))
    macro.clock.set(at(minutes=5))
    now = await macro.get(f"{PATH}/GDP")
    assert [row["value"] for row in now["data"]] == [2, 1, None]
    again = await macro.http.get(f"{PATH}/GDP", params={"as_of": then})
    assert stable(again) == stable(first)


async def test_pages_hold_together_while_a_revision_arrives(macro: Running):
    months = [f"{2000 + n // 12}-{n % 12 + 1:02d}-01" for n in range(300)]
    rates = [(month, "2026-10-02", f"{n}.5") for n, month in enumerate(months)]
    await answered(macro, SOURCE, "macro", ["UNRATE"], YEARS, told(*rates), at(seconds=5))
    macro.clock.set(at(minutes=10))
    seen: list[tuple[str, float]] = []
    cursor: str | None = None
    for turn in range(4):
        body = await macro.get(f"{PATH}/UNRATE", limit=90, **({"cursor": cursor} if cursor else {}))
        seen += [(row["period"][:10], row["value"]) for row in body["data"]]
        cursor = body["meta"]["cursor"]
        revised = told((months[turn], "2026-11-20", "0"))
        await answered(macro, SOURCE, "macro", ["UNRATE"], YEARS, revised, at(minutes=11 + turn))
        macro.clock.set(at(minutes=12 + turn))
    assert cursor is None
    assert seen == [(month, n + 0.5) for n, month in reversed(list(enumerate(months)))]


async def test_start_and_end_range_over_the_period(macro: Running):
    one = await macro.get(f"{PATH}/GDP", start="2026-01-01")
    assert [row["period"][:10] for row in one["data"]] == ["2026-01-01"]
    other = await macro.get(f"{PATH}/GDP", start="1947-01-01", end="2026-01-01")
    assert [row["period"][:10] for row in other["data"]] == ["2025-10-01"]
    error = await macro.get(f"{PATH}/GDP", 422, start="2026-01-01", end="2025-01-01")
    assert error["error"]["code"] == "VALIDATION_ERROR"


async def test_an_unknown_series_names_the_nearest(macro: Running):
    error = (await macro.get(f"{PATH}/GDPC", 404))["error"]
    assert (error["code"], error["details"]["nearest"]) == ("NOT_FOUND", ["GDPC1", "GDP", "PCEPI"])
    by_title = (await macro.get(f"{PATH}/unemployment%20rate", 404))["error"]
    assert by_title["details"]["nearest"][0] == "UNRATE"


async def test_a_series_without_a_value_yet_says_so(macro: Running):
    young = await macro.get(f"{PATH}/ICSA")
    assert (young["data"], young["meta"]["condition"]) == ([], "pending")
    macro.clock.set(at(hours=24 * 5))
    old = await macro.get(f"{PATH}/ICSA")
    assert (old["meta"]["condition"], old["meta"]["reasons"]) == (
        "missing", ["fred.macro: not collected lately: ICSA"],
    )  # fmt: skip
    late = await macro.get(f"{PATH}/GDP")
    assert late["meta"]["condition"] == "degraded"


async def test_a_series_that_is_not_looked_at_any_more(macro: Running):
    """31.5 hours are allowed: an interval of a day, 6 hours to settle, one of polling, half an hour of slack."""
    macro.clock.set(at(hours=31.5))
    well = await macro.get(f"{PATH}/GDP")
    assert (well["meta"]["condition"], well["meta"]["reasons"]) == ("available", [])
    macro.clock.set(at(hours=40))
    body = await macro.get(f"{PATH}/GDP")
    reason = "GDP: not collected since 2026-11-23T00:00Z"
    assert (body["meta"]["condition"], body["meta"]["reasons"]) == ("degraded", [reason])
    assert body["meta"]["as_of"] == "2026-11-24T07:30:03.000Z"  # when it became so
    for moment, condition in (("2026-11-24T07:30:02.999Z", "available"), (body["meta"]["as_of"], "degraded")):
        assert (await macro.get(f"{PATH}/GDP", as_of=moment))["meta"]["condition"] == condition


async def test_both_databases_answer_alike(start: Start, fresh_mariadb_database: str, tmp_path: Path):
    maria = Store(fresh_mariadb_database, str(tmp_path / "raw-of-maria"))
    await maria.database.prepare(simulated=True)
    try:
        answers = []
        for running in (await start(), await start(over=maria)):
            await filled(running)
            running.clock.set(at(minutes=1))
            points: tuple[dict[str, str], ...] = ({}, {"known_by": "2026-02-27T06:00:00Z"}, {"limit": "1"})
            answers.append([await running.http.get(f"{PATH}/GDP", params=point) for point in points])
        for left, right in zip(*answers, strict=True):
            body, other = left.json(), right.json()
            cursors = body["meta"].pop("cursor"), other["meta"].pop("cursor")  # signed by each database's own
            assert (cursors[0] is None) == (cursors[1] is None)
            body["meta"].pop("generated_at"), other["meta"].pop("generated_at")
            body["meta"].pop("age_seconds"), other["meta"].pop("age_seconds")
            assert body == other
    finally:
        await maria.close()
