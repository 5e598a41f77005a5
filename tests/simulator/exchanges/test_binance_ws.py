"""Binance's streams over a real WebSocket: what they say, when they end, how they fail."""

import json
import os
import socket
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.simulator.exchanges.conftest import Exchanges

COMBINED = "/ws/binance/stream?streams="
KLINES = "/binance/api/v3/klines"


class Stream:
    """A connection; the clock moves only when the test moves it."""

    def __init__(self, exchanges: Exchanges, line: ClientConnection) -> None:
        self.exchanges, self.line = exchanges, line

    def next(self) -> Any:
        return json.loads(self.line.recv(timeout=5), parse_float=Decimal)

    def step(self, seconds: float = 1) -> Any:
        """Move the clock and hear the first message after it."""
        self.exchanges.advance(seconds)
        return self.next()

    def ask(self, **request: Any) -> Any:
        self.line.send(json.dumps(request))
        return self.next()

    def quiet(self, seconds: float = 0.3) -> bool:
        """Is nothing said for so long?"""
        try:
            self.line.recv(timeout=seconds)
        except TimeoutError:
            return True
        return False

    def all_there_is(self) -> None:
        """Raises ConnectionClosed at the end."""
        for _ in range(200):
            self.line.recv(timeout=5)

    def ended(self) -> int:
        """The code with which the server ends it, after whatever it still says."""
        with pytest.raises(ConnectionClosed) as closed:
            self.all_there_is()
        assert closed.value.rcvd is not None
        return closed.value.rcvd.code


@contextmanager
def listening(exchanges: Exchanges, path: str) -> Iterator[Stream]:
    with connect(exchanges.base.replace("http", "ws") + path, compression=None) as line:
        assert line.response is not None
        assert line.response.headers["X-Simulated"] == "crypto-data"
        yield Stream(exchanges, line)


def at_second(exchanges: Exchanges, second: int) -> None:
    """Bring the clock to that second of a minute."""
    exchanges.advance((second - exchanges.now().second) % 60 or 60)


def test_a_mini_ticker_is_the_last_price_and_the_last_day(exchanges: Exchanges) -> None:
    at_second(exchanges, 30)
    with listening(exchanges, COMBINED + "btcusdt@miniTicker") as stream:
        told = stream.step()
        now_ms = round(exchanges.now().timestamp()) * 1000
        assert told["stream"] == "btcusdt@miniTicker"
        said = told["data"]
        assert (said["e"], said["s"], said["E"]) == ("24hrMiniTicker", "BTCUSDT", now_ms)
        day = now_ms // 60_000 * 60_000 - 1_439 * 60_000
        rows = exchanges.read(KLINES, symbol="BTCUSDT", interval="1m", startTime=day, limit=1000)
        rows += exchanges.read(KLINES, symbol="BTCUSDT", interval="1m", startTime=rows[-1][6] + 1, limit=1000)
        assert len(rows) == 1_440
        assert said["c"] == rows[-1][4]
        assert said["o"] == rows[0][1]
        assert Decimal(said["h"]) == max(Decimal(row[2]) for row in rows)
        assert Decimal(said["l"]) == min(Decimal(row[3]) for row in rows)
        assert Decimal(said["v"]) == sum(Decimal(row[5]) for row in rows)
        assert Decimal(said["q"]) == sum(Decimal(row[7]) for row in rows)


def test_a_closed_candle_is_the_row_of_the_rest_api(exchanges: Exchanges) -> None:
    at_second(exchanges, 57)
    with listening(exchanges, COMBINED + "ethusdt@kline_1m") as stream:
        open_ = stream.step(1)["data"]["k"]
        assert open_["x"] is False
        exchanges.advance(2)
        closed = stream.next()["data"]
        assert closed["k"]["x"] is True
        row = exchanges.read(KLINES, symbol="ETHUSDT", interval="1m", startTime=open_["t"], limit=1)[0]
        k = closed["k"]
        assert [
            k["t"],
            k["o"],
            k["h"],
            k["l"],
            k["c"],
            k["v"],
            k["T"],
            k["q"],
            k["n"],
            k["V"],
            k["Q"],
            k["B"],
        ] == row
        assert closed["E"] == k["T"] + 1
        fresh = stream.next()["data"]["k"]
        assert (fresh["t"], fresh["x"]) == (k["T"] + 1, False)


