"""What of a series was known when."""

from datetime import timedelta

import polars as pl
import pytest

from ray_app.process.features.joined import read
from tests.process.feature_inputs import told
from tests.process.indicator_bars import HOUR, T0

DAY = timedelta(days=1)


def series(rows: list[tuple[int, int, float | None]], count: int = 2) -> list[tuple[int, list[float]]]:
    frame = told("X", [(T0 + p * DAY, T0 + k * HOUR, value) for p, k, value in rows])
    found = read(frame, "period", ("value",)).known(count)
    hours = [(int(at) - int(pl.Series([T0]).to_physical()[0])) // 3_600_000_000 for at in found.at]
    return list(zip(hours, found.values["value"].tolist(), strict=True))


NAN = pytest.approx(float("nan"), nan_ok=True)


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        ([(1, 1, 10.0), (2, 2, 20.0)], [(1, [10, NAN]), (2, [20, 10])]),
        ([(2, 2, 20.0), (1, 1, 10.0)], [(1, [10, NAN]), (2, [20, 10])]),  # in no order
        ([(1, 1, 10.0), (2, 1, 20.0)], [(1, [20, 10])]),  # at one moment
        ([(1, 1, 10.0), (2, 2, 20.0), (1, 3, 11.0)], [(1, [10, NAN]), (2, [20, 10]), (3, [20, 11])]),  # revised
        ([(2, 1, 20.0), (1, 2, 10.0)], [(1, [20, NAN]), (2, [20, 10])]),  # a latecomer
        ([(1, 1, 10.0), (2, 2, 20.0), (2, 3, None)], [(1, [10, NAN]), (2, [20, 10]), (3, [10, NAN])]),  # withdrawn
        ([(1, 1, 10.0), (2, 2, None)], [(1, [10, NAN])]),  # a holiday
        ([(1, 1, 10.0), (2, 2, 20.0), (2, 2, 21.0)], [(1, [10, NAN])]),  # which one is not known
        ([(1, 1, 10.0), (1, 1, 10.0)], [(1, [10, NAN])]),
        ([], []),
    ],
)  # fmt: skip
def test_what_is_known_when(rows: list[tuple[int, int, float | None]], wanted: list[tuple[int, list[float]]]):
    assert series(rows) == wanted
    newest = dict(series(rows, 1))
    assert [newest[at] for at in sorted(newest)] == [v[:1] for at, v in wanted if at in newest]
