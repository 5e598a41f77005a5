from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Column, Integer, MetaData, Table, delete, func, insert, select, text

from ray_app.model import records
from ray_app.store.engine import Database
from ray_app.store.types import Exact, Instant, from_sortable, plain, to_sortable

scratch = MetaData()
numbers = Table("numbers", scratch, Column("id", Integer, primary_key=True), Column("value", Exact))
moments = Table("moments", scratch, Column("id", Integer, primary_key=True), Column("at", Instant))
LARGEST = Decimal("9" * 35 + "." + "9" * 30)
SMALLEST = Decimal("1E-30")


@st.composite
def storable(draw: st.DrawFn) -> Decimal:
    """Any number of at most 35 digits before the point and 30 behind it, in any spelling."""
    exponent = draw(st.integers(-30, 34))
    most = 35 - exponent
    digits = draw(st.one_of(st.integers(0, 999), st.integers(0, 10 ** min(most, 65) - 1)))
    if len(str(digits)) > most:
        digits = digits % 10**most
    return Decimal((draw(st.integers(0, 1)), tuple(map(int, str(digits))), exponent))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    async with opened.write() as connection:
        await connection.run_sync(scratch.create_all)
    yield opened
    await opened.close()


several = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


@several
@given(st.lists(storable(), min_size=2, max_size=12))
@example([Decimal("1E-12"), Decimal(10**15), Decimal("-1E-12"), Decimal("1E+15")])
@example([Decimal(0), Decimal("-0.0"), Decimal("0E+5"), Decimal("-1"), Decimal(1)])
@example([LARGEST, LARGEST.copy_negate(), SMALLEST, -SMALLEST, Decimal("9" * 35)])
@example([Decimal("0.000000000123456789012345678901"), Decimal("1.23456789012345678901E-10")])
@example([Decimal("-1.5"), Decimal("-1.50"), Decimal("-15"), Decimal("-1.49"), Decimal("-2")])
async def test_numbers_come_back_digit_by_digit_and_in_their_order(database: Database, wanted: list[Decimal]):
    async with database.write() as connection:
        await connection.execute(delete(numbers))
        await connection.execute(insert(numbers), [{"value": value} for value in wanted])
    async with database.read() as connection:
        told = list((await connection.execute(select(numbers.c.value).order_by(numbers.c.id))).scalars())
        query = select(numbers.c.value).order_by(numbers.c.value)
        ordered = list((await connection.execute(query)).scalars())
        ends = (await connection.execute(select(func.min(numbers.c.value), func.max(numbers.c.value)))).one()
        pivot = wanted[0]
        below, equal, above = [
            sorted((await connection.execute(select(numbers.c.value).where(condition))).scalars())
            for condition in (
                numbers.c.value < pivot,
                numbers.c.value == pivot,
                numbers.c.value > pivot,
            )
        ]
    assert told == wanted
    assert ordered == sorted(wanted)
    assert tuple(ends) == (min(wanted), max(wanted))
    assert below == sorted(value for value in wanted if value < pivot)
    assert equal == [value for value in wanted if value == pivot]
    assert above == sorted(value for value in wanted if value > pivot)


@given(storable(), storable())
def test_sortable_text_is_a_number_in_order(one: Decimal, other: Decimal):
    assert from_sortable(to_sortable(one)) == one
    assert (to_sortable(one) < to_sortable(other)) is (one < other)
    assert (to_sortable(one) == to_sortable(other)) is (one == other)


@given(storable())
@example(Decimal("1E+34"))
@example(Decimal("12345678901234567890123456789012340"))
@example(Decimal("1234567890123456789012345678901234E+1"))
@example(Decimal("100.00000000000000000000000000000"))
def test_the_plain_form_is_one_form_of_the_same_number(value: Decimal):
    form = plain(value)
    assert form == value
    again = plain(Decimal(format(value, "f") + ("0" if "." in format(value, "f") else ".0")))
    assert form.as_tuple() == again.as_tuple() or value == 0
    assert "E+" not in str(form)


exact: TypeAdapter[Decimal] = TypeAdapter(records.Exact)


@given(storable())
def test_what_the_store_can_keep_is_a_value(value: Decimal):
    assert exact.validate_python(value) == value


@pytest.mark.parametrize(
    "value",
    [
        "1E-31",
        "1.0000000000000000000000000000001",  # 31 decimals: must not be rounded on the way in
        "0.1234567890123456789012345678901",
        "1E+35",
        "100000000000000000000000000000000000.5",
        "NaN",
        "Infinity",
    ],
)
def test_what_the_store_would_round_is_refused(value: str):
    with pytest.raises(ValidationError):
        exact.validate_python(Decimal(value))


def test_zeros_behind_thirty_decimals_are_no_digits():
    value = Decimal("1.5" + "0" * 40)
    assert exact.validate_python(value) == Decimal("1.5")


ANY_MOMENT = st.datetimes(datetime(1970, 1, 2), datetime(2199, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001


@several
@given(st.lists(ANY_MOMENT, min_size=2, max_size=8))
@example([datetime(2026, 1, 1, 0, 0, 0, 1, UTC), datetime(2026, 1, 1, 0, 0, 0, 0, UTC)])
@example([datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)])  # DST ends
async def test_moments_come_back_to_the_microsecond(database: Database, wanted: list[datetime]):
    async with database.write() as connection:
        await connection.execute(delete(moments))
        await connection.execute(insert(moments), [{"at": at} for at in wanted])
    async with database.read() as connection:
        told = list((await connection.execute(select(moments.c.at).order_by(moments.c.id))).scalars())
        later = select(moments.c.at).where(moments.c.at > wanted[0]).order_by(moments.c.at)
        after = list((await connection.execute(later)).scalars())
    assert told == wanted
    assert all(at.tzinfo is UTC for at in told)
    assert after == sorted(at for at in wanted if at > wanted[0])


async def test_a_moment_in_another_zone_is_the_same_instant(database: Database):
    tokyo = datetime(2026, 3, 1, 9, 0, 0, 5, tzinfo=timezone(timedelta(hours=9)))
    async with database.write() as connection:
        await connection.execute(insert(moments), [{"at": tokyo}])
        found = select(moments.c.at).where(moments.c.at == datetime(2026, 3, 1, 0, 0, 0, 5, tzinfo=UTC))
        assert (await connection.execute(found)).scalar_one() == tokyo


async def test_a_moment_without_a_zone_is_refused(database: Database):
    with pytest.raises(Exception, match="no time zone"):
        async with database.write() as connection:
            await connection.execute(insert(moments), [{"at": datetime(2026, 3, 1)}])  # noqa: DTZ001


@pytest.mark.mariadb
async def test_the_session_is_in_utc_whatever_the_servers_zone_is(fresh_mariadb_database: str):
    """The tests' server lives at -09:30."""
    database = Database(fresh_mariadb_database)
    async with database.read() as connection:
        zones = (await connection.execute(text("SELECT @@global.time_zone, @@session.time_zone"))).one()
        local, utc = (await connection.execute(text("SELECT NOW(6), UTC_TIMESTAMP(6)"))).one()
    await database.close()
    assert tuple(zones) == ("-09:30", "+00:00")
    assert local == utc
