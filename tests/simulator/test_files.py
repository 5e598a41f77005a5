"""Real bars from files: told digit by digit, by every route, and nothing in between invented."""

import csv
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from ray_app.simulator.coins import universe
from ray_app.simulator.history import find, load
from ray_app.simulator.truth import Truth
from tests.simulator.conftest import LISTINGS

HEADER = "datetime,open,high,low,close,volume\n"
HOUR0 = datetime(2023, 1, 1, tzinfo=UTC)


def rows(first, count, price):
    """Bars that are easy to tell apart."""
    for n in range(count):
        at = datetime.fromtimestamp(first.timestamp() + n * 3600, UTC)
        o = price + n
        yield at, f"{o}.50", f"{o + 2}.10", f"{o - 1}.30", f"{o + 1}.7", "12.5"


def write_perp(folder, name="BTCUSDT-perp-1h-test.csv", first=HOUR0, count=48, price=16_000):
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{at:%Y-%m-%d %H:%M:%S},{','.join(values)}\n" for at, *values in rows(first, count, price)]
    (folder / name).write_text(HEADER + "".join(lines))


def write_klines(folder, unit=1000, header=True, first=HOUR0, count=48, price=20_000):
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        f"{int(at.timestamp()) * unit},{','.join(values)},0,250000.5,9,1,1,0\n"
        for at, *values in rows(first, count, price)
    ]
    head = (
        "open_time,open,high,low,close,volume,close_time,quote_volume,count,tb,tq,ignore\n" if header else ""
    )
    (folder / "BTCUSDT-1h-2023-01.csv").write_text(head + "".join(lines))


def write_cdd(folder, first=HOUR0, count=48, price=30_000):
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        f"{at.timestamp():.0f},{at:%Y-%m-%d %H:%M:%S},BTC/USD,{','.join(values[:4])},10.0,300000.0\n"
        for at, *values in rows(first, count, price)
    ]
    head = "Unix,Date,Oymbol,Open,High,Low,Close,Volume BTC,Volume USD\n"
    (folder / "BTC-USD-1h.csv").write_text(head + "".join(reversed(lines)))


def first_bar(*folders):
    history = load(find(folders)["btc"])
    return history.first, history.bars[0].tolist(), len(history.bars)


def test_the_three_layouts_are_read(tmp_path):
    hour = int(HOUR0.timestamp()) // 3600
    write_perp(tmp_path / "a" / "deep" / "er")
    assert first_bar(tmp_path / "a") == (hour, [16000.5, 16002.1, 15999.3, 16001.7], 48)
    write_klines(tmp_path / "b")
    assert first_bar(tmp_path / "b") == (hour, [20000.5, 20002.1, 19999.3, 20001.7], 48)
    write_klines(tmp_path / "c", unit=1_000_000, header=False)  # microseconds since 2025
    assert first_bar(tmp_path / "c") == first_bar(tmp_path / "b")
    write_cdd(tmp_path / "d")
    assert first_bar(tmp_path / "d") == (hour, [30000.5, 30002.1, 29999.3, 30001.7], 48)


def test_unix_times_may_have_a_point_or_be_in_milliseconds(tmp_path):
    folder = tmp_path / "x"
    folder.mkdir()
    (folder / "BTC-USD-1h.csv").write_text(
        "Unix,Date,Oymbol,Open,High,Low,Close,Volume BTC,Volume USD\n"
        "1672538400000.0,2023-01-01 02:00:00,BTC/USD,3,4,2,3.5,10,35\n"
        "1672534800.0,2023-01-01 01:00:00,BTC/USD,2,3,1,2.5,25,10\n"
        "1.6725312E9,2023-01-01 00:00:00,BTC/USD,1,2,0.5,1.5,15,10\n"
    )
    history = load(find([folder])["btc"])
    assert history.bars[:, 0].tolist() == [1, 2, 3]
    assert history.first == 1_672_531_200 // 3600
    assert history.cents.tolist() == [1500, 2500, 3500]  # USD volume, whichever column it is in


def test_the_first_folder_wins_and_the_rest_fills(tmp_path):
    write_perp(tmp_path / "one", count=24)
    write_klines(tmp_path / "two", count=48)
    both = load(find([tmp_path / "one", tmp_path / "two"])["btc"]).bars[:, 0]
    assert both[:24].tolist() == [16000.5 + n for n in range(24)]
    assert both[24:].tolist() == [20000.5 + n for n in range(24, 48)]
    other = load(find([tmp_path / "two", tmp_path / "one"])["btc"]).bars[:, 0]
    assert other.tolist() == [20000.5 + n for n in range(48)]


