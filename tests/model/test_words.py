"""The small words of the model: records, clocks, errors, slices on their way, declarations."""

import asyncio
import inspect
import pickle
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from ray_app.model import errors
from ray_app.model.clock import ManualClock, SimulatedClock, SystemClock
from ray_app.model.collected import Collected, partitions_hash, slice_of
from ray_app.model.declared import declare, record_of, schedule
from ray_app.model.quota import next_month
from ray_app.model.records import Bar, ExchangeRate, MarketPoint, Price
from ray_app.model.source import Page, Slice
from ray_app.model.timerange import TimeRange
from ray_app.sources.coingecko import BARS, PRICES, SOURCE

T0 = datetime(2026, 3, 1, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def bar(**changes: Any) -> Bar:
    told: dict[str, Any] = {
        "symbol": "bitcoin", "interval": "1h", "start": T0, "end": T0 + HOUR,
        "open": 2, "high": 4, "low": 1, "close": 3,
    } | changes  # fmt: skip
    return Bar(**told)


def test_when_a_fact_could_be_known():
    assert bar().known_at == T0 + HOUR
    price = Price(coin="bitcoin", slot=T0, updated_at=T0 + MINUTE, price=Decimal(1))
    assert price.known_at == T0 + MINUTE
    assert Price(coin="bitcoin", slot=T0, updated_at=T0 - HOUR, price=Decimal(1)).known_at == T0
    assert ExchangeRate(currency="usd", slot=T0, per_btc=Decimal(1), kind="fiat").known_at == T0
    point = MarketPoint(coin="bitcoin", hour=T0, at=T0 + 59 * MINUTE, price=Decimal(1))
    assert (point.cursor, point.known_at) == (T0, T0 + 59 * MINUTE)


@pytest.mark.parametrize(
    "changes",
    [
        {"high": 2.5}, {"low": 2.5}, {"open": 5}, {"close": 0.5}, {"end": T0}, {"end": T0 - HOUR}, {"open": 0},
        {"low": -1}, {"close": None}, {"open": "NaN"}, {"start": T0.replace(tzinfo=None)}, {"interval": "1w"},
        {"volume": -1}, {"trades": 2**63}, {"colour": 7},
    ],
)  # fmt: skip
def test_what_cannot_be_a_bar_is_none(changes: dict[str, Any]):
    with pytest.raises(ValidationError):
        bar(**changes)


def test_a_flat_bar_is_a_bar_and_times_are_utc():
    tokyo = timezone(timedelta(hours=9))
    flat = bar(open=2, high=2, low=2, close=2, start=datetime(2026, 3, 1, 9, tzinfo=tokyo))
    assert flat.start == T0
    assert flat.start.tzinfo is UTC


def test_records_do_not_change():
    with pytest.raises(ValidationError):
        bar().__setattr__("open", Decimal(3))


ERRORS = [
    kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.NodeError)
]


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_that_crosses_processes_is_the_same_error(kind: type[errors.NodeError]):
    """Ray pickles them; one that loses its type passes every `except` by."""
    if kind is errors.RateLimited:
        error: errors.NodeError = kind("coingecko", "slow", 7.5)
    elif issubclass(kind, errors.UpstreamError):
        error = kind("coingecko", "why")
    else:
        error = kind("why")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert (str(again), vars(again)) == (str(error), vars(error))


async def test_the_clocks_tell_and_wait():
    manual = ManualClock(T0)
    await manual.sleep(90)
    assert manual.now() == T0 + 1.5 * MINUTE
    await manual.sleep_until(T0)
    assert manual.now() == T0 + 1.5 * MINUTE
    await manual.sleep_until(T0 + HOUR)
    assert manual.now() == T0 + HOUR
    manual.set(T0)
    assert manual.now() == T0

    system = SystemClock()
    before = system.now()
    assert before.tzinfo is UTC
    await system.sleep(0.02)
    await system.sleep_until(before)
    assert timedelta(seconds=0.015) < system.now() - before < timedelta(seconds=5)

    fast = SimulatedClock(T0, speed=3600)
    await asyncio.wait_for(fast.sleep(60), 5)
    assert T0 + MINUTE <= fast.now() < T0 + 10 * HOUR

    still = SimulatedClock(T0, speed=0)
    assert still.now() == T0
    with pytest.raises(RuntimeError, match="stands still"):
        await still.sleep(1)


async def test_a_jumping_clock_goes_where_it_is_taken():
    asked: list[datetime] = []

    async def advance(moment: datetime) -> datetime:
        asked.append(moment)
        return moment + MINUTE  # others may have moved it further

    clock = SimulatedClock(T0, 0, advance)
    await clock.sleep_until(T0 + HOUR)
    assert asked == [T0 + HOUR]
    assert clock.now() == T0 + HOUR + MINUTE


