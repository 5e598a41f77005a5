"""FRED: which window is asked, what is a vintage in it, what its refusals mean - and that known_by comes out right."""

import json
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from ray_app.collect.collector import collect
from ray_app.collect.planner import on_offer, plan
from ray_app.connect.judge import judge
from ray_app.model.errors import Malformed, NotOffered, Refused, Transient, UpstreamError
from ray_app.model.series import Observation
from ray_app.model.source import Slice, Stream
from ray_app.model.timerange import TimeRange
from ray_app.simulator.config import SimulatorConfig
from ray_app.simulator.server import running
from ray_app.sources.fred import DAILY_VINTAGES, MARKET_CLOSES, SOURCE, VINTAGES
from tests.connect.conftest import Asking, asking  # noqa: F401  # a fixture
from tests.sources.pages import Answer, Prepared, over, page, utc

AT = utc("2026-06-01T12:00")
DAY = timedelta(days=1)
TOO_MANY = (
    "Bad Request.  There are 2004 vintage dates in the specified real-time period: 1776-07-04 to 9999-12-31.  "
    "This exceeds the maximum number of vintage dates allowed (2000)."
)
REFUSALS: dict[str, tuple[str, type[UpstreamError]]] = {
    "no vintages": ("Bad Request.  The series does not exist in ALFRED but may exist in FRED.", NotOffered),
    "no series": ("Bad Request.  The series does not exist.", NotOffered),
    "false alarm": ("Bad Request.  The value for variable api_key is not registered.  Read ...", Transient),
    "no key": ("Bad Request.  Variable api_key has not been set.  Read ...", Refused),
    "tomorrow": (
        "Bad Request.  Variable realtime_end can not be after today's date (2026-09-12) ...",
        Transient,
    ),
    "too many": (TOO_MANY, Malformed),
}


@pytest.mark.parametrize(("text", "reaction"), REFUSALS.values(), ids=REFUSALS.keys())
@pytest.mark.parametrize("form", ["json", "xml"])
def test_a_400_means_what_its_text_says(text: str, reaction: type[UpstreamError], form: str):
    told = json.dumps({"error_code": 400, "error_message": text})
    body = told if form == "json" else f'<error code="400" message="{text}"/>'
    with pytest.raises(UpstreamError) as raised:
        judge(SOURCE, page(SOURCE, body.encode(), AT, status=400))
    assert type(raised.value) is reaction
    assert text[:60] in str(raised.value)


@pytest.mark.parametrize("status", [200, 423])
def test_an_error_in_a_200_and_a_locked_service_are_tried_again(status: int):
    body = b'{"error_code":423,"error_message":"Locked.  Down for maintenance."}'
    with pytest.raises(Transient):
        judge(SOURCE, page(SOURCE, body, AT, status=status))


def observations(rows: Iterable[tuple[str, str, str]], **head: Any) -> bytes:
    told = [{"realtime_start": s, "realtime_end": "9999-12-31", "date": d, "value": v} for s, d, v in rows]
    count = {"units": "lin", "count": len(told), "offset": 0, "limit": 100_000}
    return json.dumps({**count, **head, "observations": told}).encode()


async def test_the_day_before_is_asked_for_and_what_it_tells_is_left_out():
    """The first slice that reaches back to the beginning has no day before."""
    rows = [
        ("2026-05-26", "2026-01-01", "1.5"),
        ("2026-05-27", "2026-02-01", "1.6"),
        ("2026-05-29", "2026-03-01", "."),
    ]
    api = Prepared(SOURCE, lambda *_: (200, observations(rows)))
    collected = await collect(SOURCE, VINTAGES, over("2026-05-27", "2026-05-30", "UNRATE"), api)
    (asked,) = api.asked
    assert (asked["realtime_start"], asked["realtime_end"]) == ("2026-05-26", "2026-05-29")
    assert [record for record, _ in collected.records] == [
        Observation(
            series="UNRATE", period=utc("2026-02-01"), vintage=utc("2026-05-27"), value=Decimal("1.6")
        ),
        Observation(series="UNRATE", period=utc("2026-03-01"), vintage=utc("2026-05-29"), value=None),
    ]
    assert [record.number for record, _ in collected.records] == [20260527, 20260529]
    assert [record.known_at for record, _ in collected.records] == [
        utc("2026-05-28T06:00"), utc("2026-05-30T06:00"),
    ]  # fmt: skip


