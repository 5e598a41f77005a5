"""Clients: of a stream, which come back with their cursor and write down every event; and of the routes."""

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from ray_app.client import AsyncClient, ClientError

PAUSE = 0.2  # seconds before a client comes back when nobody said how long


@dataclass
class Reader:
    """One client: by WebSocket, or by server-sent events."""

    address: str  # host:port
    key: str
    sockets: bool
    events: list[tuple[int, str]] = field(default_factory=list)  # cursor, and what it was
    begun: int | None = None  # the cursor after which it began
    closes: list[int] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    came_back: int = 0
    live: bool = False  # connected, and told so

    @property
    def place(self) -> int | None:
        return self.events[-1][0] if self.events else self.begun

    async def run(self) -> None:
        while True:
            try:
                await (self._socket() if self.sockets else self._stream())
            except (WebSocketException, httpx.HTTPError, OSError, TimeoutError, EOFError) as error:
                self.errors.append(repr(error)[:200])
            self.came_back += 1
            self.live = False
            await asyncio.sleep(PAUSE)

    async def _socket(self) -> None:
        place = "" if self.place is None else f"&after={self.place}"
        url = f"ws://{self.address}/ws/prices?symbols=*{place}"
        headers = {"Authorization": f"Bearer {self.key}"}
        async with connect(url, additional_headers=headers, compression=None, open_timeout=20) as socket:
            try:
                async for text in socket:
                    self._take(json.loads(text))
            finally:
                with suppress(Exception):
                    await socket.close()
                self.closes.append(socket.close_code or 0)

    async def _stream(self) -> None:
        headers = {"Authorization": f"Bearer {self.key}"}
        if self.place is not None:
            headers["Last-Event-ID"] = str(self.place)
        async with (
            httpx.AsyncClient(base_url=f"http://{self.address}", timeout=httpx.Timeout(20, read=25)) as http,
            http.stream("GET", "/api/v1/stream/prices", headers=headers) as answer,
        ):
            answer.raise_for_status()
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    self._take(json.loads(line[6:]))

    def _take(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "ack":
            self.live = True
            self.begun = message["cursor"] if self.begun is None else self.begun
        elif kind in ("price_update", "interval_complete", "gap"):
            self.events.append((message["cursor"], told(message)))
        elif kind == "error":
            self.errors.append(f"{message['error']['code']}: {message['error']['message']}")


@dataclass
class Asker:
    """A client of the routes, with the client library as it comes: none of what is killed may be an error to it."""

    address: str  # host:port
    key: str
    answers: int = 0
    errors: list[str] = field(default_factory=list)
    newest: datetime | None = None  # when the price of the last answer was made

    async def run(self) -> None:
        """One question after the other: whoever kills a gateway kills it in the middle of an answer."""
        async with AsyncClient(f"http://{self.address}", self.key) as client:
            while True:
                try:
                    self._take((await client.prices.current("BTC")).last_updated)
                except ClientError as error:
                    self.errors.append(repr(error)[:300])

    def _take(self, made: datetime | None) -> None:
        self.answers += 1
        if made is None or (self.newest is not None and made < self.newest):
            self.errors.append(f"a price of {made} after one of {self.newest}")
        self.newest = made or self.newest


def told(message: dict[str, Any]) -> str:
    """What a message says, in a form to compare."""
    if message["type"] == "price_update":
        return f"{message['id']} {message['slot']} {message['revision']} {message['data']['price_usd']}"
    return f"{message['type']} {message['from']}"
