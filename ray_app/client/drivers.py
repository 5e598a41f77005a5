"""The two drivers of plans: one blocks, the other awaits. All that differs between Client and AsyncClient is here."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from ray_app.client.asking import Kept, Patience
from ray_app.client.effects import (
    Close,
    Effect,
    Open,
    Out,
    Plan,
    Read,
    Received,
    Request,
    Send,
    Telling,
    Wait,
    Work,
)
from ray_app.client.errors import Unreachable

T = TypeVar("T")
AGENT = "crypto-data-client/0.1"
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
READ_BY_PARTS = (200, 206)


@dataclass(frozen=True, slots=True)
class Allowance:
    """What the last answer said of the key's requests an hour. `reset` is in seconds since 1970."""

    limit: int
    remaining: int
    reset: int


class Driver:
    """What both have in common. `api_key` goes into one header of each request and nowhere else."""

    def __init__(self, base_url: str, api_key: str, patience: Patience, kept: int) -> None:
        address = httpx.URL(base_url)
        if address.scheme not in ("http", "https") or not address.host or address.query or address.userinfo:
            raise ValueError("base_url must be like http://127.0.0.1:8000, without a key or a query")
        if not api_key.isascii() or any(one.isspace() for one in api_key):
            raise ValueError("api_key must be a key as the node printed it: cdk_...")
        self.base_url, self.patience, self.kept = str(address).rstrip("/"), patience, Kept(kept)
        self.allowance: Allowance | None = None
        self._headers = {"user-agent": AGENT} | ({"authorization": f"Bearer {api_key}"} if api_key else {})

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_url!r})"

    def _arguments(self, request: Request, silence: float | None = None) -> dict[str, Any]:
        body = {"content-type": "application/json"} if request.body is not None else {}
        out: dict[str, Any] = {
            "method": request.method,
            "url": self.base_url + request.path,
            "headers": {**self._headers, **body, **request.headers},
            "content": request.body,
        }
        if request.query:
            out["params"] = request.query
        if silence is not None:
            out["timeout"] = httpx.Timeout(silence, connect=10.0)
        return out

    def _told(self, answer: httpx.Response, body: bytes) -> Received:
        headers = {name.lower(): value for name, value in answer.headers.items()}
        told = [headers.get(f"x-ratelimit-{name}", "") for name in ("limit", "remaining", "reset")]
        if all(one.isascii() and one.isdigit() for one in told):
            self.allowance = Allowance(*map(int, told))
        return Received(answer.status_code, headers, body)

    def _broken(self, error: httpx.RequestError) -> Unreachable:
        detail = f"{self.base_url}: {type(error).__name__} {error}".strip()
        return Unreachable(detail, not isinstance(error, NEVER_SENT))


def timeout(seconds: float) -> httpx.Timeout:
    return httpx.Timeout(seconds, connect=min(10.0, seconds))


class Blocking(Driver):
    """Does what plans ask for in the thread that calls; any number of threads may share it."""

    def __init__(self, http: httpx.Client, *common: Any) -> None:
        super().__init__(*common)
        self._http, self._closed = http, threading.Event()

    def run(self, plan: Plan[T]) -> T:
        result, error = None, None
        line = _Line()
        try:
            while True:
                effect = plan.send(result) if error is None else plan.throw(error)
                result, error = self._tried(effect, line)
        except StopIteration as end:
            value: T = end.value
            return value
        finally:
            plan.close()
            line.close()

    def iterate(self, telling: Telling[T]) -> Iterator[T]:
        result, error = None, None
        line = _Line()
        try:
            while True:
                effect = telling.send(result) if error is None else telling.throw(error)
                if isinstance(effect, Out):
                    yield effect.value
                    result, error = None, None
                else:
                    result, error = self._tried(effect, line)
        except StopIteration:
            return
        finally:
            telling.close()
            line.close()

    def close(self) -> None:
        self._closed.set()
        self._http.close()

    def _tried(self, effect: Effect, line: "_Line") -> tuple[Any, Unreachable | None]:
        try:
            return self._do(effect, line), None
        except httpx.RequestError as broken:
            return None, self._broken(broken)

    def _do(self, effect: Effect, line: "_Line") -> Any:
        match effect:
            case Send(request):
                answer = self._http.request(**self._arguments(request))
                return self._told(answer, answer.content)
            case Open(request, silence):
                line.close()
                opened = self._http.build_request(**self._arguments(request, silence))
                line.answer = self._http.send(opened, stream=True)
                line.parts = line.answer.iter_bytes()
                whole = line.answer.status_code not in READ_BY_PARTS
                return self._told(line.answer, line.answer.read() if whole else b"")
            case Read():
                assert line.parts is not None
                return next(line.parts, None)
            case Close():
                return line.close()
            case Wait(seconds):
                return self._closed.wait(seconds)
            case Work(do):
                return do()


class Awaiting(Driver):
    """Does what plans ask for in tasks of one event loop."""

    def __init__(self, http: httpx.AsyncClient, *common: Any) -> None:
        super().__init__(*common)
        self._http, self._closed = http, asyncio.Event()

    async def run(self, plan: Plan[T]) -> T:
        result, error = None, None
        line = _AsyncLine()
        try:
            while True:
                effect = plan.send(result) if error is None else plan.throw(error)
                result, error = await self._tried(effect, line)
        except StopIteration as end:
            value: T = end.value
            return value
        finally:
            plan.close()
            await line.close()

    async def iterate(self, telling: Telling[T]) -> AsyncIterator[T]:
        result, error = None, None
        line = _AsyncLine()
        try:
            while True:
                effect = telling.send(result) if error is None else telling.throw(error)
                if isinstance(effect, Out):
                    yield effect.value
                    result, error = None, None
                else:
                    result, error = await self._tried(effect, line)
        except StopIteration:
            return
        finally:
            telling.close()
            await line.close()

    async def close(self) -> None:
        self._closed.set()
        await self._http.aclose()

    async def _tried(self, effect: Effect, line: "_AsyncLine") -> tuple[Any, Unreachable | None]:
        try:
            return await self._do(effect, line), None
        except httpx.RequestError as broken:
            return None, self._broken(broken)

    async def _do(self, effect: Effect, line: "_AsyncLine") -> Any:
        match effect:
            case Send(request):
                answer = await self._http.request(**self._arguments(request))
                return self._told(answer, answer.content)
            case Open(request, silence):
                await line.close()
                opened = self._http.build_request(**self._arguments(request, silence))
                line.answer = await self._http.send(opened, stream=True)
                line.parts = line.answer.aiter_bytes()
                whole = line.answer.status_code not in READ_BY_PARTS
                return self._told(line.answer, await line.answer.aread() if whole else b"")
            case Read():
                assert line.parts is not None
                return await anext(line.parts, None)
            case Close():
                return await line.close()
            case Wait(seconds):
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await self._closed.wait()
                return None
            case Work(do):
                return await asyncio.to_thread(do)


@dataclass(slots=True)
class _Line:
    """The answer that is read by parts now, if there is one."""

    answer: httpx.Response | None = None
    parts: Iterator[bytes] | None = None

    def close(self) -> None:
        if self.answer is not None:
            self.answer.close()
        self.answer = self.parts = None


@dataclass(slots=True)
class _AsyncLine:
    answer: httpx.Response | None = None
    parts: AsyncIterator[bytes] | None = None

    async def close(self) -> None:
        if self.answer is not None:
            await self.answer.aclose()
        self.answer = self.parts = None