async def test_pages_are_followed_until_the_count_is_reached():
    """Three answers for 250,000 observations."""
    row = {"realtime_start": "2026-05-28", "date": "2026-01-01", "value": "1"}

    def answer(_: str, asked: dict[str, str]) -> Answer:
        offset = int(asked["offset"])
        left = min(100_000, 250_000 - offset)
        head = {"units": "lin", "count": 250_000, "offset": offset, "limit": 100_000}
        return 200, json.dumps({**head, "observations": [row] * left}).encode()

    api = Prepared(SOURCE, answer)
    pages = [page async for page in VINTAGES.fetch(api, over("2026-05-27", "2026-05-30", "UNRATE"))]
    assert [asked["offset"] for asked in api.asked] == ["0", "100000", "200000"]
    assert [len(list(VINTAGES.rows(page))) for page in pages] == [100_000, 100_000, 50_000]


@pytest.mark.parametrize(
    "head", [{"count": 3}, {"units": "pch"}, {"offset": 100_000}, {"limit": "all"}, {"count": None}], ids=str
)
async def test_an_answer_that_is_not_what_was_asked_for_leaves_the_slice_open(head: dict[str, Any]):
    rows = [("2026-05-27", "2026-02-01", "1.6"), ("2026-05-29", "2026-03-01", "1.7")]
    api = Prepared(SOURCE, lambda *_: (200, observations(rows, **head)))
    with pytest.raises(Malformed):
        await collect(SOURCE, VINTAGES, over("2026-05-27", "2026-05-30", "UNRATE"), api)
    assert len(api.asked) == 1


def test_the_running_day_is_the_upstreams():
    """At 5 in the morning UTC it is still yesterday in US Central, and FRED refuses a later day."""
    for now, last in (("2026-01-15T05:59", "2026-01-15"), ("2026-01-15T06:00", "2026-01-16")):
        offered = on_offer(VINTAGES, utc(now), timedelta(days=3))
        assert offered is not None
        assert offered.end == utc(last)


def test_no_slice_can_hold_more_vintages_than_fred_tells_at_once():
    for stream, in_a_year in ((VINTAGES, 53), (DAILY_VINTAGES, 366)):
        assert stream.longest_slice / timedelta(days=365) * in_a_year < 2000


def test_every_series_says_what_it_is_and_who_owns_it():
    said = {name: about for stream in SOURCE.plan("free").streams for name, about in stream.about.items()}
    assert len(said) == 37
    assert all(about.title and about.unit and about.frequency for about in said.values())
    owned = {name for name, about in said.items() if about.licence == "no_redistribution"}
    assert owned == {"DCOILWTICO", "NASDAQCOM", "SP500", "UMCSENT", "VIXCLS"}
    assert {about.licence for name, about in said.items() if name not in owned} == {"public_domain"}


NOW = datetime(2026, 6, 1, 18, tzinfo=UTC)
KEY = "sim-key"


def known_by(records: Iterable[Observation], moment: datetime) -> dict[str, str]:
    """Per period the version with the greatest number among those known by then."""
    best: dict[datetime, Observation] = {}
    for record in records:
        if record.known_at <= moment and (
            record.period not in best or best[record.period].number < record.number
        ):
            best[record.period] = record
    return {str(p.date()): "." if r.value is None else str(r.value) for p, r in sorted(best.items())}


