"""Rows as Polars frames whose columns and types follow from the rows' declarations, also when there is no row."""

import json
import types
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin

from pydantic import BaseModel

if TYPE_CHECKING:
    import polars as pl

NUMBERS = (float, Decimal)


def frame_of(row: type[BaseModel], rows: Sequence[BaseModel], *, exact: bool = False) -> "pl.DataFrame":
    """One line a row. Polars is loaded here, so that a client without frames starts fast."""
    import polars as pl

    columns: list[pl.Series] = []
    for name, kind, values in _columns(row, rows):
        if exact and kind is Decimal:
            columns.append(_exact(name, values))
        else:
            dtype = _dtype(kind)
            as_it_is = dtype != pl.String() or kind is str
            told = [_plain(one) if as_it_is else _text(one) for one in values]
            columns.append(pl.Series(name, told, dtype=dtype))
    return pl.DataFrame(columns)


def _columns(
    row: type[BaseModel], rows: Sequence[Any], before: str = ""
) -> Iterator[tuple[str, Any, list[Any]]]:
    """(name, type, values) of each column; what is nested has columns of its own."""
    for field, about in row.model_fields.items():
        name, kind = before + (about.alias or field), _without_none(about.annotation)
        values = [None if one is None else getattr(one, field) for one in rows]
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _columns(kind, values, f"{name}.")
        elif get_origin(kind) is dict and (of := _without_none(get_args(kind)[1])) is not Any:
            keys = dict.fromkeys(key for one in values if one is not None for key in one)
            for key in keys:
                inner = [None if one is None else one.get(key) for one in values]
                if isinstance(of, type) and issubclass(of, BaseModel):
                    yield from _columns(of, inner, f"{name}.{key}.")
                else:
                    yield f"{name}.{key}", of, inner
        else:
            yield name, kind, values


def _without_none(annotation: Any) -> Any:
    if get_origin(annotation) in (Union, types.UnionType):
        rest = [one for one in get_args(annotation) if one is not types.NoneType]
        return rest[0] if len(rest) == 1 else Any
    return annotation


def _dtype(kind: Any) -> Any:
    """Of a column. Text holds what is of no one kind, as JSON."""
    import polars as pl

    kind = _without_none(kind)
    if kind is datetime:
        return pl.Datetime("ms", "UTC")
    if kind in NUMBERS:
        return pl.Float64()
    if kind is bool:
        return pl.Boolean()
    if kind is int:
        return pl.Int64()
    if get_origin(kind) is list:
        return pl.List(_dtype(get_args(kind)[0]))
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        fields = kind.model_fields.items()
        return pl.Struct({about.alias or name: _dtype(about.annotation) for name, about in fields})
    return pl.String()


def _plain(value: Any) -> Any:
    match value:
        case Decimal():
            return float(value)
        case BaseModel():
            fields = type(value).model_fields.items()
            return {about.alias or name: _plain(getattr(value, name)) for name, about in fields}
        case list() | tuple():
            return [_plain(one) for one in value]
    return value


def _text(value: Any) -> str | None:
    """What is of no one kind; objects as JSON."""
    if isinstance(value, dict | list):
        return json.dumps(value, default=str)
    return None if value is None else str(value)


def _exact(name: str, values: list[Any]) -> "pl.Series":
    """With as many places after the point as the longest value has. Raises OverflowError beyond 38 digits."""
    import polars as pl

    known = [one for one in values if one is not None]
    places = max((-one.as_tuple().exponent for one in known), default=0)
    scale = max(0, places)
    if any(one.adjusted() + 1 + scale > 38 for one in known if one):
        raise OverflowError(f"{name}: more than 38 digits; take the numbers as Float64, or from the rows")
    return pl.Series(name, values, dtype=pl.Decimal(38, scale))
