"""HTTP, politely: wait for a turn, sign, send, keep the page, judge it, try again while it is worth it.

Every answer is kept before it is judged, errors included: an answer is evidence. Each attempt costs a
turn, successful or not. Secrets go on at the last moment and nowhere else; where an upstream repeats one
("we have detected your API key as ..."), it is struck out before the answer is kept.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

import httpx

from ray_app.connect.addresses import (
    Address,
    Lookup,
    address_of,
    at_home,
    looked_up,
    pinned,
    redirected,
    through_proxy,
)
from ray_app.connect.body import NotPackedSo, TooLarge, read_body
from ray_app.connect.judge import allowance, judge, remaining
from ray_app.connect.retry import pause
from ray_app.connect.signing import Signed, Signing, Unsigned, struck_out
from ray_app.model.clock import Clock
from ray_app.model.errors import Malformed, NotOffered, RateLimited, Transient, UpstreamError, WrongStore
from ray_app.model.quota import Allowance, Priority, Refusal, Turns
from ray_app.model.source import Page, Plan, Source, Stream
from ray_app.model.threads import off_the_loop

SIMULATED = "x-simulated"
NOT_MODIFIED = 304
KEPT_HEADERS = {
    "date",
    "etag",
    "content-type",
    "retry-after",
    "age",
    "cache-control",
    "last-modified",
    "location",
    SIMULATED,
}
RATE_HEADERS = ("x-ratelimit", "x-rate-limit", "x-mbx-used-weight")
REDIRECTS, MOST_REDIRECTS = (301, 302, 303, 307, 308), 3
EXPIRED_TURNS = 10  # in a row; more would be spent on nothing while two machines' clocks differ
TOTAL_SECONDS = 60.0
MOST_ADDRESSES = 4  # of one host that are tried in turn

HttpClient = httpx.AsyncClient
Validators = dict[
    tuple[str, ...], dict[str, str]
]  # by stream and request: what makes the next one conditional


def client(base_url: str = "") -> httpx.AsyncClient:
    """The HTTP client for upstreams: bounded times, no redirects, an honest name."""
    for chatty in ("httpx", "httpcore"):  # their lines hold whole URLs, and some upstreams want keys there
        logging.getLogger(chatty).setLevel(logging.WARNING)
    return httpx.AsyncClient(
        base_url=base_url,
        timeout=httpx.Timeout(30.0, connect=10.0),
        headers={
            "user-agent": "crypto-data-node/0.1 (+market data research)",
            "accept": "application/json",
            "accept-encoding": "gzip",  # what is unpacked within bounds
        },
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
    before: datetime | None = None  # until when the answer is of use: an earlier one goes first
    signing: Signing = field(default_factory=Unsigned, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    validators: Validators = field(default_factory=dict, repr=False)
    _remembered: list[tuple[str, ...]] = field(default_factory=list, init=False, repr=False)
    cut: Callable[[Page], Page] | None = None  # what may be kept of an answer
    lookup: Lookup = looked_up  # of the hosts that redirects lead to
    total_seconds: float = TOTAL_SECONDS  # for one attempt, from connecting to the last byte

    def keeping(self, cut: Callable[[Page], Page]) -> "HttpApi":
        """The same, which keeps and returns what `cut` leaves of each answer."""
        return replace(self, cut=cut)

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
            turn = await self.turns.turn(self.priority, self.before)
            if self.clock.now() <= turn.expires:
                break  # else it came too late to be used: it is spent, ask again
        else:
            raise Transient(
                self.source.name, f"{EXPIRED_TURNS} turns in a row came too late: do the clocks agree?"
            )
        signed = await self.signing.sign()
        page = await self._answer(path, params, signed)
        if (SIMULATED in page.headers) is not self.simulated:
            expected, found = (
                ("the simulator", "a real upstream")
                if self.simulated
                else ("a real upstream", "the simulator")
            )
            raise WrongStore(
                f"{self.source.name} at {self.base_url} is {found}, but this store holds data of {expected}"
            )
        whole = page
        if self.cut is not None:
            page = await off_the_loop(self.cut, whole, size=len(whole.body))
        await self.keep(page)
        if page.status == 401 and self.signing.spoilt(signed):
            raise Transient(self.source.name, "the token was refused: a new one is bought")
        if page.status == NOT_MODIFIED and self.stream.conditional:
            return page
        try:
            judge(self.source, whole, quoting=self.stream.recheck is None)
        except RateLimited as error:
            await self.turns.refused(
                Refusal(page.received_at, error.retry_after, allowance(self.source, page))
            )
            raise
        limit, left = allowance(self.source, page), remaining(page)
        if left == 0 or (limit is not None and limit < self.plan.quota.calls):
            await self.turns.told(Allowance(page.received_at, limit, left))
        if self.stream.conditional:
            self._remember(page)
        return page

    async def _answer(self, path: str, params: dict[str, str], signed: Signed) -> Page:
        """The answer, after at most three redirects where the source follows them; each costs a turn."""
        page = await self._send(path, params, signed)
        hops = 0
        while self.source.follows and page.status in REDIRECTS and "location" in page.headers:
            hops += 1
            await self.keep(page)
            if hops > MOST_REDIRECTS:
                raise NotOffered(self.source.name, f"{path}: more than {MOST_REDIRECTS} redirects")
            asked = page.path if page.path.startswith("https://") else self.plan.base_url + page.path
            target = await redirected(
                self.source.name,
                asked,
                page.headers["location"],
                simulated=self.simulated,
                lookup=self.lookup,
            )
            await self.turns.turn(self.priority, self.before)
            page = await self._send(target.url, {}, signed, () if through_proxy() else target.addresses)
        return page

    def _place(self, path: str, params: Mapping[str, str]) -> tuple[str, ...]:
        return (self.stream.name, path, *(f"{k}={v}" for k, v in sorted(params.items())))

    def _remember(self, page: Page) -> None:
        """Keep the validators verbatim for the next request of the same."""
        pairs = {"if-none-match": "etag", "if-modified-since": "last-modified"}
        told = {ours: page.headers.get(theirs, "") for ours, theirs in pairs.items()}
        told = {ours: value for ours, value in told.items() if value and value.isascii()}
        place = self._place(page.path, page.params)
        if told:
            self.validators[place] = told
            self._remembered.append(place)
        else:
            self.validators.pop(place, None)

    def forget(self) -> None:
        """What was answered could not be used: ask for it whole next time, changed or not."""
        for place in self._remembered:
            self.validators.pop(place, None)

    async def _send(
        self, path: str, params: dict[str, str], signed: Signed, addresses: Sequence[Address] = ()
    ) -> Page:
        """One request. Of `addresses` the first that can be connected to is asked; without them the URL's host."""
        signed = signed if at_home(self.plan, path) else Signed()
        try:
            url = httpx.URL(address_of(self.plan, self.base_url, path, simulated=self.simulated))
        except httpx.InvalidURL:
            raise NotOffered(self.source.name, f"{path[:200]!r} is no address") from None
        if params or signed.params:
            url = url.copy_merge_params({**params, **signed.params})
        known = self.validators.get(self._place(path, params), {}) if self.stream.conditional else {}
        asked_at = self.clock.now()
        try:
            async with (
                asyncio.timeout(self.total_seconds),
                self._answering(url, {**self.headers, **known, **signed.headers}, addresses) as answer,
            ):
                packed = answer.headers.get("content-encoding", "")
                body = await read_body(answer.aiter_raw(), packed, self.stream.largest)
        except TooLarge:
            raise Malformed(self.source.name, f"{path}: body over {self.stream.largest} bytes") from None
        except (httpx.TransportError, NotPackedSo, TimeoutError) as error:
            told = self._clean(f"{path}: {type(error).__name__} {error}".strip().encode()).decode()
            raise Transient(self.source.name, told) from None
        except httpx.InvalidURL:  # httpx looks at every Location, also where it does not follow
            raise Malformed(self.source.name, f"{path}: it leads to what is no address") from None
        headers = {
            k: self._clean(v.encode()).decode()
            for k, v in answer.headers.items()
            if k in KEPT_HEADERS or k.startswith(RATE_HEADERS)
        }
        return Page(
            source=self.source.name,
            stream=self.stream.name,
            path=path,
            params=params,
            status=answer.status_code,
            headers=headers,
            body=self._clean(body),
            asked_at=asked_at,
            received_at=self.clock.now(),
        )

    @asynccontextmanager
    async def _answering(
        self, url: httpx.URL, headers: dict[str, str], addresses: Sequence[Address]
    ) -> AsyncIterator[httpx.Response]:
        for address in addresses[:MOST_ADDRESSES]:
            to = pinned(url, address)
            request = self.http.build_request(
                "GET", to.url, headers=headers | to.headers, extensions=to.extensions
            )
            try:
                answer = await self.http.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if address == addresses[:MOST_ADDRESSES][-1]:
                    raise
                continue
            try:
                yield answer
            finally:
                await answer.aclose()
            return
        async with self.http.stream("GET", url, headers=headers) as answer:
            yield answer

    def _clean(self, told: bytes) -> bytes:
        return struck_out(told, self.signing.secrets)
