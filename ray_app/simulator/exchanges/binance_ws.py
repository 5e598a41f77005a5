"""Binance's market streams as a WebSocket, under `/ws/binance`: `/stream?streams=a/b` and `/ws/<name>`.

Streams run on the virtual clock: what is due with each virtual second is sent, in order. When the clock
jumps by more than some seconds, only closed candles are told of what lies between. The server pings and expects
a pong (uvicorn, in real time); it cuts a connection after 24 virtual hours, a client that talks too much
or reads too slowly, and nothing is ever sent twice for who was away.
"""

import asyncio
import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from starlette.types import Message, Receive, Scope, Send

from ray_app.simulator.exchanges.binance_limits import JSON
from ray_app.simulator.exchanges.streams import Name, Ticker, due
from ray_app.simulator.exchanges.venues import Venue
from ray_app.simulator.faults import Rule
from ray_app.simulator.ledger import Arrival
from ray_app.simulator.quota import Fixed, Rolling
from ray_app.simulator.simulation import Simulation
from ray_app.simulator.upstream import mark
from ray_app.simulator.upstream_faults import wrong_reply
from ray_app.simulator.wire import SIMULATED

PREFIX = "/ws/binance"
PULSE = 0.05  # seconds of real time between looks at the virtual clock
JUMP = 5  # virtual seconds at a pulse, of which all are told
SILENCE = 3_600  # before so many virtual seconds a jump leaves out even closed candles
MOST_STREAMS = 1_024
MOST_MESSAGES = 5  # a second, from the client
ATTEMPTS, ATTEMPTS_MS = 300, 300_000
LASTS_MS = 24 * 3_600_000
NOTICE = 600  # virtual seconds between serverShutdown and the end
GOING_AWAY, POLICY = 1001, 1008


class _Over(Exception):
    """The connection is over."""


@dataclass
class _Line:
    """One connection."""

    arrival: Arrival
    opened_ms: int
    combined: bool
    names: dict[str, Name] = field(default_factory=dict)
    last_price: dict[str, str] = field(default_factory=dict)
    silent_until_ms: int = 0
    ends_ms: int = 0


