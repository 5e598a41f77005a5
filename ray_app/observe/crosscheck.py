"""Do two upstreams tell the same price? The figures, and the comparison; nothing here looks anything up.

A dollar price is held against the closes of exchanges in dollars, and with more room against those in USDT,
which is worth a dollar within a percent or so on all but a few days.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, localcontext
from typing import Any

TOLERANCE: Mapping[str, Decimal] = {"USD": Decimal("0.02"), "USDT": Decimal("0.03")}  # parts of the close
MOST_APART = timedelta(minutes=15)  # values further apart in time are not compared
_SHOWN = Decimal("0.01")  # of a percent


@dataclass(frozen=True, slots=True)
class Told:
    """What one source says that something costs, and when."""

    source: str
    value: Decimal
    unit: str
    at: datetime


def differ(price: Told, close: Told) -> str | None:
    """What to say when they differ by more than the tolerance, with both values; None when all is well.

    None as well where they cannot be compared: another unit, or too far apart in time.
    """
    tolerance = TOLERANCE.get(close.unit)
    if tolerance is None or price.unit != "USD" or abs(price.at - close.at) > MOST_APART:
        return None
    with localcontext(prec=40):
        off = abs(price.value - close.value) / close.value
        if off <= tolerance:
            return None
        percent = (off * 100).quantize(_SHOWN) if off < 10**9 else off * 100
    told = ", ".join(
        f"{one.source} says {one.value:f} {one.unit} at {one.at:%Y-%m-%dT%H:%M:%SZ}" for one in (price, close)
    )
    return f"{told}: {percent:f} % apart, {(tolerance * 100).normalize():f} % is allowed"


def figures(against: Iterable[str]) -> dict[str, Any]:
    """The rule as the catalog tells it. `against`: the data sets whose closes are looked at."""
    return {
        "against": sorted(against),
        "tolerance": dict(TOLERANCE),
        "within_seconds": MOST_APART.total_seconds(),
    }