def slice_with(at: datetime = T0, outcome: str = "covered", body: bytes = b"[]", **more: Any) -> Collected:
    page = Page(
        source="coingecko", stream="prices", path="/x", params={}, status=200, headers={}, body=body,
        asked_at=at, received_at=at,
    )  # fmt: skip
    told: dict[str, Any] = {
        "source": "coingecko", "stream": "prices", "parser": "1", "outcome": outcome, "received_at": at,
        "slice": Slice(("a", "b"), TimeRange(T0, T0 + HOUR)), "pages": (page,) if outcome == "covered" else (),
    } | more  # fmt: skip
    return Collected(**told)


def test_the_hash_of_a_slice_is_made_of_what_it_is():
    one = slice_with()
    assert slice_with().hash == one.hash
    assert slice_with(slice=Slice(("b", "a"), one.slice.range)).hash == one.hash
    others = [
        slice_with(at=T0 + MINUTE), slice_with(body=b"[1]"), slice_with(stream="chart"),
        slice_with(slice=Slice(("a",), one.slice.range)),
        slice_with(slice=Slice(("a", "b"), TimeRange(T0, T0 + 2 * HOUR))),
        slice_with(outcome="failed"), slice_with(outcome="not_offered"), slice_with(outcome="failed", reason="x"),
        slice_with(outcome="failed", at=T0 + MINUTE),
    ]  # fmt: skip
    assert len({one.hash, *(other.hash for other in others)}) == len(others) + 1


@pytest.mark.parametrize("outcome", ["covered", "failed"])
def test_a_slice_had_later_is_the_same_slice(outcome: str):
    one = slice_with(outcome=outcome)
    late = one.received(T0 + HOUR).received(T0 + 2 * HOUR).unannounced()
    assert (late.hash, late.first_at, late.received_at) == (one.hash, T0, T0 + 2 * HOUR)
    assert late.manifest() == one.manifest() | {"received_at": (T0 + 2 * HOUR).isoformat()}
    assert slice_of(late.manifest()) == one.slice


def test_a_set_of_partitions_has_one_hash_in_any_order():
    assert partitions_hash(("a", "b")) == partitions_hash(("b", "a"))
    assert partitions_hash(("a", "b")) != partitions_hash(("ab",))


def test_the_next_month():
    for now, wanted in (
        (datetime(2026, 1, 31, 23, 59, 59, 999_999, UTC), datetime(2026, 2, 1, tzinfo=UTC)),
        (datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
        (datetime(2028, 2, 29, 12, tzinfo=UTC), datetime(2028, 3, 1, tzinfo=UTC)),
    ):
        assert next_month(now) == wanted


def test_a_declaration_tells_the_schedule_again():
    told = declare(SOURCE, SOURCE.plan("paid"), BARS, ("bitcoin",), timedelta(days=30)) | {"declared_at": T0}
    read = schedule(told)
    assert (read.grain, read.every, read.settle, read.offers) == (HOUR, HOUR, BARS.settle, BARS.offers)
    assert read.wanted_from == T0 - timedelta(days=30)
    assert record_of(told) is Bar
    present = declare(SOURCE, SOURCE.plan("paid"), PRICES, ("bitcoin",), timedelta(days=30)) | {
        "declared_at": T0
    }
    assert schedule(present).offers is None
    assert schedule(present).wanted_from == T0  # nobody can ask for a past that is not told
    halves = SOURCE.plan("keyless").streams[2]
    short = declare(SOURCE, SOURCE.plan("keyless"), halves, ("bitcoin",), timedelta(days=30)) | {
        "declared_at": T0
    }
    assert schedule(short).offers == timedelta(hours=23)


def test_a_plan_that_is_not_there_is_told_with_those_that_are():
    with pytest.raises(ValueError, match="coingecko has no plan 'gold'; it has keyless, demo, paid"):
        SOURCE.plan("gold")


def test_numbers_of_a_page_are_exact():
    page = slice_with(body=b'{"a": 0.1, "b": 1e-12, "c": 12345678901234567890123, "d": 1.10}').pages[0]
    assert page.json() == {
        "a": Decimal("0.1"), "b": Decimal("1E-12"), "c": 12345678901234567890123, "d": Decimal("1.10")
    }  # fmt: skip


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[1, 2", b"[NaN]", b"[-Infinity]", b"\xff", b"[" * 100_000]
)
def test_what_is_not_json_is_malformed(body: bytes):
    with pytest.raises(errors.Malformed, match="coingecko: not JSON"):
        slice_with(body=body).pages[0].json()