def test_a_jump_tells_the_candles_that_closed(exchanges: Exchanges) -> None:
    at_second(exchanges, 10)
    with listening(exchanges, COMBINED + "btcusdt@kline_1m") as stream:
        exchanges.advance(600)
        closed: list[int] = []
        while len(closed) < 10:
            k = stream.next()["data"]["k"]
            if k["x"]:
                closed.append(k["t"])
        assert closed == list(range(closed[0], closed[0] + 600_000, 60_000))


def test_a_raw_stream_is_not_wrapped(exchanges: Exchanges) -> None:
    with listening(exchanges, "/ws/binance/ws/bnbusdt@miniTicker") as stream:
        assert stream.step()["s"] == "BNBUSDT"


def test_streams_come_and_go_on_request(exchanges: Exchanges) -> None:
    with listening(exchanges, COMBINED + "btcusdt@miniTicker") as stream:
        subscribed = stream.ask(method="SUBSCRIBE", params=["ethusdt@miniTicker"], id=7)
        assert subscribed == {"result": None, "id": 7}
        names = ["btcusdt@miniTicker", "ethusdt@miniTicker"]
        assert stream.ask(method="LIST_SUBSCRIPTIONS", id=8) == {"result": names, "id": 8}
        stream.ask(method="UNSUBSCRIBE", params=["btcusdt@miniTicker"], id=9)
        assert stream.step()["stream"] == "ethusdt@miniTicker"
        assert stream.quiet()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"method":"SUBSCRIBE","params":["BTCUSDT@miniTicker"],"id":1}', 2),
        ('{"method":"DANCE","id":1}', 2),
        ('{"method":"SUBSCRIBE","params":"btcusdt@miniTicker","id":1}', 1),
        ('{"method":"SUBSCRIBE","params":[],"id":1,"x":2}', 0),
        ("{", 3),
    ],
)
def test_requests_that_are_refused(exchanges: Exchanges, text: str, code: int) -> None:
    with listening(exchanges, COMBINED + "btcusdt@miniTicker") as stream:
        stream.line.send(text)
        assert stream.next()["error"]["code"] == code


def test_an_unknown_pair_is_taken_and_silent(exchanges: Exchanges) -> None:
    with listening(exchanges, COMBINED + "nopeusdt@miniTicker") as stream:
        exchanges.advance(2)
        assert stream.quiet()


