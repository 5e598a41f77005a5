"""Real candles and rates of Binance as others saved them, told again in the form of the API and read by our parsers."""

import csv
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ray_app.collect.collector import parsed
from ray_app.model.records import Bar
from ray_app.model.series import FundingRate, Trending
from ray_app.model.source import Page, Slice, Source, Stream
from ray_app.model.timerange import TimeRange, floor
from ray_app.sources import binance, binance_futures
from ray_app.sources.coingecko import SOURCE as COINGECKO
from ray_app.sources.coingecko import TRENDING
from tests.sources.test_coingecko_recorded import read as read_recorded
from tests.sources.test_coingecko_recorded import recorded

HOUR = timedelta(hours=1)
BARS = binance.STREAMS["1h"]
D = Decimal


def page(source: Source, stream: Stream, rows: Any, at: datetime) -> Page:
    return Page(
        source=source.name, stream=stream.name, path="/", params={}, status=200, headers={},
        body=json.dumps(rows).encode(), asked_at=at, received_at=at,
    )  # fmt: skip


def when(ms: str) -> datetime:
    return datetime.fromtimestamp(int(ms) / 1000, UTC)


def months(folder: Path) -> list[Path]:
    return sorted((folder / "ohlcv/hourly_binance/vision_raw").glob("*-1h-20??-??.csv"))


def test_every_real_candle_is_read_as_it_stands(shared_data: Path):
    """Twelve columns as in /klines; the files differ from it in having a header."""
    files = months(shared_data)
    assert len(files) >= 12
    for file in files:
        told = list(csv.DictReader(file.read_text().splitlines()))
        rows = [
            [int(v) if name in ("open_time", "close_time", "count") else v for name, v in row.items()]
            for row in told
        ]
        symbol = file.name.partition("-")[0]
        over = TimeRange(when(told[0]["open_time"]), when(told[-1]["open_time"]) + HOUR)
        one = page(binance.SOURCE, BARS, rows, over.end)
        collected = parsed(binance.SOURCE, BARS, Slice((symbol,), over), [one])
        assert collected.set_aside == ()
        assert [record for record, _ in collected.records] == [
            Bar(
                symbol=symbol,
                interval="1h",
                start=when(row["open_time"]),
                end=when(row["open_time"]) + HOUR,
                trades=int(row["count"]),
                **{name: D(row[name]) for name in ("open", "high", "low", "close", "volume")},
                **{name: D(row[name]) for name in ("quote_volume", "taker_buy_volume")},
            )
            for row in told
        ], file.name
        assert len(told) == over.length // HOUR, file.name


def test_the_first_hour_of_2023_by_hand(shared_data: Path):
    file = shared_data / "ohlcv/hourly_binance/vision_raw/BTCUSDT-1h-2023-01.csv"
    if not file.exists():
        pytest.skip(f"no recorded data: {file.name}")
    row: list[Any] = file.read_text().splitlines()[1].split(",")
    row[0], row[6], row[8] = int(row[0]), int(row[6]), int(row[8])
    start = datetime(2023, 1, 1, tzinfo=UTC)
    one = page(binance.SOURCE, BARS, [row], start + HOUR)
    collected = parsed(binance.SOURCE, BARS, Slice(("BTCUSDT",), TimeRange(start, start + HOUR)), [one])
    assert [record for record, _ in collected.records] == [
        Bar(
            symbol="BTCUSDT", interval="1h", start=start, end=start + HOUR, open=D("16537.50"), high=D("16540.90"),
            low=D("16504.00"), close=D("16527.00"), volume=D("5381.399"), quote_volume=D("88923087.83210"),
            taker_buy_volume=D("2541.791"), trades=31529,
        )
    ]  # fmt: skip


@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT"])
def test_every_real_funding_rate_is_read_as_it_stands(shared_data: Path, symbol: str):
    file = shared_data / f"ohlcv/hourly_binance/{symbol}-funding.csv"
    told = list(csv.DictReader(file.read_text().splitlines()))
    rows = [
        {"symbol": symbol, "fundingTime": int(r["funding_rate_timestamp"]), "fundingRate": r["funding_rate"]}
        for r in told
    ]
    stream = binance_futures.FUNDING
    start = floor(when(told[0]["funding_rate_timestamp"]), stream.grain)
    over = TimeRange(start, when(told[-1]["funding_rate_timestamp"]) + stream.grain)
    one = page(binance_futures.SOURCE, stream, rows, over.end)
    collected = parsed(binance_futures.SOURCE, stream, Slice((symbol,), over), [one])
    assert collected.set_aside == ()
    assert [record for record, _ in collected.records] == [
        FundingRate(symbol=symbol, at=when(r["funding_rate_timestamp"]), rate=D(r["funding_rate"]))
        for r in told
    ]
    assert len({floor(record.cursor, stream.grain) for record, _ in collected.records}) == len(told) >= 100


def test_what_was_searched_for_in_2021(shared_data: Path):
    """Seven coins then; the eighth to fifteenth rank has no answer."""
    one = recorded(shared_data, "test_that_it_gets_trending_searches")
    start = floor(one.received_at, TRENDING.grain)
    ranks = tuple(str(n) for n in range(1, 16))
    collected = read_recorded(one, TRENDING, Slice(ranks, TimeRange(start, start + TRENDING.grain)))
    assert collected.source == COINGECKO.name
    assert collected.set_aside == ()
    listed = [item["item"] for item in json.loads(one.body)["coins"]]
    assert [item["score"] for item in listed] == list(range(7))
    assert [record for record, _ in collected.records] == [
        Trending(rank=str(item["score"] + 1), slot=start, coin=item["id"]) for item in listed
    ]
    assert collected.records[0][0].model_dump()["coin"] == "matic-network"
