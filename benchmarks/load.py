"""A load of GETs over kept connections, each answer checked: `python -m benchmarks.load` in a process of its own.

Raw asyncio, since a full HTTP client would be what is measured. A price must be one that was committed, and
not older than what was committed `STALE` seconds before the request.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import uvloop

CONNECTIONS = 32
STALE = 2.0  # seconds
Check = Callable[[bytes, float], str]  # the body and when it was asked for; what is wrong, or nothing


class Asking(asyncio.Protocol):
    """One connection that asks again as soon as it is answered."""

    def __init__(
        self, request: bytes, until: float, done: asyncio.Future[None], check: Check, every: float = 0.0
    ) -> None:
        self._request, self._until, self._done, self._check = request, until, done, check
        self._every, self._due = every, time.perf_counter()  # seconds between two questions; 0: at once
        self.times: list[float] = []
        self.wrong: list[str] = []
        self._buffer = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        at = head.lower().index(b"content-length:") + 15
        length = int(head[at : head.find(b"\r", at) if b"\r" in head[at:] else None])
        if len(body) < length:
            return
        self.times.append(time.perf_counter() - self._sent)
        if not head.startswith(b"HTTP/1.1 200"):
            self.wrong.append(head[:200].decode())
        elif problem := self._check(body, self._sent):
            self.wrong.append(problem)
        self._buffer = b""
        if time.perf_counter() >= self._until:
            self._transport.close()
        elif self._every:
            self._due += self._every
            asyncio.get_running_loop().call_later(max(0.0, self._due - time.perf_counter()), self._ask)
        else:
            self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None or self._buffer:
            self.wrong.append(f"connection lost: {exc!r} {self._buffer[:100]!r}")
        if not self._done.done():
            self._done.set_result(None)


class Prices:
    """What was committed when, from the file that the writer appends to: `perf_counter price`; inf: not yet."""

    def __init__(self, path: Path) -> None:
        self._path, self._known, self._read = path, [(0.0, 0)], 0

    def __call__(self, body: bytes, sent: float) -> str:
        at = body.index(b'"current_price":{"usd":') + 23
        price = int(body[at : body.index(b"}", at)])
        if price > self._known[-1][1] or self._known[-1][0] == float("inf"):
            self._load()
        allowed = max((p for when, p in self._known if when <= sent - STALE), default=0)
        if price > self._known[-1][1]:
            return f"{price} was never committed"
        return f"{price} is stale: {allowed} was committed {STALE} s before" if price < allowed else ""

    def _load(self) -> None:
        lines = self._path.read_text().splitlines()
        self._known += [(float(a), int(b)) for a, b in (line.split() for line in lines[self._read :])]
        self._read = len(lines)


def _same(one: Asking) -> Asking:
    return one


async def load(
    port: int, path: str, key: str, seconds: float, check: Check, rate: float = 0.0
) -> dict[str, Any]:
    """With a `rate` so many questions a second over all connections, each begun at its time."""
    request = f"GET {path} HTTP/1.1\r\nHost: node\r\nAuthorization: Bearer {key}\r\n\r\n".encode()
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    asking = []
    for n in range(CONNECTIONS):
        done = loop.create_future()
        one = Asking(request, began + seconds, done, check, CONNECTIONS / rate if rate else 0.0)
        if rate:
            await asyncio.sleep(max(0.0, began + n / rate - time.perf_counter()))
        _, protocol = await loop.create_connection(partial(_same, one), "127.0.0.1", port)
        asking.append((protocol, done))
    await asyncio.gather(*(done for _, done in asking))
    took = time.perf_counter() - began
    times = sorted(t for protocol, _ in asking for t in protocol.times)
    wrong = [text for protocol, _ in asking for text in protocol.wrong]
    return {
        "requests": len(times),
        "per_second": len(times) / took,
        "p50_ms": times[len(times) // 2] * 1000,
        "p99_ms": times[int(len(times) * 0.99)] * 1000,
        "client_cpu": time.process_time() / (time.perf_counter() - began),
        "wrong": len(wrong),
        "first_wrong": wrong[:3],
    }


def meta(body: bytes, _: float) -> str:
    return "" if b'"meta":{"as_of":' in body else f"no meta: {body[:100]!r}"


def constant(body: bytes, _: float) -> str:
    return "" if body == b'{"price":1}' else "wrong body"


if __name__ == "__main__":
    port, path, key, seconds, committed, rate = sys.argv[1:]
    checked: Check = meta if committed == "meta" else Prices(Path(committed)) if committed else constant
    found = uvloop.run(load(int(port), path, key, float(seconds), checked, float(rate)))
    sys.stdout.write(json.dumps(found))
