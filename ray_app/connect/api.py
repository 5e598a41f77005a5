"""HTTP, politely: wait for a turn, sign, send, keep the page, judge it, try again while it is worth it.

Every answer is kept before it is judged, errors included: an answer is evidence. Each attempt costs a
turn, successful or not. The key goes into a header at the last moment and nowhere else; where an upstream
repeats it ("we have detected your API key as ..."), it is struck out before the answer is kept.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import httpx

from ray_app.connect.judge import allowance, judge, remaining
from ray_app.connect.retry import pause
from ray_app.model.clock import Clock
from ray_app.model.errors import Malformed, RateLimited, Transient, UpstreamError, WrongStore
from ray_app.model.quota import Allowance, Priority, Refusal, Turns
from ray_app.model.source import Page, Plan, Source, Stream

SIMULATED = "x-simulated"
KEPT_HEADERS = {
    "date",
    "etag",
    "content-type",
    "retry-after",
    "age",
    "cache-control",
    "last-modified",
    SIMULATED,
}
STRUCK_OUT = b"[key]"
LARGEST_BODY = 64 * 2**20
EXPIRED_TURNS = 10  # in a row; more would be spent on nothing while two machines' clocks differ
TOTAL_SECONDS = 60.0

HttpClient = httpx.AsyncClient


def client(base_url: str = "") -> httpx.AsyncClient:
    """The HTTP client for upstreams: bounded times, no redirects, an honest name."""
    return httpx.AsyncClient(
        base_url=base_url,
        timeout=httpx.Timeout(30.0, connect=10.0),
        headers={"user-agent": "crypto-data-node/0.1 (+market data research)", "accept": "application/json"},
        follow_redirects=False,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpApi:
    """The Api of one stream at one priority. `base_url` replaces the plan's own (the simulator's, say)."""

    source: Source
    plan: Plan
    stream: Stream
    priority: Priority
    turns: Turns
    clock: Clock
    keep: Callable[[Page], Awaitable[None]]
    http: httpx.AsyncClient
    base_url: str
    simulated: bool
    key: str | None = field(default=None, repr=False)
    total_seconds: float = TOTAL_SECONDS  # for one attempt, from connecting to the last byte

    async def get(self, path: str, **params: str | int) -> Page:
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self._once(path, {name: str(value) for name, value in params.items()})
            except UpstreamError as error:
                wait = pause(error, attempt)
                if wait is None or attempt >= self.stream.attempts:
                    raise
                await self.clock.sleep(wait)

    async def _once(self, path: str, params: dict[str, str]) -> Page:
        for _ in range(EXPIRED_TURNS):
            turn = await self.turns.turn(self.priority)
            if self.clock.now() <= turn.expires:
                break  # else it came too late to be used: it is spent, ask again
        else:
            raise Transient(
                self.source.name, f"{EXPIRED_TURNS} turns in a row came too late: do the clocks agree?"
            )
        page = await self._send(path, params)
        if (SIMULATED in page.headers) is not self.simulated:
            expected, found = (
                ("the simulator", "a real upstream")
                if self.simulated
                else ("a real upstream", "the simulator")
            )
            raise WrongStore(
                f"{self.source.name} at {self.base_url} is {found}, but this store holds data of {expected}"
            )
        await self.keep(page)
        try:
            judge(self.source, page)
        except RateLimited as error:
            await self.turns.refused(Refusal(page.received_at, error.retry_after, allowance(page)))
            raise
        limit, left = allowance(page), remaining(page)
        if left == 0 or (limit is not None and limit < self.plan.quota.calls):
            await self.turns.told(Allowance(page.received_at, limit, left))
        return page

    async def _send(self, path: str, params: dict[str, str]) -> Page:
        auth = self.plan.auth
        signed = {auth.header: self.key} if auth is not None and self.key else {}
        asked_at = self.clock.now()
        try:
            async with (
                asyncio.timeout(self.total_seconds),
                self.http.stream("GET", self.base_url + path, params=params, headers=signed) as answer,
            ):
                body = bytearray()
                async for piece in answer.aiter_bytes():
                    body += piece
                    if len(body) > LARGEST_BODY:
                        raise Malformed(self.source.name, f"{path}: body over {LARGEST_BODY} bytes")
        except (httpx.TransportError, httpx.DecodingError, TimeoutError) as error:
            raise Transient(self.source.name, f"{path}: {type(error).__name__} {error}".strip()) from error
        headers = {
            k: self._without_key(v.encode()).decode()
            for k, v in answer.headers.items()
            if k in KEPT_HEADERS or k.startswith("x-ratelimit")
        }
        return Page(
            source=self.source.name,
            stream=self.stream.name,
            path=path,
            params=params,
            status=answer.status_code,
            headers=headers,
            body=self._without_key(bytes(body)),
            asked_at=asked_at,
            received_at=self.clock.now(),
        )

    def _without_key(self, told: bytes) -> bytes:
        return told.replace(self.key.encode(), STRUCK_OUT) if self.key else told
