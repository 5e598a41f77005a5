"""Real hourly bars from CSV files, to be told instead of invented ones.

Three layouts are known by their file names, looked for in every folder below the given ones:
`BTCUSDT-perp-1h-*.csv` (datetime,open,high,low,close,volume), Binance's own `BTCUSDT-1h-2023-01.csv`
(open_time in ms, in microseconds since 2025, with or without a header) and CryptoDataDownload's
`BTC-USD-1h.csv` (newest first; its two volume columns change places in early years).
Where files overlap, a folder given earlier wins, then the order of the layouts above, then the name.
"""

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np

from ray_app.simulator.noise import Floats, Steps

HOUR = 3_600
SURE_DIGITS = 15  # as many decimal digits as every double keeps
LAYOUTS = {
    "perp": re.compile(r"^([A-Z0-9]+)USDT-perp-1h-.*\.csv$"),
    "klines": re.compile(r"^([A-Z0-9]+)USDT-1h(?:-.*)?\.csv$"),
    "cdd": re.compile(r"^([A-Z0-9]+)-USD-1h\.csv$"),
}


@dataclass(frozen=True)
class Found:
    """A file that has bars of one symbol."""

    symbol: str
    layout: str
    path: Path


@dataclass(frozen=True)
class History:
    """Hourly bars of one coin: row i is the hour `first` + i; NaN where no file has that hour."""

    first: int  # hours since 1970
    bars: Floats  # shape (hours, 4): open, high, low, close in USD
    cents: Steps  # traded in each hour, in US cents


def find(folders: Iterable[Path]) -> dict[str, list[Found]]:
    """The files of each symbol (lower case), best first. ValueError: a folder does not exist."""
    files: dict[str, list[Found]] = {}
    for folder in folders:
        if not folder.is_dir():
            raise ValueError(f"no folder {folder}")
        found = [
            Found(match[1].lower(), layout, path)
            for path in folder.rglob("*.csv")
            for layout, pattern in LAYOUTS.items()
            if (match := pattern.match(path.name))
        ]
        for file in sorted(found, key=lambda f: (list(LAYOUTS).index(f.layout), f.path.name, f.path)):
            files.setdefault(file.symbol, []).append(file)
    return files


def load(files: Sequence[Found]) -> History:
    """Read and merge. ValueError, with the file's name: an unreadable row, a price a double cannot keep."""
    tables = [_read(file) for file in files]
    first = min(int(hours.min()) for hours, _, _ in tables)
    last = max(int(hours.max()) for hours, _, _ in tables)
    bars = np.full((last - first + 1, 4), np.nan)
    cents = np.zeros(last - first + 1, dtype=np.int64)
    for hours, rows, traded in tables:
        free = np.isnan(bars[hours - first, 0])
        bars[hours[free] - first], cents[hours[free] - first] = rows[free], traded[free]
    return History(first, bars, cents)


def _read(file: Found) -> tuple[Steps, Floats, Steps]:
    with file.path.open(newline="") as stream:
        rows = [row for row in csv.reader(stream) if row and row[0][:1].isdigit()]
    if not rows:
        raise ValueError(f"{file.path}: no rows")
    columns = list(zip(*rows, strict=True))
    opened = 3 if file.layout == "cdd" else 1
    seconds = _days(columns[0]) if file.layout == "perp" else _unix(columns[0])
    prices = columns[opened : opened + 4]
    _check_digits(file.path, prices)
    bars = np.array([[float(text) for text in column] for column in prices]).T
    inside = (bars[:, 1] >= bars.max(axis=1)) & (bars[:, 2] <= bars.min(axis=1)) & (bars[:, 2] > 0)
    if (seconds % HOUR).any() or not inside.all():
        raise ValueError(f"{file.path}: rows that are no hourly bars")
    return seconds // HOUR, bars, (_traded(file.layout, columns, bars[:, 3]) * 100).astype(np.int64)


def _traded(layout: str, columns: Sequence[Sequence[str]], closes: Floats) -> Floats:
    """USD traded in each hour."""
    if layout == "perp":
        return np.asarray(np.array(columns[5], dtype=np.float64) * closes)
    if layout == "klines":
        return np.array(columns[7], dtype=np.float64)
    one, two = (np.array(columns[i], dtype=np.float64) for i in (7, 8))
    swapped = np.abs(two * closes - one) < np.abs(one * closes - two)
    return np.where(swapped, one, two)


def _days(texts: Sequence[str]) -> Steps:
    return np.array(texts, dtype="datetime64[s]").astype(np.int64)


def _unix(texts: Sequence[str]) -> Steps:
    """Seconds since 1970 from seconds, milliseconds or microseconds, whole or with a point or exponent."""
    numbers = np.array(texts, dtype=np.float64)
    for too_large in (1e14, 1e11):
        numbers = np.where(numbers >= too_large, numbers / 1000, numbers)
    return np.rint(numbers).astype(np.int64)


def _check_digits(path: Path, columns: Iterable[Sequence[str]]) -> None:
    for column in columns:
        for text in column:
            if len(text) > SURE_DIGITS and Decimal(repr(float(text))) != Decimal(text):
                raise ValueError(f"{path}: {text} has more digits than the simulator can tell exactly")