def test_who_talks_too_much_is_cut(exchanges: Exchanges) -> None:
    exchanges.post("/sim/limits", enforced=True)
    with listening(exchanges, COMBINED + "btcusdt@miniTicker") as stream:
        for number in range(6):
            stream.line.send(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": number}))
        assert stream.ended() == 1008


def test_a_day_is_the_longest(exchanges: Exchanges) -> None:
    with listening(exchanges, COMBINED + "btcusdt@miniTicker") as stream:
        exchanges.advance(86_399)
        assert stream.next()["stream"] == "btcusdt@miniTicker"
        exchanges.advance(1)
        assert stream.ended() == 1001


def test_who_answers_pings_stays_and_who_does_not_is_cut(exchanges: Exchanges) -> None:
    host, _, port = exchanges.base.removeprefix("http://").partition(":")
    with listening(exchanges, COMBINED + "btcusdt@miniTicker") as polite:
        with socket.create_connection((host, int(port)), timeout=5) as raw:
            key = b64encode(os.urandom(16)).decode()
            raw.sendall(
                f"GET {COMBINED}btcusdt@miniTicker HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n"
                f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
            )
            began, heard = time.monotonic(), b""
            while not heard.endswith(b"keepalive ping timeout") and time.monotonic() - began < 3:
                heard += raw.recv(65_536)
        assert 0.5 < time.monotonic() - began < 3
        assert b"\x89\x04" in heard, "a ping with a payload"
        assert polite.step()["stream"] == "btcusdt@miniTicker"


def test_a_stall_is_silent_and_alive(exchanges: Exchanges) -> None:
    with listening(exchanges, COMBINED + "btcusdt@miniTicker") as stream:
        assert stream.step()
        exchanges.fault("F26", kind="stall")
        exchanges.advance(3)
        assert stream.quiet(0.7)  # longer than a ping and its pong
        assert stream.line.ping().wait(2)
        assert exchanges.ledger("/ws/binance/*")[-1]["fault"] == "F26 stall"


def test_a_stall_can_end(exchanges: Exchanges) -> None:
    with listening(exchanges, COMBINED + "btcusdt@miniTicker") as stream:
        exchanges.fault("F26", kind="stall", seconds=4)
        exchanges.advance(1)
        assert stream.quiet()
        assert stream.step(4)["data"]["E"] == round(exchanges.now().timestamp()) * 1000


def test_a_gap_leaves_one_second_out(exchanges: Exchanges) -> None:
    with listening(exchanges, COMBINED + "btcusdt@miniTicker") as stream:
        first = stream.step()["data"]["E"]
        exchanges.fault("F26", kind="gap")
        exchanges.advance(1)
        assert stream.quiet()
        assert stream.step()["data"]["E"] == first + 2_000


def test_bad_json_and_doubles(exchanges: Exchanges) -> None:
    with listening(exchanges, COMBINED + "btcusdt@miniTicker") as stream:
        exchanges.fault("F26", kind="json")
        exchanges.advance(1)
        with pytest.raises(ValueError):
            stream.next()
        exchanges.fault("F26", kind="duplicate")
        assert stream.step() == stream.next()


@pytest.mark.parametrize(("kind", "code"), [("cut", 1001), ("slow", 1008)])
def test_cuts(exchanges: Exchanges, kind: str, code: int) -> None:
    with listening(exchanges, COMBINED + "btcusdt@miniTicker") as stream:
        exchanges.fault("F26", kind=kind)
        exchanges.advance(1)
        assert stream.ended() == code


def test_a_shutdown_is_announced(exchanges: Exchanges) -> None:
    with listening(exchanges, COMBINED + "btcusdt@miniTicker") as stream:
        exchanges.fault("F26", kind="shutdown", seconds=3)
        said = stream.step()
        assert said == {"e": "serverShutdown", "E": round(exchanges.now().timestamp()) * 1000}
        assert stream.next()["stream"] == "btcusdt@miniTicker"
        exchanges.advance(3)
        assert stream.ended() == 1001


def test_after_a_reconnect_nothing_is_told_again(exchanges: Exchanges) -> None:
    with listening(exchanges, COMBINED + "btcusdt@miniTicker") as stream:
        last = stream.step()["data"]["E"]
    exchanges.advance(30)
    with listening(exchanges, COMBINED + "btcusdt@miniTicker") as stream:
        assert stream.step()["data"]["E"] == last + 31_000


@pytest.mark.parametrize(("fault", "parameters", "status"), [("F10", {"status": 503}, 503), ("F07", {}, 403)])
def test_a_refused_handshake(
    exchanges: Exchanges, fault: str, parameters: dict[str, Any], status: int
) -> None:
    exchanges.fault(fault, "/ws/binance/*", **parameters)
    with pytest.raises(InvalidStatus) as refused, listening(exchanges, COMBINED + "btcusdt@miniTicker"):
        pass
    assert refused.value.response.status_code == status
    assert exchanges.ledger("/ws/binance/*")[-1]["status"] == status


@pytest.mark.parametrize("path", [COMBINED + "btcusdt@dance", "/ws/binance/nowhere"])
def test_what_is_no_stream(exchanges: Exchanges, path: str) -> None:
    with pytest.raises(InvalidStatus) as refused, listening(exchanges, path):
        pass
    assert refused.value.response.status_code == 400


def test_three_hundred_connections_in_five_minutes(exchanges: Exchanges) -> None:
    exchanges.post("/sim/limits", enforced=True)
    exchanges.advance(300)
    for _ in range(300):
        with listening(exchanges, COMBINED + "btcusdt@miniTicker"):
            pass
    with pytest.raises(InvalidStatus) as refused, listening(exchanges, COMBINED + "btcusdt@miniTicker"):
        pass
    assert refused.value.response.status_code == 429
    exchanges.advance(300)
    with listening(exchanges, COMBINED + "btcusdt@miniTicker") as stream:
        assert stream.step()["stream"] == "btcusdt@miniTicker"
