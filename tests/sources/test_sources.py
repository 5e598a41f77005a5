"""Every source: what it asks for, what it makes of answers that a person has read, and what every stream owes.

The answers in the folder of a source are written by hand, after its documents and recorded answers.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ray_app.collect.collector import collect, unanswered
from ray_app.collect.planner import next_due, on_offer, plan
from ray_app.collect.validate import read
from ray_app.model.errors import Malformed, UpstreamError
from ray_app.model.records import Record
from ray_app.model.source import Page, Plan, Slice, Source, Stream
from ray_app.model.symbols import load_registry
from ray_app.model.timerange import TimeRange
from ray_app.sources import all_sources
from tests.connect.conftest import START, Asking, Simulate, asking, simulate  # noqa: F401  # two are fixtures

CASES = sorted(Path(__file__).parent.glob("*/*.json"))
STREAMS = [
    (source, plan, stream)
    for source in all_sources().values()
    for plan in source.plans
    for stream in plan.streams
]
NAMES = [f"{source.name}-{plan.name}-{stream.name}" for source, plan, stream in STREAMS]
each_stream = pytest.mark.parametrize(("source", "tier", "stream"), STREAMS, ids=NAMES)


def each_stream_of(*sources: str) -> pytest.MarkDecorator:
    """Of those whose answers have a place in time that is known beforehand."""
    chosen = [(case, name) for case, name in zip(STREAMS, NAMES, strict=True) if case[0].name in sources]
    return pytest.mark.parametrize(
        ("source", "tier", "stream"), [case for case, _ in chosen], ids=[name for _, name in chosen]
    )


SOME = ("bitcoin", "tether", "usd", "eur", "BTCUSDT", "ETHUSDT", "BTC-USD", "ETH-USD", "XBTUSD", "ETHUSD")


def some_partitions(stream: Stream) -> list[str]:
    """Two of many, all of a few."""
    every = stream.partitions(load_registry())
    return [name for name in every if name in SOME] or list(every)


@dataclass
class Recorded:
    """An Api that gives one answer and remembers what it was asked."""

    answer: Mapping[str, Any]
    source: str
    stream: str
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    async def get(self, path: str, **params: str | int) -> Page:
        told = {name: str(value) for name, value in params.items()}
        self.asked.append((path, told))
        at = datetime.fromisoformat(self.answer["received_at"])
        return Page(
            source=self.source, stream=self.stream, path=path, params=told, status=200, headers={},
            body=self.answer["body"].encode(), asked_at=at, received_at=at,
        )  # fmt: skip


def case(path: Path) -> tuple[dict[str, Any], Source, Stream, Slice]:
    told = json.loads(path.read_text())
    source = all_sources()[path.parent.name]
    (stream,) = [s for s in source.plan(told["plan"]).streams if s.name == told["stream"]]
    asked = told["asked"]
    over = TimeRange(datetime.fromisoformat(asked["start"]), datetime.fromisoformat(asked["end"]))
    return told, source, stream, Slice(tuple(asked["partitions"]), over)


def numbers(record: dict[str, Any], kind: type[Record]) -> dict[str, Any]:
    """The record with its numbers as numbers, so that 400000000 is 4.0E+8."""
    return kind.model_validate(record).model_dump()


@pytest.mark.parametrize("path", CASES, ids=[f"{path.parent.name}/{path.stem}" for path in CASES])
async def test_an_answer_becomes_the_approved_records(path: Path):
    told, source, stream, wanted = case(path)
    api = Recorded(told, source.name, stream.name)
    collected = await collect(source, stream, wanted, api)
    assert api.asked == [(told["request"]["path"], told["request"]["params"])]
    records = [record for record, _ in collected.records]
    assert [record.model_dump() for record in records] == [
        numbers(record, stream.record) for record in told["records"]
    ]
    for record, approved in zip(records, told["records"], strict=True):
        spelt = record.model_dump(mode="json")
        assert {name: type(value) for name, value in spelt.items()} == {
            name: type(value) for name, value in approved.items()
        }
    assert [record.known_at.isoformat() for record in records] == told["known_at"]
    reasons = [aside.reason for aside, _ in collected.set_aside]
    assert [got[: len(want)] for got, want in zip(reasons, told["set_aside"], strict=True)] == told[
        "set_aside"
    ]
    assert list(unanswered(collected)) == told["unanswered"]


@pytest.mark.parametrize("path", CASES, ids=[f"{path.parent.name}/{path.stem}" for path in CASES])
async def test_every_row_ends_in_one_place(path: Path):
    told, source, stream, wanted = case(path)
    api = Recorded(told, source.name, stream.name)
    (page,) = [page async for page in stream.fetch(api, wanted)]
    found = read(stream, page, wanted)
    counts = (len(found.records), len(found.set_aside), found.left_out, found.without_value)
    expected = (len(told["records"]), len(told["set_aside"]), told["left_out"], told["without_value"])
    assert counts == expected
    assert found.rows == sum(counts)


def test_every_parser_of_every_source_has_an_approved_answer():
    approved = {(path.parent.name, s.name, s.parser) for path in CASES for s in [case(path)[2]]}
    assert {(source.name, stream.name, stream.parser) for source, _, stream in STREAMS} == approved


@each_stream
def test_what_a_stream_declares_makes_sense(source: Source, tier: Plan, stream: Stream):
    zero = timedelta(0)
    assert zero < stream.grain <= stream.longest_slice
    assert stream.longest_slice % stream.grain == zero
    # no interval without a look at it, or several at one that is told while it lasts or awaited afterwards
    often = stream.unfinished or stream.patience >= stream.grain
    assert stream.every % stream.grain == zero or (often and stream.grain % stream.every == zero)
    assert zero <= stream.settle < timedelta(days=1)
    assert stream.batch >= 1
    assert stream.attempts >= 1
    assert stream.describes
    assert stream.unit
    assert source.licence
    assert source.docs.startswith("https://")
    assert tier.base_url.startswith("https://")
    assert len({s.name for s in tier.streams}) == len(tier.streams)
    if isinstance(stream.offers, timedelta):  # between two looks nothing may run out
        assert stream.every + stream.settle + stream.grain <= stream.offers + stream.grain


@each_stream
def test_a_streams_partitions_are_distinct_and_storable(source: Source, tier: Plan, stream: Stream):
    partitions = stream.partitions(load_registry())
    assert partitions
    assert len(set(partitions)) == len(partitions)
    assert all(0 < len(partition) <= 190 for partition in partitions)
    assert all(partition == partition.strip() for partition in partitions)  # MariaDB pads with spaces


PLAN_OF_SIMULATOR = {"keyless": "keyless", "demo": "demo", "paid": "analyst"}


@each_stream_of("coingecko")
async def test_a_stream_asks_for_what_its_plan_offers_and_reads_the_answer(
    source: Source,
    tier: Plan,
    stream: Stream,
    simulate: Simulate,  # noqa: F811
    asking: Any,  # noqa: F811
):
    """Against the simulated upstream of that plan: everything due is asked for, answered, and read."""
    simulated = simulate(PLAN_OF_SIMULATOR[tier.name], limits=False)
    made: Asking = asking(
        simulated.base + tier.simulated_at, source=source, plan=tier, stream=stream, key="sim-key"
    )
    names = some_partitions(stream)
    over = on_offer(stream, START, timedelta(hours=30))
    assert over is not None
    slices = list(plan(stream, names, over, {}))
    got: dict[str, list[datetime]] = {}
    for wanted in slices:
        collected = await collect(source, stream, wanted, made.api)
        assert collected.set_aside == ()
        for record, _ in collected.records:
            assert type(record) is stream.record
            assert record.partition in wanted.partitions
            assert record.cursor in wanted.range
            assert record.cursor <= record.known_at <= START + timedelta(minutes=5)
            got.setdefault(record.partition, []).append(record.cursor)
    grid = [over.start + n * stream.grain for n in range(over.length // stream.grain)]
    assert got == dict.fromkeys(names, grid)
    assert [page.status for page in made.kept] == [200] * len(slices)
    assert {page.source for page in made.kept} == {source.name}
    assert next_due(stream, START) > START


SLOT = TimeRange(datetime(2026, 6, 1, 10, tzinfo=UTC), datetime(2026, 6, 1, 11, tzinfo=UTC))
NO_ANSWERS = {
    "nothing": b"",
    "html": b"<!DOCTYPE html><html><body>Just a moment...</body></html>",
    "cut off": b'[{"id": "bitcoin", "current_pr',
    "null": b"null",
    "a number": b"17",
    "a text": b'"maintenance"',
    "another shape": b'{"data": {"items": [1, 2, 3]}}',
    "rows of another kind": b'[["a", {"b": 1}], 3, null, "x"]',
    "no numbers": b"[[NaN, Infinity, 1, 1, 1]]",
    "not text": b"\xff\xfe\x00",
}


@each_stream
@pytest.mark.parametrize("body", NO_ANSWERS.values(), ids=NO_ANSWERS.keys())
async def test_an_answer_that_cannot_be_read_is_never_an_empty_answer(
    source: Source, tier: Plan, stream: Stream, body: bytes
):
    class Broken(Recorded):
        async def get(self, path: str, **params: str | int) -> Page:
            page = await super().get(path, **params)
            return Page(**{**vars_of(page), "body": body})

    wanted = Slice((stream.partitions(load_registry())[0],), SLOT)
    api = Broken({"received_at": "2026-06-01T10:00:01+00:00", "body": ""}, source.name, stream.name)
    with pytest.raises(UpstreamError) as told:
        await collect(source, stream, wanted, api)
    assert isinstance(told.value, Malformed)


def vars_of(page: Page) -> dict[str, Any]:
    return {name: getattr(page, name) for name in page.__dataclass_fields__}


def same(one: Any, other: Any) -> bool:
    """A text that became a number on its way has lost what a double does not hold."""
    both = isinstance(one, Decimal) and isinstance(other, Decimal)
    return one == other or (both and abs(one - other) <= abs(other) * Decimal("1e-14"))


SPOILT: list[tuple[str, dict[str, Any]]] = [
    ("F12", {"kind": "null"}), ("F12", {"kind": "missing"}), ("F13", {"kind": "duplicated"}),
    ("F13", {"kind": "backwards"}), ("F13", {"kind": "shuffled"}), ("F14", {}), ("F15", {}), ("F19", {"rows": 1}),
    ("F24", {"kind": "extra"}), ("F24", {"kind": "strings"}), ("F24", {"kind": "missing"}),
    ("F25", {"kind": "seconds"}), ("F25", {"kind": "microseconds"}),
]  # fmt: skip
LEAVES_OUT = ("F12", "F14", "F19")


@each_stream_of("coingecko", "binance", "binance_futures", "coinbase", "kraken")
async def test_a_spoilt_answer_yields_right_records_or_none(
    source: Source,
    tier: Plan,
    stream: Stream,
    simulate: Simulate,  # noqa: F811
    asking: Any,  # noqa: F811
):
    """Dropped, doubled, renamed, told in other units: no record has another value than in the right answer.

    A candle that was told while it formed (F15) looks like any other: only its age tells, hence `settle`.
    """
    simulated = simulate(PLAN_OF_SIMULATOR.get(tier.name, "analyst"), limits=False)
    made: Asking = asking(
        simulated.base + tier.simulated_at, source=source, plan=tier, stream=stream, key="sim-key"
    )
    names = [name for name in some_partitions(stream) if name != "tether"]
    over = on_offer(stream, START, max(timedelta(hours=20), 10 * stream.grain))
    assert over is not None
    wanted = next(iter(plan(stream, names, over, {})))

    async def records() -> dict[tuple[str, datetime], dict[str, Any]]:
        collected = await collect(source, stream, wanted, made.api)
        return {(r.partition, r.cursor): r.model_dump() for r, _ in collected.records}

    right = await records()
    for fault, parameters in SPOILT:
        simulated.heal()
        simulated.fault(fault, **parameters)
        try:
            told = await records()
        except Malformed:
            continue
        assert told or fault in LEAVES_OUT, (fault, parameters)
        if fault == "F15":
            told.pop(max(right), None)
        for place, values in told.items():
            other = {name: value for name, value in values.items() if not same(value, right[place][name])}
            if fault == "F12":
                other = {name: value for name, value in other.items() if value is not None}
            assert other == {}, (fault, parameters, place)