def test_what_is_no_hourly_bar_is_refused(tmp_path):
    (tmp_path / "BTCUSDT-perp-1h-x.csv").write_text(HEADER + "2023-01-01 00:30:00,1,2,0.5,1,1\n")
    with pytest.raises(ValueError, match="perp-1h-x"):
        load(find([tmp_path])["btc"])
    (tmp_path / "BTCUSDT-perp-1h-x.csv").write_text(HEADER + "2023-01-01 00:00:00,1,0.9,0.5,1,1\n")
    with pytest.raises(ValueError, match="perp-1h-x"):
        load(find([tmp_path])["btc"])
    (tmp_path / "BTCUSDT-perp-1h-x.csv").write_text(
        HEADER + "2023-01-01 00:00:00,1.00000000000000000001,2,1,1,1\n"
    )
    with pytest.raises(ValueError, match="digits"):
        load(find([tmp_path])["btc"])
    with pytest.raises(ValueError, match="no folder"):
        find([tmp_path / "absent"])


def test_holes_stay_holes_and_the_future_starts_from_the_last_close(tmp_path):
    write_perp(tmp_path, "BTCUSDT-perp-1h-1.csv", count=5)
    write_perp(
        tmp_path, "BTCUSDT-perp-1h-2.csv", first=datetime(2023, 1, 1, 8, tzinfo=UTC), count=5, price=18_000
    )
    truth = Truth(universe(LISTINGS, 3, 7), find([tmp_path]))
    first = int(HOUR0.timestamp()) // 300
    bars = truth.bars(0, first - 24, 20, 12, first + 10_000)
    assert [(start - first) // 12 for start in bars.starts] == [*range(5), *range(8, 18)]
    daily = truth.bars(0, first, 1, 12 * 13, first + 10_000).rows[0].tolist()
    assert daily == [16000.5, 18006.1, 15999.3, 18005.7]  # of what there is
    after = truth.path(0, np.array([first + 13 * 12 - 1, first + 13 * 12]))
    assert after[0] == 18005.7
    assert abs(after[1] / after[0] - 1) < 0.02
    assert not truth.from_file(0, first + 13 * 12)
    assert truth.from_file(0, first + 13 * 12 - 1)


def test_routes_tell_the_files_digits(start, tmp_path):
    write_perp(tmp_path)
    now = datetime(2023, 1, 2, 20, 3, tzinfo=UTC)
    simulator = start(start=now, data=(tmp_path,), limits=False)
    candles = simulator.read("/coins/bitcoin/ohlc/range", vs_currency="usd", interval="hourly",
                             **{"from": "2023-01-01T01:00"}, to="2023-01-02T20:00")  # fmt: skip
    expected = [
        [(int(at.timestamp()) + 3600) * 1000, *map(Decimal, values[:4])]
        for at, *values in rows(HOUR0, 44, 16_000)
    ]
    assert candles == expected
    charts = simulator.read("/coins/bitcoin/market_chart", vs_currency="usd", days=1)["prices"]
    opens = {at: Decimal(o) for at, o, *_ in rows(HOUR0, 48, 16_000)}
    told = [(at, price) for at, price in charts if at % 3_600_000 < 300_000]
    assert len(told) >= 23
    assert all(price == opens[datetime.fromtimestamp(at // 3_600_000 * 3600, UTC)] for at, price in told)
    market = simulator.read("/coins/markets", vs_currency="usd", ids="bitcoin", precision="full")[0]
    assert market["current_price"] == opens[datetime(2023, 1, 2, 20, tzinfo=UTC)]
    assert simulator.get("/coins/bitcoin/history", date="2022-12-31").json().get("market_data") is None


def files_of(folder: Path):
    found = find([folder / "hourly_binance", folder / "hourly_cdd"])
    if not found:
        pytest.skip(f"no hourly files below {folder}")
    return [file for files in found.values() for file in files]


def test_every_real_file_is_told_exactly(shared_data: Path):
    """Each row of each file, as decimals: what the routes tell equals what the file says."""
    files, checked = files_of(shared_data / "ohlcv"), 0
    for file in files:
        history = load([file])
        first = {"cdd": 3}.get(file.layout, 1)
        with file.path.open(newline="") as stream:
            for row in csv.reader(stream):
                if not row[0][:1].isdigit():
                    continue
                seconds = (
                    datetime.fromisoformat(row[0]).replace(tzinfo=UTC).timestamp()
                    if file.layout == "perp"
                    else int(row[0]) / (1000 if file.layout == "klines" else 1)
                )
                told = history.bars[int(seconds) // 3600 - history.first].tolist()
                assert [Decimal(repr(value)) for value in told] == [
                    Decimal(v) for v in row[first : first + 4]
                ]
                checked += 1
    assert checked > 100_000


def test_a_path_keeps_to_real_bars(shared_data: Path):
    """Open first, close last, high and low in between: an hour's twelve steps make up the bar again."""
    files = find([shared_data / "ohlcv" / "hourly_binance"])
    truth = Truth(universe(LISTINGS, 3, 7), files)
    history = truth.history(0)
    assert history is not None
    bars = truth.bars(0, history.first * 12, len(history.bars), 12, 10**9)
    kept = ~np.isnan(history.bars[:, 0])
    assert bars.rows.tolist() == history.bars[kept].tolist()
    assert len(bars.rows) > 50_000
