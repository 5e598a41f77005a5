"""Binance's frames: those of its documents, and those that others recorded in 2021."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ray_app.collect.collector import parsed
from ray_app.collect.hearing import body_of
from ray_app.model.errors import Transient
from ray_app.model.feed import Tick
from ray_app.model.records import Bar
from ray_app.model.source import Page, Slice
from ray_app.model.timerange import TimeRange
from ray_app.sources.binance import FEED, SOURCE, parse_frame

NOW = datetime(2026, 6, 1, 10, tzinfo=UTC)
KLINE: dict[str, Any] = {
    "t": 1780308000000, "T": 1780308059999, "s": "BTCUSDT", "i": "1m", "f": 100, "L": 199, "o": "64210.10",
    "c": "64250.00", "h": "64300.00", "l": "64100.50", "v": "12.34567000", "n": 100, "x": True,
    "q": "792345.12345678", "V": "6.10000000", "Q": "391500.00000000", "B": "0",
}  # fmt: skip
D = Decimal


def kline(**other: Any) -> bytes:
    data = {"e": "kline", "E": 1780308060012, "s": "BTCUSDT", "k": KLINE | other}
    return json.dumps({"stream": "btcusdt@kline_1m", "data": data}).encode()


def test_a_closed_candle():
    assert parse_frame(kline(), NOW) == (
        Bar(
            symbol="BTCUSDT",
            interval="1m",
            start=datetime(2026, 6, 1, 10, 0, tzinfo=UTC),
            end=datetime(2026, 6, 1, 10, 1, tzinfo=UTC),
            open=D("64210.10"),
            high=D("64300.00"),
            low=D("64100.50"),
            close=D("64250.00"),
            volume=D("12.34567000"),
            quote_volume=D("792345.12345678"),
            taker_buy_volume=D("6.10000000"),
            trades=100,
        ),
    )


def test_a_mini_ticker():
    frame = (
        b'{"stream":"btcusdt@miniTicker","data":{"e":"24hrMiniTicker","E":1780300000123,"s":"BTCUSDT",'
        b'"c":"64210.1","o":"65011.5","h":"65100.0","l":"63000.0","v":"12345.6","q":"789012345.6"}}'
    )
    assert parse_frame(frame, NOW) == (
        Tick(
            symbol="BTCUSDT",
            at=datetime(2026, 6, 1, 7, 46, 40, 123_000, UTC),
            price=D("64210.1"),
            open_24h=D("65011.5"),
            high_24h=D("65100.0"),
            low_24h=D("63000.0"),
            volume_24h=D("12345.6"),
            quote_volume_24h=D("789012345.6"),
        ),
    )


@pytest.mark.parametrize(
    "frame",
    [kline(x=False), kline(x="true"), b'{"result":null,"id":1}', b'{"e":"trade","s":"BTCUSDT","p":"1"}'],
)
def test_what_means_nothing_to_us(frame: bytes):
    assert parse_frame(frame, NOW) == ()


@pytest.mark.parametrize(
    "frame",
    [
        kline(i="5m"), kline(T=1780308299999), kline(t=1780308000, T=1780308059), kline(t=None), kline(h="1"),
        kline(t=1780308000000000, T=1780308059999999), kline(o="NaN"), kline(v="-1"), kline(o="0"),
    ],
)  # fmt: skip
def test_what_is_set_aside(frame: bytes):
    with pytest.raises((ValueError, TypeError)):
        parse_frame(frame, NOW)


def test_a_shutdown_that_is_announced():
    with pytest.raises(Transient, match="about to shut down"):
        parse_frame(b'{"stream":"","data":{"e":"serverShutdown","E":1780308060012}}', NOW)


def test_all_streams_of_all_pairs_are_in_the_address():
    assert FEED.subscribe(("BTCUSDT", "ETHUSDT")).query == (
        "?streams=btcusdt@kline_1m/btcusdt@miniTicker/ethusdt@kline_1m/ethusdt@miniTicker"
    )


def recorded(folder: Path, venue: str) -> list[tuple[datetime, bytes]]:
    """Frames with the times at which they were received."""
    lines = (folder / f"ticks/cryptofeed/{venue}.ws.1.0").read_bytes().splitlines()[1:]
    pairs = (line.partition(b": ") for line in lines)
    return [(datetime.fromtimestamp(float(at), UTC), frame) for at, _, frame in pairs if frame]


@pytest.mark.parametrize(("venue", "frames", "closed"), [("BINANCE", 200, 0), ("BINANCE_FUTURES", 1000, 4)])
def test_recorded_frames(shared_data: Path, venue: str, frames: int, closed: int):
    told = recorded(shared_data, venue)
    assert len(told) > frames
    bars = [(at, frame, bar) for at, frame in told for bar in parse_frame(frame, at)]
    assert len(bars) == closed
    for at, frame, bar in bars:
        told_bar = json.loads(frame)["data"]["k"]
        assert isinstance(bar, Bar)
        assert (bar.symbol, bar.open, bar.close, bar.high, bar.low) == (
            told_bar["s"], *(D(told_bar[name]) for name in "ochl"),
        )  # fmt: skip
        assert (bar.volume, bar.quote_volume, bar.trades) == (
            D(told_bar["v"]),
            D(told_bar["q"]),
            told_bar["n"],
        )
        assert bar.taker_buy_volume == D(told_bar["V"])
        assert timedelta(0) <= at - bar.end < timedelta(seconds=3)


def test_recorded_candles_by_hand(shared_data: Path):
    """What the first recorded candle that closed says, read by a person."""
    bars = [bar for at, frame in recorded(shared_data, "BINANCE_FUTURES") for bar in parse_frame(frame, at)]
    assert bars[0] == Bar(
        symbol="SUSHIUSDT",
        interval="1m",
        start=datetime(2021, 7, 22, 22, 25, tzinfo=UTC),
        end=datetime(2021, 7, 22, 22, 26, tzinfo=UTC),
        open=D("7.6080"),
        high=D("7.6180"),
        low=D("7.6070"),
        close=D("7.6170"),
        volume=D("3005"),
        quote_volume=D("22875.8590"),
        taker_buy_volume=D("1900"),
        trades=113,
    )


def test_a_page_of_recorded_frames_reads_as_they_did(shared_data: Path):
    """As a minute is kept: the frames that closed, and one that is no JSON."""
    told = [(at, frame) for at, frame in recorded(shared_data, "BINANCE_FUTURES") if parse_frame(frame, at)]
    page = Page(
        source="binance", stream="bars_1m", path=FEED.url, params={}, status=101, headers={},
        body=body_of([frame for _, frame in told] + [b'{"stream":\n"x']), asked_at=told[0][0],
        received_at=told[-1][0],
    )  # fmt: skip
    bars = [bar for at, frame in told for bar in parse_frame(frame, at)]
    wanted = Slice(
        tuple({bar.partition for bar in bars}), TimeRange(bars[0].cursor, bars[0].cursor + FEED.stores.grain)
    )
    collected = parsed(SOURCE, FEED.stores, wanted, [page])
    assert [record for record, _ in collected.records] == bars
    assert [(json.loads(aside.row), aside.reason.partition(":")[0]) for aside, _ in collected.set_aside] == [
        ('{"stream": "x', "JSONDecodeError")
    ]
    assert (collected.name, collected.parser) == ("binance.bars_1m", "frames/1")
