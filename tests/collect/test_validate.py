from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_app.collect.collector import failure, parsed, unanswered
from ray_app.collect.validate import read
from ray_app.model.errors import Malformed, NotOffered, RateLimited, UpstreamError
from ray_app.model.records import ExchangeRate
from ray_app.model.source import Page, Slice
from ray_app.model.timerange import TimeRange
from ray_app.sources.coingecko import RATES, SOURCE

T0 = datetime(2026, 3, 1, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
WANTED = Slice(("usd", "eur", "gbp"), TimeRange(T0, T0 + 3 * HOUR))


def parse(row: Any, _: Slice) -> ExchangeRate | None:
    """Rows of these tests: (currency, hours after T0, value), the value None or a fault of its own."""
    currency, hours, value = row
    if value is None:
        return None
    if isinstance(value, Exception):
        raise value
    return ExchangeRate(currency=currency, slot=T0 + hours * HOUR, per_btc=Decimal(value), kind="fiat")


def page_of(*rows: Any, at: datetime = T0 + 3 * HOUR) -> tuple[Any, Page]:
    """A stream whose pages hold these rows."""

    def found(_: Page) -> Iterable[Any]:
        return rows

    page = Page(
        source="coingecko", stream="exchange_rates", path="/x", params={}, status=200, headers={},
        body=repr(rows).encode(), asked_at=at, received_at=at,
    )  # fmt: skip
    return replace(RATES, rows=found, parse=parse), page


def values(
    *rows: Any, at: datetime = T0 + 3 * HOUR
) -> tuple[list[tuple[str, int, str]], list[str], int, int]:
    stream, page = page_of(*rows, at=at)
    found = read(stream, page, WANTED)
    records = [(r.partition, (r.cursor - T0) // HOUR, str(r.model_dump()["per_btc"])) for r in found.records]
    return records, [aside.reason for aside in found.set_aside], found.left_out, found.without_value


def test_what_was_not_asked_for_is_left_out():
    told = values(("usd", 0, 1), ("usd", -1, 1), ("usd", 3, 1), ("chf", 0, 1), ("eur", 2, 2))
    assert told == ([("usd", 0, "1"), ("eur", 2, "2")], [], 3, 0)


def test_the_same_thing_said_twice_is_said_once():
    assert values(("usd", 0, "1.5"), ("usd", 0, "1.50")) == ([("usd", 0, "1.5")], [], 1, 0)


def test_of_two_different_values_the_last_holds_and_the_first_is_set_aside():
    stream, page = page_of(("usd", 0, 1), ("eur", 0, 5), ("usd", 0, 2), ("usd", 0, 3))
    found = read(stream, page, WANTED)
    assert [(r.partition, r.model_dump()["per_btc"]) for r in found.records] == [("usd", 3), ("eur", 5)]
    assert [aside.row for aside in found.set_aside] == ['["usd",0,1]', '["usd",0,2]']
    assert {aside.reason for aside in found.set_aside} == {"said twice in one answer with different values"}


def test_what_nobody_can_know_yet_is_set_aside():
    told = values(("usd", 2, 1), ("usd", 1, 1), at=T0 + HOUR + 55 * MINUTE)
    assert told[0] == [("usd", 2, "1"), ("usd", 1, "1")]  # their clock may be five minutes ahead of ours
    records, reasons, _, _ = values(("usd", 2, 1), ("usd", 1, 1), at=T0 + HOUR + 54 * MINUTE)
    assert records == [("usd", 1, "1")]
    assert "the future" in reasons[0]


@pytest.mark.parametrize(
    "fault",
    [ValueError("x"), TypeError("x"), KeyError("x"), IndexError(), ArithmeticError("x"), AttributeError("x")],
)
def test_a_row_that_cannot_be_read_does_not_hold_up_the_others(fault: Exception):
    records, reasons, _, _ = values(("usd", 0, fault), ("eur", 0, 2))
    assert records == [("eur", 0, "2")]
    assert reasons == [f"{type(fault).__name__}: {fault}".rstrip()] or reasons[0].startswith(
        type(fault).__name__
    )


def test_a_fault_of_our_own_is_no_fault_of_the_row():
    stream, page = page_of(("usd", 0, MemoryError()))
    with pytest.raises(MemoryError):
        read(stream, page, WANTED)


def test_where_no_row_can_be_found_the_source_has_changed():
    def rows(_: Page) -> Iterable[Any]:
        yield ("usd", 0, 1)
        raise KeyError("data")

    stream, page = page_of()
    with pytest.raises(Malformed, match="no rows of exchange_rates to be found: KeyError: 'data'"):
        read(replace(stream, rows=rows), page, WANTED)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["usd", "eur", "chf"]),
            st.integers(-1, 4),
            st.sampled_from([1, 2, "1.0", None, ValueError("x")]),
        ),
        max_size=12,
    )
)
def test_every_row_ends_in_exactly_one_place(rows: list[Any]):
    stream, page = page_of(*rows)
    found = read(stream, page, WANTED)
    assert found.rows == len(rows)
    assert found.rows == len(found.records) + len(found.set_aside) + found.left_out + found.without_value
    places = [(record.partition, record.cursor) for record in found.records]
    assert len(set(places)) == len(places)
    readable = {
        (c, T0 + h * HOUR): Decimal(v)
        for c, h, v in rows
        if v is not None and not isinstance(v, Exception) and c in WANTED.partitions and 0 <= h < 3
    }
    assert {(r.partition, r.cursor): r.model_dump()["per_btc"] for r in found.records} == readable


def test_a_slice_of_several_pages_names_the_page_of_each_record():
    stream, page = page_of(("usd", 0, 1), ("eur", 0, ValueError("bad")))
    later = replace(page, received_at=page.received_at + MINUTE)
    collected = parsed(SOURCE, stream, WANTED, [page, later])
    assert [(record.partition, number) for record, number in collected.records] == [("usd", 0), ("usd", 1)]
    assert [number for _, number in collected.set_aside] == [0, 1]
    assert collected.received_at == later.received_at
    assert (collected.outcome, collected.parser, collected.slice) == ("covered", stream.parser, WANTED)
    assert unanswered(collected) == ("eur", "gbp")


def test_where_no_row_can_be_read_the_slice_is_not_covered():
    stream, page = page_of(("usd", 0, ValueError("bad")), ("eur", 0, ValueError("bad")))
    with pytest.raises(Malformed, match="no row of exchange_rates could be read: ValueError: bad"):
        parsed(SOURCE, stream, WANTED, [page])


@pytest.mark.parametrize("rows", [[], [("usd", 0, None)], [("chf", 0, 1), ("usd", 0, ValueError("bad"))]])
def test_an_answer_without_records_is_an_answer(rows: list[Any]):
    stream, page = page_of(*rows)
    collected = parsed(SOURCE, stream, WANTED, [page])
    assert collected.records == ()
    assert unanswered(collected) == WANTED.partitions


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(NotOffered("coingecko", "404"), "not_offered"), (RateLimited("coingecko", "429"), "failed"),
     (Malformed("coingecko", "x" * 1000), "failed")],
)  # fmt: skip
def test_a_failure_says_why(error: UpstreamError, outcome: str):
    entry = failure(SOURCE, RATES, WANTED, error, T0)
    assert (entry.outcome, entry.slice, entry.received_at, entry.records) == (outcome, WANTED, T0, ())
    assert entry.reason == f"{type(error).__name__}: {error.detail}"[:500]
    again = failure(SOURCE, RATES, WANTED, error, T0 + MINUTE)
    assert again.hash != entry.hash  # two failures are two entries
