"""How numbers and times are written wherever the node tells them: in answers, in exports and their manifests."""

from datetime import UTC, datetime
from decimal import Decimal


def text(moment: datetime) -> str:
    """2026-11-23T01:05:00.000Z; digits beyond the millisecond are cut off."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def number(value: Decimal) -> str:
    """All digits, no exponent, no trailing zeros."""
    plain = format(value, "f")
    return (plain.rstrip("0").rstrip(".") or "0") if "." in plain else plain