async def backfilled(made: Asking, stream: Stream, series: str, since: datetime) -> list[Observation]:
    """Every slice since then; a window before the first vintage is not offered."""
    got: list[Observation] = []
    refused: list[datetime] = []
    for wanted in plan(stream, [series], TimeRange(since, utc("2026-06-01")), {}):
        try:
            collected = await collect(SOURCE, stream, wanted, made.api)
        except NotOffered:
            refused.append(wanted.range.end)
            continue
        assert collected.set_aside == ()
        got += [record for record, _ in collected.records if isinstance(record, Observation)]
    assert max(refused, default=since) < min(record.vintage for record in got)
    return got


@pytest.fixture(scope="module")
def simulated() -> Iterable[str]:
    with running(SimulatorConfig(start=NOW, frozen=True, limits=False)) as base:
        yield base + "/fred"


@pytest.mark.parametrize(
    ("series", "stream", "since"),
    [
        ("GDP", VINTAGES, "1980-01-01"),
        ("UNRATE", VINTAGES, "1980-01-01"),
        ("DGS10", DAILY_VINTAGES, "2000-01-01"),
    ],
)
async def test_what_was_known_on_a_day_is_what_fred_says_of_that_day(
    simulated: str,
    asking: Any,  # noqa: F811
    series: str,
    stream: Stream,
    since: str,
):
    """Collected in slices and asked by our rule, against the upstream's own as-of answers, row for row."""
    made = asking(simulated, source=SOURCE, plan=SOURCE.plan("free"), stream=stream, key=KEY)
    records = await backfilled(made, stream, series, utc(since))
    assert len({(r.period, r.vintage) for r in records}) == len(records)
    for day in (date(2009, 3, 31), date(2019, 1, 1), date(2024, 10, 30), date(2026, 5, 31)):
        asked = {
            "series_id": series,
            "realtime_start": str(day),
            "realtime_end": str(day),
            "file_type": "json",
        }
        told = (await made.api.get("/series/observations", **asked)).json()
        # What was released on a day is known when that day is over in US Central.
        ours = known_by(records, utc(f"{day}T00:00") + timedelta(hours=30))
        assert ours == {row["date"]: row["value"] for row in told["observations"]}
        assert ours


async def test_short_slices_tell_the_same_as_long_ones(
    simulated: str,
    asking: Any,  # noqa: F811
):
    """A slice's edge makes no version: day by day through a month it is what one call tells."""
    made = asking(simulated, source=SOURCE, plan=SOURCE.plan("free"), stream=VINTAGES, key=KEY)
    month = over("2025-09-01", "2025-10-01", "GDP")
    whole = await collect(SOURCE, VINTAGES, month, made.api)
    single = [
        record
        for day in month.range.split(DAY)
        for record, _ in (await collect(SOURCE, VINTAGES, Slice(("GDP",), day), made.api)).records
    ]
    key = [(r.key, r.number, r.model_dump()) for r, _ in whole.records]
    assert sorted(key, key=str) == sorted([(r.key, r.number, r.model_dump()) for r in single], key=str)
    assert len(key) > 1


async def test_closes_are_known_on_the_evening_of_their_day(
    simulated: str,
    asking: Any,  # noqa: F811
):
    """The S&P 500 is not in ALFRED: asked for with a window it does not exist, without one it does."""
    made = asking(simulated, source=SOURCE, plan=SOURCE.plan("free"), stream=MARKET_CLOSES, key=KEY)
    week = over("2026-05-18", "2026-05-25", "SP500")
    with pytest.raises(NotOffered):
        await collect(SOURCE, VINTAGES, week, made.api)
    collected = await collect(SOURCE, MARKET_CLOSES, week, made.api)
    days = [utc(f"2026-05-{day}") for day in range(18, 23)]
    assert [(r.key, r.cursor, r.known_at) for r, _ in collected.records] == [
        (day, day, day + timedelta(hours=30)) for day in days
    ]