class BinanceStreams:
    """The ASGI application of the stream host."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._venue = Venue(simulation, "binance")
        self._tickers: dict[str, Ticker] = {}
        self._attempts = Fixed(ATTEMPTS, ATTEMPTS_MS)
        self._patience = simulation.config.ws_pong_seconds  # with a client that does not read

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            return
        now_ms = self._simulation.clock.now_ms()
        path, query = scope["path"], scope["query_string"].decode("latin-1")
        arrival = self._simulation.ledger.open(now_ms, path, query)
        arrival.plan = "binance-ws"
        await receive()  # the client's wish to connect
        over = self._attempts.arrive(scope["client"][0], now_ms)
        rule = self._simulation.faults.strike(path)
        wrong = None if rule is None else wrong_reply(rule)
        try:
            line = self._line(path.removeprefix(PREFIX), query, arrival, now_ms)
        except ValueError:
            line = None
        if over and self._simulation.limits.enforced:
            await _refuse(send, arrival, 429)
        elif rule is not None and wrong is not None and wrong.status >= 400:
            mark(rule, arrival)
            await _refuse(send, arrival, wrong.status)
        elif line is None:
            await _refuse(send, arrival, 400)
        else:
            await self._serve(line, receive, send)

    async def _serve(self, line: _Line, receive: Receive, send: Send) -> None:
        line.arrival.status = 101
        header = (SIMULATED[0].lower().encode(), SIMULATED[1].encode())
        await send({"type": "websocket.accept", "headers": [header]})
        with contextlib.suppress(_Over, TimeoutError):
            await self._talk(line, receive, send)

    def _line(self, path: str, query: str, arrival: Arrival, now_ms: int) -> _Line:
        """ValueError: no such path or stream."""
        if path == "/stream":
            texts = parse_qs(query).get("streams", [""])[0].split("/")
        elif path == "/ws" or path.startswith("/ws/"):
            texts = path.removeprefix("/ws").strip("/").split("/")
        else:
            raise ValueError(f"no path {path}")
        line = _Line(arrival, now_ms, combined=path == "/stream")
        line.names = {text: Name.read(text) for text in texts if text}
        if len(line.names) > MOST_STREAMS:
            raise ValueError("too many streams")
        return line

    async def _talk(self, line: _Line, receive: Receive, send: Send) -> None:
        clock, said = self._simulation.clock, Rolling(MOST_MESSAGES, 1_000)
        told = line.opened_ms // 1000
        listening = asyncio.ensure_future(receive())
        try:
            while True:
                await self._beat(listening)
                if listening.done():
                    message = listening.result()
                    if message["type"] == "websocket.disconnect":
                        return
                    wall_ms = int(self._simulation.clock.wall().timestamp() * 1000)
                    if said.arrive("", wall_ms) and self._simulation.limits.enforced:
                        await self._close(send, POLICY, "Too many requests")
                    answer = self._obey(line, message.get("text") or "")
                    await self._send(send, json.dumps(answer, separators=(",", ":")))
                    listening = asyncio.ensure_future(receive())
                now = clock.now_ms() // 1000
                for second in range(max(told + 1, now - SILENCE), now + 1):
                    if now - second < JUMP or second % 60 == 0:
                        await self._tell(line, send, second, brief=now - second >= JUMP)
                told = max(told, now)
        finally:
            listening.cancel()

    async def _beat(self, listening: "asyncio.Future[Message]") -> None:
        """Until the client says something, or it is time to look at the clock again."""
        if self._simulation.beat is None:
            await asyncio.wait({listening}, timeout=PULSE)
            return
        beat = asyncio.ensure_future(self._simulation.beat())
        either: set[asyncio.Future[Any]] = {listening, beat}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            beat.cancel()

    async def _tell(self, line: _Line, send: Send, second: int, brief: bool) -> None:
        """Send all that is due with a second, as far as no fault is in the way."""
        now_ms = second * 1000
        rule = self._simulation.faults.strike(line.arrival.path, stream=True)
        kind = "" if rule is None else self._struck(rule, line, now_ms)
        if kind == "shutdown":
            await self._send(send, json.dumps({"e": "serverShutdown", "E": now_ms}, separators=(",", ":")))
        if kind in ("cut", "slow"):
            await self._close(send, *((POLICY, "slow consumer") if kind == "slow" else (GOING_AWAY, "")))
        if now_ms - line.opened_ms >= LASTS_MS or 0 < line.ends_ms <= now_ms:
            await self._close(send, GOING_AWAY, "")
        if now_ms < line.silent_until_ms or kind == "gap":
            return
        for name in line.names.values():
            ticker = self._ticker(name.symbol, now_ms)
            for event in [] if ticker is None else due(name, ticker, second, brief):
                if name.interval is None and line.last_price.get(name.text) == event["c"]:
                    continue
                if name.interval is None:
                    line.last_price[name.text] = event["c"]
                told = {"stream": name.text, "data": event} if line.combined else event
                text = json.dumps(told, separators=(",", ":"))
                await self._send(send, text[: len(text) // 2] if kind == "json" else text)
                if kind == "duplicate":
                    await self._send(send, text)

    def _struck(self, rule: Rule, line: _Line, now_ms: int) -> str:
        rule.injected += 1
        kind = rule.kind()
        line.arrival.fault = f"{rule.fault} {kind}"
        if kind == "stall":
            line.silent_until_ms = now_ms + round(float(rule.value("seconds", 365 * 86_400)) * 1000)
        if kind == "shutdown":
            line.ends_ms = now_ms + round(float(rule.value("seconds", NOTICE)) * 1000)
        return kind

    def _ticker(self, symbol: str, now_ms: int) -> Ticker | None:
        """A pair that is traded; other names are taken, and silent."""
        pair = self._venue.pairs.get(symbol)
        if pair is None or not pair.trading(now_ms):
            return None
        if symbol not in self._tickers:
            self._tickers[symbol] = Ticker(symbol, self._venue.trades(pair))
        return self._tickers[symbol]

    async def _send(self, send: Send, text: str) -> None:
        """TimeoutError: the client does not read; the connection is dropped."""
        await self._hand_over(send, {"type": "websocket.send", "text": text})

    async def _close(self, send: Send, code: int, reason: str) -> None:
        """Raises _Over, always."""
        await self._hand_over(send, {"type": "websocket.close", "code": code, "reason": reason})
        raise _Over

    async def _hand_over(self, send: Send, said: Message) -> None:
        """In a task of its own: connections that are told the same take turns, frame by frame."""
        sending = asyncio.ensure_future(send(said))
        try:
            await asyncio.wait({sending}, timeout=self._patience)
            if not sending.done():
                raise TimeoutError
            sending.result()
        finally:
            sending.cancel()

    def _obey(self, line: _Line, text: str) -> Mapping[str, Any]:
        """What a request of the client is answered."""
        try:
            asked = json.loads(text)
        except ValueError:
            return _error(3, "Invalid JSON: expected value at line 1 column 1", None)
        number = asked.get("id") if isinstance(asked, dict) else None
        if not isinstance(asked, dict) or not {"method"} <= set(asked):
            return _error(2, "Invalid request: missing field `method`", number)
        if unknown := set(asked) - {"method", "params", "id"}:
            return _error(0, f"Unknown property: {sorted(unknown)[0]}", number)
        method, params = asked["method"], asked.get("params", [])
        if method == "LIST_SUBSCRIPTIONS":
            return {"result": list(line.names), "id": number}
        if method not in ("SUBSCRIBE", "UNSUBSCRIBE"):
            return _error(2, f"Invalid request: unknown variant `{method}`", number)
        if not isinstance(params, list) or not all(isinstance(one, str) for one in params):
            return _error(1, "Invalid value type: expected array of strings", number)
        try:
            names = {text: Name.read(text) for text in params}
        except ValueError as error:
            return _error(2, f"Invalid request: {error}", number)
        if method == "UNSUBSCRIBE":
            for name in names:
                line.names.pop(name, None)
        elif len(line.names | names) > MOST_STREAMS:
            return _error(2, "Invalid request: too many streams", number)
        else:
            line.names |= names
        return {"result": None, "id": number}


def _error(code: int, text: str, number: Any) -> Mapping[str, Any]:
    return {"error": {"code": code, "msg": text}, "id": number}


async def _refuse(send: Send, arrival: Arrival, status: int) -> None:
    """Answer the handshake with an HTTP error."""
    arrival.status = status
    headers = [
        (b"content-type", JSON.encode()),
        (SIMULATED[0].lower().encode(), SIMULATED[1].encode()),
    ]
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": b"{}"})
