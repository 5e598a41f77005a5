"""Column types that mean the same on SQLite and on MariaDB/MySQL: exact numbers, instants, exact text.

SQLite has no decimal type: a number there becomes text whose order is the numbers' order, so that
comparison, ORDER BY, MIN and MAX in SQL agree with arithmetic. Nothing is rounded on either.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, Numeric, String, Text
from sqlalchemy.dialects.mysql import DATETIME, MEDIUMTEXT
from sqlalchemy.types import TypeDecorator, TypeEngine

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_COMPLEMENT = str.maketrans("0123456789", "9876543210")
_BIAS = 500


def to_sortable(value: Decimal) -> str:
    """Text whose order is the order of numbers: sign, biased exponent, digits.

    1.5 -> '2' '501' '15'; negative numbers carry nines' complements and a closing '~'.
    """
    if not value:
        return "1"
    mantissa, _, exponent = format(value, "E").partition("E")  # 1.50 -> 1.50E+0: one digit before the point
    negative = mantissa[0] == "-"
    if negative:
        mantissa = mantissa[1:]
    digits = (mantissa[0] + mantissa[2:]).rstrip("0")
    body = f"{int(exponent) + 1 + _BIAS:03d}{digits}"
    return f"0{body.translate(_COMPLEMENT)}~" if negative else "2" + body


def from_sortable(text: str) -> Decimal:
    """The number that `to_sortable` wrote, exactly."""
    if text == "1":
        return Decimal(0)
    negative = text[0] == "0"
    body = text[1:-1].translate(_COMPLEMENT) if negative else text[1:]
    digits = body[3:]
    return Decimal(f"{'-' if negative else ''}{digits}E{int(body[:3]) - _BIAS - len(digits)}")


def plain(value: Decimal) -> Decimal:
    """The same number in one form: no trailing zeros, no exponent. 1.50 and 1.5 are one value."""
    sign, digits, written = _strip(value).as_tuple()
    exponent = int(written)
    return Decimal((sign, digits + (0,) * max(0, exponent), min(0, exponent)))


def _strip(value: Decimal) -> Decimal:
    sign, digits, exponent = value.as_tuple()
    text = "".join(map(str, digits)).rstrip("0") or "0"
    return Decimal(f"{'-' if sign else ''}{text}E{int(exponent) + len(digits) - len(text)}")


class Exact(TypeDecorator[Decimal]):
    """A number kept digit by digit: DECIMAL(65, 30), or sortable text on SQLite."""

    impl = Numeric(65, 30)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(String(80) if dialect.name == "sqlite" else Numeric(65, 30))

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        return to_sortable(value) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        if value is None:
            return None
        return from_sortable(value) if dialect.name == "sqlite" else _strip(value)


def to_micros(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)


class Instant(TypeDecorator[datetime]):
    """An aware UTC time to the microsecond: DATETIME(6), or microseconds since 1970 on SQLite."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(BigInteger())
        return dialect.type_descriptor(DATETIME(fsp=6))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone; every time here is aware UTC")
        return to_micros(value) if dialect.name == "sqlite" else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return from_micros(value) if dialect.name == "sqlite" else value.replace(tzinfo=UTC)


# SQLite counts rows by INTEGER only. Text compares by its exact characters: the tables' collation is binary.
Id = BigInteger().with_variant(Integer(), "sqlite")
LongText = Text().with_variant(MEDIUMTEXT(), "mysql", "mariadb")
