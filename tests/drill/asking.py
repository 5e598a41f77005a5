"""Somebody who asks over REST all the while, and writes down every request that did not get its answer."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import httpx

PATHS = ("/api/v1/prices/current/BTC", "/api/v1/prices/historical/ETH?interval=1h&days=1", "/health")
AGAIN = 10.0  # seconds for which what was cut is asked again; a Service needs some to see that a pod is dead
PAUSE = 0.1  # seconds between two requests of one asker


@dataclass
class Asked:
    """What came of it. `broken`: connections that were gone when a request went out, or ended under it."""

    answered: int = 0
    broken: int = 0
    failed: list[str] = field(default_factory=list)
    slowest: float = 0.0


@asynccontextmanager
async def asking(
    address: str, key: str, askers: int = 4, pause: float = PAUSE, *, cut: bool = False
) -> AsyncIterator[Asked]:
    """Ask until the context ends; half of the askers keep their connection, half take a new one each time.

    `cut`: some of what takes requests is killed, so what was cut is asked again for some seconds, as clients do.
    """
    found = Asked()
    tasks = [
        asyncio.create_task(_ask(address, key, found, pause, keeps=number % 2 == 0, cut=cut))
        for number in range(askers)
    ]
    try:
        yield found
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


async def _ask(address: str, key: str, found: Asked, pause: float, *, keeps: bool, cut: bool) -> None:
    began = time.monotonic()
    async with _http(address, key) as kept:
        while True:
            for path in PATHS:
                asked = time.monotonic()
                where = f"{path} after {asked - began:.1f} s, connection {'kept' if keeps else 'new'}"
                try:
                    answer = await _answer(address, key, kept if keeps else None, path, found, cut=cut)
                    if answer.status_code == 200:
                        found.answered += 1
                    else:
                        found.failed.append(f"{where}: {answer.status_code} {answer.text[:150]}")
                except httpx.HTTPError as error:
                    found.failed.append(f"{where}: {error!r}")
                found.slowest = max(found.slowest, time.monotonic() - asked)
                await asyncio.sleep(pause)


async def _answer(
    address: str, key: str, kept: httpx.AsyncClient | None, path: str, found: Asked, *, cut: bool
) -> httpx.Response:
    """A kept connection may be gone: every client library asks again then, on a new one, and so does this."""
    until = time.monotonic() + (AGAIN if cut else 0.0)
    while True:
        try:
            return await (_afresh(address, key, path) if kept is None else kept.get(path))
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            if kept is None and time.monotonic() >= until:
                raise
            found.broken += 1
            await asyncio.sleep(0.0 if kept is not None else PAUSE)
            kept = None


async def _afresh(address: str, key: str, path: str) -> httpx.Response:
    async with _http(address, key) as http:
        return await http.get(path, headers={"Connection": "close"})


def _http(address: str, key: str) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {key}"}
    # Without what TLS needs, which takes 24 ms to load: then it would be the askers that are busy.
    return httpx.AsyncClient(base_url=f"http://{address}", headers=headers, timeout=20, verify=False)
