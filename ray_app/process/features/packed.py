"""A row of features as bytes and back: float64, little-endian, in the order of the set; NaN stands for null."""

from collections.abc import Sequence

import numpy as np
import polars as pl

_KIND = np.dtype("<f8")


def pack(frame: pl.DataFrame, names: Sequence[str]) -> list[bytes]:
    """Each row's numbers under these names. The same numbers are the same bytes."""
    numbers = frame.select(names).to_numpy().astype(_KIND)
    numbers = np.ascontiguousarray(np.where(np.isfinite(numbers), numbers + 0.0, np.nan))  # one NaN, one zero
    return [row.tobytes() for row in numbers]


def unpack(numbers: bytes, names: Sequence[str]) -> dict[str, float | None]:
    """Raises ValueError for bytes that are not a row of so many features."""
    values = np.frombuffer(numbers, _KIND)
    if len(values) != len(names):
        raise ValueError(f"a row of {len(values)} numbers is none of a set of {len(names)} features")
    return {
        name: None if value != value else value  # noqa: PLR0124  # NaN
        for name, value in zip(names, values.tolist(), strict=True)
    }


def quality(numbers: bytes) -> float:
    """How many of the features are not null, of all."""
    values = np.frombuffer(numbers, _KIND)
    return float(np.isfinite(values).sum() / max(len(values), 1))
