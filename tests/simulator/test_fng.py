"""The Fear and Greed Index, simulated."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from ray_app.simulator.fng import classified
from tests.simulator.asking import Simulated, simulated

DAY = 86_400
TODAY = int(datetime(2026, 6, 1, tzinfo=UTC).timestamp())


@pytest.fixture
def fng() -> Iterator[Simulated]:
    with simulated("fng", "/fng") as upstream:
        yield upstream


def rows(fng: Simulated, **params: Any) -> list[dict[str, str]]:
    told = fng.read("/", **params)
    assert (told["name"], told["metadata"]) == ("Fear and Greed Index", {"error": None})
    data: list[dict[str, str]] = told["data"]
    return data


def test_all_of_it_newest_first(fng: Simulated):
    told = rows(fng, limit=0)
    days = [int(row["timestamp"]) for row in told]
    first, gap = datetime(2018, 2, 1, tzinfo=UTC), [datetime(2018, 4, n, tzinfo=UTC) for n in (14, 15, 16)]
    absent = {int(day.timestamp()) for day in gap}
    assert days == [day for day in range(TODAY, int(first.timestamp()) - 1, -DAY) if day not in absent]
    assert all(isinstance(value, str) for row in told for value in row.values())
    assert [set(row) for row in told[1:]] == [{"value", "value_classification", "timestamp"}] * (
        len(told) - 1
    )
    assert all(1 <= int(row["value"]) <= 99 for row in told)
    assert len({row["value_classification"] for row in told}) == 5
    assert all(row["value_classification"] == classified(int(row["value"])) for row in told)
    assert fng.truth(day="2018-04-15") == {"value": None}
    for row in told[::300]:
        day = datetime.fromtimestamp(int(row["timestamp"]), UTC).strftime("%Y-%m-%d")
        assert fng.truth(day=day) == {"value": int(row["value"])}


def test_one_row_unasked_with_the_time_until_the_next(fng: Simulated):
    told = rows(fng)
    assert len(told) == 1
    assert told[0]["time_until_update"] == str(TODAY + DAY - fng.now_ms() // 1000)
    assert len(rows(fng, limit=30)) == 30


@pytest.mark.parametrize(
    ("value", "name"),
    [(1, "Extreme Fear"), (27, "Fear"), (31, "Fear"), (50, "Neutral"), (60, "Greed"), (90, "Extreme Greed")],
)
def test_classes(value: int, name: str):
    assert classified(value) == name


def test_today_s_number_comes_late(fng: Simulated):
    fng.advance_to("2026-06-02T00:00:30+00:00")
    early = rows(fng)[0]
    assert early["timestamp"] == str(TODAY)
    assert int(early["time_until_update"]) == -30
    fng.advance_to("2026-06-02T02:05:00+00:00")
    assert rows(fng)[0]["timestamp"] == str(TODAY + DAY)


def test_dates_as_texts(fng: Simulated):
    assert [row["timestamp"] for row in rows(fng, limit=2, date_format="world")] == [
        "01-06-2026",
        "31-05-2026",
    ]
    assert rows(fng, date_format="us")[0]["timestamp"] == "06-01-2026"


def test_the_limit():
    with simulated("fng", "/fng", limits=True) as fng:
        fng.fault("F23", calls=1, parameters={"per_minute": 1})
        statuses = [fng.ask("/").status_code for _ in range(11)]
        assert statuses == [200] * 10 + [429]
        assert "<html>" in fng.ask("/").text


def test_a_wrong_limit_is_told_inside_a_good_answer(fng: Simulated):
    told = fng.read("/", limit="many")
    assert told["data"] == []
    assert told["metadata"]["error"]
