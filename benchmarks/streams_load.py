"""The clients of the streams benchmark: many raw sockets in one process, which count messages and write down times.

`python -m benchmarks.streams_load PORT KEY frames|batches SOCKETS SYMBOLS`. A full WebSocket client for each would be
what is measured; these look for the beginning of each price in what comes, and answer no pings, so a run must be short.
"""

import asyncio
import json
import resource
import sys
import time
from functools import partial
from typing import Any

import uvloop

PRICE = b'"type":"price_update"'
OPENED = b"\r\n\r\n"


class Socket(asyncio.Protocol):
    """One client. `done` is called with each batch that it has whole."""

    def __init__(self, request: bytes, symbols: int, all_: "Clients") -> None:
        self._request, self._symbols, self._all = request, symbols, all_
        self._opened = False
        self._tail = b""
        self._count = 0

    def connection_made(self, transport: Any) -> None:
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        data = self._tail + data
        if not self._opened:
            head, found, rest = data.partition(OPENED)
            if not found:
                self._tail = data
                return
            if not head.startswith(b"HTTP/1.1 101"):
                raise RuntimeError(head[:200])
            self._opened, data = True, rest
            self._all.opened += 1
        before = self._count // self._symbols
        self._count += data.count(PRICE)
        self._tail = data[-len(PRICE) + 1 :]
        for batch in range(before, self._count // self._symbols):
            self._all.received.setdefault(batch, []).append(time.perf_counter())

    def connection_lost(self, _: Exception | None) -> None:
        self._all.closed += 1


class Clients:
    """All of them, and what they have."""

    def __init__(self, sockets: int) -> None:
        self.sockets, self.opened, self.closed, self.told = sockets, 0, 0, 0
        self.received: dict[int, list[float]] = {}

    async def whole(self, batches: int) -> list[list[float]]:
        """The times at which the next batches came to everybody, or as many as have come in time."""
        wanted = range(self.told, self.told + batches)
        deadline = time.perf_counter() + 30
        while time.perf_counter() < deadline and self.closed == 0:
            if all(len(self.received.get(batch, ())) == self.sockets for batch in wanted):
                break
            await asyncio.sleep(0.002)
        self.told += batches
        return [self.received.get(batch, []) for batch in wanted]


async def main(port: int, key: str, form: str, sockets: int, symbols: int) -> None:
    clients = Clients(sockets)
    batch = "&batch=true" if form == "batches" else ""
    request = (
        f"GET /ws/prices?symbols=*{batch} HTTP/1.1\r\nHost: node\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: MDEyMzQ1Njc4OUFCQ0RFRg==\r\nSec-WebSocket-Version: 13\r\n"
        f"Authorization: Bearer {key}\r\n\r\n"
    ).encode()
    loop = asyncio.get_running_loop()
    for _ in range(sockets):
        await loop.create_connection(partial(Socket, request, symbols, clients), "127.0.0.1", port)
    while clients.opened < sockets:  # noqa: ASYNC110  # the sockets count
        await asyncio.sleep(0.01)
    await asyncio.sleep(1.0)  # acks and snapshots
    _say(opened=clients.opened)
    while line := await asyncio.to_thread(sys.stdin.readline):
        asked = json.loads(line)
        received = await clients.whole(asked["batches"]) if asked["do"] == "wait" else []
        used = resource.getrusage(resource.RUSAGE_SELF)
        _say(
            at=time.perf_counter(),
            cpu=used.ru_utime + used.ru_stime,
            received=received,
            closed=clients.closed,
        )


def _say(**told: Any) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    port, key, form, sockets, symbols = sys.argv[1:]
    uvloop.run(main(int(port), key, form, int(sockets), int(symbols)))
