"""Real vintages through parse and store: a question about a day gets the numbers that were told by that day.

Two files of the New York Fed's nowcast hold what FRED told of the same series on 29 June and 29 July 2016. They
are answered here as FRED answers a window of vintages, clamped by the same rule as its own recordings.
"""

import csv
import json
import shutil
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from ray_app.collect.collector import collect
from ray_app.model.collected import Lease
from ray_app.model.series import Observation
from ray_app.model.source import Slice
from ray_app.model.timerange import TimeRange
from ray_app.simulator.fred.asof import FOREVER, Version, in_window
from ray_app.sources.fred import LIMIT, SOURCE, VINTAGES
from ray_app.store.reading import Point
from ray_app.store.store import Store
from tests.sources.pages import Prepared, over, utc

JUNE, JULY = date(2016, 6, 29), date(2016, 7, 29)
KNOWN = timedelta(hours=30)  # a vintage's day is over in US Central
EVER = TimeRange(datetime(1980, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC))
REVISED = {  # of series that we collect: how many months or quarters have another number in July
    "PAYEMS": 2, "JTSJOL": 1, "CPIAUCSL": 0, "RSAFS": 6, "INDPRO": 5, "GDPC1": 13,
}  # fmt: skip
Told = dict[date, str]  # what a file says: period to number


def told(folder: Path, day: date, series: str) -> Told:
    path = folder / f"macro/statsmodels/frbny_nowcast_US_vintage_{day}.csv"
    if not path.exists():
        pytest.skip(f"the recorded data here lack {path.name}")
    out = {}
    with path.open() as file:
        for row in csv.DictReader(file):
            month, _, year = (int(part) for part in row["Date"].split("/"))
            month -= 2 * (series == "GDPC1")  # the file dates a quarter by its last month, FRED by its first
            if row[series]:
                out[date(year + (1900 if year > 50 else 2000), month, 1)] = row[series]
    return out


def answer(june: Told, july: Told, asked: dict[str, str]) -> bytes:
    """FRED's, of the two days on which anything is known to us."""
    versions = []
    for period in sorted({*june, *july}):
        before, now = june.get(period), july[period]
        if before is not None:
            end = FOREVER if before == now else JULY - timedelta(days=1)
            versions.append(Version(period, JUNE, end, before))
        if before != now:
            versions.append(Version(period, JULY, FOREVER, now))
    window = (date.fromisoformat(asked[name]) for name in ("realtime_start", "realtime_end"))
    rows = [
        {"realtime_start": f"{v.start}", "realtime_end": f"{v.end}", "date": f"{v.period}", "value": v.value}
        for v in in_window(versions, *window)
    ]
    head = {"units": "lin", "count": len(rows), "offset": 0, "limit": LIMIT}
    return json.dumps({**head, "observations": rows}).encode()


@pytest.fixture
async def held(tmp_path: Path, prepared_sqlite: Path) -> AsyncIterator[tuple[Store, Lease]]:
    shutil.copy(prepared_sqlite, tmp_path / "node.db")
    store = Store(f"sqlite+aiosqlite:///{tmp_path}/node.db", str(tmp_path / "raw"))
    lease = await store.leases.acquire("shard", "me")
    assert lease is not None
    yield store, lease
    await store.close()


@pytest.mark.parametrize(("series", "revised"), REVISED.items())
async def test_known_by_a_day_is_the_vintage_of_that_day(
    shared_data: Path, held: tuple[Store, Lease], series: str, revised: int
):
    store, lease = held
    june, july = (told(shared_data, day, series) for day in (JUNE, JULY))
    assert june.keys() <= july.keys()
    api = Prepared(SOURCE, lambda _, asked: (200, answer(june, july, asked)))

    async def look(start: str, end: str) -> tuple[int, int]:
        wanted: Slice = over(start, end, series)
        collected = await collect(SOURCE, VINTAGES, wanted, api)
        assert collected.set_aside == ()
        for page in collected.pages:
            await store.raw.keep(page)
        done = await store.commit([collected], lease)
        return done.new, done.revised

    async def known_by(moment: datetime) -> dict[date, Decimal | None]:
        facts = await store.reading.between(Observation, "fred.macro", [series], EVER, Point(known_by=moment))
        return {fact.key.date(): fact.values["value"] for fact in facts if isinstance(fact.key, datetime)}

    def numbers(of: Told) -> dict[date, Decimal | None]:
        return {period: Decimal(value) for period, value in of.items()}

    # July comes first, as where old vintages are filled in later.
    assert sum(await look("2016-07-29", "2016-08-02")) == revised + len(july) - len(june)
    assert sum(await look("2016-06-28", "2016-07-05")) == len(june)
    first, second = (utc(f"{day}") + KNOWN for day in (JUNE, JULY))
    moment = timedelta(milliseconds=1)
    assert await known_by(first - moment) == {}
    assert await known_by(first) == await known_by(second - moment) == numbers(june)
    assert await known_by(second) == await known_by(utc("2026-01-01")) == numbers(july)
    assert sum(june[period] != july[period] for period in june) == revised
